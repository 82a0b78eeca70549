use super::queue::{DriverMessage, Shared};
use super::queues::Queues;
use super::tunnel::TunnelSnapshot;
use super::{Remote, spared};
use drupe_core::Metrics;
use drupe_core::app::AppIndex;

use std::collections::VecDeque;

use std::sync::Arc;

use core::fmt;
use std::task::Waker;

/// Limit on the memory of all queued messages between shards, in bytes.
///
/// Each shard has an equal part. While one shard's queue fills its part, the others stop reading.
const SHARD_MESSAGES_MAX_BYTES: usize = 8 << 20;
/// Minimum memory limit of one shard's queue, in bytes, so that a turn can still publish.
const SHARD_MESSAGES_MIN_BYTES: usize = 128 << 10;

/// The message queue of one shard, with access to the queues of the other shards.
///
/// Dropping it means that the shard has ended: queued messages are dropped, and no more are
/// accepted.
pub struct Mailbox<N> {
    shards: Arc<[Arc<Shared<N>>]>,
    number: usize,
}

impl<N> Mailbox<N> {
    /// Creates the mailbox of a server with one shard.
    #[must_use]
    pub fn new() -> Self {
        Self { shards: Arc::new([Shared::new()]), number: 0 }
    }

    /// Creates the mailboxes of a server with `count` shards.
    pub(super) fn of_shards(count: u8) -> Vec<Self> {
        let shards: Arc<[_]> = (0..count).map(|_| Shared::new()).collect();
        (0..shards.len()).map(|number| Self { shards: Arc::clone(&shards), number }).collect()
    }

    /// Returns a handle to the server, for other threads.
    #[must_use]
    pub fn remote(&self) -> Remote<N> {
        Remote { queues: Queues::Own(Arc::clone(&self.shards)), home: self.number, app: AppIndex::default() }
    }

    /// Takes the queued messages, and sets the waker that is called for the next one.
    #[must_use]
    pub fn take(&self, task: &Waker) -> VecDeque<DriverMessage<N>> {
        let mut state = self.own().lock();
        if !state.task.as_ref().is_some_and(|known| known.will_wake(task)) {
            state.task = Some(task.clone());
        }
        state.queued_bytes = 0;
        state.idle = false;
        core::mem::take(&mut state.waiting)
    }

    /// Marks this shard as idle if its queue is empty. For a shard without connections.
    ///
    /// While it is idle, published messages are skipped. Any other message ends this.
    pub(super) fn rest(&self) {
        let mut state = self.own().lock();
        state.idle = state.waiting.is_empty();
    }

    /// Queues a message for another shard. Returns the message if that shard has ended.
    pub(super) fn post(&self, shard: usize, mail: DriverMessage<N>) -> Result<(), DriverMessage<N>> {
        match self.shards.get(shard) {
            Some(shard) => shard.post(mail),
            None => Err(mail),
        }
    }

    /// Marks this shard as drained. Returns `true` once all shards have drained or ended, and on the
    /// first shard once all others have ended.
    ///
    /// Until then, the others may need this shard, such as for a room whose home it is.
    pub(super) fn may_end(&self) -> bool {
        let is_news = !core::mem::replace(&mut self.own().lock().drained, true);
        if is_news {
            self.others().for_each(|shard| shard.wake());
        }
        let is_first = self.number == 0;
        self.others().all(|shard| {
            let state = shard.lock();
            state.over || state.drained && !is_first
        })
    }

    /// Closes the mailbox if it is empty. Returns whether it is closed.
    ///
    /// It stores the final metrics at the same time.
    pub(super) fn end_if_empty(&self, metrics: impl FnOnce() -> Metrics) -> bool {
        let mut state = self.own().lock();
        if state.waiting.is_empty() {
            state.ended = true;
            state.last = Some(metrics());
        }
        state.ended
    }

    pub(super) fn post_to_others(&self, mail: impl Fn() -> DriverMessage<N>) {
        for shard in self.others() {
            let _ = shard.post(mail());
        }
    }

    /// Returns `true` if another shard does not keep up with its messages from other shards.
    pub(super) fn is_another_behind(&self) -> bool {
        let part = (SHARD_MESSAGES_MAX_BYTES / self.shards.len()).max(SHARD_MESSAGES_MIN_BYTES);
        self.others().any(|shard| {
            let state = shard.lock();
            !state.ended && state.queued_bytes >= part
        })
    }

    /// Returns `true` if another shard ended without its final metrics, as after a panic.
    pub(super) fn has_another_panicked(&self) -> bool {
        self.others().any(|shard| shard.is_over() && shard.last_metrics().is_none())
    }

    /// Returns the final metrics of the other shards, or `None` if one has none, as after a panic.
    pub(super) fn metrics_of_others(&self) -> Option<Vec<Metrics>> {
        self.others().map(|shard| shard.last_metrics()).collect()
    }

    /// Returns this shard's snapshot of the tunnels.
    pub(super) fn board(&self) -> &TunnelSnapshot {
        &self.own().board
    }

    fn own(&self) -> &Shared<N> {
        &self.shards[self.number]
    }

    fn others(&self) -> impl Iterator<Item = &Arc<Shared<N>>> {
        let number = self.number;
        self.shards.iter().enumerate().filter(move |(place, _)| *place != number).map(|(_, shard)| shard)
    }
}

