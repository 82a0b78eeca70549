use super::mailbox::{DriverMessage, Shared, WAITING_MAX};
use super::{BindError, TunnelPort, TunnelWatch};
use drupe_core::tunnel::TunnelStatus;
use drupe_core::{Command, Config, ConnId, Metrics, Payload};

use std::sync::Arc;

use core::fmt;
use core::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Speaks to a running server from any thread. Cloning gives another handle to the same server.
///
/// Nothing here waits for the server: a word is left and the server woken.
pub struct Remote<N> {
    pub(super) shards: Arc<[Arc<Shared<N>>]>,
    /// The shard that notes are for.
    pub(super) home: usize,
}

/// A word could not be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The server has ended.
    #[error("the server has ended")]
    Ended,
    /// 65,536 words wait already.
    #[error("the server has not kept up: {WAITING_MAX} words wait for it")]
    Full,
}

impl<N> Remote<N> {
    /// Tells the application something: [`Event::Note`](drupe_core::Event::Note). Where there are several handlers, one for each
    /// shard, it is the one that was made with this handle; the first, for a handle of the server itself.
    ///
    /// # Errors
    /// If the server has ended or has not kept up.
    pub fn note(&self, note: N) -> Result<(), RemoteError> {
        self.shards[self.home].put(DriverMessage::Note(note))
    }

    /// As [`note`](Self::note), however many words wait: for who leaves at most one at a time.
    pub(super) fn note_in_any_case(&self, note: N) {
        let _ = self.shards[self.home].post(DriverMessage::Note(note));
    }

    /// Sends one message to every member of a room.
    ///
    /// # Errors
    /// If the server has ended or has not kept up.
    pub fn publish<'p>(&self, room: &str, payload: impl Into<Payload<'p>>) -> Result<(), RemoteError> {
        self.command(Command::publish(room, payload))
    }

    /// Ends one connection as [`Reason::Kicked`](drupe_core::Reason::Kicked).
    ///
    /// # Errors
    /// If the server has ended or has not kept up.
    pub fn kick(&self, conn: ConnId) -> Result<(), RemoteError> {
        self.command(Command::Kick { conn })
    }

    /// Ends the server in stages; asked a second time, it hurries. See [`Drain`](drupe_core::Drain).
    ///
    /// # Errors
    /// If the server has ended or has not kept up.
    pub fn drain(&self) -> Result<(), RemoteError> {
        self.command(Command::Drain)
    }

    /// Has the server go on with another configuration: see [`Machine::reconfigured`](drupe_core::Machine::reconfigured) for what
    /// becomes of what is open. `done` is told, on the server's thread, where it listens now; or where it can't, and then
    /// everything is as it was. It is not told if the server ends first, and if it panics the server goes on.
    ///
    /// An address that is made wider or narrower (127.0.0.1:8023 to 0.0.0.0:8023) is closed before the new one is listened at,
    /// and listened at again if that fails: in between, for a moment, nobody can connect there.
    ///
    /// # Errors
    /// If the server has ended or has not kept up.
    pub fn reconfigure(
        &self,
        config: Config,
        done: impl FnOnce(Result<Vec<String>, BindError>) + Send + 'static,
    ) -> Result<(), RemoteError> {
        self.shards[0].put(DriverMessage::Reconfigure(Box::new(config), Box::new(done)))
    }

    /// Refuses an address for a while; see [`Command::Quarantine`].
    ///
    /// # Errors
    /// If the server has ended or has not kept up.
    pub fn quarantine(&self, address: IpAddr) -> Result<(), RemoteError> {
        self.command(Command::Quarantine { address })
    }

    /// Lets an address in again that is in quarantine.
    ///
    /// # Errors
    /// If the server has ended or has not kept up.
    pub fn release(&self, address: IpAddr) -> Result<(), RemoteError> {
        self.command(Command::Release { address })
    }

    /// Asks for anything.
    ///
    /// # Errors
    /// If the server has ended or has not kept up.
    pub fn command(&self, command: Command) -> Result<(), RemoteError> {
        match command {
            Command::Drain => {
                // All are asked or none, so nobody is too busy for it; some may have ended before the others.
                let asked =
                    self.shards.iter().filter(|shard| shard.post(DriverMessage::Command(Command::Drain)).is_ok());
                if asked.count() > 0 { Ok(()) } else { Err(RemoteError::Ended) }
            }
            // Nobody has the number of a shard that is not there.
            Command::Kick { conn } => match self.shards.get(usize::from(conn.shard())) {
                Some(shard) => shard.put(DriverMessage::Command(command)),
                None => Ok(()),
            },
            // Who counts addresses.
            Command::Quarantine { .. } | Command::Release { .. } => self.shards[0].put(DriverMessage::Command(command)),
            command => self.shards[self.home].put(DriverMessage::Command(command)),
        }
    }

    /// How the server's [tunnels](drupe_core::tunnel) are.
    #[must_use]
    pub fn tunnels(&self) -> Vec<TunnelStatus> {
        self.shards[0].board.statuses()
    }

    /// Sees how the server's tunnels change.
    #[must_use]
    pub fn watch_tunnels(&self) -> TunnelWatch {
        TunnelWatch::new(&self.shards[0].board)
    }

    /// For what speaks SSH.
    #[must_use]
    pub fn tunnel_port(&self) -> TunnelPort
    where
        N: Send + 'static,
    {
        TunnelPort::new(self.clone(), Arc::clone(&self.shards[0].board))
    }

    /// Has the server hand its counters to `receive`, on its own thread and in its own time. If that panics, the server goes on.
    ///
    /// # Errors
    /// If the server has ended or has not kept up.
    pub fn metrics(&self, receive: impl FnOnce(Metrics) + Send + 'static) -> Result<(), RemoteError> {
        if let [only] = &*self.shards {
            return only.put(DriverMessage::Metrics(Box::new(receive)));
        }
        if self.shards.iter().all(|shard| shard.is_over()) {
            return Err(RemoteError::Ended);
        }
        let sum = Sum { missing: self.shards.len(), metrics: None, receive: Some(Box::new(receive)) };
        let sum = Arc::new(Mutex::new(sum));
        for shard in &*self.shards {
            let part = Arc::clone(&sum);
            let add = move |metrics| part.lock().unwrap_or_else(PoisonError::into_inner).add(&metrics);
            match shard.put(DriverMessage::Metrics(Box::new(add))) {
                Err(RemoteError::Ended) => {
                    let last = shard.last_metrics().unwrap_or_default();
                    sum.lock().unwrap_or_else(PoisonError::into_inner).add(&last);
                }
                put => put?,
            }
        }
        Ok(())
    }
}

/// What shards have counted, as far as they have told.
struct Sum {
    missing: usize,
    metrics: Option<Metrics>,
    receive: Option<Box<dyn FnOnce(Metrics) + Send>>,
}

impl Sum {
    fn add(&mut self, metrics: &Metrics) {
        self.metrics.get_or_insert_default().add(metrics);
        self.missing -= 1;
        if self.missing == 0
            && let (Some(receive), Some(metrics)) = (self.receive.take(), self.metrics.take())
        {
            receive(metrics);
        }
    }
}

impl<N> Clone for Remote<N> {
    fn clone(&self) -> Self {
        Self { shards: Arc::clone(&self.shards), home: self.home }
    }
}

impl<N> fmt::Debug for Remote<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remote")
    }
}
