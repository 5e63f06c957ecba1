//! Whether a certificate was made out to a host, by libpq's rules.
//!
//! - Subject alternative names count first: `dNSName` against the host as text, `iPAddress` against
//!   the host as an address.
//! - The common name counts only when there is no `dNSName` (for an address: no `iPAddress`).
//! - `*.` at the start of a name stands for exactly one label.
//!
//! Source: <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBQ-SSL-CERTIFICATES>.

use std::net::IpAddr;

use x509_cert::Certificate;
use x509_cert::der::asn1::{BmpString, ObjectIdentifier};
use x509_cert::der::{Decode as _, Tag, Tagged as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// `id-at-commonName`.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// Whether a certificate is for a host. When it is not, the error lists the names it is for.
pub(super) fn check(certificate: &Certificate, host: &str) -> Result<(), Vec<String>> {
    let address: Option<IpAddr> = host.parse().ok();
    let tbs = certificate.tbs_certificate();
    let alternatives = match tbs.get_extension::<SubjectAltName>() {
        Ok(Some((_, SubjectAltName(names)))) => names,
        Ok(None) | Err(_) => Vec::new(),
    };
    let mut names = Vec::new();
    let mut use_common_name = true;
    for alternative in alternatives {
        match alternative {
            GeneralName::DnsName(name) => {
                use_common_name &= address.is_some();
                if matches_name(name.as_str(), host) {
                    return Ok(());
                }
                names.push(name.as_str().to_owned());
            }
            GeneralName::IpAddress(bytes) => {
                use_common_name &= address.is_none();
                let known = address_of(bytes.as_bytes());
                if known.is_some() && known == address {
                    return Ok(());
                }
                names.extend(known.map(|address| address.to_string()));
            }
            _ => {}
        }
    }
    if use_common_name {
        for name in common_names(certificate) {
            if matches_name(&name, host) {
                return Ok(());
            }
            names.push(name);
        }
    }
    Err(names)
}

/// Whether a name in a certificate covers a host.
fn matches_name(name: &str, host: &str) -> bool {
    // A name with a zero byte is an attempt to fool programs that stop reading there.
    if name.contains('\0') {
        return false;
    }
    if name.eq_ignore_ascii_case(host) {
        return true;
    }
    let Some(suffix) = name.strip_prefix('*').filter(|rest| rest.starts_with('.')) else {
        return false;
    };
    let Some(split) = host.len().checked_sub(suffix.len()) else { return false };
    match (host.get(..split), host.get(split..)) {
        (Some(label), Some(rest)) => {
            !label.is_empty() && !label.contains('.') && rest.eq_ignore_ascii_case(suffix)
        }
        _ => false,
    }
}

/// An address out of an `iPAddress` name.
fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(v4));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

/// The common names of a certificate's subject, in the string forms that occur.
fn common_names(certificate: &Certificate) -> Vec<String> {
    let subject = certificate.tbs_certificate().subject();
    subject
        .iter()
        .filter(|attribute| attribute.oid == COMMON_NAME)
        .filter_map(|attribute| {
            let value = &attribute.value;
            match value.tag() {
                Tag::Utf8String | Tag::PrintableString | Tag::Ia5String => {
                    String::from_utf8(value.value().to_vec()).ok()
                }
                // Read as Latin-1, as everybody does.
                Tag::TeletexString => Some(value.value().iter().map(|b| char::from(*b)).collect()),
                Tag::BmpString => {
                    BmpString::from_ucs2(value.value().to_vec()).ok().map(|text| text.to_string())
                }
                _ => None,
            }
        })
        .collect()
}

/// Takes a certificate apart.
pub(super) fn parse(der: &[u8]) -> Option<Certificate> {
    Certificate::from_der(der).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_libpq() {
        let cases = [
            ("db.example.com", "db.example.com", true),
            ("DB.example.COM", "db.EXAMPLE.com", true),
            ("db.example.com", "db2.example.com", false),
            ("*.example.com", "db.example.com", true),
            ("*.Example.com", "db.exAmple.com", true),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*", "db", false),
            ("*example.com", "dbexample.com", false),
            ("d*.example.com", "db.example.com", false),
            ("db.example.com\0.evil.org", "db.example.com", false),
            ("*.com", "é.com", true),
            ("*.0.0.1", "127.0.0.1", true),
            ("", "", true),
        ];
        for (name, host, expected) in cases {
            assert_eq!(matches_name(name, host), expected, "{name:?} {host:?}");
        }
    }
}
