//! From a host to an open stream. (First form: no TLS yet; the owner of `net` replaces this file,
//! keeping these names, which `connect::client` uses.)

use super::Stream;
use crate::connect::conninfo::{ConnInfo, HostAddress, HostSpec};

/// One way to try a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsAttempt {
    /// Without TLS.
    Plain,
    /// With TLS.
    Tls,
}

/// Why no stream could be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The server answered that it has no TLS.
    TlsRefusedByServer {
        /// Where it is.
        peer: String,
    },
    /// Anything else.
    Failed(OpenFailure),
}

/// What failed, by who has to act.
#[derive(Debug)]
pub enum OpenFailure {
    /// The network or the socket.
    Io {
        /// What was attempted, as a noun phrase.
        what: String,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// Settings or files of the user.
    Config {
        /// One line.
        text: String,
    },
    /// The TLS handshake or the certificate.
    Tls {
        /// One line.
        text: String,
    },
}

impl OpenError {
    /// Whether another attempt at the same host (`sslmode` prefer and allow) may follow.
    pub fn allows_next_attempt(&self) -> bool {
        match self {
            Self::TlsRefusedByServer { .. } | Self::Failed(OpenFailure::Tls { .. }) => true,
            Self::Failed(OpenFailure::Io { .. } | OpenFailure::Config { .. }) => false,
        }
    }

    /// What to tell the user.
    pub fn into_parts(self) -> OpenFailure {
        match self {
            Self::TlsRefusedByServer { peer } => {
                OpenFailure::Tls { text: format!("server at {peer} does not support TLS") }
            }
            Self::Failed(failure) => failure,
        }
    }
}

/// The hosts in the order in which they are tried.
pub fn ordered_hosts(info: &ConnInfo) -> Vec<HostSpec> {
    info.hosts.clone()
}

/// The ways in which a host is tried, in order.
pub fn attempts(host: &HostSpec, info: &ConnInfo) -> Vec<TlsAttempt> {
    let _ = (host, info);
    vec![TlsAttempt::Plain]
}

/// Opens a stream to a host.
///
/// # Errors
/// See [`OpenError`].
pub async fn open(
    host: &HostSpec,
    info: &ConnInfo,
    attempt: TlsAttempt,
) -> Result<Stream, OpenError> {
    let _ = (info, attempt);
    let failed = |what: String| {
        move |source| {
            OpenError::Failed(OpenFailure::Io { what: format!("connection to {what}"), source })
        }
    };
    match &host.address {
        HostAddress::Tcp { host: name, hostaddr } => {
            let name = hostaddr.map_or_else(|| name.clone(), |address| address.to_string());
            let peer = format!("{name}:{}", host.port);
            let socket = tokio::net::TcpStream::connect((name.as_str(), host.port))
                .await
                .map_err(failed(peer.clone()))?;
            let _ = socket.set_nodelay(true);
            Ok(Stream::plain(socket, peer))
        }
        HostAddress::Unix(directory) => {
            let path = directory.join(format!(".s.PGSQL.{}", host.port));
            let peer = path.display().to_string();
            let socket =
                tokio::net::UnixStream::connect(&path).await.map_err(failed(peer.clone()))?;
            Ok(Stream::plain(socket, peer))
        }
    }
}
