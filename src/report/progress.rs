//! How far a run is: built from events, sampled from counters, pure (time arrives as an argument).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::counters::JobCounters;
use crate::base::event::{Event, FollowStatus, JobClass, JobId, PlanTotals};
use crate::base::summary::Step;
use crate::base::units::per_second;

/// Span over which the current rate is measured: long enough to smooth a checkpoint, short enough
/// to show a stall.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// Shortest time of copying after which the time left is estimated.
const ESTIMATE_AFTER: Duration = Duration::from_secs(3);

/// Fewest finished bytes after which their ratio of wire to disk is believed.
const RATIO_BYTES_MIN: u64 = 1 << 20;

/// Everything known about a run so far.
#[derive(Debug, Default)]
pub(super) struct Progress {
    totals: PlanTotals,
    is_planned: bool,
    steps: Vec<Step>,
    running: BTreeMap<JobId, RunningJob>,
    parts_left: HashMap<String, u32>,
    done: Done,
    copy_started: Option<Instant>,
    samples: VecDeque<(Instant, u64)>,
    stopping: Option<&'static str>,
    following: Option<Arc<FollowStatus>>,
}

/// What is finished, without what is running.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Done {
    tables: u64,
    indexes: u64,
    constraints: u64,
    failed: u64,
    /// Estimated bytes on the source's disk of the finished COPY jobs.
    disk_bytes: u64,
    /// COPY payload of the finished jobs.
    wire_bytes: u64,
    rows: u64,
}

/// A job that runs.
#[derive(Debug, Clone)]
pub(super) struct RunningJob {
    /// Its kind.
    pub(super) class: JobClass,
    /// What to call it.
    pub(super) label: Arc<str>,
    /// Estimated bytes, 0 when unknown.
    pub(super) estimated_bytes: u64,
    /// When it began.
    pub(super) started: Instant,
    counters: Arc<JobCounters>,
}

/// A job that has just ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    /// Its kind.
    pub(super) class: JobClass,
    /// What to call it.
    pub(super) label: Arc<str>,
    /// Estimated bytes, 0 when unknown.
    pub(super) estimated_bytes: u64,
    /// Payload bytes moved.
    pub(super) bytes: u64,
    /// Rows moved.
    pub(super) rows: u64,
}

/// Progress at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// The step that began last, of those that run.
    pub(super) step: Option<Step>,
    /// Whether the plan stands, and the totals with it.
    pub(super) is_planned: bool,
    /// Tables done, those of earlier runs included.
    pub(super) tables_done: u64,
    /// Tables to do.
    pub(super) tables_total: u64,
    /// Estimated share of the source's bytes that is done, in bytes, earlier runs included.
    pub(super) disk_bytes_done: u64,
    /// Bytes on the source's disk.
    pub(super) disk_bytes_total: u64,
    /// Payload bytes moved in this run.
    pub(super) wire_bytes: u64,
    /// Rows moved in this run.
    pub(super) rows: u64,
    /// Payload bytes per second, lately.
    pub(super) rate_bytes: u64,
    /// Indexes built in this run.
    pub(super) indexes_done: u64,
    /// Indexes to build.
    pub(super) indexes_total: u64,
    /// Constraints added in this run.
    pub(super) constraints_done: u64,
    /// Constraints to add.
    pub(super) constraints_total: u64,
    /// Jobs that failed.
    pub(super) failed: u64,
    /// Time until the last row is copied; `None` while it cannot be told. Indexes that are built
    /// after that are not covered.
    pub(super) copy_time_left: Option<Duration>,
    /// The running jobs, largest first.
    pub(super) running: Vec<RunningLine>,
    /// What is happening because somebody asked to stop.
    pub(super) stopping: Option<&'static str>,
    /// How far following is, once it is all that goes on.
    pub(super) following: Option<Arc<FollowStatus>>,
}

