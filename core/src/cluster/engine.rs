//! The link to a broker, whatever its kind.

use super::broker::{Heard, Request};
use super::names::Names;
use super::nats::NatsLink;
use super::redis::RedisLink;
use super::role::Role;
use crate::base::Time;
use crate::config::{Cluster, Engine};
use crate::history::{Keep, Marks};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// A link to a broker. `P` says for what a request is.
#[derive(Debug)]
pub(super) enum Link<P> {
    Redis(Box<RedisLink<P>>),
    Nats(Box<NatsLink<P>>),
}

/// What a new link needs besides the options.
#[derive(Debug)]
pub(super) struct Start {
    /// The number of this host.
    pub(super) host: u64,
    pub(super) role: Role,
    pub(super) marks: Marks,
}

impl<P> Link<P> {
    /// Begins a link over a new connection.
    pub(super) fn new(now: Time, options: &Cluster, names: Names, start: Start) -> Self {
        match &options.engine {
            Engine::Redis(redis) => Self::Redis(Box::new(RedisLink::new(now, redis, names, start.host, start.role))),
            Engine::Nats(nats) => {
                let must_begin_tls = options.dial.tls.is_some() && !nats.is_tls_first;
                Self::Nats(Box::new(NatsLink::new(
                    now,
                    nats,
                    (&options.prefix, start.host),
                    must_begin_tls,
                    start.marks,
                )))
            }
        }
    }

    /// Returns what is at the addresses of the options, or at that of a master.
    pub(super) fn role(engine: &Engine, is_master: bool) -> Role {
        match engine {
            Engine::Redis(redis) if redis.sentinel.is_some() && !is_master => Role::Sentinel,
            Engine::Redis(_) | Engine::Nats(_) => Role::Broker,
        }
    }

    /// Sends a request.
    pub(super) fn request(&mut self, now: Time, request: Request, purpose: P) {
        match self {
            Self::Redis(link) => link.request(now, request, purpose),
            Self::Nats(link) => link.request(now, request, purpose),
        }
    }

    /// Begins to hear what is published to rooms.
    pub(super) fn subscribe<'r>(&mut self, now: Time, rooms: impl Iterator<Item = (&'r str, Keep)>) {
        match self {
            Self::Redis(link) => link.subscribe(now, rooms),
            Self::Nats(link) => rooms.for_each(|(room, keep)| link.subscribe(room, keep)),
        }
    }

    /// Stops hearing what is published to a room.
    pub(super) fn unsubscribe(&mut self, now: Time, room: &str) {
        match self {
            Self::Redis(link) => link.unsubscribe(now, room),
            Self::Nats(link) => link.unsubscribe(room),
        }
    }

    /// Handles bytes from the broker.
    pub(super) fn received(&mut self, now: Time, bytes: &[u8]) {
        match self {
            Self::Redis(link) => link.received(now, bytes),
            Self::Nats(link) => link.received(now, bytes),
        }
    }

    /// Returns what to send.
    pub(super) fn take_output(&mut self) -> Vec<u8> {
        match self {
            Self::Redis(link) => link.take_output(),
            Self::Nats(link) => link.take_output(),
        }
    }

    /// Returns `true` if there is something to send.
    pub(super) fn has_output(&self) -> bool {
        match self {
            Self::Redis(link) => link.has_output(),
            Self::Nats(link) => link.has_output(),
        }
    }

    /// Returns what was heard next.
    pub(super) fn next_heard(&mut self) -> Option<Heard<P>> {
        match self {
            Self::Redis(link) => link.next_heard(),
            Self::Nats(link) => link.next_heard(),
        }
    }

    /// Handles the passing of time.
    pub(super) fn elapsed(&mut self, now: Time) {
        match self {
            Self::Redis(link) => link.elapsed(now),
            Self::Nats(link) => link.elapsed(now),
        }
    }

    /// Returns the time at which [`elapsed`](Self::elapsed) is due.
    pub(super) fn deadline(&self) -> Option<Time> {
        match self {
            Self::Redis(link) => link.deadline(),
            Self::Nats(link) => link.deadline(),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        match self {
            Self::Redis(link) => link.is_up(),
            Self::Nats(link) => link.is_up(),
        }
    }

    /// Returns `true` if too much waits for answers.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Redis(link) => link.is_full(),
            Self::Nats(link) => link.is_full(),
        }
    }

    /// Returns `true` if a live message may come before the answer to a read that lacks it.
    pub(super) const fn may_be_early(&self) -> bool {
        matches!(self, Self::Nats(_))
    }

    /// Ends the link. Returns what waits for its answer, in the order of the requests.
    pub(super) fn end(self) -> Vec<(Request, P)> {
        match self {
            Self::Redis(link) => link.end().collect(),
            Self::Nats(link) => link.end(),
        }
    }
}
