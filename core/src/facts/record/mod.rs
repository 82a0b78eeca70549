//! Traces: facts, recorded as lines of text.

mod format;
mod recorder;
mod room_messages;
#[cfg(test)]
mod room_strategies;
mod shard_messages;
mod words;

pub use format::{TraceError, line, parse, parse_with, seed};
pub use recorder::Recorder;
#[cfg(feature = "std")]
pub use recorder::SharedTrace;
