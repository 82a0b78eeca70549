//! The runtime-independent part of Drupe's shells. Unix only.
//!
//! It contains sockets, threads and signals of the operating system, name resolution, the race
//! between the addresses of a host, the driver of the machine, and handles to a running server.
//!
//! A shell consists of a runtime's [`Sockets`] and a loop around [`Driver::turn`]. The loop
//! collects what is ready, calls `turn`, and waits as [`Next`] says.
//!
//! Applications use a shell, which re-exports this crate as `shell`: `drupe-tokio`, `drupe-smol` or
//! `drupe-mio`.
//!
//! | feature | adds |
//! |---|---|
//! | `auth` | `client`: a client that logs in and reconnects |
//! | `client-tls` | `platform_roots`, and TLS of clients without settings of their own |
//! | `cli` | `cli`: command-line arguments of the example `hub` |
//! | `http` | [`mount`]: requests and responses of the crate `http` |

#![forbid(unsafe_code)]
#![cfg(unix)]

mod block_on;
mod channel;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "auth")]
pub mod client;
#[cfg(feature = "client-tls")]
mod client_tls;
#[cfg(target_os = "linux")]
mod descriptors;
mod dial;
mod driver;
mod mailbox;
pub mod mount;
mod os;
mod os_stream;
mod poller;
mod queue;
mod queues;
mod ready;
mod remote;
mod remote_error;
mod runtime;
mod server;
mod signals;
mod sockets;
mod ssh;
pub mod stream;
mod task;
mod tunnel;

pub use block_on::block_on;
pub use channel::{Arrival, Channel};
#[cfg(feature = "client-tls")]
pub use client_tls::platform_roots;
pub use dial::{
    ADDRESSES_MAX, ATTEMPT_DELAY, ATTEMPT_PATIENCE, Attempts, DIALS_PER_TURN, IN_FLIGHT_MAX, Names,
    RESOLVER_THREADS_MAX, Race, RaceAction, Resolving, Route,
};
pub use driver::{Driver, Next};
pub use mailbox::Mailbox;
pub use os::{BindError, OsListener, SocketFile, tune, tune_accepted};
pub use os_stream::{OsStream, TELLS_URGENT};
pub use poller::{PolledSockets, Poller, Socket};
pub use queue::{DriverMessage, Reconfigured};
pub use ready::{ReadyKey, ReadyQueue};
pub use remote::Remote;
pub use remote_error::RemoteError;

pub use runtime::AsyncRuntime;
pub use server::{Runtime, Server, Setup, StartError};
pub use sockets::{Dialed, Sockets};
pub use ssh::{SshAccept, SshAcceptor};
pub use task::Task;
pub use tunnel::{TunnelPort, TunnelWatch};

use std::hash::{BuildHasher, Hasher};

/// Size of a shell's read buffer, in bytes. Each driver has one.
pub const SCRATCH_BYTES: usize = 64 << 10;

/// Size of a socket's send buffer in the kernel, in bytes. Linux doubles it for bookkeeping.
///
/// A peer that stops reading costs this much memory in addition to
/// [`Marks::max`](drupe_core::outbound::Marks).
pub const SEND_BUFFER_BYTES: usize = 256 << 10;

/// Maximum number of reads from one socket before other sockets have their turn.
///
/// So a peer that keeps sending small pieces does not starve others. A read that fills the buffer
/// ends the socket's turn at once.
pub const READS_PER_TURN: u32 = 16;

/// Maximum number of connections that wait to be accepted per listener. Systems may allow fewer.
pub const BACKLOG: u32 = 4096;

/// Maximum number of connections accepted from one listener before others have their turn.
pub const ACCEPTS_PER_TURN: u32 = 64;

/// Idle time after which the system probes a TCP peer (RFC 9293 section 3.8.4).
pub const KEEP_ALIVE_IDLE: core::time::Duration = core::time::Duration::from_secs(60);
/// Time between keep-alive probes.
pub const KEEP_ALIVE_INTERVAL: core::time::Duration = core::time::Duration::from_secs(15);
/// Number of unanswered keep-alive probes after which the system ends the connection.
pub const KEEP_ALIVE_RETRIES: u32 = 4;

/// Calls a callback of the application and ignores its panic, so that the server continues.
fn spared(call: impl FnOnce()) {
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
}

/// Returns 32 unpredictable bytes from the system.
///
/// For [`Authentication`](drupe_core::kit::auth::Authentication) and
/// [clients](drupe_core::kit::client).
///
/// # Errors
/// If the system returns no random bytes.
pub fn secret() -> std::io::Result<[u8; 32]> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(std::io::Error::from)?;
    Ok(secret)
}

/// Returns 64 bits that differ from run to run, for [`Config::seed`](drupe_core::Config::seed).
#[must_use]
pub fn entropy() -> u64 {
    // The standard library keys its hash maps from the system's source of entropy.
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
