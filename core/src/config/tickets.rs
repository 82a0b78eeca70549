use crate::base::setters;

/// Limits on the number of unredeemed tickets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TicketLimits {
    /// Per connection. With 0, there are no tickets.
    pub per_connection: u32,
    /// In all. With 0, there are no tickets.
    pub total: u32,
}

setters!(TicketLimits { per_connection: u32, total: u32 });

impl Default for TicketLimits {
    /// 64 per connection, 16,384 in all.
    fn default() -> Self {
        Self { per_connection: 64, total: 16_384 }
    }
}

/// Why no ticket could be issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// The connection is over or closing.
    #[error("the connection is over")]
    NotOpen,
    /// [`TicketLimits::per_connection`] is reached.
    #[error("{0} requests of this connection are in progress")]
    TooManyOfConnection(u32),
    /// [`TicketLimits::total`] is reached.
    #[error("{0} requests are in progress on this server")]
    TooMany(u32),
}
