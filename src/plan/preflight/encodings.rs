//! Findings about the encodings of both databases, and their own collations.
//!
//! What rows travel in is decided by `job::copy`; here the question is whether their characters have a
//! place on the target. Between alphabets that share nothing but ASCII they have none, and what
//! SQL_ASCII holds nobody knows: such a pair is refused before any work, not at its first row.

use super::Facts;
use super::servers::database;
use crate::base::error::Side;
use crate::base::ident::{quote_identifier, quote_literal};
use crate::base::preflight::{Concern, Topic};
use crate::base::summary::Severity::{Error, Notice, Warning};
use crate::catalog::model::ServerFacts;

/// What the letters of an encoding are, beyond ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    /// All of them.
    Every,
    /// Latin letters, of whatever part of the world.
    Latin,
    /// Cyrillic letters.
    Cyrillic,
    /// Greek letters.
    Greek,
    /// Hebrew letters.
    Hebrew,
    /// Arabic letters.
    Arabic,
    /// Thai letters.
    Thai,
    /// Japanese characters.
    Japanese,
    /// Simplified Chinese characters.
    Chinese,
    /// Traditional Chinese characters.
    Taiwanese,
    /// Korean characters.
    Korean,
}

/// The script of a server encoding; `None` where the encoding says nothing about it.
///
/// Source: <https://www.postgresql.org/docs/current/multibyte.html#CHARSET-TABLE>.
fn script(encoding: &str) -> Option<Script> {
    Some(match encoding {
        "UTF8" => Script::Every,
        "LATIN1" | "LATIN2" | "LATIN3" | "LATIN4" | "LATIN5" | "LATIN6" | "LATIN7" | "LATIN8"
        | "LATIN9" | "LATIN10" | "WIN1250" | "WIN1252" | "WIN1254" | "WIN1257" | "WIN1258" => {
            Script::Latin
        }
        "KOI8R" | "KOI8U" | "WIN866" | "WIN1251" | "ISO_8859_5" => Script::Cyrillic,
        "ISO_8859_7" | "WIN1253" => Script::Greek,
        "ISO_8859_8" | "WIN1255" => Script::Hebrew,
        "ISO_8859_6" | "WIN1256" => Script::Arabic,
        "WIN874" => Script::Thai,
        "EUC_JP" | "EUC_JIS_2004" => Script::Japanese,
        "EUC_CN" => Script::Chinese,
        "EUC_TW" => Script::Taiwanese,
        "EUC_KR" => Script::Korean,
        _ => return None,
    })
}

/// Encodings of both databases.
pub(super) fn encodings(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    let (source, target) = (&facts.catalog.server, &facts.target.server);
    let create = |encoding: &str| create_database(source, target, encoding);
    let (one, other) = (source.encoding.as_str(), target.encoding.as_str());
    let (severity, reason, fix) = match (one, other) {
        (same, other) if same == other => return,
        ("SQL_ASCII", "UTF8") => (
            Warning,
            "the source's encoding is SQL_ASCII, where nothing checks bytes, and the target's is \
             UTF8: rows with bytes that are no UTF8 are refused and named"
                .to_owned(),
            format!("To keep the bytes as they are: {}", create("SQL_ASCII")),
        ),
        ("SQL_ASCII", other) => (
            Error,
            format!(
                "the source's encoding is SQL_ASCII, where nobody knows what its bytes mean, and the \
                 target's is {other}: nothing says how they are to be converted"
            ),
            format!(
                "{} Or, when the bytes are UTF8 already, {}",
                create("SQL_ASCII"),
                create("UTF8")
            ),
        ),
        (_, "SQL_ASCII") => (
            Warning,
            format!(
                "the target's encoding is SQL_ASCII, where nothing checks or converts bytes, and the \
                 source's is {one}: characters arrive as the bytes of UTF8"
            ),
            create(one),
        ),
        (_, "UTF8") => {
            (Notice, format!("characters are converted from {one} to UTF8"), create(one))
        }
        _ if disjoint(one, other) => (
            Error,
            format!(
                "the source's encoding is {one} and the target's is {other}: they have no letters in \
                 common beyond ASCII"
            ),
            format!("{} Or {}", create("UTF8"), create(one)),
        ),
        _ => (
            Warning,
            format!(
                "the source's encoding is {one}, the target's is {other}: rows with characters that \
                 it does not have are refused and named"
            ),
            create(one),
        ),
    };
    found.push(
        Concern::new(severity, Topic::Encoding, Side::Target, database(target), reason).fix(fix),
    );
}

/// Whether two encodings share nothing but ASCII.
fn disjoint(one: &str, other: &str) -> bool {
    match (script(one), script(other)) {
        (Some(Script::Every), _) | (_, Some(Script::Every)) | (None, _) | (_, None) => false,
        (one, other) => one != other,
    }
}

/// The statement that makes a target with an encoding; the source's locale fits the source's encoding
/// only, "C" fits all.
fn create_database(source: &ServerFacts, target: &ServerFacts, encoding: &str) -> String {
    let locale = if encoding == source.encoding { source.collate.as_str() } else { "C" };
    format!(
        "CREATE DATABASE {} TEMPLATE template0 ENCODING '{encoding}' {}; on the target, in the place of \
         this one.",
        quote_identifier(&target.database),
        locale_words(locale)
    )
}

/// The words of CREATE DATABASE for a collation as [`ServerFacts::collate`] writes it.
fn locale_words(collate: &str) -> String {
    for provider in ["icu", "builtin"] {
        if let Some(locale) = collate.strip_suffix(&format!(" ({provider})")) {
            return format!(
                "LOCALE_PROVIDER {provider} {}_LOCALE {} LOCALE 'C'",
                provider.to_uppercase(),
                quote_literal(locale)
            );
        }
    }
    format!("LOCALE {}", quote_literal(collate))
}

/// The databases' own collations.
pub(super) fn collations(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    let (source, target) = (&facts.catalog.server, &facts.target.server);
    if source.collate == target.collate {
        return;
    }
    let reason = format!(
        "its collation is \"{}\", the source's is \"{}\": text sorts in another order, and rows may \
         belong to other range partitions",
        target.collate, source.collate
    );
    found.push(
        Concern::new(Warning, Topic::Collation, Side::Target, database(target), reason).fix(
            format!(
                "CREATE DATABASE {} TEMPLATE template0 {}; on the target",
                quote_identifier(&target.database),
                locale_words(&source.collate)
            ),
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_made_with_the_sources_collation() {
        for (collate, words) in [
            ("C.UTF-8", "LOCALE 'C.UTF-8'"),
            ("en (icu)", "LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C'"),
            ("C (builtin)", "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C' LOCALE 'C'"),
        ] {
            assert_eq!(locale_words(collate), words);
        }
    }

    // trap V-24
    #[test]
    fn only_encodings_without_a_common_letter_are_disjoint() {
        for (one, other, expected) in [
            ("EUC_JP", "LATIN1", true),
            ("LATIN1", "EUC_JP", true),
            ("WIN1251", "WIN1252", true),
            ("WIN1251", "KOI8R", false),
            ("LATIN1", "LATIN9", false),
            ("UTF8", "LATIN1", false),
            ("EUC_JP", "UTF8", false),
            ("EUC_JP", "EUC_JIS_2004", false),
            ("MULE_INTERNAL", "LATIN1", false),
        ] {
            assert_eq!(disjoint(one, other), expected, "{one} to {other}");
        }
    }
}
