//! Progress in words: shared by the live display and the log lines.

use super::progress::{RunningLine, Snapshot};
use crate::base::event::{FollowStatus, JobClass};
use crate::base::units::{BitRate, ByteSize, Count, ShortDuration};

/// Widest bar of the overall line, in columns.
const BAR_COLUMNS: u64 = 24;

/// The overall line of the live display.
///
/// The time left covers the copy alone, and says so: nobody can tell beforehand how long an index
/// takes to build.
pub(super) fn overall(snapshot: &Snapshot) -> String {
    let mut words = Vec::new();
    if snapshot.disk_bytes_total > 0 {
        words.push(format!("copy {} {:>3} %", bar(snapshot), percent(snapshot)));
        words.push(volume(snapshot));
        // Once everything is copied the window only shows how long ago that was.
        if snapshot.disk_bytes_done < snapshot.disk_bytes_total {
            words.push(BitRate(snapshot.rate_bytes.saturating_mul(8)).to_string());
        }
    }
    words.push(format!("{} rows", Count(snapshot.rows)));
    words.push(format!("tables {}/{}", snapshot.tables_done, snapshot.tables_total));
    if snapshot.indexes_total > 0 {
        words.push(format!("indexes {}/{}", snapshot.indexes_done, snapshot.indexes_total));
    }
    if snapshot.constraints_total > 0 {
        let (done, total) = (snapshot.constraints_done, snapshot.constraints_total);
        words.push(format!("constraints {done}/{total}"));
    }
    if snapshot.failed > 0 {
        words.push(format!("{} failed", snapshot.failed));
    }
    if let Some(left) = time_left(snapshot) {
        words.push(format!("{left} of copying left"));
    }
    words.join("  ")
}

/// The lines of following: pace and lag, positions, what is kept on both sides, what is wrong.
pub(super) fn following(status: &FollowStatus) -> Vec<String> {
    let behind = match (status.lag_bytes, status.lag_s) {
        (0, _) => "nothing waits".to_owned(),
        (bytes, Some(seconds)) => format!("{seconds} s and {} behind", ByteSize(bytes)),
        (bytes, None) => format!("{} behind", ByteSize(bytes)),
    };
    let (transactions, rows) = (Count(status.transactions_s), Count(status.rows_s));
    let (received, durable, applied) = (status.received, status.durable, status.applied);
    let slot = status.slot.as_ref();
    let kept = ByteSize(status.backlog_bytes);
    let in_slot = slot.and_then(|slot| slot.retained_bytes).map(ByteSize);
    let in_slot = in_slot.map(|bytes| format!(", {bytes} by the slot")).unwrap_or_default();
    let mut lines = vec![
        format!("following  {transactions} transactions/s  {rows} rows/s  {behind}"),
        format!("  received {received}  durable {durable}  applied {applied}"),
        format!("  kept: {kept} here{in_slot}"),
    ];
    if let Some(endpos) = status.endpos {
        let left = ByteSize(status.applied.bytes_behind(endpos));
        lines.push(format!("  end position {endpos}, {left} to go"));
    }
    if status.waits_for_room {
        lines.push("  no room on the disk: receiving waits until changes are applied".to_owned());
    }
    lines.extend(slot.and_then(|slot| slot.danger.as_ref()).map(|danger| format!("  {danger}")));
    lines
}

/// The line of one running job.
pub(super) fn job(line: &RunningLine) -> String {
    let elapsed = ShortDuration(line.elapsed);
    let name = format!("  {:<10} {}", class(line.class), line.label);
    if line.bytes == 0 {
        return format!("{name}  {elapsed}");
    }
    let rate = BitRate(line.rate_bytes.saturating_mul(8));
    let bytes = ByteSize(line.bytes);
    match job_percent(line) {
        None => format!("{name}  {bytes}  {rate}  {elapsed}"),
        Some(percent) => {
            let estimate = ByteSize(line.estimated_bytes);
            format!("{name}  {percent:>3} %  {bytes} of about {estimate}  {rate}  {elapsed}")
        }
    }
}

/// Bytes done of bytes to do.
pub(super) fn volume(snapshot: &Snapshot) -> String {
    let done = ByteSize(snapshot.disk_bytes_done.min(snapshot.disk_bytes_total));
    format!("{done} of {}", ByteSize(snapshot.disk_bytes_total))
}

/// Share of the bytes done, in per cent; 100 only when everything is.
pub(super) fn percent(snapshot: &Snapshot) -> u64 {
    share(snapshot.disk_bytes_done, snapshot.disk_bytes_total, 100)
}

/// Time until the last row is copied, unless there is nothing left or nobody can tell.
pub(super) fn time_left(snapshot: &Snapshot) -> Option<String> {
    let left = snapshot.copy_time_left.filter(|left| !left.is_zero())?;
    Some(format!("about {}", ShortDuration(left).to_string().trim_start()))
}

/// The largest running jobs with their shares.
pub(super) fn running(snapshot: &Snapshot, jobs_max: usize) -> String {
    let mut words: Vec<String> = snapshot
        .running
        .iter()
        .take(jobs_max)
        .map(|line| match job_percent(line).filter(|_| line.bytes > 0) {
            Some(percent) => format!("{} {percent} %", line.label),
            None => format!("{} {}", class(line.class), line.label),
        })
        .collect();
    let more = snapshot.running.len().saturating_sub(jobs_max);
    if more > 0 {
        words.push(format!("{more} more"));
    }
    words.join(", ")
}

