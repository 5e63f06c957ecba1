//! Running other programs with a deadline, a clean environment and their whole output kept.

use std::fmt;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Longest time a helper program (psql, pg_dump, pgbench, initdb) may take, in seconds.
///
/// Far above what any fixture needs on a slow machine: it only turns a hang into a failure.
pub const HELPER_SECONDS_MAX: u64 = 900;

/// How often a running program is looked at while it is waited for, in milliseconds.
const POLL_MS: u64 = 5;

/// What a program left behind.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit code or signal.
    pub status: ExitStatus,
    /// Standard output, bytes outside UTF-8 replaced.
    pub stdout: String,
    /// Standard error, bytes outside UTF-8 replaced.
    pub stderr: String,
    /// The program and its arguments, for messages.
    pub command: String,
    /// Wall time from start to end.
    pub elapsed: Duration,
}

impl Output {
    /// Returns itself when the program ended with exit code 0.
    ///
    /// # Errors
    /// A message with the command, the exit status and all output.
    pub fn success(self) -> Result<Self> {
        ensure!(self.status.success(), "expected exit code 0\n{self}");
        Ok(self)
    }

    /// Returns itself when the program ended with exactly this exit code.
    ///
    /// # Errors
    /// A message with the command, the exit status and all output.
    pub fn exit_code(self, expected: i32) -> Result<Self> {
        ensure!(self.status.code() == Some(expected), "expected exit code {expected}\n{self}");
        Ok(self)
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {}\n{} after {:.1?}", self.command, self.status, self.elapsed)?;
        writeln!(f, "--- stdout\n{}", self.stdout.trim_end())?;
        write!(f, "--- stderr\n{}", self.stderr.trim_end())
    }
}

/// A started program whose output is collected in the background.
///
/// Dropping it kills the program, so that no test leaves one behind.
#[derive(Debug)]
pub struct Running {
    child: Child,
    command: String,
    started: Instant,
    readers: Option<Readers>,
}

/// The threads that keep what a program prints.
#[derive(Debug)]
struct Readers {
    stdout: thread::JoinHandle<Vec<u8>>,
    stderr: thread::JoinHandle<Vec<u8>>,
}

/// Signals that tests send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, what Ctrl-C sends.
    Int,
    /// SIGTERM, the polite end.
    Term,
    /// SIGKILL, which nobody can catch.
    Kill,
    /// SIGQUIT.
    Quit,
    /// SIGHUP.
    Hup,
    /// SIGSTOP, freezes the program.
    Stop,
    /// SIGCONT, lets a frozen program go on.
    Cont,
    /// SIGUSR1.
    Usr1,
}

impl Signal {
    /// Name as the shell's `kill` takes it.
    fn name(self) -> &'static str {
        match self {
            Self::Int => "INT",
            Self::Term => "TERM",
            Self::Kill => "KILL",
            Self::Quit => "QUIT",
            Self::Hup => "HUP",
            Self::Stop => "STOP",
            Self::Cont => "CONT",
            Self::Usr1 => "USR1",
        }
    }
}

