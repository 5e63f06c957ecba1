//! From gathered settings to a [`ConnInfo`]: defaults, checks of values, per-host passwords.

use std::path::PathBuf;
use std::time::Duration;

use super::environment::Environment;
use super::error::ConnInfoError;
use super::hosts::{self, List};
use super::passfile::{PassFile, Wanted};
use super::settings::Settings;
use super::{
    ConnInfo, HostAddress, HostSpec, Policy, RootCertificates, Secret, SocketSettings, SslMode,
    TargetSessionAttrs, TlsSettings, TlsVersion,
};

/// Longest wait for one address where the user gives no `connect_timeout`.
///
/// libpq would wait as long as the system does, two minutes and more per address; ten seconds is
/// beyond any round trip on earth and keeps a list of hosts usable when its first one is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Idle time before the first keepalive probe where the user gives none, as in pgcopydb 0.18.
const KEEPALIVES_IDLE: Duration = Duration::from_secs(10);
/// Time between keepalive probes where the user gives none, as in pgcopydb 0.18.
const KEEPALIVES_INTERVAL: Duration = Duration::from_secs(10);
/// Probes without answer that end a connection where the user gives none, as in pgcopydb 0.18.
const KEEPALIVES_COUNT: u32 = 60;

impl ConnInfo {
    /// Understands a connection string as libpq does: `keyword=value` pairs or a URI, completed by a
    /// service, the environment, and defaults, in this order of precedence.
    ///
    /// Reads the service file and the password file; no other I/O except looking for the default
    /// socket directory.
    ///
    /// # Errors
    /// See [`ConnInfoError`]. No message repeats any part of `text`.
    pub fn parse(text: &str, environment: &Environment) -> Result<Self, ConnInfoError> {
        let settings = Settings::gather(text, environment)?;
        let tls = tls(&settings, environment)?;
        let user = user(&settings, environment)?;
        let dbname = settings.nonempty("dbname").unwrap_or(&user).to_owned();
        let hosts = host_list(&settings)?;
        let mut info = Self {
            hosts,
            user,
            dbname,
            password: settings.nonempty("password").map(Secret::new),
            passfile: passfile(&settings, environment),
            tls,
            connect_timeout: connect_timeout(&settings)?,
            application_name: settings
                .nonempty("application_name")
                .or_else(|| settings.nonempty("fallback_application_name"))
                .map(str::to_owned),
            options: settings.nonempty("options").map(str::to_owned),
            target_session_attrs: target_session_attrs(&settings)?,
            load_balance_hosts: settings
                .choice("load_balance_hosts", &[("disable", false), ("random", true)])?
                .unwrap_or(false),
            socket: socket(&settings)?,
            channel_binding: channel_binding(&settings)?,
            require_auth: require_auth(&settings)?,
        };
        info.look_up_passwords();
        Ok(info)
    }

    /// The same connection to another database. The password file is read again, because its lines
    /// may name databases.
    #[must_use]
    pub fn with_dbname(&self, dbname: &str) -> Self {
        let mut info = self.clone();
        dbname.clone_into(&mut info.dbname);
        info.look_up_passwords();
        info
    }

    /// The same connection with what the password file holds now: a password that expires is renewed there
    /// while a run lasts for hours (P-12).
    #[must_use]
    pub fn with_renewed_passwords(&self) -> Self {
        self.with_dbname(&self.dbname)
    }

    /// Fills the hosts' passwords from the password file, when there is no password for all of them.
    fn look_up_passwords(&mut self) {
        let file = match (&self.password, &self.passfile) {
            (None, Some(path)) => PassFile::read(path),
            _ => None,
        };
        for host in &mut self.hosts {
            let wanted = Wanted {
                address: &host.address,
                port: host.port,
                dbname: &self.dbname,
                user: &self.user,
            };
            host.password = file.as_ref().and_then(|file| file.password(wanted));
        }
    }
}

/// `user`, or else the operating system's user name.
fn user(settings: &Settings, environment: &Environment) -> Result<String, ConnInfoError> {
    settings
        .nonempty("user")
        .or_else(|| environment.user().filter(|user| !user.is_empty()))
        .map(str::to_owned)
        .ok_or(ConnInfoError::NoUser)
}

