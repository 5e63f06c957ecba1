//! What each fuzz target does with its input, callable from plain tests too.
//!
//! Compiled only under `cfg(fuzzing)`, which cargo-fuzz sets, and in this crate's tests, which
//! replay every file of `fuzz/corpus` on each `cargo test`. A function returns when all is well and
//! panics when an invariant does not hold.
//!
//! # Adding one more
//!
//! A function here, a line in [`TARGETS`], a file in `fuzz/fuzz_targets` and its `[[bin]]` in
//! `fuzz/Cargo.toml`, and seeds with telling names in `fuzz/corpus/NAME`.

#![expect(clippy::expect_used, clippy::panic, reason = "a panic is how a finding is reported")]

use bytes::BytesMut;

use crate::backend::{AuthenticationRequest, BackendMessage, tag};
use crate::copy::{CoalesceStep, CopyRelay, binary, relay, text};
use crate::error::DecodeError;
use crate::frame::{HEADER_BYTES, next_frame, parse_header};
use crate::limits::{COALESCED_PAYLOAD_BYTES_MAX, Limits};
use crate::pgoutput::{LogicalMessage, Place, classify};
use crate::replication::{ReplicationMessage, StandbyStatusUpdate, XLogData};
use crate::startup::{
    AuthMethod, ChannelBindingPolicy, Startup, StartupAction, StartupConfig, StartupDone,
};
use crate::trace::{Detail, Trace};

/// A fuzz target: takes any bytes, panics when something is wrong.
pub type Target = fn(&[u8]);

/// Every target of this crate with the name of its corpus directory.
pub const TARGETS: [(&str, Target); 9] = [
    ("frame", frame),
    ("backend", backend),
    ("startup", startup),
    ("copy_relay", copy_relay),
    ("copy_binary", copy_binary),
    ("replication", replication),
    ("pgoutput", pgoutput),
    ("wal2json", wal2json),
    ("test_decoding", test_decoding),
];

/// A stream of frames: cut, and traced as from either side.
pub fn frame(data: &[u8]) {
    for limits in [Limits::Startup, Limits::Session] {
        let mut rest = data;
        while let Ok(Some(frame)) = next_frame(rest, limits) {
            assert_eq!(frame.total_length, frame.body.len().saturating_add(HEADER_BYTES));
            traced(frame.tag, frame.body);
            rest = rest.get(frame.total_length..).expect("a frame lies inside its buffer");
        }
        if let Err(error) = next_frame(rest, limits) {
            shown(&error);
            assert!(parse_header(rest, limits).is_err(), "only headers can be at fault");
        }
    }
    one_line(&Trace::startup(data, Detail::Rows));
}

/// One message: the tag, then the body.
pub fn backend(data: &[u8]) {
    let Some((&message_tag, body)) = data.split_first() else { return };
    traced(message_tag, body);
    match BackendMessage::decode(message_tag, body) {
        Ok(message) => consistent(&message, body),
        Err(error) => {
            shown(&error);
            assert!(error.offset <= body.len());
        }
    }
}

/// What a decoded message must fulfil beyond having been decoded.
fn consistent(message: &BackendMessage<'_>, body: &[u8]) {
    assert!(!format!("{message:?}").is_empty());
    match message {
        BackendMessage::DataRow(row) => {
            assert_eq!(row.iter().count(), row.len());
            let bytes = row.iter().flatten().map(<[u8]>::len).sum::<usize>();
            assert!(bytes <= body.len());
        }
        BackendMessage::RowDescription(description) => {
            assert_eq!(description.iter().count(), description.len());
        }
        BackendMessage::ParameterDescription(types) => {
            assert_eq!(types.iter().count().saturating_mul(4).saturating_add(2), body.len());
        }
        BackendMessage::CopyInResponse(response)
        | BackendMessage::CopyOutResponse(response)
        | BackendMessage::CopyBothResponse(response) => {
            assert_eq!(response.column_formats.iter().count(), response.column_formats.len());
        }
        BackendMessage::CommandComplete(command_tag) => {
            assert!(command_tag.text().starts_with(command_tag.verb().as_ref()));
            assert!(command_tag.rows().is_none() || command_tag.text() != command_tag.verb());
        }
        BackendMessage::ErrorResponse(report) | BackendMessage::NoticeResponse(report) => {
            assert_eq!(report.sqlstate.as_str().len(), 5);
            assert!(report.to_string().contains(report.sqlstate.as_str()));
        }
        BackendMessage::Authentication(AuthenticationRequest::Sasl(mechanisms)) => {
            assert!(mechanisms.iter().all(|name| !name.is_empty()));
        }
        _ => {}
    }
}

