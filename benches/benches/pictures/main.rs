//! What the pictures show: processor time for each delivery, delays beside slow readers, and memory of connections.
//!
//! Each relay is a process of its own. `cargo run --release -p drupe-benches --bin pictures` draws the results.

#![allow(missing_docs, clippy::expect_used, reason = "a benchmark that cannot run should fail at once")]

mod custom;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use custom::{Custom, as_float};
use drupe_benches::{Hub, Load, Process};
use std::time::{Duration, Instant};

const MEMBERS: [usize; 4] = [10, 100, 1_000, 4_000];
/// Messages that one publisher sends at once.
const AT_ONCE: usize = 16;
/// Connections whose memory is measured together.
const CONNECTIONS: usize = 1_000;

fn main() {
    Hub::serve_if_asked(std::env::args());
    cost(&mut Criterion::default().with_measurement(Custom("ns")).configure_from_args());
    delay(&mut Criterion::default().with_measurement(Custom("ns")).configure_from_args());
    memory(&mut Criterion::default().with_measurement(Custom("B")).configure_from_args());
    Criterion::default().configure_from_args().final_summary();
}

/// Processor time of the relay for a burst of messages to all members.
fn cost(criterion: &mut Criterion<Custom>) {
    let mut group = criterion.benchmark_group("cost");
    group.sample_size(15).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(300));
    group.sampling_mode(SamplingMode::Flat);
    for members in MEMBERS {
        group.throughput(Throughput::Elements((members * AT_ONCE) as u64));
        // In turn, so that a disturbance of some seconds does not meet one relay alone in all sizes.
        for hub in Hub::ALL {
            let process = Process::hub(hub).expect("it starts");
            let mut load = Load::new(process.address(), members, 64);
            group.bench_function(BenchmarkId::new(hub.name(), members), |bencher| {
                bencher.iter_custom(|rounds| {
                    let before = process.cpu();
                    (0..rounds).for_each(|_| load.round(AT_ONCE));
                    (process.cpu() - before) * 1e9
                });
            });
        }
    }
    group.finish();
}

/// Time until all of 200 members have a message of 1 KiB, while 10 others never read.
fn delay(criterion: &mut Criterion<Custom>) {
    let mut group = criterion.benchmark_group("delay");
    group.sample_size(10).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    group.sampling_mode(SamplingMode::Flat);
    for hub in Hub::ALL {
        let process = Process::hub(hub).expect("it starts");
        let mut load = Load::new(process.address(), 200, 1024).with_slow(process.address(), 10);
        for percent in [50, 90, 99] {
            group.bench_function(BenchmarkId::new(hub.name(), percent), |bencher| {
                bencher.iter_custom(|count| {
                    let mut delays: Vec<_> = (0..count.max(200)).map(|_| round(&mut load)).collect();
                    delays.sort();
                    let delay = delays[(delays.len() - 1) * percent / 100];
                    as_float(delay.as_nanos()) * as_float(count.into())
                });
            });
        }
    }
    group.finish();
}

fn round(load: &mut Load) -> Duration {
    let began = Instant::now();
    load.round(1);
    began.elapsed()
}

/// Memory that belongs to the relay alone (`RssAnon`), for each connection that has received a few messages.
fn memory(criterion: &mut Criterion<Custom>) {
    let mut group = criterion.benchmark_group("memory");
    group.sample_size(10).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(1));
    group.sampling_mode(SamplingMode::Flat);
    for hub in Hub::ALL {
        group.bench_function(BenchmarkId::new(hub.name(), CONNECTIONS), |bencher| {
            bencher.iter_custom(|count| {
                let process = Process::hub(hub).expect("it starts");
                let before = process.memory().0;
                let load = Load::new(process.address(), CONNECTIONS, 64);
                let more = process.memory().0.saturating_sub(before);
                drop(load);
                as_float(more.into()) / as_float(CONNECTIONS as u128) * as_float(count.into())
            });
        });
    }
    group.finish();
}
