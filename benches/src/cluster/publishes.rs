//! Messages per second through one Redis: from hosts, and from a client library that runs the same scripts.

use super::client::Client;
use super::costs::{Kind, Library};
use crate::processes::{Broker, Process, own_cpu};
use crate::samples::{Samples, float};
use std::io::{self, Write};
use std::time::Instant;

pub(super) const MESSAGE_BYTES: usize = 256;
/// Clients of each host.
const CLIENTS: usize = 4;
/// Messages that a client sends at once. Each client has two such batches without answers.
const BATCH: usize = 64;
/// Messages in one measurement.
pub(super) const MESSAGES: usize = 25_600;
pub(super) const ROOMS: usize = 50;

/// One way to publish.
enum Way {
    Hosts(&'static str, Vec<Process>, Vec<Client>),
    Library(Library),
}

/// Measures each way with and without a history. Rooms have no members, so that nothing is delivered.
pub(super) fn measure(out: &mut impl Write, repetitions: usize) -> io::Result<()> {
    let redis = Process::redis()?;
    let mut ways = vec![Way::Library(Library::new(redis.address)?)];
    for (name, hosts, workers) in
        [("one host, one worker", 1, 1), ("one host, two workers", 1, 2), ("two hosts, two workers each", 2, 2)]
    {
        let hosts: Vec<_> = (0..hosts)
            .map(|_| Process::host(workers, Some(Broker::Redis(redis.address))))
            .collect::<io::Result<_>>()?;
        let mut clients = Vec::new();
        for host in &hosts {
            clients.extend(publishers(host)?);
        }
        ways.push(Way::Hosts(name, hosts, clients));
    }
    writeln!(out, "\n{MESSAGE_BYTES} bytes through one Redis, with answers, in {ROOMS} rooms without members:\n")?;
    writeln!(
        out,
        "| | publishes/s | ratio to the library | sender, µs of processor each | Redis, µs each | ratio to the library |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    for (kind, history) in [(Kind::Kept, "with history"), (Kind::Plain, "without history")] {
        let mut samples: Vec<[Samples; 5]> = ways.iter().map(|_| Default::default()).collect();
        for repetition in 0..=repetitions {
            let mut found = vec![[0.0; 3]; ways.len()];
            for place in 0..ways.len() {
                let which = (place + repetition) % ways.len();
                found[which] = ways[which].measure(&redis, kind)?;
            }
            let [library_each, _, library_redis] = found[0];
            for (samples, [each, sender, of_redis]) in samples.iter_mut().zip(found).filter(|_| repetition > 0) {
                let values = [1.0 / each, library_each / each, sender, of_redis, of_redis / library_redis];
                samples.iter_mut().zip(values).for_each(|(samples, sample)| samples.add(sample));
            }
        }
        for (way, [rate, ratio, sender, of_redis, of_library]) in ways.iter().zip(&samples) {
            let name = match way {
                Way::Hosts(name, ..) => name,
                Way::Library(_) => "client library `redis`, 128 at once",
            };
            writeln!(
                out,
                "| {name}, {history} | {} | {} | {} | {} | {} |",
                rate.text(1.0, 0),
                ratio.text(1.0, 2),
                sender.text(1e6, 2),
                of_redis.text(1e6, 2),
                of_library.text(1.0, 2)
            )?;
        }
    }
    Ok(())
}

impl Way {
    /// Returns the seconds for each message, and those of the processor for the sender and for Redis.
    fn measure(&mut self, redis: &Process, kind: Kind) -> io::Result<[f64; 3]> {
        let (began, before, own) = (Instant::now(), redis.cpu(), self.cpu());
        match self {
            Self::Library(library) => library.run(kind, MESSAGES)?,
            Self::Hosts(_, _, clients) => publish(clients, if kind == Kind::Kept { "kept" } else { "plain" })?,
        }
        let spent = [began.elapsed().as_secs_f64(), self.cpu() - own, redis.cpu() - before];
        Ok(spent.map(|seconds| seconds / float(MESSAGES)))
    }

    fn cpu(&self) -> f64 {
        match self {
            Self::Hosts(_, hosts, _) => hosts.iter().map(Process::cpu).sum(),
            Self::Library(_) => own_cpu(),
        }
    }
}

/// Connects the clients that publish on a host, once its link works.
pub(super) fn publishers(host: &Process) -> io::Result<Vec<Client>> {
    // A room that is joined shows that.
    host.connect()?.join("kept")?;
    (0..CLIENTS).map(|_| host.connect()).collect()
}

pub(super) fn publish(clients: &mut [Client], rooms: &str) -> io::Result<()> {
    let text = "x".repeat(MESSAGE_BYTES);
    let batches = MESSAGES / (BATCH * clients.len());
    let batch: String = (0..BATCH).map(|place| format!("k {rooms}-{} {text}\n", place % ROOMS)).collect();
    for round in 0..batches + 2 {
        for client in &mut *clients {
            if round >= 2 {
                client.read_all(b'k', BATCH * 2)?;
            }
            if round < batches {
                client.send(batch.as_bytes())?;
            }
        }
    }
    Ok(())
}
