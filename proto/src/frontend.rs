//! What a client says: encoders that append one message to a buffer.
//!
//! Text is taken as bytes (`impl AsRef<[u8]>`), since the names of a `SQL_ASCII` database need not
//! be UTF-8. On error the buffer is left as it was.
//! Source: <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

use std::fmt;

use bytes::{BufMut, BytesMut};

use crate::backend::tag::COPY_DATA;
use crate::frame::HEADER_BYTES;
use crate::limits::LARGE_MESSAGE_BYTES_MAX;
use crate::types::{FormatCode, Oid};

/// The protocol version requested: 3.0, which every supported server speaks.
pub const PROTOCOL_VERSION: u32 = 0x0003_0000;

/// The number that marks an SSLRequest instead of a version.
const SSL_REQUEST_CODE: u32 = 80_877_103;

/// The number that marks a CancelRequest instead of a version.
const CANCEL_REQUEST_CODE: u32 = 80_877_102;

/// Why a message cannot be sent as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodeError {
    /// The text holds a zero byte, which would end it early on the wire.
    InteriorNul {
        /// Which text, for the error message.
        what: &'static str,
    },
    /// The server would refuse a message, or a list, of this length.
    TooLong {
        /// Which message or list, for the error message.
        what: &'static str,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InteriorNul { what } => write!(f, "{what} contains a zero byte"),
            Self::TooLong { what } => write!(f, "{what} is too long for one protocol message"),
        }
    }
}

impl std::error::Error for EncodeError {}

/// Appends a StartupMessage: `Int32 length, Int32 version, (String name, String value)*, 0`.
///
/// # Errors
/// `InteriorNul` in a name or a value.
pub fn startup<N, V>(
    parameters: impl IntoIterator<Item = (N, V)>,
    buf: &mut BytesMut,
) -> Result<(), EncodeError>
where
    N: AsRef<[u8]>,
    V: AsRef<[u8]>,
{
    untagged(buf, |buf| {
        buf.put_u32(PROTOCOL_VERSION);
        for (name, value) in parameters {
            put_cstr("startup parameter name", name, buf)?;
            put_cstr("startup parameter value", value, buf)?;
        }
        buf.put_u8(0);
        Ok(())
    })
}

/// Appends an SSLRequest. The answer is one byte, `S` or `N`, without a frame.
pub fn ssl_request(buf: &mut BytesMut) {
    buf.put_u32(8);
    buf.put_u32(SSL_REQUEST_CODE);
}

/// Appends a CancelRequest, to be sent first on a connection of its own.
///
/// # Errors
/// `TooLong` when the key is longer than a message can be.
pub fn cancel_request(
    process_id: i32,
    secret_key: &[u8],
    buf: &mut BytesMut,
) -> Result<(), EncodeError> {
    untagged(buf, |buf| {
        buf.put_u32(CANCEL_REQUEST_CODE);
        buf.put_i32(process_id);
        buf.put_slice(secret_key);
        Ok(())
    })
}

/// Appends a PasswordMessage.
///
/// # Errors
/// `InteriorNul` in the password.
pub fn password(password: impl AsRef<[u8]>, buf: &mut BytesMut) -> Result<(), EncodeError> {
    message(b'p', "password", buf, |buf| put_cstr("password", password, buf))
}

/// Appends a SASLInitialResponse: the mechanism and the client's first words.
///
/// # Errors
/// `InteriorNul` in the mechanism.
pub fn sasl_initial_response(
    mechanism: &str,
    data: &[u8],
    buf: &mut BytesMut,
) -> Result<(), EncodeError> {
    message(b'p', "SASL response", buf, |buf| {
        put_cstr("SASL mechanism", mechanism, buf)?;
        buf.put_i32(length("SASL response", data.len())?);
        buf.put_slice(data);
        Ok(())
    })
}

/// Appends a SASLResponse.
///
/// # Errors
/// `TooLong` when the data is longer than a message can be.
pub fn sasl_response(data: &[u8], buf: &mut BytesMut) -> Result<(), EncodeError> {
    message(b'p', "SASL response", buf, |buf| {
        buf.put_slice(data);
        Ok(())
    })
}

/// Appends a Query: one or more statements in the simple protocol.
///
/// # Errors
/// `InteriorNul` in the statement, `TooLong` beyond 1 GiB.
pub fn query(sql: impl AsRef<[u8]>, buf: &mut BytesMut) -> Result<(), EncodeError> {
    message(b'Q', "statement", buf, |buf| put_cstr("statement", sql, buf))
}

/// Appends a Parse; an empty name is the unnamed statement, a zero type is left to the server.
///
/// # Errors
/// `InteriorNul` in name or statement, `TooLong` for more than 65 535 parameters.
pub fn parse(
    name: impl AsRef<[u8]>,
    sql: impl AsRef<[u8]>,
    parameter_types: &[Oid],
    buf: &mut BytesMut,
) -> Result<(), EncodeError> {
    message(b'P', "statement", buf, |buf| {
        put_cstr("statement name", name, buf)?;
        put_cstr("statement", sql, buf)?;
        put_count("list of parameter types", parameter_types.len(), buf)?;
        for oid in parameter_types {
            buf.put_u32(oid.0);
        }
        Ok(())
    })
}

