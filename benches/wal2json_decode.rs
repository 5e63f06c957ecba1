//! How fast changes of wal2json are decoded.
//!
//! Run with `cargo bench --bench wal2json_decode`. Throughput counts the bytes of the payloads.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pgcopydb::config::Plugin;
use pgcopydb::follow::decode::{Decoder, Place, Received};
use proto::lsn::Lsn;
use proto::wal2json::Message;

/// Rows of one measured transaction.
const ROWS: usize = 1000;

/// An update as the plugin writes it with the options that we ask for.
const UPDATE: &str = concat!(
    r#"{"action":"U","xid":734,"schema":"public","table":"accounts","columns":["#,
    r#"{"name":"aid","type":"integer","value":1234567},{"name":"bid","type":"integer","value":12},"#,
    r#"{"name":"abalance","type":"integer","value":-4321},{"name":"filler","type":"character(84)","#,
    r#""value":"the quick brown fox jumps over the lazy dog; the quick brown fox jumps over the dog."}"#,
    r#"],"identity":[{"name":"aid","type":"integer","value":1234567}]}"#,
);

/// A message of the plugin.
fn received(text: &str) -> Received {
    let payload = Bytes::copy_from_slice(text.as_bytes());
    Received { lsn: Lsn(1), place: Place::Plain, payload }
}

fn decode(criterion: &mut Criterion) {
    let rows: Vec<Received> = (0..ROWS).map(|_| received(UPDATE)).collect();
    let mut group = criterion.benchmark_group("wal2json_decode");
    group.throughput(Throughput::Bytes((UPDATE.len() * ROWS) as u64));
    group.bench_function("borrowed_1000_updates", |bencher| {
        bencher.iter(|| {
            for row in &rows {
                black_box(Message::decode(black_box(&row.payload)).expect("valid message"));
            }
        });
    });
    group.bench_function("events_1000_updates", |bencher| {
        let decoder = || {
            let (mut decoder, mut events) = (Decoder::new(Plugin::Wal2json), Vec::new());
            let begin = received(r#"{"action":"B","xid":734}"#);
            decoder.decode(&begin, &mut events).expect("valid message");
            events.reserve(ROWS);
            (decoder, events)
        };
        bencher.iter_batched(
            decoder,
            |(mut decoder, mut events)| {
                for row in &rows {
                    decoder.decode(black_box(row), &mut events).expect("valid message");
                }
                events
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
