//! The error of a connection that was not mounted.

use crate::RemoteError;
use drupe_core::Reason;

/// The error of a connection that was not mounted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// The server has ended, or its queue is full.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The request cannot be written in HTTP/1.1.
    #[error("the request can't be mounted: {0}")]
    Request(&'static str),
    /// No listener has this mount as its address.
    #[error("no listener has the address mounted:{0}")]
    Unknown(String),
    /// A request was passed to a listener that takes only whole connections.
    #[error("the listener mounted:{0} takes no requests: it needs the protocol websocket, without TLS and PROXY")]
    NotWebSocket(String),
    /// The server refused the connection, and informed the peer as far as the protocol allows.
    #[error("the server refused the connection: {}", .0.sentence())]
    Refused(Reason),
    /// The response is longer than 1 MiB.
    #[error("the response is longer than 1 MiB: request it from a listener of the server")]
    TooLarge,
    /// The server closed the connection without a response.
    #[error("the server closed the connection without a response")]
    Closed,
}
