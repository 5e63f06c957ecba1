//! From a host to an open stream: order of hosts, look-up of names, TLS attempts, time limits.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::BytesMut;
use proto::frontend;
use proto::startup::ssl_answer;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream, UnixStream};

use super::failure::{OpenError, OpenFailure};
use super::{Stream, socket, tls};
use crate::connect::conninfo::{ConnInfo, HostAddress, HostSpec, SslMode};

/// One way to try a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsAttempt {
    /// Without TLS.
    Plain,
    /// With TLS. Under `sslmode=prefer` the same connection goes on without it when the server has
    /// none.
    Tls,
}

/// The hosts in the order in which they are tried: as written, or shuffled under
/// `load_balance_hosts=random`.
pub fn ordered_hosts(info: &ConnInfo) -> Vec<HostSpec> {
    let mut hosts = info.hosts.clone();
    if info.load_balance_hosts {
        shuffle(&mut hosts);
    }
    hosts
}

/// Looks up a host's name: one entry per address, in the order of the resolver (or shuffled under
/// `load_balance_hosts=random`), each with its address as `hostaddr`.
///
/// Each address is a host of its own from here on: the one that answers may be a standby, and a
/// cancel request must go to the very server that runs the query. A host that needs no look-up is
/// returned as it is, and so is one that cannot be found; [`open`] then says why.
///
/// Cancel safe.
pub async fn resolve(host: &HostSpec, info: &ConnInfo) -> Vec<HostSpec> {
    let HostAddress::Tcp { host: name, hostaddr: None } = &host.address else {
        return vec![host.clone()];
    };
    let mut addresses = look_up(name, host.port).await.unwrap_or_default();
    // `hostaddr` cannot hold the zone of a link-local address; the name can.
    if addresses.is_empty() || addresses.iter().any(has_zone) {
        return vec![host.clone()];
    }
    if info.load_balance_hosts {
        shuffle(&mut addresses);
    }
    let place = |address: SocketAddr| HostSpec {
        address: HostAddress::Tcp { host: name.clone(), hostaddr: Some(address.ip()) },
        ..host.clone()
    };
    addresses.into_iter().map(place).collect()
}

/// The ways in which a host is tried, in order.
///
/// | `sslmode` | order |
/// |---|---|
/// | disable | plain |
/// | allow | plain, then TLS when the server refuses the role without it |
/// | prefer | TLS, then plain when TLS fails or the server refuses the role with it |
/// | require and stronger | TLS |
pub fn attempts(host: &HostSpec, info: &ConnInfo) -> Vec<TlsAttempt> {
    if matches!(host.address, HostAddress::Unix(_)) {
        return vec![TlsAttempt::Plain];
    }
    match info.tls.mode {
        SslMode::Disable => vec![TlsAttempt::Plain],
        SslMode::Allow => vec![TlsAttempt::Plain, TlsAttempt::Tls],
        SslMode::Prefer => vec![TlsAttempt::Tls, TlsAttempt::Plain],
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => vec![TlsAttempt::Tls],
    }
}

/// Opens a stream to a host. `connect_timeout` limits the wait per address, TLS handshake included.
///
/// Not cancel safe, but dropping it only drops the socket.
///
/// # Errors
/// See [`OpenError`].
pub async fn open(
    host: &HostSpec,
    info: &ConnInfo,
    attempt: TlsAttempt,
) -> Result<Stream, OpenError> {
    match &host.address {
        HostAddress::Unix(directory) => open_unix(directory, host.port, info).await,
        HostAddress::Tcp { host: name, hostaddr: Some(address) } => {
            let address = SocketAddr::new(*address, host.port);
            open_tcp(name, address, info, attempt).await
        }
        HostAddress::Tcp { host: name, hostaddr: None } => {
            let peer = format!("{name}:{}", host.port);
            let addresses =
                look_up(name, host.port).await.map_err(|error| OpenError::io(&peer, error))?;
            let mut last = OpenError::io(&peer, io::Error::other("the name has no address"));
            for address in addresses {
                match open_tcp(name, address, info, attempt).await {
                    Err(error @ OpenError::Failed(OpenFailure::Io { .. })) => last = error,
                    done => return done,
                }
            }
            Err(last)
        }
    }
}

/// Opens the unix socket of a port in a directory; `@` in front stands for the abstract namespace.
async fn open_unix(directory: &Path, port: u16, info: &ConnInfo) -> Result<Stream, OpenError> {
    let path = directory.join(format!(".s.PGSQL.{port}"));
    let peer = path.display().to_string();
    let place = match peer.strip_prefix('@') {
        Some(name) => PathBuf::from(format!("\0{name}")),
        None => path,
    };
    let connect =
        async { UnixStream::connect(&place).await.map_err(|error| OpenError::io(&peer, error)) };
    let socket = within(info.connect_timeout, &peer, connect).await?;
    Ok(Stream::plain(socket, peer))
}

