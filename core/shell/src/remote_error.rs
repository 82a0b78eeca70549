//! The error of a message to a server.

/// Maximum number of messages that other threads may queue for one shard.
pub(super) const WAITING_MAX: usize = 65_536;

/// The error of a message that could not be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The server has ended.
    #[error("the server has ended")]
    Ended,
    /// The queue is full: it holds 65,536 messages.
    #[error("the server is overloaded: {WAITING_MAX} messages are queued")]
    Full,
}
