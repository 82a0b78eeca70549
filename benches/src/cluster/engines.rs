//! What a publish costs the broker, by its kind and by the number of hosts that receive it.

use super::client::Client;
use super::publishes::{MESSAGE_BYTES, MESSAGES, ROOMS, publish, publishers};
use crate::directory::Directory;
use crate::processes::{Broker, Process};
use crate::samples::{Samples, float};
use std::io::{self, Write};
use std::thread;
use std::time::Instant;

/// How many other hosts have a member in each room.
const HEARERS: [usize; 3] = [0, 1, 3];

/// A broker with the hosts that receive, and one host that publishes.
struct Side {
    title: &'static str,
    broker: Process,
    /// What ends with this.
    _owned: (Vec<Process>, Option<Directory>),
    /// Those that publish.
    clients: Vec<Client>,
    /// Those that are members of all rooms, one on each other host.
    members: Vec<Client>,
}

pub(super) fn measure(out: &mut impl Write, repetitions: usize) -> io::Result<()> {
    writeln!(out, "\nOne host publishes {MESSAGE_BYTES} bytes, with answers and a history, in {ROOMS} rooms:\n")?;
    writeln!(
        out,
        "| broker | other hosts with members | publishes/s | broker, µs of processor each | ratio to Redis |"
    )?;
    writeln!(out, "|---|---|---|---|---|")?;
    for hearers in HEARERS {
        let mut sides = [Side::redis(hearers)?, Side::nats(hearers)?];
        let mut samples: [[Samples; 3]; 2] = Default::default();
        for repetition in 0..=repetitions {
            let mut found = [[0.0; 2]; 2];
            for place in 0..sides.len() {
                let which = (place + repetition) % sides.len();
                found[which] = sides[which].run()?;
            }
            for (samples, [each, broker]) in samples.iter_mut().zip(found).filter(|_| repetition > 0) {
                let values = [1.0 / each, broker, broker / found[0][1]];
                samples.iter_mut().zip(values).for_each(|(samples, sample)| samples.add(sample));
            }
        }
        for (side, [rate, broker, ratio]) in sides.iter().zip(&samples) {
            let (rate, broker, ratio) = (rate.text(1.0, 0), broker.text(1e6, 1), ratio.text(1.0, 2));
            writeln!(out, "| {} | {hearers} | {rate} | {broker} | {ratio} |", side.title)?;
        }
    }
    Ok(())
}

impl Side {
    fn redis(hearers: usize) -> io::Result<Self> {
        let broker = Process::redis()?;
        let at = Broker::Redis(broker.address);
        Self::start("Redis", broker, at, hearers, None)
    }

    fn nats(hearers: usize) -> io::Result<Self> {
        let directory = Directory::create("nats")?;
        let broker = Process::nats(directory.path())?;
        let at = Broker::Nats(broker.address);
        Self::start("NATS, one server, files", broker, at, hearers, Some(directory))
    }

    fn start(
        title: &'static str,
        broker: Process,
        at: Broker,
        hearers: usize,
        directory: Option<Directory>,
    ) -> io::Result<Self> {
        let rooms: Vec<String> = (0..ROOMS).map(|place| format!("kept-{place}")).collect();
        let (mut hosts, mut members) = (Vec::new(), Vec::new());
        for _ in 0..hearers {
            let host = Process::host(1, Some(at))?;
            let mut member = host.connect()?;
            member.join_all(&rooms)?;
            members.push(member);
            hosts.push(host);
        }
        let sender = Process::host(1, Some(at))?;
        let clients = publishers(&sender)?;
        hosts.push(sender);
        Ok(Self { title, broker, _owned: (hosts, directory), clients, members })
    }

    /// Returns the seconds for each publish, and those of the processor for the broker.
    fn run(&mut self) -> io::Result<[f64; 2]> {
        let (began, before) = (Instant::now(), self.broker.cpu());
        let (clients, members) = (&mut self.clients, &mut self.members);
        let each = thread::scope(|scope| {
            // A member that does not read is closed.
            let read = |member: &mut Client| member.read_all(b'x', MESSAGES * (MESSAGE_BYTES + 1));
            let readers: Vec<_> = members.iter_mut().map(|member| scope.spawn(move || read(member))).collect();
            publish(clients, "kept")?;
            let each = began.elapsed().as_secs_f64();
            readers
                .into_iter()
                .try_for_each(|reader| reader.join().unwrap_or_else(|_| Err(io::Error::other("a panic"))))?;
            io::Result::Ok(each)
        })?;
        Ok([each, self.broker.cpu() - before].map(|seconds| seconds / float(MESSAGES)))
    }
}
