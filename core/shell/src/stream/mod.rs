//! Streams: one task per connection, which reads and writes it.
//!
//! The tasks run on top of the machine, so all its limits apply. Back-pressure works in both
//! directions: if a task does not read, the machine does not read from the peer; and a task that
//! writes faster than the peer reads has to wait. Queues between a task and the machine are
//! bounded: about 64 KiB in each direction.
//!
//! [`Server::serve`](super::Server::serve) creates a server of such tasks, on shells of an async
//! runtime. [`Server::serve_within`](super::Server::serve_within) does so behind layers, such as
//! authentication, a rate limit or a greeting.
//!
//! # Drain and cancellation
//!
//! When the server drains, [`Connection::draining`] returns. A drain closes a connection that waits
//! for a message, and then the task receives `None`. A connection whose task handles a message, or
//! holds a [`Work`], stays open until the work is done, at most until shortly before
//! [`Drain::deadline`](drupe_core::Drain::deadline). Then it ends as
//! [`Reason::Shutdown`](drupe_core::Reason::Shutdown), and what the task sends later is an error.
//! The server never ends a task itself: [`Connection::run_until_closed`] drops a future once the
//! connection has ended, and [`Connection::closed`] returns the reason.

mod about;
mod bytes;
mod connection;
mod connections;
mod link;
mod path;
mod task;
mod work;

pub use bytes::ByteStream;
pub use connection::{Connection, Disconnected, Receiver, Sender};
pub use connections::Connections;
#[cfg(feature = "auth")]
pub(super) use link::{Link, Weight};
pub use path::{Linked, Ready};
pub use task::Task as ConnectionTask;
pub use work::Work;
