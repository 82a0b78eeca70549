//! Fan-out over loopback: each shell, a bare epoll loop, and a tokio program with a broadcast
//! channel.
//!
//! Hub and clients share the computer, so compare only ratios within one run.

#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use drupe_benches::{Hub, Load, MESSAGES};

const RECEIVERS: usize = 200;

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("loopback_fan_out");
    for messages in MESSAGES {
        for hub in Hub::ALL {
            group.throughput(Throughput::Elements((RECEIVERS * messages) as u64));
            let mut load = Load::new(hub.start(), RECEIVERS, 64);
            let id = BenchmarkId::new(format!("{messages}_messages"), hub.name());
            group.bench_function(id, |bencher| bencher.iter(|| load.round(messages)));
        }
    }
    group.finish();
}

criterion_group!(benches, fan_out);
criterion_main!(benches);
