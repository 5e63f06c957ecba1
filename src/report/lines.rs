//! Progress as log lines: phase changes, large tables, and now and then where the run stands.

use std::time::{Duration, Instant};

use super::progress::{Ended, Progress};
use super::{step, words};
use crate::base::event::{Event, JobClass};
use crate::base::units::{BitRate, ByteSize, Count, ShortDuration};

/// Pause between lines that say where the run stands: often enough to see life, six an hour fewer
/// than a log collector would mind.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// A table counts as large from this share of all bytes on: at most a hundred can.
const LARGE_SHARE: u64 = 100;

/// A table counts as large from this many bytes on the source's disk on: about a second of work,
/// so that even a database of equal tables stays below a few lines per second.
const LARGE_BYTES_MIN: u64 = 100 << 20;

/// Lines about small tables that may come at once.
const BURST: u32 = 5;

/// Pause after which one more line about a small table may come.
const REFILL: Duration = Duration::from_secs(1);

/// Running jobs named in a progress line.
const RUNNING_NAMED_MAX: usize = 4;

/// Writes log lines about a run.
#[derive(Debug)]
pub(super) struct Lines {
    /// Whether to say regularly where the run stands; a live display does that better.
    with_progress: bool,
    next_progress: Instant,
    budget: Budget,
}

impl Lines {
    /// Lines from now on.
    pub(super) fn new(with_progress: bool, now: Instant) -> Self {
        Self { with_progress, next_progress: now + PROGRESS_EVERY, budget: Budget::new(now) }
    }

    /// Writes what an event is worth. `ended` is the job that it ended.
    pub(super) fn event(
        &mut self,
        event: &Event,
        ended: Option<&Ended>,
        progress: &Progress,
        now: Instant,
    ) {
        match event {
            Event::StepStarted(step) => {
                if let Some((number, what)) = step::text(*step).log {
                    tracing::info!("STEP {number}: {what}");
                }
            }
            Event::StepFinished(step, duration) => {
                if let Some((number, what)) = step::text(*step).log {
                    let elapsed = ShortDuration(*duration).to_string();
                    let elapsed = elapsed.trim_start();
                    tracing::info!(elapsed, "STEP {number}: done: {what}");
                }
            }
            Event::PlanReady(totals) => tracing::info!(
                tables = totals.tables,
                parts = totals.parts,
                bytes = %ByteSize(totals.bytes),
                indexes = totals.indexes,
                constraints = totals.constraints,
                tables_already_done = totals.tables_already_done,
                "the plan stands"
            ),
            Event::JobFinished { elapsed, .. } => {
                if let Some(ended) = ended {
                    self.finished(ended, *elapsed, progress, now);
                }
            }
            Event::JobFailed { message, .. } => {
                let job = ended.map(|ended| ended.label.to_string()).unwrap_or_default();
                // At ERROR it is said where it is handled: another pass may mend it.
                tracing::warn!(error = %message, job, "a job failed");
            }
            // Said by whoever asked to stop, or by the command.
            Event::Stopping(text) => tracing::debug!("stopping: {text}"),
            // Said in lines by whoever follows.
            Event::Following(_) => {}
            Event::JobStarted { class, label, estimated_bytes, .. } => {
                let class = words::class(*class);
                tracing::debug!(class, job = %label, estimated_bytes, "job started");
            }
        }
    }

    /// Says where the run stands when it is time to.
    pub(super) fn tick(&mut self, progress: &Progress, now: Instant) {
        if !self.with_progress || now < self.next_progress {
            return;
        }
        self.next_progress = now + PROGRESS_EVERY;
        let snapshot = progress.snapshot(now);
        if snapshot.running.is_empty() {
            return;
        }
        tracing::info!(
            tables = %format_args!("{}/{}", snapshot.tables_done, snapshot.tables_total),
            bytes = %words::volume(&snapshot),
            percent = words::percent(&snapshot),
            rows = %Count(snapshot.rows),
            rate = %BitRate(snapshot.rate_bytes.saturating_mul(8)),
            copy_time_left = words::time_left(&snapshot),
            indexes = %format_args!("{}/{}", snapshot.indexes_done, snapshot.indexes_total),
            constraints =
                %format_args!("{}/{}", snapshot.constraints_done, snapshot.constraints_total),
            running = words::running(&snapshot, RUNNING_NAMED_MAX),
            "progress"
        );
    }

