//! The processor time per message to a member, in a shared room and in one at home.

use super::client::Client;
use super::processes::Process;
use super::samples::{Samples, float};
use std::io::{self, Write};

const MESSAGE_BYTES: usize = 256;
/// Messages that are sent at once.
const BATCH: usize = 16;
/// Messages to members in one measurement.
const DELIVERIES: usize = 160_000;

pub(super) fn measure(out: &mut impl Write, repetitions: usize) -> io::Result<()> {
    writeln!(out, "\nProcessor time per message of {MESSAGE_BYTES} bytes to a member, {BATCH} messages at once:\n")?;
    writeln!(
        out,
        "| members | host, room at home | host, shared room | ratio | Redis, shared room | deliveries per core and second, shared |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    let redis = Process::redis()?;
    for members in [200, 1_000] {
        let host = Process::host(1, Some(redis.address))?;
        let mut sender = host.connect()?;
        let mut receivers = Vec::new();
        for _ in 0..members {
            let mut receiver = host.connect()?;
            receiver.join_all(&["home", "kept"])?;
            receivers.push(receiver);
        }
        let mut samples: [Samples; 4] = Default::default();
        for repetition in 0..=repetitions {
            let mut times = [0.0; 3];
            for place in 0..2 {
                let which = (place + repetition) % 2;
                let before = (host.cpu(), redis.cpu());
                rounds(&mut sender, &mut receivers, ["home", "kept"][which])?;
                times[which] = (host.cpu() - before.0) / float(DELIVERIES);
                if which == 1 {
                    times[2] = (redis.cpu() - before.1) / float(DELIVERIES);
                }
            }
            if repetition > 0 {
                let [home, shared, broker] = times;
                for (samples, sample) in samples.iter_mut().zip([home, shared, shared / home, broker]) {
                    samples.add(sample);
                }
            }
        }
        let [home, shared, ratio, broker] = &samples;
        writeln!(
            out,
            "| {members} | {} ns | {} ns | {} | {} ns | {:.0} |",
            home.text(1e9, 0),
            shared.text(1e9, 0),
            ratio.text(1.0, 2),
            broker.text(1e9, 0),
            1.0 / shared.median()
        )?;
    }
    Ok(())
}

/// Sends batches to a room, each after all members have received the one before.
fn rounds(sender: &mut Client, receivers: &mut [Client], room: &str) -> io::Result<()> {
    let batch = format!("p {room} {}\n", "x".repeat(MESSAGE_BYTES)).repeat(BATCH);
    for _ in 0..DELIVERIES / (BATCH * receivers.len()) {
        sender.send(batch.as_bytes())?;
        for receiver in &mut *receivers {
            receiver.read_all(b'x', BATCH * (MESSAGE_BYTES + 1))?;
        }
    }
    Ok(())
}
