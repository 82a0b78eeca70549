use super::tunnel::TunnelSnapshot;
use super::{Arrival, BindError, Channel, OsStream, Remote, RemoteError, spared};
use drupe_core::tunnel::{LinkId, TunnelReport};
use drupe_core::{Command, Config, ListenerId, Metrics, Peer, ShardMessage};

use std::collections::VecDeque;

use std::sync::Arc;

use core::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// How many words of others may wait for a server that is busy.
pub(super) const WAITING_MAX: usize = 65_536;
/// The memory of all messages between shards that may wait, in bytes. Each shard has an equal part. While more waits for one
/// shard, the others stop reading.
const SHARD_MESSAGES_MAX_BYTES: usize = 8 << 20;
/// The smallest part of one shard, so that with many shards a turn can still publish.
const SHARD_MESSAGES_MIN_BYTES: usize = 128 << 10;

/// A word for the server.
pub enum DriverMessage<N> {
    /// For [`Machine::noted`](drupe_core::Machine::noted).
    Note(N),
    /// For [`Machine::command`](drupe_core::Machine::command).
    Command(Command),
    /// To be given [`Machine::metrics`](drupe_core::Machine::metrics).
    Metrics(Box<dyn FnOnce(Metrics) + Send>),
    /// From another shard, for [`Machine::shard_message_received`](drupe_core::Machine::shard_message_received).
    ShardMessage(ShardMessage),
    /// From the shard that accepts, for [`Machine::adopted`](drupe_core::Machine::adopted).
    Connection(ListenerId, Peer, Arrival<OsStream>),
    /// From a tunnel, for [`Machine::accepted`](drupe_core::Machine::accepted).
    Channel(ListenerId, Peer, Box<dyn Channel>),
    /// For [`Machine::tunnel_reported`](drupe_core::Machine::tunnel_reported).
    Tunnel(LinkId, TunnelReport),
    /// For [`Machine::reconfigured`](drupe_core::Machine::reconfigured), on the shard that accepts: it listens at what is new, or
    /// says why not and leaves everything as it was.
    Reconfigure(Box<Config>, Reconfigured),
    /// From the shard that accepts, for [`Machine::reconfigured`](drupe_core::Machine::reconfigured) on another.
    Reconfigured(Arc<Config>),
    /// The server has ended without notice.
    Stop,
}

/// Is told where the server listens now, or where it can't.
pub type Reconfigured = Box<dyn FnOnce(Result<Vec<String>, BindError>) + Send>;

/// Where words wait for one shard of a server: the shell's end of [`Remote`]. When it is dropped the shard has ended: what
/// waits is dropped, and nothing more can be left.
pub struct Mailbox<N> {
    shards: Arc<[Arc<Shared<N>>]>,
    number: usize,
}

pub(super) struct Shared<N> {
    state: Mutex<State<N>>,
    /// Of the first shard.
    pub(super) board: Arc<TunnelSnapshot>,
}

struct State<N> {
    waiting: VecDeque<DriverMessage<N>>,
    task: Option<Waker>,
    /// The memory of the messages from other shards that wait, in bytes.
    queued_bytes: usize,
    /// The shard sleeps without connections and without mail, so it needs no published messages.
    idle: bool,
    /// Nothing more can be left.
    ended: bool,
    /// The mailbox is gone.
    over: bool,
    /// What was counted in the end.
    last: Option<Metrics>,
}

impl<N> Mailbox<N> {
    /// An empty mailbox of a server of one shard.
    #[must_use]
    pub fn new() -> Self {
        Self { shards: Arc::new([Shared::new()]), number: 0 }
    }

    /// The mailboxes of a server of so many shards.
    pub(super) fn of_shards(count: u8) -> Vec<Self> {
        let shards: Arc<[_]> = (0..count).map(|_| Shared::new()).collect();
        (0..shards.len()).map(|number| Self { shards: Arc::clone(&shards), number }).collect()
    }

