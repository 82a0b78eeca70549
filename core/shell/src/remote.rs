use super::queue::DriverMessage;
use super::queues::{AnyQueues, Queues, Unsent};
use super::remote_error::RemoteError;
use super::tunnel::Port;
use super::{BindError, Channel, TunnelPort, TunnelWatch};
use drupe_core::app::AppIndex;
use drupe_core::tunnel::{LinkId, TunnelReport, TunnelStatus};
use drupe_core::{Command, Config, ConnId, EndTarget, ListenerId, Metrics, Outgoing, Peer};

#[cfg(feature = "auth")]
use drupe_core::kit::negotiate;
#[cfg(feature = "auth")]
use serde::Serialize;
use std::sync::Arc;

use core::fmt;
use core::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// A handle to a running server, for any thread. Clones are handles to the same server.
///
/// No method waits for the server: each queues a message and wakes the server.
pub struct Remote<N> {
    pub(super) queues: Queues<N>,
    /// Index of the shard that receives notes.
    pub(super) home: usize,
    /// The application whose rooms the handle names.
    pub(super) app: AppIndex,
}

impl<N> Remote<N> {
    /// Returns a handle that takes notes of another type, and converts them.
    ///
    /// For a handler inside another one: it sends its own notes, and the outer handler receives
    /// them as its notes.
    #[must_use]
    pub fn converting<M>(&self, convert: impl Fn(M) -> N + Send + Sync + 'static) -> Remote<M>
    where
        N: Send + 'static,
    {
        Remote { queues: self.queues.converting(convert), home: self.home, app: self.app }
    }

    /// Returns a handle that names the rooms of one of several [applications](drupe_core::app::Apps).
    #[must_use]
    pub fn of_app(self, app: AppIndex) -> Self {
        Self { app, ..self }
    }

    fn queues(&self) -> &dyn AnyQueues<N> {
        self.queues.any()
    }

    /// Sends a note to the handler as [`Event::Note`](drupe_core::Event::Note).
    ///
    /// With several shards, the handler that was created with this handle receives it. For a handle
    /// of the server itself, that is the first shard's handler.
    ///
    /// # Errors
    /// If the server has ended or its queue is full.
    pub fn note(&self, note: N) -> Result<(), RemoteError> {
        self.queues().put(self.home, DriverMessage::Note(note))
    }

    /// Sends a note even if the queue is full. The caller must queue at most one at a time.
    pub(super) fn note_in_any_case(&self, note: N) {
        let _ = self.queues().post(self.home, DriverMessage::Note(note));
    }

    /// Sends one message to every member of a room.
    ///
    /// [`kit::negotiate`] creates a message from a serializable value: JSON for programs, text for
    /// people.
    ///
    /// # Errors
    /// If the server has ended or its queue is full.
    ///
    /// [`kit::negotiate`]: https://docs.rs/drupe-core/latest/drupe_core/kit/fn.negotiate.html
    pub fn publish<'p>(&self, room: &str, payload: impl Into<Outgoing<'p>>) -> Result<(), RemoteError> {
        self.command(Command::publish(room, payload))
    }

