//! The authentication exchange: cleartext, MD5, SCRAM-SHA-256 with and without channel binding.

use bytes::{Bytes, BytesMut};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};

use super::StartupConfig;
use super::error::StartupError;
use super::policy::{AuthMethod, ChannelBindingPolicy, RequireAuth};
use crate::backend::{AuthenticationRequest, SaslMechanisms};
use crate::frontend;

/// Largest number of SCRAM iterations that a server may ask for.
///
/// Each costs two hashes, before the server has proven anything: a hostile one could keep us busy
/// for hours. PostgreSQL's default is 4096.
/// Source: `MAX_ITERATION_COUNT` of postgres-protocol, which refuses more without naming numbers.
const SCRAM_ITERATIONS_MAX: u64 = 100_000;

/// What follows from a request.
pub(super) enum Step {
    /// Send this, then wait.
    Send(Bytes),
    /// Wait for the next request.
    Wait,
    /// The server has let us in, and every demand is met.
    Authenticated,
}

/// Where the exchange stands.
enum Exchange {
    /// The server has asked for nothing yet.
    Idle,
    /// A password, clear or hashed, was sent.
    PasswordSent,
    /// SCRAM: the client's first message was sent.
    Started(Box<ScramSha256>),
    /// SCRAM: the proof was sent.
    Proven(Box<ScramSha256>),
    /// SCRAM: the server has proven itself too.
    Verified,
}

/// The client side of authentication.
pub(super) struct Authentication {
    user: String,
    password: Option<Vec<u8>>,
    tls_active: bool,
    channel_binding_data: Option<Vec<u8>>,
    channel_binding: ChannelBindingPolicy,
    require_auth: RequireAuth,
    exchange: Exchange,
    method: AuthMethod,
    binds_channel: bool,
}

impl Authentication {
    /// The state before the server's first request.
    ///
    /// # Errors
    /// `ChannelBinding` when it is required on a stream without TLS.
    pub(super) fn new(config: StartupConfig) -> Result<Self, StartupError> {
        if config.channel_binding == ChannelBindingPolicy::Require && !config.tls_active {
            let reason = "the connection is not encrypted with TLS";
            return Err(StartupError::ChannelBinding { reason });
        }
        Ok(Self {
            user: config.user,
            password: config.password.filter(|password| !password.is_empty()),
            tls_active: config.tls_active,
            channel_binding_data: config.channel_binding_data,
            channel_binding: config.channel_binding,
            require_auth: config.require_auth,
            exchange: Exchange::Idle,
            method: AuthMethod::None,
            binds_channel: false,
        })
    }

    /// The method that the server chose; `None` while it has asked for nothing.
    pub(super) const fn method(&self) -> AuthMethod {
        self.method
    }

    /// Whether the exchange is complete and was bound to the TLS channel.
    pub(super) const fn channel_bound(&self) -> bool {
        self.binds_channel && matches!(self.exchange, Exchange::Verified)
    }

    /// Answers one request.
    pub(super) fn step(
        &mut self,
        request: &AuthenticationRequest<'_>,
    ) -> Result<Step, StartupError> {
        match *request {
            AuthenticationRequest::Ok => self.finish(),
            AuthenticationRequest::CleartextPassword => {
                let password = self.begin(AuthMethod::Password)?.to_vec();
                self.send_password(&password)
            }
            AuthenticationRequest::Md5Password { salt } => {
                let user = self.user.clone();
                let password = self.begin(AuthMethod::Md5)?;
                let hash = md5_hash(user.as_bytes(), password, salt);
                self.send_password(hash.as_bytes())
            }
            AuthenticationRequest::Sasl(mechanisms) => self.sasl(mechanisms),
            AuthenticationRequest::SaslContinue { data } => self.sasl_continue(data),
            AuthenticationRequest::SaslFinal { data } => self.sasl_final(data),
            AuthenticationRequest::KerberosV5
            | AuthenticationRequest::ScmCredential
            | AuthenticationRequest::Gss
            | AuthenticationRequest::GssContinue { .. }
            | AuthenticationRequest::Sspi => {
                Err(StartupError::Unsupported { method: request.name().to_owned() })
            }
            AuthenticationRequest::Unknown { kind } => {
                Err(StartupError::Unsupported { method: format!("number {kind}") })
            }
        }
    }

    /// Checks that a request for `method` is acceptable, and gives the password to answer it with.
    fn begin(&mut self, method: AuthMethod) -> Result<&[u8], StartupError> {
        if !matches!(self.exchange, Exchange::Idle) {
            return Err(out_of_order("server asked for a second authentication"));
        }
        self.method = method;
        self.check_allowed(method)?;
        if self.channel_binding == ChannelBindingPolicy::Require
            && method != AuthMethod::ScramSha256
        {
            let reason = "the server asked for a method that cannot provide it";
            return Err(StartupError::ChannelBinding { reason });
        }
        self.password.as_deref().ok_or(StartupError::NeedPassword { method })
    }

    fn check_allowed(&self, method: AuthMethod) -> Result<(), StartupError> {
        if self.require_auth.allows(method) {
            return Ok(());
        }
        Err(StartupError::RequireAuth { method, allowed: self.require_auth.text().to_owned() })
    }

