use crate::base::{ConnId, Reason};
use crate::config::Config;
use crate::facts::Input;
use crate::facts::record::{TraceError, parse_with};
use crate::handler::Handler;
use crate::machine::Machine;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
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
        if let Input::Wrote { conn, bytes } = input
            && let Some(intent) = machine.intent(conn)
        {
            let written = transcript.written.entry(conn).or_default();
            let mut left = bytes;
            for slice in intent.transmit.slices() {
                let take = left.min(slice.len());
                written.extend_from_slice(&slice[..take]);
                left -= take;
            }
        }
        if let Some(Err(refusal)) = machine.apply(now, input) {
            transcript.refused.push(refusal.reason);
        }
    }
    Ok(transcript)
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
