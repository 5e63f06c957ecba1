//! Quantities as people read and type them: sizes, rates, counts, durations, job counts, booleans.
//!
//! The text forms are part of the command line's contract (summary tables, JSON `*-pretty` keys).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Why a text is not the value it should be; displayed as `expected …, found "…"`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found \"{found}\"")]
pub struct ValueError {
    expected: &'static str,
    found: String,
}

impl ValueError {
    /// An error from what would have been right and what was there.
    pub fn new(expected: &'static str, found: impl Into<String>) -> Self {
        Self { expected, found: found.into() }
    }
}

/// An amount of bytes.
///
/// Text form: a truncated integer and a unit, the next unit only from 10240 of the smaller one on
/// (`10239 B`, `10 kB`, `9876 MB`). PostgreSQL's `pg_size_pretty` switches at the same values,
/// writes `bytes` for `B` and rounds half up where this truncates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

/// Units of sizes; each is 1024 of the one before.
const SIZE_UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = scale(self.0, 1024, 10240, &SIZE_UNITS);
        f.pad(&format!("{value} {unit}"))
    }
}

/// Reads digits and a unit of `B kB MB GB TB PB EB`, exact case, blanks around either allowed.
///
/// Without a unit the number is bytes. Anything else is an error: a size that cannot be read must
/// not silently become 0, which would turn splitting off.
impl FromStr for ByteSize {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        const EXPECTED: &str =
            "a size: digits and one of the units B, kB, MB, GB, TB, PB, EB, such as \"10 GB\"";
        let error = || ValueError::new(EXPECTED, text);
        let trimmed = text.trim_matches(' ');
        let digits_end =
            trimmed.find(|character: char| !character.is_ascii_digit()).unwrap_or(trimmed.len());
        let (digits, rest) = trimmed.split_at(digits_end);
        let number: u64 = digits.parse().map_err(|_| error())?;
        let unit = rest.trim_start_matches(' ');
        let power = match unit {
            "" => 0,
            unit => SIZE_UNITS.iter().position(|name| *name == unit).ok_or_else(error)?,
        };
        (0..power)
            .try_fold(number, |bytes, _| bytes.checked_mul(1024))
            .filter(|bytes| i64::try_from(*bytes).is_ok())
            .map(Self)
            .ok_or_else(|| {
                ValueError::new("a size below 8 EB, the largest that PostgreSQL can express", text)
            })
    }
}

/// A transfer rate in decimal bits per second (`9876 kBit/s`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BitRate(pub u64);

/// Units of rates; each is 1000 of the one before.
const RATE_UNITS: [&str; 7] = ["Bit/s", "kBit/s", "MBit/s", "GBit/s", "TBit/s", "PBit/s", "EBit/s"];

impl BitRate {
    /// The rate of `bytes` over `elapsed`; 0 when no time has passed.
    pub fn of(bytes: u64, elapsed: Duration) -> Self {
        Self(per_second(u128::from(bytes) * 8, elapsed))
    }
}

impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = scale(self.0, 1000, 10000, &RATE_UNITS);
        f.pad(&format!("{value} {unit}"))
    }
}

/// The rate of `amount` over `elapsed`, per second, saturating; 0 when no time has passed.
pub fn per_second(amount: u128, elapsed: Duration) -> u64 {
    match elapsed.as_micros() {
        0 => 0,
        micros => u64::try_from(amount.saturating_mul(1_000_000) / micros).unwrap_or(u64::MAX),
    }
}

/// A number of things: plain below 1000, `12 345` below a million, then `1234 million`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub u64);

/// Units of counts from a million on; each is 1000 of the one before.
const COUNT_UNITS: [&str; 5] = ["million", "billion", "trillion", "quadrillion", "quintillion"];

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            count @ ..1_000 => count.to_string(),
            count @ ..1_000_000 => format!("{} {:03}", count / 1000, count % 1000),
            count => {
                let (value, unit) = scale(count / 1_000_000, 1000, 10000, &COUNT_UNITS);
                format!("{value} {unit}")
            }
        };
        f.pad(&text)
    }
}

/// A duration in at most two units, the first padded to two digits (`345ms`, ` 4s321`, ` 7m05s`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShortDuration(pub Duration);

