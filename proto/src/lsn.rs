//! Log sequence numbers.

use std::fmt;
use std::str::FromStr;

/// A position in the write-ahead log, in bytes from its beginning.
///
/// *Text*: two hexadecimal halves of 1 to 8 digits, `16/B374D848`, as type `pg_lsn` has them.
/// Zero is no position at all (`InvalidXLogRecPtr`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The value that stands for "no position": `0/0`.
    pub const INVALID: Self = Self(0);

    /// The largest position, `FFFFFFFF/FFFFFFFF`.
    pub const MAX: Self = Self(u64::MAX);

    /// Whether this is a position, that is, not `0/0`.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.0 != 0
    }

    /// The position `bytes` later; `None` beyond the end of the log.
    #[must_use]
    pub const fn checked_add(self, bytes: u64) -> Option<Self> {
        match self.0.checked_add(bytes) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The position `bytes` earlier; `None` before the beginning of the log.
    #[must_use]
    pub const fn checked_sub(self, bytes: u64) -> Option<Self> {
        match self.0.checked_sub(bytes) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// Bytes from `earlier` to here; `None` when `earlier` is later.
    #[must_use]
    pub const fn bytes_since(self, earlier: Self) -> Option<u64> {
        self.0.checked_sub(earlier.0)
    }

    /// Bytes from here to `target`, zero when it is reached: the lag.
    #[must_use]
    pub const fn bytes_behind(self, target: Self) -> u64 {
        target.0.saturating_sub(self.0)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

impl FromStr for Lsn {
    type Err = ParseLsnError;

    fn from_str(text: &str) -> Result<Self, ParseLsnError> {
        let (high, low) = text.split_once('/').ok_or(ParseLsnError)?;
        Ok(Self(half(high)? << 32 | half(low)?))
    }
}

/// One half of the text form: 1 to 8 hexadecimal digits and nothing else (no sign, no blank).
fn half(text: &str) -> Result<u64, ParseLsnError> {
    let valid = (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !valid {
        return Err(ParseLsnError);
    }
    u64::from_str_radix(text, 16).map_err(|_| ParseLsnError)
}

/// The text is not a log sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseLsnError;

impl fmt::Display for ParseLsnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected an LSN of the form X/X with 1 to 8 hexadecimal digits in each half")
    }
}

impl std::error::Error for ParseLsnError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // Values from the documentation of type pg_lsn.
    #[test]
    fn text_form_is_two_hexadecimal_halves() {
        assert_eq!("16/B374D848".parse(), Ok(Lsn(0x16_B374_D848)));
        assert_eq!(Lsn(0x16_B374_D848).to_string(), "16/B374D848");
        assert_eq!(Lsn(0x1_0000_0000).to_string(), "1/0");
        assert_eq!("ffffffff/FFFFFFFF".parse(), Ok(Lsn::MAX));
        assert_eq!("00000000/0000000A".parse(), Ok(Lsn(10)));
    }

    #[test]
    fn text_that_pg_lsn_refuses_is_refused() {
        for text in [
            "",
            "/",
            "0",
            "0/",
            "/0",
            "G/0",
            "0/ABCDEFGHI",
            "-1/0",
            "+1/0",
            " 0/0",
            "0/0 ",
            "123456789/0",
            "0/123456789",
            "0/0/0",
            "0x1/0",
            "1/é",
        ] {
            assert_eq!(text.parse::<Lsn>(), Err(ParseLsnError), "{text:?}");
        }
    }

    #[test]
    fn arithmetic_stops_at_both_ends() {
        assert_eq!(Lsn(1).checked_add(2), Some(Lsn(3)));
        assert_eq!(Lsn::MAX.checked_add(1), None);
        assert_eq!(Lsn(1).checked_sub(2), None);
        assert_eq!(Lsn(9).bytes_since(Lsn(4)), Some(5));
        assert_eq!(Lsn(4).bytes_since(Lsn(9)), None);
        assert_eq!(Lsn(4).bytes_behind(Lsn(9)), 5);
        assert_eq!(Lsn(9).bytes_behind(Lsn(4)), 0);
    }

    proptest! {
        #[test]
        fn text_round_trips(value: u64) {
            prop_assert_eq!(Lsn(value).to_string().parse(), Ok(Lsn(value)));
        }

        #[test]
        fn order_of_values_is_order_of_positions(a: u64, b: u64) {
            prop_assert_eq!(Lsn(a).cmp(&Lsn(b)), a.cmp(&b));
        }
    }
}
