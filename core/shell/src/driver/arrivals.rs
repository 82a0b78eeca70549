//! New connections: accepted, mounted, dialled, or passed on by another shard.

use super::{Connection, Driver};
use crate::channel::Transport;
use crate::mount::{MountError, Mounting};
use crate::{Arrival, DriverMessage, OsStream, Sockets, SshAcceptor};
use drupe_core::wire::Protocol;
use drupe_core::{Address, ConnId, Failure, Handler, Listen, ListenerId, Peer, Refusal};

impl<H: Handler, S: Sockets> Driver<H, S> {
    pub(super) fn dismiss(&mut self, arrival: Arrival<S::Stream>, words: &[u8]) {
        match arrival {
            Arrival::Stream(stream) => self.sockets.dismiss(stream, words),
            Arrival::Channel(channel) => channel.dismiss(words),
        }
    }

    /// Admits a connection that another server hands over, or refuses it.
    pub(super) fn mount(&mut self, mounting: Mounting) {
        let Mounting { name, peer, channel } = mounting;
        let is_it = |listen: &Listen| matches!(&listen.address, Address::Mounted(own) if *own == name);
        let Some((id, listen)) = self.machine.listeners().find(|(_, listen)| is_it(listen)) else {
            return channel.reject(MountError::Unknown(name));
        };
        let takes_requests =
            listen.tls.is_none() && listen.proxies.is_none() && matches!(listen.protocol, Protocol::Http(_));
        if channel.is_request() && !takes_requests {
            return channel.reject(MountError::NotWebSocket(name));
        }
        let handoff = channel.handoff();
        if let Err((arrival, refusal)) = self.admit(id, Arrival::Channel(channel), peer) {
            handoff.refused(refusal.reason);
            self.dismiss(arrival, &refusal.farewell);
        }
    }

    pub(super) fn admit(
        &mut self,
        listener: ListenerId,
        arrival: Arrival<S::Stream>,
        peer: Peer,
    ) -> Result<(), (Arrival<S::Stream>, Refusal)> {
        let now = self.now;
        if self.shard.count() == 1 {
            match self.machine.accepted(now, listener, peer) {
                Ok(id) => self.add_accepted(id, (listener, peer), arrival),
                Err(refusal) => return Err((arrival, refusal)),
            }
            return Ok(());
        }
        let shard = match self.machine.dispatched(now, listener, peer) {
            Ok(shard) => shard,
            Err(refusal) => return Err((arrival, refusal)),
        };
        if shard == self.shard.number() {
            let id = self.machine.adopted(now, listener, peer);
            self.add_accepted(id, (listener, peer), arrival);
            return Ok(());
        }
        let message = DriverMessage::Connection(listener, peer, arrival.map(Into::into));
        // The other shard has already drained: this one refuses the connection.
        if let Err(DriverMessage::Connection(listener, peer, arrival)) = self.mailbox.post(shard.into(), message) {
            self.adopt(listener, peer, arrival);
        }
        Ok(())
    }

    /// Opens a connection that another shard accepted, or that an ended shard could not take.
    pub(super) fn adopt(&mut self, listener: ListenerId, peer: Peer, arrival: Arrival<OsStream>) {
        let id = self.machine.adopted(self.now, listener, peer);
        let arrival = match (self.ssh_of(listener), arrival) {
            (Some(ssh), Arrival::Stream(stream)) => Arrival::Channel(ssh.accept(stream, peer)),
            (_, arrival) => arrival,
        };
        self.add(id, arrival.map(S::Stream::from));
    }

    /// Adds a connection that a listener accepted. The SSH server of the listener, if any, takes its socket.
    fn add_accepted(&mut self, id: ConnId, (listener, peer): (ListenerId, Peer), arrival: Arrival<S::Stream>) {
        match (self.ssh_of(listener), arrival) {
            (Some(ssh), Arrival::Stream(stream)) => self.add(id, Arrival::Channel(ssh.accept(stream.into(), peer))),
            (_, arrival) => self.add(id, arrival),
        }
    }

    fn ssh_of(&self, listener: ListenerId) -> Option<SshAcceptor> {
        match &self.machine.listener(listener)?.protocol {
            Protocol::Ssh(server) => SshAcceptor::of(server),
            _ => None,
        }
    }

    pub(super) fn add(&mut self, id: ConnId, arrival: Arrival<S::Stream>) {
        let index = id.index();
        if self.connections.len() <= index {
            self.connections.resize_with(index + 1, || None);
        }
        // The connection that used this slot before has ended.
        self.connections[index] = None;
        let transport = match arrival {
            Arrival::Stream(stream) => self.sockets.adopt(id.slot(), stream).map(Transport::Socket),
            Arrival::Channel(mut channel) => {
                channel.accept();
                Ok(Transport::Channel(channel, self.channels.key(id.slot()).into()))
            }
        };
        match transport {
            Ok(transport) => {
                self.connections[index] =
                    Some(Connection { id, transport, unread: false, full: false, shut_down: false });
                self.again.push(id.slot());
            }
            Err(error) => self.machine.failed(self.now, id, Failure::from(&error)),
        }
    }

    /// Starts the connection attempts that the machine requests, and reports finished ones to it.
    pub(super) fn connect(&mut self) {
        // Start them before the poll, so that the end of every attempt wakes the task.
        self.begin_dials();
        while let Some((dial, result)) = self.sockets.dialed() {
            self.dialing.remove(&dial);
            match result {
                Err(error) => self.machine.dial_failed(self.now, dial, Failure::from(&error)),
                Ok((stream, peer)) => {
                    if let Some(id) = self.machine.dialed(self.now, dial, peer) {
                        self.add(id, Arrival::Stream(stream));
                    }
                }
            }
            self.begin_dials();
        }
    }

    /// Cancels obsolete dials and starts requested ones. Returns `true` if it found any to start.
    pub(super) fn begin_dials(&mut self) -> bool {
        while let Some(dial) = self.machine.next_changed_dial() {
            if self.machine.address_to_dial(dial).is_some() {
                self.starts.push(dial);
            } else if self.dialing.remove(&dial) {
                self.sockets.cancel_dial(dial);
            }
        }
        let mut any = false;
        while let Some(dial) = self.starts.pop() {
            if let Some(address) = self.machine.address_to_dial(dial)
                && self.dialing.insert(dial)
            {
                self.sockets.dial(dial, address);
                any = true;
            }
        }
        any || self.starts.is_waiting()
    }
}
