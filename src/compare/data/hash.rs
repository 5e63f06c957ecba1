//! SQL that turns a row into 64 bits, the same on every server. Pure.
//!
//! ```text
//! h0 = 0
//! h1 = hash(first column, seed h0)        integers by their bits, all else by its text
//! h2 = hash(second column, seed h1)       …
//! row = hN        table = count(*), sum(row) as numeric
//! ```
//!
//! The seed makes the hash depend on which column a value stands in, and on all values of the row: two
//! rows that swap a value have other hashes than before. The sum does not depend on the order of the
//! rows, and unlike an exclusive or it sees a row that is there twice.
//!
//! Text is what the type's output function prints under pinned settings, so it says what COPY would:
//! −0 and NaN, the scale of a number, blanks of json, trailing blanks of bpchar. NULL becomes the empty
//! text and every value of a nullable column gets a `.` behind it. Texts are hashed bytewise; between
//! databases of different encodings they are converted to UTF-8 first.
//!
//! The server's hash functions are stable in practice, not by promise (byte order alone changes them),
//! so both servers are asked for a sample first ([`PROBE`]); where it differs, and before version 11,
//! md5 does the same work slower.

use crate::base::ident::quote_identifier;
use crate::catalog::model::{Oid, ServerFacts};

/// First version with hash functions of 64 bits.
const VERSION_EXTENDED_HASH: u32 = 110_000;

/// More columns than this are hashed in groups: each one nests the expression one deeper.
const CHAIN_COLUMNS_MAX: usize = 100;

/// A sample of the server's hash functions as one text: all lengths around the block size of the
/// hash, all signs of integers.
pub(super) const PROBE: &str = "select pg_catalog.string_agg(pg_catalog.concat_ws(' ', \
     pg_catalog.hashtextextended(pg_catalog.repeat('aZ9.', n::pg_catalog.int4) collate pg_catalog.\"C\", n), \
     pg_catalog.hashint2extended((n - 32)::pg_catalog.int2, n), \
     pg_catalog.hashint4extended(((n - 32) * 65000000)::pg_catalog.int4, n), \
     pg_catalog.hashint8extended((n - 32) * 280000000000000000, n)), ',' order by n) \
     from pg_catalog.generate_series(0::pg_catalog.int8, 64) as n";

/// How rows are hashed, the same on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hashing {
    /// With the server's hash functions; with md5 otherwise.
    pub(super) fast: bool,
    /// Texts are converted to UTF-8.
    pub(super) convert: bool,
    /// Floating-point numbers are compared in binary form: their text is rounded.
    pub(super) binary_floats: bool,
}

impl Hashing {
    /// Whether a server has the functions that [`PROBE`] asks for.
    pub(super) fn can_be_fast(facts: &ServerFacts) -> bool {
        facts.version >= VERSION_EXTENDED_HASH
    }

    /// The hashing that fits two servers, `fast` being the outcome of [`PROBE`].
    pub(super) fn between(source: &ServerFacts, target: &ServerFacts, fast: bool) -> Self {
        let shortest = |facts: &ServerFacts| facts.version >= 120_000;
        Self {
            fast,
            convert: source.encoding != target.encoding,
            binary_floats: shortest(source) != shortest(target),
        }
    }

    /// The hash of a row's columns as an expression of type bigint.
    pub(super) fn row(self, columns: &[HashedColumn]) -> String {
        if columns.is_empty() {
            return "0::pg_catalog.int8".to_owned();
        }
        if !self.fast {
            return self.md5(&self.array(columns));
        }
        let mut hash = "0".to_owned();
        if columns.len() > CHAIN_COLUMNS_MAX {
            for group in columns.chunks(CHAIN_COLUMNS_MAX) {
                hash = self.text_step(&self.array(group), &hash);
            }
        } else {
            for column in columns {
                hash = self.step(column, &hash);
            }
        }
        hash
    }

