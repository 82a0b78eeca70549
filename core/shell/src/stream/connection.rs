use super::path::{Action, Linked, Live, Path, Ready};
use crate::Remote;
use drupe_core::http::Request;
use drupe_core::{ConnId, Hub, JoinError, Origin, OutgoingBuf, PayloadBuf, Peer, Reason};

use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use futures_core::Stream;
use futures_sink::Sink;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

/// A connection to one peer: a [`Stream`] of messages from it and a [`Sink`] for messages to it.
///
/// When this and all its [`Sender`]s are dropped, usually at the end of the task, the connection
/// closes after everything was sent. If the task panics, the connection ends as
/// [`Reason::HandlerPanicked`].
pub struct Connection {
    receiver: Receiver,
    pub(super) sender: Sender,
}

/// The receiving half of a [`Connection`].
pub struct Receiver {
    shared: Arc<Shared>,
}

/// The sending half of a [`Connection`]. Clones send to the same peer.
#[derive(Clone)]
pub struct Sender {
    pub(super) shared: Arc<Shared>,
}

/// The error of an operation on a connection that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection is over: {}", .0.sentence())]
#[non_exhaustive]
pub struct Disconnected(pub Reason);

pub(super) struct Shared {
    pub(super) handle: Handle,
    pub(super) opening: Opening,
    pub(super) live: Arc<Live>,
}

/// The properties of a connection that are fixed when it opens.
pub(super) struct Opening {
    pub(super) peer: Peer,
    pub(super) origin: Origin,
    pub(super) request: Option<Request>,
    pub(super) wire_name: &'static str,
    pub(super) has_lines: bool,
}

/// A reference to a connection that does not keep it open.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) link: Arc<Path>,
    remote: Remote<Ready>,
    conn: ConnId,
}

impl Connection {
    pub(super) fn new(link: Arc<Path>, remote: Remote<Ready>, conn: ConnId, opening: Opening, live: Arc<Live>) -> Self {
        let shared = Arc::new(Shared { handle: Handle { link, remote, conn }, opening, live });
        Self { receiver: Receiver { shared: Arc::clone(&shared) }, sender: Sender { shared } }
    }

    /// Returns the id of the connection, by which other connections can send to it.
    #[must_use]
    pub fn id(&self) -> ConnId {
        self.sender.shared.handle.conn
    }

