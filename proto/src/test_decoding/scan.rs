//! The scanner: names, types and values, from left to right.

use std::borrow::Cow;

use super::{Column, Table, Value};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::time::PgTimestamp;
use crate::types::Xid;

/// What errors call the input.
pub(super) const WHAT: &str = "test_decoding message";

/// A cursor over one message.
pub(super) struct Scanner<'a> {
    rest: &'a str,
    length: usize,
}

impl<'a> Scanner<'a> {
    /// A scanner at the start.
    pub(super) const fn new(text: &'a str) -> Self {
        Self { rest: text, length: text.len() }
    }

    /// Moves behind `token` when it is next.
    pub(super) fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Moves behind `token`, which must be next.
    pub(super) fn expect(&mut self, token: &'static str) -> Result<(), DecodeError> {
        if self.take(token) { Ok(()) } else { Err(self.error(token)) }
    }

    /// Ends scanning: nothing may be left.
    pub(super) fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.error("the end")) }
    }

    /// ` 734`, or nothing.
    pub(super) fn xid(&mut self) -> Result<Option<Xid>, DecodeError> {
        let digits = self.rest.strip_prefix(' ').map(|rest| {
            let end = rest.bytes().take_while(u8::is_ascii_digit).count();
            rest.split_at_checked(end).unwrap_or((rest, ""))
        });
        match digits {
            None | Some(("", _)) => Ok(None),
            Some((digits, rest)) => {
                let xid = digits.parse().map_err(|_| self.error("a transaction id"))?;
                self.rest = rest;
                Ok(Some(Xid(xid)))
            }
        }
    }

    /// ` (at 2026-11-22 16:37:37.519963+00)`, or nothing.
    pub(super) fn commit_time(&mut self) -> Result<Option<PgTimestamp>, DecodeError> {
        if !self.take(" (at ") {
            return Ok(None);
        }
        let (text, rest) = self.rest.split_once(')').ok_or_else(|| self.error(")"))?;
        let time = text.parse().map_err(|_| self.error("a timestamp"))?;
        self.rest = rest;
        Ok(Some(time))
    }

    /// `schema.table`.
    pub(super) fn table(&mut self) -> Result<Table<'a>, DecodeError> {
        let schema = self.identifier()?;
        self.expect(".")?;
        Ok(Table { schema, name: self.identifier()? })
    }

    /// All columns up to the end or to `new-tuple:`; `None` for `(no-tuple-data)`.
    pub(super) fn columns(&mut self) -> Result<Option<Vec<Column<'a>>>, DecodeError> {
        if self.take(" (no-tuple-data)") {
            return Ok(None);
        }
        let mut columns = Vec::new();
        // A column of this name would be quoted.
        while !self.rest.is_empty() && !self.rest.starts_with(" new-tuple:") {
            self.expect(" ")?;
            let name = self.identifier()?;
            let type_name = self.type_name()?;
            self.expect(":")?;
            columns.push(Column { name, type_name, value: self.value(type_name)? });
        }
        Ok(Some(columns))
    }

    /// A name as SQL would have it.
    fn identifier(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        if self.rest.starts_with('"') {
            return self.quoted('"');
        }
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let end = self.rest.find(|c| !is_plain(c)).unwrap_or(self.rest.len());
        match self.rest.split_at_checked(end) {
            Some((name, rest)) if !name.is_empty() => {
                self.rest = rest;
                Ok(Cow::Borrowed(name))
            }
            _ => Err(self.error("a name")),
        }
    }

    /// Text between quotes, with those inside doubled; borrowed when there are none.
    fn quoted(&mut self, quote: char) -> Result<Cow<'a, str>, DecodeError> {
        let start = self.rest.strip_prefix(quote).ok_or_else(|| self.error("a quote"))?;
        let (mut end, mut doubled) = (0_usize, 0_usize);
        let (inner, tail) = loop {
            let found = start.get(end..).and_then(|rest| rest.find(quote));
            let found = found.ok_or_else(|| self.error("a closing quote"))?;
            let (inner, tail) =
                start.split_at_checked(end.saturating_add(found)).unwrap_or((start, ""));
            let tail = tail.strip_prefix(quote).unwrap_or(tail);
            if !tail.starts_with(quote) {
                break (inner, tail);
            }
            doubled = doubled.saturating_add(1);
            end = inner.len().saturating_add(2);
        };
        self.rest = tail;
        if doubled == 0 {
            return Ok(Cow::Borrowed(inner));
        }
        // The length is known: a value of hundreds of megabytes must not be moved as it grows.
        let mut text = String::with_capacity(inner.len().saturating_sub(doubled));
        let mut rest = inner;
        while let Some((part, after)) = rest.split_once(quote) {
            text.push_str(part);
            text.push(quote);
            rest = after.strip_prefix(quote).unwrap_or(after);
        }
        text.push_str(rest);
        Ok(Cow::Owned(text))
    }

    /// `[type]`: brackets inside are balanced or in a quoted name.
    fn type_name(&mut self) -> Result<&'a str, DecodeError> {
        let start = self.rest.strip_prefix('[').ok_or_else(|| self.error("["))?;
        let mut depth = 0_usize;
        let mut is_quoted = false;
        for (at, byte) in start.bytes().enumerate() {
            match byte {
                b'"' => is_quoted = !is_quoted,
                _ if is_quoted => {}
                b'[' => depth = depth.saturating_add(1),
                b']' if depth > 0 => depth = depth.saturating_sub(1),
                b']' => {
                    let (name, rest) = start.split_at_checked(at).unwrap_or((start, ""));
                    self.rest = rest.strip_prefix(']').unwrap_or(rest);
                    return Ok(name);
                }
                _ => {}
            }
        }
        Err(self.error("]"))
    }

    /// A value of this type.
    fn value(&mut self, type_name: &str) -> Result<Value<'a>, DecodeError> {
        if self.rest.starts_with('\'') {
            return self.quoted('\'').map(Value::Text);
        }
        // No type but the bit strings is printed so, and a bare value never has a quote.
        if self.rest.starts_with("B'") {
            self.expect("B")?;
            return self.quoted('\'').map(Value::Text);
        }
        let end = self.rest.find(' ').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        if word.is_empty() {
            return Err(self.error("a value"));
        }
        self.rest = rest;
        Ok(match word {
            "null" => Value::Null,
            "unchanged-toast-datum" => Value::Unchanged,
            // As the type's output function has them.
            "true" if type_name == "boolean" => Value::Text(Cow::Borrowed("t")),
            "false" if type_name == "boolean" => Value::Text(Cow::Borrowed("f")),
            number => Value::Text(Cow::Borrowed(number)),
        })
    }

    /// An error here: something else was expected.
    #[cold]
    pub(super) fn error(&self, expected: &'static str) -> DecodeError {
        let kind = match self.rest.bytes().next() {
            Some(tag) => DecodeErrorKind::UnexpectedMessage { expected, tag },
            None => DecodeErrorKind::UnexpectedEnd { needed: expected.len(), available: 0 },
        };
        DecodeError::new(kind, WHAT, self.length.saturating_sub(self.rest.len()))
    }
}
