//! Certificates for a throwaway cluster, made with the `openssl` program.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::account::Account;
use crate::{install, process};

/// Certificates and keys of a cluster that serves TLS, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authority that signed the server's and the client's certificate.
    pub ca_cert: PathBuf,
    /// An authority that signed nothing here.
    pub other_ca_cert: PathBuf,
    /// The server's certificate: `localhost` and 127.0.0.1.
    pub server_cert: PathBuf,
    /// The server's key.
    pub server_key: PathBuf,
    /// A client's certificate for the user `postgres`.
    pub client_cert: PathBuf,
    /// That client's key, readable by us only.
    pub client_key: PathBuf,
}

/// Makes an authority, a server and a client certificate in a directory.
///
/// # Errors
/// When `openssl` cannot be had or fails.
pub(super) fn make(dir: &Path, account: Account) -> Result<TlsFiles> {
    install::ensure_openssl()?;
    let path = |name: &str| dir.join(name);
    authority(&path("ca.crt"), &path("ca.key"), "/CN=testbed authority")?;
    authority(&path("other-ca.crt"), &path("other-ca.key"), "/CN=unrelated authority")?;
    let names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
    leaf(dir, "server", "/CN=localhost", names)?;
    leaf(dir, "client", "/CN=postgres", "extendedKeyUsage=clientAuth")?;
    account.own(&path("server.key"))?;
    Ok(TlsFiles {
        ca_cert: path("ca.crt"),
        other_ca_cert: path("other-ca.crt"),
        server_cert: path("server.crt"),
        server_key: path("server.key"),
        client_cert: path("client.crt"),
        client_key: path("client.key"),
    })
}

/// Makes a self-signed authority.
fn authority(cert: &Path, key: &Path, subject: &str) -> Result<()> {
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    command.args(["-nodes", "-days", "30", "-subj", subject, "-sha256"]);
    command.args(["-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
    command.arg("-keyout").arg(key).arg("-out").arg(cert);
    process::run_ok(&mut command, None).context("make a certificate authority")?;
    private(key)
}

/// Makes a certificate `<name>.crt` with key `<name>.key`, signed by `ca.crt`.
fn leaf(dir: &Path, name: &str, subject: &str, extension: &str) -> Result<()> {
    let file = |suffix: &str| dir.join(format!("{name}.{suffix}"));
    let mut request = Command::new("openssl");
    request.args(["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    request.args(["-nodes", "-subj", subject, "-sha256"]);
    request.arg("-keyout").arg(file("key")).arg("-out").arg(file("csr"));
    process::run_ok(&mut request, None).context("ask for a certificate")?;
    fs::write(file("ext"), extension).context("write certificate extensions")?;
    let mut sign = Command::new("openssl");
    sign.args(["x509", "-req", "-days", "30", "-sha256", "-CAcreateserial", "-in"]);
    sign.arg(file("csr")).arg("-CA").arg(dir.join("ca.crt"));
    sign.arg("-CAkey").arg(dir.join("ca.key")).arg("-extfile").arg(file("ext"));
    sign.arg("-out").arg(file("crt"));
    process::run_ok(&mut sign, None).context("sign a certificate")?;
    private(&file("key"))
}

/// Lets only the owner read a key, as libpq and the server demand.
fn private(key: &Path) -> Result<()> {
    fs::set_permissions(key, Permissions::from_mode(0o600))
        .with_context(|| format!("set the permissions of {}", key.display()))
}
