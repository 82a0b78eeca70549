//! The queue of one shard: messages to its driver, from any thread.

use super::mount::Mounting;
use super::remote_error::{RemoteError, WAITING_MAX};
use super::tunnel::TunnelSnapshot;
use super::{Arrival, BindError, Channel, OsStream};
use drupe_core::tunnel::{LinkId, TunnelReport};
use drupe_core::{Command, Config, ListenerId, Metrics, Peer, ShardMessage};

use std::collections::VecDeque;

use std::sync::Arc;

use core::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// A message to the driver of a shard.
#[non_exhaustive]
pub enum DriverMessage<N> {
    /// A note, for [`Machine::noted`](drupe_core::Machine::noted).
    Note(N),
    /// An operator's command, for [`Machine::command`](drupe_core::Machine::command).
    Command(Command),
    /// A callback that receives [`Machine::metrics`](drupe_core::Machine::metrics).
    Metrics(Box<dyn FnOnce(Metrics) + Send>),
    /// A message from another shard.
    ///
    /// For [`Machine::shard_message_received`](drupe_core::Machine::shard_message_received).
    ShardMessage(ShardMessage),
    /// A connection that another shard accepted.
    ///
    /// For [`Machine::adopted`](drupe_core::Machine::adopted).
    Connection(ListenerId, Peer, Arrival<OsStream>),
    /// A channel from a tunnel, for [`Machine::accepted`](drupe_core::Machine::accepted).
    Channel(ListenerId, Peer, Box<dyn Channel>),
    /// A connection that another server hands over.
    ///
    /// For [`Machine::accepted`](drupe_core::Machine::accepted).
    Mount(Box<Mounting>),
    /// An event of an SSH connection.
    ///
    /// For [`Machine::tunnel_reported`](drupe_core::Machine::tunnel_reported).
    Tunnel(LinkId, TunnelReport),
    /// A new configuration, for the shard that accepts connections.
    ///
    /// The driver binds the new listeners and then calls
    /// [`Machine::reconfigured`](drupe_core::Machine::reconfigured). If it cannot bind them, it
    /// passes the error to the callback and changes nothing.
    Reconfigure(Box<Config>, Reconfigured),
    /// A new configuration whose listeners are bound, for the other shards.
    ///
    /// For [`Machine::reconfigured`](drupe_core::Machine::reconfigured).
    Reconfigured(Arc<Config>),
    /// A request to end at once, without a drain, because the first shard has ended.
    Stop,
}

impl<N> DriverMessage<N> {
    /// Converts a note; leaves all other messages as they are.
    pub(super) fn with_notes<M>(self, convert: impl FnOnce(N) -> M) -> DriverMessage<M> {
        match self {
            Self::Note(note) => DriverMessage::Note(convert(note)),
            Self::Command(command) => DriverMessage::Command(command),
            Self::Metrics(receive) => DriverMessage::Metrics(receive),
            Self::ShardMessage(message) => DriverMessage::ShardMessage(message),
            Self::Connection(listener, peer, arrival) => DriverMessage::Connection(listener, peer, arrival),
            Self::Channel(listener, peer, channel) => DriverMessage::Channel(listener, peer, channel),
            Self::Mount(mounting) => DriverMessage::Mount(mounting),
            Self::Tunnel(link, report) => DriverMessage::Tunnel(link, report),
            Self::Reconfigure(config, done) => DriverMessage::Reconfigure(config, done),
            Self::Reconfigured(config) => DriverMessage::Reconfigured(config),
            Self::Stop => DriverMessage::Stop,
        }
    }
}

/// A callback that receives the server's addresses, or the error if nothing was applied.
pub type Reconfigured = Box<dyn FnOnce(Result<Vec<String>, BindError>) + Send>;

/// The queue of one shard, which its driver and all handles share.
pub(super) struct Shared<N> {
    state: Mutex<State<N>>,
    /// The snapshot of the tunnels, which only the first shard uses.
    pub(super) board: Arc<TunnelSnapshot>,
}

/// The state of a shard's queue: its messages, waker, status flags and final metrics.
pub(super) struct State<N> {
    pub(super) waiting: VecDeque<DriverMessage<N>>,
    pub(super) task: Option<Waker>,
    /// Memory of the queued messages from other shards, in bytes.
    pub(super) queued_bytes: usize,
    /// Whether the shard is idle without connections, so that it needs no published messages.
    pub(super) idle: bool,
    /// Whether the shard has drained, and only handles messages of others until they have drained.
    pub(super) drained: bool,
    /// Whether the shard accepts no more messages.
    pub(super) ended: bool,
    /// Whether the mailbox was dropped.
    pub(super) over: bool,
    /// The final metrics. `None` before the end and after a panic.
    pub(super) last: Option<Metrics>,
}

impl<N> Shared<N> {
    pub(super) fn new() -> Arc<Self> {
        let state = State {
            waiting: VecDeque::new(),
            task: None,
            queued_bytes: 0,
            idle: false,
            drained: false,
            ended: false,
            over: false,
            last: None,
        };
        Arc::new(Self { state: Mutex::new(state), board: Arc::default() })
    }

    /// Queues a message from another thread. Fails if the queue is full or the shard has ended.
    pub(super) fn put(&self, mail: DriverMessage<N>) -> Result<(), RemoteError> {
        if self.lock().waiting.len() >= WAITING_MAX {
            return Err(RemoteError::Full);
        }
        self.post(mail).map_err(|_| RemoteError::Ended)
    }

    /// Queues a message even if the queue is full. Returns the message if the shard has ended.
    ///
    /// Skips a published message while the shard is idle.
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
        // The message may bring a connection.
        state.idle = false;
        state.waiting.push_back(mail);
        let task = if state.waiting.len() == 1 { state.task.clone() } else { None };
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
        Ok(())
    }

    pub(super) fn wake(&self) {
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

    pub(super) fn lock(&self) -> MutexGuard<'_, State<N>> {
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
            Self::Mount(_) => "Mount",
            Self::Tunnel(..) => "Tunnel",
            Self::Reconfigure(..) => "Reconfigure",
            Self::Reconfigured(_) => "Reconfigured",
            Self::Stop => "Stop",
        })
    }
}