    /// Returns the address of the peer.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.sender.shared.opening.peer
    }

    /// Returns `true` if the wire carries lines: TCP lines, telnet, or telnet over WebSocket.
    #[must_use]
    pub fn has_lines(&self) -> bool {
        self.sender.shared.opening.has_lines
    }

    /// Returns `true` if the wire carries bytes without messages: [`Raw`](drupe_core::wire::Raw).
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.sender.shared.opening.wire_name == "raw"
    }

    /// Receives a message. Returns `None` once the peer sends no more or the connection has ended.
    pub async fn receive(&mut self) -> Option<PayloadBuf> {
        self.receiver.receive().await
    }

    /// Sends a message. Waits while the peer does not keep up.
    ///
    /// # Errors
    /// If the connection has ended.
    pub async fn send(&mut self, message: impl Into<OutgoingBuf>) -> Result<(), Disconnected> {
        self.sender.send(message).await
    }

    /// Calls `act` with the hub on the server's thread, and returns its result.
    ///
    /// # Errors
    /// If the connection ends before that.
    pub async fn with_hub<T: Send + 'static>(
        &mut self,
        act: impl FnOnce(&mut Hub<'_, Linked>, ConnId) -> T + Send + 'static,
    ) -> Result<T, Disconnected> {
        self.sender.with_hub(act).await
    }

    /// Joins a room with [`Hub::join`].
    ///
    /// # Errors
    /// If the connection has ended. The inner error: if a limit is reached.
    pub async fn join(&mut self, room: impl Into<String>) -> Result<Result<bool, JoinError>, Disconnected> {
        let room = room.into();
        self.with_hub(move |hub, conn| hub.join(conn, &room)).await
    }

    /// Leaves a room with [`Hub::leave`]. Returns `false` if the connection was not a member.
    ///
    /// # Errors
    /// If the connection has ended.
    pub async fn leave(&mut self, room: impl Into<String>) -> Result<bool, Disconnected> {
        let room = room.into();
        self.with_hub(move |hub, conn| hub.leave(conn, &room)).await
    }

    /// Sends a message to all other members of a room with [`Hub::publish_except`].
    ///
    /// Returns the number of recipients on this shard.
    ///
    /// # Errors
    /// If the connection has ended.
    pub async fn publish(
        &mut self,
        room: impl Into<String>,
        message: impl Into<OutgoingBuf>,
    ) -> Result<usize, Disconnected> {
        let (room, message) = (room.into(), message.into());
        self.with_hub(move |hub, conn| hub.publish_except(&room, &[conn], message.as_outgoing())).await
    }

    /// Ends the connection with this reason, after all messages were sent.
    ///
    /// # Errors
    /// If it has ended already.
    pub fn end(&self, reason: Reason) -> Result<(), Disconnected> {
        self.sender.end(reason)
    }

    /// Waits until the connection has ended, and returns the reason.
    pub async fn closed(&self) -> Reason {
        self.sender.closed().await
    }

    /// Waits until the server begins to [drain](drupe_core::Drain), or the connection has ended.
    ///
    /// The task should finish its work and start no new work. When it receives again, its work
    /// counts as finished, and the connection is closed. For work that is no answer to a message,
    /// see [`work`](Self::work).
    pub async fn draining(&self) {
        self.sender.draining().await;
    }

    /// Splits the connection into halves, for two tasks.
    #[must_use]
    pub fn split(self) -> (Receiver, Sender) {
        (self.receiver, self.sender)
    }

    /// Polls whether a message may be sent.
    pub fn poll_ready(&self, cx: &Context<'_>) -> Poll<Result<(), Disconnected>> {
        self.sender.shared.handle.link.poll_ready(cx).map_err(Disconnected)
    }

    /// Polls whether the server has taken everything that was sent and the peer keeps up.
    pub fn poll_flush(&self, cx: &Context<'_>) -> Poll<Result<(), Disconnected>> {
        self.sender.shared.handle.link.poll_flush(cx).map_err(Disconnected)
    }

    /// Polls for the next message. Returns `None` after the last one.
    pub fn poll_receive(&mut self, cx: &Context<'_>) -> Poll<Option<PayloadBuf>> {
        self.receiver.poll_receive(cx)
    }

    pub(super) fn put(&self, action: Action) -> Result<(), Disconnected> {
        self.sender.shared.handle.put(action)
    }

    pub(super) fn handle(&self) -> Handle {
        self.sender.shared.handle.clone()
    }
}

impl Handle {
    pub(super) fn put(&self, action: Action) -> Result<(), Disconnected> {
        self.link.put(action, || self.call()).map_err(Disconnected)
    }

    /// Notifies the handler that the connection's task has queued actions or changed its state.
    pub(super) fn call(&self) {
        // At most one note per connection is queued, so the queue's limit need not apply. If the
        // server has ended, the connection has ended as well.
        self.remote.note_in_any_case(Ready { conn: self.conn, panicked: false });
    }

    /// Reports a panic of the task, even if the connection has ended. Only the first call counts.
    pub(super) fn panicked(&self) {
        if self.link.panics() {
            self.remote.note_in_any_case(Ready { conn: self.conn, panicked: true });
        }
    }
}

impl Receiver {
    /// Receives a message. Returns `None` once the peer sends no more or the connection has ended.
    pub async fn receive(&mut self) -> Option<PayloadBuf> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    fn poll_receive(&mut self, cx: &Context<'_>) -> Poll<Option<PayloadBuf>> {
        let handle = &self.shared.handle;
        handle.link.poll_receive(cx, || handle.call())
    }
}

impl Sender {
    /// Sends a message. Waits while the peer does not keep up.
    ///
    /// # Errors
    /// If the connection has ended.
    pub async fn send(&self, message: impl Into<OutgoingBuf>) -> Result<(), Disconnected> {
        poll_fn(|cx| self.shared.handle.link.poll_ready(cx)).await.map_err(Disconnected)?;
        self.shared.handle.put(Action::Send(message.into()))
    }

