//! A model of a Redis server that shards of a world link to, with faults.

use super::{Act, Actor, Numbered};
use crate::base::{AppIndex, Random, Time};
use crate::cluster::model::{Data, ModelRedis, Work};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;

/// A model of a Redis server, which does what the server of a [`Cluster`](crate::Cluster) does. Cheap to clone.
///
/// Its clock stands still, so that nothing expires there, until [`set_time`](RedisModel::set_time) sets it.
#[derive(Clone)]
pub struct RedisModel(Rc<RefCell<Inner>>);

struct Inner {
    redis: ModelRedis,
    copy: Option<Data>,
    now: Time,
}

/// One connection to a [`RedisModel`], as a peer of a [`World`](super::World).
#[derive(Debug)]
pub struct RedisConnection {
    model: RedisModel,
    client: Option<u32>,
}

/// What a [`RedisModel`] has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisWork {
    /// Commands of all kinds, the others here included.
    pub commands: u64,
    /// Messages that hosts published to rooms.
    pub publishes: u64,
    /// The part of these messages that a history has kept.
    pub kept: u64,
    /// Histories that hosts read.
    pub reads: u64,
    /// Messages that the server sent to subscribers, once for each.
    pub deliveries: u64,
}

impl fmt::Debug for RedisModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisModel").finish_non_exhaustive()
    }
}

impl Default for RedisModel {
    fn default() -> Self {
        Self::new()
    }
}

impl RedisModel {
    /// Creates a server without data.
    #[must_use]
    pub fn new() -> Self {
        Self(Rc::new(RefCell::new(Inner { redis: ModelRedis::new(), copy: None, now: Time::START })))
    }

    /// Creates a connection, which a world can have dialled any number of times.
    #[must_use]
    pub fn connection(&self) -> RedisConnection {
        RedisConnection { model: self.clone(), client: None }
    }

    /// Sets whether what a command publishes comes to its sender before the reply, as in Redis 7.0.
    pub fn publishes_first(&self, is_first: bool) {
        self.0.borrow_mut().redis.faults.publishes_first = is_first;
    }

    /// Sets the clock, by which keys expire.
    pub fn set_time(&self, now: Time) {
        self.0.borrow_mut().now = now;
    }

    /// Sets whether commands are answered, and what is published is delivered to nobody.
    pub fn is_deaf(&self, is_deaf: bool) {
        self.0.borrow_mut().redis.faults.is_deaf = is_deaf;
    }

    /// Sets whether commands that write are refused for lack of memory.
    pub fn is_full(&self, is_full: bool) {
        self.0.borrow_mut().redis.faults.is_full = is_full;
    }

    /// Copies the data, for [`restart`](Self::restart).
    pub fn copy(&self) {
        let mut inner = self.0.borrow_mut();
        inner.copy = Some(inner.redis.snapshot());
    }

    /// Ends all connections, and goes back to the last copy, if there is one and `loses_writes`.
    pub fn restart(&self, loses_writes: bool) {
        let mut inner = self.0.borrow_mut();
        inner.redis.disconnect_all();
        inner.redis.forget_scripts();
        if let Some(copy) = inner.copy.clone().filter(|_| loses_writes) {
            inner.redis.restore(copy);
        }
    }

    /// Returns what the server has done so far.
    #[must_use]
    pub fn work(&self) -> RedisWork {
        let Work { commands, publishes, kept, reads, deliveries } = self.0.borrow().redis.work;
        RedisWork { commands, publishes, kept, reads, deliveries }
    }

    /// Returns all messages that hosts whose keys begin with `prefix` have ever published, in order.
    #[must_use]
    pub fn numbered(&self, prefix: &str) -> Vec<Numbered> {
        let inner = self.0.borrow();
        let shown =
            inner.redis.ledger().iter().filter_map(|published| Some((published.shown(prefix)?, published.was_lost)));
        shown
            .map(|(shown, was_lost)| Numbered {
                room: AppIndex::of_room(&shown.room).1.into(),
                position: shown.position,
                previous: shown.previous,
                except: shown.except,
                message: shown.message,
                was_lost,
            })
            .collect()
    }
}

impl RedisConnection {
    /// Carries out the complete commands in what a host sends. Keys expire as time passes.
    pub fn receive(&mut self, now: Time, bytes: &[u8]) {
        if let Some(client) = self.client {
            self.model.0.borrow_mut().redis.receive(now, client, bytes);
        }
    }
}

impl Actor for RedisConnection {
    fn connected(&mut self, _: &mut Random) -> Vec<u8> {
        self.client = Some(self.model.0.borrow_mut().redis.connect());
        Vec::new()
    }

    fn act(&mut self, _: &mut Random) -> Act {
        let is_there = self.client.is_some_and(|client| self.model.0.borrow().redis.has(client));
        let bytes = self.replies();
        match (is_there, bytes.is_empty()) {
            (false, _) => Act::Leave,
            (true, true) => Act::Wait,
            (true, false) => Act::Say(bytes),
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        let now = self.model.0.borrow().now;
        self.receive(now, bytes);
    }

    fn replies(&mut self) -> Vec<u8> {
        self.client.map(|client| self.model.0.borrow_mut().redis.take_output(client)).unwrap_or_default()
    }

    fn over(&mut self) {
        if let Some(client) = self.client.take() {
            self.model.0.borrow_mut().redis.disconnect(client);
        }
    }
}
