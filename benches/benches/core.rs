//! Fan-out through the core alone: one line in, one slice for each recipient, no sockets.
//!
//! The throughput counts deliveries, so its inverse is the cost per recipient. Telnet should cost
//! as much as lines, because the machine encodes a message once for all recipients.

#![allow(missing_docs, clippy::expect_used, reason = "a benchmark that cannot run should fail at once")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use drupe_core::app::Relay;
use drupe_core::{Config, ConnId, Listen, ListenerId, Machine, Peer, Time};
use std::hint::black_box;

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("core_fan_out");
    let cases = [("tcp", 10), ("tcp", 100), ("tcp", 1_000), ("tcp", 10_000), ("telnet", 1_000)];
    for (scheme, recipients) in cases {
        for messages in [1, 64] {
            group.throughput(Throughput::Elements(recipients * messages));
            let id = BenchmarkId::new(format!("{scheme}_{messages}_messages"), recipients);
            group.bench_with_input(id, &recipients, |bencher, &recipients| {
                let (mut machine, sender) = machine(scheme, recipients);
                let line = [vec![b'x'; 63], vec![b'\n']].concat().repeat(usize::try_from(messages).expect("small"));
                let mut input = line.clone();
                bencher.iter(|| {
                    input.copy_from_slice(&line);
                    machine.received(Time::START, sender, &mut input);
                    while let Some(id) = machine.next_changed() {
                        let bytes = machine
                            .intent(id)
                            .map_or(0, |intent| intent.transmit.slices().map(|slice| black_box(slice).len()).sum());
                        machine.wrote(Time::START, id, bytes);
                    }
                    machine.turn_ended(Time::START);
                });
            });
        }
    }
    group.finish();
}

fn machine(scheme: &str, recipients: u64) -> (Machine<Relay>, ConnId) {
    let listen: Listen = format!("{scheme}://127.0.0.1:1").parse().expect("well formed");
    let config = Config::listening([listen]).unlimited();
    let mut machine = Machine::new(config, Relay::default());
    let mut accept = || machine.accepted(Time::START, ListenerId::new(0), Peer::Local).expect("room for all");
    let sender = accept();
    (0..recipients).for_each(|_| {
        accept();
    });
    (machine, sender)
}

criterion_group!(benches, fan_out);
criterion_main!(benches);
