//! PostgreSQL timestamps as they travel in binary form.

use std::fmt;
use std::str::FromStr;

/// Microseconds from the Unix epoch to PostgreSQL's (2000-01-01 00:00 UTC): 10 957 days.
const EPOCH_UNIX_MICROS: i64 = 946_684_800_000_000;

/// Microseconds of one day.
const DAY_MICROS: i64 = 86_400_000_000;

/// A moment: microseconds since 2000-01-01 00:00 UTC, negative before.
///
/// Nothing here asks for the present time; the caller converts its clock with
/// [`PgTimestamp::from_unix_micros`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PgTimestamp(pub i64);

impl PgTimestamp {
    /// `infinity`: later than every moment.
    pub const INFINITY: Self = Self(i64::MAX);

    /// `-infinity`: earlier than every moment.
    pub const NEGATIVE_INFINITY: Self = Self(i64::MIN);

    /// The moment so many microseconds after the Unix epoch; `None` when out of range.
    #[must_use]
    pub const fn from_unix_micros(micros: i64) -> Option<Self> {
        match micros.checked_sub(EPOCH_UNIX_MICROS) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// Microseconds since the Unix epoch; `None` for the infinities and when out of range.
    #[must_use]
    pub const fn unix_micros(self) -> Option<i64> {
        if self.is_finite() { self.0.checked_add(EPOCH_UNIX_MICROS) } else { None }
    }

    /// Whether this is a moment and not one of the two infinities.
    #[must_use]
    pub const fn is_finite(self) -> bool {
        self.0 != i64::MAX && self.0 != i64::MIN
    }

    /// Microseconds from `earlier` to here, negative when it is later; `None` on overflow.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> Option<i64> {
        self.0.checked_sub(earlier.0)
    }
}

impl fmt::Display for PgTimestamp {
    /// ISO 8601 in UTC, `2026-01-31 12:00:00.000001+00`, as `timestamptz` prints it with
    /// `DateStyle` ISO and six digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::INFINITY => return f.write_str("infinity"),
            Self::NEGATIVE_INFINITY => return f.write_str("-infinity"),
            Self(_) => {}
        }
        let (year, month, day) = civil_from_days(self.0.div_euclid(DAY_MICROS));
        let micros = self.0.rem_euclid(DAY_MICROS);
        let seconds = micros.div_euclid(1_000_000);
        let (year, suffix) =
            if year > 0 { (year, "") } else { (1_i64.saturating_sub(year), " BC") };
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}.{:06}+00{suffix}",
            seconds.div_euclid(3600),
            seconds.div_euclid(60).rem_euclid(60),
            seconds.rem_euclid(60),
            micros.rem_euclid(1_000_000),
        )
    }
}

/// Year, month and day of the proleptic Gregorian calendar for a day counted from 2000-01-01.
///
/// The count is moved to 0000-03-01, so that the leap day ends the year, then taken apart into
/// eras of 400 years (146 097 days), years and months.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the day count is an i64 of microseconds divided by a day: below 1.1e8 in magnitude"
)]
const fn civil_from_days(days_since_2000: i64) -> (i64, i64, i64) {
    // 730 425 days lie between 0000-03-01 and 2000-01-01.
    let days = days_since_2000 + 730_425;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months counted from March; 153 days are five months.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

impl FromStr for PgTimestamp {
    type Err = ParseTimestampError;

    /// Reads what `timestamptz` prints with `DateStyle` ISO: `2026-01-31 12:00:00.5+05:30`, the
    /// fraction and everything behind the hours of the zone optional, ` BC` behind it.
    fn from_str(text: &str) -> Result<Self, ParseTimestampError> {
        match text {
            "infinity" => return Ok(Self::INFINITY),
            "-infinity" => return Ok(Self::NEGATIVE_INFINITY),
            _ => {}
        }
        parse_iso(text).map(Self).ok_or(ParseTimestampError)
    }
}

/// Microseconds since the epoch of the text form; `None` when it is none.
fn parse_iso(text: &str) -> Option<i64> {
    let (text, is_bc) = match text.strip_suffix(" BC") {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let (date, time) = text.split_once(' ')?;
    let mut parts = date.split('-').map(number);
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if is_bc { 1_i64.checked_sub(year)? } else { year };
    let sign = time.find(['+', '-'])?;
    let (clock, zone) = time.split_at_checked(sign)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let micros = number(format!("{fraction:0<6}").get(..6)?)?;
    let seconds = seconds(clock)?.checked_sub(match zone.strip_prefix('-') {
        Some(west) => seconds(west)?.checked_neg()?,
        None => seconds(zone.strip_prefix('+')?)?,
    })?;
    let days = days_from_civil(year, month, day)?;
    days.checked_mul(DAY_MICROS)?.checked_add(seconds.checked_mul(1_000_000)?)?.checked_add(micros)
}

/// Seconds of `hours[:minutes[:seconds]]`.
fn seconds(text: &str) -> Option<i64> {
    let mut parts = text.split(':').map(number);
    let hours = parts.next()??;
    let minutes = parts.next().unwrap_or(Some(0))?;
    let seconds = parts.next().unwrap_or(Some(0))?;
    if parts.next().is_some() || hours > 24 || minutes > 59 || seconds > 60 {
        return None;
    }
    hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?.checked_add(seconds)
}

/// A number of 1 to 9 digits and nothing else.
fn number(text: &str) -> Option<i64> {
    let valid = (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if valid { text.parse().ok() } else { None }
}

/// The day, counted from 2000-01-01: the inverse of [`civil_from_days`].
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    // Years begin in March here, so that the leap day ends them.
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let month_from_march = month.checked_add(9)?.rem_euclid(12);
    let day_of_year = 153_i64.checked_mul(month_from_march)?.checked_add(2)?.div_euclid(5);
    let leap_days =
        year.div_euclid(4).checked_sub(year.div_euclid(100))?.checked_add(year.div_euclid(400))?;
    365_i64
        .checked_mul(year)?
        .checked_add(leap_days)?
        .checked_add(day_of_year)?
        .checked_add(day)?
        .checked_sub(730_426)
}

/// The text is not a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseTimestampError;

impl fmt::Display for ParseTimestampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a timestamp of the form YYYY-MM-DD HH:MM:SS+ZZ")
    }
}

