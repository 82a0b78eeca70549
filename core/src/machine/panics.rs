//! Storage for a panic of the handler.

use alloc::boxed::Box;

/// The first panic of the handler, which tests resume. It is kept only if `keeps` is set.
#[derive(Default)]
pub(super) struct Panics {
    pub(super) keeps: bool,
    pub(super) first: Option<Box<dyn core::any::Any + Send>>,
}
