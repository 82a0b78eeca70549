use crate::base::setters;

/// Limits on the number of unredeemed tickets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TicketLimits {
    /// Maximum number of unredeemed tickets per connection. With 0, no ticket can be issued.
    pub per_connection: u32,
    /// Maximum number of unredeemed tickets on each [shard](crate::Shard).
    ///
    /// With 0, no ticket can be issued.
    pub total: u32,
}

setters!(TicketLimits { per_connection: u32, total: u32 });

impl Default for TicketLimits {
    /// Returns limits of 64 tickets per connection and 16,384 per shard.
    fn default() -> Self {
        Self { per_connection: 64, total: 16_384 }
    }
}

/// The error returned when no ticket can be issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// The connection is over or closing.
    #[error("the connection is over")]
    NotOpen,
    /// The limit [`TicketLimits::per_connection`] is reached.
    #[error("at most {0} requests of one connection may be in progress")]
    TooManyOfConnection(u32),
    /// The limit [`TicketLimits::total`] is reached.
    #[error("at most {0} requests of all connections may be in progress")]
    TooMany(u32),
}
