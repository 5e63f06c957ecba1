//! What the tests of this binary share.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Result, anyhow};
use pgcopydb::base::error::{Error, Side};
use pgcopydb::connect::client::Session;
use pgcopydb::connect::conninfo::{ConnInfo, Environment};
use testbed::{Cluster, ClusterOptions, Installation, Major};

/// Which users may do what over which transport, on top of the testbed's rules.
const HBA: [&str; 10] = [
    "hostnossl all tls_only all reject",
    "hostssl all plain_only all reject",
    "hostssl all certified all cert",
    "host all certified all reject",
    "host all scram_user all scram-sha-256",
    "host all token_user all scram-sha-256",
    "host all md5_user all md5",
    "host all password_user all password",
    "host all all ::1/128 trust",
    "host all all 127.0.0.1/32 trust",
];

/// Roles of [`HBA`], all with the password `s3cret`.
const ROLES: &str = "
    create role tls_only login; create role plain_only login; create role certified login;
    create role scram_user login password 's3cret';
    create role token_user login password 'first';
    create role password_user login password 's3cret';
    set password_encryption = 'md5'; create role md5_user login password 's3cret';
    reset password_encryption;
    create role \"me@azure.com\" login password 's3cret';
    grant all on database postgres to public";

/// The cluster with TLS that the tests of this binary share; nobody changes its settings.
pub(crate) fn tls_cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| start_tls_cluster().unwrap_or_else(|error| panic!("{error:#}")))
}

/// Starts a cluster with TLS and the rules of [`HBA`].
pub(crate) fn start_tls_cluster() -> Result<Cluster> {
    let mut options = ClusterOptions::default().tls().setting("listen_addresses", "127.0.0.1,::1");
    for line in HBA {
        options = options.hba(line);
    }
    let cluster = Cluster::start(&Installation::find(Major::V15)?, options)?;
    cluster.psql("postgres", ROLES)?;
    Ok(cluster)
}

/// An environment with a home directory of its own and nothing else, for us and for psql.
pub(crate) struct Home {
    directory: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Home {
    /// An empty home directory.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { directory: tempfile::tempdir()?, variables: Vec::new() })
    }

    /// Sets a variable.
    pub(crate) fn variable(&mut self, name: &'static str, value: impl Into<String>) {
        self.variables.push((name, value.into()));
    }

    /// Path of a file in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file that only its owner can read, directories included.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, content)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(path)
    }

    /// Copies a file to a name in the directory, readable by its owner only.
    pub(crate) fn copy(&self, from: &Path, name: &str) -> Result<PathBuf> {
        self.write(name, std::fs::read(from)?)
    }

    /// Parses a connection string in this environment.
    pub(crate) fn parse(&self, text: &str) -> Result<ConnInfo> {
        let environment = Environment::empty()
            .with_user("postgres")
            .with_home(self.directory.path())
            .with_variables(self.variables.iter().cloned());
        Ok(ConnInfo::parse(text, &environment)?)
    }

    /// Opens a session.
    pub(crate) async fn connect(&self, text: &str) -> Result<Session> {
        let info = self.parse(text)?;
        Session::connect(Side::Source, &info, "test").await.map_err(describe)
    }

    /// Opens a session and asks it one question.
    pub(crate) async fn ask(&self, text: &str, question: &str) -> Result<String> {
        let mut session = self.connect(text).await?;
        let rows = session.query(question, &[]).await.map_err(describe)?;
        Ok(rows.one()?.text(0)?.to_owned())
    }

    /// Asks the same question through psql.
    pub(crate) fn ask_psql(&self, text: &str, question: &str) -> Result<String> {
        let mut command = Command::new("psql");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.env("HOME", self.directory.path()).env("PGUSER", "postgres");
        // PGPASSFILE and the TLS files would otherwise be those of the account, not of HOME.
        command.env("PGPASSFILE", self.path(".pgpass"));
        command.env("PGSERVICEFILE", self.path(".pg_service.conf"));
        command.env("PGSSLROOTCERT", self.path(".postgresql/root.crt"));
        command.env("PGSSLCERT", self.path(".postgresql/postgresql.crt"));
        command.env("PGSSLKEY", self.path(".postgresql/postgresql.key"));
        command.envs(self.variables.iter().cloned());
        command.args(["-X", "-w", "-A", "-t", "-c", question, "-d", text]);
        let output = command.output()?;
        if !output.status.success() {
            return Err(anyhow!("{}", String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// An error with all its lines.
fn describe(error: Error) -> anyhow::Error {
    let mut lines = vec![error.to_string()];
    lines.extend(error.detail_lines());
    anyhow!("{}", lines.join("\n"))
}

/// Asks a session whether TLS protects it.
pub(crate) const TLS_ACTIVE: &str =
    "select ssl from pg_catalog.pg_stat_ssl where pid = pg_catalog.pg_backend_pid()";
