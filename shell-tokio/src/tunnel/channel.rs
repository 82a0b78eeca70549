//! A forwarded channel as a connection of the server.

use super::handler::{Forwarded, Goodbye};
use super::outgoing::Outgoing;
use bytes::{Buf, BytesMut};
use drupe_core::Failure;
use drupe_core::shell::Channel;
use russh::client::Msg;
use russh::{ChannelId, ChannelOpenFailure, ChannelWriteHalf};
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;

/// So many bytes are taken at a time, and are on their way while more wait: what a socket's buffer would hold.
const TAKEN_MAX_BYTES: usize = 64 << 10;

/// From here on SSH waits for the server to look before it takes more.
const AHEAD_BYTES: usize = 256 << 10;
/// The longest wait for a packet of a channel that is as far ahead as it may be.
const SLOWEST: Duration = Duration::from_millis(20);
/// Timers are no finer: shorter waits are added up until they make one.
const SHORTEST: Duration = Duration::from_millis(1);

/// What has come on a channel and is not served yet. SSH fills it, and the server empties it, each in its own time.
#[derive(Debug)]
pub(super) struct Inbox {
    state: Mutex<Held>,
    /// Told when the server has looked, and when the channel is closed.
    looked: Notify,
    ahead_max: usize,
}

#[derive(Debug, Default)]
struct Held {
    bytes: BytesMut,
    ended: bool,
    closed: bool,
    failure: Option<Failure>,
    waker: Option<Waker>,
    /// The server was woken for what has come, and has not looked.
    unseen: bool,
    /// For how long is still to be waited for what has come.
    owed: Duration,
}

impl Inbox {
    pub(super) fn new(ahead_max: usize) -> Self {
        Self { state: Mutex::default(), looked: Notify::new(), ahead_max }
    }

    /// Bytes have come. If there are too many, all are forgotten.
    pub(super) fn receive(&self, bytes: &[u8]) {
        self.change(|held| {
            if held.failure.is_some() {
                return;
            }
            if held.bytes.len() + bytes.len() > self.ahead_max {
                held.failure = Some(Failure::Flooded);
                held.bytes = BytesMut::new();
            } else {
                held.bytes.extend_from_slice(bytes);
            }
        });
    }

    /// Waits while it is far ahead: for the server to look, which is soon; and if it does not read, a moment, so that who sends
    /// is slowed. Everybody who goes through the same connection waits as well, so it is never for longer.
    pub(super) async fn pace(&self) {
        while self.is_unseen() {
            self.looked.notified().await;
        }
        if let Some(wait) = self.owed() {
            tokio::time::sleep(wait).await;
        }
    }

    /// How long to wait now for one more packet: hardly at first, and more the further it is ahead.
    fn owed(&self) -> Option<Duration> {
        let mut held = self.lock();
        let ahead = held.bytes.len().checked_sub(AHEAD_BYTES)?;
        let most = self.ahead_max.saturating_sub(AHEAD_BYTES).max(1);
        let share = u32::try_from(ahead.saturating_mul(1000) / most).unwrap_or(u32::MAX).min(1000);
        held.owed += SLOWEST * share / 1000 * share / 1000;
        (held.owed >= SHORTEST).then(|| std::mem::take(&mut held.owed))
    }

    fn is_unseen(&self) -> bool {
        let held = self.lock();
        held.unseen && held.bytes.len() > AHEAD_BYTES
    }

    /// The server has looked, or will not any more.
    fn look(&self, held: &mut Held) {
        if std::mem::take(&mut held.unseen) {
            self.looked.notify_one();
        }
    }

    /// Waits until the other side has closed the channel: it has written everything then.
    pub(super) async fn closed(&self) {
        while !self.is_closed() {
            self.looked.notified().await;
        }
    }

    /// Nothing that comes is of interest any more.
    pub(super) fn turn_away(&self) {
        self.change(|held| {
            held.failure.get_or_insert(Failure::Reset);
            held.bytes = BytesMut::new();
        });
    }

    /// Nothing more will come.
    pub(super) fn end(&self) {
        self.change(|held| held.ended = true);
    }

    /// The other side has closed the channel: nothing will come, and nothing be taken.
    pub(super) fn close(&self) {
        self.change(|held| (held.ended, held.closed) = (true, true));
        self.looked.notify_one();
    }

    /// The link is gone.
    pub(super) fn lose(&self) {
        self.change(|held| {
            held.failure.get_or_insert(Failure::Tunnel);
            held.bytes = BytesMut::new();
            // There is nobody to wait for.
            held.closed = true;
        });
        self.looked.notify_one();
    }

