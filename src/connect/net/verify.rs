//! Checks of the server's certificate, by libpq's rules instead of a browser's.
//!
//! | `sslmode` | chain | host name |
//! |---|---|---|
//! | allow, prefer, require | only when a root file exists | no |
//! | verify-ca | yes | no |
//! | verify-full | yes | yes, see [`name`] |
//!
//! Two kinds of certificates that PostgreSQL's manual teaches people to make, and that the usual
//! verifier refuses, are accepted: a self-signed server certificate that is itself in the root
//! file, and an X.509 version 1 certificate (what `openssl x509 -req` makes before OpenSSL 3.2)
//! signed directly by a trusted root.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{
    CertificateDer, ServerName, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error as RustlsError, OtherError, SignatureScheme,
};
use x509_cert::der::{Encode as _, EncodeValue as _};
use x509_cert::{AlgorithmIdentifier, Certificate, SubjectPublicKeyInfo};

use super::name;
use super::roots::{Roots, is_version_1, may_sign};

/// What only our rules can find wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum VerifyError {
    /// The certificate is for other hosts.
    #[error("server certificate is for {}, not for \"{host}\"", listed(.names))]
    OtherHost {
        /// The host that was wanted.
        host: String,
        /// The names in the certificate.
        names: Vec<String>,
    },
    /// A version 1 certificate that no trusted root has signed.
    #[error("server certificate is not signed by a trusted root (X.509 version 1, no chain)")]
    UnknownIssuer,
    /// The certificate cannot be taken apart.
    #[error("server certificate cannot be understood")]
    Unreadable,
}

/// Names for a message.
fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "no host".to_owned();
    }
    let quoted: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
    quoted.join(", ")
}

impl From<VerifyError> for RustlsError {
    fn from(error: VerifyError) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
    }
}

/// Checks server certificates.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    /// What is trusted; `None` trusts everything.
    pub(super) roots: Option<Roots>,
    /// The host that the certificate must be for; `None` takes any.
    pub(super) host: Option<String>,
    /// Signature algorithms.
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ServerVerifier {
    /// Checks that a trusted root stands behind a certificate.
    fn check_chain(
        &self,
        roots: &Roots,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), RustlsError> {
        let parsed = name::parse(certificate);
        if roots.certificates.iter().any(|root| root.as_ref() == certificate.as_ref()) {
            return check_time(&parsed.ok_or(VerifyError::Unreadable)?, now);
        }
        if let Some(old) = parsed.filter(is_version_1) {
            return self.check_version_1(roots, &old, now);
        }
        let certificate = ParsedCertificate::try_from(certificate)?;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &roots.store,
            intermediates,
            now,
            self.algorithms.all,
        )
    }

    /// Checks a version 1 certificate: in time, and signed by a trusted root that may sign.
    fn check_version_1(
        &self,
        roots: &Roots,
        certificate: &Certificate,
        now: UnixTime,
    ) -> Result<(), RustlsError> {
        check_time(certificate, now)?;
        let issuer = certificate.tbs_certificate().issuer();
        let signed_by = |root: &Certificate| {
            root.tbs_certificate().subject() == issuer
                && may_sign(root)
                && check_time(root, now).is_ok()
                && self.has_signed(root, certificate).is_some()
        };
        let mut candidates = roots.certificates.iter().filter_map(|root| name::parse(root));
        if candidates.any(|root| signed_by(&root)) {
            Ok(())
        } else {
            Err(VerifyError::UnknownIssuer.into())
        }
    }

    /// `Some` when the key in `root` has made the signature of `certificate`.
    fn has_signed(&self, root: &Certificate, certificate: &Certificate) -> Option<()> {
        let message = certificate.tbs_certificate().to_der().ok()?;
        let signature = certificate.signature().as_bytes()?;
        let signature_algorithm = algorithm_bytes(certificate.signature_algorithm())?;
        let key = root.tbs_certificate().subject_public_key_info();
        let usable = |algorithm: &&&dyn SignatureVerificationAlgorithm| {
            algorithm.signature_alg_id().as_ref() == signature_algorithm
        };
        verified(self.algorithms.all.iter().filter(usable), key, &message, signature)
    }

    /// Checks that a certificate is for the wanted host.
    fn check_host(&self, certificate: &CertificateDer<'_>) -> Result<(), RustlsError> {
        let Some(host) = &self.host else { return Ok(()) };
        let parsed = name::parse(certificate).ok_or(VerifyError::Unreadable)?;
        name::check(&parsed, host)
            .map_err(|names| VerifyError::OtherHost { host: host.clone(), names }.into())
    }

    /// Checks the handshake signature of a certificate that the usual way cannot read.
    fn check_signature_1_2(
        &self,
        message: &[u8],
        certificate: &Certificate,
        signed: &DigitallySignedStruct,
    ) -> Option<()> {
        let key = certificate.tbs_certificate().subject_public_key_info();
        let (_, algorithms) =
            self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme)?;
        verified(algorithms.iter(), key, message, signed.signature())
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, RustlsError> {
        if let Some(roots) = &self.roots {
            self.check_chain(roots, end_entity, intermediates, now)?;
            self.check_host(end_entity)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        match name::parse(cert).filter(is_version_1) {
            None => verify_tls12_signature(message, cert, dss, &self.algorithms),
            Some(old) => self
                .check_signature_1_2(message, &old, dss)
                .map(|()| HandshakeSignatureValid::assertion())
                .ok_or(RustlsError::InvalidCertificate(CertificateError::BadSignature)),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        let Some(old) = name::parse(cert).filter(is_version_1) else {
            return verify_tls13_signature(message, cert, dss, &self.algorithms);
        };
        let key = old.tbs_certificate().subject_public_key_info().to_der();
        let key = SubjectPublicKeyInfoDer::from(key.map_err(|_| VerifyError::Unreadable)?);
        verify_tls13_signature_with_raw_key(message, &key, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Checks that a certificate is valid now.
fn check_time(certificate: &Certificate, now: UnixTime) -> Result<(), RustlsError> {
    let now = Duration::from_secs(now.as_secs());
    let validity = certificate.tbs_certificate().validity();
    if now < validity.not_before.to_unix_duration() {
        return Err(RustlsError::InvalidCertificate(CertificateError::NotValidYet));
    }
    if now > validity.not_after.to_unix_duration() {
        return Err(RustlsError::InvalidCertificate(CertificateError::Expired));
    }
    Ok(())
}

/// `Some` when one of the algorithms that fit the key accepts the signature.
fn verified<'a>(
    mut algorithms: impl Iterator<Item = &'a &'static dyn SignatureVerificationAlgorithm>,
    key: &SubjectPublicKeyInfo,
    message: &[u8],
    signature: &[u8],
) -> Option<()> {
    let key_algorithm = algorithm_bytes(&key.algorithm)?;
    let key_bits = key.subject_public_key.as_bytes()?;
    algorithms
        .any(|algorithm| {
            algorithm.public_key_alg_id().as_ref() == key_algorithm
                && algorithm.verify_signature(key_bits, message, signature).is_ok()
        })
        .then_some(())
}

/// An algorithm identifier in DER form, without its outermost tag and length.
fn algorithm_bytes(algorithm: &AlgorithmIdentifier) -> Option<Vec<u8>> {
    let der = algorithm.to_der().ok()?;
    let length = usize::try_from(algorithm.value_len().ok()?).ok()?;
    der.len().checked_sub(length).and_then(|start| der.get(start..)).map(<[u8]>::to_vec)
}
