//! Throwaway PostgreSQL servers.
//!
//! A [`Cluster`] owns a directory with data, socket and log. It is stopped and removed when the
//! value is dropped, when its process ends by whatever cause, or at the latest when the next test
//! process starts (see [`home`]).

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::account::Account;
use crate::install::Installation;
use crate::percent;
use crate::process::{self, Output};

mod home;
mod options;
mod standby;
mod tls;

pub use options::ClusterOptions;
pub use tls::TlsFiles;

use home::Home;

/// Name of the superuser of every cluster.
pub const SUPERUSER: &str = "postgres";

/// First of the ports that clusters listen on; below the range that the kernel hands out to
/// outgoing connections, so that a stopped server's port is still free when it starts again.
const PORT_FIRST: u16 = 20_000;

/// Number of ports from [`PORT_FIRST`] on.
const PORT_COUNT: u16 = 12_000;

/// How many ports are tried before a cluster gives up.
const PORT_ATTEMPTS: u32 = 20;

/// Longest time a server may take to start or stop.
const START_SECONDS_MAX: u32 = 120;

/// A throwaway PostgreSQL server.
///
/// Every method takes `&self` and may be called from several threads; stopping and starting while
/// another test uses the cluster disturbs that test, so such tests start a cluster of their own.
#[derive(Debug)]
pub struct Cluster {
    installation: Installation,
    account: Account,
    port: AtomicU16,
    tls: Option<TlsFiles>,
    home: Home,
}

/// How a server is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Ends sessions, writes a checkpoint.
    Fast,
    /// Ends at once, as a crash would; the next start recovers.
    Immediate,
}

impl StopMode {
    /// Name as `pg_ctl --mode` takes it.
    fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Immediate => "immediate",
        }
    }
}

impl Cluster {
    /// Makes and starts a new, empty cluster.
    ///
    /// # Errors
    /// When a program fails (with its output), or the server does not come up (with its log).
    pub fn start(installation: &Installation, options: ClusterOptions) -> Result<Self> {
        let account = Account::find()?;
        let home = Home::create(installation, account)?;
        let mut cluster = Self {
            installation: installation.clone(),
            account,
            port: AtomicU16::new(0),
            tls: None,
            home,
        };
        cluster.initdb(&options)?;
        if options.tls {
            cluster.tls = Some(tls::make(cluster.home.path(), account)?);
        }
        cluster.configure(&options)?;
        cluster.launch_on_free_port()?;
        if let Some(password) = &options.password {
            let password = quote_literal(password);
            cluster.psql(SUPERUSER, &format!("alter role {SUPERUSER} password {password}"))?;
        }
        Ok(cluster)
    }

