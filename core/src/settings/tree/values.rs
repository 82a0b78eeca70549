//! Short constructors for defaults.

use crate::settings::units::{Maybe, Span, Timeout};
use core::num::NonZeroU32;
use core::time::Duration;

pub(super) const fn secs(secs: u64) -> Span {
    Span(Duration::from_secs(secs))
}

pub(super) const fn timeout(secs: u64) -> Timeout {
    Timeout(Duration::from_secs(secs))
}

pub(super) const NEVER: Maybe<Timeout> = Maybe(None);

/// Converts a number to a count; 0 becomes 1.
pub(super) const fn count(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(count) => count,
        None => NonZeroU32::MIN,
    }
}