/// A session's beginning: one byte of configuration, then what the server sends.
///
/// The client's nonce is random, so `@` right after `r=` in a SASL challenge stands for it.
pub fn startup(data: &[u8]) {
    const SECRET: &[u8] = b"correct horse battery staple";
    let Some((&bits, mut rest)) = data.split_first() else { return };
    let scram_only = bits & 4 != 0;
    let config = StartupConfig {
        user: "user".to_owned(),
        password: (bits & 1 != 0).then(|| SECRET.to_vec()),
        tls_active: bits & 2 != 0,
        channel_binding_data: (bits & 8 != 0).then(|| b"hash".to_vec()),
        channel_binding: match bits >> 4 & 3 {
            0 => ChannelBindingPolicy::Disable,
            1 => ChannelBindingPolicy::Require,
            _ => ChannelBindingPolicy::Prefer,
        },
        require_auth: if scram_only { "scram-sha-256" } else { "" }.parse().expect("known methods"),
        ..StartupConfig::default()
    };
    let policy = config.channel_binding;
    let Ok((mut machine, first)) = Startup::new(config) else {
        assert!(policy == ChannelBindingPolicy::Require && bits & 2 == 0);
        return;
    };
    let mut sent = first.to_vec();
    while let Ok(Some(frame)) = next_frame(rest, machine.limits()) {
        let body = with_nonce(frame.body, &sent);
        if iterations(&body) > 1000 {
            // Each iteration is two hashes: more would only make fuzzing slow.
            return;
        }
        match machine.handle_frame(frame.tag, &body) {
            Ok(StartupAction::Send(bytes)) => {
                let clear = memchr::memmem::find(&bytes, SECRET).is_some();
                let asked = frame.body == [0, 0, 0, 3];
                assert!(!clear || asked && !scram_only, "the password left in clear");
                sent.extend_from_slice(&bytes);
            }
            Ok(StartupAction::Done(done)) => {
                assert_eq!(*frame.body, [done.transaction_status.byte()]);
                done_as_demanded(&done, policy, scram_only);
                assert!(machine.handle_frame(frame.tag, &body).is_err(), "nothing after the end");
                return;
            }
            Ok(StartupAction::Continue | StartupAction::Notice(_)) => {}
            Err(error) => {
                assert!(!format!("{error} {error:?}").contains("horse"));
                assert!(machine.handle_frame(b'R', &[0; 4]).is_err(), "nothing after an error");
                return;
            }
        }
        rest = rest.get(frame.total_length..).expect("a frame lies inside its buffer");
    }
}

/// The policy held when the session opened.
fn done_as_demanded(done: &StartupDone, policy: ChannelBindingPolicy, scram_only: bool) {
    assert!(done.channel_bound || policy != ChannelBindingPolicy::Require);
    assert!(done.method == AuthMethod::ScramSha256 || !scram_only);
    assert!(done.method == AuthMethod::ScramSha256 || !done.channel_bound);
}

