//! Channel binding data of kind `tls-server-end-point`: a hash of the server's certificate.
//!
//! Source: RFC 5929 section 4.1.

use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use x509_cert::AlgorithmIdentifier;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Header, Reader as _, SliceReader};

use super::name;

/// Signature with the hash inside the parameters.
const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");

/// Tag of the hash algorithm in the parameters of RSASSA-PSS: context-specific, constructed, 0.
const PSS_HASH_TAG: u8 = 0xa0;

/// The binding data for a certificate in DER form; `None` when its signature algorithm does not say
/// which hash to use, for which the RFC defines no binding.
pub(super) fn server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let parsed = name::parse(certificate)?;
    let algorithm = hash_of(parsed.signature_algorithm())?;
    Some(digest(algorithm, certificate).as_ref().to_vec())
}

/// The hash for a signature algorithm: its own, SHA-256 in place of MD5 and SHA-1.
fn hash_of(signature: &AlgorithmIdentifier) -> Option<&'static Algorithm> {
    if signature.oid == RSASSA_PSS {
        return hash_of_pss(signature);
    }
    Some(match signature.oid.to_string().as_str() {
        // md5WithRSAEncryption, sha1WithRSAEncryption, the same by OIW, ecdsa-with-SHA1,
        // dsa-with-sha1.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.3.14.3.2.29"
        | "1.2.840.10045.4.1"
        | "1.2.840.10040.4.3" => &SHA256,
        // sha256WithRSAEncryption, ecdsa-with-SHA256, dsa-with-sha256.
        "1.2.840.113549.1.1.11" | "1.2.840.10045.4.3.2" | "2.16.840.1.101.3.4.3.2" => &SHA256,
        // sha384WithRSAEncryption, ecdsa-with-SHA384, dsa-with-sha384.
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" | "2.16.840.1.101.3.4.3.3" => &SHA384,
        // sha512WithRSAEncryption, ecdsa-with-SHA512, dsa-with-sha512.
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" | "2.16.840.1.101.3.4.3.4" => &SHA512,
        _ => return None,
    })
}

/// The hash in the parameters of RSASSA-PSS; SHA-1 is its default.
/// Source: RFC 4055 section 3.1.
fn hash_of_pss(signature: &AlgorithmIdentifier) -> Option<&'static Algorithm> {
    let parameters = signature.parameters.as_ref()?.value();
    if parameters.first() != Some(&PSS_HASH_TAG) {
        return Some(&SHA256);
    }
    let mut reader = SliceReader::new(parameters).ok()?;
    let header = Header::decode(&mut reader).ok()?;
    let hash = AlgorithmIdentifier::from_der(reader.read_slice(header.length()).ok()?).ok()?;
    match hash.oid.to_string().as_str() {
        // SHA-1, SHA-256.
        "1.3.14.3.2.26" | "2.16.840.1.101.3.4.2.1" => Some(&SHA256),
        "2.16.840.1.101.3.4.2.2" => Some(&SHA384),
        "2.16.840.1.101.3.4.2.3" => Some(&SHA512),
        _ => None,
    }
}
