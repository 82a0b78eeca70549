use crate::config::Rate;

/// How many connections may be open at a time. What is above is told so and closed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// In all, those that are closing and those that the application dialled included; a dial itself is never
    /// refused, so there may be more by as many. More than 16,777,215 are never let in; with 0 nobody is.
    pub total: u32,
    /// From one address: an IPv4 address or an IPv6 /64. With 0 only those without an address and those who are
    /// [exempt](crate::Config::exempt) are let in.
    pub per_address: u32,
    /// How many new ones from one address in a time; `None`, the default, is without limit. Those that are refused do not
    /// count.
    pub arrivals_per_address: Option<Rate>,
    /// Whether some are refused by chance while many have not shown who they are; `None`, the default, refuses nobody so.
    pub early_drop: Option<EarlyDrop>,
}

impl Default for ConnectionLimits {
    /// 10,000 in all; 256 per address, which leaves room for many people behind one NAT.
    fn default() -> Self {
        Self { total: 10_000, per_address: 256, arrivals_per_address: None, early_drop: None }
    }
}

/// Refuses new connections by chance while many are not [authenticated](crate::Hub::identify), so that a flood of those who
/// never are leaves room for those who will be: none below `begin`, all from `full` on, and in between the more the nearer to
/// it (as random early detection, Floyd and Jacobson 1993).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlyDrop {
    begin: u32,
    full: u32,
}

/// Numbers that are no early drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an early drop begins at fewer connections than where it is full, not at {begin} of {full}")]
pub struct EarlyDropError {
    /// Where it should begin.
    pub begin: u32,
    /// Where it should be full.
    pub full: u32,
}

impl EarlyDrop {
    /// None is refused below `begin` unauthenticated connections, everybody from `full` on.
    ///
    /// # Errors
    /// Unless `begin` is below `full`.
    pub const fn new(begin: u32, full: u32) -> Result<Self, EarlyDropError> {
        if begin < full { Ok(Self { begin, full }) } else { Err(EarlyDropError { begin, full }) }
    }

    /// Whether one more is refused by `chance`, of which all 64 bits are.
    pub(crate) fn refuses(self, unknown: u32, chance: u64) -> bool {
        let above = u64::from(unknown.saturating_sub(self.begin));
        let span = u64::from(self.full - self.begin);
        unknown >= self.begin && (above >= span || chance >> 32 < (above << 32) / span)
    }
}
