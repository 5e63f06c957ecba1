//! psql sessions that print the same text for the same value, whatever the servers' settings.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, ensure};

use super::client;
use crate::process;

/// Settings that decide how values are printed or which rows are visible.
///
/// `pg_catalog` alone on the search path makes the servers print all other names qualified.
const PINNED: &str = "\
set client_encoding = 'UTF8';
set search_path = pg_catalog;
set datestyle = 'ISO, YMD';
set intervalstyle = 'postgres';
set timezone = 'UTC';
set extra_float_digits = 3;
set bytea_output = 'hex';
set lc_monetary = 'C';
set lc_numeric = 'C';
set lc_time = 'C';
set xmloption = 'content';
set row_security = off;
set quote_all_identifiers = off;
set default_transaction_read_only = on;
set lock_timeout = '2min';
set statement_timeout = '30min';
set idle_in_transaction_session_timeout = 0;
begin transaction isolation level repeatable read;
";

/// Runs a script in one snapshot and hands each line of its output to `take`, without line end.
///
/// # Errors
/// psql's message; errors of `take`.
pub(super) fn lines(
    uri: &str,
    script: &str,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut child = psql(uri)?;
    let mut stdin = child.stdin.take().context("psql has no standard input")?;
    let mut stderr = child.stderr.take().context("psql has no standard error")?;
    let stdout = child.stdout.take().context("psql has no standard output")?;
    let script = format!("{PINNED}{script}\ncommit;\n");
    // Both threads end when psql does; its exit status and messages tell what went wrong.
    thread::spawn(move || std::io::Write::write_all(&mut stdin, script.as_bytes()).ok());
    let messages = thread::spawn(move || {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut stderr, &mut text).ok();
        text
    });
    let mut reader = BufReader::with_capacity(1 << 18, stdout);
    let mut line = Vec::new();
    let mut taken = Ok(());
    while reader.read_until(b'\n', &mut line).context("read from psql")? > 0 {
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        taken = take(&line);
        if taken.is_err() {
            child.kill().ok();
            break;
        }
        line.clear();
    }
    drop(reader);
    let status = child.wait().context("wait for psql")?;
    taken?;
    let messages = messages.join().unwrap_or_default();
    ensure!(status.success(), "psql {status}: {}", messages.trim_end());
    Ok(())
}

/// Runs a script in one snapshot and returns the lines of its output.
///
/// # Errors
/// psql's message.
pub(super) fn all_lines(uri: &str, script: &str) -> Result<Vec<String>> {
    let mut all = Vec::new();
    lines(uri, script, |line| {
        all.push(String::from_utf8_lossy(line).into_owned());
        Ok(())
    })?;
    Ok(all)
}

/// The server's version number, 150020 for 15.20.
///
/// # Errors
/// psql's message.
pub(super) fn version_num(uri: &str) -> Result<u32> {
    let found = all_lines(uri, "show server_version_num;")?;
    let text = found.first().map(String::as_str).unwrap_or_default();
    text.parse().with_context(|| format!("expected a version number, found {text:?}"))
}

/// Starts psql with pipes to all its ends.
fn psql(uri: &str) -> Result<std::process::Child> {
    let mut command = Command::new(client()?.program("psql"));
    process::scrub(&mut command);
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "--file", "-", "--dbname", uri]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().context("start psql")
}
