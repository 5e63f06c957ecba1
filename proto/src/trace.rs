//! One line of text per frame, in the format of libpq's `PQtrace`, for logs and golden tests.
//!
//! ```text
//! F  22  Query   "COPY t FROM STDIN"
//! B  11  CopyInResponse   \x00 2 0 0
//! B  13  CommandComplete   "SELECT 1"
//! ```
//!
//! Sender, length word, message name, fields; separated by tabs. Differences from libpq: control
//! characters inside strings are written as `\xNN`, so that a line is always one line; the zero
//! that ends an error's fields is left out; secrets (passwords, SASL data, cancel keys) are never
//! shown, and rows and statements only when [`Detail`] says so.

use std::fmt::{self, Formatter, Write as _};

use crate::backend::{self, tag};
use crate::error::DecodeError;
use crate::read::Reader;

/// How much of a frame's content is shown. Secrets are not shown at any level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Detail {
    /// Names, lengths, counts, types, settings; of an error its severity and code.
    #[default]
    Shape,
    /// Also the text of statements, and the primary message and hint of errors.
    Statements,
    /// Also rows, parameters, COPY data, and every field of errors.
    Rows,
}

/// One frame, to be shown with `Display`. Malformed frames are shown as far as they can be read.
#[derive(Clone, Copy)]
pub struct Trace<'a> {
    sender: char,
    tag: Option<u8>,
    body: &'a [u8],
    detail: Detail,
}

impl<'a> Trace<'a> {
    /// A frame from a server.
    #[must_use]
    pub const fn backend(message_tag: u8, body: &'a [u8], detail: Detail) -> Self {
        Self { sender: 'B', tag: Some(message_tag), body, detail }
    }

    /// A frame to a server.
    #[must_use]
    pub const fn frontend(message_tag: u8, body: &'a [u8], detail: Detail) -> Self {
        Self { sender: 'F', tag: Some(message_tag), body, detail }
    }

    /// A StartupMessage, SSLRequest, GSSENCRequest or CancelRequest: everything after its length
    /// word.
    #[must_use]
    pub const fn startup(body: &'a [u8], detail: Detail) -> Self {
        Self { sender: 'F', tag: None, body, detail }
    }
}

impl fmt::Debug for Trace<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Trace<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let length = self.body.len().saturating_add(4);
        write!(f, "{}\t{length}\t", self.sender)?;
        let mut fields = Fields { f, reader: Reader::new(self.body), detail: self.detail };
        let result = match (self.sender, self.tag) {
            ('B', Some(message_tag)) => fields.backend(message_tag),
            (_, Some(message_tag)) => fields.frontend(message_tag),
            (_, None) => fields.startup(),
        };
        match result {
            Ok(()) => match fields.reader.remaining() {
                0 => Ok(()),
                left => write!(fields.f, " <{left} bytes left>"),
            },
            Err(Stop::Malformed(error)) => {
                write!(fields.f, " <malformed at byte {}>", error.offset)
            }
            Err(Stop::Output(error)) => Err(error),
        }
    }
}

/// Why writing fields stopped.
enum Stop {
    /// The body does not hold what its tag promises.
    Malformed(DecodeError),
    /// The destination refused.
    Output(fmt::Error),
}

impl From<DecodeError> for Stop {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl From<fmt::Error> for Stop {
    fn from(error: fmt::Error) -> Self {
        Self::Output(error)
    }
}

/// Writes fields while reading them.
struct Fields<'f, 'o, 'a> {
    f: &'f mut Formatter<'o>,
    reader: Reader<'a>,
    detail: Detail,
}