impl fmt::Display for ShortDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let millis = self.0.subsec_millis();
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
        let text = match seconds {
            0 => format!("{millis:3}ms"),
            1..10 => format!("{seconds:2}s{millis:03}"),
            10..60 => format!("{seconds:2}s"),
            60..3600 => format!("{minutes:2}m{:02}s", seconds % 60),
            3600..86400 => format!("{hours:2}h{:02}m", minutes % 60),
            _ => format!("{days:2}d{:02}h", hours % 24),
        };
        f.pad(&text)
    }
}

/// Workers of one kind: 1 to 128.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobCount(u32);

impl JobCount {
    /// Most workers of one kind; each holds a connection at both ends.
    pub const MAX: u32 = 128;

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for JobCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JobCount {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.trim().parse() {
            Ok(count @ 1..=Self::MAX) => Ok(Self(count)),
            _ => Err(ValueError::new("a number from 1 to 128", text)),
        }
    }
}

/// Reads a number of at least 1.
pub fn parse_positive(text: &str) -> Result<u32, ValueError> {
    match text.trim().parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err(ValueError::new("a number of at least 1", text)),
    }
}

/// Reads a boolean as PostgreSQL does: any unique prefix of `true false yes no on off`, `1`, `0`,
/// in either case, blanks around it allowed.
///
/// Source: `boolin` in <https://www.postgresql.org/docs/current/datatype-boolean.html>.
pub fn parse_boolean(text: &str) -> Result<bool, ValueError> {
    let word = text.trim().to_ascii_lowercase();
    let is_prefix =
        |full: &str, length_min: usize| word.len() >= length_min && full.starts_with(word.as_str());
    if is_prefix("true", 1) || is_prefix("yes", 1) || is_prefix("on", 2) || word == "1" {
        Ok(true)
    } else if is_prefix("false", 1) || is_prefix("no", 1) || is_prefix("off", 2) || word == "0" {
        Ok(false)
    } else {
        Err(ValueError::new("a boolean: on, off, true, false, yes, no, 1 or 0", text))
    }
}

