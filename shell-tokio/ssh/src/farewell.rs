//! Requests to end channels.

use super::inbox::Inbox;
use russh::client::Msg;
use russh::{ChannelId, ChannelWriteHalf};
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A pending write to russh.
pub(super) type Sending = Pin<Box<dyn Future<Output = Result<(), russh::Error>> + Send>>;

/// A channel that the server no longer uses. Its pending write is still sent.
pub(super) struct Goodbye {
    pub(super) id: ChannelId,
    pub(super) half: Arc<ChannelWriteHalf<Msg>>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) sending: Option<Sending>,
    /// Whether to wait until the SSH server has written everything and closed the channel.
    pub(super) waits: bool,
    /// Whether the server refused the peer and sends the reason.
    pub(super) dismissed: bool,
}

/// A request to [`say_goodbyes`](super::goodbye::say_goodbyes).
pub(super) enum Farewell {
    One(Goodbye),
    /// A request to close all channels and to report when they are closed.
    Done(oneshot::Sender<()>),
}