/// The body with `@` after `r=` replaced by the nonce in what the client sent.
fn with_nonce(body: &[u8], sent: &[u8]) -> Vec<u8> {
    let nonce = memchr::memmem::find(sent, b"n=,r=")
        .and_then(|at| sent.get(at.saturating_add(5)..))
        .and_then(|tail| tail.get(..24));
    match (memchr::memmem::find(body, b"r=@"), nonce) {
        (Some(at), Some(nonce)) => {
            let (head, tail) = body.split_at_checked(at.saturating_add(2)).unwrap_or_default();
            [head, nonce, tail.get(1..).unwrap_or_default()].concat()
        }
        _ => body.to_vec(),
    }
}

/// The iteration count that a SASL challenge asks for, zero when there is none.
fn iterations(body: &[u8]) -> u64 {
    let count = memchr::memmem::rfind(body, b",i=").and_then(|at| body.get(at.saturating_add(3)..));
    count.map_or(0, |digits| {
        let value = |n: u64, b: &u8| n.saturating_mul(10).saturating_add(u64::from(b & 15));
        digits.iter().take_while(|b| b.is_ascii_digit()).fold(0, value)
    })
}

/// A COPY stream: one byte that says how it is cut, then its bytes.
///
/// The relay, in both modes and whatever the cuts, must agree with a parser that is too simple to
/// be wrong.
pub fn copy_relay(data: &[u8]) {
    let Some((&cut, stream)) = data.split_first() else { return };
    let expected = simple_relay(stream);
    for merge in [false, true] {
        let relayed = drive(stream, usize::from(cut).saturating_add(1), merge);
        assert!(relayed.payload == expected.payload, "merge {merge}: payload differs");
        assert_eq!(relayed.controls, expected.controls, "merge {merge}");
        assert_eq!(relayed.failed, expected.failed, "merge {merge}");
    }
}

/// What comes out of a relay.
#[derive(Default, PartialEq)]
struct Relayed {
    payload: Vec<u8>,
    controls: Vec<u8>,
    failed: bool,
}

/// Takes a stream apart frame by frame, without any regard for speed.
fn simple_relay(mut stream: &[u8]) -> Relayed {
    let mut relayed = Relayed::default();
    loop {
        let header = match parse_header(stream, Limits::Session) {
            Ok(Some(header)) => header,
            Ok(None) => return relayed,
            Err(_) => return Relayed { failed: true, ..relayed },
        };
        let is_data = header.tag == tag::COPY_DATA;
        if !is_data && !b"cENSACZ".contains(&header.tag) {
            return Relayed { failed: true, ..relayed };
        }
        let total_length = header.total_length();
        let frame = stream.get(..total_length);
        match (frame.unwrap_or(stream), frame.is_some()) {
            (frame, true) if is_data => {
                relayed.payload.extend_from_slice(frame.get(HEADER_BYTES..).unwrap_or_default());
            }
            (_, true) => relayed.controls.push(header.tag),
            // A large frame passes in pieces, a small one waits for its end.
            (piece, false) if is_data && total_length > relay::WHOLE_FRAME_BYTES_MAX => {
                relayed.payload.extend_from_slice(piece.get(HEADER_BYTES..).unwrap_or_default());
                return relayed;
            }
            _ => return relayed,
        }
        stream = stream.get(total_length..).unwrap_or_default();
    }
}

/// Drives a relay over pieces of `cut` bytes.
fn drive(stream: &[u8], cut: usize, merge: bool) -> Relayed {
    let mut relay = CopyRelay::new();
    let mut relayed = Relayed::default();
    let mut forwarded = Vec::new();
    let mut buf: Vec<u8> = Vec::new();
    let mut out = vec![0xee; stream.len()];
    let mut needed = 0;
    for piece in stream.chunks(cut) {
        buf.extend_from_slice(piece);
        while buf.len() >= needed {
            let step = if merge {
                relay.coalesce(&buf, &mut out)
            } else {
                relay.step(&buf).map(CoalesceStep::from)
            };
            let consumed = match step {
                Ok(CoalesceStep::Merged { consumed, produced }) => {
                    assert!(produced <= consumed);
                    forwarded.extend(out.get(..produced).expect("inside the output"));
                    consumed
                }
                Ok(CoalesceStep::Forward(n)) => {
                    forwarded.extend(buf.get(..n).expect("inside the input"));
                    n
                }
                Ok(CoalesceStep::Control { tag: control, total_length }) => {
                    relayed.controls.push(control);
                    total_length
                }
                Ok(CoalesceStep::NeedMore { total_length }) => {
                    assert!(total_length > buf.len());
                    needed = total_length;
                    break;
                }
                Err(error) => {
                    shown(&error);
                    relayed.failed = true;
                    break;
                }
            };
            assert!(consumed > 0, "every step makes progress");
            needed = 0;
            buf.drain(..consumed);
        }
        if relayed.failed {
            break;
        }
    }
    relayed.payload = payload_of(&forwarded, &relay);
    relayed
}

