//! What a recount reports when a table or a gauge is wrong.

use alloc::format;
use alloc::string::String;
use core::fmt::{Debug, Display};

/// The first thing that a recount found wrong, in words.
pub(crate) type Recounted = Result<(), String>;

/// Fails unless `kept`.
pub(crate) fn ensure(kept: bool, what: impl FnOnce() -> String) -> Recounted {
    if kept { Ok(()) } else { Err(what()) }
}

/// Fails unless what is stored is what a recount gives.
#[expect(clippy::needless_pass_by_value, reason = "most are numbers that were counted for this")]
pub(crate) fn same<T: PartialEq + Debug>(what: impl Display, stored: T, counted: T) -> Recounted {
    ensure(stored == counted, || format!("{what}: stored {stored:?}, counted {counted:?}"))
}