/// A kind of job in a word.
pub(super) fn class(class: JobClass) -> &'static str {
    match class {
        JobClass::Copy => "copy",
        JobClass::Index => "index",
        JobClass::Constraint => "constraint",
        JobClass::Vacuum => "vacuum",
        JobClass::LargeObjects => "large obj.",
        JobClass::Sequences => "sequences",
    }
}

/// Share of a job that is done, unless its size is unknown.
fn job_percent(line: &RunningLine) -> Option<u64> {
    // The estimate is of disk, the count of payload: a running job is never called complete.
    (line.estimated_bytes > 0).then(|| share(line.bytes, line.estimated_bytes, 100).min(99))
}

/// A bar such as `[=====>    ]`.
fn bar(snapshot: &Snapshot) -> String {
    let filled = share(snapshot.disk_bytes_done, snapshot.disk_bytes_total, BAR_COLUMNS);
    let cells = (0..BAR_COLUMNS).map(|cell| match cell {
        cell if cell < filled => '=',
        cell if cell == filled => '>',
        _ => ' ',
    });
    format!("[{}]", cells.collect::<String>())
}

/// `part` of `whole`, scaled, at most `scale`.
fn share(part: u64, whole: u64, scale: u64) -> u64 {
    if whole == 0 {
        return scale;
    }
    let scaled = u128::from(part.min(whole)) * u128::from(scale) / u128::from(whole);
    u64::try_from(scaled).unwrap_or(scale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn snapshot() -> Snapshot {
        Snapshot {
            step: None,
            is_planned: true,
            tables_done: 12,
            tables_total: 40,
            disk_bytes_done: 3 << 30,
            disk_bytes_total: 12 << 30,
            wire_bytes: 0,
            rows: 12_345,
            rate_bytes: 60_000_000,
            indexes_done: 7,
            indexes_total: 80,
            constraints_done: 0,
            constraints_total: 0,
            failed: 0,
            copy_time_left: Some(Duration::from_secs(192)),
            running: Vec::new(),
            stopping: None,
            following: None,
        }
    }

    #[test]
    fn following_says_pace_lag_positions_what_is_kept_and_what_is_wrong() {
        use crate::base::event::SlotStatus;
        use proto::lsn::Lsn;
        let mut status = FollowStatus {
            received: Lsn(0x20_0000),
            durable: Lsn(0x18_0000),
            applied: Lsn(0x10_0000),
            lag_bytes: 1 << 20,
            lag_s: Some(3),
            transactions_s: 2434,
            rows_s: 9738,
            backlog_bytes: 10 << 20,
            ..FollowStatus::default()
        };
        assert_eq!(
            following(&status),
            [
                "following  2 434 transactions/s  9 738 rows/s  3 s and 1024 kB behind",
                "  received 0/200000  durable 0/180000  applied 0/100000",
                "  kept: 10 MB here",
            ]
        );
        status.lag_bytes = 0;
        status.endpos = Some(Lsn(0x30_0000));
        status.waits_for_room = true;
        let danger = Some("the slot is nearly lost".to_owned());
        let retained_bytes = Some(20 << 20);
        status.slot = Some(SlotStatus { retained_bytes, danger, ..SlotStatus::default() });
        let text = following(&status).join("\n");
        for words in [
            "nothing waits",
            "10 MB here, 20 MB by the slot",
            "end position 0/300000, 2048 kB to go",
            "no room on the disk",
            "the slot is nearly lost",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }

    fn line(bytes: u64, estimated_bytes: u64) -> RunningLine {
        RunningLine {
            class: JobClass::Copy,
            label: "public.orders 3/8".into(),
            bytes,
            rows: 1,
            estimated_bytes,
            rate_bytes: 1_000_000,
            elapsed: Duration::from_secs(65),
        }
    }

    #[test]
    fn overall_line_says_what_the_time_left_covers() {
        assert_eq!(
            overall(&snapshot()),
            "copy [======>                 ]  25 %  3072 MB of 12 GB  480 MBit/s  12 345 rows  \
             tables 12/40  indexes 7/80  about 3m12s of copying left"
        );
    }

    #[test]
    fn finished_copies_show_no_time_left_and_100_per_cent() {
        let done = Snapshot {
            disk_bytes_done: 12 << 30,
            copy_time_left: Some(Duration::ZERO),
            ..snapshot()
        };
        let text = overall(&done);
        assert!(text.contains("100 %") && !text.contains("left"), "{text}");
        assert!(!text.contains("Bit/s"), "{text}");
        let nearly = Snapshot { disk_bytes_done: (12 << 30) - 1, ..done };
        assert_eq!(percent(&nearly), 99);
    }

    #[test]
    fn a_running_job_is_never_complete() {
        assert_eq!(
            job(&line(2 << 30, 1 << 30)),
            "  copy       public.orders 3/8   99 %  2048 MB of about 1024 MB  8000 kBit/s   1m05s"
        );
    }

    #[test]
    fn jobs_without_a_size_or_volume_show_their_time() {
        assert_eq!(job(&line(0, 7)), "  copy       public.orders 3/8   1m05s");
        assert_eq!(
            job(&line(20_480, 0)),
            "  copy       public.orders 3/8  20 kB  8000 kBit/s   1m05s"
        );
    }

    #[test]
    fn running_jobs_are_named_up_to_a_number() {
        let snapshot =
            Snapshot { running: vec![line(512, 1024), line(0, 0), line(1, 1)], ..snapshot() };
        assert_eq!(running(&snapshot, 2), "public.orders 3/8 50 %, copy public.orders 3/8, 1 more");
    }
}
