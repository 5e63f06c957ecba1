//! The client's own certificate and key: `sslcert` and `sslkey`.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error as RustlsError, InconsistentKeys};
use zeroize::Zeroizing;

use super::{OpenFailure, roots};
use crate::connect::conninfo::TlsSettings;

/// Loads the client's certificate and key; `None` when there is no certificate file, which is not
/// an error, as in libpq: the server decides whether it needs one.
///
/// # Errors
/// A certificate that cannot be read; a key that is missing, readable by others, encrypted,
/// unusable, or of another certificate.
pub(super) fn load(
    settings: &TlsSettings,
    provider: &CryptoProvider,
) -> Result<Option<CertifiedKey>, OpenFailure> {
    let (Some(certificate), Some(key)) = (&settings.certificate, &settings.key) else {
        return Ok(None);
    };
    let chain = match CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
    {
        Ok(chain) if chain.is_empty() => {
            return Err(config(certificate, "client certificate file", "holds no certificate"));
        }
        Ok(chain) => chain,
        Err(error) if roots::is_missing(&error) => return Ok(None),
        Err(error) => {
            let problem = format!("cannot be read: {error}");
            return Err(config(certificate, "client certificate file", &problem));
        }
    };
    let problem = |problem: &str| config(key, "private key file", problem);
    let signer = provider
        .key_provider
        .load_private_key(read_key(key)?)
        .map_err(|error| problem(&format!("cannot be used: {error}")))?;
    let pair = CertifiedKey::new(chain, signer);
    // Other outcomes are for the server to judge: old certificates cannot be compared here.
    if let Err(RustlsError::InconsistentKeys(InconsistentKeys::KeyMismatch)) = pair.keys_match() {
        let text = format!("does not belong to the certificate in \"{}\"", certificate.display());
        return Err(problem(&text));
    }
    Ok(Some(pair))
}

/// Reads a private key in PEM (PKCS#8, PKCS#1, SEC1) or DER form.
fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, OpenFailure> {
    let problem = |problem: &str| config(path, "private key file", problem);
    let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => problem("does not exist, but there is a client certificate"),
        _ => problem(&format!("cannot be read: {error}")),
    })?;
    check_permissions(&metadata).map_err(problem)?;
    let bytes = std::fs::read(path)
        .map(Zeroizing::new)
        .map_err(|error| problem(&format!("cannot be read: {error}")))?;
    if is_encrypted(&bytes) {
        return Err(OpenFailure::Config {
            text: format!(
                "private key file \"{}\" is encrypted, which is not supported",
                path.display()
            ),
            hint: Some(
                "Write it without a passphrase with `openssl pkey -in KEY -out PLAIN`, give that \
                 file permissions 0600, and name it in sslkey."
                    .to_owned(),
            ),
        });
    }
    match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => Ok(key),
        Err(_) => PrivateKeyDer::try_from(bytes.as_slice())
            .map(|key| key.clone_key())
            .map_err(|_| problem("holds no private key in PEM or DER form")),
    }
}

/// Whether a PEM file holds a key under a passphrase, in the new or the old form.
fn is_encrypted(bytes: &[u8]) -> bool {
    let marks: [&[u8]; 2] = [b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"Proc-Type: 4,ENCRYPTED"];
    marks.iter().any(|mark| memchr::memmem::find(bytes, mark).is_some())
}

/// Checks that nobody else can read a key, by libpq's rule: 0600 or less when owned by the user, 0640
/// or less when owned by root (a group may then share it).
fn check_permissions(metadata: &Metadata) -> Result<(), &'static str> {
    if !metadata.is_file() {
        return Err("is not a plain file");
    }
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.permissions().mode() & forbidden != 0 {
        return Err(
            "has group or world access; permissions must be u=rw (0600) or less if owned by the \
             current user, or u=rw,g=r (0640) or less if owned by root",
        );
    }
    Ok(())
}

/// An error about a file.
fn config(path: &Path, what: &str, problem: &str) -> OpenFailure {
    OpenFailure::Config { text: format!("{what} \"{}\" {problem}", path.display()), hint: None }
}
