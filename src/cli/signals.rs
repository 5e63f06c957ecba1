//! Signals as levels of stopping.
//!
//! | signal | first | second | third |
//! |---|---|---|---|
//! | SIGINT, SIGTERM | graceful stop | fast stop | exit at once, code 12 |
//! | SIGQUIT | fast stop | exit at once | |
//! | SIGHUP | ignored, so that a lost terminal does not end a migration (trap X-12) | | |
//! | SIGPIPE | ignored (the Rust runtime does so), a closed pipe is a write error | | |

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::Exit;
use crate::base::error::{Error, Result};
use crate::base::event::{Event, EventSender};
use crate::base::stop::StopSignal;

/// How far a run was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// Not at all.
    None,
    /// Gracefully.
    Graceful,
    /// Fast.
    Fast,
    /// Without waiting for anything.
    Now,
}

impl Level {
    /// The level after one more SIGINT or SIGTERM.
    fn next(self) -> Self {
        match self {
            Self::None => Self::Graceful,
            Self::Graceful => Self::Fast,
            Self::Fast | Self::Now => Self::Now,
        }
    }

    /// The level after SIGQUIT.
    fn quit(self) -> Self {
        if self < Self::Fast { Self::Fast } else { Self::Now }
    }
}

/// The signals we react to, installed.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
    /// Read and thrown away: holding the stream is what keeps SIGHUP from ending the process.
    hangup: Signal,
}

impl Signals {
    /// Installs the handlers. Must be called inside a tokio runtime.
    pub fn install() -> Result<Self> {
        let install = |kind| {
            signal(kind).map_err(|error| {
                Error::internal(format!("could not install a signal handler: {error}"))
            })
        };
        Ok(Self {
            interrupt: install(SignalKind::interrupt())?,
            terminate: install(SignalKind::terminate())?,
            quit: install(SignalKind::quit())?,
            hangup: install(SignalKind::hangup())?,
        })
    }

    /// Raises `stop` as signals arrive; never returns. Cancel safe: a signal is either handled or
    /// still pending.
    pub async fn watch(mut self, stop: StopSignal, events: tokio::sync::mpsc::WeakSender<Event>) {
        let mut level = Level::None;
        loop {
            let (name, next) = tokio::select! {
                _ = self.interrupt.recv() => ("SIGINT", level.next()),
                _ = self.terminate.recv() => ("SIGTERM", level.next()),
                _ = self.quit.recv() => ("SIGQUIT", level.quit()),
                _ = self.hangup.recv() => {
                    tracing::info!(signal = "SIGHUP", "ignored a signal, the run goes on");
                    continue;
                }
            };
            level = next;
            raise(level, name, &stop, events.upgrade());
        }
    }
}

/// Acts on a level.
fn raise(level: Level, name: &str, stop: &StopSignal, events: Option<EventSender>) {
    let text = match level {
        Level::None => return,
        Level::Graceful => {
            stop.stop_gracefully();
            "stopping: no new work starts, running work ends in order; signal again to cancel it"
        }
        Level::Fast => {
            stop.stop_fast();
            "stopping fast: running statements are cancelled; signal again to exit at once"
        }
        Level::Now => {
            tracing::error!(signal = name, "exiting at once; run the same command to continue");
            exit_now();
        }
    };
    tracing::warn!(signal = name, "{text}");
    if let Some(events) = events {
        // A full channel only means that the display has more recent things to show.
        let _ = events.try_send(Event::Stopping(text));
    }
}

/// Ends the process without running anything else.
#[expect(clippy::exit, reason = "the third signal asks for exactly this; state is crash-safe")]
fn exit_now() -> ! {
    std::process::exit(i32::from(Exit::Failure.code()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // trap X-12
    #[test]
    fn three_signals_climb_three_levels() {
        let first = Level::None.next();
        assert_eq!(first, Level::Graceful);
        assert_eq!(first.next(), Level::Fast);
        assert_eq!(first.next().next(), Level::Now);
    }

    #[test]
    fn quit_skips_the_graceful_level() {
        assert_eq!(Level::None.quit(), Level::Fast);
        assert_eq!(Level::Graceful.quit(), Level::Fast);
        assert_eq!(Level::Fast.quit(), Level::Now);
    }

    // trap X-12
    #[tokio::test]
    async fn levels_raise_the_matching_tokens() {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(4);
        let stop = StopSignal::new();
        raise(Level::Graceful, "SIGINT", &stop, Some(sender.clone()));
        assert!(stop.is_stopping() && !stop.is_fast());
        assert!(matches!(receiver.recv().await, Some(Event::Stopping(_))));
        raise(Level::Fast, "SIGINT", &stop, Some(sender));
        assert!(stop.is_fast());
    }
}
