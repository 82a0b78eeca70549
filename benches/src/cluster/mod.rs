//! What shared rooms cost with real brokers, on this computer.
//!
//! Brokers and hosts are processes of their own, so that the processor time of each can be read from the system.
//! That time is little disturbed by other programs, unlike durations. What is compared is measured alternately, and
//! each repetition compares the two. Tables have medians, and in brackets the range of the middle 80 %.

mod client;
mod costs;
mod deliveries;
mod engines;
mod latency;
mod memory;
mod publishes;
mod repair;
mod serving;

pub(crate) use client::Client;
pub use serving::serve;

use std::io::{self, Write};

/// Makes all measurements, and writes tables in Markdown. `repetitions` is the number of comparisons of each kind.
///
/// # Errors
/// If a broker or a host cannot be started, or ends.
pub fn measure(out: &mut impl Write, repetitions: usize) -> io::Result<()> {
    latency::measure(out, repetitions)?;
    deliveries::measure(out, repetitions)?;
    costs::measure(out, repetitions)?;
    publishes::measure(out, repetitions)?;
    engines::measure(out, repetitions)?;
    repair::measure(out, repetitions.div_ceil(2))?;
    memory::measure(out, repetitions)
}
