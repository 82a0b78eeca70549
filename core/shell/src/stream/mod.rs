//! Streams: one task per connection, which reads and writes it.
//!
//! The tasks run on top of the machine, so all its limits apply. Back-pressure works in both
//! directions: if a task does not read, the machine does not read from the peer; and a task that
//! writes faster than the peer reads has to wait. Queues between a task and the machine are
//! bounded: about 64 KiB in each direction.
//!
//! [`Connections`] is a handler, so layers can wrap it:
//!
//! ```text
//! Server::bind_with(Connections::configure(config), |remote| {
//!     Connections::new(remote, spawn, serve).within(layer)
//! })
//! ```
//!
//! [`Server::serve`](super::Server::serve) creates a server of such tasks, on shells of an async
//! runtime.

mod bytes;
mod connection;
mod connections;
mod link;
mod path;
mod task;

pub use bytes::ByteStream;
pub use connection::{Connection, Disconnected, Receiver, Sender};
pub use connections::Connections;
#[cfg(feature = "auth")]
pub(super) use link::{Link, Weight};
pub use path::{Linked, Ready};
pub use task::Task as ConnectionTask;
