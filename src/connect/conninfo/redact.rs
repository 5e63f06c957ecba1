//! Text forms of a connection without its password: for logs, for the work directory, for child
//! processes.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    ConnInfo, HostAddress, Policy, RootCertificates, Secret, SslMode, TargetSessionAttrs,
    TlsVersion, key_value,
};

/// Bytes of a URI part that are written as `%XX`: all but the unreserved ones of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Bytes of an IPv6 address that are written as `%XX`: the `%` before a zone, for example.
const IPV6_ENCODED: &AsciiSet = &ENCODED.remove(b':');

/// How a child process that uses libpq connects exactly as we do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildConnInfo {
    /// `keyword=value` pairs without password, for `--dbname`.
    pub text: String,
    /// Environment variables to set for the child, and to override if inherited. They carry the
    /// password, and the settings that older libpq versions would refuse in `text`. An empty value
    /// stands for "not set" in libpq.
    pub variables: Vec<(&'static str, Secret)>,
}

impl ConnInfo {
    /// A URI without password that leads to the same server: hosts, role, database, and every
    /// setting that is not at its default.
    pub fn display_uri(&self) -> String {
        let mut uri = format!("postgres://{}@", encode(&self.user));
        let hosts: Vec<_> = self
            .hosts
            .iter()
            .map(|host| format!("{}:{}", uri_host(&host.address), host.port))
            .collect();
        uri.push_str(&hosts.join(","));
        uri.push('/');
        uri.push_str(&encode(&self.dbname));
        let mut separator = '?';
        for (keyword, value) in self.uri_parameters() {
            // Writing to a string cannot fail.
            let _ = write!(uri, "{separator}{keyword}={}", encode(&value));
            separator = '&';
        }
        uri
    }

    /// What a child process needs to connect as we do.
    ///
    /// Every keyword that libpq could otherwise fill from its own environment or defaults is given.
    /// Passwords that differ from host to host cannot travel in one variable: the child then reads
    /// them from the password file itself.
    pub fn child_conninfo(&self) -> ChildConnInfo {
        let mut pairs = self.host_pairs();
        pairs.push(("user", self.user.clone()));
        pairs.push(("dbname", self.dbname.clone()));
        let password = self.password_for_every_host();
        if let (None, Some(path)) = (password, &self.passfile) {
            pairs.push(("passfile", text_of(path)));
        }
        pairs.extend(self.tls_pairs());
        pairs.extend(self.session_pairs());
        let words: Vec<_> = pairs
            .iter()
            .map(|(keyword, value)| format!("{keyword}={}", key_value::quote(value)))
            .collect();
        let mut variables: Vec<_> = self
            .newer_settings()
            .into_iter()
            .map(|(_, variable, value)| (variable, Secret::new(value)))
            .collect();
        variables.push(("PGPASSWORD", password.cloned().unwrap_or_else(|| Secret::new(""))));
        variables.push(("PGGSSENCMODE", Secret::new("disable")));
        // Everything a service gave is in the text by now.
        variables.push(("PGOPTIONS", Secret::new(self.options.clone().unwrap_or_default())));
        ChildConnInfo { text: words.join(" "), variables }
    }

    /// The password that holds for all hosts, when there is one.
    fn password_for_every_host(&self) -> Option<&Secret> {
        if self.password.is_some() {
            return self.password.as_ref();
        }
        let first = self.hosts.first()?.password.as_ref()?;
        self.hosts.iter().all(|host| host.password.as_ref() == Some(first)).then_some(first)
    }

    /// `host`, `hostaddr` and `port` as lists.
    fn host_pairs(&self) -> Vec<(&'static str, String)> {
        let list = |element: &dyn Fn(&HostAddress) -> String| {
            let elements: Vec<_> = self.hosts.iter().map(|host| element(&host.address)).collect();
            elements.join(",")
        };
        let ports: Vec<_> = self.hosts.iter().map(|host| host.port.to_string()).collect();
        let hosts = list(&|address| match address {
            HostAddress::Unix(path) => text_of(path),
            HostAddress::Tcp { host, .. } => host.clone(),
        });
        let addresses = if self.has_hostaddr() { list(&hostaddr_text) } else { String::new() };
        vec![("host", hosts), ("hostaddr", addresses), ("port", ports.join(","))]
    }

    /// Whether any host has a `hostaddr`.
    fn has_hostaddr(&self) -> bool {
        self.hosts
            .iter()
            .any(|host| matches!(host.address, HostAddress::Tcp { hostaddr: Some(_), .. }))
    }

    /// TLS keywords for a child; an empty file name is libpq's default file.
    fn tls_pairs(&self) -> Vec<(&'static str, String)> {
        let root = match &self.tls.root {
            RootCertificates::DefaultFile(_) => String::new(),
            RootCertificates::File(path) => text_of(path),
            RootCertificates::System => "system".to_owned(),
        };
        let mut pairs = vec![("sslmode", self.tls.mode.to_string()), ("sslrootcert", root)];
        if let Some(path) = &self.tls.certificate {
            pairs.push(("sslcert", text_of(path)));
        }
        if let Some(path) = &self.tls.key {
            pairs.push(("sslkey", text_of(path)));
        }
        pairs
    }

