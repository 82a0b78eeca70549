//! Limit on the data in flight on one SSH connection, and wake-ups for channels that wait.
//!
//! russh accepts whatever the channels write, and the [stream](super::stream) accepts whatever
//! russh writes. So channels stop writing while too much data is in flight.

use bytes::{Bytes, BytesMut};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Number of bytes in flight at which channels wait. Each channel may exceed it by one write.
const ROOM_BYTES: usize = 1 << 20;

/// The counter of data in flight. Clones refer to the same SSH connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Outgoing(Arc<Mutex<Load>>);

#[derive(Debug, Default)]
struct Load {
    /// Number of bytes passed to russh and not encrypted yet.
    plain: usize,
    /// Number of bytes encrypted by russh and not written yet.
    enciphered: usize,
    /// Number of bytes written by russh and not taken by the system yet.
    written: usize,
    waiting: HashMap<u32, Waker>,
    /// The waker of russh's session.
    session: Option<Waker>,
}

impl Outgoing {
    /// Polls whether a channel may write. The channel is woken when it may.
    pub(super) fn poll_room(&self, channel: u32, cx: &Context<'_>) -> Poll<()> {
        let mut load = self.lock();
        if load.has_room() {
            load.waiting.remove(&channel);
            return Poll::Ready(());
        }
        load.waiting.insert(channel, cx.waker().clone());
        Poll::Pending
    }

    /// Removes a channel from those that wait to write.
    pub(super) fn forget(&self, channel: u32) {
        self.lock().waiting.remove(&channel);
    }

    /// Counts bytes that a channel passes to russh.
    pub(super) fn counted(&self, bytes: BytesMut) -> Bytes {
        self.lock().plain += bytes.len();
        Bytes::from_owner(Counted { bytes, load: self.clone() })
    }

    /// Records that russh has written all encrypted data, and wakes channels if there is room.
    ///
    /// `written` is the number of bytes that are still buffered in the stream below russh.
    pub(super) fn is_left(&self, written: usize, cx: &Context<'_>) {
        let mut load = self.lock();
        (load.enciphered, load.written) = (0, written);
        load.session = Some(cx.waker().clone());
        let waiting = if load.has_room() { std::mem::take(&mut load.waiting) } else { HashMap::new() };
        drop(load);
        waiting.into_values().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Load> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Load {
    const fn has_room(&self) -> bool {
        self.plain + self.enciphered + self.written < ROOM_BYTES
    }
}

/// Counted bytes, which russh drops once it has encrypted or discarded them.
struct Counted {
    bytes: BytesMut,
    load: Outgoing,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut load = self.load.lock();
        load.plain = load.plain.saturating_sub(self.bytes.len());
        load.enciphered += self.bytes.len();
        // russh must poll for the waiting channels, even if it writes nothing of these bytes.
        let session = if load.waiting.is_empty() { None } else { load.session.take() };
        drop(load);
        session.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn channel_without_room_is_woken_once_room_is_free() {
        let outgoing = Outgoing::default();
        let [channel, session] = [Arc::new(Count::default()), Arc::new(Count::default())];
        let wakers = [&channel, &session].map(|count| Waker::from(Arc::clone(count)));
        let [of_channel, of_session] = [0, 1].map(|at| Context::from_waker(&wakers[at]));
        let woken = |count: &Count| count.0.load(Ordering::Relaxed);
        outgoing.is_left(0, &of_session);
        let bytes = outgoing.counted(BytesMut::zeroed(ROOM_BYTES));
        assert!(outgoing.poll_room(7, &of_channel).is_pending());
        drop(bytes);
        assert_eq!((woken(&channel), woken(&session)), (0, 1), "russh writes first");
        assert!(outgoing.poll_room(7, &of_channel).is_pending());
        outgoing.is_left(ROOM_BYTES, &of_session);
        assert!(woken(&channel) == 0 && outgoing.poll_room(7, &of_channel).is_pending());
        outgoing.is_left(ROOM_BYTES - 1, &of_session);
        assert!(woken(&channel) == 1 && outgoing.poll_room(7, &of_channel).is_ready());
    }
}
