use core::fmt;
use core::num::NonZeroU64;
use core::ops::Add;
use core::time::Duration;

/// A moment on the machine's own clock: nanoseconds since the shell's start.
///
/// The range is 584 years, to `u64::MAX - 1` nanoseconds. Arithmetic saturates instead of wrapping.
/// A deadline that does not exist is `None`, never a distant `Time`; `Option<Time>` takes no more
/// space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(NonZeroU64);

/// Returns a span in whole milliseconds. The longest one is 584 million years.
pub(crate) fn whole_millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Time {
    /// The moment at which the shell started.
    pub const START: Self = Self(NonZeroU64::MIN);

    /// Returns the moment `nanos` nanoseconds after the start.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(nanos))
    }

    /// Returns the moment `millis` milliseconds after the start.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self::from_nanos(millis.saturating_mul(1_000_000))
    }

    /// Returns the moment `seconds` seconds after the start.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self::from_nanos(seconds.saturating_mul(1_000_000_000))
    }

    /// Returns the number of nanoseconds since the start.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0.get() - 1
    }

    /// Returns the number of whole milliseconds since the start.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.as_nanos() / 1_000_000
    }

    /// Returns the time elapsed since `earlier`, or zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.as_nanos().saturating_sub(earlier.as_nanos()))
    }

    /// Returns the moment `nanos` nanoseconds before this one. Saturates at the start.
    #[must_use]
    pub const fn minus_nanos(self, nanos: u64) -> Self {
        Self::from_nanos(self.as_nanos().saturating_sub(nanos))
    }

    /// Returns the moment `nanos` nanoseconds after this one. Saturates at the end of the range.
    #[must_use]
    pub const fn plus_nanos(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }
}

/// Wall-clock time: milliseconds since 1970-01-01T00:00:00Z, without leap seconds (POSIX).
///
/// It may jump, also backwards. Only external dates, such as the expiry of a token, are compared
/// with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// Returns the moment `millis` milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns the moment `seconds` seconds after the epoch. Saturates.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// Returns the number of milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Returns the number of whole seconds since the epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000
    }
}

/// Shortest interval between repeated actions, such as pings or connection attempts.
///
/// Shorter intervals would only keep a shell busy.
pub(crate) const INTERVAL_MIN: Duration = Duration::from_millis(10);

/// Returns `None` for a duration of zero, otherwise `span`.
pub(crate) fn some_time(span: Option<Duration>) -> Option<Duration> {
    span.filter(|span| !span.is_zero())
}

/// Returns the seconds of `span`, rounded up so that an announced time is never too short.
pub(crate) fn seconds_up(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0))
}

impl Default for Time {
    /// Returns [`Time::START`].
    fn default() -> Self {
        Self::START
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    /// Adds a duration. Saturates at the end of the range.
    fn add(self, span: Duration) -> Self {
        self.plus_nanos(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Time {
    /// Writes the seconds with nine decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.as_nanos() / 1_000_000_000, self.as_nanos() % 1_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_arithmetic_saturates_at_both_ends() {
        assert_eq!(Time::from_nanos(u64::MAX) + Duration::MAX, Time::from_nanos(u64::MAX));
        assert_eq!(Time::START.since(Time::from_secs(1)), Duration::ZERO);
        assert_eq!(Time::from_nanos(5).minus_nanos(9), Time::START);
    }
}