    fn send_password(&mut self, password: &[u8]) -> Result<Step, StartupError> {
        let mut buf = BytesMut::new();
        frontend::password(password, &mut buf)?;
        self.exchange = Exchange::PasswordSent;
        Ok(Step::Send(buf.freeze()))
    }

    /// Chooses a mechanism and sends the client's first message.
    fn sasl(&mut self, mechanisms: SaslMechanisms<'_>) -> Result<Step, StartupError> {
        let plus_offered = mechanisms.contains(SCRAM_SHA_256_PLUS);
        let plain_offered = mechanisms.contains(SCRAM_SHA_256);
        if !plus_offered && !plain_offered {
            let names: Vec<_> = mechanisms.iter().map(String::from_utf8_lossy).collect();
            let method = format!("SASL {}", names.join(", "));
            return Err(StartupError::Unsupported { method });
        }
        if plus_offered && !self.tls_active {
            // Somebody between us and the server has taken the encryption off.
            return Err(out_of_order(
                "server offered SCRAM-SHA-256-PLUS on a connection without TLS",
            ));
        }
        let password = self.begin(AuthMethod::ScramSha256)?.to_vec();
        let wanted = self.channel_binding != ChannelBindingPolicy::Disable;
        let data = self.channel_binding_data.clone().filter(|_| wanted);
        let (mechanism, binding) = match data {
            Some(data) if plus_offered => {
                self.binds_channel = true;
                (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(data))
            }
            _ if self.channel_binding == ChannelBindingPolicy::Require => {
                return Err(StartupError::ChannelBinding {
                    reason: if plus_offered {
                        "the server's certificate has no usable hash"
                    } else {
                        "the server does not offer it"
                    },
                });
            }
            _ if !plain_offered => {
                let method = "SASL SCRAM-SHA-256-PLUS without channel binding".to_owned();
                return Err(StartupError::Unsupported { method });
            }
            // GS2 flag `y`: we could bind, and believe that the server cannot. A server that can
            // refuses it, which uncovers somebody who removed PLUS from the list.
            Some(_) => (SCRAM_SHA_256, ChannelBinding::unrequested()),
            // GS2 flag `n`: we cannot bind, or shall not.
            None => (SCRAM_SHA_256, ChannelBinding::unsupported()),
        };
        let scram = ScramSha256::new(&password, binding);
        let mut buf = BytesMut::new();
        frontend::sasl_initial_response(mechanism, scram.message(), &mut buf)?;
        self.exchange = Exchange::Started(Box::new(scram));
        Ok(Step::Send(buf.freeze()))
    }

    fn sasl_continue(&mut self, data: &[u8]) -> Result<Step, StartupError> {
        let exchange = std::mem::replace(&mut self.exchange, Exchange::Idle);
        let Exchange::Started(mut scram) = exchange else {
            return Err(out_of_order("server sent a SASL challenge out of turn"));
        };
        check_iterations(data)?;
        scram.update(data).map_err(|error| scram_error(&error))?;
        let mut buf = BytesMut::new();
        frontend::sasl_response(scram.message(), &mut buf)?;
        self.exchange = Exchange::Proven(scram);
        Ok(Step::Send(buf.freeze()))
    }

    fn sasl_final(&mut self, data: &[u8]) -> Result<Step, StartupError> {
        let exchange = std::mem::replace(&mut self.exchange, Exchange::Idle);
        let Exchange::Proven(mut scram) = exchange else {
            return Err(out_of_order("server sent a SASL outcome out of turn"));
        };
        scram.finish(data).map_err(|error| scram_error(&error))?;
        self.exchange = Exchange::Verified;
        Ok(Step::Wait)
    }

    /// AuthenticationOk: were all demands met?
    fn finish(&self) -> Result<Step, StartupError> {
        if matches!(self.exchange, Exchange::Started(_) | Exchange::Proven(_)) {
            return Err(out_of_order(
                "server ended SCRAM without proving that it knows the password",
            ));
        }
        self.check_allowed(self.method)?;
        if self.channel_binding == ChannelBindingPolicy::Require && !self.channel_bound() {
            let reason = "the server let us in without it";
            return Err(StartupError::ChannelBinding { reason });
        }
        Ok(Step::Authenticated)
    }
}

/// Refuses a challenge whose cost is beyond reason, naming both numbers.
///
/// A challenge that cannot be read is left to the SCRAM code to refuse.
fn check_iterations(challenge: &[u8]) -> Result<(), StartupError> {
    let count = memchr::memmem::rfind(challenge, b",i=")
        .and_then(|at| challenge.get(at.saturating_add(3)..))
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u64>().ok());
    match count {
        Some(count) if count > SCRAM_ITERATIONS_MAX => Err(StartupError::Scram {
            reason: format!(
                "server asks for {count} iterations, at most {SCRAM_ITERATIONS_MAX} are accepted; \
                 lower scram_iterations on the server and set the password again"
            ),
        }),
        _ => Ok(()),
    }
}

fn out_of_order(reason: &'static str) -> StartupError {
    StartupError::Protocol { reason }
}

fn scram_error(error: &std::io::Error) -> StartupError {
    StartupError::Scram { reason: error.to_string() }
}
