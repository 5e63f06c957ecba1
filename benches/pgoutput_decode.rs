//! How fast changes of pgoutput are decoded: the upper bound of what one apply can follow.
//!
//! Run with `cargo bench --bench pgoutput_decode`. Throughput counts the bytes of the payloads.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pgcopydb::config::Plugin;
use pgcopydb::follow::decode::{Decoder, Place, Received};
use proto::lsn::Lsn;
use proto::pgoutput::{LogicalMessage, classify};

/// Rows of one measured transaction.
const ROWS: usize = 1000;

/// Columns of a row: those of `pgbench_accounts` and a text of 84 bytes.
const COLUMNS: [(&str, &str); 4] =
    [("aid", "1234567"), ("bid", "12"), ("abalance", "-4321"), ("filler", FILLER)];

/// Content of `filler`.
const FILLER: &str =
    "the quick brown fox jumps over the lazy dog; the quick brown fox jumps over the dog.";

/// The description of the table.
fn relation() -> Bytes {
    let mut payload = b"R\0\0\x40\x01public\0accounts\0d".to_vec();
    payload.extend(u16::try_from(COLUMNS.len()).expect("few columns").to_be_bytes());
    for (index, (name, _)) in COLUMNS.iter().enumerate() {
        payload.push(u8::from(index == 0));
        payload.extend(name.as_bytes());
        payload.extend(b"\0\0\0\0\x17\xff\xff\xff\xff");
    }
    payload.into()
}

/// An update of one row, without its old key.
fn update() -> Bytes {
    let mut payload = b"U\0\0\x40\x01N".to_vec();
    payload.extend(u16::try_from(COLUMNS.len()).expect("few columns").to_be_bytes());
    for (_, value) in COLUMNS {
        payload.push(b't');
        payload.extend(u32::try_from(value.len()).expect("short value").to_be_bytes());
        payload.extend(value.as_bytes());
    }
    payload.into()
}

/// A message outside of chunks.
fn received(payload: Bytes) -> Received {
    Received { lsn: Lsn(1), place: Place::Plain, payload }
}

fn decode(criterion: &mut Criterion) {
    let begin = Bytes::from_static(b"B\0\0\0\0\0\0\x01\x10\0\0\0\0\0\0\0\x07\0\0\x02\x01");
    let rows: Vec<Received> = (0..ROWS).map(|_| received(update())).collect();
    let bytes: usize = rows.iter().map(|row| row.payload.len()).sum();
    let mut group = criterion.benchmark_group("pgoutput_decode");
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("classify_1000_updates", |bencher| {
        bencher.iter(|| {
            for row in &rows {
                black_box(classify(black_box(&row.payload)).expect("valid message"));
            }
        });
    });
    group.bench_function("borrowed_1000_updates", |bencher| {
        bencher.iter(|| {
            for row in &rows {
                black_box(LogicalMessage::decode(black_box(&row.payload)).expect("valid message"));
            }
        });
    });
    group.bench_function("events_1000_updates", |bencher| {
        let decoder = || {
            let (mut decoder, mut events) = (Decoder::new(Plugin::Pgoutput), Vec::new());
            for payload in [begin.clone(), relation()] {
                decoder.decode(&received(payload), &mut events).expect("valid message");
            }
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
