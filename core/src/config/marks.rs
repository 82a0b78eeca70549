use super::gather::Gather;
use crate::base::setters;
use core::num::NonZeroU32;
use core::time::Duration;

/// Watermarks for the bytes that are queued for one connection while its socket is full.
///
/// While the socket accepts everything, they do not apply, however much is sent in one turn. Above
/// `high`, the machine stops reading from the peer and emits [`Event::Stalled`](crate::Event). At
/// `low` or below, it reads again and emits `Drained`. The [`SlowPolicy`] handles what would exceed
/// `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    low: u32,
    high: u32,
    max: u32,
}

impl Marks {
    /// Creates watermarks, in bytes.
    ///
    /// # Errors
    /// Unless `low <= high <= max` and `max` is 1 to 1,073,741,824 bytes (1 GiB).
    pub const fn new(low: u32, high: u32, max: u32) -> Result<Self, MarksError> {
        if low > high || high > max || max == 0 || max > 1 << 30 {
            return Err(MarksError { low, high, max });
        }
        Ok(Self { low, high, max })
    }

    /// Returns the low mark in bytes: at or below it, a stalled connection is read again.
    #[must_use]
    pub const fn low(self) -> usize {
        self.low as usize
    }

    /// Returns the high mark in bytes: above it, a connection is stalled.
    #[must_use]
    pub const fn high(self) -> usize {
        self.high as usize
    }

    /// Returns the maximum number of bytes queued for a connection once its socket is full.
    #[must_use]
    pub const fn max(self) -> usize {
        self.max as usize
    }
}

impl Default for Marks {
    /// Returns a low mark of 64 KiB, a high mark of 256 KiB and a maximum of 1 MiB.
    fn default() -> Self {
        Self { low: 64 << 10, high: 256 << 10, max: 1 << 20 }
    }
}

/// The error returned for watermarks that are out of order or out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("marks need low <= high <= max and max in 1 to 1073741824 bytes, not low {low}, high {high}, max {max}")]
#[non_exhaustive]
pub struct MarksError {
    /// The requested low mark, in bytes.
    pub low: u32,
    /// The requested high mark, in bytes.
    pub high: u32,
    /// The requested maximum, in bytes.
    pub max: u32,
}

/// Policy for a room's message that would bring a slow member above [`Marks::max`].
///
/// The connection of a member whose wire is a [stream of events](crate::wire::events) is always closed,
/// whatever the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlowPolicy {
    /// The member's connection is closed as a slow consumer.
    #[default]
    Close,
    /// The oldest queued messages of the room are skipped for the member until the new one fits.
    SkipOldest,
    /// The new message is skipped for the member.
    SkipNewest,
    /// All messages of the room that are queued for the member are skipped, except the new one.
    KeepLatest,
}

/// Limits on one connection's output queue, and the default policy for slow members of rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboundLimits {
    /// Watermarks of the output queue, in bytes.
    pub marks: Marks,
    /// Fixed part of the time limit for a full socket to accept the queued output.
    ///
    /// The other part grows with the length of the output. With zero, only that part applies.
    pub write_deadline: Duration,
    /// The lowest accepted reading rate of the peer, in bytes per second.
    ///
    /// The deadline for queued output is `write_deadline` plus its length at this rate.
    pub drain_min_bytes_per_second: NonZeroU32,
    /// The slow-member policy of rooms without one of their own.
    pub slow_policy: SlowPolicy,
    /// How long a worker rests between two turns in which it sends messages to rooms.
    pub gather: Gather,
}

setters!(OutboundLimits {
    marks: Marks,
    write_deadline: Duration,
    drain_min_bytes_per_second: NonZeroU32,
    slow_policy: SlowPolicy,
    gather: Gather,
});

impl OutboundLimits {
    pub(crate) fn time_for(&self, bytes: usize) -> Duration {
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(self.drain_min_bytes_per_second.get());
        self.write_deadline.saturating_add(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

impl Default for OutboundLimits {
    /// Returns the default marks, a deadline of 30 s, a rate of 4 KiB/s, [`SlowPolicy::Close`], and no rest.
    fn default() -> Self {
        Self {
            marks: Marks::default(),
            write_deadline: Duration::from_secs(30),
            drain_min_bytes_per_second: NonZeroU32::MIN.saturating_add(4095),
            slow_policy: SlowPolicy::default(),
            gather: Gather::OFF,
        }
    }
}
