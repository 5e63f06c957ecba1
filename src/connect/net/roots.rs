//! Trusted root certificates: from `sslrootcert`, the default file, or the operating system.

use std::io;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};
use x509_cert::{Certificate, Version};

use super::{OpenFailure, name};
use crate::connect::conninfo::{RootCertificates, SslMode, TlsSettings};

/// Certificates that are trusted, in the two forms that checks need.
#[derive(Debug)]
pub(super) struct Roots {
    /// As trust anchors.
    pub(super) store: RootCertStore,
    /// As they are.
    pub(super) certificates: Vec<CertificateDer<'static>>,
}

impl Roots {
    /// Loads what the settings name. `None` means that certificates are not checked.
    ///
    /// A root file that exists is used in every mode, as in libpq: `require` with one acts like
    /// `verify-ca`. Unlike libpq, a file that the user names and that is missing is an error
    /// from `require` on: who names it expects a check.
    ///
    /// # Errors
    /// A file that is needed and missing, or cannot be read, or holds no certificate.
    pub(super) fn load(settings: &TlsSettings) -> Result<Option<Self>, OpenFailure> {
        match &settings.root {
            RootCertificates::System => system().map(Some),
            RootCertificates::File(path) => {
                file(path, settings.mode >= SslMode::Require, settings.mode)
            }
            RootCertificates::DefaultFile(path) => {
                file(path, settings.mode >= SslMode::VerifyCa, settings.mode)
            }
        }
    }

    /// Gathers certificates; `None` when there are none, or none can be understood.
    ///
    /// Only those that may sign become trust anchors: a server certificate in the file vouches for
    /// itself alone.
    fn collect(certificates: Vec<CertificateDer<'static>>) -> Option<Self> {
        let parsed: Vec<_> = certificates.iter().map(|der| name::parse(der)).collect();
        if parsed.iter().all(Option::is_none) {
            return None;
        }
        let authorities = certificates
            .iter()
            .zip(&parsed)
            .filter(|(_, parsed)| parsed.as_ref().is_some_and(may_sign))
            .map(|(der, _)| der.clone());
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(authorities);
        Some(Self { store, certificates })
    }
}

/// Whether a certificate is of the version without extensions.
pub(super) fn is_version_1(certificate: &Certificate) -> bool {
    certificate.tbs_certificate().version() == Version::V1
}

/// Whether a certificate may sign others, by OpenSSL's rule: its basic constraints say so; without
/// any its key usage must; one of version 1, which can say neither, must be self-signed.
pub(super) fn may_sign(certificate: &Certificate) -> bool {
    let tbs = certificate.tbs_certificate();
    if is_version_1(certificate) {
        return tbs.subject() == tbs.issuer();
    }
    let usage = match tbs.get_extension::<KeyUsage>() {
        Ok(usage) => usage.map(|(_, usage)| usage.key_cert_sign()),
        Err(_) => Some(false),
    };
    match tbs.get_extension::<BasicConstraints>() {
        Ok(Some((_, constraints))) => constraints.ca && usage.unwrap_or(true),
        Ok(None) => usage.unwrap_or(false),
        Err(_) => false,
    }
}

/// Loads the operating system's trust store.
fn system() -> Result<Roots, OpenFailure> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "part of the system's trust store cannot be used");
    }
    Roots::collect(found.certs).ok_or_else(|| OpenFailure::Config {
        text: "sslrootcert=system: the operating system has no trusted certificates".to_owned(),
        hint: Some(
            "Install the package ca-certificates, or name a file in sslrootcert.".to_owned(),
        ),
    })
}

/// Loads a PEM file.
fn file(path: &Path, needed: bool, mode: SslMode) -> Result<Option<Roots>, OpenFailure> {
    let certificates =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let name = path.display();
    match certificates {
        Ok(certificates) => match Roots::collect(certificates) {
            Some(roots) => Ok(Some(roots)),
            None => Err(OpenFailure::Config {
                text: format!("root certificate file \"{name}\" holds no certificate"),
                hint: Some("It must be a PEM file.".to_owned()),
            }),
        },
        Err(error) if is_missing(&error) && !needed => Ok(None),
        Err(error) if is_missing(&error) => Err(OpenFailure::Config {
            text: format!(
                "root certificate file \"{name}\" does not exist, but sslmode={mode} needs it"
            ),
            hint: Some(
                "Put the certificate of the server's authority there, or name its file in \
                 sslrootcert, or use sslrootcert=system."
                    .to_owned(),
            ),
        }),
        Err(error) => Err(OpenFailure::Config {
            text: format!("root certificate file \"{name}\" cannot be read: {error}"),
            hint: None,
        }),
    }
}

/// Whether a file is not there, or has no name.
pub(super) fn is_missing(error: &rustls::pki_types::pem::Error) -> bool {
    use rustls::pki_types::pem::Error;
    matches!(
        error,
        Error::Io(reason)
            if matches!(reason.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
    )
}