    /// Calls `act` with the hub on the server's thread, and returns its result.
    ///
    /// # Errors
    /// If the connection ends before that.
    pub async fn with_hub<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Hub<'_, Linked>, ConnId) -> T + Send + 'static,
    ) -> Result<T, Disconnected> {
        let result = Arc::new(Mutex::new(None));
        let place = Arc::clone(&result);
        let act = move |hub: &mut Hub<'_, Linked>, conn: ConnId| {
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(act(hub, conn));
        };
        self.shared.handle.put(Action::Act(Box::new(act)))?;
        poll_fn(|cx| {
            if let Some(result) = result.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Poll::Ready(Ok(result));
            }
            let waits = self.shared.handle.link.poll_done(cx);
            // `act` may have run since the first check.
            match (result.lock().unwrap_or_else(PoisonError::into_inner).take(), waits) {
                (Some(result), _) => Poll::Ready(Ok(result)),
                (None, Some(reason)) => Poll::Ready(Err(Disconnected(reason))),
                (None, None) => Poll::Pending,
            }
        })
        .await
    }

    /// Waits until the connection has ended, and returns the reason.
    pub async fn closed(&self) -> Reason {
        poll_fn(|cx| self.shared.handle.link.poll_end(cx)).await
    }

    /// Waits until the server begins to drain or the connection has ended.
    ///
    /// See [`Connection::draining`].
    pub async fn draining(&self) {
        poll_fn(|cx| self.shared.handle.link.poll_draining(cx)).await;
    }

    /// Returns the reason why the connection has ended, or `None` if it has not.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.shared.handle.link.reason()
    }

    /// Ends the connection with this reason, after all messages were sent.
    ///
    /// # Errors
    /// If it has ended already.
    pub fn end(&self, reason: Reason) -> Result<(), Disconnected> {
        self.shared.handle.put(Action::End(reason))
    }
}

/// Discards queued and later messages, so that unread input does not stop a task that only sends.
impl Drop for Receiver {
    fn drop(&mut self) {
        let handle = &self.shared.handle;
        handle.link.stop_receiving(|| handle.call());
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // A panicking task drops its values before `Task::poll` catches the panic.
        if std::thread::panicking() {
            return self.handle.panicked();
        }
        let _ = self.handle.put(Action::Close);
    }
}

impl Stream for Connection {
    type Item = PayloadBuf;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<PayloadBuf>> {
        self.receiver.poll_receive(cx)
    }
}

impl Stream for Receiver {
    type Item = PayloadBuf;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<PayloadBuf>> {
        self.poll_receive(cx)
    }
}

impl<M: Into<OutgoingBuf>> Sink<M> for Sender {
    type Error = Disconnected;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Disconnected>> {
        self.shared.handle.link.poll_ready(cx).map_err(Disconnected)
    }

    fn start_send(self: Pin<&mut Self>, message: M) -> Result<(), Disconnected> {
        self.shared.handle.put(Action::Send(message.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Disconnected>> {
        self.shared.handle.link.poll_flush(cx).map_err(Disconnected)
    }

    /// Closes the connection after all messages were sent, and waits for its end.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Disconnected>> {
        let _ = self.shared.handle.put(Action::Close);
        self.shared.handle.link.poll_end(cx).map(|_| Ok(()))
    }
}

impl<M: Into<OutgoingBuf>> Sink<M> for Connection {
    type Error = Disconnected;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Disconnected>> {
        Sink::<M>::poll_ready(Pin::new(&mut self.get_mut().sender), cx)
    }

    fn start_send(self: Pin<&mut Self>, message: M) -> Result<(), Disconnected> {
        Pin::new(&mut self.get_mut().sender).start_send(message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Disconnected>> {
        Sink::<M>::poll_flush(Pin::new(&mut self.get_mut().sender), cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Disconnected>> {
        Sink::<M>::poll_close(Pin::new(&mut self.get_mut().sender), cx)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.id()).finish()
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(&self.shared.handle.conn).finish()
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&self.shared.handle.conn).finish()
    }
}
