//! The broker is killed again and again, at random moments.

use super::host::Broker;
use super::record::{Random, locked};
use super::redis::{RedisServer, are_installed};
use super::stage::Stage;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Returns the number in an environment variable.
fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// Waits until the publishers on all hosts have acknowledgements again. Returns how long each of them waited.
fn recovered(stage: &Stage) -> Vec<Duration> {
    let (since, mut waits) = (Instant::now(), vec![None; stage.publishers.len()]);
    let before: Vec<u64> =
        stage.publishers.iter().map(|publisher| publisher.acknowledged.load(Ordering::Relaxed)).collect();
    while waits.iter().any(Option::is_none) {
        assert!(
            since.elapsed() < Duration::from_secs(90),
            "nothing is acknowledged any more; the hosts say:\n{}",
            stage.hosts.iter().map(super::host::Host::last_lines).collect::<String>()
        );
        for ((publisher, before), wait) in stage.publishers.iter().zip(&before).zip(&mut waits) {
            if wait.is_none() && publisher.acknowledged.load(Ordering::Relaxed) > *before {
                *wait = Some(since.elapsed());
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    waits.into_iter().flatten().collect()
}

/// How often and with what random numbers a broker is killed.
pub(super) struct Kills {
    pub(super) count: u64,
    pub(super) random: Random,
    seed: u64,
}

impl Kills {
    /// Reads what the environment says.
    pub(super) fn new() -> Self {
        let (count, seed) = (number("DRUPE_KILLS", 20), number("DRUPE_SEED", 1));
        Self { count, random: Random(seed), seed }
    }

    /// Has the broker killed and started again and again. Each time, publishers on all hosts must be served again.
    pub(super) fn run(mut self, name: &str, stage: Stage, mut kill: impl FnMut(&mut Random)) {
        let mut waits = Vec::new();
        for round in 0..self.count {
            // The moment of the kill is random. Nothing waits for this time to pass.
            std::thread::sleep(Duration::from_millis(self.random.below(400)));
            kill(&mut self.random);
            waits.extend(recovered(&stage));
            if round % 50 == 49 {
                println!("{name}: {} of {}; memory of the hosts in KiB: {:?}", round + 1, self.count, memory(&stage));
            }
        }
        let acknowledged: usize =
            stage.publishers.iter().map(|publisher| locked(&publisher.ledger).acknowledged.len()).sum();
        let memory = memory(&stage);
        let outcome = stage.finish();
        waits.sort();
        let [median, most] =
            [waits.len() / 2, waits.len() * 99 / 100].map(|place| waits.get(place).copied().unwrap_or_default());
        println!(
            "{name}: {} kills with seed {}, {acknowledged} messages acknowledged; waits after a kill: p50 {median:?}, p99 \
             {most:?}; memory of the hosts in KiB: {memory:?}",
            self.count, self.seed
        );
        assert!(outcome.found.gaps > 0, "{outcome:?}");
    }
}

#[test]
fn kills_at_random_moments_leave_no_silent_gap() {
    if !are_installed() {
        return;
    }
    let mut redis = RedisServer::start("kills", &["--save", ""]);
    let at = Broker::At(redis.address());
    let stage = Stage::start("kills", [&at, &at, &at]);
    Kills::new().run("kills", stage, |random| {
        match random.below(4) {
            0 => redis.save(),
            1 => {
                redis.save();
                std::thread::sleep(Duration::from_millis(random.below(200)));
            }
            2 => redis.forget_saved(),
            _ => {}
        }
        redis.kill();
        std::thread::sleep(Duration::from_millis(random.below(100)));
        redis.restart();
    });
}

/// Returns the resident memory of each host.
fn memory(stage: &Stage) -> Vec<u64> {
    stage.hosts.iter().map(super::host::Host::memory).collect()
}
