//! Who comes in: accepted here, handed over by another shard, or dialled.

use super::{Connection, Door, Driver, FIRST_LISTENER};
use crate::shell::{ACCEPTS_PER_TURN, BindError, Mail, OsListener, OsStream, Sockets};
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
                    if let Err((stream, refusal)) = self.let_in(id, stream, peer) {
                        self.sockets.dismiss(stream, &refusal.farewell);
                    }
                }
            }
        }
        self.again.push(FIRST_LISTENER - place);
    }

    fn let_in(&mut self, listener: ListenerId, stream: S::Stream, peer: Peer) -> Result<(), (S::Stream, Refusal)> {
        let now = self.now;
        if self.shard.count() == 1 {
            match self.machine.accepted(now, listener, peer) {
                Ok(id) => self.add(id, stream),
                Err(refusal) => return Err((stream, refusal)),
            }
            return Ok(());
        }
        let shard = match self.machine.dispatched(now, listener, peer) {
            Ok(shard) => shard,
            Err(refusal) => return Err((stream, refusal)),
        };
        if shard == self.shard.number() {
            let id = self.machine.adopted(now, listener, peer);
            self.add(id, stream);
            return Ok(());
        }
        let given = self.sockets.give(stream).map(|stream| Mail::Connection(listener, peer, stream));
        match given.map(|mail| self.mailbox.post(shard.into(), mail)) {
            Ok(Ok(())) => {}
            // That one has drained already; it is told here.
            Ok(Err(Mail::Connection(listener, peer, stream))) => self.adopt(listener, peer, stream),
            _ => self.machine.delivered(now, &Letter::Left { listener: Some(listener), peer, shard }),
        }
        Ok(())
    }

    /// Another shard hands a connection over.
    pub(super) fn adopt(&mut self, listener: ListenerId, peer: Peer, stream: OsStream) {
        let id = self.machine.adopted(self.now, listener, peer);
        match self.sockets.take(stream) {
            Ok(stream) => self.add(id, stream),
            Err(error) => self.machine.failed(self.now, id, Failure::from(&error)),
        }
    }

    pub(super) fn add(&mut self, id: ConnId, stream: S::Stream) {
        let index = id.index();
        if self.connections.len() <= index {
            self.connections.resize_with(index + 1, || None);
        }
        // Whoever had this place is over.
        self.connections[index] = None;
        match self.sockets.adopt(id.slot(), stream) {
            Ok(socket) => {
                self.connections[index] = Some(Connection { id, socket, unread: false, full: false, shut_down: false });
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
                        self.add(id, stream);
                    }
                }
            }
        }
    }

    /// Goes on with another configuration, if everything that is new in it can be listened at.
    pub(super) fn reconfigure(&mut self, config: Config) -> Result<Vec<String>, BindError> {
        let mut doors = Vec::new();
        for (listen, place) in self.machine.new_addresses(&config).zip(self.listeners.len()..) {
            let blame = |source| BindError { address: listen.bound(&listen.address), source };
            let number = FIRST_LISTENER - u32::try_from(place).unwrap_or(FIRST_LISTENER);
            let listener = OsListener::bind(&listen.address).map_err(blame)?;
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
