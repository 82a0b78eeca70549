//! Mounted connections: their handoff from the other server, and their channels.

use super::error::MountError;
use super::{MountResponse, MountedIo};
use crate::Channel;
use drupe_core::{Failure, Peer, Reason};
use std::io::IoSlice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

/// A connection on its way to a driver: the content of
/// [`DriverMessage::Mount`](crate::DriverMessage::Mount).
pub struct Mounting {
    pub(crate) name: String,
    pub(crate) peer: Peer,
    pub(crate) channel: Box<MountedChannel>,
}

/// Maximum size of a response that is not an upgrade, in bytes.
const RESPONSE_MAX_BYTES: usize = 1 << 20;

/// State that the other server and a mounted connection share: the result and the stream.
#[derive(Default)]
pub(crate) struct Handoff(Mutex<State>);

/// A stream, and the bytes already read from it.
type Attached = (Box<dyn MountedIo>, Vec<u8>);

#[derive(Default)]
struct State {
    /// The result or the recorded refusal, until the other server takes it.
    outcome: Option<Result<MountResponse, MountError>>,
    /// Whether the result was set. Later results are ignored.
    is_decided: bool,
    /// The stream and the bytes already read from it, until the connection takes them.
    io: Option<Attached>,
    /// Whether the other server has dropped its half of the request.
    is_abandoned: bool,
    /// The waker of the task that waits for the result.
    waiting: Option<Waker>,
    /// The waker of the connection that waits for its stream.
    connection: Option<Waker>,
}

impl Handoff {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the result, unless it is set already. A recorded refusal takes the place of `Closed`.
    pub(super) fn decide(&self, outcome: Result<MountResponse, MountError>) {
        let mut state = self.lock();
        if state.is_decided {
            return;
        }
        let outcome = match (outcome, state.outcome.take()) {
            (Err(MountError::Closed), Some(refused)) => refused,
            (outcome, _) => outcome,
        };
        (state.is_decided, state.outcome) = (true, Some(outcome));
        let waiting = state.waiting.take();
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Records that the machine refused the connection. A request gets a response as well.
    pub(crate) fn refused(&self, reason: Reason) {
        self.lock().outcome.get_or_insert(Err(MountError::Refused(reason)));
    }

    pub(super) fn poll_outcome(&self, cx: &mut Context<'_>) -> Poll<Result<MountResponse, MountError>> {
        let mut state = self.lock();
        if state.is_decided {
            return Poll::Ready(state.outcome.take().unwrap_or(Err(MountError::Closed)));
        }
        state.waiting = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn attach(&self, io: Box<dyn MountedIo>, read: Vec<u8>) {
        let mut state = self.lock();
        state.io = Some((io, read));
        wake_connection(state);
    }

    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.is_abandoned = true;
        wake_connection(state);
    }

    /// Polls for the stream and the bytes already read from it.
    fn poll_io(&self, cx: &mut Context<'_>) -> Poll<Result<Attached, Failure>> {
        let mut state = self.lock();
        if let Some(attached) = state.io.take() {
            return Poll::Ready(Ok(attached));
        }
        if state.is_abandoned {
            return Poll::Ready(Err(Failure::Reset));
        }
        state.connection = Some(cx.waker().clone());
        Poll::Pending
    }
}

fn wake_connection(mut state: MutexGuard<'_, State>) {
    let connection = state.connection.take();
    // The woken driver may lock it at once.
    drop(state);
    connection.into_iter().for_each(Waker::wake);
}

/// A mounted connection. The driver polls it like a channel of a tunnel.
pub(crate) struct MountedChannel {
    handoff: Arc<Handoff>,
    /// Bytes that the machine reads before those of the stream, and how many it has read.
    before: (Vec<u8>, usize),
    /// The response so far. `None` for whole connections, and after the response.
    response: Option<Vec<u8>>,
    is_request: bool,
    io: Option<Box<dyn MountedIo>>,
    /// Whether the stream may hold bytes that it has not sent.
    is_unflushed: bool,
    /// Whether the sending half is to be closed.
    ends: bool,
    /// The waker of the last poll.
    waker: Waker,
}

impl MountedChannel {
    /// Creates a connection that begins with the head of a request, and gets its stream later.
    pub(super) fn of_request(head: Vec<u8>) -> Self {
        Self::beginning(head, Some(Vec::new()), None)
    }

    /// Creates a connection from a stream. `read` holds the bytes already read from it.
    pub(super) fn whole(io: Box<dyn MountedIo>, read: Vec<u8>) -> Self {
        Self::beginning(read, None, Some(io))
    }

    fn beginning(before: Vec<u8>, response: Option<Vec<u8>>, io: Option<Box<dyn MountedIo>>) -> Self {
        Self {
            handoff: Arc::default(),
            before: (before, 0),
            is_request: response.is_some(),
            response,
            io,
            is_unflushed: false,
            ends: false,
            waker: Waker::noop().clone(),
        }
    }

    pub(crate) fn handoff(&self) -> Arc<Handoff> {
        Arc::clone(&self.handoff)
    }

    pub(crate) const fn is_request(&self) -> bool {
        self.is_request
    }

