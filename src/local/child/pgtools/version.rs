//! Versions of servers and tools, and when they were released.

use std::fmt;

/// A version of PostgreSQL as `server_version_num` counts it: 150020 is 15.20, 90624 is 9.6.24.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PgVersion(u32);

impl PgVersion {
    /// From `server_version_num`.
    pub fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// Reads the output of `pg_dump --version`: `pg_dump (PostgreSQL) 15.20 (Debian 15.20-0)`,
    /// `pg_restore (PostgreSQL) 19beta1`.
    pub fn parse_program_output(output: &str) -> Option<Self> {
        output
            .split_whitespace()
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
            .and_then(Self::parse)
    }

    /// Reads `15.20`, `9.6.24`, `19beta1`, `20devel`.
    pub fn parse(text: &str) -> Option<Self> {
        let numeric = text.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let mut parts = numeric.split('.').filter(|part| !part.is_empty());
        let mut next = || match parts.next() {
            Some(part) => part.parse::<u32>().ok().filter(|&number| number < 10_000),
            None => Some(0),
        };
        let (first, second) = (next()?, next()?);
        match first {
            0 => None,
            1..10 => Some(Self(first * 10_000 + second.min(99) * 100 + next()?.min(99))),
            _ => Some(Self(first * 10_000 + second)),
        }
    }

    /// Major version: 15, or 9 for everything before 10.
    pub fn major(self) -> u32 {
        self.0 / 10_000
    }

    /// Minor version, from 10 on.
    fn minor(self) -> u32 {
        self.0 % 10_000
    }

    /// Number of the quarterly release that this version came out with; releases of different
    /// majors with equal numbers have the same date and the same fixes. `None` for majors whose
    /// calendar we do not know.
    ///
    /// The project releases all supported majors together, out of turn too, so the distance between
    /// two majors' minors is constant: 18.4, 17.10, 16.14, 15.18 and 14.23 are one release.
    /// Source: <https://www.postgresql.org/docs/release/>.
    fn release(self) -> Option<u32> {
        // (major, how many minors it is ahead of version 18)
        const AHEAD_OF_18: [(u32, u32); 6] =
            [(13, 22), (14, 19), (15, 14), (16, 10), (17, 6), (18, 0)];
        // Counted from 13.0 so that the number is never negative.
        let (_, ahead) = AHEAD_OF_18.iter().find(|(major, _)| *major == self.major())?;
        Some((self.minor() + 22).saturating_sub(*ahead))
    }

    /// Whether this version came out on the same day as the other or later, as far as is known.
    ///
    /// Majors that we do not know are compared by their numbers: only a newer minor of the same
    /// major is surely newer.
    pub(super) fn is_released_with_or_after(self, other: Self) -> bool {
        if self.major() == other.major() {
            return self.minor() >= other.minor();
        }
        matches!((self.release(), other.release()), (Some(ours), Some(theirs)) if ours >= theirs)
    }
}

impl fmt::Display for PgVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.major() < 10 {
            write!(f, "{}.{}.{}", self.major(), self.0 / 100 % 100, self.0 % 100)
        } else {
            write!(f, "{}.{}", self.major(), self.minor())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_version_output_is_read() {
        for (output, number) in [
            ("pg_dump (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n", 150_020),
            ("pg_restore (PostgreSQL) 18.4\n", 180_004),
            ("pg_dump (PostgreSQL) 19beta1", 190_000),
            ("pg_dump (PostgreSQL) 20devel", 200_000),
            ("pg_dump (PostgreSQL) 9.6.24", 90_624),
            ("pg_dump (EnterpriseDB) 14.9.0", 140_009),
        ] {
            let version = PgVersion::parse_program_output(output);
            assert_eq!(version, Some(PgVersion::from_number(number)), "{output}");
        }
        for output in ["", "usage: pg_dump", "pg_dump (PostgreSQL) 0.1", "1.99999999999"] {
            assert_eq!(PgVersion::parse_program_output(output), None, "{output}");
        }
    }

    #[test]
    fn releases_of_one_day_are_equal_over_the_majors() {
        // May 2026 and, with a last release of 13, November 2025.
        let may_2026 = [180_004, 170_010, 160_014, 150_018, 140_023];
        let november_2025 = [180_001, 170_007, 160_011, 150_015, 140_020, 130_023];
        for day in [&may_2026[..], &november_2025] {
            for (a, b) in day.iter().flat_map(|a| day.iter().map(move |b| (*a, *b))) {
                let [a, b] = [a, b].map(PgVersion::from_number);
                assert!(a.is_released_with_or_after(b), "{a} {b}");
            }
        }
        let [old, new] = [180_004, 150_020].map(PgVersion::from_number);
        assert!(!old.is_released_with_or_after(new) && new.is_released_with_or_after(old));
    }

    #[test]
    fn unknown_majors_are_not_taken_for_newer() {
        let [unknown, known] = [190_003, 150_020].map(PgVersion::from_number);
        assert!(!unknown.is_released_with_or_after(known));
        assert!(!known.is_released_with_or_after(unknown));
        assert!(unknown.is_released_with_or_after(unknown));
    }
}
