//! The driver's listeners: accepting connections, and changes on a reload.

use super::Driver;
use super::place::{Place, Places, number};
use crate::server::{check_applied, check_served};
use crate::{ACCEPTS_PER_TURN, Arrival, BindError, DriverMessage, OsListener, Sockets};
use drupe_core::{AcceptFailure, Accepting, Address, Config, Handler, Listen, ListenerId};

use std::sync::Arc;

use core::net::SocketAddr;
use std::io;

impl<H: Handler, S: Sockets> Driver<H, S> {
    pub(super) fn accept(&mut self, id: ListenerId) {
        for _ in 0..ACCEPTS_PER_TURN {
            let place = self.listeners.get_mut(&id);
            let Some(door) = place.and_then(|place| place.door.as_mut()) else { return };
            door.resting = self.machine.accepting(id) != Accepting::Now;
            if door.resting {
                return;
            }
            match self.sockets.accept(&mut door.listener) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.machine.accept_failed(self.now, id, AcceptFailure::from(&error)),
                Ok((stream, peer)) => {
                    if let Err((arrival, refusal)) = self.admit(id, Arrival::Stream(stream), peer) {
                        self.dismiss(arrival, &refusal.farewell);
                    }
                }
            }
        }
        self.again.push(number(id));
    }

    /// Applies a configuration, and returns the addresses of all its listeners.
    ///
    /// If it is refused or a new listener cannot be bound, the old configuration stays in effect.
    pub(super) fn reconfigure(&mut self, config: Config) -> Result<Vec<String>, BindError> {
        check_applied(&config)?;
        check_served(&config, self.machine.handler())?;
        let mut closed = Vec::new();
        let new = match self.listen_at_new(&config, &mut closed) {
            Ok(new) => new,
            Err(error) => return Err(self.listen_again(closed, error)),
        };
        self.mailbox.post_to_others({
            let config = Arc::new(config.clone());
            move || DriverMessage::Reconfigured(Arc::clone(&config))
        });
        self.machine.reconfigured(self.now, config);
        self.again.extend(new.keys().map(|&id| number(id)));
        self.listeners.extend(new);
        let bound = |(id, listen): (ListenerId, &Listen)| {
            listen.bound(self.listeners.get(&id).map_or(&listen.address, |place| &place.address))
        };
        Ok(self.machine.listeners().map(bound).collect())
    }

    /// Creates the entries of a configuration's new listeners, and binds those that need a socket.
    ///
    /// `closed` receives the listeners that were closed to make room.
    fn listen_at_new(
        &mut self,
        config: &Config,
        closed: &mut Vec<(ListenerId, SocketAddr)>,
    ) -> Result<Places<S::Listener>, BindError> {
        let wanted: Vec<_> = self.machine.new_listeners(config).collect();
        let mut new = Places::new();
        for (id, listen) in wanted {
            if !listen.address.needs_socket() {
                new.insert(id, Place::far(listen.address.clone()));
                continue;
            }
            let blame = |source| BindError { address: listen.bound(&listen.address), source };
            let bound = OsListener::bind(listen).or_else(|error| {
                if error.kind() == io::ErrorKind::AddrInUse && self.make_room(config, &listen.address, closed) {
                    return OsListener::bind(listen);
                }
                Err(error)
            });
            let place = bound.and_then(|listener| Place::watched(&mut self.sockets, id, listener));
            new.insert(id, place.map_err(blame)?);
        }
        Ok(new)
    }

    /// Closes removed listeners that use the port of `address`. Returns whether it closed any.
    ///
    /// A system that listens on 127.0.0.1:8023 does not allow 0.0.0.0:8023 beside it.
    fn make_room(&mut self, config: &Config, address: &Address, closed: &mut Vec<(ListenerId, SocketAddr)>) -> bool {
        let Address::Tcp(wanted) = address else { return false };
        let held = |id: &ListenerId| match self.listeners.get(id)? {
            Place { address: Address::Tcp(held), door: Some(_) } if held.port() == wanted.port() => Some((*id, *held)),
            _ => None,
        };
        let old: Vec<_> = self.machine.old_listeners(config).filter_map(|(id, _)| held(&id)).collect();
        for (id, _) in &old {
            // Connections that already wait in the backlog are still accepted.
            self.accept(*id);
            if let Some(place) = self.listeners.get_mut(id) {
                place.door = None;
            }
        }
        let has_room = !old.is_empty();
        closed.extend(old);
        has_room
    }

    /// Rebinds the `closed` listeners, and returns `error` with any further failure added.
    fn listen_again(&mut self, closed: Vec<(ListenerId, SocketAddr)>, mut error: BindError) -> BindError {
        for (id, address) in closed {
            let again = OsListener::bind(&Listen::lines(address));
            match again.and_then(|listener| Place::watched(&mut self.sockets, id, listener)) {
                Ok(place) => {
                    self.again.push(number(id));
                    self.listeners.insert(id, place);
                }
                Err(other) => {
                    let words = format!("{}; {address}, closed to make room for it, is lost: {other}", error.source);
                    error.source = io::Error::new(error.source.kind(), words);
                }
            }
        }
        error
    }

    /// Closes listeners that never accept again, and resumes paused ones that may accept now.
    pub(super) fn tend_listeners(&mut self) {
        let Self { machine, listeners, again, .. } = self;
        listeners.retain(|&id, place| match machine.accepting(id) {
            Accepting::Never => false,
            Accepting::Now if place.door.as_ref().is_some_and(|door| door.resting) => {
                again.push(number(id));
                true
            }
            Accepting::Now | Accepting::Later => true,
        });
    }
}