impl Running {
    /// Starts a program, feeds it `input` (standard input is closed after it), collects its output.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn(command: &mut Command, input: Option<Vec<u8>>) -> Result<Self> {
        let text = describe(command);
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().with_context(|| format!("start: {text}"))?;
        if let (Some(bytes), Some(mut pipe)) = (input, child.stdin.take()) {
            // A program that ends early closes the pipe; its exit status tells the story.
            thread::spawn(move || pipe.write_all(&bytes).ok());
        }
        let readers = Readers {
            stdout: collect(child.stdout.take().context("standard output is not a pipe")?),
            stderr: collect(child.stderr.take().context("standard error is not a pipe")?),
        };
        Ok(Self { child, command: text, started, readers: Some(readers) })
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the program still runs.
    ///
    /// # Errors
    /// When the operating system cannot tell.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait().context("look at a child process")?.is_none())
    }

    /// Sends a signal to the program.
    ///
    /// # Errors
    /// When it is gone already or the signal is refused.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        send_signal(self.pid(), signal)
    }

    /// Waits for the end and returns everything printed; kills the program at the deadline.
    ///
    /// # Errors
    /// When the deadline passes: the message holds everything printed until then.
    pub fn wait(mut self, deadline: Duration) -> Result<Output> {
        let mut late = false;
        let status = loop {
            if let Some(status) = self.child.try_wait().context("wait for a child process")? {
                break status;
            }
            if !late && self.started.elapsed() >= deadline {
                late = true;
                self.child.kill().context("kill a child process")?;
            }
            thread::sleep(Duration::from_millis(POLL_MS));
        };
        let elapsed = self.started.elapsed();
        let (stdout, stderr) = match self.readers.take() {
            Some(readers) => (text_of(readers.stdout), text_of(readers.stderr)),
            None => (String::new(), String::new()),
        };
        let output = Output { status, stdout, stderr, command: self.command.clone(), elapsed };
        if late {
            bail!("killed: not finished after {deadline:.1?}\n{output}");
        }
        Ok(output)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Nothing to do about a failure here: the process is gone or not ours to end.
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

/// Runs a program to its end, whatever its exit status.
///
/// # Errors
/// When it cannot be started, or is not finished at the deadline.
pub fn run(command: &mut Command, input: Option<Vec<u8>>, deadline: Duration) -> Result<Output> {
    Running::spawn(command, input)?.wait(deadline)
}

/// Runs a helper program that must succeed, within [`HELPER_SECONDS_MAX`].
///
/// # Errors
/// When it cannot be started, hangs, or ends with another exit code than 0.
pub fn run_ok(command: &mut Command, input: Option<Vec<u8>>) -> Result<Output> {
    run(command, input, Duration::from_secs(HELPER_SECONDS_MAX))?.success()
}

/// Sends a signal to a process by its id.
///
/// # Errors
/// When there is no such process or it is not ours.
pub fn send_signal(pid: u32, signal: Signal) -> Result<()> {
    // The shell's own kill: the program of that name is not installed everywhere.
    let mut command = Command::new("sh");
    command.args(["-c", "kill -s \"$1\" \"$2\"", "sh", signal.name(), &pid.to_string()]);
    run_ok(&mut command, None)?;
    Ok(())
}

/// Removes from a command's environment everything that could steer libpq or the product.
pub fn scrub(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        let steering = ["PG", "PSQL_", "POSTGRES"].iter().any(|p| name_text.starts_with(p));
        if steering {
            command.env_remove(&name);
        }
    }
    command
        .env("PGPASSFILE", "/nonexistent/pgpass")
        .env("PGSERVICEFILE", "/nonexistent/pg_service.conf")
        .env("PGCONNECT_TIMEOUT", "30")
}

/// Waits until a condition holds, looking every few milliseconds.
///
/// # Errors
/// The condition's own error, or a message naming `what` when the deadline passes.
pub fn wait_until(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let started = Instant::now();
    while !condition()? {
        ensure!(started.elapsed() < deadline, "waited {deadline:.1?} in vain for {what}");
        thread::sleep(Duration::from_millis(POLL_MS));
    }
    Ok(())
}

/// Writes a command as a person would type it, without its environment.
fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

/// Reads a pipe to its end in a thread of its own.
fn collect(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is worth keeping.
        pipe.read_to_end(&mut bytes).ok();
        bytes
    })
}

/// Joins a reader and decodes what it kept.
fn text_of(reader: thread::JoinHandle<Vec<u8>>) -> String {
    String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_input_and_output_do_not_block_each_other() {
        let input = vec![b'x'; 4_000_000];
        let output = run_ok(&mut Command::new("cat"), Some(input)).unwrap();
        assert_eq!(output.stdout.len(), 4_000_000);
    }

    #[test]
    fn program_past_its_deadline_is_killed_and_its_output_shown() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo begun; exec sleep 600"]);
        let error = run(&mut command, None, Duration::from_millis(300)).unwrap_err().to_string();
        assert!(error.contains("not finished after 300.0ms"), "{error}");
        assert!(error.contains("begun"), "{error}");
    }

    #[test]
    fn killed_program_reports_no_exit_code() {
        let mut command = Command::new("sleep");
        let running = Running::spawn(command.arg("600"), None).unwrap();
        running.signal(Signal::Kill).unwrap();
        let output = running.wait(Duration::from_secs(60)).unwrap();
        assert_eq!(output.status.code(), None);
    }
}
