use core::num::NonZeroU32;
use core::time::Duration;

/// Marks on the bytes queued for one connection whose socket is full.
///
/// A connection whose socket takes everything is never measured against them, however much one turn
/// brings. Above `high` the peer is no longer read and the handler is told
/// ([`Event::Stalled`](crate::Event)); at `low` or below both are undone; what would go above `max` is for
/// the [`SlowPolicy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    low: u32,
    high: u32,
    max: u32,
}

impl Marks {
    /// Marks at `low`, `high` and `max` bytes.
    ///
    /// # Errors
    /// Unless `low <= high <= max` and `max` is 1 to 1,073,741,824 bytes (1 GiB).
    pub const fn new(low: u32, high: u32, max: u32) -> Result<Self, MarksError> {
        if low > high || high > max || max == 0 || max > 1 << 30 {
            return Err(MarksError { low, high, max });
        }
        Ok(Self { low, high, max })
    }

    /// At this many bytes or fewer a stalled connection is read again.
    #[must_use]
    pub const fn low(self) -> usize {
        self.low as usize
    }

    /// Above this many bytes a connection is stalled.
    #[must_use]
    pub const fn high(self) -> usize {
        self.high as usize
    }

    /// The most bytes that are queued for a connection once its socket is full.
    #[must_use]
    pub const fn max(self) -> usize {
        self.max as usize
    }
}

impl Default for Marks {
    /// 64 KiB, 256 KiB, 1 MiB.
    fn default() -> Self {
        Self { low: 64 << 10, high: 256 << 10, max: 1 << 20 }
    }
}

/// Marks that are out of order or out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("marks need low <= high <= max and max in 1 to 1073741824 bytes, not low {low}, high {high}, max {max}")]
pub struct MarksError {
    /// The low mark that was asked for.
    pub low: u32,
    /// The high mark that was asked for.
    pub high: u32,
    /// The maximum that was asked for.
    pub max: u32,
}

/// What happens when a room's message would bring a slow member above [`Marks::max`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlowPolicy {
    /// The member is closed as a slow consumer.
    #[default]
    Close,
    /// The oldest messages of the room that wait for the member are skipped.
    SkipOldest,
    /// The new message is skipped for the member.
    SkipNewest,
    /// All messages of the room that wait for the member are skipped but the new one.
    KeepLatest,
}

/// What one connection may have waiting, in bytes and in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboundLimits {
    /// The marks in bytes.
    pub marks: Marks,
    /// How long a socket that is full may take for what is queued, besides the time for its length. With zero there is only
    /// that.
    pub write_deadline: Duration,
    /// The lowest rate, in bytes per second, that a peer may read at: what is queued is due after
    /// `write_deadline` and its length at this rate.
    pub drain_min_bytes_per_second: NonZeroU32,
    /// The policy of rooms that have none of their own.
    pub slow_policy: SlowPolicy,
}

impl OutboundLimits {
    pub(crate) fn time_for(&self, bytes: usize) -> Duration {
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(self.drain_min_bytes_per_second.get());
        self.write_deadline.saturating_add(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

impl Default for OutboundLimits {
    /// The default marks, 30 s and 4 KiB/s, close.
    fn default() -> Self {
        Self {
            marks: Marks::default(),
            write_deadline: Duration::from_secs(30),
            drain_min_bytes_per_second: NonZeroU32::MIN.saturating_add(4095),
            slow_policy: SlowPolicy::default(),
        }
    }
}
