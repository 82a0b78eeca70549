//! What happens at a watermark.

/// A connection crossed a watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatermarkEvent {
    /// More is queued than the high mark.
    Stalled(u32),
    /// More would be queued than the maximum, and the policy is to close.
    Overflow(u32),
    /// The queue was above the high mark and is now at or below the low one.
    Drained(u32),
}

impl WatermarkEvent {
    pub(super) const fn index(self) -> u32 {
        match self {
            Self::Stalled(index) | Self::Overflow(index) | Self::Drained(index) => index,
        }
    }
}
