//! What the relay costs per row: forwarding untouched, and merging small frames.
//!
//! Run with `cargo bench --bench copy_relay`. Frames of 34 bytes (a narrow row), 400 bytes and
//! 4 kB; throughput counts the bytes of the stream. `copy` moves the same bytes once with
//! `copy_from_slice`: what merging cannot beat.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use proto::copy::{CoalesceStep, CopyRelay, RelayStep};
use std::hint::black_box;

/// Size of the relay's read buffer.
const BUFFER_BYTES: usize = 256 << 10;

/// Frame sizes of the three row shapes, headers included, in bytes.
const FRAME_BYTES: [usize; 3] = [34, 400, 4096];

/// A full buffer of CopyData frames, ending inside one.
fn stream(frame_bytes: usize) -> Vec<u8> {
    let length = u32::try_from(frame_bytes - 1).expect("small frame");
    let mut frame = vec![b'd'];
    frame.extend(length.to_be_bytes());
    frame.resize(frame_bytes, b'x');
    let mut buffer = frame.repeat(BUFFER_BYTES / frame_bytes + 1);
    buffer.truncate(BUFFER_BYTES);
    buffer
}

fn forward(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("copy_relay/forward");
    for frame_bytes in FRAME_BYTES {
        let buffer = stream(frame_bytes);
        group.throughput(Throughput::Bytes(buffer.len() as u64));
        group.bench_function(format!("{frame_bytes}_bytes"), |bencher| {
            let mut relay = CopyRelay::new();
            bencher.iter(|| match relay.step(black_box(&buffer)) {
                Ok(RelayStep::Forward(n)) => n,
                other => panic!("{other:?}"),
            });
        });
    }
    group.finish();
}

fn coalesce(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("copy_relay/coalesce");
    for frame_bytes in FRAME_BYTES {
        let buffer = stream(frame_bytes);
        let mut out = vec![0; buffer.len()];
        group.throughput(Throughput::Bytes(buffer.len() as u64));
        group.bench_function(format!("{frame_bytes}_bytes"), |bencher| {
            let mut relay = CopyRelay::new();
            bencher.iter(|| match relay.coalesce(black_box(&buffer), &mut out) {
                Ok(CoalesceStep::Merged { consumed, produced }) => (consumed, produced),
                other => panic!("{other:?}"),
            });
        });
    }
    group.finish();
}

fn copy(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("copy_relay/copy");
    let buffer = stream(FRAME_BYTES[0]);
    let mut out = vec![0; buffer.len()];
    group.throughput(Throughput::Bytes(buffer.len() as u64));
    group.bench_function("once", |bencher| {
        bencher.iter(|| black_box(&mut out).copy_from_slice(black_box(&buffer)));
    });
    group.finish();
}

criterion_group!(benches, forward, coalesce, copy);
criterion_main!(benches);
