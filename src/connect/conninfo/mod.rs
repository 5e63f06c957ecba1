//! Connection strings as libpq defines them, resolved into a list of hosts to try.
//!
//! ```text
//! key_value, uri ─► settings ◄─ service, environment      keyword: what exists
//!                      │                                 plain_file: read by service, passfile
//!                   resolve ◄─ hosts, passfile
//!                      ▼
//!                   ConnInfo ─► redact: logs, children
//! ```
//!
//! [`ConnInfo::parse`] is the way in. Nothing here reads the process environment: an [`Environment`]
//! is given. No error and no text form holds a password.

mod environment;
mod error;
mod hosts;
mod key_value;
mod keyword;
mod passfile;
mod plain_file;
mod redact;
mod resolve;
mod service;
mod settings;
#[cfg(test)]
mod tests;
mod uri;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use environment::Environment;
pub use error::{ConnInfoError, Origin, SyntaxProblem};
pub use redact::ChildConnInfo;

/// A resolved connection string: what libpq would connect with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnInfo {
    /// Hosts to try, in order; never empty.
    pub hosts: Vec<HostSpec>,
    /// Role.
    pub user: String,
    /// Database.
    pub dbname: String,
    /// Password from the string, the environment or the service file. The passfile is consulted per
    /// host: see [`HostSpec::password`].
    pub password: Option<Secret>,
    /// The password file, whether it exists or not; `None` without a home directory.
    pub passfile: Option<PathBuf>,
    /// TLS settings.
    pub tls: TlsSettings,
    /// Longest wait for one address of a host; `None` waits as long as the system does.
    pub connect_timeout: Option<Duration>,
    /// `application_name` of the string; ours is used when absent.
    pub application_name: Option<String>,
    /// `options`: command-line settings for the backend.
    pub options: Option<String>,
    /// What kind of server will do.
    pub target_session_attrs: TargetSessionAttrs,
    /// Try the hosts (and their addresses) in random order.
    pub load_balance_hosts: bool,
    /// Socket options.
    pub socket: SocketSettings,
    /// Channel binding policy.
    pub channel_binding: Policy,
    /// Authentication methods the user allows, as written in `require_auth`; empty allows all.
    pub require_auth: Vec<String>,
}

/// One host to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSpec {
    /// Where it is.
    pub address: HostAddress,
    /// TCP port, or the number in the socket's file name.
    pub port: u16,
    /// Password for this host out of the passfile, when the string has none.
    pub password: Option<Secret>,
}

/// Where a host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostAddress {
    /// Directory of a unix socket.
    Unix(PathBuf),
    /// Host name for certificates and look-up, and the address given by `hostaddr`, if any.
    Tcp {
        /// `host`; empty when only `hostaddr` is given.
        host: String,
        /// `hostaddr`.
        hostaddr: Option<std::net::IpAddr>,
    },
}

/// A value that never shows in `Debug`, logs or messages, and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(zeroize::Zeroizing<String>);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(zeroize::Zeroizing::new(value.into()))
    }

    /// The value, for the wire or a child's environment only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// `sslmode`.
///
/// Ordered from weak to strong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum SslMode {
    /// Never.
    Disable,
    /// Plain first, TLS when the server insists.
    Allow,
    /// TLS first, plain when the server cannot.
    #[default]
    Prefer,
    /// TLS, certificate unchecked unless a root file exists.
    Require,
    /// TLS, certificate chain checked.
    VerifyCa,
    /// TLS, chain and host name checked.
    VerifyFull,
}

impl SslMode {
    /// All values, from weak to strong.
    pub(crate) const ALL: [Self; 6] =
        [Self::Disable, Self::Allow, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];

    /// The word that stands for it in a connection string.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether something is wanted: `channel_binding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Do not use it.
    Disable,
    /// Use it where possible.
    #[default]
    Prefer,
    /// Fail without it.
    Require,
}

/// TLS settings of a connection string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// `sslmode`.
    pub mode: SslMode,
    /// `sslnegotiation=direct`: TLS from the first byte.
    pub direct: bool,
    /// `sslrootcert`.
    pub root: RootCertificates,
    /// `sslcert`.
    pub certificate: Option<PathBuf>,
    /// `sslkey`.
    pub key: Option<PathBuf>,
    /// `sslsni`.
    pub sni: bool,
    /// `ssl_min_protocol_version`: 1.2 or 1.3.
    pub minimum_version: Option<TlsVersion>,
    /// `ssl_max_protocol_version`.
    pub maximum_version: Option<TlsVersion>,
}

/// `sslrootcert`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootCertificates {
    /// The default file, whether it exists or not.
    DefaultFile(PathBuf),
    /// A file named by the user: must exist.
    File(PathBuf),
    /// `system`: the operating system's trust store.
    System,
}

/// TLS protocol versions we can speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLSv1.2.
    Tls12,
    /// TLSv1.3.
    Tls13,
}

impl TlsVersion {
    /// The word that stands for it in a connection string.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }
}

/// `target_session_attrs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetSessionAttrs {
    /// Any server.
    #[default]
    Any,
    /// Sessions must be read-write.
    ReadWrite,
    /// Sessions must be read-only.
    ReadOnly,
    /// Not in hot standby mode.
    Primary,
    /// In hot standby mode.
    Standby,
    /// A standby if there is one, else any.
    PreferStandby,
}

impl TargetSessionAttrs {
    /// The word that stands for it in a connection string.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::ReadWrite => "read-write",
            Self::ReadOnly => "read-only",
            Self::Primary => "primary",
            Self::Standby => "standby",
            Self::PreferStandby => "prefer-standby",
        }
    }
}

/// Socket options of a connection string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketSettings {
    /// `keepalives`.
    pub keepalives: bool,
    /// `keepalives_idle`.
    pub keepalives_idle: Option<Duration>,
    /// `keepalives_interval`.
    pub keepalives_interval: Option<Duration>,
    /// `keepalives_count`.
    pub keepalives_count: Option<u32>,
    /// `tcp_user_timeout`.
    pub tcp_user_timeout: Option<Duration>,
}
