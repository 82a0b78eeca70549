use alloc::boxed::Box;
use bytes::Bytes;

/// An operation of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerOp {
    /// `INFO`: what the server is and needs, in JSON.
    Info(Bytes),
    /// `MSG` or `HMSG`.
    Message(ServerMessage),
    /// `PING`, which must be answered.
    Ping,
    /// `PONG`.
    Pong,
    /// `+OK`.
    Ok,
    /// `-ERR`, with its text without quotes.
    Error(Box<str>),
}

/// A message from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerMessage {
    pub(crate) subject: Bytes,
    /// The number of the subscription.
    pub(crate) sid: u64,
    /// The subject for the answer.
    pub(crate) reply: Option<Bytes>,
    /// The headers, from `NATS/1.0` to the empty line. Empty: none.
    pub(crate) headers: Bytes,
    pub(crate) payload: Bytes,
}
