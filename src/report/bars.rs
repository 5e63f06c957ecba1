//! The live display on a terminal: one overall line, one line per running job.

use std::sync::Arc;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::progress::Snapshot;
use super::{Terminal, step, words};
use crate::base::units::ShortDuration;

/// Redraws per second: smooth to the eye, nothing for the processor.
pub(super) const DRAWS_PER_SECOND: u8 = 10;

/// Running jobs shown; more than fit a small terminal would scroll.
const JOB_LINES_MAX: usize = 16;

/// The display; taken off the terminal when dropped.
#[derive(Debug)]
pub(super) struct Bars {
    terminal: Arc<Terminal>,
    display: MultiProgress,
    lines: Vec<ProgressBar>,
}

impl Bars {
    /// Puts an empty display on the terminal.
    pub(super) fn new(terminal: Arc<Terminal>) -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
        let display = MultiProgress::with_draw_target(target);
        terminal.attach(display.clone());
        Self { terminal, display, lines: Vec::new() }
    }

    /// Draws a moment.
    pub(super) fn draw(&mut self, snapshot: &Snapshot) {
        let texts = lines(snapshot);
        while self.lines.len() > texts.len() {
            if let Some(line) = self.lines.pop() {
                line.finish_and_clear();
                self.display.remove(&line);
            }
        }
        while self.lines.len() < texts.len() {
            let line = ProgressBar::new_spinner().with_style(style());
            self.lines.push(self.display.add(line));
        }
        for (line, text) in self.lines.iter().zip(texts) {
            line.set_message(text);
            line.tick();
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        for line in self.lines.drain(..) {
            line.finish_and_clear();
        }
        // Nothing can be done about a terminal that went away.
        let _ = self.display.clear();
        self.terminal.detach();
    }
}

/// A line that is only text, cut at the terminal's width.
fn style() -> ProgressStyle {
    ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// The lines of a moment: what is going on, the totals, the largest running jobs.
fn lines(snapshot: &Snapshot) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(text) = snapshot.stopping {
        lines.push(format!("stopping: {text}"));
    }
    if let Some(status) = &snapshot.following {
        lines.extend(words::following(status));
        return lines;
    }
    if let Some(step) = snapshot.step.filter(|_| snapshot.running.is_empty()) {
        lines.extend(step::text(step).log.map(|(_, what)| what.to_owned()));
    }
    if snapshot.is_planned {
        lines.push(words::overall(snapshot));
    }
    let all = &snapshot.running;
    lines.extend(all.iter().take(JOB_LINES_MAX).map(words::job));
    if let Some(hidden) = all.get(JOB_LINES_MAX..).filter(|hidden| !hidden.is_empty()) {
        let longest = hidden.iter().map(|line| line.elapsed).max().unwrap_or_default();
        let longest = ShortDuration(longest).to_string();
        let longest = longest.trim_start();
        lines.push(format!("  and {} more, the longest for {longest}", hidden.len()));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event::JobClass;
    use crate::base::summary::Step;
    use crate::report::progress::{Progress, RunningLine};
    use std::time::{Duration, Instant};

    #[test]
    fn the_step_is_shown_until_there_are_jobs() {
        let mut snapshot = Progress::default().snapshot(Instant::now());
        assert!(lines(&snapshot).is_empty());
        snapshot.step = Some(Step::DumpSchema);
        assert_eq!(lines(&snapshot), ["dump the schema with pg_dump"]);
        snapshot.is_planned = true;
        assert_eq!(lines(&snapshot).len(), 2);
    }

    #[test]
    fn many_jobs_are_summed_up_in_the_last_line() {
        let mut snapshot = Progress::default().snapshot(Instant::now());
        snapshot.running = (0..20)
            .map(|index| RunningLine {
                class: JobClass::Index,
                label: format!("public.i{index}").into(),
                bytes: 0,
                rows: 0,
                estimated_bytes: 0,
                rate_bytes: 0,
                elapsed: Duration::from_secs(index),
            })
            .collect();
        snapshot.stopping = Some("rolling back");
        snapshot.is_planned = true;
        let lines = lines(&snapshot);
        assert_eq!(lines.len(), 1 + 1 + JOB_LINES_MAX + 1);
        assert_eq!(lines[0], "stopping: rolling back");
        assert_eq!(lines[18], "  and 4 more, the longest for 19s");
    }
}