    /// Sends one message to one connection, on whichever shard it is.
    ///
    /// The message is discarded if the connection is over by then.
    ///
    /// # Errors
    /// If the server has ended or its queue is full.
    pub fn send<'p>(&self, conn: ConnId, payload: impl Into<Outgoing<'p>>) -> Result<(), RemoteError> {
        self.command(Command::send(conn, payload))
    }

    /// Sends a value to every member of a room: as JSON to programs, in its `Display` form to people.
    ///
    /// # Errors
    /// If the server has ended or its queue is full.
    #[cfg(feature = "auth")]
    pub fn publish_as(&self, room: &str, message: &(impl Serialize + fmt::Display)) -> Result<(), RemoteError> {
        self.publish(room, &negotiate(message))
    }

    /// Sends a value to one connection, in the representation of that connection.
    ///
    /// See [`publish_as`](Self::publish_as).
    ///
    /// # Errors
    /// If the server has ended or its queue is full.
    #[cfg(feature = "auth")]
    pub fn send_as(&self, conn: ConnId, message: &(impl Serialize + fmt::Display)) -> Result<(), RemoteError> {
        self.send(conn, &negotiate(message))
    }

    /// Ends one connection with [`Reason::Kicked`](drupe_core::Reason::Kicked).
    ///
    /// # Errors
    /// If the server has ended or its queue is full.
    pub fn kick(&self, conn: ConnId) -> Result<(), RemoteError> {
        self.command(Command::Kick { conn })
    }

    /// Ends connections with [`Reason::Kicked`](drupe_core::Reason::Kicked), on all hosts of a cluster.
    ///
    /// # Errors
    /// If the server has ended or its queue is full.
    pub fn kick_everywhere(&self, target: EndTarget) -> Result<(), RemoteError> {
        self.command(Command::KickEverywhere { target })
    }

    /// Drains the server: see [`Drain`](drupe_core::Drain). A second call speeds the drain up.
    ///
    /// # Errors
    /// If the server has ended.
    pub fn drain(&self) -> Result<(), RemoteError> {
        self.command(Command::Drain)
    }

    /// Applies a new configuration to the running server.
    ///
    /// [`Machine::reconfigured`](drupe_core::Machine::reconfigured) states what happens to open
    /// connections. On the server's thread, `done` receives the addresses that the server listens
    /// on, or the error; then nothing has changed. It is not called if the server ends first. If it
    /// panics, the server continues.
    ///
    /// If an address is widened or narrowed (127.0.0.1:8023 to 0.0.0.0:8023), the old listener is
    /// closed before the new one is bound, and bound again if that fails. For a moment in between,
    /// peers cannot connect there.
    ///
    /// # Errors
    /// If the server has ended or its queue is full.
    pub fn reconfigure(
        &self,
        config: Config,
        done: impl FnOnce(Result<Vec<String>, BindError>) + Send + 'static,
    ) -> Result<(), RemoteError> {
        self.queues().put(0, DriverMessage::Reconfigure(Box::new(config), Box::new(done)))
    }

    /// Puts an address in quarantine: see [`Command::Quarantine`].
    ///
    /// # Errors
    /// If the server has ended or its queue is full.
    pub fn quarantine(&self, address: IpAddr) -> Result<(), RemoteError> {
        self.command(Command::Quarantine { address })
    }

    /// Removes an address from quarantine.
    ///
    /// # Errors
    /// If the server has ended or its queue is full.
    pub fn release(&self, address: IpAddr) -> Result<(), RemoteError> {
        self.command(Command::Release { address })
    }

    /// Sends an operator's command to the server.
    ///
    /// # Errors
    /// If the server has ended or its queue is full.
    pub fn command(&self, command: Command) -> Result<(), RemoteError> {
        match command {
            Command::ResetMetrics => {
                let reset = |shard| self.queues().put(shard, DriverMessage::Command(Command::ResetMetrics));
                let results: Vec<_> = (0..self.queues().count()).map(reset).collect();
                // Some shards may have ended before the others.
                let ended = Err(RemoteError::Ended);
                results.into_iter().filter(|result| *result != ended).min_by_key(Result::is_ok).unwrap_or(ended)
            }
            Command::Drain => {
                // Bypasses the limit, so that all shards drain or none. Some may have ended before
                // the others.
                let drain = |shard: &usize| self.queues().post(*shard, DriverMessage::Command(Command::Drain)).is_ok();
                let asked = (0..self.queues().count()).filter(drain).count();
                if asked > 0 { Ok(()) } else { Err(RemoteError::Ended) }
            }
            // A shard that does not exist has no connections.
            Command::Kick { conn } | Command::Send { conn, .. }
                if usize::from(conn.shard()) >= self.queues().count() =>
            {
                Ok(())
            }
            Command::Kick { conn } | Command::Send { conn, .. } => {
                self.queues().put(conn.shard().into(), DriverMessage::Command(command))
            }
            // The first shard counts addresses.
            Command::Quarantine { .. } | Command::Release { .. } => {
                self.queues().put(0, DriverMessage::Command(command))
            }
            Command::Publish { room, payload } => {
                let room = self.app.stored_room(&room).into_owned();
                self.queues().put(self.home, DriverMessage::Command(Command::Publish { room, payload }))
            }
            command => self.queues().put(self.home, DriverMessage::Command(command)),
        }
    }

    /// Returns the states of the server's [tunnels](drupe_core::tunnel).
    #[must_use]
    pub fn tunnels(&self) -> Vec<TunnelStatus> {
        self.queues().board().statuses()
    }

    /// Returns a watch on the states of the server's tunnels.
    #[must_use]
    pub fn watch_tunnels(&self) -> TunnelWatch {
        TunnelWatch::new(self.queues().board())
    }

    /// Returns the interface through which an SSH client serves the server's tunnels.
    #[must_use]
    pub fn tunnel_port(&self) -> TunnelPort
    where
        N: Send + 'static,
    {
        TunnelPort::new(self.clone(), Arc::clone(self.queues().board()))
    }

    /// Passes the server's metrics to `receive`, usually on a thread of the server.
    ///
    /// The call does not wait for the metrics. If `receive` panics, the server continues.
    ///
    /// # Errors
    /// If the server has ended or its queue is full.
    pub fn metrics(&self, receive: impl FnOnce(Metrics) + Send + 'static) -> Result<(), RemoteError> {
        let queues = self.queues();
        if queues.count() == 1 {
            return queues.put(0, DriverMessage::Metrics(Box::new(receive)));
        }
        if (0..queues.count()).all(|shard| queues.is_over(shard)) {
            return Err(RemoteError::Ended);
        }
        let sum = Sum { missing: queues.count(), metrics: None, receive: Some(Box::new(receive)) };
        let sum = Arc::new(Mutex::new(sum));
        for shard in 0..queues.count() {
            let part = Arc::clone(&sum);
            let add = move |metrics| part.lock().unwrap_or_else(PoisonError::into_inner).add(&metrics);
            match queues.put(shard, DriverMessage::Metrics(Box::new(add))) {
                Err(RemoteError::Ended) => {
                    let last = queues.last_metrics(shard).unwrap_or_default();
                    sum.lock().unwrap_or_else(PoisonError::into_inner).add(&last);
                }
                put => put?,
            }
        }
        Ok(())
    }
}

impl<N: Send> Port for Remote<N> {
    fn report(&self, link: LinkId, report: TunnelReport) {
        // An SSH server can cause these without limit, so they respect the queue's limit.
        let is_bounded = matches!(report, TunnelReport::ChannelRefused { .. });
        let mail = DriverMessage::Tunnel(link, report);
        // Errors are ignored: a server that has ended does not need the report.
        let _ = if is_bounded { self.queues().put(0, mail).ok() } else { self.queues().post(0, mail).ok() };
    }

    fn offer(&self, listener: ListenerId, peer: Peer, channel: Box<dyn Channel>) {
        if let Err(Unsent(Some(channel))) = self.queues().post(0, DriverMessage::Channel(listener, peer, channel)) {
            channel.dismiss(&[]);
        }
    }
}

/// The sum of the metrics of the shards that have reported, and the callback for the total.
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
        Self { queues: self.queues.clone(), home: self.home, app: self.app }
    }
}

impl<N> fmt::Debug for Remote<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remote")
    }
}
