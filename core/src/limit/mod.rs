//! What one peer, one address or all peers together may use.

mod admission;
mod budget;
mod ladder;
mod meters;
mod network;
mod quarantine;
mod rate;

pub(crate) use admission::{Admission, Rules};
pub use admission::{ConnectionLimits, EarlyDrop, EarlyDropError};
pub use budget::{Budget, MessageSize, MessageSizeError};
pub(crate) use ladder::Strikes;
pub use ladder::{Action, Ladder};
pub(crate) use meters::Meters;
pub use network::{Network, NetworkError};
pub(crate) use quarantine::Quarantine;
pub use quarantine::QuarantineLimits;
pub use rate::{Gcra, Rate, RateError};
