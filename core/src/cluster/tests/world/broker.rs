//! The broker of a world, whichever engine it is, with its faults.

use super::nats;
use super::record::{Record, text_of};
use super::setting::Setting;
use crate::base::{Random, Time};
use crate::cluster::model::{Data, Faults, ModelRedis, Published};
use crate::cluster::model_broker::ModelBroker;
use crate::cluster::model_nats;
use crate::cluster::names::Names;
use crate::config;
use crate::history::Position;
use std::vec::Vec;

pub(super) struct Broker {
    pub(super) model: ModelBroker,
    /// The longest time that NATS takes, without a fault.
    late_ms: u64,
}

impl Broker {
    /// Draws a broker.
    pub(super) fn new(random: &mut Random, setting: Setting) -> Self {
        if random.below(2) == 0 && !setting.offsets_only {
            let (model, late_ms) = nats::draw(random);
            return Self { model: ModelBroker::nats(model), late_ms };
        }
        let mut model = ModelRedis::new();
        model.faults.publishes_first = random.below(2) == 0;
        Self { model: ModelBroker::redis(model), late_ms: 0 }
    }

    /// Returns the configuration of its hosts.
    pub(super) fn config(&self) -> config::Cluster {
        match self.model {
            ModelBroker::Redis { .. } => config::Cluster::redis("redis:6379"),
            ModelBroker::Nats { .. } => config::Cluster::nats("nats:4222"),
        }
    }

    /// One of its faults goes on or off.
    pub(super) fn fail(&mut self, now: Time, fault: u64, room: &str, random: &mut Random) {
        match &mut self.model {
            ModelBroker::Redis { redis, copy } => fail_redis(redis, copy, fault, room, random),
            ModelBroker::Nats { nats, copy } => nats::fail(nats, copy, self.late_ms, now, fault, room, random),
        }
    }

    /// Returns the number of kinds of faults.
    pub(super) const fn faults(&self) -> u64 {
        match self.model {
            ModelBroker::Redis { .. } => 12,
            ModelBroker::Nats { .. } => 17,
        }
    }

    /// Ends all faults.
    pub(super) fn heal(&mut self) {
        match &mut self.model {
            ModelBroker::Redis { redis, .. } => {
                let publishes_first = redis.faults.publishes_first;
                redis.faults = Faults { publishes_first, ..Faults::default() };
            }
            ModelBroker::Nats { nats, .. } => {
                nats.faults = model_nats::Faults { late_ms: self.late_ms, ..model_nats::Faults::default() };
            }
        }
    }

    /// Returns all messages of rooms, in order.
    pub(super) fn records(&self) -> Vec<Record> {
        match &self.model {
            ModelBroker::Redis { redis, .. } => redis.ledger().iter().filter_map(record_of_redis).collect(),
            ModelBroker::Nats { nats, .. } => nats::records(nats),
        }
    }

    /// Returns the offset and the mark of the last message of a room.
    pub(super) fn top(&self, room: &str) -> Option<(u64, u64)> {
        match &self.model {
            ModelBroker::Redis { redis, .. } => {
                let [_, offset, mark] = redis.top(&names().meta(room))?;
                Some((number(&offset, 10)?, number(&mark, 16)?))
            }
            ModelBroker::Nats { nats, .. } => nats::top(nats, room),
        }
    }
}

fn fail_redis(model: &mut ModelRedis, copy: &mut Option<Data>, fault: u64, room: &str, random: &mut Random) {
    match fault {
        3 => *copy = Some(model.snapshot()),
        4 => {
            // The server was killed, and comes back with its last copy, or with all it had.
            model.disconnect_all();
            match copy.clone() {
                Some(copy) if random.below(3) > 0 => model.restore(copy),
                _ => model.forget_scripts(),
            }
        }
        5 if random.below(5) == 0 => {
            model.flush();
            model.disconnect_all();
            *copy = None;
        }
        6 => model.faults.is_deaf = !model.faults.is_deaf,
        7 => model.faults.is_full = !model.faults.is_full,
        8 => model.forget_scripts(),
        9 => match random.below(3) {
            0 => model.evict(&names().meta(room)),
            1 => model.evict(&names().stream(room)),
            _ => model.evict(&names().hosts(room)),
        },
        10 => {
            // A demoted master ends its clients, and refuses writes for a while.
            model.faults.is_replica = !model.faults.is_replica;
            model.disconnect_all();
        }
        _ => {}
    }
}

fn record_of_redis(published: &Published) -> Option<Record> {
    let Published { number: place, channel, epoch, offset, mark, data, was_lost, .. } = published;
    Some(Record {
        number: *place,
        room: names().room_of(channel)?,
        position: Position::new(number(epoch, 16)?, *offset, number(mark, 16)?),
        text: Some(text_of(data.clone())),
        was_lost: *was_lost,
    })
}

fn names() -> Names {
    Names::new("drupe".into())
}

fn number(digits: &[u8], base: u32) -> Option<u64> {
    u64::from_str_radix(core::str::from_utf8(digits).ok()?, base).ok()
}
