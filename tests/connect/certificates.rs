//! Certificates of many kinds, made with `openssl` the way PostgreSQL's manual makes them.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use testbed::Cluster;

/// A directory of certificates, with one authority.
pub(crate) struct Workshop {
    directory: tempfile::TempDir,
}

/// Who signs a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signer {
    /// Itself.
    Own,
    /// The authority.
    Authority,
    /// An authority below the authority; its certificate is put behind the server's.
    Intermediate,
    /// A certificate of this name that is no authority.
    Leaf(&'static str),
}

/// What a certificate looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind<'a> {
    /// Name of its files.
    pub(crate) name: &'a str,
    /// Common name.
    pub(crate) common_name: &'a str,
    /// Lines of extensions; empty for none, which makes a version 1 certificate before OpenSSL 3.2.
    pub(crate) extensions: &'a str,
    /// Who signs it.
    pub(crate) signer: Signer,
    /// Days until it expires.
    pub(crate) days: i32,
    /// Further words for openssl, as `-sha384`.
    pub(crate) options: &'a [&'a str],
}

impl Workshop {
    /// Makes the authorities.
    pub(crate) fn open() -> Result<Self> {
        let workshop = Self { directory: tempfile::tempdir()? };
        // The server's account must reach the files.
        std::fs::set_permissions(
            workshop.directory.path(),
            std::fs::Permissions::from_mode(0o755),
        )?;
        let root = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"];
        // The impostor has the name of the root, and another key.
        for (name, subject) in [("root", "root"), ("other", "other"), ("impostor", "root")] {
            let (key, certificate) = (workshop.file(name, "key"), workshop.file(name, "crt"));
            openssl(|command| {
                command.args(root).args(["-subj", &format!("/CN={subject} authority")]);
                command.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
            })?;
        }
        workshop.make(Kind {
            name: "intermediate",
            common_name: "intermediate authority",
            extensions: "basicConstraints=critical,CA:TRUE",
            signer: Signer::Authority,
            days: 30,
            options: &[],
        })?;
        Ok(workshop)
    }

    /// Path of a file.
    pub(crate) fn file(&self, name: &str, suffix: &str) -> PathBuf {
        self.directory.path().join(format!("{name}.{suffix}"))
    }

    /// Makes a certificate and its key.
    pub(crate) fn make(&self, kind: Kind<'_>) -> Result<()> {
        let file = |suffix| self.file(kind.name, suffix);
        openssl(|command| {
            command.args(["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj"]);
            command.arg(format!("/CN={}", kind.common_name));
            command.arg("-keyout").arg(file("key")).arg("-out").arg(file("csr"));
        })?;
        std::fs::write(file("ext"), kind.extensions)?;
        openssl(|command| {
            command.args(["x509", "-req", "-days", &kind.days.to_string()]).args(kind.options);
            command.arg("-in").arg(file("csr")).arg("-out").arg(file("crt"));
            match kind.signer {
                Signer::Own => command.arg("-signkey").arg(file("key")),
                Signer::Authority => self.signed_by(command, "root"),
                Signer::Intermediate => self.signed_by(command, "intermediate"),
                Signer::Leaf(name) => self.signed_by(command, name),
            };
            if !kind.extensions.is_empty() {
                command.arg("-extfile").arg(file("ext"));
            }
        })?;
        if kind.signer == Signer::Intermediate {
            let mut chain = std::fs::read(file("crt"))?;
            chain.extend(std::fs::read(self.file("intermediate", "crt"))?);
            std::fs::write(file("crt"), chain)?;
        }
        Ok(())
    }

    /// Adds who signs.
    fn signed_by<'a>(&self, command: &'a mut Command, name: &str) -> &'a mut Command {
        command.arg("-CA").arg(self.file(name, "crt"));
        command.arg("-CAkey").arg(self.file(name, "key")).arg("-CAcreateserial")
    }

    /// Makes a server use a certificate; new connections see it.
    pub(crate) fn install(&self, cluster: &Cluster, name: &str) -> Result<()> {
        let key = self.file(name, "key");
        let owner = std::fs::metadata(cluster.data_dir())?;
        std::os::unix::fs::chown(&key, Some(owner.uid()), Some(owner.gid()))?;
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600))?;
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let sql = format!(
            "alter system set ssl_cert_file = '{}'; alter system set ssl_key_file = '{}'",
            text(self.file(name, "crt")),
            text(key)
        );
        cluster.psql("postgres", &sql)?;
        cluster.reload()
    }
}

/// Runs openssl.
pub(crate) fn openssl(arguments: impl FnOnce(&mut Command)) -> Result<()> {
    let mut command = Command::new("openssl");
    arguments(&mut command);
    let output = command.output()?;
    let message = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {message}");
    Ok(())
}

/// Writes a private key in another form.
pub(crate) fn convert_key(from: &Path, to: &Path, arguments: &[&str]) -> Result<()> {
    openssl(|command| {
        command.args(arguments).arg("-in").arg(from).arg("-out").arg(to);
    })?;
    Ok(std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o600))?)
}
