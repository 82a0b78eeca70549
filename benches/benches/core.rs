//! Fan-out through the core alone: one line in, one slice for each recipient, no sockets.
//!
//! The throughput counts deliveries, so its inverse is the cost per recipient. Telnet should cost
//! as much as lines, because the machine encodes a message once for all recipients.

#![allow(missing_docs, clippy::expect_used, reason = "a benchmark that cannot run should fail at once")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use drupe_core::app::Relay;
use drupe_instructions::{Extra, Server, Wire};

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("core_fan_out");
    let cases = [
        ("tcp", Wire::Lines, 10),
        ("tcp", Wire::Lines, 100),
        ("tcp", Wire::Lines, 1_000),
        ("tcp", Wire::Lines, 10_000),
        ("telnet", Wire::Telnet, 1_000),
    ];
    for (scheme, wire, recipients) in cases {
        for messages in [1, 64] {
            group.throughput(Throughput::Elements(recipients * messages));
            let id = BenchmarkId::new(format!("{scheme}_{messages}_messages"), recipients);
            group.bench_with_input(id, &recipients, |bencher, &recipients| {
                let mut server = Server::new(wire, Relay::default(), Extra::None);
                let sender = server.connect();
                for _ in 0..recipients {
                    server.connect();
                }
                let line = [vec![b'x'; 63], vec![b'\n']].concat().repeat(usize::try_from(messages).expect("small"));
                bencher.iter(|| server.turn(sender, &line));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, fan_out);
criterion_main!(benches);