    /// A handle for others.
    #[must_use]
    pub fn remote(&self) -> Remote<N> {
        Remote { shards: Arc::clone(&self.shards), home: self.number }
    }

    /// Sets who is woken, and takes what waits.
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

    /// This shard has no connections and is about to sleep. Unless mail waits, it gets no published messages until other mail
    /// arrives.
    pub(super) fn rest(&self) {
        let mut state = self.own().lock();
        state.idle = state.waiting.is_empty();
    }

    /// Gives another shard something, or gives it back if that one has ended.
    pub(super) fn post(&self, shard: usize, mail: DriverMessage<N>) -> Result<(), DriverMessage<N>> {
        match self.shards.get(shard) {
            Some(shard) => shard.post(mail),
            None => Err(mail),
        }
    }

    /// Nothing more can be left from now on, if nothing waits; what was counted is known from the same moment on.
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

    /// Whether another shard does not keep up with what it is told.
    pub(super) fn is_another_behind(&self) -> bool {
        let part = (SHARD_MESSAGES_MAX_BYTES / self.shards.len()).max(SHARD_MESSAGES_MIN_BYTES);
        self.others().any(|shard| {
            let state = shard.lock();
            !state.ended && state.queued_bytes >= part
        })
    }

    /// Whether all other shards have ended.
    pub(super) fn have_others_ended(&self) -> bool {
        self.others().all(|shard| shard.is_over())
    }

    /// Whether another shard has ended otherwise than it should.
    pub(super) fn has_another_panicked(&self) -> bool {
        self.others().any(|shard| shard.is_over() && shard.last_metrics().is_none())
    }

    /// What the other shards counted until they ended; `None` if one did not end as it should.
    pub(super) fn metrics_of_others(&self) -> Option<Vec<Metrics>> {
        self.others().map(|shard| shard.last_metrics()).collect()
    }

    /// Shows what is wanted of tunnels, and how they are.
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
        // What is dropped may speak to the mailbox again.
        drop(state);
        for mail in waiting {
            // Who sums up what shards have counted waits for each of them.
            if let DriverMessage::Metrics(receive) = mail
                && (last.is_some() || self.shards.len() > 1)
            {
                spared(|| receive(last.clone().unwrap_or_default()));
            }
        }
        self.own().board.end();
        if self.number > 0 {
            // It waits for all others.
            self.shards[0].wake();
        } else {
            for shard in self.others() {
                let _ = shard.post(DriverMessage::Stop);
            }
        }
    }
}

impl<N> Shared<N> {
    fn new() -> Arc<Self> {
        let state = State {
            waiting: VecDeque::new(),
            task: None,
            queued_bytes: 0,
            idle: false,
            ended: false,
            over: false,
            last: None,
        };
        Arc::new(Self { state: Mutex::new(state), board: Arc::default() })
    }

    /// Leaves a word of somebody outside.
    pub(super) fn put(&self, mail: DriverMessage<N>) -> Result<(), RemoteError> {
        if self.lock().waiting.len() >= WAITING_MAX {
            return Err(RemoteError::Full);
        }
        self.post(mail).map_err(|_| RemoteError::Ended)
    }

    /// Leaves a word that is not to be lost, however many wait; or gives it back if the shard has ended.
    pub(super) fn post(&self, mail: DriverMessage<N>) -> Result<(), DriverMessage<N>> {
        let mut state = self.lock();
        if state.ended {
            return Err(mail);
        }
        match &mail {
            DriverMessage::ShardMessage(ShardMessage::Publish { .. }) if state.idle => return Ok(()),
            DriverMessage::ShardMessage(message) => state.queued_bytes += message.held_bytes(),
            _ => {}
        }
        // The mail may bring a connection.
        state.idle = false;
        state.waiting.push_back(mail);
        let task = if state.waiting.len() == 1 { state.task.clone() } else { None };
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
        Ok(())
    }

