// What the fuzz targets of the root crate do with their input. Included by each of those targets,
// and by `tests/corpus.rs`, which replays `fuzz/corpus` on every `cargo test`. The counterpart for
// the protocol crate is `proto/src/fuzzing.rs`.

use std::collections::HashSet;

use pgcopydb::base::ini;
use pgcopydb::config::Plugin;
use pgcopydb::connect::conninfo::{ConnInfo, ConnInfoError, Environment};
use pgcopydb::filter;
use pgcopydb::follow::change::{Change, ChangeEvent, OldTuple};
use pgcopydb::follow::decode::{Decoder, Place, Received};
use pgcopydb::follow::store::record::{self, Decoded, HEADER_BYTES, Kind, PAYLOAD_BYTES_MAX};
use pgcopydb::follow::store::{self, Prune};
use pgcopydb::job::schema::toc::Toc;
use pgcopydb::job::schema::toc_filter::{self, Rules};

/// A fuzz target: takes any bytes, panics when something is wrong.
pub(crate) type Target = fn(&[u8]);

/// Every target of the root crate with the name of its corpus directory.
pub(crate) const TARGETS: [(&str, Target); 5] = [
    ("conninfo", conninfo),
    ("ini", ini),
    ("toc", toc),
    ("follow_decode", follow_decode),
    ("segment", segment),
];

/// Stands in for a secret inside a connection string.
const CANARY: &str = "CANARY-7f3a";

/// A connection string: it is refused, or it round-trips; either way no secret comes out.
pub(crate) fn conninfo(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // The first two would read files of this machine; no argument and no variable holds the last.
    if ["servicefile", "passfile", "\0"].iter().any(|word| text.contains(word)) {
        return;
    }
    // The fuzzer learns the canary from comparisons and writes it where it is no secret.
    if text.contains(CANARY) {
        return;
    }
    let environment = Environment::empty().with_user("fuzz");
    if let Ok(info) = ConnInfo::parse(text, &environment) {
        assert!(!info.hosts.is_empty());
        round_trips(&info, &environment);
    }
    for with_canary in [insert(text, "password="), insert_into_uri(text)].into_iter().flatten() {
        let outcome = ConnInfo::parse(&with_canary, &environment);
        match &outcome {
            // The name of the service is part of the message on purpose.
            Err(ConnInfoError::UnknownService(_)) => {}
            Err(error) => assert!(!format!("{error} {error:?}").contains(CANARY), "{error}"),
            Ok(info) => {
                let secret = info.password.as_ref().is_some_and(|p| p.expose().contains(CANARY));
                let shown =
                    format!("{info:?} {} {}", info.display_uri(), info.child_conninfo().text);
                assert!(!(secret && shown.contains(CANARY)), "{shown}");
            }
        }
    }
}

/// Both text forms of a connection lead to the same servers, role and database.
fn round_trips(info: &ConnInfo, environment: &Environment) {
    let child = info.child_conninfo();
    let variables = child.variables.iter().map(|(name, value)| (*name, value.expose()));
    let with_variables = Environment::empty().with_variables(variables);
    for (form, text, environment) in
        [("URI", info.display_uri(), environment), ("child", child.text, &with_variables)]
    {
        if form == "child" && (info.dbname.contains('=') || info.dbname.contains("://")) {
            // The text is for libpq, which takes a nested dbname literally; we would expand it.
            continue;
        }
        let again = ConnInfo::parse(&text, environment);
        let again = again.unwrap_or_else(|error| panic!("{form} {text:?}: {error}"));
        let place = |info: &ConnInfo| -> Vec<_> {
            info.hosts.iter().map(|host| (host.address.clone(), host.port)).collect()
        };
        assert_eq!(place(&again), place(info), "{form} {text:?}");
        assert_eq!((&again.user, &again.dbname), (&info.user, &info.dbname), "{form} {text:?}");
        assert_eq!(again.tls.mode, info.tls.mode, "{form} {text:?}");
    }
}

/// The text with the canary after the first `place`.
fn insert(text: &str, place: &str) -> Option<String> {
    let at = text.find(place)? + place.len();
    Some(format!("{}{CANARY}{}", &text[..at], &text[at..]))
}

