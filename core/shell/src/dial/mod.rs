//! Outgoing connections: from the address of a dial to a connected socket.
//!
//! The system connects to a Unix socket at once. For `HOST:PORT`, [`Names`] resolves the host on a
//! thread, and a [`Race`] decides when each of its addresses is tried.

mod attempts;
mod names;
mod race;
mod route;
mod starts;

pub use attempts::Attempts;
pub use names::{Names, RESOLVER_THREADS_MAX, Resolving};
pub use race::{ADDRESSES_MAX, ATTEMPT_DELAY, ATTEMPT_PATIENCE, IN_FLIGHT_MAX, Race, RaceAction};
pub use route::Route;
pub(crate) use starts::Starts;

/// Maximum number of attempts that begin in a turn, and that are polled in a turn.
///
/// So the driver serves connections even while thousands of dials retry at the same moment.
pub const DIALS_PER_TURN: usize = 64;
