//! Prints what compressed broadcasts cost, beside the same ones without compression.
//!
//! `cargo run --release -p drupe-benches --bin compression -- [REPETITIONS]`; default: 11. The machine sends messages like
//! those of a feed to 200 members (10 with MCCP2), without sockets. Each repetition measures all wires, and the first wire
//! changes with each repetition. Cells have the median processor time for each delivery, and the bytes of it.

#![allow(clippy::expect_used, reason = "a report that cannot be made should fail at once")]

use drupe_benches::{Samples, own_cpu};
use drupe_core::app::Relay;
use drupe_instructions::{Extra, Server, Wire};
use std::fmt::Write as _;
use std::io::{self, Write};

const SIZES: [usize; 8] = [64, 128, 256, 512, 1 << 10, 4 << 10, 16 << 10, 60 << 10];
/// Bytes that each measurement sends to each member, or more if that is less than 4 messages.
const BYTES: usize = 64 << 10;

fn main() -> io::Result<()> {
    let repetitions = std::env::args().nth(1).map_or(11, |text| text.parse().expect("a number"));
    let mut out = io::stdout();
    writeln!(out, "| bytes of text | {} |", Wire::ALL.map(Wire::name).join(" | "))?;
    writeln!(out, "|---|{}", "---|".repeat(Wire::ALL.len()))?;
    for size in SIZES {
        let mut times = Wire::ALL.map(|_| Samples::default());
        let mut bytes = [0; Wire::ALL.len()];
        for repetition in 0..repetitions {
            for place in 0..Wire::ALL.len() {
                let wire = (place + repetition) % Wire::ALL.len();
                let (time, sent) = measure(Wire::ALL[wire], size);
                times[wire].add(time);
                bytes[wire] = sent;
            }
        }
        let cells = times.iter().zip(bytes).map(|(times, bytes)| format!("{:.0} ns, {bytes} B", times.median()));
        writeln!(out, "| {size} | {} |", cells.collect::<Vec<_>>().join(" | "))?;
    }
    Ok(())
}

/// Returns the processor time in nanoseconds, and the bytes, of one message of `size` bytes to one member.
fn measure(wire: Wire, size: usize) -> (f64, usize) {
    let mut server = Server::new(wire, Relay::default(), Extra::None);
    let sender = server.connect();
    // The stream of each member is compressed alone, which takes long, and is the same for each of them.
    let members = if wire == Wire::Mccp2 { 10 } else { 200 };
    for _ in 0..members {
        server.connect();
    }
    let count = (BYTES / size).clamp(4, 512);
    let messages: Vec<_> = (0..count).map(|number| wire.message(text(number, size).as_bytes())).collect();
    let before = own_cpu();
    let bytes: usize = messages
        .iter()
        .map(|message| {
            server.pass_time();
            server.turn(sender, message)
        })
        .sum();
    let time = own_cpu() - before;
    let deliveries = count * members;
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let each = time * 1e9 / deliveries as f64;
    (each, bytes / deliveries)
}

/// Returns a text of this length, in JSON as of a feed: names that come again, and numbers that differ.
fn text(number: usize, size: usize) -> String {
    let mut random = number as u64 + 1;
    let mut text = String::from("[");
    while text.len() < size {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (id, price) = (random >> 44, random >> 20 & 0xffff);
        let _ = write!(text, "{{\"type\":\"trade\",\"id\":{id},\"symbol\":\"DRP{}\",\"price\":{price}}},", id % 7);
    }
    text.truncate(size);
    text
}
