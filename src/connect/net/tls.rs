//! The TLS handshake: protocol versions, certificates, server name, channel binding.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, Error as RustlsError, OtherError, SupportedProtocolVersion,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::failure::{OpenError, OpenFailure};
use super::roots::Roots;
use super::verify::{ServerVerifier, VerifyError};
use super::{Stream, channel_binding, identity};
use crate::connect::conninfo::{RootCertificates, SslMode, TlsSettings, TlsVersion};

/// Name of the PostgreSQL protocol in TLS, asked for when TLS starts with the first byte.
/// Source: <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>.
const ALPN: &[u8] = b"postgresql";

/// Everything a handshake with one server needs, files read.
pub(super) struct Connector {
    config: ClientConfig,
    server: ServerName<'static>,
    direct: bool,
    /// Where trust comes from, for hints.
    trust: String,
}

impl Connector {
    /// Reads the files and settings for a handshake with a server, on a thread that may block.
    ///
    /// # Errors
    /// Files that are missing or unusable; no host name under verify-full.
    pub(super) async fn load(
        settings: &TlsSettings,
        host: &str,
        address: SocketAddr,
    ) -> Result<Self, OpenFailure> {
        let settings = settings.clone();
        let host = host.to_owned();
        let load = move || Self::load_now(&settings, &host, address);
        match tokio::task::spawn_blocking(load).await {
            Ok(loaded) => loaded,
            Err(_) => Err(OpenFailure::Config {
                text: "certificate files could not be read: the program is stopping".to_owned(),
                hint: None,
            }),
        }
    }

    /// Does the work of [`Connector::load`].
    fn load_now(
        settings: &TlsSettings,
        host: &str,
        address: SocketAddr,
    ) -> Result<Self, OpenFailure> {
        let provider = Arc::new(ring::default_provider());
        let verifier = ServerVerifier {
            roots: Roots::load(settings)?,
            host: wanted_host(settings, host)?,
            algorithms: provider.signature_verification_algorithms,
        };
        let identity = identity::load(settings, &provider)?;
        let builder = client_builder(provider, settings)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(pair) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair))),
        };
        config.enable_sni = settings.sni;
        if settings.direct {
            config.alpn_protocols = vec![ALPN.to_vec()];
        }
        let server = ServerName::try_from(host.to_owned())
            .unwrap_or_else(|_| ServerName::from(address.ip()));
        Ok(Self { config, server, direct: settings.direct, trust: trust(settings) })
    }

    /// Shakes hands on a connected socket.
    ///
    /// # Errors
    /// `HandshakeLost` when the connection breaks, `Tls` when the two sides cannot agree or the
    /// certificate does not hold.
    pub(super) async fn connect(self, socket: TcpStream, peer: &str) -> Result<Stream, OpenError> {
        let Self { config, server, direct, trust } = self;
        let stream = TlsConnector::from(Arc::new(config))
            .connect(server, socket)
            .await
            .map_err(|error| handshake_error(peer, &trust, error))?;
        let (_, connection) = stream.get_ref();
        if direct && connection.alpn_protocol() != Some(ALPN) {
            return Err(OpenError::Failed(OpenFailure::Tls {
                text: format!(
                    "server at {peer} did not agree to speak PostgreSQL under TLS (ALPN)"
                ),
                hint: Some("Use sslnegotiation=postgres with servers before version 17.".into()),
            }));
        }
        let binding = connection
            .peer_certificates()
            .and_then(<[_]>::first)
            .and_then(|certificate| channel_binding::server_end_point(certificate));
        Ok(Stream::tls(stream, binding, peer))
    }
}

/// Starts a configuration with our provider and the versions that the settings allow.
fn client_builder(
    provider: Arc<CryptoProvider>,
    settings: &TlsSettings,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, OpenFailure> {
    let known: [(TlsVersion, &SupportedProtocolVersion); 2] =
        [(TlsVersion::Tls13, &TLS13), (TlsVersion::Tls12, &TLS12)];
    let allowed: Vec<_> = known
        .into_iter()
        .filter(|(version, _)| settings.minimum_version.is_none_or(|least| *version >= least))
        .filter(|(version, _)| settings.maximum_version.is_none_or(|most| *version <= most))
        .map(|(_, supported)| supported)
        .collect();
    ClientConfig::builder_with_provider(provider).with_protocol_versions(&allowed).map_err(
        |error| OpenFailure::Config {
            text: format!("no TLS version is left: {error}"),
            hint: None,
        },
    )
}

/// The host that the certificate must be for.
fn wanted_host(settings: &TlsSettings, host: &str) -> Result<Option<String>, OpenFailure> {
    if settings.mode != SslMode::VerifyFull {
        return Ok(None);
    }
    if host.is_empty() {
        return Err(OpenFailure::Config {
            text: "sslmode=verify-full needs a host name, found hostaddr only".to_owned(),
            hint: Some("Add host=... to the connection string.".to_owned()),
        });
    }
    Ok(Some(host.to_owned()))
}

/// Where trust comes from, for a hint.
fn trust(settings: &TlsSettings) -> String {
    match &settings.root {
        RootCertificates::System => "the operating system's trust store".to_owned(),
        RootCertificates::File(path) | RootCertificates::DefaultFile(path) => {
            format!("\"{}\"", path.display())
        }
    }
}

/// Gives a failed handshake its kind and its text.
fn handshake_error(peer: &str, trust: &str, error: io::Error) -> OpenError {
    let reason = error.get_ref().and_then(|inner| inner.downcast_ref::<RustlsError>());
    let Some(reason) = reason else {
        let what = format!("TLS handshake with {peer}");
        return OpenError::HandshakeLost { what, source: error };
    };
    let (problem, hint) = explain(reason, trust);
    OpenError::Failed(OpenFailure::Tls {
        text: format!("TLS handshake with {peer}: {problem}"),
        hint,
    })
}

/// What a TLS error means, and what to do about it.
fn explain(error: &RustlsError, trust: &str) -> (String, Option<String>) {
    let untrusted = || {
        let hint = format!("The certificate of the server's authority must be in {trust}.");
        Some(hint)
    };
    match error {
        RustlsError::InvalidCertificate(CertificateError::Other(OtherError(ours))) => {
            match ours.downcast_ref::<VerifyError>() {
                Some(problem @ VerifyError::OtherHost { .. }) => (
                    problem.to_string(),
                    Some("Connect by a name in the certificate, or use sslmode=verify-ca.".into()),
                ),
                Some(problem @ VerifyError::UnknownIssuer) => (problem.to_string(), untrusted()),
                Some(problem @ VerifyError::Unreadable) => (problem.to_string(), None),
                None => (ours.to_string(), None),
            }
        }
        RustlsError::InvalidCertificate(CertificateError::UnknownIssuer) => {
            ("server certificate is not signed by a trusted authority".to_owned(), untrusted())
        }
        RustlsError::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => ("server certificate has expired".to_owned(), None),
        RustlsError::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => ("server certificate is not valid yet".to_owned(), None),
        other => (other.to_string(), None),
    }
}
