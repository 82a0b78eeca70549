//! Facts as lines of text, written as they happen.

mod format;
mod letters;
mod recorder;

#[cfg(feature = "sim")]
pub(crate) use format::RECONFIGURED;
pub use format::{TraceError, line, parse, seed};
pub use recorder::Recorder;
#[cfg(feature = "std")]
pub use recorder::SharedTrace;
