//! Columns whose values the target would take and quietly shorten.
//!
//! Most values that do not fit are refused by the server. These are not: `numeric` is rounded to the
//! column's scale, times to its digits, and some types lose a part when they are read as another one.
//! Source: <https://www.postgresql.org/docs/current/datatype-numeric.html>,
//! <https://www.postgresql.org/docs/current/datatype-datetime.html>.

use super::plan::TablePlan;
use super::target::TargetColumn;
use crate::follow::change::Column;

const NUMERIC: u32 = 1700;
const DATE: u32 = 1082;
const TIME: u32 = 1083;
const TIMESTAMP: u32 = 1114;
const TIMESTAMPTZ: u32 = 1184;
const INTERVAL: u32 = 1186;
const TIMETZ: u32 = 1266;
const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;

/// The columns of a plan that hold less on the target than on the source. None where the plugin does
/// not tell the types.
pub(super) fn narrowed(plan: &TablePlan) -> Vec<String> {
    let columns = plan.relation.columns.iter().enumerate();
    columns
        .filter(|(at, column)| plan.column(*at).is_some_and(|target| is_narrower(column, target)))
        .map(|(_, column)| column.name.clone())
        .collect()
}

/// Whether the target takes each value of the source and shortens some.
fn is_narrower(source: &Column, target: &TargetColumn) -> bool {
    let modifiers = (source.type_modifier, target.type_modifier);
    match (source.type_oid, target.type_oid) {
        (NUMERIC, NUMERIC) => scale(modifiers.1) < scale(modifiers.0),
        (TIME, TIME)
        | (TIMETZ, TIMETZ)
        | (TIMESTAMP, TIMESTAMP)
        | (TIMESTAMPTZ, TIMESTAMPTZ)
        | (INTERVAL, INTERVAL) => digits(modifiers.1) < digits(modifiers.0),
        (FLOAT8, FLOAT4)
        | (TIMESTAMPTZ, TIMESTAMP | DATE | TIME)
        | (TIMESTAMP, DATE | TIME)
        | (TIMETZ, TIME) => true,
        _ => false,
    }
}

/// Digits behind the point that a `numeric` column keeps; without a modifier all.
///
/// The modifier is `(precision << 16 | scale) + 4`, the scale in 11 bits with sign.
/// Source: make_numeric_typmod, src/backend/utils/adt/numeric.c.
fn scale(modifier: i32) -> i32 {
    match modifier {
        ..4 => i32::MAX,
        modifier => (((modifier - 4) & 0x7ff) ^ 1024) - 1024,
    }
}

/// Digits of a second that a column keeps; without a modifier all six. An interval has its fields in
/// the upper half.
fn digits(modifier: i32) -> i32 {
    match modifier & 0xffff {
        _ if modifier < 0 => 6,
        kept => kept.min(6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Modifiers as pg_attribute.atttypmod holds them.
    #[test]
    fn modifiers_say_how_many_digits_are_kept() {
        assert_eq!([scale(-1), scale((10 << 16 | 2) + 4), scale((5 << 16) + 4)], [i32::MAX, 2, 0]);
        // numeric(3, -2), from version 15 on.
        assert_eq!(scale((3 << 16 | 0x7fe) + 4), -2);
        assert_eq!(
            [digits(-1), digits(3), digits(0), digits(0x7fff_0003), digits(0x7fff_ffff)],
            [6, 3, 0, 3, 6]
        );
    }
}
