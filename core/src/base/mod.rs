//! Basic types, such as time, identifiers, peers, messages and reasons.

mod app_index;
mod backoff;
mod failure;
pub(crate) mod few;
#[cfg(feature = "files")]
pub mod files;
mod hex;
mod host;
mod id;
mod identity;
pub(crate) mod lazy_box;
mod name_error;
pub mod names;
mod network;
mod outgoing;
mod payload;
mod peer;
mod proxy_fault;
mod random;
mod reason;
#[cfg(feature = "sim")]
pub(crate) mod recount;
mod setters;
mod socket_path;
pub mod text;
mod time;
mod tls_fault;
#[cfg(feature = "work")]
pub mod work;
#[cfg(not(feature = "work"))]
pub(crate) mod work;

pub use app_index::AppIndex;
pub use backoff::Backoff;
pub use failure::{AcceptFailure, Failure};
#[cfg(feature = "settings")]
pub(crate) use hex::bytes_32;
pub use hex::fingerprint;
pub use host::{HostId, HostIdError};
pub use id::{ConnId, ConnIdError, DialId, ListenerId, Origin};
#[cfg(feature = "json")]
pub use identity::ClaimsError;
pub use identity::Identity;
pub(crate) use identity::covers;
pub use name_error::NameError;
pub use network::{Network, NetworkError};
pub use outgoing::{Outgoing, OutgoingBuf, Representation};
pub use payload::{Payload, PayloadBuf};
pub use peer::{AddressKey, Peer};
pub use proxy_fault::ProxyFault;
pub use random::Random;
pub use reason::{Blame, Reason};
pub(crate) use setters::setters;
pub(crate) use socket_path::socket_path;
pub(crate) use time::{INTERVAL_MIN, seconds_up, some_time, whole_millis};
pub use time::{Time, UnixTime};
pub use tls_fault::TlsFault;
