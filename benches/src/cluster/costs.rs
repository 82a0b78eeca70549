//! What a Redis server needs for each command of a link, with a client library: the figures of the capacity tool.

use super::serving::KEPT;
use crate::processes::{Process, own_cpu};
use crate::samples::{Samples, float};
use redis::{Cmd, Connection, Pipeline, cmd};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

const PUBLISH: &str = include_str!("../../../core/src/cluster/redis/publish.lua");
const READ: &str = include_str!("../../../core/src/cluster/redis/read.lua");
/// Commands that are sent at once.
const AT_ONCE: usize = 128;
/// Commands in one measurement.
const COMMANDS: usize = 12_800;
const ROOMS: usize = 50;
const SUBSCRIBERS: usize = 50;
/// What the link sends with a message of 256 bytes.
const DATA_BYTES: usize = 280;

/// What a client library sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The script that publishes a message, which is kept.
    Kept,
    /// The same script, which keeps nothing.
    Plain,
    /// The command `PUBLISH` alone.
    Publish,
    /// `PUBLISH` to subscribers.
    Delivered,
    /// The script that reads a history, of which nothing is new.
    Read,
    /// The comparison of a quiet room.
    Position,
}

/// A client library with the scripts of the link.
pub(super) struct Library {
    connection: Connection,
    publish: String,
    read: String,
}

impl Library {
    pub(super) fn new(redis: SocketAddr) -> io::Result<Self> {
        let client = redis::Client::open(format!("redis://{redis}")).map_err(io::Error::other)?;
        let mut connection = client.get_connection().map_err(io::Error::other)?;
        let mut load = |text: &str| -> io::Result<String> {
            cmd("SCRIPT").arg("LOAD").arg(text).query(&mut connection).map_err(io::Error::other)
        };
        let (publish, read) = (load(PUBLISH)?, load(READ)?);
        Ok(Self { connection, publish, read })
    }

    /// Sends as many commands as one measurement has, and waits for all answers.
    pub(super) fn run(&mut self, kind: Kind, commands: usize) -> io::Result<()> {
        for round in 0..commands / AT_ONCE {
            let mut pipeline = Pipeline::with_capacity(AT_ONCE);
            for place in 0..AT_ONCE {
                pipeline.add_command(self.command(kind, (round * AT_ONCE + place) % ROOMS)).ignore();
            }
            pipeline.query::<()>(&mut self.connection).map_err(io::Error::other)?;
        }
        Ok(())
    }

    fn command(&self, kind: Kind, room: usize) -> Cmd {
        let data = [b'x'; DATA_BYTES];
        let name = if kind == Kind::Plain { format!("c:{{plain-{room}}}") } else { format!("c:{{kept-{room}}}") };
        let (meta, stream) = (format!("{name}:m"), format!("{name}:s"));
        match kind {
            Kind::Kept | Kind::Plain => {
                let keep = if kind == Kind::Kept { KEPT } else { 0 };
                let mut script = cmd("EVALSHA");
                script.arg(&self.publish).arg(2).arg(meta).arg(stream).arg("d95da3271bd9c7be").arg("d086b3576ab26dc0");
                script.arg(keep).arg(0).arg(300_000).arg(name).arg(2_592_000_000_u64).arg(&data[..]);
                script
            }
            Kind::Publish => cmd("PUBLISH").arg("nobody").arg(&data[..]).clone(),
            Kind::Delivered => cmd("PUBLISH").arg("everybody").arg(&data[..]).clone(),
            Kind::Read => {
                let mut script = cmd("EVALSHA");
                script.arg(&self.read).arg(2).arg(meta).arg(stream).arg("latest").arg(1).arg(131_072).arg(0).clone()
            }
            Kind::Position => cmd("HMGET").arg(meta).arg("e").arg("o").arg("k").clone(),
        }
    }
}

pub(super) fn measure(out: &mut impl Write, repetitions: usize) -> io::Result<()> {
    let redis = Process::redis()?;
    let mut library = Library::new(redis.address)?;
    for _ in 0..SUBSCRIBERS {
        subscribe(redis.address)?;
    }
    let kinds = [
        (Kind::Kept, "script that publishes and keeps", "`--broker-kept`"),
        (Kind::Plain, "script that publishes", "`--broker-plain`"),
        (Kind::Publish, "`PUBLISH`", ""),
        (Kind::Delivered, "one subscriber of a `PUBLISH`", "`--broker-deliveries`"),
        (Kind::Read, "script that reads one message", "`--broker-reads`"),
        (Kind::Position, "`HMGET` of a position", "`--broker-commands`"),
    ];
    let mut samples: [[Samples; 3]; 6] = Default::default();
    for repetition in 0..=repetitions {
        let mut of_publish = 0.0;
        for (samples, (kind, ..)) in samples.iter_mut().zip(kinds) {
            // It is sent to all subscribers, so fewer commands take as long.
            let commands = if kind == Kind::Delivered { COMMANDS / 10 } else { COMMANDS };
            let (began, before, own) = (Instant::now(), redis.cpu(), own_cpu());
            library.run(kind, commands)?;
            let spent = [redis.cpu() - before, own_cpu() - own, began.elapsed().as_secs_f64()];
            let mut found = spent.map(|seconds| seconds / float(commands));
            match kind {
                Kind::Publish => of_publish = found[0],
                Kind::Delivered => found = found.map(|time| (time - of_publish) / float(SUBSCRIBERS)),
                _ => {}
            }
            if repetition > 0 {
                samples.iter_mut().zip(found).for_each(|(samples, sample)| samples.add(sample));
            }
        }
    }
    writeln!(
        out,
        "\nProcessor time of Redis with the client library `redis`, {AT_ONCE} commands at once, {DATA_BYTES} bytes:\n"
    )?;
    writeln!(
        out,
        "| | Redis, µs each | client, µs each | per second of one core | option of the capacity tool |\n|---|---|---|---|---|"
    )?;
    for ((_, name, option), [of_redis, of_client, _]) in kinds.into_iter().zip(&samples) {
        let per_second = 1.0 / of_redis.median();
        let client = if name.starts_with("one subscriber") { String::new() } else { of_client.text(1e6, 2) };
        writeln!(out, "| {name} | {} | {client} | {per_second:.0} | {option} |", of_redis.text(1e6, 2))?;
    }
    Ok(())
}

/// Subscribes, and reads everything on a thread of its own until Redis ends.
fn subscribe(redis: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(redis)?;
    stream.write_all(b"SUBSCRIBE everybody\r\n")?;
    let mut buffer = vec![0; 1 << 16];
    // The confirmation.
    let _ = stream.read(&mut buffer)?;
    std::thread::spawn(move || while matches!(stream.read(&mut buffer), Ok(1..)) {});
    Ok(())
}
