//! The parts that all shells of Drupe share: sockets and threads of the operating system, the driver of the machine, handles to a
//! running server. Unix only.
//!
//! A shell is a runtime's [`Sockets`] and a loop around [`Driver::turn`]: it gathers what is ready, lets the driver take a
//! turn, and waits as it is told.
//!
//! Applications use a shell, which re-exports this crate as `shell`: `drupe-tokio`, `drupe-smol` or `drupe-mio`.
//!
//! | feature | adds |
//! |---|---|
//! | `auth` | `client`: a client that logs in and reconnects |
//! | `cli` | `cli`: the arguments of the example `hub` and of `drupe` |

#![forbid(unsafe_code)]
#![cfg(unix)]

mod attempts;
mod block_on;
mod channel;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "auth")]
pub mod client;
mod driver;
mod mailbox;
mod os;
mod ready;
mod remote;
mod server;
mod signals;
mod sockets;
pub mod stream;
mod task;
mod tunnel;

pub use attempts::{Attempts, until_blocked};
pub use block_on::block_on;
pub use channel::{Arrival, Channel};
pub use driver::{Driver, Next};
pub use mailbox::{DriverMessage, Mailbox, Reconfigured};
pub use os::{OsListener, OsStream, SocketFile, tune, tune_accepted};
pub use ready::{ReadyKey, ReadyQueue};
pub use remote::{Remote, RemoteError};

pub use server::{BindError, Runtime, Server, Setup, StartError};
pub use sockets::{Dialed, Sockets};
pub use task::{AsyncRuntime, Task};
pub use tunnel::{TunnelPort, TunnelWatch};

use std::hash::{BuildHasher, Hasher};

/// How many bytes a shell reads at a time, into the one buffer it has.
pub const SCRATCH_BYTES: usize = 64 << 10;

/// How many bytes the kernel may hold of what was written to one socket: what a peer that stops reading
/// costs beside [`Marks::max`](drupe_core::outbound::Marks). Linux doubles it for its own bookkeeping.
pub const SEND_BUFFER_BYTES: usize = 256 << 10;

/// How often one socket is read before others have their turn: a peer that sends as fast as it is read, a little at a time,
/// keeps nobody waiting. What fills the buffer ends its turn at once.
pub const READS_PER_TURN: u32 = 16;

/// How many connections may wait to be accepted. The system may allow fewer.
pub const BACKLOG: u32 = 4096;

/// How many connections of one listener are accepted before others have their turn.
pub const ACCEPTS_PER_TURN: u32 = 64;

/// After this long without a byte the system asks whether a TCP peer is still there (RFC 9293 section 3.8.4).
pub const KEEP_ALIVE_IDLE: core::time::Duration = core::time::Duration::from_secs(60);
/// How long between such questions.
pub const KEEP_ALIVE_INTERVAL: core::time::Duration = core::time::Duration::from_secs(15);
/// How many unanswered questions end the connection.
pub const KEEP_ALIVE_RETRIES: u32 = 4;

/// Calls what somebody else has given, for whose panics a server does not end.
fn spared(call: impl FnOnce()) {
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
}

/// 32 unpredictable bytes from the system, for [`Authentication`](drupe_core::kit::auth::Authentication) and
/// [clients](drupe_core::kit::client).
///
/// # Errors
/// If the system has none to give.
pub fn secret() -> std::io::Result<[u8; 32]> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(std::io::Error::from)?;
    Ok(secret)
}

/// 64 bits that differ from run to run, for [`Config::seed`](drupe_core::Config::seed).
#[must_use]
pub fn entropy() -> u64 {
    // The standard library keys its hash maps from the system's source of entropy.
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