/// Divides by `step` until the value is below `switch` or the units end; truncates.
fn scale<'a>(mut value: u64, step: u64, switch: u64, units: &[&'a str]) -> (u64, &'a str) {
    let mut chosen = units.first().copied().unwrap_or_default();
    for unit in units.iter().skip(1) {
        if value < switch {
            break;
        }
        value /= step;
        chosen = unit;
    }
    (value, chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(text: &str) -> Result<u64, ValueError> {
        text.parse().map(|ByteSize(bytes)| bytes)
    }

    /// Left: bytes; right: `select pg_size_pretty(bytes)` on PostgreSQL 15.20. All are whole
    /// numbers of the unit shown, where rounding and truncating agree.
    #[test]
    fn sizes_read_as_the_server_writes_them() {
        let server: [(u64, &str); 14] = [
            (0, "0 bytes"),
            (1, "1 bytes"),
            (1023, "1023 bytes"),
            (1024, "1024 bytes"),
            (10239, "10239 bytes"),
            (10240, "10 kB"),
            (1048576, "1024 kB"),
            (10484736, "10239 kB"),
            (10485760, "10 MB"),
            (10737418240, "10 GB"),
            (10995116277760, "10 TB"),
            (11258999068426240, "10 PB"),
            (1125899906842624, "1024 TB"),
            (9223372036854774784, "8192 PB"),
        ];
        for (bytes, text) in server.iter().take(13) {
            assert_eq!(ByteSize(*bytes).to_string(), text.replace("bytes", "B"), "{bytes}");
        }
        // The server rounds up here; ours truncates.
        assert_eq!(ByteSize(server[13].0).to_string(), "8191 PB");
    }

    #[test]
    fn sizes_truncate_instead_of_rounding() {
        assert_eq!(ByteSize(11_263).to_string(), "10 kB");
        assert_eq!(ByteSize(u64::MAX).to_string(), "15 EB");
    }

    /// Right: `select pg_size_bytes(text)` on PostgreSQL 15.20, which has no EB.
    #[test]
    fn sizes_are_read_with_the_servers_meaning() {
        let server: [(&str, u64); 9] = [
            ("0", 0),
            ("1", 1),
            ("123B", 123),
            ("10 kB", 10240),
            ("10kB", 10240),
            (" 16 MB ", 16777216),
            ("10GB", 10737418240),
            ("3 TB", 3298534883328),
            ("2PB", 2251799813685248),
        ];
        for (text, bytes) in server {
            assert_eq!(size(text), Ok(bytes), "{text:?}");
        }
        assert_eq!(size("7 EB"), Ok(7 << 60));
    }

    #[test]
    fn bad_sizes_are_errors_and_never_zero() {
        for text in [
            "",
            " ",
            "kB",
            "-1",
            "+1",
            "1.5 GB",
            "10 XB",
            "10 KB",
            "10 gb",
            "10 GB x",
            "10 G",
            "1 0",
            "8 EB",
            "99999999999999999999",
            "1e3",
            "１０",
        ] {
            assert!(size(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_size_printed_and_read_again_is_the_truncated_size() {
        for bytes in [0, 1, 999, 10240, 1 << 20, 123 << 30, 5 << 50] {
            let text = ByteSize(bytes).to_string();
            assert_eq!(ByteSize(size(&text).unwrap()).to_string(), text);
        }
    }

    #[test]
    fn rates_are_decimal_bits_and_switch_at_ten_thousand() {
        assert_eq!(BitRate::of(1, Duration::from_secs(1)).to_string(), "8 Bit/s");
        assert_eq!(BitRate(9999).to_string(), "9999 Bit/s");
        assert_eq!(BitRate(10000).to_string(), "10 kBit/s");
        assert_eq!(BitRate::of(125_000_000, Duration::from_secs(1)).to_string(), "1000 MBit/s");
        assert_eq!(BitRate::of(5, Duration::ZERO).to_string(), "0 Bit/s");
        assert_eq!(BitRate(u64::MAX).to_string(), "18 EBit/s");
    }

    #[test]
    fn counts_group_thousands_then_name_the_power() {
        let table = [
            (0, "0"),
            (999, "999"),
            (1000, "1 000"),
            (12_345, "12 345"),
            (999_999, "999 999"),
            (1_000_000, "1 million"),
            (9_999_999_999, "9999 million"),
            (10_000_000_000, "10 billion"),
            (u64::MAX, "18 quintillion"),
        ];
        for (count, text) in table {
            assert_eq!(Count(count).to_string(), text);
        }
    }

    #[test]
    fn durations_use_two_units_at_most() {
        let table = [
            (0, "  0ms"),
            (7, "  7ms"),
            (999, "999ms"),
            (1_000, " 1s000"),
            (4_321, " 4s321"),
            (9_999, " 9s999"),
            (10_000, "10s"),
            (42_999, "42s"),
            (60_000, " 1m00s"),
            (425_000, " 7m05s"),
            (3_599_000, "59m59s"),
            (3_600_000, " 1h00m"),
            (11_520_000, " 3h12m"),
            (86_400_000, " 1d00h"),
            (187_200_000, " 2d04h"),
        ];
        for (millis, text) in table {
            assert_eq!(ShortDuration(Duration::from_millis(millis)).to_string(), text);
        }
    }

    #[test]
    fn job_counts_are_one_to_128() {
        for (text, count) in [("1", 1), ("128", 128), (" 8 ", 8)] {
            assert_eq!(text.parse::<JobCount>().unwrap().get(), count);
        }
        for text in ["0", "129", "-1", "", "four", "1.0", "4294967297"] {
            assert!(text.parse::<JobCount>().is_err(), "{text:?}");
        }
    }

    /// Left: input; right: `select input::boolean` on PostgreSQL 15.20.
    #[test]
    fn booleans_are_read_as_the_server_reads_them() {
        for text in ["t", "TRUE", "tr", "y", "Yes", "on", "ON", "1", " true "] {
            assert_eq!(parse_boolean(text), Ok(true), "{text:?}");
        }
        for text in ["f", "False", "n", "NO", "of", "off", "0"] {
            assert_eq!(parse_boolean(text), Ok(false), "{text:?}");
        }
        for text in ["", " ", "o", "2", "truee", "yess", "enable", "10"] {
            assert!(parse_boolean(text).is_err(), "{text:?}");
        }
    }
}
