//! What we say and believe on the wire before a session exists, against scripted servers.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use pgcopydb::base::error::{Class, Error, Side};
use pgcopydb::connect::client::Session;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::certificates::{Kind, Signer, Workshop};
use crate::support::Home;

/// Bytes of an SSLRequest. Source: PostgreSQL manual, 55.7: length 8, code 80877103.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// An ErrorResponse as a server sends it that cannot start a session.
const ERROR_RESPONSE: &[u8] = b"E\0\0\0\x24SFATAL\0C53300\0Mplease trust me\0\0";

/// Listens on a port of its own.
async fn listen() -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Accepts a connection and reads its SSLRequest.
async fn accept_ssl_request(listener: &TcpListener) -> Result<TcpStream> {
    let (mut socket, _) = listener.accept().await?;
    let mut request = [0; 8];
    socket.read_exact(&mut request).await?;
    assert_eq!(request, SSL_REQUEST);
    Ok(socket)
}

/// Tries to open a session; it must fail.
async fn failure(address: SocketAddr, rest: &str) -> Result<Error> {
    let info = Home::new()?.parse(&format!(
        "host=localhost hostaddr={} port={} {rest}",
        address.ip(),
        address.port()
    ))?;
    let outcome = Session::connect(Side::Source, &info, "test").await;
    outcome.err().context("the session should not open")
}

/// Answers an SSLRequest with the given bytes and hangs up once the client has.
fn answer_with(listener: TcpListener, answer: &'static [u8]) -> JoinHandle<Result<Vec<u8>>> {
    tokio::spawn(async move {
        let mut socket = accept_ssl_request(&listener).await?;
        socket.write_all(answer).await?;
        let mut heard = Vec::new();
        // A reset instead of an end is as good: the client is gone.
        let _ = socket.read_to_end(&mut heard).await;
        Ok(heard)
    })
}

#[tokio::test]
async fn plain_bytes_after_the_tls_answer_break_the_handshake() -> Result<()> {
    // What somebody in the middle would add so that it counts as sent under TLS (CVE-2021-23222):
    // AuthenticationOk and ReadyForQuery.
    let (listener, address) = listen().await?;
    let server = answer_with(listener, b"SR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I");
    let error = failure(address, "sslmode=require").await?;
    assert!(error.to_string().contains("TLS handshake"), "{error}");
    // All that was said is a ClientHello: record type 22; nothing in plain text followed.
    let heard = server.await??;
    assert_eq!(heard.first(), Some(&22));
    Ok(())
}

#[tokio::test]
async fn text_of_an_unproven_server_is_not_shown() -> Result<()> {
    // Nothing is known about the peer yet (CVE-2024-10977).
    for mode in ["prefer", "require"] {
        let (listener, address) = listen().await?;
        let server = answer_with(listener, ERROR_RESPONSE);
        let error = failure(address, &format!("sslmode={mode}")).await?;
        let text = format!("{error} {:?}", error.detail_lines());
        assert!(!text.contains("trust me"), "{text}");
        assert_eq!(error.class(), Class::Transient, "{text}");
        server.await??;
    }
    Ok(())
}

#[tokio::test]
async fn server_that_hangs_up_on_the_question_is_transient() -> Result<()> {
    let (listener, address) = listen().await?;
    let server = tokio::spawn(async move { accept_ssl_request(&listener).await.map(drop) });
    let error = failure(address, "sslmode=require").await?;
    assert_eq!(error.class(), Class::Transient, "{error}");
    server.await??;
    Ok(())
}

#[tokio::test]
async fn prefer_goes_on_without_tls_on_the_same_connection() -> Result<()> {
    let (listener, address) = listen().await?;
    let server = tokio::spawn(async move {
        let mut socket = accept_ssl_request(&listener).await?;
        socket.write_all(b"N").await?;
        let mut startup = [0; 8];
        socket.read_exact(&mut startup).await?;
        anyhow::Ok(startup)
    });
    failure(address, "sslmode=prefer").await?;
    let [.., a, b, c, d] = server.await??;
    // Protocol 3.0 follows on the same socket. Source: PostgreSQL manual, 55.7, StartupMessage.
    assert_eq!([a, b, c, d], [0, 3, 0, 0]);
    Ok(())
}

