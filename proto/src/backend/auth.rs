//! Authentication messages: `R, Int32 kind, …`.

use crate::error::DecodeError;
use crate::read::Reader;

/// What the server asks for, or says, during authentication.
///
/// `Debug` shows no challenge data.
#[derive(Clone, PartialEq, Eq)]
pub enum AuthenticationRequest<'a> {
    /// 0: authentication has succeeded.
    Ok,
    /// 2: Kerberos V5, no longer sent by any supported server.
    KerberosV5,
    /// 3: send the password as it is.
    CleartextPassword,
    /// 5: send the password hashed with this salt.
    Md5Password {
        /// Four random bytes.
        salt: [u8; 4],
    },
    /// 6: SCM credentials, no longer sent by any supported server.
    ScmCredential,
    /// 7: GSSAPI.
    Gss,
    /// 8: more data for GSSAPI or SSPI.
    GssContinue {
        /// The token.
        data: &'a [u8],
    },
    /// 9: SSPI.
    Sspi,
    /// 10: choose one of these SASL mechanisms.
    Sasl(SaslMechanisms<'a>),
    /// 11: the server's SASL challenge.
    SaslContinue {
        /// The challenge, as the mechanism defines it.
        data: &'a [u8],
    },
    /// 12: the server's last word in the SASL exchange.
    SaslFinal {
        /// The outcome, as the mechanism defines it.
        data: &'a [u8],
    },
    /// A kind that this crate does not know.
    Unknown {
        /// The number that the server sent.
        kind: u32,
    },
}

impl<'a> AuthenticationRequest<'a> {
    /// Decodes the body of a message `R`.
    ///
    /// # Errors
    /// `UnexpectedEnd`, `TrailingBytes`, or `MissingTerminator` in the list of mechanisms.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::named("AuthenticationRequest", body);
        let request = match reader.u32()? {
            0 => Self::Ok,
            2 => Self::KerberosV5,
            3 => Self::CleartextPassword,
            5 => Self::Md5Password { salt: reader.array()? },
            6 => Self::ScmCredential,
            7 => Self::Gss,
            8 => Self::GssContinue { data: reader.rest() },
            9 => Self::Sspi,
            10 => Self::Sasl(SaslMechanisms::read(&mut reader)?),
            11 => Self::SaslContinue { data: reader.rest() },
            12 => Self::SaslFinal { data: reader.rest() },
            kind => {
                reader.rest();
                Self::Unknown { kind }
            }
        };
        reader.finish().map(|()| request)
    }

    /// The method's name for messages and logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ok => "AuthenticationOk",
            Self::KerberosV5 => "Kerberos V5",
            Self::CleartextPassword => "cleartext password",
            Self::Md5Password { .. } => "MD5 password",
            Self::ScmCredential => "SCM credentials",
            Self::Gss | Self::GssContinue { .. } => "GSSAPI",
            Self::Sspi => "SSPI",
            Self::Sasl(_) | Self::SaslContinue { .. } | Self::SaslFinal { .. } => "SASL",
            Self::Unknown { .. } => "unknown",
        }
    }
}

impl std::fmt::Debug for AuthenticationRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sasl(mechanisms) => write!(f, "Sasl({mechanisms:?})"),
            Self::Unknown { kind } => write!(f, "Unknown({kind})"),
            other => f.write_str(other.name()),
        }
    }
}

/// The SASL mechanisms a server offers, in its order of preference.
///
/// *Shape*: zero-terminated names, ended by an empty one. Checked when decoded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SaslMechanisms<'a> {
    list: &'a [u8],
}

impl<'a> SaslMechanisms<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut ahead = reader.clone();
        while !ahead.cstr()?.is_empty() {}
        let length = ahead.offset().saturating_sub(reader.offset());
        let list = reader.bytes(length)?;
        Ok(Self { list })
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut reader = Reader::named("SASL mechanisms", self.list);
        std::iter::from_fn(move || reader.cstr().ok().filter(|name| !name.is_empty()))
    }

    /// Whether `mechanism` is among them.
    #[must_use]
    pub fn contains(&self, mechanism: &str) -> bool {
        self.iter().any(|name| name == mechanism.as_bytes())
    }
}

impl std::fmt::Debug for SaslMechanisms<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(String::from_utf8_lossy)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::DecodeErrorKind;

    #[test]
    fn each_kind_has_its_number() {
        let cases: [(&[u8], AuthenticationRequest<'_>); 9] = [
            (b"\0\0\0\0", AuthenticationRequest::Ok),
            (b"\0\0\0\x02", AuthenticationRequest::KerberosV5),
            (b"\0\0\0\x03", AuthenticationRequest::CleartextPassword),
            (b"\0\0\0\x05abcd", AuthenticationRequest::Md5Password { salt: *b"abcd" }),
            (b"\0\0\0\x07", AuthenticationRequest::Gss),
            (b"\0\0\0\x08tok", AuthenticationRequest::GssContinue { data: b"tok" }),
            (b"\0\0\0\x09", AuthenticationRequest::Sspi),
            (b"\0\0\0\x0br=x", AuthenticationRequest::SaslContinue { data: b"r=x" }),
            (b"\0\0\x01\x00zz", AuthenticationRequest::Unknown { kind: 256 }),
        ];
        for (body, request) in cases {
            assert_eq!(AuthenticationRequest::decode(body), Ok(request));
        }
    }

    #[test]
    fn sasl_lists_its_mechanisms_in_order() {
        let body = b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
        let Ok(AuthenticationRequest::Sasl(mechanisms)) = AuthenticationRequest::decode(body)
        else {
            panic!("not SASL");
        };
        let names: Vec<_> = mechanisms.iter().collect();
        assert_eq!(names, [b"SCRAM-SHA-256-PLUS".as_slice(), b"SCRAM-SHA-256"]);
        assert!(mechanisms.contains("SCRAM-SHA-256"));
        assert!(!mechanisms.contains("SCRAM"));
    }

    #[test]
    fn sasl_list_must_end_with_an_empty_name() {
        for body in
            [b"\0\0\0\x0a".as_slice(), b"\0\0\0\x0aSCRAM-SHA-256", b"\0\0\0\x0aSCRAM-SHA-256\0"]
        {
            let error = AuthenticationRequest::decode(body).unwrap_err();
            assert_eq!(error.kind, DecodeErrorKind::MissingTerminator);
        }
        assert!(AuthenticationRequest::decode(b"\0\0\0\x0a\0x").is_err());
    }

    #[test]
    fn truncated_and_overlong_bodies_are_refused() {
        for body in [b"".as_slice(), b"\0\0\0", b"\0\0\0\x05abc", b"\0\0\0\x05abcde", b"\0\0\0\0x"]
        {
            assert!(AuthenticationRequest::decode(body).is_err(), "{body:?}");
        }
    }
}