/// The payload of forwarded CopyData frames, of which the last may be open.
fn payload_of(mut forwarded: &[u8], relay: &CopyRelay) -> Vec<u8> {
    let mut payload = Vec::new();
    let mut open = false;
    while !forwarded.is_empty() {
        let header = parse_header(forwarded, Limits::Session).expect("valid").expect("whole");
        assert_eq!(header.tag, tag::COPY_DATA);
        let merged_max = COALESCED_PAYLOAD_BYTES_MAX.saturating_add(HEADER_BYTES);
        let whole = forwarded.get(..header.total_length());
        assert!(whole.is_some() || header.total_length() > merged_max.saturating_sub(5));
        open = whole.is_none();
        payload.extend_from_slice(whole.unwrap_or(forwarded).get(HEADER_BYTES..).unwrap_or(&[]));
        forwarded = forwarded.get(header.total_length()..).unwrap_or_default();
    }
    assert_eq!(relay.frame_open(), open);
    assert_eq!(relay.payload_bytes(), payload.len() as u64);
    payload
}

/// A PGCOPY stream, whole and in pieces; and the same bytes as a field in text format.
pub fn copy_binary(data: &[u8]) {
    let Some((&cut, stream)) = data.split_first() else { return };
    let whole = walk(stream, usize::MAX);
    let pieces = walk(stream, usize::from(cut).saturating_add(1));
    match (&whole, &pieces) {
        (Ok(a), Ok(b)) => assert_eq!((a.rows(), a.ended()), (b.rows(), b.ended())),
        (Err(a), Err(b)) => assert_eq!(a.offset, b.offset),
        _ => panic!("cuts change the outcome: {whole:?} {pieces:?}"),
    }
    if let Ok(Some(header)) = binary::read_header(stream) {
        let mut rest = stream.get(header..).expect("the header lies inside the stream");
        let mut rows = 0_u64;
        while let Ok(Some((binary::BinaryItem::Tuple(tuple), length))) = binary::read_item(rest) {
            assert_eq!(tuple.iter().count(), tuple.len());
            rest = rest.get(length..).expect("an item lies inside the stream");
            rows = rows.saturating_add(1);
        }
        if let Ok(walker) = &whole {
            assert_eq!(walker.rows(), rows);
        }
    }
    text_fields(stream);
}

fn walk(stream: &[u8], cut: usize) -> Result<binary::BinaryWalker, DecodeError> {
    let mut walker = binary::BinaryWalker::new();
    stream.chunks(cut).try_for_each(|piece| walker.feed(piece)).map(|()| walker)
}

/// Decoding what is there, and encoding it again, keeps the values.
fn text_fields(line: &[u8]) {
    for raw in text::raw_fields(line) {
        let Ok(value) = text::decode_field(raw) else { continue };
        let mut encoded = Vec::new();
        text::put_field(value.as_deref(), &mut encoded);
        assert_eq!(text::decode_field(&encoded), Ok(value));
    }
}

