//! What opening a session costs on our side: the state machine without authentication, and with
//! SCRAM-SHA-256 (which is slow on purpose: 4096 iterations of two hashes).
//!
//! Run with `cargo bench --bench startup`. The clone of a large database opens a few dozen
//! sessions, `--follow` with short-lived targets some more: this must stay far below a network
//! round trip, except for SCRAM, where it cannot.

use criterion::{Criterion, criterion_group, criterion_main};
use proto::frame::next_frame;
use proto::startup::{Startup, StartupAction, StartupConfig, StartupDone};
use std::hint::black_box;

#[path = "../proto/tests/support/scram_server.rs"]
#[expect(dead_code, reason = "the tests of the protocol crate use all of it")]
mod scram_server;

use scram_server::ScramServer;

/// What PostgreSQL 15 sends to a trusted client, captured.
const TRUST: &[u8] = include_bytes!("../proto/tests/fixtures/startup_trust.backend");

/// The settings of a usual session.
fn config() -> StartupConfig {
    StartupConfig {
        user: "postgres".to_owned(),
        database: Some("postgres".to_owned()),
        parameters: vec![("application_name".to_owned(), "pgcopydb".to_owned())],
        password: Some(b"secret".to_vec()),
        ..StartupConfig::default()
    }
}

/// Gives all frames to the machine; what it wants to send, and the session when it is open.
fn feed(startup: &mut Startup, mut bytes: &[u8]) -> (Vec<u8>, Option<StartupDone>) {
    let mut sent = Vec::new();
    let mut done = None;
    while let Some(frame) = next_frame(bytes, startup.limits()).expect("valid frames") {
        match startup.handle_frame(frame.tag, frame.body).expect("valid messages") {
            StartupAction::Send(message) => sent.extend_from_slice(&message),
            StartupAction::Done(session) => done = Some(*session),
            StartupAction::Continue | StartupAction::Notice(_) => {}
        }
        bytes = &bytes[frame.total_length..];
    }
    (sent, done)
}

/// A whole exchange with a SCRAM server, whose half of the work is included.
fn scram() -> StartupDone {
    let mut server = ScramServer::new("secret", &["SCRAM-SHA-256"]);
    let (mut startup, _first) = Startup::new(config()).expect("valid configuration");
    let mut answer = server.first_request();
    loop {
        let (sent, done) = feed(&mut startup, &answer);
        match done {
            Some(done) => return done,
            None => answer = server.answer(&sent),
        }
    }
}

fn startup(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("startup");
    group.bench_function("trust", |bencher| {
        bencher.iter(|| {
            let (mut startup, first) = Startup::new(config()).expect("valid configuration");
            let (_sent, done) = feed(&mut startup, black_box(TRUST));
            (first, done.expect("a session"))
        });
    });
    group.sample_size(20);
    group.bench_function("scram_sha_256_both_sides", |bencher| bencher.iter(scram));
    group.bench_function("scram_sha_256_server_only", |bencher| {
        bencher.iter(|| ScramServer::new(black_box("secret"), &["SCRAM-SHA-256"]));
    });
    group.finish();
}

criterion_group!(benches, startup);
criterion_main!(benches);
