use crate::base::setters;
use core::time::Duration;

/// Limits on the messages of one connection: their size, duration and number per turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// Longest message, in bytes of content. Checked before anything is stored.
    pub message_max_bytes: MessageSize,
    /// Longest time from the first byte of a message to its last.
    ///
    /// Further bytes do not extend it. With zero, a message must arrive in one piece.
    pub message_deadline: Duration,
    /// Maximum number of messages and control events per connection and turn. 0 counts as 1.
    pub messages_per_turn: u32,
}

setters!(Budget { message_max_bytes: MessageSize, message_deadline: Duration, messages_per_turn: u32 });

impl Default for Budget {
    /// Returns limits of 64 KiB and 60 s per message, and 1,024 messages per turn.
    fn default() -> Self {
        Self {
            message_max_bytes: MessageSize::DEFAULT,
            message_deadline: Duration::from_secs(60),
            messages_per_turn: 1024,
        }
    }
}

impl Budget {
    /// Returns the maximum number of [steps](crate::work) for one fact of `bytes` bytes.
    ///
    /// Needs the feature `work`.
    #[cfg(feature = "work")]
    #[must_use]
    pub const fn steps_max(&self, bytes: usize) -> u64 {
        use crate::base::work::{BASE, PER_BUDGET_BYTE, PER_BYTE, PER_MESSAGE};
        BASE.saturating_add(PER_BYTE.saturating_mul(bytes as u64))
            .saturating_add(PER_BUDGET_BYTE.saturating_mul(self.message_max_bytes.get() as u64))
            .saturating_add(PER_MESSAGE.saturating_mul(self.messages_per_turn as u64))
    }
}

/// A size limit for one message: 1 byte to 1 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageSize(u32);

impl MessageSize {
    /// The default limit: 64 KiB.
    pub const DEFAULT: Self = Self(64 * 1024);
    /// The greatest limit: 1 GiB.
    pub const MAX: Self = Self(1 << 30);

    /// Creates a limit of `bytes` bytes.
    ///
    /// # Errors
    /// If `bytes` is not in 1 to 1,073,741,824.
    pub const fn new(bytes: u64) -> Result<Self, MessageSizeError> {
        if bytes == 0 || bytes > Self::MAX.0 as u64 {
            return Err(MessageSizeError(bytes));
        }
        #[expect(clippy::cast_possible_truncation, reason = "checked against a smaller bound above")]
        Ok(Self(bytes as u32))
    }

    /// Returns the limit in bytes.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// The error for a message size limit that is not 1 byte to 1 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message size limit must be 1 to 1073741824 bytes (1 GiB), not {0}")]
#[non_exhaustive]
pub struct MessageSizeError(pub u64);