/// Opens a TCP connection to one address, under TLS if the attempt says so.
async fn open_tcp(
    name: &str,
    address: SocketAddr,
    info: &ConnInfo,
    attempt: TlsAttempt,
) -> Result<Stream, OpenError> {
    let peer = peer_name(name, address);
    let connector = match attempt {
        TlsAttempt::Plain => None,
        TlsAttempt::Tls => Some(tls::Connector::load(&info.tls, name, address).await?),
    };
    let work = async {
        let mut socket = connect(address, info, &peer).await?;
        let Some(connector) = connector else {
            return Ok(Stream::plain(socket, peer.clone()));
        };
        if !info.tls.direct && !request_tls(&mut socket, &peer).await? {
            if info.tls.mode == SslMode::Prefer {
                return Ok(Stream::plain(socket, peer.clone()));
            }
            return Err(OpenError::TlsRefusedByServer { peer: peer.clone() });
        }
        connector.connect(socket, &peer).await
    };
    // Boxed: the handshake's state is large, and connecting is rare.
    within(info.connect_timeout, &peer, Box::pin(work)).await
}

/// Connects a socket with its options set.
async fn connect(address: SocketAddr, info: &ConnInfo, peer: &str) -> Result<TcpStream, OpenError> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    let socket = socket.map_err(|error| OpenError::io(peer, error))?;
    socket::configure(&socket, &info.socket).map_err(|(option, error)| OpenFailure::Config {
        text: format!("socket option {option} was refused by the system: {error}"),
        hint: Some(format!("Change or remove {option} in the connection string.")),
    })?;
    socket.connect(address).await.map_err(|error| OpenError::io(peer, error))
}

/// Asks for TLS; whether the server has it.
///
/// Exactly one byte is read from the socket, so nothing that follows it in plain text can be taken
/// for part of the protected stream (the class of CVE-2021-23222): such bytes reach the TLS
/// handshake, which they break.
async fn request_tls(socket: &mut TcpStream, peer: &str) -> Result<bool, OpenError> {
    let lost = |error| OpenError::io(peer, error);
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    socket.write_all(&request).await.map_err(lost)?;
    let answer = socket.read_u8().await.map_err(|error| {
        let closed = error.kind() == io::ErrorKind::UnexpectedEof;
        lost(if closed { closed_during_negotiation() } else { error })
    })?;
    ssl_answer(answer).map_err(|error| {
        lost(io::Error::new(io::ErrorKind::ConnectionAborted, format!("TLS negotiation: {error}")))
    })
}

/// The reason for a server that hangs up on an SSLRequest.
fn closed_during_negotiation() -> io::Error {
    let text = "server closed the connection during TLS negotiation";
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
}

/// Runs a connection attempt under a time limit.
async fn within<T>(
    limit: Option<Duration>,
    peer: &str,
    work: impl Future<Output = Result<T, OpenError>>,
) -> Result<T, OpenError> {
    let Some(limit) = limit else { return work.await };
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let text = format!("no answer within {} s", limit.as_secs());
        Err(OpenError::io(peer, io::Error::new(io::ErrorKind::TimedOut, text)))
    })
}

/// All addresses of a name.
async fn look_up(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    tokio::net::lookup_host((name, port)).await.map(Iterator::collect)
}

/// Whether an address is only valid on one network interface.
fn has_zone(address: &SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(v6) if v6.scope_id() != 0)
}

/// A host for messages: its name, and its address where they differ.
fn peer_name(name: &str, address: SocketAddr) -> String {
    let is_address = name.parse::<IpAddr>().is_ok_and(|ip| ip == address.ip());
    if name.is_empty() || is_address {
        return address.to_string();
    }
    format!("{name}:{} ({})", address.port(), address.ip())
}

/// Puts a list into random order (Fisher–Yates).
fn shuffle<T>(list: &mut [T]) {
    let random = SystemRandom::new();
    for end in (1..list.len()).rev() {
        let mut bytes = [0; 8];
        // Without randomness the order stays: load balancing is not worth a failure.
        if random.fill(&mut bytes).is_err() {
            return;
        }
        let count = u64::try_from(end).unwrap_or(u64::MAX).saturating_add(1);
        let other = u64::from_ne_bytes(bytes) % count;
        list.swap(end, usize::try_from(other).unwrap_or(end));
    }
}