/// One running job at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RunningLine {
    /// Its kind.
    pub(super) class: JobClass,
    /// What to call it.
    pub(super) label: Arc<str>,
    /// Payload bytes so far.
    pub(super) bytes: u64,
    /// Rows so far.
    pub(super) rows: u64,
    /// Estimated bytes on the source's disk, 0 when unknown.
    pub(super) estimated_bytes: u64,
    /// Payload bytes per second since it began.
    pub(super) rate_bytes: u64,
    /// How long it has run.
    pub(super) elapsed: Duration,
}

impl Progress {
    /// Takes an event; returns the job when the event ended one.
    pub(super) fn take(&mut self, event: &Event, now: Instant) -> Option<Ended> {
        match event {
            Event::StepStarted(step) => self.steps.push(*step),
            Event::StepFinished(step, _) => self.finish_step(*step),
            Event::PlanReady(totals) => {
                self.done.tables = totals.tables_already_done;
                self.totals = totals.clone();
                self.is_planned = true;
            }
            Event::JobStarted { id, class, label, estimated_bytes, counters } => {
                if *class == JobClass::Copy {
                    self.copy_started.get_or_insert(now);
                }
                let job = RunningJob {
                    class: *class,
                    label: Arc::clone(label),
                    estimated_bytes: *estimated_bytes,
                    started: now,
                    counters: Arc::clone(counters),
                };
                self.running.insert(*id, job);
            }
            Event::JobFinished { id, rows, indexes, constraints, .. } => {
                self.done.indexes += indexes;
                self.done.constraints += constraints;
                let ended = Ended { rows: *rows, ..self.end(*id)? };
                self.count(&ended);
                return Some(ended);
            }
            Event::JobFailed { id, .. } => {
                self.done.failed += 1;
                return self.end(*id);
            }
            Event::Stopping(text) => self.stopping = Some(text),
            Event::Following(status) => self.following = Some(Arc::clone(status)),
        }
        None
    }

    /// Remembers the volume at this moment, for the rate. To be called at every tick.
    pub(super) fn sample(&mut self, now: Instant) {
        self.samples.push_back((now, self.wire_bytes()));
        // One sample older than the window stays, so that the window is always covered.
        while self.samples.get(1).is_some_and(|(time, _)| now - *time >= RATE_WINDOW) {
            self.samples.pop_front();
        }
    }

    /// Progress at this moment.
    pub(super) fn snapshot(&self, now: Instant) -> Snapshot {
        let disk_bytes_done = self.disk_bytes_done();
        Snapshot {
            step: self.steps.last().copied(),
            is_planned: self.is_planned,
            tables_done: self.done.tables,
            tables_total: self.totals.tables,
            disk_bytes_done,
            disk_bytes_total: self.totals.bytes,
            wire_bytes: self.wire_bytes(),
            rows: self.done.rows + self.copying().map(|job| job.counters.rows()).sum::<u64>(),
            rate_bytes: self.rate(now),
            indexes_done: self.done.indexes,
            indexes_total: self.totals.indexes,
            constraints_done: self.done.constraints,
            constraints_total: self.totals.constraints,
            failed: self.done.failed,
            copy_time_left: self.copy_time_left(disk_bytes_done, now),
            running: self.running_lines(now),
            stopping: self.stopping,
            following: self.following.clone(),
        }
    }

    /// Bytes on the source's disk, all tables together.
    pub(super) fn disk_bytes_total(&self) -> u64 {
        self.totals.bytes
    }

    /// Ends a step. Once all data is there every table is, those included of which an earlier run
    /// had copied some parts: their last part cannot be told from its label.
    fn finish_step(&mut self, step: Step) {
        self.steps.retain(|running| *running != step);
        if matches!(step, Step::Copy | Step::Data) && self.done.failed == 0 {
            self.done.tables = self.totals.tables;
        }
    }