    fn change(&self, change: impl FnOnce(&mut Held)) {
        let mut held = self.lock();
        change(&mut held);
        let waker = held.waker.take();
        // Whoever is not let in yet does not look.
        held.unseen |= waker.is_some();
        if held.failure.is_some() {
            self.look(&mut held);
        }
        drop(held);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll_read(&self, cx: &Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Failure>> {
        let mut held = self.lock();
        if let Some(failure) = held.failure {
            return Poll::Ready(Err(failure));
        }
        if held.bytes.is_empty() {
            if held.ended {
                return Poll::Ready(Ok(0));
            }
            held.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = held.bytes.len().min(buffer.len());
        held.bytes.copy_to_slice(&mut buffer[..count]);
        if held.bytes.is_empty() {
            // A connection that is idle holds no buffer.
            held.bytes = BytesMut::new();
        }
        Poll::Ready(Ok(count))
    }

    /// Whether it is of no use any more. Whoever asks is woken when that changes.
    fn check(&self, cx: &Context<'_>) -> Result<(), Failure> {
        let mut held = self.lock();
        held.waker = Some(cx.waker().clone());
        self.look(&mut held);
        match held.failure {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn is_orderly(&self) -> bool {
        let held = self.lock();
        held.ended && held.failure.is_none()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes on their way to SSH.
pub(super) type Sending = Pin<Box<dyn Future<Output = Result<(), russh::Error>> + Send>>;

/// One connection that came through a tunnel.
pub(super) struct SshChannel {
    pub(super) id: ChannelId,
    pub(super) inbox: Arc<Inbox>,
    pub(super) half: Arc<ChannelWriteHalf<Msg>>,
    /// How the SSH server is told whether it is let in; `None` once it was.
    pub(super) reply: Option<russh::client::ChannelOpenHandle>,
    pub(super) sending: Option<Sending>,
    /// Our half is to be closed.
    pub(super) ends: bool,
    /// It was not let in, and is owed the words that say why.
    pub(super) dismissed: bool,
    pub(super) link: Arc<Forwarded>,
}

impl SshChannel {
    fn answer(&mut self, outcome: Result<(), ChannelOpenFailure>) {
        let Some(reply) = self.reply.take() else { return };
        self.link.decided();
        // Neither waits for anything.
        match outcome {
            Ok(()) => at_once(reply.accept()),
            Err(failure) => at_once(reply.reject(failure)),
        }
    }

    /// Puts bytes, or the end, on their way.
    fn send(&mut self, bytes: Option<BytesMut>) {
        let half = Arc::clone(&self.half);
        self.sending = Some(match bytes {
            Some(bytes) => Box::pin(hand_over(half, self.link.outgoing.clone(), bytes)),
            None => Box::pin(async move { half.eof().await }),
        });
    }

    fn poll_sending(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        loop {
            if let Some(sending) = &mut self.sending {
                match sending.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) => self.sending = None,
                    Poll::Ready(Err(_)) => {
                        self.sending = None;
                        return Poll::Ready(Err(Failure::Tunnel));
                    }
                }
            }
            if !std::mem::take(&mut self.ends) {
                return Poll::Ready(Ok(()));
            }
            self.send(None);
        }
    }
}

impl Channel for SshChannel {
    fn accept(&mut self) {
        self.answer(Ok(()));
    }

    fn dismiss(mut self: Box<Self>, words: &[u8]) {
        if words.is_empty() {
            return self.answer(Err(ChannelOpenFailure::ResourceShortage));
        }
        self.answer(Ok(()));
        self.send(Some(words.into()));
        self.dismissed = true;
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inbox.check(cx)?;
        self.poll_sending(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Failure>> {
        self.inbox.poll_read(cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<Result<usize, Failure>> {
        self.inbox.check(cx)?;
        if self.inbox.is_closed() {
            return Poll::Ready(Err(Failure::Reset));
        }
        if self.poll_sending(cx)?.is_pending() {
            return Poll::Pending;
        }
        if self.link.outgoing.poll_room(self.id.number(), cx).is_pending() {
            return Poll::Pending;
        }
        let mut bytes = BytesMut::new();
        for slice in slices {
            let room = TAKEN_MAX_BYTES - bytes.len();
            bytes.extend_from_slice(&slice[..slice.len().min(room)]);
        }
        let count = bytes.len();
        self.send(Some(bytes));
        // What is on its way goes on when the waker is woken.
        match self.poll_sending(cx) {
            Poll::Ready(Err(failure)) => Poll::Ready(Err(failure)),
            _ => Poll::Ready(Ok(count)),
        }
    }

    fn shut_down(&mut self) {
        self.ends = true;
        let waker = self.inbox.lock().waker.clone().unwrap_or_else(|| Waker::noop().clone());
        // A failure is seen by whoever reads.
        let _ = self.poll_sending(&mut Context::from_waker(&waker));
    }
}

impl Drop for SshChannel {
    fn drop(&mut self) {
        self.link.outgoing.forget(self.id.number());
        if self.reply.is_some() {
            self.link.forget(self.id);
            return self.answer(Err(ChannelOpenFailure::ResourceShortage));
        }
        // Both halves are over, and what was taken is still to arrive: closed before, the rest would be thrown away.
        let waits = self.dismissed || self.inbox.is_orderly();
        // Nobody looks any more.
        self.inbox.turn_away();
        let (id, half, inbox) = (self.id, Arc::clone(&self.half), Arc::clone(&self.inbox));
        self.link.close(Goodbye { id, half, inbox, sending: self.sending.take(), waits, dismissed: self.dismissed });
    }
}

/// Gives bytes to russh, piece by piece. Those that wait for the other side to read are not on their way: they stand in nobody's.
async fn hand_over(
    half: Arc<ChannelWriteHalf<Msg>>,
    outgoing: Outgoing,
    mut bytes: BytesMut,
) -> Result<(), russh::Error> {
    while !bytes.is_empty() {
        let window = half.writable_packet_size().await.min(bytes.len());
        let piece = match window {
            0 => bytes.split().freeze(),
            _ => outgoing.counted(bytes.split_to(window)),
        };
        half.data_bytes(piece).await?;
    }
    Ok(())
}

/// Runs what does not wait.
fn at_once(future: impl Future<Output = ()>) {
    let mut future = std::pin::pin!(future);
    let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
}
