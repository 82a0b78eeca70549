//! Traces: facts, recorded as lines of text.

#[cfg(test)]
mod cluster_strategies;
mod everywhere;
mod format;
mod host_news;
mod recorder;
mod room_messages;
#[cfg(test)]
mod room_strategies;
mod shard_messages;
mod words;

pub use format::{TraceError, line, parse, parse_with, seed};
pub(crate) use host_news::{parse_host_news, write_host_news};
pub use recorder::Recorder;
#[cfg(feature = "std")]
pub use recorder::SharedTrace;
pub(crate) use recorder::{OPENED, SUM, sum_of};
pub(crate) use words::{CONCEALED, WITHOUT_TEXT};
