//! The task that listens: drains events, samples counters, draws and logs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Receiver;

use super::Terminal;
use super::bars::{Bars, DRAWS_PER_SECOND};
use super::lines::Lines;
use super::progress::Progress;
use crate::base::event::Event;

/// Events taken out of the channel in one go.
const EVENTS_PER_TURN: usize = 256;

/// Pause between looks at the counters.
const TICK: Duration = Duration::from_millis(1000 / DRAWS_PER_SECOND as u64);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    /// A live display below the log lines: for a person at a terminal.
    Live,
    /// Log lines only.
    Lines,
}

/// Shows a run until every sender of events is gone.
///
/// Cancel safe: the display is taken off the terminal when the future is dropped.
pub async fn run(mut events: Receiver<Event>, display: Display, terminal: Arc<Terminal>) {
    let mut progress = Progress::default();
    let mut lines = Lines::new(display == Display::Lines, Instant::now());
    let mut bars = match display {
        Display::Live => Some(Bars::new(terminal)),
        Display::Lines => None,
    };
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut batch = Vec::with_capacity(EVENTS_PER_TURN);
    loop {
        tokio::select! {
            count = events.recv_many(&mut batch, EVENTS_PER_TURN) => {
                if count == 0 {
                    return;
                }
                for event in batch.drain(..) {
                    let now = Instant::now();
                    let ended = progress.take(&event, now);
                    lines.event(&event, ended.as_ref(), &progress, now);
                }
            }
            _ = ticks.tick() => {
                let now = Instant::now();
                progress.sample(now);
                lines.tick(&progress, now);
                if let Some(bars) = &mut bars {
                    bars.draw(&progress.snapshot(now));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::summary::Step;

    #[tokio::test]
    async fn reporter_ends_when_the_last_sender_is_gone() {
        let (sender, receiver) = tokio::sync::mpsc::channel(4);
        let reporter = run(receiver, Display::Lines, Arc::new(Terminal::stderr()));
        let work = async move {
            sender.send(Event::StepStarted(Step::Copy)).await.unwrap();
            sender.send(Event::StepFinished(Step::Copy, Duration::ZERO)).await.unwrap();
        };
        tokio::join!(reporter, work);
    }
}