    /// Removes a job.
    fn end(&mut self, id: JobId) -> Option<Ended> {
        let job = self.running.remove(&id)?;
        Some(Ended {
            class: job.class,
            label: job.label,
            estimated_bytes: job.estimated_bytes,
            bytes: job.counters.bytes(),
            rows: job.counters.rows(),
        })
    }

    /// Counts the rows of a job that ended well.
    fn count(&mut self, ended: &Ended) {
        if ended.class == JobClass::Copy {
            self.done.disk_bytes += ended.estimated_bytes;
            self.done.wire_bytes += ended.bytes;
            self.done.rows += ended.rows;
            self.done.tables += u64::from(self.is_last_part(&ended.label));
        }
    }

    /// Whether this label completes a table: parts are labelled `name index/count`, and the job that
    /// empties a table before its parts are copied `truncate name`.
    fn is_last_part(&mut self, label: &str) -> bool {
        if label.starts_with("truncate ") {
            return false;
        }
        let Some((table, count)) = split_label(label) else { return true };
        let left = self.parts_left.entry(table.to_owned()).or_insert(count);
        *left = left.saturating_sub(1);
        let is_last = *left == 0;
        if is_last {
            self.parts_left.remove(table);
        }
        is_last
    }

    /// Running COPY jobs.
    fn copying(&self) -> impl Iterator<Item = &RunningJob> {
        self.running.values().filter(|job| job.class == JobClass::Copy)
    }

    /// Payload bytes of this run.
    fn wire_bytes(&self) -> u64 {
        self.done.wire_bytes + self.copying().map(|job| job.counters.bytes()).sum::<u64>()
    }

    /// Estimated bytes on the source's disk that are done. A running job counts by its payload,
    /// scaled by what finished jobs showed about the ratio of payload to disk, at most its estimate.
    fn disk_bytes_done(&self) -> u64 {
        let running: u64 = self
            .copying()
            .map(|job| self.wire_to_disk(job.counters.bytes()).min(job.estimated_bytes))
            .sum();
        self.totals.bytes_already_done + self.done.disk_bytes + running
    }

    /// Converts payload bytes to bytes on disk.
    fn wire_to_disk(&self, bytes: u64) -> u64 {
        let Done { disk_bytes, wire_bytes, .. } = self.done;
        if wire_bytes < RATIO_BYTES_MIN || disk_bytes < RATIO_BYTES_MIN {
            return bytes;
        }
        let scaled = u128::from(bytes) * u128::from(disk_bytes) / u128::from(wire_bytes);
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }

    /// Payload bytes per second over the window.
    fn rate(&self, now: Instant) -> u64 {
        match self.samples.front() {
            None => 0,
            // A job that is tried again takes its bytes back: the difference may be negative.
            Some((time, bytes)) => {
                let moved = self.wire_bytes().saturating_sub(*bytes);
                per_second(u128::from(moved), now - *time)
            }
        }
    }