    fn wake(&self) {
        let task = self.lock().task.clone();
        if let Some(task) = task {
            task.wake();
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.lock().over
    }

    pub(super) fn last_metrics(&self) -> Option<Metrics> {
        self.lock().last.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State<N>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<N> fmt::Debug for DriverMessage<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note(_) => "Note",
            Self::Command(_) => "Command",
            Self::Metrics(_) => "Metrics",
            Self::ShardMessage(_) => "ShardMessage",
            Self::Connection(..) => "Connection",
            Self::Channel(..) => "Channel",
            Self::Tunnel(..) => "Tunnel",
            Self::Reconfigure(..) => "Reconfigure",
            Self::Reconfigured(_) => "Reconfigured",
            Self::Stop => "Stop",
        })
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

    #[test]
    fn words_wait_in_order_up_to_a_bound_and_until_the_end() {
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
    fn a_shard_is_behind_by_what_occupies_memory_and_waits_for_it() {
        let shards = Mailbox::<u8>::of_shards(4);
        let message = publish(&"x".repeat(1 << 20));
        for n in 0..3 {
            assert_eq!(shards[0].is_another_behind(), n >= 2);
            shards[0].post_to_others(|| DriverMessage::ShardMessage(message.clone()));
        }
        assert_eq!((shards[1].take(Waker::noop()).len(), shards[0].is_another_behind()), (3, true));
        assert_eq!((shards[2].take(Waker::noop()).len(), shards[0].is_another_behind()), (3, true));
        assert_eq!((shards[3].take(Waker::noop()).len(), shards[0].is_another_behind()), (3, false));
        // Who has ended is behind nobody, and gets nothing.
        assert!(shards[2].end_if_empty(Metrics::default));
        assert!(shards[0].post(2, DriverMessage::ShardMessage(message)).is_err());
    }

    #[test]
    fn empty_messages_and_long_names_occupy_memory_as_well() {
        let conns = |count| {
            (0..count).map(|n| format!("{n}.0").parse().expect("a number and a generation")).collect::<Vec<_>>()
        };
        let (named, except) = (ShardMessage::RoomOpened { room: "r".repeat(1_000).into() }, conns(1_000).into());
        let letters = [
            (publish(""), 10_000, "an empty message"),
            (named, 2_500, "a long name"),
            (ShardMessage::Publish { room: "r".into(), except, message: "".into() }, 300, "many who are left out"),
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
    fn who_has_no_connections_and_waits_is_not_woken_for_what_is_published() {
        let shards = Mailbox::<u8>::of_shards(2);
        let tell = |message: &ShardMessage| shards[0].post_to_others(|| DriverMessage::ShardMessage(message.clone()));
        let waiting = || shards[1].take(Waker::noop()).len();
        shards[1].rest();
        tell(&publish("nobody would hear it"));
        assert_eq!(waiting(), 0);
        tell(&publish("it is awake again"));
        shards[1].rest();
        tell(&publish("and has mail"));
        assert_eq!(waiting(), 2);
        shards[1].rest();
        tell(&ShardMessage::Authenticated);
        tell(&publish("what came before it may have brought a connection"));
        assert_eq!(waiting(), 2);
    }

    fn publish(message: &str) -> ShardMessage {
        ShardMessage::Publish { room: "all".into(), except: [].into(), message: message.into() }
    }

    #[test]
    fn who_ended_as_it_should_has_not_panicked() {
        let mut shards = Mailbox::<u8>::of_shards(3);
        let (panics, ends) = (shards.pop().expect("three"), shards.pop().expect("two"));
        assert!(ends.end_if_empty(Metrics::default));
        drop(ends);
        assert_eq!((shards[0].have_others_ended(), shards[0].has_another_panicked()), (false, false));
        drop(panics);
        assert_eq!((shards[0].have_others_ended(), shards[0].has_another_panicked()), (true, true));
        assert!(shards[0].metrics_of_others().is_none());
    }
}
