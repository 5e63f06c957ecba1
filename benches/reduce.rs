//! What the reduction of changes to their net effect costs per change.
//!
//! Run with `cargo bench --bench reduce`. `distinct`: every change is about another key (accounts of
//! pgbench); `hot`: all are about ten keys (branches); `inserts`: nothing to look up (history).

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pgcopydb::follow::apply::plan::Shape;
use pgcopydb::follow::apply::reduce::reduce;
use pgcopydb::follow::apply::row::RowOp;
use pgcopydb::follow::change::{Tuple, Value};

/// Changes per batch.
const CHANGES: usize = 10_000;

/// A table `(key, a, b)`.
fn shape() -> Shape {
    Shape {
        key: vec![0],
        joinable: true,
        written: [0, 1, 2].into_iter().collect(),
        settable: [1, 2].into_iter().collect(),
        touched: None,
    }
}

fn row(key: usize) -> Tuple {
    let text = |value: String| Value::Text(Bytes::from(value));
    vec![text(key.to_string()), text("-1234".to_owned()), text(" ".repeat(84))]
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reduce");
    group.throughput(Throughput::Elements(CHANGES as u64));
    let updates = |keys: usize| -> Vec<RowOp> {
        (0..CHANGES).map(|number| RowOp::Update(None, row(number % keys))).collect()
    };
    let inserts = (0..CHANGES).map(|number| RowOp::Insert(row(number))).collect();
    for (name, ops) in [("distinct", updates(CHANGES)), ("hot", updates(10)), ("inserts", inserts)]
    {
        let ops: Vec<&RowOp> = ops.iter().collect();
        let shape = shape();
        group.bench_function(name, |bencher| {
            bencher.iter(|| reduce(&shape, black_box(&ops), false).expect("reducible"));
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
