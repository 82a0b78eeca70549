//! Who comes in: accepted here, handed over by another shard, or dialled.

use super::{Connection, Door, Driver, FIRST_LISTENER};
use crate::shell::channel::Carrier;
use crate::shell::server::check_applied;
use crate::shell::{ACCEPTS_PER_TURN, Arrival, BindError, Mail, OsListener, OsStream, Sockets};
use crate::{
    AcceptFailure, Accepting, Config, ConnId, DialId, Failure, Handler, Letter, Listen, ListenerId, Peer, Refusal,
};
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::io;

impl<H: Handler, S: Sockets> Driver<H, S> {
    pub(super) fn accept(&mut self, place: u32) {
        let id = ListenerId(place);
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(door) = self.listeners.get_mut(place as usize).and_then(Option::as_mut) else { return };
            door.resting = self.machine.accepting(id) != Accepting::Now;
            if door.resting {
                return;
            }
            match self.sockets.accept(&mut door.listener) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.machine.accept_failed(self.now, id, AcceptFailure::from(&error)),
                Ok((stream, peer)) => {
                    if let Err((arrival, refusal)) = self.let_in(id, Arrival::Stream(stream), peer) {
                        self.dismiss(arrival, &refusal.farewell);
                    }
                }
            }
        }
        self.again.push(FIRST_LISTENER - place);
    }

    pub(super) fn dismiss(&mut self, arrival: Arrival<S::Stream>, words: &[u8]) {
        match arrival {
            Arrival::Stream(stream) => self.sockets.dismiss(stream, words),
            Arrival::Channel(channel) => channel.dismiss(words),
        }
    }

    pub(super) fn let_in(
        &mut self,
        listener: ListenerId,
        arrival: Arrival<S::Stream>,
        peer: Peer,
    ) -> Result<(), (Arrival<S::Stream>, Refusal)> {
        let now = self.now;
        if self.shard.count() == 1 {
            match self.machine.accepted(now, listener, peer) {
                Ok(id) => self.add(id, arrival),
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
            self.add(id, arrival);
            return Ok(());
        }
        let given = arrival.try_map(|stream| self.sockets.give(stream));
        match given.map(|arrival| self.mailbox.post(shard.into(), Mail::Connection(listener, peer, arrival))) {
            Ok(Ok(())) => {}
            // That one has drained already; it is told here.
            Ok(Err(Mail::Connection(listener, peer, arrival))) => self.adopt(listener, peer, arrival),
            _ => self.machine.delivered(now, &Letter::Left { listener: Some(listener), peer, shard }),
        }
        Ok(())
    }

    /// Another shard hands a connection over.
    pub(super) fn adopt(&mut self, listener: ListenerId, peer: Peer, arrival: Arrival<OsStream>) {
        let id = self.machine.adopted(self.now, listener, peer);
        match arrival.try_map(|stream| self.sockets.take(stream)) {
            Ok(arrival) => self.add(id, arrival),
            Err(error) => self.machine.failed(self.now, id, Failure::from(&error)),
        }
    }

    pub(super) fn add(&mut self, id: ConnId, arrival: Arrival<S::Stream>) {
        let index = id.index();
        if self.connections.len() <= index {
            self.connections.resize_with(index + 1, || None);
        }
        // Whoever had this place is over.
        self.connections[index] = None;
        let carrier = match arrival {
            Arrival::Stream(stream) => self.sockets.adopt(id.slot(), stream).map(Carrier::Socket),
            Arrival::Channel(mut channel) => {
                channel.accept();
                Ok(Carrier::Channel(channel, self.channels.key(id.slot()).into()))
            }
        };
        match carrier {
            Ok(carrier) => {
                self.connections[index] =
                    Some(Connection { id, carrier, unread: false, full: false, shut_down: false });
                self.again.push(id.slot());
            }
            Err(error) => self.machine.failed(self.now, id, Failure::from(&error)),
        }
    }

    pub(super) fn connect(&mut self) {
        loop {
            let wanted: BTreeSet<DialId> = self.machine.dials().map(|(dial, _)| dial).collect();
            for &dial in self.dialing.difference(&wanted) {
                self.sockets.hang_up(dial);
            }
            for (dial, address) in self.machine.dials() {
                if !self.dialing.contains(&dial) {
                    self.sockets.dial(dial, address);
                }
            }
            self.dialing = wanted;
            // Asked after the last attempt was begun, so that every one of them wakes us.
            let Some((dial, result)) = self.sockets.dialed() else { return };
            self.dialing.remove(&dial);
            match result {
                Err(error) => self.machine.dial_failed(self.now, dial, Failure::from(&error)),
                Ok((stream, peer)) => {
                    if let Some(id) = self.machine.dialed(self.now, dial, peer) {
                        self.add(id, Arrival::Stream(stream));
                    }
                }
            }
        }
    }

    /// Goes on with another configuration, if everything that is new in it can be listened at.
    pub(super) fn reconfigure(&mut self, config: Config) -> Result<Vec<String>, BindError> {
        check_applied(&config)?;
        let mut doors = Vec::new();
        for (listen, place) in self.machine.new_addresses(&config).zip(self.listeners.len()..) {
            let blame = |source| BindError { address: listen.bound(&listen.address), source };
            let number = FIRST_LISTENER - u32::try_from(place).unwrap_or(FIRST_LISTENER);
            if listen.address.forward().is_some() {
                doors.push((number, None, listen.address.clone()));
                continue;
            }
            let listener = OsListener::bind(listen).map_err(blame)?;
            let address = listener.address().map_err(blame)?;
            let listener = self.sockets.listen(number, listener).map_err(blame)?;
            doors.push((number, Some(Door { listener, resting: false }), address));
        }
        self.mailbox.post_to_others({
            let config = Arc::new(config.clone());
            move || Mail::Reconfigured(Arc::clone(&config))
        });
        self.machine.reconfigured(self.now, config);
        for (number, door, address) in doors {
            self.again.push(number);
            self.listeners.push(door);
            self.addresses.push(address);
        }
        let bound = |(id, listen): (ListenerId, &Listen)| {
            listen.bound(self.addresses.get(id.index()).unwrap_or(&listen.address))
        };
        Ok(self.machine.listeners().map(bound).collect())
    }

    pub(super) fn tend_listeners(&mut self) {
        for (slot, place) in self.listeners.iter_mut().zip(0..) {
            match (self.machine.accepting(ListenerId(place)), &slot) {
                (Accepting::Never, _) => *slot = None,
                (Accepting::Now, Some(door)) if door.resting => self.again.push(FIRST_LISTENER - place),
                _ => {}
            }
        }
    }
}