    /// Says that a job ended well: at INFO when it is large or there is room, else at DEBUG.
    fn finished(&mut self, ended: &Ended, elapsed: Duration, progress: &Progress, now: Instant) {
        let class = words::class(ended.class);
        let elapsed_text = ShortDuration(elapsed).to_string();
        let elapsed_text = elapsed_text.trim_start();
        let large_bytes = LARGE_BYTES_MIN.max(progress.disk_bytes_total() / LARGE_SHARE);
        let is_large = ended.estimated_bytes >= large_bytes;
        let is_shown = ended.class == JobClass::Copy
            && !ended.label.starts_with("truncate ")
            && (is_large || self.budget.take(now));
        if is_shown {
            tracing::info!(
                rows = ended.rows,
                bytes = %ByteSize(ended.bytes),
                rate = %BitRate::of(ended.bytes, elapsed),
                elapsed = elapsed_text,
                "copied {}",
                ended.label
            );
        } else {
            let job = ended.label.as_ref();
            tracing::debug!(class, job, elapsed = elapsed_text, "job finished");
        }
    }
}

/// Room for lines: a bucket that refills slowly.
#[derive(Debug)]
struct Budget {
    left: u32,
    refilled: Instant,
}

impl Budget {
    /// A full bucket.
    fn new(now: Instant) -> Self {
        Self { left: BURST, refilled: now }
    }

    /// Takes room for one line, if there is any.
    fn take(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.refilled);
        let more = u32::try_from(elapsed.as_millis() / REFILL.as_millis()).unwrap_or(u32::MAX);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(BURST);
            self.refilled = now;
        }
        let has_room = self.left > 0;
        self.left = self.left.saturating_sub(1);
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event::JobId;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn a_hundred_thousand_tables_get_a_few_lines_per_second() {
        let begin = Instant::now();
        let mut budget = Budget::new(begin);
        let shown: u32 = (0..100_000_u64)
            .map(|table| u32::from(budget.take(begin + Duration::from_micros(table * 100))))
            .sum();
        // Ten seconds: the burst, then one per second.
        assert_eq!(shown, BURST + 9);
    }

    /// Counts events at INFO and above.
    #[derive(Default)]
    struct Counting(Arc<AtomicU32>);

    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Counting {
        fn on_event(
            &self,
            event: &tracing::Event<'_>,
            _context: tracing_subscriber::layer::Context<'_, S>,
        ) {
            if *event.metadata().level() <= tracing::Level::INFO {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    #[test]
    fn a_run_of_small_tables_stays_below_a_few_lines_per_second() {
        let count = Arc::new(AtomicU32::new(0));
        let subscriber = tracing_subscriber::registry().with(Counting(Arc::clone(&count)));
        tracing::subscriber::with_default(subscriber, || {
            let begin = Instant::now();
            let mut progress = Progress::default();
            let mut lines = Lines::new(true, begin);
            for table in 0..20_000_u32 {
                let now = begin + Duration::from_millis(u64::from(table));
                let id = JobId(table);
                let started = Event::JobStarted {
                    id,
                    class: JobClass::Copy,
                    label: format!("public.t{table}").into(),
                    estimated_bytes: 8192,
                    counters: Arc::default(),
                };
                lines.event(&started, progress.take(&started, now).as_ref(), &progress, now);
                lines.tick(&progress, now);
                let elapsed = Duration::from_millis(1);
                let finished =
                    Event::JobFinished { id, elapsed, rows: 1, indexes: 0, constraints: 0 };
                let ended = progress.take(&finished, now);
                lines.event(&finished, ended.as_ref(), &progress, now);
            }
        });
        // Twenty seconds: the burst, one table per second, one line of progress after ten.
        assert_eq!(count.load(Ordering::Relaxed), BURST + 19 + 1);
    }

    #[test]
    fn an_idle_budget_never_holds_more_than_the_burst() {
        let begin = Instant::now();
        let mut budget = Budget::new(begin);
        let later = begin + Duration::from_secs(3600);
        assert_eq!((0..50).filter(|_| budget.take(later)).count(), BURST as usize);
    }
}
