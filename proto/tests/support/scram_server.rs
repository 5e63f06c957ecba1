//! The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), enough to converse with a client.
//!
//! Written against the RFC with `ring`, so that it shares no code with the client under test.
//! Used by `proto/tests/startup.rs` and by the root crate's `benches/startup.rs`.

use std::num::NonZeroU32;

use ring::{digest, hmac, pbkdf2};

/// Salt of the one user.
const SALT: &[u8] = b"0123456789abcdef";

/// What the server appends to the client's nonce.
const SERVER_NONCE: &str = "serverpart";

/// Iterations of the key derivation: PostgreSQL's default.
const ITERATIONS: u32 = 4096;

/// One frame.
pub(crate) fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("small body").saturating_add(4);
    [&[tag], length.to_be_bytes().as_slice(), body].concat()
}

/// What the server does when it should send the next message of the exchange.
#[derive(PartialEq)]
enum Cheat {
    /// Nothing wrong.
    Never,
    /// Sends AuthenticationOk instead of the challenge.
    OkInsteadOfChallenge,
    /// Sends AuthenticationOk instead of its proof.
    OkInsteadOfProof,
    /// Proves another password than the client's.
    WrongProof,
}

/// A server that knows one password.
pub(crate) struct ScramServer {
    salted_password: [u8; 32],
    mechanisms: Vec<String>,
    cheat: Cheat,
    gs2_header: String,
    client_first_bare: String,
    server_first: String,
    cbind_input: Vec<u8>,
}

impl ScramServer {
    /// A server that offers these mechanisms.
    pub(crate) fn new(password: &str, mechanisms: &[&str]) -> Self {
        let mut salted_password = [0; 32];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            NonZeroU32::new(ITERATIONS).expect("not zero"),
            SALT,
            password.as_bytes(),
            &mut salted_password,
        );
        Self {
            salted_password,
            mechanisms: mechanisms.iter().map(|&name| name.to_owned()).collect(),
            cheat: Cheat::Never,
            gs2_header: String::new(),
            client_first_bare: String::new(),
            server_first: String::new(),
            cbind_input: Vec::new(),
        }
    }

    /// Makes the server end the exchange early, after its `request` or its `challenge`.
    pub(crate) fn say_ok_after(&mut self, message: &str) {
        self.cheat = match message {
            "request" => Cheat::OkInsteadOfChallenge,
            _ => Cheat::OkInsteadOfProof,
        };
    }

    /// Makes the server prove knowledge of something else than the password.
    pub(crate) fn sign_with_another_key(&mut self) {
        self.cheat = Cheat::WrongProof;
    }

    /// The GS2 header that the client sent.
    pub(crate) fn gs2_header(&self) -> &str {
        &self.gs2_header
    }

    /// The channel binding data that the client sent.
    pub(crate) fn channel_binding_data(&self) -> &[u8] {
        self.cbind_input.strip_prefix(self.gs2_header.as_bytes()).expect("begins with the header")
    }

    /// AuthenticationSASL.
    pub(crate) fn first_request(&self) -> Vec<u8> {
        let mut body = 10_u32.to_be_bytes().to_vec();
        for name in &self.mechanisms {
            body.extend_from_slice(name.as_bytes());
            body.push(0);
        }
        body.push(0);
        frame(b'R', &body)
    }

    /// What the server says to these bytes; empty when it has nothing more to say.
    pub(crate) fn answer(&mut self, bytes: &[u8]) -> Vec<u8> {
        if bytes.is_empty() {
            return Vec::new();
        }
        assert_eq!(bytes.first(), Some(&b'p'));
        let body = bytes.get(5..).expect("a frame");
        if self.server_first.is_empty() { self.challenge(body) } else { self.prove(body) }
    }

    fn challenge(&mut self, body: &[u8]) -> Vec<u8> {
        if self.cheat == Cheat::OkInsteadOfChallenge {
            return accepted();
        }
        let end = body.iter().position(|byte| *byte == 0).expect("mechanism name");
        let mechanism = std::str::from_utf8(&body[..end]).expect("ASCII");
        assert!(self.mechanisms.iter().any(|name| name == mechanism), "not offered: {mechanism}");
        let data = std::str::from_utf8(&body[end.saturating_add(5)..]).expect("ASCII");
        let bare = data.find("n=").expect("user name");
        self.gs2_header = data[..bare].to_owned();
        assert_eq!(mechanism.ends_with("-PLUS"), self.gs2_header.starts_with("p="));
        self.client_first_bare = data[bare..].to_owned();
        let nonce = self.client_first_bare.strip_prefix("n=,r=").expect("nonce");
        self.server_first = format!("r={nonce}{SERVER_NONCE},s={},i={ITERATIONS}", base64(SALT));
        authentication(11, &self.server_first)
    }

    /// Checks the client's proof and sends the server's, then everything up to ReadyForQuery.
    fn prove(&mut self, body: &[u8]) -> Vec<u8> {
        if self.cheat == Cheat::OkInsteadOfProof {
            return accepted();
        }
        let message = std::str::from_utf8(body).expect("ASCII");
        let (without_proof, proof) = message.rsplit_once(",p=").expect("proof");
        let (binding, nonce) = without_proof.split_once(",r=").expect("nonce");
        assert!(nonce.ends_with(SERVER_NONCE));
        self.cbind_input = unbase64(binding.strip_prefix("c=").expect("channel binding"));
        assert!(self.cbind_input.starts_with(self.gs2_header.as_bytes()));
        let auth_message =
            format!("{},{},{without_proof}", self.client_first_bare, self.server_first);
        // ClientProof = ClientKey XOR HMAC(H(ClientKey), AuthMessage)
        let client_key = sign(&self.salted_password, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, &client_key);
        let signature = sign(stored_key.as_ref(), auth_message.as_bytes());
        let expected: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        assert_eq!(unbase64(proof), expected, "the client's proof");
        let key = if self.cheat == Cheat::WrongProof { [7; 32] } else { self.salted_password };
        let server_key = sign(&key, b"Server Key");
        let verifier = base64(&sign(&server_key, auth_message.as_bytes()));
        [authentication(12, &format!("v={verifier}")), accepted()].concat()
    }
}