/// The text with the canary where a URI has its password.
fn insert_into_uri(text: &str) -> Option<String> {
    let host = text.find("://")? + 3;
    let colon = host + text[host..].find(':')? + 1;
    text[colon..].contains('@').then(|| format!("{}{CANARY}{}", &text[..colon], &text[colon..]))
}

/// A filter or service file: sections as they stand, and rules or an error with its line.
pub(crate) fn ini(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let line_count = text.split('\n').count();
    let in_text = |line: usize| (1..=line_count).contains(&line);
    match ini::parse(text) {
        Err(error) => assert!(in_text(error.line)),
        Ok(sections) => {
            let lines: Vec<_> = sections
                .iter()
                .flat_map(|section| {
                    let header = (section.line > 0).then_some(section.line);
                    header.into_iter().chain(section.entries.iter().map(|entry| entry.line))
                })
                .collect();
            assert!(lines.is_sorted_by(|a, b| a < b) && lines.iter().all(|line| in_text(*line)));
            let written = written(&sections);
            let again = ini::parse(&written).unwrap_or_else(|error| panic!("{written:?}: {error}"));
            let plain = |sections: &[ini::Section]| -> Vec<_> {
                sections
                    .iter()
                    .map(|section| {
                        let entries = section.entries.iter().map(|entry| entry.text.clone());
                        (section.name.clone(), entries.collect::<Vec<_>>())
                    })
                    .collect()
            };
            assert_eq!(plain(&again), plain(&sections));
        }
    }
    if let Err(error) = filter::parse(text) {
        assert!(!error.to_string().is_empty());
    }
}

/// The text of sections without comments and blanks.
fn written(sections: &[ini::Section]) -> String {
    // One mark is dropped when read, so that a second one in the text stays what it is.
    let mut text = String::from('\u{feff}');
    for section in sections {
        if section.line > 0 {
            text.push_str(&format!("[{}]\n", section.name));
        }
        for entry in &section.entries {
            text.push_str(&entry.text);
            text.push('\n');
        }
    }
    text
}

/// A list of an archive's objects: leaving some out keeps exactly the others, in order.
pub(crate) fn toc(data: &[u8]) {
    let toc = Toc::parse(data);
    let every_other = toc.entries().step_by(2).map(|entry| entry.object).collect();
    let rules_of = |excluded| Rules { excluded, skip_extensions: true, ..Rules::default() };
    for rules in [Rules::default(), rules_of(every_other)] {
        let filtered = toc_filter::filter(&toc, &rules);
        let out: HashSet<_> = filtered.left_out.iter().map(|(entry, _)| entry.dump_id).collect();
        let kept: Vec<_> = toc
            .entries()
            .filter(|entry| !out.contains(&entry.dump_id))
            .map(|entry| entry.line.trim_ascii_end())
            .collect();
        assert_eq!(kept.len() as u64, filtered.kept_count);
        let again = Toc::parse(&filtered.list);
        // A line may end with several carriage returns, of which each reading takes one.
        let found: Vec<_> = again.entries().map(|entry| entry.line.trim_ascii_end()).collect();
        assert_eq!(found, kept);
    }
}

/// A stream of messages: the plugin, then `place, length (2 bytes), payload` each. Places: 0 plain, 1 in
/// a chunk, 2 begins the replay of a streamed transaction, 3 abandons the open one.
pub(crate) fn follow_decode(data: &[u8]) {
    let Some((&plugin, mut rest)) = data.split_first() else { return };
    let plugin =
        [Plugin::Pgoutput, Plugin::Wal2json, Plugin::TestDecoding][usize::from(plugin % 3)];
    let mut decoder = Decoder::new(plugin);
    let mut is_open = false;
    while let Some(([place, high, low], more)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(more.len());
        let (payload, tail) = more.split_at(length);
        rest = tail;
        let mut events = Vec::new();
        match place % 4 {
            2 if !is_open => decoder.begin_streamed(7, &mut events),
            3 => {
                decoder.abandon();
                is_open = false;
            }
            place => {
                let place = if place == 1 { Place::Chunk } else { Place::Plain };
                let payload = bytes::Bytes::copy_from_slice(payload);
                let message = Received { lsn: proto::lsn::Lsn(1), place, payload };
                if decoder.decode(&message, &mut events).is_err() {
                    assert!(events.is_empty());
                    return;
                }
            }
        }
        for event in &events {
            is_open = in_order(event, is_open);
        }
    }
}