impl Fields<'_, '_, '_> {
    /// Name and fields of a message from a server.
    fn backend(&mut self, message_tag: u8) -> Result<(), Stop> {
        if message_tag == tag::AUTHENTICATION {
            return self.authentication();
        }
        match backend::name(message_tag) {
            Some(name) => self.f.write_str(name)?,
            None => write!(self.f, "Unknown {}", message_tag.escape_ascii())?,
        }
        if self.reader.remaining() == 0 {
            return Ok(());
        }
        self.f.write_char('\t')?;
        match message_tag {
            tag::NOTIFICATION_RESPONSE => {
                self.int32()?;
                self.string()?;
                self.string_from(Detail::Rows)
            }
            tag::COMMAND_COMPLETE => self.string(),
            tag::DATA_ROW => {
                self.count()?;
                self.values_to_end()
            }
            tag::ERROR_RESPONSE | tag::NOTICE_RESPONSE => self.report(),
            tag::COPY_IN_RESPONSE | tag::COPY_OUT_RESPONSE | tag::COPY_BOTH_RESPONSE => {
                self.byte()?;
                let count = self.count()?;
                self.repeat(count, Self::int16)
            }
            tag::BACKEND_KEY_DATA => {
                self.int32()?;
                self.secret()
            }
            tag::PARAMETER_STATUS => {
                self.string()?;
                self.string()
            }
            tag::ROW_DESCRIPTION => {
                let count = self.count()?;
                self.repeat(count, Self::field_description)
            }
            tag::READY_FOR_QUERY => self.byte(),
            tag::COPY_DATA => self.payload(),
            tag::PARAMETER_DESCRIPTION => {
                let count = self.count()?;
                self.repeat(count, Self::int32)
            }
            tag::NEGOTIATE_PROTOCOL_VERSION => {
                self.int32()?;
                self.int32()?;
                self.strings_to_end()
            }
            _ => self.opaque(),
        }
    }

    /// An authentication request: its kind is its name.
    fn authentication(&mut self) -> Result<(), Stop> {
        let kind = self.reader.u32()?;
        let name = match kind {
            0 => "AuthenticationOk",
            2 => "AuthenticationKerberosV5",
            3 => "AuthenticationCleartextPassword",
            5 => "AuthenticationMD5Password",
            7 => "AuthenticationGSS",
            8 => "AuthenticationGSSContinue",
            9 => "AuthenticationSSPI",
            10 => "AuthenticationSASL",
            11 => "AuthenticationSASLContinue",
            12 => "AuthenticationSASLFinal",
            _ => {
                write!(self.f, "Authentication {kind}")?;
                "" // followed by the opaque rest
            }
        };
        self.f.write_str(name)?;
        if self.reader.remaining() == 0 {
            return Ok(());
        }
        self.f.write_char('\t')?;
        if kind == 10 { self.strings_to_end() } else { self.secret() }
    }

    /// Name and fields of a message to a server.
    fn frontend(&mut self, message_tag: u8) -> Result<(), Stop> {
        let name = match message_tag {
            b'B' => "Bind\t",
            b'C' => "Close\t",
            b'D' => "Describe\t",
            b'E' => "Execute\t",
            b'F' => "FunctionCall\t",
            b'H' => "Flush",
            b'P' => "Parse\t",
            b'Q' => "Query\t",
            b'S' => "Sync",
            b'X' => "Terminate",
            b'c' => "CopyDone",
            b'd' => "CopyData\t",
            b'f' => "CopyFail\t",
            // PasswordMessage, SASLInitialResponse, SASLResponse, GSSResponse: only the exchange
            // before it tells which.
            b'p' => "AuthenticationResponse\t",
            other => {
                write!(self.f, "Unknown {}\t", other.escape_ascii())?;
                ""
            }
        };
        self.f.write_str(name)?;
        match message_tag {
            b'B' => self.bind(),
            b'C' | b'D' => {
                self.byte()?;
                self.string()
            }
            b'E' => {
                self.string()?;
                self.int32()
            }
            b'P' => {
                self.string()?;
                self.string_from(Detail::Statements)?;
                let count = self.count()?;
                self.repeat(count, Self::int32)
            }
            b'Q' => self.string_from(Detail::Statements),
            b'd' => self.payload(),
            b'f' => self.string(),
            b'p' => self.secret(),
            b'H' | b'S' | b'X' | b'c' => Ok(()),
            _ => self.opaque(),
        }
    }

    /// A message without tag: the first word says what it is.
    fn startup(&mut self) -> Result<(), Stop> {
        let code = self.reader.u32()?;
        let name = match code {
            80_877_102 => "CancelRequest",
            80_877_103 => "SSLRequest",
            80_877_104 => "GSSENCRequest",
            _ => "StartupMessage",
        };
        write!(self.f, "{name}\t {} {}", code >> 16, code & 0xffff)?;
        match code {
            80_877_102 => {
                self.int32()?;
                self.secret()
            }
            80_877_103 | 80_877_104 => Ok(()),
            _ => {
                while self.reader.remaining() > 1 {
                    self.string()?;
                }
                self.reader.u8()?;
                Ok(())
            }
        }
    }

    fn bind(&mut self) -> Result<(), Stop> {
        self.string()?;
        self.string()?;
        let formats = self.count()?;
        self.repeat(formats, Self::int16)?;
        let values = self.count()?;
        self.repeat(values, Self::value)?;
        let formats = self.count()?;
        self.repeat(formats, Self::int16)
    }

    /// The fields of an error or a notice, each with its letter.
    fn report(&mut self) -> Result<(), Stop> {
        loop {
            let field = self.reader.u8()?;
            if field == 0 {
                return Ok(());
            }
            write!(self.f, " {}", field.escape_ascii())?;
            self.string_from(match field {
                b'S' | b'V' | b'C' | b'F' | b'L' | b'R' => Detail::Shape,
                b'M' | b'H' | b'P' => Detail::Statements,
                _ => Detail::Rows,
            })?;
        }
    }

    fn field_description(&mut self) -> Result<(), Stop> {
        self.string()?;
        self.int32()?;
        self.int16()?;
        self.int32()?;
        // libpq prints the length without sign: 65535 is variable.
        self.count()?;
        self.int32()?;
        self.int16()
    }

    fn repeat(
        &mut self,
        count: u16,
        one: impl Fn(&mut Self) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        (0..count).try_for_each(|_| one(self))
    }

    fn byte(&mut self) -> Result<(), Stop> {
        let byte = self.reader.u8()?;
        self.f.write_char(' ')?;
        Ok(write_visible(self.f, &[byte])?)
    }

    fn int16(&mut self) -> Result<(), Stop> {
        let value = self.reader.i16()?;
        Ok(write!(self.f, " {value}")?)
    }

    /// An `Int16` without sign, which is also returned.
    fn count(&mut self) -> Result<u16, Stop> {
        let value = self.reader.u16()?;
        write!(self.f, " {value}")?;
        Ok(value)
    }

    fn int32(&mut self) -> Result<(), Stop> {
        let value = self.reader.i32()?;
        Ok(write!(self.f, " {value}")?)
    }

    fn string(&mut self) -> Result<(), Stop> {
        self.string_from(Detail::Shape)
    }

    /// A string that is shown from this level on, else its length.
    fn string_from(&mut self, level: Detail) -> Result<(), Stop> {
        let text = self.reader.cstr()?;
        if self.detail < level {
            return Ok(write!(self.f, " <{} bytes>", text.len())?);
        }
        self.f.write_str(" \"")?;
        write_text(self.f, text)?;
        Ok(self.f.write_char('"')?)
    }

    fn strings_to_end(&mut self) -> Result<(), Stop> {
        while self.reader.remaining() > 0 {
            self.string()?;
        }
        Ok(())
    }

    /// A value with its length, −1 for null.
    fn value(&mut self) -> Result<(), Stop> {
        match self.reader.nullable()? {
            None => self.f.write_str(" -1")?,
            Some(value) if self.detail < Detail::Rows => write!(self.f, " {}", value.len())?,
            Some(value) => {
                write!(self.f, " {} '", value.len())?;
                write_visible(self.f, value)?;
                self.f.write_char('\'')?;
            }
        }
        Ok(())
    }

    fn values_to_end(&mut self) -> Result<(), Stop> {
        while self.reader.remaining() > 0 {
            self.value()?;
        }
        Ok(())
    }

    /// The rest of the body: rows.
    fn payload(&mut self) -> Result<(), Stop> {
        let payload = self.reader.rest();
        if self.detail < Detail::Rows {
            return Ok(write!(self.f, " <{} bytes>", payload.len())?);
        }
        self.f.write_str(" '")?;
        write_visible(self.f, payload)?;
        Ok(self.f.write_char('\'')?)
    }

    /// The rest of the body, of unknown meaning: its length only.
    fn opaque(&mut self) -> Result<(), Stop> {
        let rest = self.reader.rest();
        Ok(write!(self.f, " <{} bytes>", rest.len())?)
    }

    /// The rest of the body: never shown.
    fn secret(&mut self) -> Result<(), Stop> {
        self.reader.rest();
        Ok(self.f.write_str(" <hidden>")?)
    }
}

