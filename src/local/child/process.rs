//! A running child: its output, its end, and how it is stopped.

use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Child;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Command;
use super::messages::Messages;
use crate::base::error::{Error, ErrorKind, Result, Side};

/// How long a child may take to end after SIGTERM before it gets SIGKILL.
///
/// `pg_restore` cancels its queries on SIGTERM and ends within milliseconds on a healthy network;
/// ten seconds is what people accept to wait after Ctrl-C.
pub(super) const TERMINATE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the output of a child that has ended is waited for. Only a grandchild that outlives it
/// can hold the pipes open; the workers of `pg_restore --jobs` end with their leader.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest standard output kept, in bytes. We collect version numbers and lists of objects; a list
/// of a million objects is about 100 MB.
const STDOUT_BYTES_MAX: usize = 256 << 20;

/// What a child that ended well left.
#[derive(Debug)]
pub struct Output {
    /// Everything it wrote to standard output.
    pub stdout: Vec<u8>,
    /// How many warnings it wrote to standard error.
    pub warning_count: u64,
    /// How long it ran.
    pub elapsed: Duration,
}

impl Command {
    /// Runs the program to its end.
    ///
    /// Not cancel safe: dropping the future kills the child with SIGKILL; use the token.
    ///
    /// # Errors
    /// `Tool` when it cannot be started, `Child` with its error lines when it ends with a failure,
    /// `Cancelled` when the token fired and it ended because of that.
    pub async fn run(self, cancel: &CancellationToken) -> Result<Output> {
        let begin = Instant::now();
        let name = self.name();
        tracing::debug!(command = %self.display(), "starting a client tool");
        let mut child = self.spawn()?;
        if let (Some(children), Some(pid)) = (&self.children, child.id()) {
            children.remember(pid)?;
        }
        let mut messages = Messages::new(&name, self.secrets.iter().map(|(_, value)| &**value));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (ended, stdout) = {
            let reading = async { tokio::join!(collect(stdout), messages.read(stderr)).0 };
            let waiting = wait(&mut child, self.terminate_timeout, cancel);
            tokio::pin!(reading, waiting);
            tokio::select! {
                stdout = &mut reading => (waiting.await, Some(stdout)),
                ended = &mut waiting => (ended, timeout(OUTPUT_TIMEOUT, reading).await.ok()),
            }
        };
        let (status, stopped) = ended.map_err(|error| self.cannot_run(error))?;
        if status.success() {
            let stdout = stdout.unwrap_or_else(|| Ok(Vec::new()));
            return Ok(Output {
                stdout: stdout.map_err(|error| self.cannot_run(error))?,
                warning_count: messages.warning_count(),
                elapsed: begin.elapsed(),
            });
        }
        if stopped {
            return Err(Error::cancelled().during(name));
        }
        let (status, stderr) = (describe(status), messages.into_report());
        Err(Error::new(Side::Local, ErrorKind::Child { program: name, status, stderr }))
    }

    /// Starts the program with a clean environment in its own process group.
    fn spawn(&self) -> Result<Child> {
        let stdin = match &self.children {
            Some(children) => Stdio::from(children.handle()?),
            None => Stdio::null(),
        };
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.variables.iter().map(|(name, value)| (name, value)))
            .envs(self.secrets.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command.spawn().map_err(|error| self.cannot_run(error))
    }

    /// The error for a program that the system cannot start or watch.
    fn cannot_run(&self, error: std::io::Error) -> Error {
        let program = self.program.display();
        Error::new(Side::Local, ErrorKind::Tool(format!("cannot run \"{program}\": {error}")))
    }
}