/// Demands that an event may stand here and that its rows fit their relations; whether a transaction is
/// open behind it.
fn in_order(event: &ChangeEvent, is_open: bool) -> bool {
    match event {
        ChangeEvent::Begin(_) => assert!(!is_open),
        ChangeEvent::Commit(_) | ChangeEvent::Change(_) => assert!(is_open),
        ChangeEvent::Position(_) | ChangeEvent::End(_) | ChangeEvent::Abandon => {}
    }
    if let ChangeEvent::Change(change) = event {
        let width = |old: &OldTuple| match old {
            OldTuple::Key(tuple) | OldTuple::Full(tuple) => tuple.len(),
        };
        match change {
            Change::Insert { relation, new } => assert_eq!(new.len(), relation.columns.len()),
            Change::Update { relation, old, new } => {
                assert_eq!(new.len(), relation.columns.len());
                assert!(old.as_ref().is_none_or(|old| width(old) == new.len()));
            }
            Change::Delete { relation, old } => assert_eq!(width(old), relation.columns.len()),
            Change::Truncate { .. } => {}
        }
    }
    matches!(event, ChangeEvent::Begin(_) | ChangeEvent::Change(_))
}

/// A segment file: its records are read as far as they are whole, and nothing behind the first bytes that
/// are none is believed.
pub(crate) fn segment(data: &[u8]) {
    let (mut at, mut boundary, mut header) = (0, proto::lsn::Lsn::INVALID, false);
    loop {
        let rest = &data[at..];
        match record::decode(rest) {
            Decoded::Record(found) => {
                let length = found.length();
                let mut again = Vec::new();
                record::encode(found.header, found.payload, &mut again);
                assert_eq!(again, rest[..length], "a record is its bytes and nothing else");
                assert_eq!(record::peek(rest), Some((found.header, length)));
                refuses_flipped_bits(&rest[..length], at);
                header |= at == 0 && found.header.kind == Kind::Header;
                if found.header.kind.is_boundary() || at == 0 {
                    boundary = found.header.lsn;
                }
                at += length;
            }
            Decoded::Incomplete { needed } => {
                assert!(needed > rest.len() && needed <= HEADER_BYTES + PAYLOAD_BYTES_MAX as usize);
                break;
            }
            Decoded::Broken => break,
        }
    }
    let directory = ScratchDirectory::new();
    let failed = |error: &dyn std::fmt::Display| -> ! { panic!("{error}") };
    let path = directory.0.join("0000000000000001.segment");
    std::fs::write(path, data).unwrap_or_else(|error| failed(&error));
    // A header may be a good record and yet none that we know; without one there is no store.
    if let Some(state) = store::read_state(&directory.0).unwrap_or_else(|error| failed(&error)) {
        assert!(header);
        assert_eq!((state.positions.offset, state.durable), (at as u64, boundary));
    }
    let all = proto::lsn::Lsn::MAX;
    let pruned =
        store::prune(&directory.0, all, Prune::DryRun).unwrap_or_else(|error| failed(&error));
    assert!(pruned.files.is_empty(), "the newest segment stays");
}

/// Demands that a record with one bit flipped is none; which bits depends on its place.
fn refuses_flipped_bits(record: &[u8], salt: usize) {
    let mut changed = record.to_vec();
    for step in 0..8 {
        let bit = (salt + step * 7919) % (record.len() * 8);
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!matches!(record::decode(&changed), Decoded::Record(_)), "bit {bit}");
        changed[bit / 8] ^= 1 << (bit % 8);
    }
}

/// A directory that is removed when it is not needed any more.
struct ScratchDirectory(std::path::PathBuf);

impl ScratchDirectory {
    /// In memory where that can be had.
    fn new() -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let shared = std::path::PathBuf::from("/dev/shm");
        let parent = if shared.is_dir() { shared } else { std::env::temp_dir() };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("pgcopydb-segment-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{error}"));
        Self(path)
    }
}

impl Drop for ScratchDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
