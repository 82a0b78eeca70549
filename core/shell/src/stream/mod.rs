//! One task for each connection, that reads and writes a stream.
//!
//! It is the same machine underneath, with every limit in force, and back-pressure goes both ways: who does not read its stream has
//! a peer that is not read, and who writes faster than the peer reads waits. What a connection keeps for its task is bounded:
//! about 64 KiB that the peer sent, and as much that the task did.
//!
//! [`Connections`] is a handler, so layers go around it:
//! `Server::bind_with(Connections::configure(config), |remote| Connections::new(remote, spawn, serve).within(layer))`.
//!
//! [`Server::serve`](super::Server::serve) makes a server of such tasks, on shells of an async runtime.

mod bytes;
mod connection;
mod connections;
mod link;

pub use bytes::ByteStream;
pub use connection::{Connection, Disconnected, Receiver, Sender};
pub use connections::{Connections, Linked, Ready, Task as ConnectionTask};
#[cfg(feature = "auth")]
pub(super) use link::{Link, Weight};