#[tokio::test]
async fn prefer_tries_without_tls_when_the_handshake_fails() -> Result<()> {
    let (listener, address) = listen().await?;
    let server = tokio::spawn(async move {
        let mut socket = accept_ssl_request(&listener).await?;
        socket.write_all(b"Sthis is no TLS").await?;
        let (mut second, _) = listener.accept().await?;
        let mut startup = [0; 8];
        second.read_exact(&mut startup).await?;
        anyhow::Ok(startup)
    });
    failure(address, "sslmode=prefer").await?;
    let [.., a, b, c, d] = server.await??;
    assert_eq!([a, b, c, d], [0, 3, 0, 0]);
    Ok(())
}

/// What a TLS server saw of a client.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    /// Server name in the handshake.
    name: Option<String>,
    /// Protocol agreed upon.
    protocol: Option<Vec<u8>>,
    /// The first eight bytes under TLS.
    startup: [u8; 8],
}

/// When a TLS server starts with TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// After an SSLRequest.
    Asked,
    /// With the first byte.
    Direct,
}

/// A TLS server for one connection that speaks the given protocols.
fn tls_server(
    workshop: &Workshop,
    listener: TcpListener,
    start: Start,
    protocols: &[&[u8]],
) -> Result<JoinHandle<Result<Seen>>> {
    let chain = CertificateDer::pem_file_iter(workshop.file("server", "crt"))?
        .collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(workshop.file("server", "key"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(tokio::spawn(async move {
        let socket = match start {
            Start::Direct => listener.accept().await?.0,
            Start::Asked => {
                let mut socket = accept_ssl_request(&listener).await?;
                socket.write_all(b"S").await?;
                socket
            }
        };
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let mut stream = acceptor.accept(socket).await?;
        let connection = stream.get_ref().1;
        let name = connection.server_name().map(str::to_owned);
        let protocol = connection.alpn_protocol().map(<[u8]>::to_vec);
        let mut startup = [0; 8];
        stream.read_exact(&mut startup).await?;
        Ok(Seen { name, protocol, startup })
    }))
}

/// A workshop with a server certificate for localhost.
fn workshop() -> Result<Workshop> {
    let workshop = Workshop::open()?;
    workshop.make(Kind {
        name: "server",
        common_name: "localhost",
        extensions: "subjectAltName=DNS:localhost",
        signer: Signer::Authority,
        days: 30,
        options: &[],
    })?;
    Ok(workshop)
}

#[tokio::test]
async fn server_name_is_sent_for_names_unless_switched_off() -> Result<()> {
    let workshop = workshop()?;
    let cases = [
        ("host=localhost", Some("localhost")),
        ("host=localhost sslsni=0", None),
        ("host=127.0.0.1", None),
        ("host=''", None),
    ];
    for (text, expected) in cases {
        let (listener, address) = listen().await?;
        let server = tls_server(&workshop, listener, Start::Asked, &[])?;
        // Given twice, the later host counts.
        failure(address, &format!("{text} sslmode=require")).await?;
        let seen = server.await??;
        assert_eq!(seen.name.as_deref(), expected, "{text}");
        assert_eq!(seen.protocol, None, "{text}");
        assert_eq!(seen.startup[4..], [0, 3, 0, 0], "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn direct_tls_starts_with_the_first_byte_and_agrees_on_the_protocol() -> Result<()> {
    let workshop = workshop()?;
    let root = workshop.file("root", "crt");
    let text = format!("sslmode=verify-full sslnegotiation=direct sslrootcert={}", root.display());

    let (listener, address) = listen().await?;
    let server = tls_server(&workshop, listener, Start::Direct, &[b"postgresql"])?;
    failure(address, &text).await?;
    let seen = server.await??;
    assert_eq!(seen.protocol.as_deref(), Some(b"postgresql".as_slice()));
    assert_eq!(seen.startup[4..], [0, 3, 0, 0]);

    // Another protocol is refused in the handshake.
    let (listener, address) = listen().await?;
    let server = tls_server(&workshop, listener, Start::Direct, &[b"http/1.1"])?;
    let error = failure(address, &text).await?;
    assert!(error.to_string().contains("TLS handshake"), "{error}");
    assert!(server.await?.is_err());

    // A server that does not speak about protocols could be any server.
    let (listener, address) = listen().await?;
    let server = tls_server(&workshop, listener, Start::Direct, &[])?;
    let error = failure(address, &text).await?;
    assert!(error.to_string().contains("did not agree to speak PostgreSQL under TLS"), "{error}");
    assert!(server.await?.is_err());
    Ok(())
}