    /// The hash of one more column.
    fn step(self, column: &HashedColumn, seed: &str) -> String {
        let name = quote_identifier(&column.name);
        match column.form {
            Form::Integer2 if !column.nullable => {
                format!("pg_catalog.hashint2extended({name}, {seed})")
            }
            Form::Integer4 if !column.nullable => {
                format!("pg_catalog.hashint4extended({name}, {seed})")
            }
            // The server folds both halves of an int8 into 32 bits; with the upper half beside them
            // nothing is lost.
            Form::Integer8 if !column.nullable => format!(
                "pg_catalog.hashint4extended(({name} >> 32)::pg_catalog.int4, \
                 pg_catalog.hashint8extended({name}, {seed}))"
            ),
            _ => self.text_step(&self.text(column), seed),
        }
    }

    /// The hash of one more text.
    fn text_step(self, text: &str, seed: &str) -> String {
        let text = match self.convert {
            true => {
                format!("pg_catalog.encode(pg_catalog.convert_to({text}, 'UTF8'), 'hex')")
            }
            false => format!("({text})"),
        };
        format!("pg_catalog.hashtextextended({text} collate pg_catalog.\"C\", {seed})")
    }

    /// 64 bits of a text's md5.
    fn md5(self, text: &str) -> String {
        let text = match self.convert {
            true => format!("pg_catalog.convert_to({text}, 'UTF8')"),
            false => text.to_owned(),
        };
        format!(
            "('x' || pg_catalog.left(pg_catalog.md5({text}), 16))::pg_catalog.bit(64)::pg_catalog.int8"
        )
    }

    /// Several columns as one text that can be taken apart again.
    fn array(self, columns: &[HashedColumn]) -> String {
        let texts: Vec<String> = columns.iter().map(|column| self.text(column)).collect();
        format!("array[{}]::pg_catalog.text", texts.join(", "))
    }

    /// A column as text, never NULL.
    fn text(self, column: &HashedColumn) -> String {
        let name = quote_identifier(&column.name);
        let text = match column.form {
            Form::Text => name,
            Form::Cast | Form::Integer2 | Form::Integer4 | Form::Integer8 => {
                format!("{name}::pg_catalog.text")
            }
            Form::Float4 if self.binary_floats => float(&name, "float4"),
            Form::Float8 if self.binary_floats => float(&name, "float8"),
            Form::Float4 | Form::Float8 => format!("{name}::pg_catalog.text"),
            Form::Output if column.nullable => {
                // IS NULL is also true of a composite whose fields are all NULL.
                return format!(
                    "case when {name} is distinct from null then pg_catalog.concat({name}, '.') \
                     else '' end"
                );
            }
            Form::Output => return format!("pg_catalog.concat({name})"),
        };
        if column.nullable { format!("coalesce({text} || '.', '')") } else { text }
    }
}

/// A floating-point column in binary form; every NaN is the same.
fn float(name: &str, type_name: &str) -> String {
    format!(
        "case when {name} = 'NaN' then 'NaN' \
         else pg_catalog.encode(pg_catalog.{type_name}send({name}), 'hex') end"
    )
}

/// A column to hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HashedColumn {
    /// Its name on both sides.
    pub(super) name: String,
    /// How its values become bits.
    pub(super) form: Form,
    /// NULL is possible on a side.
    pub(super) nullable: bool,
}

/// How the values of a column become bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// smallint on both sides.
    Integer2,
    /// integer on both sides.
    Integer4,
    /// bigint on both sides.
    Integer8,
    /// real on both sides.
    Float4,
    /// double precision on both sides.
    Float8,
    /// Is text.
    Text,
    /// A cast to text says all there is.
    Cast,
    /// What the output function prints.
    Output,
}

