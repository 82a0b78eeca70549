//! Results of recounts, which check tables and gauges.

use alloc::format;
use alloc::string::String;
use core::fmt::{Debug, Display};

/// Result of a recount. The error describes the first mismatch.
pub(crate) type Recounted = Result<(), String>;

/// Returns the text of `what` as an error unless `kept` is true.
pub(crate) fn ensure(kept: bool, what: impl FnOnce() -> String) -> Recounted {
    if kept { Ok(()) } else { Err(what()) }
}

/// Returns an error if the stored value differs from the counted one.
#[expect(clippy::needless_pass_by_value, reason = "most are numbers that were counted for this")]
pub(crate) fn same<T: PartialEq + Debug>(what: impl Display, stored: T, counted: T) -> Recounted {
    ensure(stored == counted, || format!("{what}: stored {stored:?}, counted {counted:?}"))
}