    /// Time until the last byte is copied at the average pace of this run.
    fn copy_time_left(&self, disk_bytes_done: u64, now: Instant) -> Option<Duration> {
        let elapsed = now - self.copy_started?;
        let done = disk_bytes_done.saturating_sub(self.totals.bytes_already_done);
        let left = self.totals.bytes.saturating_sub(disk_bytes_done);
        if left == 0 {
            return Some(Duration::ZERO);
        }
        if done == 0 || elapsed < ESTIMATE_AFTER {
            return None;
        }
        let millis = elapsed.as_millis() * u128::from(left) / u128::from(done);
        Some(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
    }

    /// The running jobs, largest first, then by name.
    fn running_lines(&self, now: Instant) -> Vec<RunningLine> {
        let mut lines: Vec<RunningLine> = self
            .running
            .values()
            .map(|job| {
                let (bytes, elapsed) = (job.counters.bytes(), now - job.started);
                RunningLine {
                    class: job.class,
                    label: Arc::clone(&job.label),
                    bytes,
                    rows: job.counters.rows(),
                    estimated_bytes: job.estimated_bytes,
                    rate_bytes: per_second(u128::from(bytes), elapsed),
                    elapsed,
                }
            })
            .collect();
        lines.sort_by(|a, b| {
            b.estimated_bytes.cmp(&a.estimated_bytes).then_with(|| a.label.cmp(&b.label))
        });
        lines
    }
}

/// Table and number of parts out of a label such as `public.orders 3/8`.
fn split_label(label: &str) -> Option<(&str, u32)> {
    let (table, part) = label.rsplit_once(' ')?;
    let (index, count) = part.split_once('/')?;
    let (index, count): (u32, u32) = (index.parse().ok()?, count.parse().ok()?);
    (1..=count).contains(&index).then_some((table, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    fn start(id: u32, class: JobClass, label: &str, bytes: u64) -> (Event, Arc<JobCounters>) {
        let counters = Arc::new(JobCounters::default());
        let event = Event::JobStarted {
            id: JobId(id),
            class,
            label: label.into(),
            estimated_bytes: bytes,
            counters: Arc::clone(&counters),
        };
        (event, counters)
    }

    fn finish(id: u32) -> Event {
        finish_with(id, 0, 0)
    }

    fn finish_with(id: u32, indexes: u64, constraints: u64) -> Event {
        let elapsed = Duration::from_secs(1);
        Event::JobFinished { id: JobId(id), elapsed, rows: 10, indexes, constraints }
    }

    fn with_totals(tables: u64, bytes: u64) -> Progress {
        let mut progress = Progress::default();
        let totals = PlanTotals { tables, bytes, ..PlanTotals::default() };
        progress.take(&Event::PlanReady(totals), Instant::now());
        progress
    }

    #[test]
    fn a_table_is_done_when_its_last_part_is() {
        let now = Instant::now();
        let mut progress = with_totals(2, 30 * MB);
        for (id, label) in [(1, "public.a 1/2"), (2, "public.a 2/2"), (3, "public.b")] {
            progress.take(&start(id, JobClass::Copy, label, 10 * MB).0, now);
        }
        progress.take(&finish(2), now);
        assert_eq!(progress.snapshot(now).tables_done, 0);
        assert_eq!(progress.snapshot(now).rows, 10);
        progress.take(&finish(3), now);
        assert_eq!(progress.snapshot(now).tables_done, 1);
        progress.take(&finish(1), now);
        assert_eq!(progress.snapshot(now).tables_done, 2);
    }

    #[test]
    fn emptying_a_table_does_not_complete_it_and_a_finished_copy_completes_all() {
        let now = Instant::now();
        let mut progress = with_totals(1, MB);
        progress.take(&start(1, JobClass::Copy, "truncate public.a", 0).0, now);
        progress.take(&finish(1), now);
        // Part 1 was copied by an earlier run.
        progress.take(&start(2, JobClass::Copy, "public.a 2/2", MB).0, now);
        progress.take(&finish(2), now);
        assert_eq!(progress.snapshot(now).tables_done, 0);
        progress.take(&Event::StepFinished(Step::Data, Duration::ZERO), now);
        assert_eq!(progress.snapshot(now).tables_done, 1);
    }

    #[test]
    fn time_left_is_proportional_to_the_bytes_left() {
        let begin = Instant::now();
        let mut progress = with_totals(2, 100 * MB);
        let (event, counters) = start(1, JobClass::Copy, "public.a", 100 * MB);
        progress.take(&event, begin);
        counters.add(25 * MB, 1);
        let snapshot = progress.snapshot(begin + Duration::from_secs(10));
        assert_eq!(snapshot.disk_bytes_done, 25 * MB);
        assert_eq!(snapshot.copy_time_left, Some(Duration::from_secs(30)));
    }

    #[test]
    fn time_left_leaves_out_what_an_earlier_run_did() {
        let begin = Instant::now();
        let mut progress = Progress::default();
        let totals = PlanTotals {
            tables: 2,
            bytes: 100 * MB,
            bytes_already_done: 80 * MB,
            tables_already_done: 1,
            ..PlanTotals::default()
        };
        progress.take(&Event::PlanReady(totals), begin);
        let (event, counters) = start(1, JobClass::Copy, "public.a", 20 * MB);
        progress.take(&event, begin);
        counters.add(10 * MB, 1);
        let snapshot = progress.snapshot(begin + Duration::from_secs(10));
        assert_eq!(snapshot.disk_bytes_done, 90 * MB);
        assert_eq!(snapshot.copy_time_left, Some(Duration::from_secs(10)));
        assert_eq!(snapshot.tables_done, 1);
    }

    #[test]
    fn time_left_is_unknown_at_the_start() {
        let begin = Instant::now();
        let mut progress = with_totals(1, MB);
        assert_eq!(progress.snapshot(begin).copy_time_left, None);
        progress.take(&start(1, JobClass::Copy, "public.a", MB).0, begin);
        assert_eq!(progress.snapshot(begin + Duration::from_secs(60)).copy_time_left, None);
    }

    #[test]
    fn payload_is_scaled_to_disk_by_what_finished_jobs_showed() {
        let now = Instant::now();
        let mut progress = with_totals(2, 40 * MB);
        let (event, counters) = start(1, JobClass::Copy, "public.a", 20 * MB);
        progress.take(&event, now);
        counters.add(10 * MB, 1);
        progress.take(&finish(1), now);
        let (event, counters) = start(2, JobClass::Copy, "public.b", 20 * MB);
        progress.take(&event, now);
        counters.add(5 * MB, 1);
        assert_eq!(progress.snapshot(now).disk_bytes_done, 30 * MB);
        counters.add(500 * MB, 1);
        assert_eq!(progress.snapshot(now).disk_bytes_done, 40 * MB);
    }

    #[test]
    fn rate_covers_the_window_and_survives_a_retried_job() {
        let begin = Instant::now();
        let mut progress = with_totals(1, 1000 * MB);
        let (event, counters) = start(1, JobClass::Copy, "public.a", 1000 * MB);
        progress.take(&event, begin);
        for second in 0..=20_u64 {
            progress.sample(begin + Duration::from_secs(second));
            counters.add(if second < 10 { MB } else { 3 * MB }, 1);
        }
        let now = begin + Duration::from_secs(20);
        assert_eq!(progress.snapshot(now).rate_bytes, 33 * MB / 10);
        counters.reset();
        assert_eq!(progress.snapshot(now).rate_bytes, 0);
    }

    #[test]
    fn indexes_constraints_and_failures_are_counted_apart() {
        let now = Instant::now();
        let mut progress = with_totals(0, 0);
        progress.take(&start(1, JobClass::Index, "i", 0).0, now);
        progress.take(&start(2, JobClass::Constraint, "c", 0).0, now);
        progress.take(&start(3, JobClass::Index, "j", 0).0, now);
        assert_eq!(progress.snapshot(now).running.len(), 3);
        progress.take(&finish_with(1, 1, 0), now);
        progress.take(&finish_with(2, 0, 1), now);
        let failed = Event::JobFailed { id: JobId(3), message: "x".into() };
        assert!(progress.take(&failed, now).is_some());
        let snapshot = progress.snapshot(now);
        let counted = (snapshot.indexes_done, snapshot.constraints_done, snapshot.failed);
        assert_eq!((counted, snapshot.running.len()), ((1, 1, 1), 0));
    }

    #[test]
    fn only_a_part_suffix_is_cut_from_a_label() {
        assert_eq!(split_label("public.a 3/8"), Some(("public.a", 8)));
        assert_eq!(split_label("public.\"x 3/8\""), None);
        for label in ["public.a", "public.a 9/8", "public.a 0/8", "public.a 1", "public.a a/b"] {
            assert_eq!(split_label(label), None, "{label}");
        }
    }
}
