//! How a run is asked to stop: gracefully, then fast.

use tokio_util::sync::CancellationToken;

/// The two levels at which a run can be asked to stop. Clones share the same state.
///
/// ```text
/// signal   level      what the run does
/// 1st      graceful   hands out no more jobs; running ones finish or are rolled back, in order
/// 2nd      fast       cancels the statements on both servers and drops the connections
/// 3rd      –          the process ends at once (see `cli::signals`)
/// ```
///
/// Whoever waits on `graceful` alone is also woken by a fast stop: [`StopSignal::stop_fast`]
/// raises both, so the levels are ordered and nobody has to watch two tokens for one meaning.
#[derive(Debug, Clone, Default)]
pub struct StopSignal {
    /// Hand out no more jobs, end the running ones in order.
    pub graceful: CancellationToken,
    /// Cancel what runs and abort.
    pub fast: CancellationToken,
}

impl StopSignal {
    /// A signal that nobody has raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a graceful stop.
    pub fn stop_gracefully(&self) {
        self.graceful.cancel();
    }

    /// Asks for a fast stop, which includes the graceful level.
    pub fn stop_fast(&self) {
        self.graceful.cancel();
        self.fast.cancel();
    }

    /// Whether any level was raised.
    pub fn is_stopping(&self) -> bool {
        self.graceful.is_cancelled()
    }

    /// Whether the fast level was raised.
    pub fn is_fast(&self) -> bool {
        self.fast.is_cancelled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_stop_includes_the_graceful_one() {
        let stop = StopSignal::new();
        let worker = stop.clone();
        stop.stop_fast();
        assert!(worker.is_stopping() && worker.is_fast());
    }

    #[test]
    fn graceful_stop_is_not_fast() {
        let stop = StopSignal::new();
        stop.stop_gracefully();
        assert!(stop.is_stopping() && !stop.is_fast());
    }
}
