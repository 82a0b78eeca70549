//! Facts as lines of text, written as they happen.

mod format;
mod recorder;

pub use format::{TraceError, line, parse, seed};
pub use recorder::Recorder;
#[cfg(feature = "std")]
pub use recorder::SharedTrace;
