//! The memory of a link that is idle.

use crate::processes::{Broker, Process};
use crate::samples::{Samples, float};
use std::io::{self, Write};

pub(super) fn measure(out: &mut impl Write, repetitions: usize) -> io::Result<()> {
    let redis = Process::redis()?;
    let mut samples: [[Samples; 2]; 2] = Default::default();
    for repetition in 0..repetitions {
        for place in 0..2 {
            let which = (place + repetition) % 2;
            let (broker, room) = [(None, "home"), (Some(Broker::Redis(redis.address)), "kept")][which];
            let host = Process::host(1, broker)?;
            // A room that is joined shows that the link works.
            host.connect()?.join(room)?;
            let (own, all) = host.memory();
            for (samples, bytes) in samples[which].iter_mut().zip([own, all]) {
                samples.add(float(usize::try_from(bytes).unwrap_or(usize::MAX)));
            }
        }
    }
    writeln!(out, "\nMemory of a host with one connection in one room, {repetitions} starts each, in KiB:\n")?;
    writeln!(out, "| | without a cluster | with an idle link | difference of the medians |\n|---|---|---|---|")?;
    for (which, name) in ["own (`RssAnon`)", "all (`VmRSS`)"].into_iter().enumerate() {
        let [without, with] = [&samples[0][which], &samples[1][which]];
        let more = (with.median() - without.median()) / 1024.0;
        writeln!(out, "| {name} | {} | {} | {more:.0} |", without.text(1.0 / 1024.0, 0), with.text(1.0 / 1024.0, 0))?;
    }
    Ok(())
}
