//! How much room there is.

use std::path::Path;
use std::time::{Duration, Instant};

/// Share of the file system that stays free when no limit is given: a tenth. A full disk stops more
/// than us.
const FREE_SHARE: u64 = 10;

/// Most that this share keeps back, in bytes: on a large disk a tenth is more than anybody needs to
/// notice and act.
const FREE_BYTES_MAX: u64 = 8 << 30;

/// Share below which nothing is written however urgent it is: a hundredth.
const FREE_SHARE_CRITICAL: u64 = 100;

/// Most that this one keeps back, in bytes.
const FREE_BYTES_CRITICAL_MAX: u64 = 512 << 20;

/// How often the file system is asked.
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// How much room there is for more changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// Enough.
    #[default]
    Free,
    /// At the limit: receive waits until applied changes are pruned.
    Full,
    /// The file system is nearly full.
    Critical,
}

/// Watches the limits.
#[derive(Debug)]
pub(super) struct Limits {
    bytes_max: Option<u64>,
    asked: Option<Instant>,
    seen: Room,
}

impl Limits {
    /// Limits the store to so many bytes; `None`: as long as a tenth of the disk is free.
    pub(super) fn new(bytes_max: Option<u64>) -> Self {
        Self { bytes_max, asked: None, seen: Room::Free }
    }

    /// How much room there is while the store holds `bytes`.
    pub(super) fn room(&mut self, dir: &Path, bytes: u64) -> Room {
        if self.asked.is_none_or(|asked| asked.elapsed() >= ASK_INTERVAL) {
            self.asked = Some(Instant::now());
            // A file system that does not say is taken as roomy: writing will tell.
            self.seen = rustix::fs::statvfs(dir).map_or(Room::Free, |stat| {
                let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
                // As `df` counts: what is reserved for the administrator is not there at all.
                let used = stat.f_blocks.saturating_sub(stat.f_bfree);
                share(bytes(stat.f_bavail), bytes(used.saturating_add(stat.f_bavail)))
            });
        }
        let own = match self.bytes_max {
            Some(max) if bytes >= max => Room::Full,
            _ => Room::Free,
        };
        match (self.bytes_max, self.seen) {
            (Some(_), Room::Full) => own,
            (_, seen) => seen.max(own),
        }
    }
}

/// What free and total bytes mean.
fn share(free: u64, total: u64) -> Room {
    if free < (total / FREE_SHARE_CRITICAL).min(FREE_BYTES_CRITICAL_MAX) {
        Room::Critical
    } else if free < (total / FREE_SHARE).min(FREE_BYTES_MAX) {
        Room::Full
    } else {
        Room::Free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_stays_free() {
        assert_eq!(share(100, 1000), Room::Free);
        assert_eq!(share(99, 1000), Room::Full);
        assert_eq!(share(10, 1000), Room::Full);
        assert_eq!(share(9, 1000), Room::Critical);
    }

    #[test]
    fn of_a_large_disk_no_more_than_eight_gigabytes_stay_free() {
        const GB: u64 = 1 << 30;
        assert_eq!(share(8 * GB, 10_000 * GB), Room::Free);
        assert_eq!(share(8 * GB - 1, 10_000 * GB), Room::Full);
        assert_eq!(share(GB / 2, 10_000 * GB), Room::Full);
        assert_eq!(share(GB / 2 - 1, 10_000 * GB), Room::Critical);
    }

    #[test]
    fn a_limit_in_bytes_replaces_the_tenth_but_not_the_last_hundredth() {
        let mut limits = Limits::new(Some(1000));
        let dir = Path::new("/");
        for (seen, bytes, room) in [
            (Room::Free, 999, Room::Free),
            (Room::Free, 1000, Room::Full),
            (Room::Full, 0, Room::Free),
            (Room::Critical, 0, Room::Critical),
        ] {
            limits.seen = seen;
            // A machine that stands still for a second would ask the disk in between.
            limits.asked = Some(Instant::now() + Duration::from_secs(3600));
            assert_eq!(limits.room(dir, bytes), room, "{seen:?} {bytes}");
        }
    }
}
