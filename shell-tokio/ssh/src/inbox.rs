//! Received data of a channel that the server has not read.

use super::pace::Pace;
use bytes::{Buf, BytesMut};
use drupe_core::Failure;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;

/// Size of unread data, in bytes, above which the connection waits for the server to poll.
const AHEAD_BYTES: usize = 256 << 10;
/// The longest pause of the connection, which follows a full packet for a channel at its limit.
const SLOWEST: Duration = Duration::from_millis(20);
/// Size of a full packet of a channel, in bytes.
const PACKET_BYTES: u32 = 32 << 10;

/// Limit on the input that is discarded after a connection has ended, in bytes.
///
/// If more arrives, the channel is closed.
const DISCARDED_MAX_BYTES: usize = 256 << 10;

/// The receive buffer of a channel. SSH fills it and the server empties it.
#[derive(Debug)]
pub(super) struct Inbox {
    state: Mutex<Held>,
    /// Notified when the other side has closed the channel.
    closed: Notify,
    /// Notified when the discarded input exceeds its limit.
    pestered: Notify,
    ahead_max: usize,
    pace: Pace,
}

#[derive(Debug, Default)]
struct Held {
    bytes: BytesMut,
    ended: bool,
    closed: bool,
    failure: Option<Failure>,
    waker: Option<Waker>,
    /// Whether the server was woken for new data and has not polled since.
    unseen: bool,
    /// Whether the SSH connection waits until the server polls.
    awaited: bool,
    /// Number of bytes discarded since the channel failed or the server stopped reading.
    discarded: usize,
}

impl Inbox {
    pub(super) fn new(ahead_max: usize, pace: Pace) -> Self {
        Self { state: Mutex::default(), closed: Notify::new(), pestered: Notify::new(), ahead_max, pace }
    }

    /// Stores received bytes. If they exceed the limit, fails the channel and clears the buffer.
    pub(super) fn receive(&self, bytes: &[u8]) {
        self.change(|held| {
            if held.failure.is_some() {
                held.discarded += bytes.len();
                if held.discarded > DISCARDED_MAX_BYTES {
                    self.pestered.notify_one();
                }
                return;
            }
            if held.bytes.len() + bytes.len() > self.ahead_max {
                held.failure = Some(Failure::Flooded);
                held.bytes = BytesMut::new();
            } else {
                held.bytes.extend_from_slice(bytes);
                self.pace.rest(self.rest(held.bytes.len(), bytes.len()));
            }
        });
    }

    /// Returns how long the connection pauses after `more` bytes, with `held` bytes unread.
    ///
    /// The pause grows with the square of how far the channel is ahead.
    fn rest(&self, held: usize, more: usize) -> Duration {
        let ahead = held.saturating_sub(AHEAD_BYTES);
        let most = self.ahead_max.saturating_sub(AHEAD_BYTES).max(1);
        let share = u32::try_from(ahead.saturating_mul(1000) / most).unwrap_or(u32::MAX).min(1000);
        let more = u32::try_from(more).unwrap_or(u32::MAX).min(PACKET_BYTES);
        SLOWEST * share / 1000 * share / 1000 * more / PACKET_BYTES
    }

    /// Records that the server has polled, or never will again.
    fn look(&self, held: &mut Held) {
        held.unseen = false;
        if std::mem::take(&mut held.awaited) {
            self.pace.looked();
        }
    }

    /// Waits until the other side has closed the channel, and so has written everything.
    pub(super) async fn closed(&self) {
        while !self.is_closed() {
            self.closed.notified().await;
        }
    }

    /// Waits until the discarded input exceeds its limit.
    pub(super) async fn pestered(&self) {
        self.pestered.notified().await;
    }

    /// Discards buffered and further input.
    pub(super) fn refuse(&self) {
        self.change(|held| {
            held.failure.get_or_insert(Failure::Reset);
            held.bytes = BytesMut::new();
        });
    }

    /// Records that the peer has ended its input.
    pub(super) fn end(&self) {
        self.change(|held| held.ended = true);
    }

    /// Records that the other side has closed the channel in both directions.
    pub(super) fn close(&self) {
        self.change(|held| (held.ended, held.closed) = (true, true));
        self.closed.notify_one();
    }

    /// Records that the SSH connection has ended, and fails the channel.
    pub(super) fn lose(&self) {
        self.change(|held| {
            held.failure.get_or_insert(Failure::Tunnel);
            held.bytes = BytesMut::new();
            // There is no channel whose close could be awaited.
            held.closed = true;
        });
        self.closed.notify_one();
    }

    fn change(&self, change: impl FnOnce(&mut Held)) {
        let mut held = self.lock();
        change(&mut held);
        let waker = held.waker.take();
        // Without a waker, the channel is not accepted yet and is not polled.
        held.unseen |= waker.is_some();
        if held.failure.is_some() {
            self.look(&mut held);
        } else if held.unseen && !held.awaited && held.bytes.len() > AHEAD_BYTES {
            held.awaited = true;
            self.pace.await_look();
        }
        drop(held);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn poll_read(&self, cx: &Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Failure>> {
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
            // An idle connection keeps no buffer.
            held.bytes = BytesMut::new();
        }
        Poll::Ready(Ok(count))
    }

    /// Registers the waker for changes, and returns the error of a failed channel.
    pub(super) fn check(&self, cx: &Context<'_>) -> Result<(), Failure> {
        let mut held = self.lock();
        held.waker = Some(cx.waker().clone());
        self.look(&mut held);
        match held.failure {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Returns `true` if the peer ended its input and the channel has not failed.
    pub(super) fn is_orderly(&self) -> bool {
        let held = self.lock();
        held.ended && held.failure.is_none()
    }

    /// Returns the waker of the task that serves the channel.
    pub(super) fn waker(&self) -> Waker {
        self.lock().waker.clone().unwrap_or_else(|| Waker::noop().clone())
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inbox_delay_grows_with_bytes_held() {
        const MIB: usize = 1 << 20;
        let inbox = Inbox::new(16 * MIB, Pace::default());
        let rest = |held, more| inbox.rest(held, more).as_micros();
        assert_eq!((rest(0, 32 << 10), rest(AHEAD_BYTES, 32 << 10)), (0, 0));
        assert_eq!(rest(16 * MIB, 32 << 10), 20_000);
        assert!((40..60).contains(&rest(MIB, 32 << 10)), "{}", rest(MIB, 32 << 10));
        assert!(rest(16 * MIB, 1) < 1, "the pause depends on bytes, not on packets");
        assert_eq!(rest(usize::MAX, usize::MAX), 20_000);
    }
}