/// Appends a Bind; `None` is null.
///
/// `parameter_formats` has no entry (all text), one (for all), or one per parameter.
///
/// # Errors
/// `InteriorNul` in a name, `TooLong` for more than 65 535 parameters or 1 GiB in all.
pub fn bind(
    portal: impl AsRef<[u8]>,
    statement: impl AsRef<[u8]>,
    parameters: &[Option<&[u8]>],
    parameter_formats: &[FormatCode],
    result_format: FormatCode,
    buf: &mut BytesMut,
) -> Result<(), EncodeError> {
    let values = BindValues { parameters, parameter_formats, result_format, gap_from: usize::MAX };
    bind_with_gaps(portal, statement, &values, buf).map(drop)
}

/// What [`bind_with_gaps`] binds.
#[derive(Debug, Clone, Copy)]
pub struct BindValues<'a, V> {
    /// The values; `None` is null.
    pub parameters: &'a [Option<V>],
    /// No entry (all text), one (for all), or one per parameter.
    pub parameter_formats: &'a [FormatCode],
    /// The form of all columns of the result.
    pub result_format: FormatCode,
    /// Values of so many bytes or more are left out.
    pub gap_from: usize,
}

/// A value that was left out of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The length of the buffer where the value belongs.
    pub at: usize,
    /// The position of the parameter, from 0.
    pub parameter: usize,
}

/// Appends a Bind without the bytes of its large values: whoever sends the buffer sends each of them in
/// its gap, so that they need no copy. The gaps are in ascending order.
///
/// # Errors
/// Those of [`bind`].
pub fn bind_with_gaps<V: AsRef<[u8]>>(
    portal: impl AsRef<[u8]>,
    statement: impl AsRef<[u8]>,
    values: &BindValues<'_, V>,
    buf: &mut BytesMut,
) -> Result<Vec<Gap>, EncodeError> {
    let mut gaps = Vec::new();
    let mut left_out = 0_usize;
    let start = buf.len();
    message(b'B', "parameters", buf, |buf| {
        put_cstr("portal name", portal, buf)?;
        put_cstr("statement name", statement, buf)?;
        put_count("list of parameter formats", values.parameter_formats.len(), buf)?;
        for format in values.parameter_formats {
            buf.put_i16(format.code());
        }
        put_count("list of parameters", values.parameters.len(), buf)?;
        for (parameter, value) in values.parameters.iter().enumerate() {
            let Some(value) = value.as_ref().map(AsRef::as_ref) else {
                buf.put_i32(-1);
                continue;
            };
            buf.put_i32(length("parameter", value.len())?);
            if value.len() >= values.gap_from {
                gaps.push(Gap { at: buf.len(), parameter });
                left_out = left_out.saturating_add(value.len());
            } else {
                buf.put_slice(value);
            }
        }
        buf.put_i16(1);
        buf.put_i16(values.result_format.code());
        Ok(())
    })?;
    if !gaps.is_empty() {
        count_gaps(start, left_out, buf)?;
    }
    Ok(gaps)
}

/// Adds what was left out to the length word of the message that begins at `start`.
fn count_gaps(start: usize, left_out: usize, buf: &mut BytesMut) -> Result<(), EncodeError> {
    let counted = buf.len().saturating_sub(start).saturating_sub(1).saturating_add(left_out);
    let word = length_word("parameters", counted).inspect_err(|_| buf.truncate(start))?;
    let place = buf.get_mut(start.saturating_add(1)..).and_then(<[u8]>::first_chunk_mut::<4>);
    if let Some(place) = place {
        *place = word;
    }
    Ok(())
}

/// Appends a Describe of a prepared statement.
///
/// # Errors
/// `InteriorNul` in the name.
pub fn describe_statement(name: impl AsRef<[u8]>, buf: &mut BytesMut) -> Result<(), EncodeError> {
    named(b'D', b'S', "statement name", name, buf)
}

/// Appends a Describe of a portal.
///
/// # Errors
/// `InteriorNul` in the name.
pub fn describe_portal(name: impl AsRef<[u8]>, buf: &mut BytesMut) -> Result<(), EncodeError> {
    named(b'D', b'P', "portal name", name, buf)
}

/// Appends a Close of a prepared statement.
///
/// # Errors
/// `InteriorNul` in the name.
pub fn close_statement(name: impl AsRef<[u8]>, buf: &mut BytesMut) -> Result<(), EncodeError> {
    named(b'C', b'S', "statement name", name, buf)
}

/// Appends a Close of a portal.
///
/// # Errors
/// `InteriorNul` in the name.
pub fn close_portal(name: impl AsRef<[u8]>, buf: &mut BytesMut) -> Result<(), EncodeError> {
    named(b'C', b'P', "portal name", name, buf)
}