/// The hosts to try.
fn host_list(settings: &Settings) -> Result<Vec<HostSpec>, ConnInfoError> {
    let list = |keyword| List {
        text: settings.get(keyword).unwrap_or_default(),
        origin: settings.origin(keyword),
    };
    let hosts = hosts::combine(&list("host"), &list("hostaddr"), &list("port"))?;
    let has_socket = hosts.iter().any(|host| matches!(host.address, HostAddress::Unix(_)));
    if has_socket && settings.nonempty("requirepeer").is_some() {
        return Err(settings.error(
            "requirepeer",
            "checking which user a server on a unix socket runs as is not supported",
        ));
    }
    Ok(hosts)
}

/// The password file to use, whether it exists or not.
fn passfile(settings: &Settings, environment: &Environment) -> Option<PathBuf> {
    settings
        .nonempty("passfile")
        .map(PathBuf::from)
        .or_else(|| environment.home().map(|home| home.join(".pgpass")))
}

/// `connect_timeout`: zero and less wait without limit.
fn connect_timeout(settings: &Settings) -> Result<Option<Duration>, ConnInfoError> {
    Ok(match settings.integer("connect_timeout")? {
        None => Some(CONNECT_TIMEOUT),
        Some(seconds) => u64::try_from(seconds).ok().filter(|s| *s > 0).map(Duration::from_secs),
    })
}

/// `target_session_attrs`.
fn target_session_attrs(settings: &Settings) -> Result<TargetSessionAttrs, ConnInfoError> {
    let choices = [
        ("any", TargetSessionAttrs::Any),
        ("read-write", TargetSessionAttrs::ReadWrite),
        ("read-only", TargetSessionAttrs::ReadOnly),
        ("primary", TargetSessionAttrs::Primary),
        ("standby", TargetSessionAttrs::Standby),
        ("prefer-standby", TargetSessionAttrs::PreferStandby),
    ];
    Ok(settings.choice("target_session_attrs", &choices)?.unwrap_or_default())
}

/// `channel_binding`.
fn channel_binding(settings: &Settings) -> Result<Policy, ConnInfoError> {
    let choices =
        [("disable", Policy::Disable), ("prefer", Policy::Prefer), ("require", Policy::Require)];
    Ok(settings.choice("channel_binding", &choices)?.unwrap_or_default())
}

/// `require_auth`: method names, all of them or none with `!` before it.
fn require_auth(settings: &Settings) -> Result<Vec<String>, ConnInfoError> {
    const METHODS: [&str; 7] = ["password", "md5", "gss", "sspi", "scram-sha-256", "oauth", "none"];
    let Some(text) = settings.nonempty("require_auth") else { return Ok(Vec::new()) };
    let error = |problem: &str| settings.error("require_auth", problem);
    let mut methods: Vec<String> = Vec::new();
    for element in text.split(',') {
        let name = element.strip_prefix('!').unwrap_or(element);
        if !METHODS.contains(&name) {
            return Err(error(&format!("expected a list of {}", METHODS.join(", "))));
        }
        if methods.first().is_some_and(|first| first.starts_with('!') != element.starts_with('!')) {
            return Err(error("methods with and without \"!\" cannot be mixed"));
        }
        if methods.iter().any(|known| known == element) {
            return Err(error(&format!("\"{name}\" is named more than once")));
        }
        methods.push(element.to_owned());
    }
    Ok(methods)
}

/// Socket options. Zero and less leave an option to the system.
fn socket(settings: &Settings) -> Result<SocketSettings, ConnInfoError> {
    let seconds = |keyword, default| {
        Ok(match settings.integer(keyword)? {
            None => Some(default),
            Some(number) => u64::try_from(number).ok().filter(|n| *n > 0).map(Duration::from_secs),
        })
    };
    let count = match settings.integer("keepalives_count")? {
        None => Some(KEEPALIVES_COUNT),
        Some(number) => u32::try_from(number).ok().filter(|n| *n > 0),
    };
    let user_timeout = settings.integer("tcp_user_timeout")?;
    Ok(SocketSettings {
        keepalives: settings.integer("keepalives")?.unwrap_or(1) != 0,
        keepalives_idle: seconds("keepalives_idle", KEEPALIVES_IDLE)?,
        keepalives_interval: seconds("keepalives_interval", KEEPALIVES_INTERVAL)?,
        keepalives_count: count,
        tcp_user_timeout: user_timeout
            .and_then(|number| u64::try_from(number).ok())
            .filter(|milliseconds| *milliseconds > 0)
            .map(Duration::from_millis),
    })
}

