//! Events of connections that cross a watermark.

/// An event of a connection that crosses a watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatermarkEvent {
    /// The queue rose above the high mark.
    Stalled(u32),
    /// The queue exceeds the maximum, or would with a message that must not be skipped.
    Overflow(u32),
    /// The queue of a stalled connection fell to the low mark.
    Drained(u32),
}

impl WatermarkEvent {
    pub(super) const fn index(self) -> u32 {
        match self {
            Self::Stalled(index) | Self::Overflow(index) | Self::Drained(index) => index,
        }
    }
}