    /// Refuses the connection before the machine knows of it.
    pub(crate) fn reject(&self, error: MountError) {
        self.handoff.decide(Err(error));
    }

    /// Returns the stream. Polls for it if the connection does not have it yet.
    fn poll_io(&mut self, cx: &mut Context<'_>) -> Poll<Result<&mut Box<dyn MountedIo>, Failure>> {
        if self.io.is_none() {
            let (io, read) = ready!(self.handoff.poll_io(cx))?;
            // The head of the request was read before its response was written.
            self.before = (read, 0);
            self.io = Some(io);
        }
        // It was set above.
        self.io.as_mut().map_or(Poll::Pending, |io| Poll::Ready(Ok(io)))
    }

    /// Appends bytes to the response. Returns how many of them belong to the response.
    fn take_response(&mut self, slices: &[IoSlice<'_>]) -> Result<usize, Failure> {
        let Some(response) = &mut self.response else { return Ok(0) };
        let before = response.len();
        for slice in slices {
            if response.len() + slice.len() > RESPONSE_MAX_BYTES {
                self.handoff.decide(Err(MountError::TooLarge));
                return Err(Failure::Reset);
            }
            response.extend_from_slice(slice);
        }
        let taken = response.len() - before;
        let Some((head, length)) = MountResponse::parse(response) else { return Ok(taken) };
        if head.status != MountResponse::SWITCHING_PROTOCOLS {
            return Ok(taken);
        }
        // What follows is the first message, for the stream.
        self.response = None;
        self.handoff.decide(Ok(head));
        Ok(length.saturating_sub(before))
    }

    /// Passes the complete response to the other server, unless it was an upgrade.
    fn finish_response(&mut self) {
        if let Some(response) = self.response.take()
            && let Some((mut head, length)) = MountResponse::parse(&response)
        {
            head.body = response.get(length..).unwrap_or_default().to_vec();
            self.handoff.decide(Ok(head));
        }
    }

    fn poll_flush_io(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let Some(io) = &mut self.io else { return Poll::Ready(Ok(())) };
        if self.is_unflushed {
            ready!(io.poll_flush(cx)).map_err(|error| Failure::from(&error))?;
            self.is_unflushed = false;
        }
        if self.ends {
            ready!(io.poll_close(cx)).map_err(|error| Failure::from(&error))?;
            self.ends = false;
        }
        Poll::Ready(Ok(()))
    }
}

impl Channel for MountedChannel {
    fn accept(&mut self) {
        if !self.is_request {
            self.handoff.decide(Ok(MountResponse::default()));
        }
    }

    fn dismiss(mut self: Box<Self>, words: &[u8]) {
        if self.is_request {
            let _ = self.take_response(&[IoSlice::new(words)]);
            return self.finish_response();
        }
        let cx = &mut Context::from_waker(Waker::noop());
        if let Some(io) = &mut self.io {
            // As far as the stream accepts it at once, like a socket.
            let _ = io.poll_write(cx, &[IoSlice::new(words)]);
            let _ = io.poll_flush(cx);
            let _ = io.poll_close(cx);
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if self.is_request && self.response.is_none() && self.io.is_none() && !self.ends {
            ready!(self.poll_io(cx))?;
        }
        self.poll_flush_io(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Failure>> {
        self.waker.clone_from(cx.waker());
        loop {
            let (before, offset) = &mut self.before;
            let rest = before.get(*offset..).unwrap_or_default();
            if !rest.is_empty() {
                let count = rest.len().min(buffer.len());
                for (to, from) in buffer.iter_mut().zip(rest) {
                    *to = *from;
                }
                *offset += count;
                return Poll::Ready(Ok(count));
            }
            // An idle connection holds no buffer.
            self.before = (Vec::new(), 0);
            let had_io = self.io.is_some();
            if !had_io && self.ends {
                // The response was the last.
                return Poll::Ready(Ok(0));
            }
            let io = ready!(self.poll_io(cx))?;
            if had_io {
                return io.poll_read(cx, buffer).map_err(|error| Failure::from(&error));
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<Result<usize, Failure>> {
        self.waker.clone_from(cx.waker());
        if self.response.is_some() {
            return Poll::Ready(self.take_response(slices));
        }
        let io = ready!(self.poll_io(cx))?;
        let count = ready!(io.poll_write(cx, slices)).map_err(|error| Failure::from(&error))?;
        if count == 0 && slices.iter().any(|slice| !slice.is_empty()) {
            return Poll::Ready(Err(Failure::Reset));
        }
        self.is_unflushed = true;
        match self.poll_flush_io(cx) {
            Poll::Ready(Err(failure)) => Poll::Ready(Err(failure)),
            // A pending flush continues when the waker is woken.
            _ => Poll::Ready(Ok(count)),
        }
    }

    fn shut_down(&mut self) {
        self.finish_response();
        self.ends = true;
        let waker = self.waker.clone();
        // An error also appears on the next read, and what is pending continues when it is woken.
        let _ = self.poll_flush_io(&mut Context::from_waker(&waker));
    }
}

impl Drop for MountedChannel {
    fn drop(&mut self) {
        self.finish_response();
        self.handoff.decide(Err(MountError::Closed));
    }
}
