//! A model of a broker, whichever engine it is.

use super::broker_message::BrokerMessage;
use super::model::{self, ModelRedis};
use super::model_nats::{self, ModelNats};
use crate::base::Time;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// A model of a broker, and the last copy of its data.
#[derive(Debug)]
pub(crate) enum ModelBroker {
    Redis { redis: Box<ModelRedis>, copy: Option<model::Data> },
    Nats { nats: Box<ModelNats>, copy: Option<model_nats::Data> },
}

impl ModelBroker {
    pub(crate) fn redis(redis: ModelRedis) -> Self {
        Self::Redis { redis: redis.into(), copy: None }
    }

    pub(crate) fn nats(nats: ModelNats) -> Self {
        Self::Nats { nats: nats.into(), copy: None }
    }

    /// Accepts a connection.
    pub(crate) fn connect(&mut self, now: Time) -> u32 {
        match self {
            Self::Redis { redis, .. } => redis.connect(),
            Self::Nats { nats, .. } => nats.connect(now),
        }
    }

    pub(crate) fn disconnect(&mut self, client: u32) {
        match self {
            Self::Redis { redis, .. } => redis.disconnect(client),
            Self::Nats { nats, .. } => nats.disconnect(client),
        }
    }

    pub(crate) fn has(&self, client: u32) -> bool {
        match self {
            Self::Redis { redis, .. } => redis.has(client),
            Self::Nats { nats, .. } => nats.has(client),
        }
    }

    /// Carries out what is complete in what a client sends.
    pub(crate) fn receive(&mut self, now: Time, client: u32, bytes: &[u8]) {
        match self {
            Self::Redis { redis, .. } => redis.receive(now, client, bytes),
            Self::Nats { nats, .. } => nats.receive(now, client, bytes),
        }
    }

    /// Returns what has come to a client by now.
    pub(crate) fn take_output(&mut self, now: Time, client: u32) -> Vec<u8> {
        match self {
            Self::Redis { redis, .. } => redis.take_output(client),
            Self::Nats { nats, .. } => nats.take_output(now, client),
        }
    }

    /// Copies the data, for a restart that loses what comes after it.
    pub(crate) fn copy(&mut self) {
        match self {
            Self::Redis { redis, copy } => *copy = Some(redis.snapshot()),
            Self::Nats { nats, copy } => *copy = Some(nats.snapshot()),
        }
    }

    /// Returns all messages that hosts whose keys begin with `prefix` have ever published to rooms, in order.
    pub(crate) fn shown(&self, prefix: &str) -> Vec<BrokerMessage> {
        match self {
            Self::Redis { redis, .. } => redis.ledger().iter().filter_map(|message| message.shown(prefix)).collect(),
            Self::Nats { nats, .. } => nats.ledger().iter().filter_map(|message| message.shown(prefix)).collect(),
        }
    }
}