/// Waits for the end; when the token fires, asks the child to end and insists after a while. The
/// flag says whether the token fired.
async fn wait(
    child: &mut Child,
    terminate_timeout: Duration,
    cancel: &CancellationToken,
) -> std::io::Result<(ExitStatus, bool)> {
    tokio::select! {
        status = child.wait() => return Ok((status?, false)),
        () = cancel.cancelled() => {}
    }
    let pid = child.id();
    if let Some(pid) = pid {
        signal_group(pid, "TERM").await;
    }
    if let Ok(status) = timeout(terminate_timeout, child.wait()).await {
        return Ok((status?, true));
    }
    tracing::warn!(pid, "the client tool ignores the request to end, killing it");
    if let Some(pid) = pid {
        signal_group(pid, "KILL").await;
    }
    child.kill().await?;
    Ok((child.wait().await?, true))
}

/// Sends a signal to a process group of ours through the shell's built-in `kill`: the standard
/// library has no safe call for it.
pub(super) async fn signal_group(leader: u32, signal: &str) {
    let sent = tokio::process::Command::new("/bin/sh")
        .args(["-c", "kill -s \"$1\" -- \"-$2\"", "sh", signal, &leader.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await;
    if let Err(error) = sent {
        tracing::debug!(%error, leader, signal, "could not send a signal");
    }
}

/// Reads a stream to its end.
async fn collect(stream: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.take(STDOUT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).await?;
    }
    if bytes.len() > STDOUT_BYTES_MAX {
        let message = format!("it wrote more than {STDOUT_BYTES_MAX} bytes to standard output");
        return Err(std::io::Error::other(message));
    }
    Ok(bytes)
}

/// An exit status in words.
fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown status".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Environment;
    use super::*;

    fn shell(script: &str) -> Command {
        let environment = Environment::default().with("PATH", "/usr/bin:/bin");
        Command::new(Path::new("/bin/sh"), &environment).argument("-c").argument(script)
    }

    #[tokio::test]
    async fn child_sees_only_what_it_is_given() {
        let command =
            Command::new(Path::new("/usr/bin/env"), &Environment::default().with("A", "1"))
                .secret("PGPASSWORD", "p w");
        let output = command.run(&CancellationToken::new()).await.unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "A=1\nPGPASSWORD=p w\n");
    }

    #[tokio::test]
    async fn failure_carries_status_and_error_lines_without_secrets() {
        let error = shell("echo 'sh: error: password hunter2 is wrong' >&2; exit 3")
            .secret("PGPASSWORD", "hunter2")
            .run(&CancellationToken::new())
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "sh ended with exit code 3");
        assert_eq!(error.detail_lines(), ["  sh: error: password *** is wrong"]);
    }

    #[tokio::test]
    async fn child_that_was_killed_is_a_failure_that_names_the_signal() {
        let error = shell("kill -9 $$").run(&CancellationToken::new()).await.unwrap_err();
        assert_eq!(error.to_string(), "sh ended with signal 9");
    }

    #[tokio::test]
    async fn missing_program_is_a_tool_error_that_names_the_path() {
        let command = Command::new(Path::new("/nonexistent/pg_dump"), &Environment::default());
        let error = command.run(&CancellationToken::new()).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Tool(_)), "{error:?}");
        assert!(error.to_string().contains("\"/nonexistent/pg_dump\""), "{error}");
    }

    #[tokio::test]
    async fn cancelled_child_ends_with_its_whole_group() {
        let cancel = CancellationToken::new();
        cancel.cancel();
        // The grandchild holds the pipes open: `run` returns only when it is gone, too.
        let begin = Instant::now();
        let error = shell("sleep 100 & sleep 100").run(&cancel).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Cancelled), "{error:?}");
        assert!(begin.elapsed() < OUTPUT_TIMEOUT, "{:?}", begin.elapsed());
    }

    #[tokio::test]
    async fn child_that_ignores_the_request_is_killed() {
        let cancel = CancellationToken::new();
        cancel.cancel();
        let mut command = shell("trap '' TERM; while :; do sleep 100; done");
        command.terminate_timeout = Duration::from_millis(200);
        let error = command.run(&cancel).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Cancelled), "{error:?}");
    }
}