    /// The programs this cluster runs.
    #[must_use]
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.load(Ordering::Relaxed)
    }

    /// Directory of the unix socket.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        self.home.path()
    }

    /// Data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.home.data()
    }

    /// Certificates and keys, when the cluster was made with [`ClusterOptions::tls`].
    #[must_use]
    pub fn tls(&self) -> Option<&TlsFiles> {
        self.tls.as_ref()
    }

    /// Connection string over TCP, as superuser, without a password.
    #[must_use]
    pub fn uri(&self, database: &str) -> String {
        let database = percent::encode(database);
        format!("postgresql://{SUPERUSER}@127.0.0.1:{}/{database}", self.port())
    }

    /// Connection string over TCP, as somebody else.
    #[must_use]
    pub fn uri_as(&self, user: &str, password: &str, database: &str) -> String {
        let (user, password) = (percent::encode(user), percent::encode(password));
        let database = percent::encode(database);
        format!("postgresql://{user}:{password}@127.0.0.1:{}/{database}", self.port())
    }

    /// Connection string through the unix socket, as superuser.
    #[must_use]
    pub fn socket_uri(&self, database: &str) -> String {
        format!(
            "postgresql://{SUPERUSER}@/{}?host={}&port={}",
            percent::encode(database),
            percent::encode(&self.socket_dir().to_string_lossy()),
            self.port()
        )
    }

    /// Runs SQL and returns what it gives: one line per row, columns separated by `|`, no headers.
    ///
    /// Each statement is a transaction of its own, the first error ends the script.
    ///
    /// # Errors
    /// psql's message.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String> {
        let mut command = self.psql_command(database);
        command.args(["--file", "-"]);
        let output = process::run_ok(&mut command, Some(sql.as_bytes().to_vec()))?;
        Ok(output.stdout.strip_suffix('\n').unwrap_or(&output.stdout).to_owned())
    }

    /// Runs a file of SQL or psql commands.
    ///
    /// # Errors
    /// psql's message.
    pub fn psql_file(&self, database: &str, file: &Path) -> Result<()> {
        let mut command = self.psql_command(database);
        command.arg("--file").arg(file);
        process::run_ok(&mut command, None)?;
        Ok(())
    }

    /// A psql that prints bare values, connected through the unix socket as superuser.
    #[must_use]
    pub fn psql_command(&self, database: &str) -> Command {
        let mut command = self.installation.command("psql");
        command.env("PGCLIENTENCODING", "UTF8");
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "--dbname"]);
        command.arg(self.socket_uri(database));
        command
    }

    /// Makes a database.
    ///
    /// # Errors
    /// The server's.
    pub fn create_database(&self, name: &str) -> Result<()> {
        self.psql(SUPERUSER, &format!("create database {}", quote_ident(name)))?;
        Ok(())
    }

    /// Drops a database with all its sessions and replication slots, if it is there.
    ///
    /// # Errors
    /// The server's.
    pub fn drop_database(&self, name: &str) -> Result<()> {
        let literal = quote_literal(name);
        let script = format!(
            "select count(pg_terminate_backend(active_pid, 10000)) from pg_replication_slots
              where database = {literal} and active_pid is not null;
             select count(pg_drop_replication_slot(slot_name)) from pg_replication_slots
              where database = {literal};
             drop database if exists {} with (force);",
            quote_ident(name)
        );
        self.psql(SUPERUSER, &script)?;
        Ok(())
    }

    /// Stops the server.
    ///
    /// # Errors
    /// When it does not stop in time.
    pub fn stop(&self, mode: StopMode) -> Result<()> {
        let mut command = self.server_command("pg_ctl");
        command.args(["stop", "-w", "-t", &START_SECONDS_MAX.to_string(), "-m", mode.name(), "-D"]);
        process::run_ok(command.arg(self.data_dir()), None)?;
        Ok(())
    }

    /// Stops the server as a crash would.
    ///
    /// # Errors
    /// When it does not stop in time.
    pub fn stop_immediate(&self) -> Result<()> {
        self.stop(StopMode::Immediate)
    }

    /// Starts a stopped server on its old port.
    ///
    /// # Errors
    /// When it does not come up; the message holds its log.
    pub fn start_again(&self) -> Result<()> {
        let started = self.launch(self.port())?;
        ensure!(
            started.status.success(),
            "the server did not start again\n{started}\n{}",
            self.log()
        );
        Ok(())
    }

    /// Stops and starts the server.
    ///
    /// # Errors
    /// As of [`Self::stop`] and [`Self::start_again`].
    pub fn restart(&self, mode: StopMode) -> Result<()> {
        self.stop(mode)?;
        self.start_again()
    }

    /// Makes the server read its settings again, and waits until new sessions see them.
    ///
    /// # Errors
    /// The server's.
    pub fn reload(&self) -> Result<()> {
        let loaded = || self.psql(SUPERUSER, "select pg_conf_load_time()");
        let before = loaded()?;
        self.psql(SUPERUSER, "select pg_reload_conf()")?;
        process::wait_until("the server to reload", Duration::from_secs(60), || {
            Ok(loaded()? != before)
        })
    }

    /// Changes a setting of the whole server; one that needs a restart waits for it.
    ///
    /// # Errors
    /// The server's.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        let value = quote_literal(value);
        self.psql(SUPERUSER, &format!("alter system set {} = {value}", quote_ident(name)))?;
        self.reload()
    }

    /// Takes back what [`Self::set`] changed.
    ///
    /// # Errors
    /// The server's.
    pub fn reset(&self, name: &str) -> Result<()> {
        self.psql(SUPERUSER, &format!("alter system reset {}", quote_ident(name)))?;
        self.reload()
    }

    /// Runs pgbench on a database.
    ///
    /// # Errors
    /// pgbench's.
    pub fn pgbench(&self, database: &str, arguments: &[&str]) -> Result<Output> {
        process::run_ok(self.pgbench_command(arguments).arg(database), None)
    }

    /// pgbench with these arguments, the database still to be added.
    pub fn pgbench_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.installation.command("pgbench");
        command.args(["-h", &self.socket_dir().to_string_lossy(), "-U", SUPERUSER]);
        command.args(["-p", &self.port().to_string()]).args(arguments);
        command
    }

    /// Runs this cluster's own pg_dump on a database and returns its output.
    ///
    /// # Errors
    /// pg_dump's.
    pub fn pg_dump(&self, database: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.installation.command("pg_dump");
        command.args(arguments).arg("--dbname").arg(self.socket_uri(database));
        Ok(process::run_ok(&mut command, None)?.stdout)
    }

    /// The server's log so far.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = fs::read(self.home.log()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Lines of the log that report an error, a fatal error or a panic, in a database or, with
    /// `None`, anywhere.
    #[must_use]
    pub fn log_errors(&self, database: Option<&str>) -> Vec<String> {
        let mark = database.map(|name| format!(" db={name} "));
        self.log()
            .lines()
            .filter(|line| mark.as_ref().is_none_or(|mark| line.contains(mark)))
            .filter(|line| ["ERROR:  ", "FATAL:  ", "PANIC:  "].iter().any(|w| line.contains(w)))
            .map(str::to_owned)
            .collect()
    }

    /// Process id of the server's first process.
    ///
    /// # Errors
    /// When the server does not run.
    pub fn pid(&self) -> Result<u32> {
        let lock = fs::read_to_string(self.data_dir().join("postmaster.pid"))
            .context("the server does not run: read postmaster.pid")?;
        let line = lock.lines().next().unwrap_or_default();
        line.trim().parse().with_context(|| format!("read a process id from {line:?}"))
    }

    /// Makes the data directory.
    fn initdb(&self, options: &ClusterOptions) -> Result<()> {
        let mut command = self.server_command("initdb");
        command.args(["--no-sync", "--no-instructions", "--auth=trust", "-U", SUPERUSER]);
        command.args(["-E", &options.encoding, "--locale", &options.locale]);
        command.args(&options.initdb).arg("-D").arg(self.data_dir());
        process::run_ok(&mut command, None)?;
        Ok(())
    }

    /// Writes `postgresql.conf` and `pg_hba.conf`.
    fn configure(&self, options: &ClusterOptions) -> Result<()> {
        let mut lines = String::from("\n# pgcopydb testbed\n");
        let mut add = |name: &str, value: &str| {
            lines.push_str(&format!("{name} = '{}'\n", value.replace('\'', "''")));
        };
        for (name, value) in options::SETTINGS {
            add(name, value);
        }
        add("unix_socket_directories", &self.socket_dir().to_string_lossy());
        if !options.fsync {
            add("fsync", "off");
            add("full_page_writes", "off");
        }
        if self.knows_setting("output_plugin_libraries")? {
            add("output_plugin_libraries", "pgoutput, test_decoding, wal2json");
        }
        if let Some(files) = &self.tls {
            add("ssl", "on");
            add("ssl_cert_file", &files.server_cert.to_string_lossy());
            add("ssl_key_file", &files.server_key.to_string_lossy());
            add("ssl_ca_file", &files.ca_cert.to_string_lossy());
        }
        for (name, value) in &options.settings {
            add(name, value);
        }
        append(&self.data_dir().join("postgresql.conf"), &lines)?;
        let method = if options.password.is_some() { "scram-sha-256" } else { "trust" };
        let mut hba = options.hba.join("\n");
        hba.push_str("\nlocal all all trust\nlocal replication all trust\n");
        hba.push_str(&format!("host all all 127.0.0.1/32 {method}\n"));
        hba.push_str(&format!("host replication all 127.0.0.1/32 {method}\n"));
        let path = self.data_dir().join("pg_hba.conf");
        fs::write(&path, hba).with_context(|| format!("write {}", path.display()))
    }

    /// Whether this server has a setting. `output_plugin_libraries` exists in late minors only:
    /// it names the output plugins that may be loaded.
    fn knows_setting(&self, name: &str) -> Result<bool> {
        let mut command = self.server_command("postgres");
        command.arg("-D").arg(self.data_dir()).args(["-C", name]);
        let asked = process::run(&mut command, None, Duration::from_secs(60))?;
        Ok(asked.status.success())
    }

    /// Starts the server on the first port that is really free.
    fn launch_on_free_port(&self) -> Result<()> {
        for _ in 0..PORT_ATTEMPTS {
            let port = free_port()?;
            let started = self.launch(port)?;
            if started.status.success() {
                self.port.store(port, Ordering::Relaxed);
                return Ok(());
            }
            let log = self.log();
            ensure!(log.contains("could not bind"), "the server did not start\n{started}\n{log}");
        }
        bail!("no free port found in {PORT_ATTEMPTS} attempts from {PORT_FIRST} on")
    }

    /// Runs `pg_ctl start` and returns how it went.
    fn launch(&self, port: u16) -> Result<Output> {
        let mut command = self.server_command("pg_ctl");
        command.args(["start", "-w", "-t", &START_SECONDS_MAX.to_string(), "-D"]);
        command.arg(self.data_dir()).arg("-l").arg(self.home.log());
        command.args(["-o", &format!("-p {port}")]);
        process::run(&mut command, None, Duration::from_secs(u64::from(START_SECONDS_MAX) + 30))
    }

    /// A command that runs as the server account.
    fn server_command(&self, program: &str) -> Command {
        let mut command = self.installation.command(program);
        self.account.apply(&mut command);
        command
    }
}

/// Quotes a name for SQL.
#[must_use]
pub fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a text value for SQL.
#[must_use]
pub fn quote_literal(value: &str) -> String {
    if value.contains('\\') {
        return format!("E'{}'", value.replace('\\', "\\\\").replace('\'', "''"));
    }
    format!("'{}'", value.replace('\'', "''"))
}

/// Finds a port that nobody listens on.
fn free_port() -> Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Processes that run at the same time begin at different ports.
    let spread = std::process::id().wrapping_mul(251);
    for _ in 0..PORT_COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(spread);
        let offset = u16::try_from(step % u32::from(PORT_COUNT)).context("pick a port")?;
        let port = PORT_FIRST + offset;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port from {PORT_FIRST} on")
}

/// Adds text to a file's end, making the file when it is not there.
fn append(path: &Path, text: &str) -> Result<()> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("write {}", path.display()))
}
