//! What is kept of the handler's panics.

use alloc::boxed::Box;

/// Panics of the handler that are kept for tests. All panics are counted.
#[derive(Default)]
pub(super) struct Panics {
    pub(super) keeps: bool,
    pub(super) first: Option<Box<dyn core::any::Any + Send>>,
}