    /// Keywords for time limits, sockets and the session, in a form every libpq since version 12
    /// understands.
    fn session_pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![("connect_timeout", whole_seconds(self.connect_timeout))];
        pairs.extend(self.socket_pairs());
        if let Some(name) = &self.application_name {
            pairs.push(("application_name", name.clone()));
        }
        pairs.push(("target_session_attrs", self.target_session_attrs.as_str().to_owned()));
        pairs
    }

    /// Keywords for socket options; zero leaves an option to the system.
    fn socket_pairs(&self) -> Vec<(&'static str, String)> {
        let socket = &self.socket;
        let user_timeout = socket.tcp_user_timeout.map_or(0, |timeout| timeout.as_millis());
        vec![
            ("keepalives", u8::from(socket.keepalives).to_string()),
            ("keepalives_idle", whole_seconds(socket.keepalives_idle)),
            ("keepalives_interval", whole_seconds(socket.keepalives_interval)),
            ("keepalives_count", socket.keepalives_count.unwrap_or(0).to_string()),
            ("tcp_user_timeout", user_timeout.to_string()),
        ]
    }

    /// Settings that came to libpq after version 12, as (keyword, variable, value). A child gets them
    /// as variables, which a libpq that does not know them passes over.
    fn newer_settings(&self) -> Vec<(&'static str, &'static str, String)> {
        let tls = &self.tls;
        let binding = match self.channel_binding {
            Policy::Disable => "disable",
            Policy::Prefer => "prefer",
            Policy::Require => "require",
        };
        let with_certificate = tls.certificate.is_some() || tls.key.is_some();
        let certificate_mode = if with_certificate { "allow" } else { "disable" };
        let balance = if self.load_balance_hosts { "random" } else { "disable" };
        let negotiation = if tls.direct { "direct" } else { "postgres" };
        let maximum = tls.maximum_version.map_or("", TlsVersion::as_str);
        let minimum = tls.minimum_version.unwrap_or(TlsVersion::Tls12).as_str();
        vec![
            ("channel_binding", "PGCHANNELBINDING", binding.to_owned()),
            ("require_auth", "PGREQUIREAUTH", self.require_auth.join(",")),
            ("load_balance_hosts", "PGLOADBALANCEHOSTS", balance.to_owned()),
            ("sslnegotiation", "PGSSLNEGOTIATION", negotiation.to_owned()),
            ("sslcertmode", "PGSSLCERTMODE", certificate_mode.to_owned()),
            ("sslsni", "PGSSLSNI", u8::from(tls.sni).to_string()),
            ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", minimum.to_owned()),
            ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", maximum.to_owned()),
        ]
    }

    /// Keywords for a URI's query part that differ from the defaults of an empty environment.
    fn uri_parameters(&self) -> Vec<(&'static str, String)> {
        let mut parameters = Vec::new();
        if self.has_hostaddr() {
            let addresses: Vec<_> =
                self.hosts.iter().map(|host| hostaddr_text(&host.address)).collect();
            parameters.push(("hostaddr", addresses.join(",")));
        }
        let tls = &self.tls;
        let default_mode = match tls.root {
            RootCertificates::System => SslMode::VerifyFull,
            _ => SslMode::default(),
        };
        if tls.mode != default_mode {
            parameters.push(("sslmode", tls.mode.to_string()));
        }
        if !matches!(tls.root, RootCertificates::DefaultFile(_)) {
            parameters.extend(self.tls_pairs().into_iter().filter(|(k, _)| *k == "sslrootcert"));
        }
        if let Some(options) = &self.options {
            parameters.push(("options", options.clone()));
        }
        if self.target_session_attrs != TargetSessionAttrs::Any {
            let wanted = self.target_session_attrs.as_str().to_owned();
            parameters.push(("target_session_attrs", wanted));
        }
        parameters
    }
}

/// `hostaddr` of a host; empty when it has none.
fn hostaddr_text(address: &HostAddress) -> String {
    match address {
        HostAddress::Tcp { hostaddr: Some(address), .. } => address.to_string(),
        HostAddress::Tcp { hostaddr: None, .. } | HostAddress::Unix(_) => String::new(),
    }
}

/// A host as it stands in a URI: IPv6 addresses in brackets, socket directories percent-encoded.
fn uri_host(address: &HostAddress) -> String {
    match address {
        HostAddress::Unix(path) => encode(&text_of(path)),
        HostAddress::Tcp { host, .. } if host.contains(':') => {
            format!("[{}]", utf8_percent_encode(host, IPV6_ENCODED))
        }
        HostAddress::Tcp { host, .. } => encode(host),
    }
}

/// Percent-encodes a part of a URI.
fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// A path as text; paths here were given as text.
fn text_of(path: &Path) -> String {
    path.display().to_string()
}

/// A time limit in whole seconds; `0` is none.
fn whole_seconds(limit: Option<Duration>) -> String {
    limit.map_or(0, |limit| limit.as_secs()).to_string()
}