impl<N> Default for Mailbox<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<N> Drop for Mailbox<N> {
    fn drop(&mut self) {
        let mut state = self.own().lock();
        state.ended = true;
        state.over = true;
        state.task = None;
        let waiting = core::mem::take(&mut state.waiting);
        let last = state.last.clone();
        // Dropping the messages may lock the mailbox again.
        drop(state);
        for mail in waiting {
            // A sum over all shards needs a part from each of them.
            if let DriverMessage::Metrics(receive) = mail
                && (last.is_some() || self.shards.len() > 1)
            {
                spared(|| receive(last.clone().unwrap_or_default()));
            }
        }
        self.own().board.end();
        if self.number > 0 {
            // The first shard waits for all others.
            self.shards[0].wake();
        } else {
            for shard in self.others() {
                let _ = shard.post(DriverMessage::Stop);
            }
        }
    }
}

impl<N> fmt::Debug for Mailbox<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailbox")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote_error::{RemoteError, WAITING_MAX};
    use drupe_core::ShardMessage;

    #[test]
    fn mailbox_keeps_order_and_refuses_when_full_or_ended() {
        let mailbox = Mailbox::new();
        let remote = mailbox.remote();
        for n in 0..WAITING_MAX {
            assert_eq!(remote.note(n), Ok(()));
        }
        assert_eq!(remote.publish("room", "words"), Err(RemoteError::Full));
        let words = mailbox.take(Waker::noop());
        let in_order =
            words.iter().enumerate().all(|(place, mail)| matches!(mail, DriverMessage::Note(n) if *n == place));
        assert!(in_order && words.len() == WAITING_MAX);
        assert_eq!(remote.clone().note(0), Ok(()));
        drop(mailbox);
        assert_eq!(remote.note(0), Err(RemoteError::Ended));
    }

    #[test]
    fn shard_counts_as_behind_by_the_memory_of_queued_messages() {
        let shards = Mailbox::<u8>::of_shards(4);
        let message = publish(&"x".repeat(1 << 20));
        for n in 0..3 {
            assert_eq!(shards[0].is_another_behind(), n >= 2);
            shards[0].post_to_others(|| DriverMessage::ShardMessage(message.clone()));
        }
        assert_eq!((shards[1].take(Waker::noop()).len(), shards[0].is_another_behind()), (3, true));
        assert_eq!((shards[2].take(Waker::noop()).len(), shards[0].is_another_behind()), (3, true));
        assert_eq!((shards[3].take(Waker::noop()).len(), shards[0].is_another_behind()), (3, false));
        // A shard that has ended is not behind, and accepts no messages.
        assert!(shards[2].end_if_empty(Metrics::default));
        assert!(shards[0].post(2, DriverMessage::ShardMessage(message)).is_err());
    }

    #[test]
    fn shard_stays_until_all_have_drained_or_ended() {
        let mut shards = Mailbox::<u8>::of_shards(3);
        assert!(!shards[1].may_end());
        assert!(!shards[0].may_end());
        drop(shards.pop());
        assert!(shards[1].may_end() && !shards[0].may_end());
        drop(shards.pop());
        assert!(shards[0].may_end());
    }

    #[test]
    fn empty_messages_and_long_names_count_as_memory() {
        let conns = |count| {
            (0..count).map(|n| format!("{n}.0").parse().expect("a number and a generation")).collect::<Vec<_>>()
        };
        let (named, except) = (ShardMessage::RoomOpened { room: "r".repeat(1_000).into() }, conns(1_000).into());
        let letters = [
            (publish(""), 10_000, "an empty message"),
            (named, 2_500, "a long name"),
            (ShardMessage::Publish { room: "r".into(), except, message: "".into() }, 300, "a long list of exceptions"),
        ];
        for (message, most, what) in letters {
            let shards = Mailbox::<u8>::of_shards(4);
            let mut count = 0;
            while !shards[0].is_another_behind() {
                count += 1;
                shards[0].post_to_others(|| DriverMessage::ShardMessage(message.clone()));
            }
            assert!((100..most).contains(&count), "{count} of {what}");
        }
    }

    #[test]
    fn publish_does_not_wake_a_resting_shard_without_connections() {
        let shards = Mailbox::<u8>::of_shards(2);
        let tell = |message: &ShardMessage| shards[0].post_to_others(|| DriverMessage::ShardMessage(message.clone()));
        let waiting = || shards[1].take(Waker::noop()).len();
        shards[1].rest();
        tell(&publish("skipped while idle"));
        assert_eq!(waiting(), 0);
        tell(&publish("delivered after it woke"));
        shards[1].rest();
        tell(&publish("delivered beside a queued message"));
        assert_eq!(waiting(), 2);
        shards[1].rest();
        tell(&ShardMessage::Authenticated);
        tell(&publish("delivered because the message before may bring a connection"));
        assert_eq!(waiting(), 2);
    }

    fn publish(message: &str) -> ShardMessage {
        ShardMessage::Publish { room: "all".into(), except: [].into(), message: message.into() }
    }

    #[test]
    fn regular_end_of_a_shard_is_not_reported_as_panic() {
        let mut shards = Mailbox::<u8>::of_shards(3);
        let (panics, ends) = (shards.pop().expect("three"), shards.pop().expect("two"));
        assert!(ends.end_if_empty(Metrics::default));
        drop(ends);
        assert_eq!((shards[0].may_end(), shards[0].has_another_panicked()), (false, false));
        drop(panics);
        assert_eq!((shards[0].may_end(), shards[0].has_another_panicked()), (true, true));
        assert!(shards[0].metrics_of_others().is_none());
    }
}