/// TLS settings.
fn tls(settings: &Settings, environment: &Environment) -> Result<TlsSettings, ConnInfoError> {
    let default_file = |name: &str| environment.home().map(|h| h.join(".postgresql").join(name));
    let root = match settings.nonempty("sslrootcert") {
        Some("system") => RootCertificates::System,
        Some(path) => RootCertificates::File(PathBuf::from(path)),
        None => RootCertificates::DefaultFile(default_file("root.crt").unwrap_or_default()),
    };
    let mode = ssl_mode(settings, &root)?;
    let direct = settings
        .choice("sslnegotiation", &[("postgres", false), ("direct", true)])?
        .unwrap_or(false);
    if direct && mode < SslMode::Require {
        return Err(ConnInfoError::Contradiction(format!(
            "sslnegotiation=direct needs sslmode=require, verify-ca or verify-full, found {mode}"
        )));
    }
    let certificate_mode = [("disable", false), ("allow", true)];
    if settings.get("sslcertmode") == Some("require") {
        return Err(settings.error("sslcertmode", "require is not supported; use allow or disable"));
    }
    let with_certificate = settings.choice("sslcertmode", &certificate_mode)?.unwrap_or(true);
    let file = |keyword, name| {
        let given = settings.nonempty(keyword).map(PathBuf::from).or_else(|| default_file(name));
        given.filter(|_| with_certificate)
    };
    let tls = TlsSettings {
        mode,
        direct,
        root,
        certificate: file("sslcert", "postgresql.crt"),
        key: file("sslkey", "postgresql.key"),
        sni: settings.choice("sslsni", &[("1", true), ("0", false)])?.unwrap_or(true),
        minimum_version: tls_version(settings, "ssl_min_protocol_version", OldVersion::Raise)?,
        maximum_version: tls_version(settings, "ssl_max_protocol_version", OldVersion::Refuse)?,
    };
    if tls.minimum_version > tls.maximum_version && tls.maximum_version.is_some() {
        return Err(ConnInfoError::Contradiction(
            "ssl_min_protocol_version is above ssl_max_protocol_version".to_owned(),
        ));
    }
    Ok(tls)
}

/// `sslmode`; the system's trust store makes verify-full the default and the only choice.
fn ssl_mode(settings: &Settings, root: &RootCertificates) -> Result<SslMode, ConnInfoError> {
    let choices = SslMode::ALL.map(|mode| (mode.as_str(), mode));
    let mode = settings.choice("sslmode", &choices)?;
    if *root != RootCertificates::System {
        return Ok(mode.unwrap_or_default());
    }
    match mode {
        None | Some(SslMode::VerifyFull) => Ok(SslMode::VerifyFull),
        Some(weak) => Err(ConnInfoError::Contradiction(format!(
            "sslrootcert=system needs sslmode=verify-full, found {weak}"
        ))),
    }
}

/// What a TLS version older than we speak means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OldVersion {
    /// As a lower bound it is always met.
    Raise,
    /// As an upper bound it can never be met.
    Refuse,
}

/// A TLS version bound; the empty one is none.
fn tls_version(
    settings: &Settings,
    keyword: &'static str,
    old: OldVersion,
) -> Result<Option<TlsVersion>, ConnInfoError> {
    let Some(text) = settings.nonempty(keyword) else { return Ok(None) };
    match text.to_ascii_lowercase().as_str() {
        "tlsv1.2" => Ok(Some(TlsVersion::Tls12)),
        "tlsv1.3" => Ok(Some(TlsVersion::Tls13)),
        "tlsv1" | "tlsv1.1" if old == OldVersion::Raise => Ok(None),
        "tlsv1" | "tlsv1.1" => {
            Err(settings.error(keyword, "TLS versions before 1.2 are not supported"))
        }
        _ => Err(settings.error(keyword, "expected one of TLSv1.2, TLSv1.3")),
    }
}
