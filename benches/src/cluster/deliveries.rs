//! The processor time per message to a member, in a shared room and in one at home.

use super::client::Client;
use crate::processes::{Broker, Process};
use crate::samples::{Samples, float};
use std::io::{self, Write};

const MESSAGE_BYTES: usize = 256;
/// Messages to members in one measurement.
const DELIVERIES: usize = 80_000;

pub(super) fn measure(out: &mut impl Write, repetitions: usize) -> io::Result<()> {
    writeln!(out, "\nProcessor time per message of {MESSAGE_BYTES} bytes to a member:\n")?;
    writeln!(
        out,
        "| members | messages at once | host, room at home | host, shared room | ratio | Redis, shared room | \
         messages per core and second, shared |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    let redis = Process::redis()?;
    for members in [200, 1_000] {
        let host = Process::host(1, Some(Broker::Redis(redis.address)))?;
        let mut sender = host.connect()?;
        let mut receivers = Vec::new();
        for _ in 0..members {
            let mut receiver = host.connect()?;
            receiver.join_all(&["home", "kept"])?;
            receivers.push(receiver);
        }
        for batch in [1, 16] {
            let mut samples: [Samples; 4] = Default::default();
            for repetition in 0..=repetitions {
                let [home, shared, broker] =
                    compare((&host, &redis), &mut sender, &mut receivers, batch, repetition % 2)?;
                for (samples, sample) in samples.iter_mut().zip([home, shared, shared / home, broker]) {
                    if repetition > 0 {
                        samples.add(sample);
                    }
                }
            }
            let [home, shared, ratio, broker] = &samples;
            writeln!(
                out,
                "| {members} | {batch} | {} ns | {} ns | {} | {} ns | {:.0} |",
                home.text(1e9, 0),
                shared.text(1e9, 0),
                ratio.text(1.0, 2),
                broker.text(1e9, 0),
                1.0 / shared.median()
            )?;
        }
    }
    Ok(())
}

/// Returns the seconds of the processor per message to a member: the host for a room at home and for a shared room,
/// and Redis for a shared room. `first` decides which room is measured first.
fn compare(
    (host, redis): (&Process, &Process),
    sender: &mut Client,
    receivers: &mut [Client],
    batch: usize,
    first: usize,
) -> io::Result<[f64; 3]> {
    let mut times = [0.0; 3];
    for place in 0..2 {
        let which = (place + first) % 2;
        let before = (host.cpu(), redis.cpu());
        rounds(sender, receivers, ["home", "kept"][which], batch)?;
        times[which] = (host.cpu() - before.0) / float(DELIVERIES);
        if which == 1 {
            times[2] = (redis.cpu() - before.1) / float(DELIVERIES);
        }
    }
    Ok(times)
}

/// Sends batches to a room, each after all members have received the one before.
fn rounds(sender: &mut Client, receivers: &mut [Client], room: &str, batch: usize) -> io::Result<()> {
    let lines = format!("p {room} {}\n", "x".repeat(MESSAGE_BYTES)).repeat(batch);
    for _ in 0..DELIVERIES / (batch * receivers.len()) {
        sender.send(lines.as_bytes())?;
        for receiver in &mut *receivers {
            receiver.read_all(b'x', batch * (MESSAGE_BYTES + 1))?;
        }
    }
    Ok(())
}