impl Form {
    /// The form of a column with these types (`pg_type.oid`).
    ///
    /// Casts are trusted for types of the server alone, and among them not for bpchar, whose cast
    /// drops blanks, nor for xml, whose stored text may name an encoding that its output does not.
    pub(super) fn of(source: Oid, target: Oid) -> Self {
        let one = |oid| match oid {
            21 => Self::Integer2,
            23 => Self::Integer4,
            20 => Self::Integer8,
            700 => Self::Float4,
            701 => Self::Float8,
            // text, varchar
            25 | 1043 => Self::Text,
            // bool, bytea, oid, json, date, time, timestamp, timestamptz, interval, timetz, numeric,
            // uuid, jsonb
            16 | 17 | 26 | 114 | 1082 | 1083 | 1114 | 1184 | 1186 | 1266 | 1700 | 2950 | 3802 => {
                Self::Cast
            }
            _ => Self::Output,
        };
        match (one(source), one(target)) {
            (source, target) if source == target => source,
            // boolean casts to true and prints t; different types are equal when both print the same.
            _ => Self::Output,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Hashing = Hashing { fast: true, convert: false, binary_floats: false };

    fn column(name: &str, form: Form, nullable: bool) -> HashedColumn {
        HashedColumn { name: name.into(), form, nullable }
    }

    #[test]
    fn each_column_is_hashed_with_the_hash_of_those_before_it_as_seed() {
        let columns = [column("a", Form::Integer4, false), column("b\"", Form::Text, false)];
        assert_eq!(
            FAST.row(&columns),
            "pg_catalog.hashtextextended((\"b\"\"\") collate pg_catalog.\"C\", \
             pg_catalog.hashint4extended(\"a\", 0))"
        );
    }

    #[test]
    fn nullable_columns_tell_null_from_the_empty_text() {
        for form in [Form::Integer2, Form::Integer4, Form::Integer8, Form::Text, Form::Cast] {
            let sql = FAST.row(&[column("a", form, true)]);
            assert!(sql.contains("coalesce(\"a\"") && sql.contains("|| '.', '')"), "{sql}");
        }
        let sql = FAST.row(&[column("a", Form::Output, true)]);
        assert!(sql.contains("is distinct from null"), "{sql}");
    }

    #[test]
    fn types_that_differ_are_compared_by_what_they_print() {
        assert_eq!(Form::of(20, 20), Form::Integer8);
        assert_eq!(Form::of(20, 23), Form::Output);
        assert_eq!(Form::of(16, 25), Form::Output);
        assert_eq!(Form::of(25, 1043), Form::Text);
        // bpchar, xml, a type of the user
        for oid in [1042, 142, 16_400] {
            assert_eq!(Form::of(oid, oid), Form::Output, "{oid}");
        }
    }

    #[test]
    fn different_encodings_are_hashed_as_utf8() {
        let hashing = Hashing { convert: true, ..FAST };
        let sql = hashing.row(&[column("a", Form::Text, false)]);
        assert!(sql.contains("convert_to(\"a\", 'UTF8')"), "{sql}");
        let slow = Hashing { fast: false, ..hashing };
        let sql = slow.row(&[column("a", Form::Text, false)]);
        assert!(sql.contains("md5(pg_catalog.convert_to(array[\"a\"]"), "{sql}");
    }

    #[test]
    fn floats_go_in_binary_form_where_their_text_would_be_rounded() {
        let facts =
            |version| ServerFacts { version, encoding: "UTF8".into(), ..ServerFacts::default() };
        let sql = |source, target| {
            let hashing = Hashing::between(&facts(source), &facts(target), true);
            hashing.row(&[column("a", Form::Float8, false)])
        };
        assert!(sql(110_000, 180_000).contains("float8send"));
        assert!(!sql(150_000, 180_000).contains("float8send"));
        assert!(!sql(100_000, 110_000).contains("float8send"));
    }

    #[test]
    fn very_wide_rows_do_not_nest_very_deep() {
        let columns: Vec<HashedColumn> =
            (0..1600).map(|n| column(&format!("c{n}"), Form::Integer4, false)).collect();
        let sql = FAST.row(&columns);
        assert_eq!(sql.matches("hashtextextended").count(), 16);
        assert!(sql.contains("\"c0\"") && sql.contains("\"c1599\""));
    }

    #[test]
    fn a_row_without_columns_has_a_hash() {
        assert_eq!(FAST.row(&[]), "0::pg_catalog.int8");
    }
}
