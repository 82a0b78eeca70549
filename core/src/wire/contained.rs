//! Containment of panics in an author's codec.

/// Calls a function of a codec. Returns `None` if it panics.
///
/// What a codec that panicked leaves behind is not used again.
#[cfg(any(feature = "std", test))]
pub(super) fn contained<T>(act: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).ok()
}

/// Calls a function of a codec. Without the standard library, a panic cannot be caught.
#[cfg(not(any(feature = "std", test)))]
#[expect(clippy::unnecessary_wraps, reason = "with the standard library, it may be `None`")]
pub(super) fn contained<T>(act: impl FnOnce() -> T) -> Option<T> {
    Some(act())
}
