//! Models of brokers that shards of a world link to, with faults.

use super::{Act, Actor};
use crate::base::{AppIndex, Random, Time};
pub use crate::cluster::broker_message::BrokerMessage;
use crate::cluster::model::{self, ModelRedis};
use crate::cluster::model_broker::ModelBroker;
use crate::cluster::model_nats::{Login, ModelNats};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;

/// A model of a Redis server or a nats-server, which does what the broker of a [`Cluster`](crate::Cluster) does. Cheap
/// to clone.
///
/// Its clock stands still, so that nothing expires there, until [`set_time`](BrokerModel::set_time) sets it.
#[derive(Clone)]
pub struct BrokerModel(Rc<RefCell<Inner>>);

struct Inner {
    model: ModelBroker,
    now: Time,
}

/// One connection to a [`BrokerModel`], as a peer of a [`World`](super::World).
#[derive(Debug)]
pub struct BrokerConnection {
    model: BrokerModel,
    client: Option<u32>,
}

/// What a model of a Redis server has done so far.
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

impl fmt::Debug for BrokerModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerModel").finish_non_exhaustive()
    }
}

impl BrokerModel {
    /// Creates a Redis server without data.
    #[must_use]
    pub fn redis() -> Self {
        Self::new(ModelBroker::redis(ModelRedis::new()))
    }

    /// Creates a Redis server without data, where what a command publishes comes to its sender before the reply, as in
    /// Redis 7.0.
    #[must_use]
    pub fn redis_that_publishes_first() -> Self {
        let mut redis = ModelRedis::new();
        redis.faults.publishes_first = true;
        Self::new(ModelBroker::redis(redis))
    }

    /// Creates a nats-server with JetStream and without data, to which everybody may log in.
    #[must_use]
    pub fn nats(seed: u64) -> Self {
        Self::new(ModelBroker::nats(ModelNats::new(1, Login::None, seed)))
    }

    fn new(model: ModelBroker) -> Self {
        Self(Rc::new(RefCell::new(Inner { model, now: Time::START })))
    }

    /// Creates a connection, which a world can have dialled any number of times.
    #[must_use]
    pub fn connection(&self) -> BrokerConnection {
        BrokerConnection { model: self.clone(), client: None }
    }

    /// Sets the clock, by which keys and messages expire.
    pub fn set_time(&self, now: Time) {
        self.0.borrow_mut().now = now;
    }

    /// Sets whether commands are answered, and what is published is delivered to nobody.
    pub fn is_deaf(&self, is_deaf: bool) {
        match &mut self.0.borrow_mut().model {
            ModelBroker::Redis { redis, .. } => redis.faults.is_deaf = is_deaf,
            ModelBroker::Nats { nats, .. } => nats.faults.is_deaf = is_deaf,
        }
    }

    /// Sets whether what would be kept is refused for lack of memory.
    pub fn is_full(&self, is_full: bool) {
        match &mut self.0.borrow_mut().model {
            ModelBroker::Redis { redis, .. } => redis.faults.is_full = is_full,
            ModelBroker::Nats { nats, .. } => nats.faults.is_full = is_full,
        }
    }

    /// Copies the data, for [`restart`](Self::restart).
    pub fn copy(&self) {
        self.0.borrow_mut().model.copy();
    }

    /// Ends all connections, and goes back to the last copy, if there is one and `loses_writes`.
    pub fn restart(&self, loses_writes: bool) {
        match &mut self.0.borrow_mut().model {
            ModelBroker::Redis { redis, copy } => {
                redis.disconnect_all();
                redis.forget_scripts();
                if let Some(copy) = copy.clone().filter(|_| loses_writes) {
                    redis.restore(copy);
                }
            }
            ModelBroker::Nats { nats, copy } => {
                if let Some(copy) = copy.clone().filter(|_| loses_writes) {
                    nats.restore(copy);
                }
                nats.restart();
            }
        }
    }

    /// Announces that the server is about to end, if it is a nats-server (lame duck mode). Redis has no such word.
    pub fn announce_end(&self) {
        let Inner { model, now } = &mut *self.0.borrow_mut();
        if let ModelBroker::Nats { nats, .. } = model {
            nats.begin_lame_duck(*now);
        }
    }

    /// Returns what a Redis server has done so far. All is 0 for other brokers.
    #[must_use]
    pub fn work(&self) -> RedisWork {
        let ModelBroker::Redis { redis, .. } = &self.0.borrow().model else { return RedisWork::default() };
        let model::Work { commands, publishes, kept, reads, deliveries } = redis.work;
        RedisWork { commands, publishes, kept, reads, deliveries }
    }

    /// Returns all messages that hosts of a cluster with this prefix have ever published to rooms, in order.
    #[must_use]
    pub fn messages(&self, prefix: &str) -> Vec<BrokerMessage> {
        let mut messages = self.0.borrow().model.shown(prefix);
        for message in &mut messages {
            message.room = AppIndex::of_room(&message.room).1.into();
        }
        messages
    }
}

impl BrokerConnection {
    /// Carries out what is complete in what a host sends. Keys and messages expire as time passes.
    pub fn receive(&mut self, now: Time, bytes: &[u8]) {
        if let Some(client) = self.client {
            self.model.0.borrow_mut().model.receive(now, client, bytes);
        }
    }
}

impl Actor for BrokerConnection {
    fn connected(&mut self, _: &mut Random) -> Vec<u8> {
        let Inner { model, now } = &mut *self.model.0.borrow_mut();
        self.client = Some(model.connect(*now));
        Vec::new()
    }

    fn act(&mut self, _: &mut Random) -> Act {
        let is_there = self.client.is_some_and(|client| self.model.0.borrow().model.has(client));
        let bytes = self.replies();
        match (is_there, bytes.is_empty()) {
            (_, false) => Act::Say(bytes),
            (true, true) => Act::Wait,
            (false, true) => Act::Leave,
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        let now = self.model.0.borrow().now;
        self.receive(now, bytes);
    }

    fn replies(&mut self) -> Vec<u8> {
        let Inner { model, now } = &mut *self.model.0.borrow_mut();
        self.client.map(|client| model.take_output(*now, client)).unwrap_or_default()
    }

    fn over(&mut self) {
        if let Some(client) = self.client.take() {
            self.model.0.borrow_mut().model.disconnect(client);
        }
    }
}
