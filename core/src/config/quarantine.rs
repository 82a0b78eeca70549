use core::time::Duration;

/// How long an address is refused, and how many addresses are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuarantineLimits {
    /// How long an address is refused after it was put in quarantine. With zero it is not.
    pub cool_down: Duration,
    /// How many addresses are remembered. When the table is full, the one that would be free soonest
    /// makes room for the new one; 0 remembers none.
    pub addresses_max: u32,
}

impl Default for QuarantineLimits {
    /// 5 minutes, 10,000 addresses (at most about 1.5 MiB).
    fn default() -> Self {
        Self { cool_down: Duration::from_secs(300), addresses_max: 10_000 }
    }
}
