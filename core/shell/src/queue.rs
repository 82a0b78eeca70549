//! The queue of one shard: messages to its driver, from any thread.

use super::tunnel::TunnelSnapshot;
use super::{Arrival, BindError, Channel, OsStream};
use drupe_core::tunnel::{LinkId, TunnelReport};
use drupe_core::{Command, Config, ListenerId, Metrics, Peer, ShardMessage};

use std::collections::VecDeque;

use std::sync::Arc;

use core::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// Messages from other threads that may be queued for a busy server.
pub(super) const WAITING_MAX: usize = 65_536;
/// A message to the driver.
#[non_exhaustive]
pub enum DriverMessage<N> {
    /// For [`Machine::noted`](drupe_core::Machine::noted).
    Note(N),
    /// For [`Machine::command`](drupe_core::Machine::command).
    Command(Command),
    /// Requests [`Machine::metrics`](drupe_core::Machine::metrics).
    Metrics(Box<dyn FnOnce(Metrics) + Send>),
    /// For [`Machine::shard_message_received`](drupe_core::Machine::shard_message_received).
    ShardMessage(ShardMessage),
    /// For [`Machine::adopted`](drupe_core::Machine::adopted). From the shard that accepts.
    Connection(ListenerId, Peer, Arrival<OsStream>),
    /// For [`Machine::accepted`](drupe_core::Machine::accepted). From a tunnel.
    Channel(ListenerId, Peer, Box<dyn Channel>),
    /// For [`Machine::tunnel_reported`](drupe_core::Machine::tunnel_reported).
    Tunnel(LinkId, TunnelReport),
    /// For [`Machine::reconfigured`](drupe_core::Machine::reconfigured), on the shard that accepts.
    ///
    /// The driver first binds the new listeners. If that fails it returns the error and nothing
    /// changes.
    Reconfigure(Box<Config>, Reconfigured),
    /// For [`Machine::reconfigured`](drupe_core::Machine::reconfigured), on the other shards.
    Reconfigured(Arc<Config>),
    /// The first shard has ended: end at once, without a drain.
    Stop,
}

/// Receives the addresses that the server listens on, or why one cannot be bound.
pub type Reconfigured = Box<dyn FnOnce(Result<Vec<String>, BindError>) + Send>;

/// A message could not be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The server has ended.
    #[error("the server has ended")]
    Ended,
    /// 65,536 messages are queued already.
    #[error("the server is overloaded: {WAITING_MAX} messages are queued")]
    Full,
}

/// The queue of one shard.
pub(super) struct Shared<N> {
    state: Mutex<State<N>>,
    /// Snapshot of the tunnels. Only that of the first shard is used.
    pub(super) board: Arc<TunnelSnapshot>,
}

/// What waits for a shard, and how it stands.
pub(super) struct State<N> {
    pub(super) waiting: VecDeque<DriverMessage<N>>,
    pub(super) task: Option<Waker>,
    /// Memory of the queued messages from other shards, in bytes.
    pub(super) queued_bytes: usize,
    /// The shard sleeps without connections and messages, so it needs no published messages.
    pub(super) idle: bool,
    /// No more messages are accepted.
    pub(super) ended: bool,
    /// The mailbox was dropped.
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
            ended: false,
            over: false,
            last: None,
        };
        Arc::new(Self { state: Mutex::new(state), board: Arc::default() })
    }

    /// Queues a message from outside, unless the queue is full.
    pub(super) fn put(&self, mail: DriverMessage<N>) -> Result<(), RemoteError> {
        if self.lock().waiting.len() >= WAITING_MAX {
            return Err(RemoteError::Full);
        }
        self.post(mail).map_err(|_| RemoteError::Ended)
    }

    /// Queues a message regardless of the limit. Returns it if the shard has ended.
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
            Self::Tunnel(..) => "Tunnel",
            Self::Reconfigure(..) => "Reconfigure",
            Self::Reconfigured(_) => "Reconfigured",
            Self::Stop => "Stop",
        })
    }
}