/// AuthenticationOk, the cancel key, ReadyForQuery.
fn accepted() -> Vec<u8> {
    let key = frame(b'K', &[0, 0, 0, 7, 1, 2, 3, 4]);
    [frame(b'R', &[0; 4]), key, frame(b'Z', b"I")].concat()
}

fn authentication(kind: u32, data: &str) -> Vec<u8> {
    frame(b'R', &[&kind.to_be_bytes(), data.as_bytes()].concat())
}

fn sign(key: &[u8], data: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref().to_vec()
}

/// The base64 alphabet of RFC 4648.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(data: &[u8]) -> String {
    let mut text = String::new();
    for group in data.chunks(3) {
        let bits = group.iter().enumerate().fold(0_u32, |bits, (i, byte)| {
            bits | u32::from(*byte) << 16_usize.saturating_sub(8_usize.saturating_mul(i))
        });
        for position in 0..4_usize {
            let shift = 18_usize.saturating_sub(position.saturating_mul(6));
            let index = usize::try_from(bits >> shift & 63).expect("six bits");
            text.push(if position <= group.len() { char::from(ALPHABET[index]) } else { '=' });
        }
    }
    text
}

fn unbase64(text: &str) -> Vec<u8> {
    let mut data = Vec::new();
    let (mut bits, mut count) = (0_u32, 0_u32);
    for byte in text.bytes().take_while(|byte| *byte != b'=') {
        let value = ALPHABET.iter().position(|letter| *letter == byte).expect("base64 letter");
        bits = bits << 6 | u32::try_from(value).expect("six bits");
        count = count.saturating_add(6);
        if count >= 8 {
            count = count.saturating_sub(8);
            data.push(u8::try_from(bits >> count & 0xff).expect("eight bits"));
            bits &= (1_u32 << count).wrapping_sub(1);
        }
    }
    data
}