impl std::error::Error for ParseTimestampError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn epoch_is_10957_days_after_the_unix_epoch() {
        assert_eq!(PgTimestamp(0).unix_micros(), Some(10_957 * 86_400 * 1_000_000));
        assert_eq!(PgTimestamp::from_unix_micros(EPOCH_UNIX_MICROS), Some(PgTimestamp(0)));
        assert_eq!(PgTimestamp::from_unix_micros(i64::MIN), None);
        assert_eq!(PgTimestamp::INFINITY.unix_micros(), None);
    }

    // Expected values from PostgreSQL 15:
    // select extract(epoch from t - '2000-01-01 00:00+00')::numeric * 1000000 from (values …) v(t)
    #[test]
    fn display_is_what_the_server_prints() {
        for (micros, text) in [
            (0, "2000-01-01 00:00:00.000000+00"),
            (-1, "1999-12-31 23:59:59.999999+00"),
            (5_097_600_000_000, "2000-02-29 00:00:00.000000+00"),
            (820_540_800_000_001, "2026-01-01 00:00:00.000001+00"),
            (i64::MAX, "infinity"),
            (i64::MIN, "-infinity"),
        ] {
            assert_eq!(PgTimestamp(micros).to_string(), text);
        }
        assert_eq!(
            PgTimestamp(-211_813_488_000_000_000).to_string(),
            "4714-11-24 00:00:00.000000+00 BC"
        );
    }

    #[test]
    fn text_in_any_zone_is_the_same_moment() {
        for text in [
            "2026-01-01 00:00:00.000001+00",
            "2026-01-01 05:30:00.000001+05:30",
            "2025-12-31 20:29:45.000001-03:30:15",
            "2026-01-01 14:00:00.0000010+14",
        ] {
            assert_eq!(text.parse(), Ok(PgTimestamp(820_540_800_000_001)), "{text}");
        }
        assert_eq!("2000-01-01 00:00:00+00".parse(), Ok(PgTimestamp(0)));
        assert_eq!("2000-01-01 00:00:00.5+00".parse(), Ok(PgTimestamp(500_000)));
        assert_eq!("infinity".parse(), Ok(PgTimestamp::INFINITY));
    }

    #[test]
    fn text_that_is_no_timestamp_is_refused() {
        for text in [
            "",
            "2026-01-01",
            "2026-01-01 00:00:00",
            "2026-13-01 00:00:00+00",
            "2026-01-32 00:00:00+00",
            "2026-01-01-01 00:00:00+00",
            "2026-01-01 00:60:00+00",
            "2026-01-01 00:00:00+",
            "2026-01-01 00:00:00 CET",
            "2026-01-01 00:00:00.+00x",
            "x-01-01 00:00:00+00",
            "2026-01-01 00:00:00.é+00",
        ] {
            assert_eq!(text.parse::<PgTimestamp>(), Err(ParseTimestampError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(micros in -211_813_488_000_000_000_i64..9_223_371_331_200_000_000) {
            let moment = PgTimestamp(micros);
            prop_assert_eq!(moment.to_string().parse(), Ok(moment));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = text.parse::<PgTimestamp>();
        }
    }
}