/// Appends an Execute; a `max_rows` of 0 means all.
///
/// # Errors
/// `InteriorNul` in the name.
pub fn execute(
    portal: impl AsRef<[u8]>,
    max_rows: i32,
    buf: &mut BytesMut,
) -> Result<(), EncodeError> {
    message(b'E', "portal name", buf, |buf| {
        put_cstr("portal name", portal, buf)?;
        buf.put_i32(max_rows);
        Ok(())
    })
}

/// Appends a Sync: ends an extended-protocol sequence; the server answers ReadyForQuery.
pub fn sync(buf: &mut BytesMut) {
    bodiless(b'S', buf);
}

/// Appends a Flush: asks the server to send what it has.
pub fn flush(buf: &mut BytesMut) {
    bodiless(b'H', buf);
}

/// Appends a Terminate.
pub fn terminate(buf: &mut BytesMut) {
    bodiless(b'X', buf);
}

/// Appends a CopyDone: the data stream ended well.
pub fn copy_done(buf: &mut BytesMut) {
    bodiless(b'c', buf);
}

/// Appends a CopyFail: the server shall fail the COPY with this reason in its error.
///
/// # Errors
/// `InteriorNul` in the reason.
pub fn copy_fail(reason: impl AsRef<[u8]>, buf: &mut BytesMut) -> Result<(), EncodeError> {
    message(b'f', "reason", buf, |buf| put_cstr("reason", reason, buf))
}

/// Appends a CopyData with this payload.
///
/// # Errors
/// `TooLong` beyond what a server accepts in one message (1 GiB).
pub fn copy_data(payload: &[u8], buf: &mut BytesMut) -> Result<(), EncodeError> {
    let header = copy_data_header(payload.len())?;
    buf.put_slice(&header);
    buf.put_slice(payload);
    Ok(())
}

/// The five bytes in front of a CopyData payload, for callers that write the payload themselves.
///
/// # Errors
/// `TooLong` beyond what a server accepts in one message (1 GiB).
pub fn copy_data_header(payload_length: usize) -> Result<[u8; HEADER_BYTES], EncodeError> {
    let [a, b, c, d] = length_word("CopyData", payload_length.saturating_add(4))?;
    Ok([COPY_DATA, a, b, c, d])
}

/// Appends a message of nothing but a tag.
fn bodiless(tag: u8, buf: &mut BytesMut) {
    buf.put_u8(tag);
    buf.put_u32(4);
}

/// Appends a message that names a statement or a portal.
fn named(
    tag: u8,
    kind: u8,
    what: &'static str,
    name: impl AsRef<[u8]>,
    buf: &mut BytesMut,
) -> Result<(), EncodeError> {
    message(tag, what, buf, |buf| {
        buf.put_u8(kind);
        put_cstr(what, name, buf)
    })
}

/// Appends a tag and a length-prefixed body; the buffer is as before when `body` fails.
fn message(
    tag: u8,
    what: &'static str,
    buf: &mut BytesMut,
    body: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let start = buf.len();
    buf.put_u8(tag);
    let result = prefixed(what, buf, body);
    if result.is_err() {
        buf.truncate(start);
    }
    result
}

/// Appends a length-prefixed body without a tag, as the messages before startup have it.
fn untagged(
    buf: &mut BytesMut,
    body: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    prefixed("startup message", buf, body)
}

/// Reserves the length word, runs `body`, patches the word: the length cannot disagree.
fn prefixed(
    what: &'static str,
    buf: &mut BytesMut,
    body: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let start = buf.len();
    buf.put_u32(0);
    let result = body(buf).and_then(|()| length_word(what, buf.len().saturating_sub(start)));
    match result {
        Ok(word) => {
            let place = buf.get_mut(start..).and_then(<[u8]>::first_chunk_mut::<4>);
            if let Some(place) = place {
                *place = word;
            }
            Ok(())
        }
        Err(error) => {
            buf.truncate(start);
            Err(error)
        }
    }
}

/// The length word for `counted` bytes, itself included.
fn length_word(what: &'static str, counted: usize) -> Result<[u8; 4], EncodeError> {
    u32::try_from(counted)
        .ok()
        .filter(|word| word.saturating_sub(4) <= LARGE_MESSAGE_BYTES_MAX)
        .map(u32::to_be_bytes)
        .ok_or(EncodeError::TooLong { what })
}

/// A length as `Int32`.
fn length(what: &'static str, bytes: usize) -> Result<i32, EncodeError> {
    i32::try_from(bytes).map_err(|_| EncodeError::TooLong { what })
}

/// Appends a count as `Int16` without sign.
fn put_count(what: &'static str, count: usize, buf: &mut BytesMut) -> Result<(), EncodeError> {
    let count = u16::try_from(count).map_err(|_| EncodeError::TooLong { what })?;
    buf.put_u16(count);
    Ok(())
}

/// Appends a string with its terminating zero.
fn put_cstr(
    what: &'static str,
    text: impl AsRef<[u8]>,
    buf: &mut BytesMut,
) -> Result<(), EncodeError> {
    let text = text.as_ref();
    if memchr::memchr(0, text).is_some() {
        return Err(EncodeError::InteriorNul { what });
    }
    buf.put_slice(text);
    buf.put_u8(0);
    Ok(())
}
