//! How fast frames are found in a buffer: the lower bound of everything that reads from a server.
//!
//! Run with `cargo bench --bench frame_scan`. Throughput counts the bytes hopped over.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use proto::frame::next_frame;
use proto::limits::Limits;
use std::hint::black_box;

/// Size of the buffer scanned, the size of a session's read buffer.
const BUFFER_BYTES: usize = 256 << 10;

/// As many whole frames with this tag and this many bytes in all as fit the buffer.
fn frames(tag: u8, frame_bytes: usize) -> Vec<u8> {
    let length = u32::try_from(frame_bytes - 1).expect("small frame");
    let mut frame = vec![tag];
    frame.extend(length.to_be_bytes());
    frame.resize(frame_bytes, b'x');
    frame.repeat(BUFFER_BYTES / frame_bytes)
}

fn scan(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame_scan");
    for frame_bytes in [34, 400, 4096] {
        let buffer = frames(b'D', frame_bytes);
        group.throughput(Throughput::Bytes(buffer.len() as u64));
        group.bench_function(format!("{frame_bytes}_bytes"), |bencher| {
            bencher.iter(|| {
                let mut rest = black_box(buffer.as_slice());
                let mut count = 0_u64;
                while let Some(frame) = next_frame(rest, Limits::Session).expect("valid frames") {
                    rest = &rest[frame.total_length..];
                    count += 1;
                }
                assert!(rest.is_empty());
                count
            });
        });
    }
    group.finish();
}

criterion_group!(benches, scan);
criterion_main!(benches);
