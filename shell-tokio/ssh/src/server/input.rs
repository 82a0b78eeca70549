//! Frames that the machine has not read yet.

use bytes::{Buf, BytesMut};
use drupe_core::Failure;
use drupe_core::wire::ssh::{SshFault, SshFrame};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Size of unread frames, in bytes, above which the SSH connection is not read.
const AHEAD_BYTES: usize = 128 << 10;
/// The same while output waits for the peer to enlarge its window (RFC 4254 section 5.2).
///
/// The message that enlarges the window may follow input that the peer was allowed to send.
const AHEAD_MAX_BYTES: usize = 1 << 20;

/// The receive buffer of a session. SSH fills it and the machine empties it.
#[derive(Debug, Default)]
pub(super) struct Input(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    frames: BytesMut,
    /// Whether nothing follows the frames.
    has_ended: bool,
    failure: Option<Failure>,
    /// Whether the machine has dropped the connection.
    is_refused: bool,
    /// Whether output waits for the peer.
    is_output_blocked: bool,
    machine: Option<Waker>,
    reader: Option<Waker>,
}

impl Held {
    fn is_ahead(&self) -> bool {
        let max = if self.is_output_blocked { AHEAD_MAX_BYTES } else { AHEAD_BYTES };
        self.frames.len() > max && !self.is_refused
    }
}

impl Input {
    /// Adds a frame, unless the input has ended.
    pub(super) fn push(&self, frame: SshFrame<'_>) {
        self.change(|held| {
            if !held.has_ended && !held.is_refused {
                let mut bytes = Vec::new();
                frame.write(&mut bytes);
                held.frames.extend_from_slice(&bytes);
            }
        });
    }

    /// Ends the input after the frames.
    pub(super) fn end(&self) {
        self.change(|held| held.has_ended = true);
    }

    /// Adds the fault of a connection, and ends the input.
    pub(super) fn end_with(&self, fault: SshFault) {
        self.push(SshFrame::Failed(fault));
        self.end();
    }

    /// Fails the connection, unless its input has ended.
    pub(super) fn fail(&self, failure: Failure) {
        self.change(|held| {
            if !held.has_ended {
                held.failure.get_or_insert(failure);
            }
        });
    }

    /// Discards further input.
    pub(super) fn refuse(&self) {
        self.change(|held| (held.is_refused, held.frames) = (true, BytesMut::new()));
        self.wake_reader();
    }

    /// Records whether output waits for the peer.
    pub(super) fn set_output_blocked(&self, is_blocked: bool) {
        let mut held = self.lock();
        let before = std::mem::replace(&mut held.is_output_blocked, is_blocked);
        drop(held);
        if is_blocked && !before {
            self.wake_reader();
        }
    }

    pub(super) fn poll_read(&self, cx: &Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Failure>> {
        let mut held = self.lock();
        if held.frames.is_empty() {
            if let Some(failure) = held.failure {
                return Poll::Ready(Err(failure));
            }
            if held.has_ended {
                return Poll::Ready(Ok(0));
            }
            held.machine = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = held.frames.len().min(buffer.len());
        if let Some(buffer) = buffer.get_mut(..count) {
            held.frames.copy_to_slice(buffer);
        }
        if held.frames.is_empty() {
            // An idle session keeps no buffer.
            held.frames = BytesMut::new();
        }
        let may_read = !held.is_ahead();
        drop(held);
        if may_read {
            self.wake_reader();
        }
        Poll::Ready(Ok(count))
    }

    /// Registers the waker of the machine, and returns the error of a failed connection.
    pub(super) fn check(&self, cx: &Context<'_>) -> Result<(), Failure> {
        let mut held = self.lock();
        held.machine = Some(cx.waker().clone());
        held.failure.map_or(Ok(()), Err)
    }

    /// Returns `true` if the client has ended its input, and the connection has not failed.
    pub(super) fn is_orderly(&self) -> bool {
        let held = self.lock();
        held.has_ended && held.failure.is_none()
    }

    /// Polls whether SSH may read more. It is woken when it may.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut held = self.lock();
        if held.is_ahead() {
            held.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Returns the waker of the machine.
    pub(super) fn waker(&self) -> Waker {
        self.lock().machine.clone().unwrap_or_else(|| Waker::noop().clone())
    }

    fn change(&self, change: impl FnOnce(&mut Held)) {
        let mut held = self.lock();
        change(&mut held);
        let machine = held.machine.take();
        drop(held);
        machine.into_iter().for_each(Waker::wake);
    }

    fn wake_reader(&self) {
        let reader = self.lock().reader.take();
        reader.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_pauses_until_the_machine_has_read() {
        let input = Input::default();
        let cx = &mut Context::from_waker(Waker::noop());
        let data = vec![7; AHEAD_BYTES];
        assert!(input.poll_room(cx).is_ready());
        input.push(SshFrame::Data(&data));
        assert!(input.poll_room(cx).is_pending());
        input.set_output_blocked(true);
        assert!(input.poll_room(cx).is_ready(), "the message that enlarges the window may follow");
        for _ in 0..8 {
            input.push(SshFrame::Data(&data));
        }
        assert!(input.poll_room(cx).is_pending(), "the memory has a limit all the same");
        let mut buffer = vec![0; 2 * AHEAD_MAX_BYTES];
        assert!(matches!(input.poll_read(cx, &mut buffer), Poll::Ready(Ok(count)) if count > AHEAD_MAX_BYTES));
        assert!(input.poll_room(cx).is_ready());
    }

    #[test]
    fn frames_before_the_end_are_read() {
        let input = Input::default();
        let cx = &mut Context::from_waker(Waker::noop());
        input.end_with(SshFault::Refused);
        input.fail(Failure::Reset);
        let mut buffer = [0; 64];
        assert!(matches!(input.poll_read(cx, &mut buffer), Poll::Ready(Ok(6))));
        assert!(matches!(input.poll_read(cx, &mut buffer), Poll::Ready(Ok(0))));
        assert!(input.check(cx).is_ok());
    }
}
