//! What a child writes to standard error: logged line by line at the right level, the important
//! part kept.
//!
//! The tools write `program: error: text`, `program: warning: text`, `program: detail: text`; lines
//! without the prefix continue the message before them (the statement that failed, for example).

use std::collections::VecDeque;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use zeroize::Zeroizing;

/// Longest line kept, in bytes: a failing statement is quoted on lines of any length.
const LINE_BYTES_MAX: usize = 4096;

/// How many lines of error messages an error carries: the first failures name the cause, what
/// follows are mostly its consequences.
const ERROR_LINES_MAX: usize = 40;

/// How many lines of one error message are kept: message, detail, and the statement's beginning.
const LINES_PER_ERROR_MAX: usize = 8;

/// How many of the last lines an error carries when none of them says `error:`.
const LAST_LINES_MAX: usize = 40;

/// Reader and keeper of one child's messages.
pub(super) struct Messages {
    prefix: String,
    secrets: Vec<Zeroizing<String>>,
    level: Level,
    /// Lines of the message that is being read.
    message_lines: usize,
    errors: Vec<String>,
    error_lines_dropped: u64,
    last: VecDeque<String>,
    warning_count: u64,
}

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Debug,
    Warning,
    Error,
}

impl Messages {
    /// A reader for a program; `secrets` are scrubbed from every line.
    pub(super) fn new<'a>(program: &str, secrets: impl Iterator<Item = &'a String>) -> Self {
        Self {
            prefix: format!("{program}: "),
            secrets: secrets.filter(|s| !s.is_empty()).map(|s| Zeroizing::new(s.clone())).collect(),
            level: Level::Debug,
            message_lines: 0,
            errors: Vec::new(),
            error_lines_dropped: 0,
            last: VecDeque::new(),
            warning_count: 0,
        }
    }

    /// Reads a stream to its end. A read error ends it: the exit status says how the child fared.
    pub(super) async fn read(&mut self, stream: Option<impl AsyncRead + Unpin>) {
        let Some(stream) = stream else { return };
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while let Ok(available) = reader.fill_buf().await {
            if available.is_empty() {
                break;
            }
            let newline = available.iter().position(|&byte| byte == b'\n');
            let used = newline.map_or(available.len(), |at| at + 1);
            let text = &available[..newline.unwrap_or(used)];
            let room = LINE_BYTES_MAX.saturating_sub(line.len());
            line.extend_from_slice(&text[..text.len().min(room)]);
            reader.consume(used);
            if newline.is_some() {
                self.line(&line);
                line.clear();
            }
        }
        if !line.is_empty() {
            self.line(&line);
        }
    }

    /// How many warnings there were.
    pub(super) fn warning_count(&self) -> u64 {
        self.warning_count
    }

    /// The error messages in their order, or the last lines when there are none.
    pub(super) fn into_report(mut self) -> String {
        if self.errors.is_empty() {
            return Vec::from(self.last).join("\n");
        }
        if self.error_lines_dropped > 0 {
            self.errors.push(format!("({} more lines in the log)", self.error_lines_dropped));
        }
        self.errors.join("\n")
    }

    /// Takes one line.
    fn line(&mut self, bytes: &[u8]) {
        let line = self.scrub(String::from_utf8_lossy(bytes).trim_end().to_owned());
        let body = line.strip_prefix(&self.prefix);
        self.level = match body {
            Some(body) if body.starts_with("error: ") || body.starts_with("fatal: ") => {
                Level::Error
            }
            Some(body) if body.starts_with("warning: ") => Level::Warning,
            Some(body) if body.starts_with("detail: ") || body.starts_with("hint: ") => self.level,
            Some(_) => Level::Debug,
            None => self.level,
        };
        self.message_lines = if body.is_some() { 1 } else { self.message_lines + 1 };
        let text = body.unwrap_or(&line);
        let program = self.prefix.trim_end_matches(": ");
        match self.level {
            Level::Debug => tracing::debug!(program, "{text}"),
            Level::Warning => tracing::warn!(program, "{text}"),
            Level::Error => tracing::error!(program, "{text}"),
        }
        if self.level == Level::Warning && body.is_some_and(|b| b.starts_with("warning: ")) {
            self.warning_count += 1;
        }
        self.keep(line);
    }

    /// Keeps a line for the report, within the limits.
    fn keep(&mut self, line: String) {
        if self.level == Level::Error {
            if self.message_lines <= LINES_PER_ERROR_MAX && self.errors.len() < ERROR_LINES_MAX {
                self.errors.push(line.clone());
            } else {
                self.error_lines_dropped += 1;
            }
        }
        if self.last.len() == LAST_LINES_MAX {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// Replaces every secret in a line.
    fn scrub(&self, mut line: String) -> String {
        for secret in &self.secrets {
            if line.contains(secret.as_str()) {
                line = line.replace(secret.as_str(), "***");
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &str) -> Messages {
        let mut messages = Messages::new("pg_restore", std::iter::empty());
        messages.read(Some(text.as_bytes())).await;
        messages
    }

    #[tokio::test]
    async fn report_holds_the_errors_with_their_statements_and_not_the_progress() {
        let text = "pg_restore: creating TABLE \"public.a\"\n\
                    pg_restore: error: could not execute query: ERROR:  type \"x\" does not exist\n\
                    LINE 2:     a x\n\
                    Command was: CREATE TABLE public.a (\n\
                    pg_restore: creating TABLE \"public.b\"\n\
                    pg_restore: warning: errors ignored on restore: 1\n";
        let messages = read(text).await;
        assert_eq!(messages.warning_count(), 1);
        assert_eq!(
            messages.into_report(),
            "pg_restore: error: could not execute query: ERROR:  type \"x\" does not exist\n\
             LINE 2:     a x\n\
             Command was: CREATE TABLE public.a ("
        );
    }

    #[tokio::test]
    async fn without_an_error_line_the_last_lines_are_reported() {
        let text: String = (0..100).map(|number| format!("line {number}\n")).collect();
        let report = read(&text).await.into_report();
        assert_eq!(report.lines().next(), Some("line 60"));
        assert_eq!(report.lines().last(), Some("line 99"));
    }

    #[tokio::test]
    async fn endless_lines_and_endless_errors_stay_bounded() {
        let mut text = format!("pg_restore: error: {}\n", "x".repeat(1 << 20));
        for number in 0..10_000 {
            text.push_str(&format!("pg_restore: error: number {number}\n"));
        }
        let report = read(&text).await.into_report();
        assert!(report.len() < LINE_BYTES_MAX + ERROR_LINES_MAX * 64, "{}", report.len());
        assert!(report.ends_with("(9961 more lines in the log)"), "{report}");
    }
}
