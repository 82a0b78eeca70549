use crate::base::setters;
use core::time::Duration;

/// Duration of the quarantine, and maximum number of quarantined addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuarantineLimits {
    /// Time for which an address is refused. With zero, it is not refused.
    pub cool_down: Duration,
    /// Maximum number of stored addresses.
    ///
    /// If the table is full, the entry that expires first is replaced. With 0, none is stored.
    pub addresses_max: u32,
}

setters!(QuarantineLimits { cool_down: Duration, addresses_max: u32 });

impl Default for QuarantineLimits {
    /// Returns a cool-down of 5 minutes and a table of 10,000 addresses (at most about 1.5 MiB).
    fn default() -> Self {
        Self { cool_down: Duration::from_secs(300), addresses_max: 10_000 }
    }
}
