//! What every command that does work has: environment, terminal, logging, a runtime.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::args::{CommonArgs, PingArgs};
use super::environment::ProcessEnvironment;
use super::exit::Exit;
use super::logging::{self, LogSettings, Severity};
use super::settings::{self, Connections};
use super::signals::Signals;
use super::version::VERSION;
use crate::base::error::{Class, Error, Result};
use crate::base::event::{EVENT_CHANNEL_LENGTH, EventSender};
use crate::base::stop::StopSignal;
use crate::command;
use crate::report::{self, Display, Terminal};

/// Fewest worker threads: one may be busy in a long computation while the other serves sockets.
const WORKER_THREADS_MIN: usize = 2;

/// Longest wait for the display to show the last events once the command has returned.
///
/// The channel closes when the command drops its senders; only a task that outlives the command
/// could keep it open, and the summary must not wait for one.
const DISPLAY_END_WAIT_MAX: Duration = Duration::from_secs(1);

/// Longest wait for blocking work (a name look-up that hangs, for example) once a command is over.
const RUNTIME_END_WAIT_MAX: Duration = Duration::from_secs(1);

/// The running program.
#[derive(Debug)]
pub(super) struct Program {
    /// Variables and paths.
    pub(super) environment: ProcessEnvironment,
    /// `--json` in front of the command.
    pub(super) json: bool,
    /// Standard error.
    pub(super) terminal: Arc<Terminal>,
    /// How progress is shown.
    display: Display,
}

impl Program {
    /// Starts logging and announces the program.
    ///
    /// # Errors
    /// Class `Config` for a malformed logging variable.
    pub(super) fn start(
        common: &[&CommonArgs],
        json: bool,
        environment: ProcessEnvironment,
    ) -> Result<Self> {
        let terminal = Arc::new(Terminal::stderr());
        let settings = LogSettings::resolve(Severity::threshold(common), &environment)?;
        let display = choose_display(&settings, &terminal);
        logging::start(settings, Arc::clone(&terminal))?;
        log_panics();
        let program = environment.program();
        tracing::info!("running pgcopydb {VERSION} from \"{}\"", program.display());
        Ok(Self { environment, json, terminal, display })
    }

    /// Runs a command beside its display and its signals; to be called inside [`Self::block_on`].
    ///
    /// # Errors
    /// `Internal` when signal handlers cannot be installed.
    pub(super) async fn beside_display<T>(
        &self,
        command: impl AsyncFnOnce(EventSender, StopSignal) -> T,
    ) -> Result<T> {
        let (events, receiver) = mpsc::channel(EVENT_CHANNEL_LENGTH);
        let stop = StopSignal::new();
        let watcher = tokio::spawn(Signals::install()?.watch(stop.clone(), events.downgrade()));
        tracing::debug!("listening to signals");
        let terminal = Arc::clone(&self.terminal);
        let mut display = tokio::spawn(report::run(receiver, self.display, terminal));
        let outcome = Box::pin(command(events, stop)).await;
        watcher.abort();
        if tokio::time::timeout(DISPLAY_END_WAIT_MAX, &mut display).await.is_err() {
            // The display takes itself off the terminal when its task is dropped; wait for that.
            display.abort();
            let _ = display.await;
        }
        Ok(outcome)
    }

    /// Runs a command on a runtime of its own.
    ///
    /// # Errors
    /// `Internal` when the system gives no threads.
    pub(super) fn block_on<F: Future>(command: F) -> Result<F::Output> {
        let runtime = start_runtime()?;
        let output = runtime.block_on(command);
        runtime.shutdown_timeout(RUNTIME_END_WAIT_MAX);
        Ok(output)
    }
}

/// Creates the runtime that carries a command.
fn start_runtime() -> Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.max(WORKER_THREADS_MIN))
        .enable_all()
        .build()
        .map_err(|error| Error::internal(format!("could not start the runtime: {error}")))
}

/// Logs panics like everything else, so that they neither tear the display nor miss the log file.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let payload = panic.payload();
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        tracing::error!(place, "internal error, please report it: panic: {text}");
    }));
}

/// A live display is for a person who watches and did not ask for silence; JSON lines are for
/// programs.
fn choose_display(settings: &LogSettings, terminal: &Terminal) -> Display {
    if terminal.is_interactive() && !settings.json && settings.threshold < Severity::Error {
        Display::Live
    } else {
        Display::Lines
    }
}

/// Shows an error once: in the log, or plainly when there is no log yet.
pub(super) fn show_error(error: &Error) {
    if tracing::dispatcher::has_been_set() {
        report::error::log(error);
    } else {
        let text = report::error::text(error);
        Terminal::stderr().write_line(&format!("pgcopydb: {text}\n"));
    }
}

/// Runs `ping`.
pub(super) fn ping(args: &PingArgs, program: &Program) -> Result<Exit> {
    let Connections { source, target } =
        settings::resolve_connections(&args.connections, &program.environment)?;
    let failures = Program::block_on(command::ping::run(&source, &target))?;
    for failure in &failures {
        show_error(failure);
    }
    Ok(if failures.is_empty() { Exit::Success } else { Exit::Failure })
}

/// Says how to go on after a stop.
pub(super) fn explain_stop(error: Error) -> Error {
    match error.class() {
        Class::Cancelled => error.hint("Run the same command again to continue."),
        _ => error,
    }
}
