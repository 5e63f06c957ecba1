//! The least that a relay costs: bytes read from one socket and written to another, unseen.
//!
//! The ends behave as PostgreSQL's backends do: the one writes, the other reads 8 kB at a time, over
//! loopback TCP. No program that moves the rows through its own sockets can use less processor time,
//! so this is what the own time of a copy is to be judged by.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use testbed::{Cluster, process};

/// What a backend writes and reads at once (`PQ_SEND_BUFFER_SIZE`, `PQ_RECV_BUFFER_SIZE`).
const BACKEND_BYTES: usize = 8192;

/// What the relay reads at once.
const RELAY_BYTES: usize = 256 * 1024;

/// Relays are run this often; the fastest counts.
const RUNS: u32 = 3;

/// Longest time the table may take to be read.
const READ_SECONDS_MAX: u64 = 600;

/// Processor time of the barest relay of as many bytes as `table` is in binary format, and that
/// number of bytes.
///
/// # Errors
/// When the table cannot be read or a socket fails.
pub(super) fn relay(cluster: &Cluster, database: &str, table: &str) -> Result<(Duration, u64)> {
    let bytes = bytes_of(cluster, database, table)?;
    let mut least = Duration::MAX;
    for _ in 0..RUNS {
        least = least.min(relay_once(bytes)?);
    }
    Ok((least, bytes))
}

/// Size of a table as COPY sends it in binary format, without the frames.
fn bytes_of(cluster: &Cluster, database: &str, table: &str) -> Result<u64> {
    let psql = cluster.installation().program("psql");
    let mut command = Command::new("bash");
    process::scrub(&mut command);
    command.args(["-o", "pipefail", "-c"]).arg(format!(
        "{} -XqAt -v ON_ERROR_STOP=1 -d '{}' -c 'copy {table} to stdout (format binary)' | wc -c",
        psql.display(),
        cluster.uri(database)
    ));
    let output = process::run(&mut command, None, Duration::from_secs(READ_SECONDS_MAX))?;
    let text = output.success()?.stdout;
    text.trim().parse().with_context(|| format!("expected a number of bytes, found {text:?}"))
}

/// Relays `bytes` bytes once; the processor time of the relay alone.
fn relay_once(bytes: u64) -> Result<Duration> {
    let (mut source_end, mut from_source) = connection()?;
    let (mut to_target, mut target_end) = connection()?;
    let source = thread::spawn(move || -> Result<()> {
        let block = [7_u8; BACKEND_BYTES];
        let mut left = bytes;
        while left > 0 {
            let count = left.min(BACKEND_BYTES as u64);
            source_end.write_all(&block[..usize::try_from(count)?])?;
            left -= count;
        }
        Ok(())
    });
    let target = thread::spawn(move || -> Result<u64> {
        let mut block = [0; BACKEND_BYTES];
        let mut sum = 0;
        loop {
            match target_end.read(&mut block)? {
                0 => return Ok(sum),
                count => sum += count as u64,
            }
        }
    });
    // A thread of its own, so that what it used is all its own.
    let relay = thread::spawn(move || -> Result<Duration> {
        let mut buffer = vec![0; RELAY_BYTES];
        loop {
            match from_source.read(&mut buffer)? {
                0 => return used_by_this_thread(),
                count => to_target.write_all(&buffer[..count])?,
            }
        }
    });
    let used = joined(relay)?;
    joined(source)?;
    let arrived = joined(target)?;
    ensure!(arrived == bytes, "{arrived} of {bytes} bytes arrived");
    Ok(used)
}

/// Two ends of a connection over loopback, without Nagle's delay.
fn connection() -> Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen on loopback")?;
    let near = TcpStream::connect(listener.local_addr()?).context("connect on loopback")?;
    let (far, _) = listener.accept().context("accept on loopback")?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    Ok((near, far))
}

/// What a thread gave back.
fn joined<T>(thread: thread::JoinHandle<Result<T>>) -> Result<T> {
    thread.join().map_err(|_| anyhow::anyhow!("a thread of the bare relay panicked"))?
}

/// Processor time that the calling thread has used.
///
/// Shape: `nanoseconds-running nanoseconds-waiting slices`. Source: Linux, sched-stats.
fn used_by_this_thread() -> Result<Duration> {
    let path = Path::new("/proc/thread-self/schedstat");
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let first = text.split_whitespace().next().unwrap_or_default();
    let nanoseconds =
        first.parse().with_context(|| format!("expected a number, found {text:?}"))?;
    Ok(Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_bare_relay_arrives_and_costs_time() {
        assert!(relay_once(3 * 1024 * 1024 + 5).unwrap() > Duration::ZERO);
    }
}
