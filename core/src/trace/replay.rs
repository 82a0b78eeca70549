use crate::base::{ConnId, Reason, Time};
use crate::config::Config;
use crate::facts::Input;
use crate::facts::record::{SUM, TraceError, parse_with, sum_of};
use crate::handler::Handler;
use crate::machine::Machine;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;
use core::str::FromStr;

/// Replays a trace on `machine`, which must be new. Returns the output of the machine.
///
/// # Errors
/// As [`parse`](super::parse).
pub fn replay<H: Handler>(text: &str, machine: &mut Machine<H>) -> Result<Transcript, TraceError>
where
    H::Note: FromStr,
{
    replay_with(text, machine, [])
}

/// Replays a trace on a new machine. `reloads` are the configurations of its reloads, in order.
///
/// # Errors
/// As [`parse_with`].
pub fn replay_with<H: Handler>(
    text: &str,
    machine: &mut Machine<H>,
    reloads: impl IntoIterator<Item = Config>,
) -> Result<Transcript, TraceError>
where
    H::Note: FromStr,
{
    let mut transcript = Transcript::default();
    for (now, input) in parse_with(text, reloads)? {
        transcript.apply(machine, now, input);
    }
    Ok(transcript)
}

/// Replays the facts of a [recording](super::Recording) on a new machine, and compares the bytes that it writes with
/// the recorded sums. `reloads` are the configurations of its reloads, in order.
///
/// # Errors
/// As [`parse_with`].
pub fn compare<H: Handler>(
    facts: &str,
    machine: &mut Machine<H>,
    reloads: impl IntoIterator<Item = Config>,
) -> Result<Comparison, TraceError>
where
    H::Note: FromStr,
{
    let (mut comparison, mut reloads, mut expected) = (Comparison::default(), reloads.into_iter(), None);
    for (line, number) in facts.lines().zip(1..) {
        if let Some(found) = line.strip_prefix(SUM) {
            expected = sum(found);
            continue;
        }
        let inputs = parse_with(line, reloads.by_ref()).map_err(|error| TraceError { line: number, ..error })?;
        for (now, input) in inputs {
            let expected = expected.take();
            let Input::Wrote { conn, bytes } = input else {
                comparison.transcript.apply(machine, now, input);
                continue;
            };
            let sum = expected.and_then(|(of, sum)| (of == conn).then_some(sum));
            let is_same = sum.map(|sum| {
                let transmit = machine.intent(conn).map(|intent| intent.transmit);
                transmit.is_some_and(|written| written.len() >= bytes && sum_of(written.slices(), bytes) == sum)
            });
            if let Some(is_same) = is_same {
                comparison.compared += 1;
                if !is_same && comparison.first.is_none() {
                    comparison.first = Some(Difference { line: number, at: now, conn });
                }
            }
            let start = comparison.transcript.length(conn);
            comparison.transcript.apply(machine, now, input);
            let range = start..comparison.transcript.length(conn);
            comparison.writes.push(ReplayedWrite { line: number, at: now, conn, is_same, range });
        }
    }
    Ok(comparison)
}

/// Reads the connection and the sum in a line.
fn sum(words: &str) -> Option<(ConnId, u32)> {
    let (conn, sum) = words.split_once(' ')?;
    Some((conn.parse().ok()?, u32::from_str_radix(sum, 16).ok()?))
}

/// What [`compare`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Comparison {
    /// What the machine wrote in the replay.
    pub transcript: Transcript,
    /// Number of writes that were compared.
    pub compared: u64,
    /// The first write whose bytes were others than recorded. `None`: all were the same.
    pub first: Option<Difference>,
    /// All writes, in their order.
    pub writes: Vec<ReplayedWrite>,
}

impl Comparison {
    /// Returns the bytes that the machine wrote at a write of this comparison.
    #[must_use]
    pub fn bytes(&self, write: &ReplayedWrite) -> &[u8] {
        let written = self.transcript.written.get(&write.conn);
        written.and_then(|written| written.get(write.range.clone())).unwrap_or_default()
    }

    /// Returns the first write to a connection whose bytes were others than recorded.
    #[must_use]
    pub fn first_of(&self, conn: ConnId) -> Option<Difference> {
        let found = self.writes.iter().find(|write| write.conn == conn && write.is_same == Some(false))?;
        Some(Difference { line: found.line, at: found.at, conn })
    }
}

/// A write of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplayedWrite {
    /// The number of its line among the facts, from 1.
    pub line: u32,
    /// When it happened.
    pub at: Time,
    /// The connection.
    pub conn: ConnId,
    /// Whether the bytes were those that were recorded. `None`: the recording has no sum of them.
    pub is_same: Option<bool>,
    /// The place of its bytes in the [transcript](Transcript::written) of the connection.
    range: Range<usize>,
}

/// A write whose bytes are not those that were recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The number of its line among the facts, from 1.
    pub line: u32,
    /// When it happened.
    pub at: Time,
    /// The connection.
    pub conn: ConnId,
}

/// The bytes that a machine wrote during a replay, and the reasons of its refusals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transcript {
    /// All bytes that each connection's socket accepted.
    pub written: BTreeMap<ConnId, Vec<u8>>,
    /// The reasons for which peers were refused, in order.
    pub refused: Vec<Reason>,
}

impl Transcript {
    fn length(&self, conn: ConnId) -> usize {
        self.written.get(&conn).map_or(0, Vec::len)
    }

    /// Applies a fact, and notes what the machine wrote before it.
    fn apply<H: Handler>(&mut self, machine: &mut Machine<H>, now: Time, input: Input<H::Note>) {
        if let Input::Wrote { conn, bytes } = input
            && let Some(intent) = machine.intent(conn)
        {
            let written = self.written.entry(conn).or_default();
            let mut left = bytes;
            for slice in intent.transmit.slices() {
                let take = left.min(slice.len());
                written.extend_from_slice(&slice[..take]);
                left -= take;
            }
        }
        if let Some(Err(refusal)) = machine.apply(now, input) {
            self.refused.push(refusal.reason);
        }
    }
}
