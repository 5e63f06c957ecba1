//! Values: JSON text to the text form of the type, without floating point in between.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Boundary, Column, Wal2jsonError};
use crate::types::Xid;

/// A JSON string, borrowed where nothing is escaped. (An `Option<Cow>` of serde always copies.)
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// Type of values that the plugin writes without their `\x`.
const BYTEA: &str = "bytea";

/// Object identifier of [`BYTEA`].
const BYTEA_OID: u32 = 17;

/// A column from its parts.
///
/// A number is taken as it is written; `true` and `false` become `t` and `f`, as the type's output
/// function has them.
pub(super) fn column<'a>(
    name: Text<'a>,
    type_name: Option<Text<'a>>,
    type_oid: Option<u32>,
    raw: &'a RawValue,
) -> Result<Column<'a>, Wal2jsonError> {
    let json = raw.get();
    let type_name = type_name.map(|text| text.0);
    let value = match json.as_bytes().first() {
        Some(b'n') => None,
        Some(b't') => Some(Cow::Borrowed("t")),
        Some(b'f') => Some(Cow::Borrowed("f")),
        Some(b'"') => {
            let text = string(json)?;
            let is_bytea = type_name.as_deref() == Some(BYTEA) || type_oid == Some(BYTEA_OID);
            Some(if is_bytea { bytea(&text)? } else { text })
        }
        Some(b'-' | b'0'..=b'9') => Some(Cow::Borrowed(json)),
        _ => return Err(Wal2jsonError("expected a value, found an object or a list".to_owned())),
    };
    Ok(Column { name: name.0, type_name, type_oid, value })
}

/// A JSON string's meaning, borrowed where nothing is escaped.
fn string(json: &str) -> Result<Cow<'_, str>, Wal2jsonError> {
    let inner = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) if memchr::memchr(b'\\', inner.as_bytes()).is_none() => {
            Ok(Cow::Borrowed(inner))
        }
        Some(inner) => unescape(inner).map(Cow::Owned).ok_or_else(|| {
            Wal2jsonError("expected a JSON string, found a bad escape in it".to_owned())
        }),
        None => Err(Wal2jsonError("expected a JSON string, found other text".to_owned())),
    }
}

/// The text that a JSON string with escapes means; `None` for an escape that is none.
///
/// Written once, into memory of the right size: a parser that gathers the text as it goes would hold a
/// value of hundreds of megabytes several times.
/// Source: RFC 8259, section 7.
fn unescape(inner: &str) -> Option<String> {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        let (plain, escape) = rest.split_at_checked(at)?;
        out.push_str(plain);
        let mut tail = escape.get(1..)?.chars();
        let character = match tail.next()? {
            character @ ('"' | '\\' | '/') => character,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (character, after) = code_point(tail.as_str())?;
                tail = after.chars();
                character
            }
            _ => return None,
        };
        out.push(character);
        rest = tail.as_str();
    }
    out.push_str(rest);
    Some(out)
}

/// The character of four hexadecimal digits, or of two such units of UTF-16, and what follows.
fn code_point(text: &str) -> Option<(char, &str)> {
    let unit = |text: &str| {
        let digits = text.get(..4)?;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex { u16::from_str_radix(digits, 16).ok() } else { None }
    };
    let first = unit(text)?;
    let rest = text.get(4..)?;
    if let Some(character) = char::from_u32(u32::from(first)) {
        return Some((character, rest));
    }
    let rest = rest.strip_prefix("\\u")?;
    let pair = [first, unit(rest)?];
    let character = char::decode_utf16(pair).next()?.ok()?;
    Some((character, rest.get(4..)?))
}

/// Text form of a bytea: its digits behind `\x`.
///
/// The plugin cuts off two bytes whatever they are, so with `bytea_output` set to `escape` it would
/// cut off data; that shows in what is left.
fn bytea(digits: &str) -> Result<Cow<'static, str>, Wal2jsonError> {
    let is_hex = digits.len().is_multiple_of(2) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_hex {
        let text = "expected pairs of hexadecimal digits in a bytea, found other text";
        return Err(Wal2jsonError(text.to_owned()));
    }
    Ok(Cow::Owned(format!("\\x{digits}")))
}

/// What is told of a transaction.
pub(super) fn boundary(
    xid: Option<u32>,
    lsn: Option<&Text<'_>>,
    nextlsn: Option<&Text<'_>>,
    timestamp: Option<&Text<'_>>,
) -> Result<Boundary, Wal2jsonError> {
    let position = |text: Option<&Text<'_>>| {
        let parsed = text.map(|text| text.0.parse()).transpose();
        parsed.map_err(|error| Wal2jsonError(format!("{error}")))
    };
    let time = timestamp
        .map(|text| text.0.parse().map_err(|error| Wal2jsonError(format!("commit time: {error}"))));
    Ok(Boundary {
        xid: xid.map(Xid),
        commit_lsn: position(lsn)?,
        end_lsn: position(nextlsn)?,
        commit_time: time.transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        // Expected: what the JSON parser says.
        #[test]
        fn strings_mean_what_json_says(
            parts in prop::collection::vec(
                prop_oneof![
                    prop::sample::select(vec![
                        "a", "ß", "𝄞", "\\n", "\\t", "\\r", "\\b", "\\f", "\\\"", "\\\\", "\\/",
                        "\\u0001", "\\u00e9", "\\uD834\\uDD1E", "\\ud834", "\\udd1e", "\\x",
                        "\\u12", "\\u+123", "\\", "u",
                    ]).prop_map(str::to_owned),
                    "[a-f0-9u]{0,5}",
                ],
                0..8,
            ),
        ) {
            let json = format!("\"{}\"", parts.concat());
            // What is no string at all never comes here.
            if let Ok(raw) = serde_json::from_str::<&RawValue>(&json) {
                let expected: Option<String> = serde_json::from_str(&json).ok();
                prop_assert_eq!(string(raw.get()).ok().map(Cow::into_owned), expected);
            }
        }
    }
}
