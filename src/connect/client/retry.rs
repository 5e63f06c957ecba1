//! Pauses between attempts at what is transient.

use std::time::Duration;

/// First pause.
const PAUSE_FIRST_MS: u64 = 50;

/// Longest pause: a server that restarts is back within seconds, and a person is waiting.
const PAUSE_MAX_MS: u64 = 2_000;

/// How long transient failures of one unit of work are tried again, in total.
///
/// A failover or a restart with crash recovery takes tens of seconds; after a minute of nothing but
/// failures somebody should look.
pub const RETRY_TOTAL: Duration = Duration::from_secs(60);

/// Decorrelated jitter: each pause is drawn between the first one and three times the last, capped.
///
/// Many workers that lost the same server do not come back at the same moment.
#[derive(Debug)]
pub struct Backoff {
    last_ms: u64,
    spent: Duration,
    total: Duration,
    state: u64,
}

/// How long the first connection is tried in all: a person is waiting for the prompt, and a mistyped
/// port should not take a minute to show.
const RETRY_FIRST: Duration = Duration::from_secs(5);

impl Backoff {
    /// Starts over; `seed` keeps workers apart.
    pub fn new(seed: u64) -> Self {
        Self {
            last_ms: PAUSE_FIRST_MS,
            spent: Duration::ZERO,
            total: RETRY_TOTAL,
            state: seed ^ 0x9e37_79b9_7f4a_7c15 | 1,
        }
    }

    /// For the first connection of a run: gives up after five seconds.
    pub fn brief() -> Self {
        Self { total: RETRY_FIRST, ..Self::new(0) }
    }

    /// For work that goes on for days: gives up after `total` of nothing but failures.
    pub fn lasting(seed: u64, total: Duration) -> Self {
        Self { total, ..Self::new(seed) }
    }

    /// The next pause, or `None` when the total ([`RETRY_TOTAL`] unless said otherwise) is used up.
    pub fn next_pause(&mut self) -> Option<Duration> {
        if self.spent >= self.total {
            return None;
        }
        // xorshift64*: no secrecy is needed, only that workers differ.
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let random = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        let ceiling = (self.last_ms * 3).clamp(PAUSE_FIRST_MS + 1, PAUSE_MAX_MS);
        self.last_ms = PAUSE_FIRST_MS + random % (ceiling - PAUSE_FIRST_MS + 1);
        let pause = Duration::from_millis(self.last_ms);
        self.spent += pause;
        Some(pause)
    }

    /// Forgets the failures so far: something succeeded.
    pub fn reset(&mut self) {
        self.last_ms = PAUSE_FIRST_MS;
        self.spent = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_in_bounds_and_end_after_the_total() {
        for seed in 0..50 {
            let mut backoff = Backoff::new(seed);
            let mut total = Duration::ZERO;
            while let Some(pause) = backoff.next_pause() {
                assert!(pause >= Duration::from_millis(PAUSE_FIRST_MS), "{seed}");
                assert!(pause <= Duration::from_millis(PAUSE_MAX_MS), "{seed}");
                total += pause;
            }
            assert!(total >= RETRY_TOTAL && total < RETRY_TOTAL + Duration::from_secs(2), "{seed}");
        }
    }

    #[test]
    fn two_seeds_do_not_pause_alike() {
        let pauses = |seed| {
            let mut backoff = Backoff::new(seed);
            std::iter::from_fn(|| backoff.next_pause()).take(8).collect::<Vec<_>>()
        };
        assert_ne!(pauses(1), pauses(2));
    }
}