/// The payload of a CopyData message of a replication stream, from either side.
pub fn replication(data: &[u8]) {
    match ReplicationMessage::decode(data) {
        Ok(ReplicationMessage::XLogData(message)) => {
            let header = data.len().checked_sub(message.data.len());
            assert_eq!(header, Some(XLogData::HEADER_BYTES));
        }
        Ok(ReplicationMessage::Keepalive(_)) => assert_eq!(data.len(), 18),
        Err(error) => shown(&error),
    }
    if let Ok(update) = StandbyStatusUpdate::decode(data) {
        let mut encoded = BytesMut::new();
        update.encode(&mut encoded);
        assert_eq!(encoded.get(HEADER_BYTES..), Some(data));
    }
}

/// A message of pgoutput: whether it stands in a chunk, then the payload.
pub fn pgoutput(data: &[u8]) {
    let Some((&chunk, payload)) = data.split_first() else { return };
    let place = if chunk == 0 { Place::Plain } else { Place::Chunk };
    let kind = classify(payload);
    match LogicalMessage::decode_at(place, payload) {
        Ok((_, message)) => {
            assert!(kind.is_ok() && !format!("{message:?}").is_empty());
            let count = match &message {
                LogicalMessage::Insert(insert) => insert.new.iter().count() == insert.new.len(),
                LogicalMessage::Relation(relation) => relation.columns().count() == relation.len(),
                _ => true,
            };
            assert!(count, "what was checked can be read");
        }
        Err(error) => {
            shown(&error);
            assert!(error.offset <= payload.len());
        }
    }
}

/// A message of wal2json.
pub fn wal2json(data: &[u8]) {
    use crate::wal2json::{Kind, Message};
    match (Message::decode(data), crate::wal2json::classify(data)) {
        (Err(error), _) => assert!(!error.to_string().is_empty()),
        (Ok(Message::Begin(_)), kind) => assert_eq!(kind, Kind::Begin),
        (Ok(Message::Commit(_)), kind) => assert_eq!(kind, Kind::Commit),
        (Ok(Message::Change(_)), kind) => assert_eq!(kind, Kind::Content),
        (Ok(Message::Transaction(..)), kind) => assert_eq!(kind, Kind::Transaction),
        (Ok(Message::Message), kind) => {
            assert!(matches!(kind, Kind::Message | Kind::Transaction));
        }
    }
}

/// A message of test_decoding.
pub fn test_decoding(data: &[u8]) {
    use crate::test_decoding::Message;
    match Message::decode(data) {
        Err(error) => {
            shown(&error);
            assert!(error.offset <= data.len());
        }
        Ok(message) => {
            assert!(crate::test_decoding::classify(data).is_some());
            if let Message::Insert { new, .. } | Message::Update { new, .. } = message {
                // Each column takes at least ` a[]:0`.
                assert!(new.len() <= data.len());
            }
        }
    }
}

/// Traces a message at every level from either side.
fn traced(message_tag: u8, body: &[u8]) {
    for detail in [Detail::Shape, Detail::Statements, Detail::Rows] {
        one_line(&Trace::backend(message_tag, body, detail));
        one_line(&Trace::frontend(message_tag, body, detail));
    }
}

fn one_line(trace: &Trace<'_>) {
    let line = trace.to_string();
    assert!(line.starts_with(['B', 'F']) && !line.contains(['\n', '\r']), "{line}");
}

fn shown(error: &DecodeError) {
    assert!(error.to_string().starts_with("invalid "));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_seed_of_the_corpus_passes() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        for (name, target) in TARGETS {
            let directory = corpus.join(name);
            let entries = std::fs::read_dir(&directory)
                .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
            let mut count = 0_usize;
            for entry in entries {
                let path = entry.unwrap().path();
                let data = std::fs::read(&path).unwrap();
                let outcome = std::panic::catch_unwind(|| target(&data));
                assert!(outcome.is_ok(), "seed {} of target {name}", path.display());
                count = count.saturating_add(1);
            }
            assert!(count > 0, "{} holds no seed: the target starts blind", directory.display());
        }
    }
}