/// Writes printable ASCII as it is and every other byte as `\xNN`.
fn write_visible(f: &mut Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for byte in bytes {
        match byte {
            b' '..=b'~' => f.write_char(char::from(*byte))?,
            _ => write!(f, "\\x{byte:02x}")?,
        }
    }
    Ok(())
}

/// Writes text as it is, control characters and bytes that are not UTF-8 as `\xNN`.
fn write_text(f: &mut Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                write!(f, "\\x{:02x}", u32::from(c))?;
            } else {
                f.write_char(c)?;
            }
        }
        for byte in chunk.invalid() {
            write!(f, "\\x{byte:02x}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(message_tag: u8, body: &[u8], detail: Detail) -> String {
        Trace::backend(message_tag, body, detail).to_string()
    }

    fn frontend(message_tag: u8, body: &[u8], detail: Detail) -> String {
        Trace::frontend(message_tag, body, detail).to_string()
    }

    // trap X-26
    #[test]
    fn rows_and_statements_appear_only_at_their_level() {
        let cases: [(&dyn Fn(Detail) -> String, Detail); 9] = [
            (&|d| backend(b'd', b"CANARY", d), Detail::Rows),
            (&|d| frontend(b'd', b"CANARY", d), Detail::Rows),
            (&|d| backend(b'D', b"\0\x01\0\0\0\x06CANARY", d), Detail::Rows),
            (&|d| frontend(b'B', b"\0\0\0\0\0\x01\0\0\0\x06CANARY\0\0", d), Detail::Rows),
            (&|d| backend(b'E', b"C23505\0DCANARY\0\0", d), Detail::Rows),
            (&|d| backend(b'N', b"WCANARY\0\0", d), Detail::Rows),
            (&|d| backend(b'E', b"MCANARY\0\0", d), Detail::Statements),
            (&|d| frontend(b'Q', b"CANARY\0", d), Detail::Statements),
            (&|d| frontend(b'P', b"\0CANARY\0\0\0", d), Detail::Statements),
        ];
        for (trace, level) in cases {
            for detail in [Detail::Shape, Detail::Statements, Detail::Rows] {
                let line = trace(detail);
                assert_eq!(line.contains("CANARY"), detail >= level, "{line}");
                assert!(!line.contains("malformed") && !line.contains("left"), "{line}");
            }
        }
    }

    // trap X-26
    #[test]
    fn secrets_appear_at_no_level() {
        for detail in [Detail::Shape, Detail::Statements, Detail::Rows] {
            for line in [
                frontend(b'p', b"CANARY\0", detail),
                backend(b'R', b"\0\0\0\x05CANA", detail),
                backend(b'R', b"\0\0\0\x0bCANARY", detail),
                backend(b'R', b"\0\0\0\x0cCANARY", detail),
                backend(b'K', b"\0\0\0\x01CANARY", detail),
                Trace::startup(b"\x04\xd2\x16\x2e\0\0\0\x01CANARY", detail).to_string(),
            ] {
                assert!(!line.contains("CANA") && line.contains("<hidden>"), "{line}");
            }
        }
    }

    #[test]
    fn line_is_one_line_whatever_the_text_holds() {
        let line = frontend(b'Q', b"a\nb\rc\td\x1b[0m\xff\xc2\x85\0", Detail::Rows);
        assert_eq!(line, "F\t19\tQuery\t \"a\\x0ab\\x0dc\\x09d\\x1b[0m\\xff\\x85\"");
    }

    #[test]
    fn malformed_frames_are_shown_as_far_as_they_go() {
        assert_eq!(backend(b'Z', b"", Detail::Shape), "B\t4\tReadyForQuery");
        assert_eq!(backend(b'Z', b"IX", Detail::Shape), "B\t6\tReadyForQuery\t I <1 bytes left>");
        assert_eq!(
            backend(b't', b"\0\x02\0\0\0\x17", Detail::Shape),
            "B\t10\tParameterDescription\t 2 23 <malformed at byte 6>"
        );
        assert_eq!(backend(b'?', b"abc", Detail::Rows), "B\t7\tUnknown ?\t <3 bytes>");
        assert_eq!(frontend(0, b"", Detail::Rows), "F\t4\tUnknown \\x00\t <0 bytes>");
    }
}
