//! The broker of a world, whichever engine it is, with its faults.

use super::nats::Nats;
use super::record::{Record, text_of};
use super::setting::Setting;
use crate::base::{Random, Time};
use crate::cluster::model::{Data, Faults, ModelRedis, Published};
use crate::cluster::names::Names;
use crate::config;
use crate::history::Position;
use std::boxed::Box;
use std::vec::Vec;

pub(super) struct Redis {
    model: ModelRedis,
    snapshot: Option<Data>,
}

pub(super) enum Broker {
    Redis(Box<Redis>),
    Nats(Box<Nats>),
}

impl Broker {
    /// Draws a broker.
    pub(super) fn new(random: &mut Random, setting: Setting) -> Self {
        if random.below(2) == 0 && !setting.offsets_only {
            return Self::Nats(Nats::new(random).into());
        }
        let mut model = ModelRedis::new();
        model.faults.publishes_first = random.below(2) == 0;
        Self::Redis(Redis { model, snapshot: None }.into())
    }

    /// Returns the configuration of its hosts.
    pub(super) fn config(&self) -> config::Cluster {
        match self {
            Self::Redis(_) => config::Cluster::redis("redis:6379"),
            Self::Nats(_) => config::Cluster::nats("nats:4222"),
        }
    }

    pub(super) fn connect(&mut self, now: Time) -> u32 {
        match self {
            Self::Redis(redis) => redis.model.connect(),
            Self::Nats(nats) => nats.model.connect(now),
        }
    }

    pub(super) fn disconnect(&mut self, client: u32) {
        match self {
            Self::Redis(redis) => redis.model.disconnect(client),
            Self::Nats(nats) => nats.model.disconnect(client),
        }
    }

    pub(super) fn has(&self, client: u32) -> bool {
        match self {
            Self::Redis(redis) => redis.model.has(client),
            Self::Nats(nats) => nats.model.has(client),
        }
    }

    pub(super) fn receive(&mut self, now: Time, client: u32, bytes: &[u8]) {
        match self {
            Self::Redis(redis) => redis.model.receive(now, client, bytes),
            Self::Nats(nats) => nats.model.receive(now, client, bytes),
        }
    }

    pub(super) fn take_output(&mut self, now: Time, client: u32) -> Vec<u8> {
        match self {
            Self::Redis(redis) => redis.model.take_output(client),
            Self::Nats(nats) => nats.model.take_output(now, client),
        }
    }

    /// One of its faults goes on or off.
    pub(super) fn fail(&mut self, now: Time, fault: u64, room: &str, random: &mut Random) {
        match self {
            Self::Redis(redis) => redis.fail(fault, room, random),
            Self::Nats(nats) => nats.fail(now, fault, room, random),
        }
    }

    /// Returns the number of kinds of faults.
    pub(super) const fn faults(&self) -> u64 {
        match self {
            Self::Redis(_) => 12,
            Self::Nats(_) => 17,
        }
    }

    /// Ends all faults.
    pub(super) fn heal(&mut self) {
        match self {
            Self::Redis(redis) => {
                let publishes_first = redis.model.faults.publishes_first;
                redis.model.faults = Faults { publishes_first, ..Faults::default() };
            }
            Self::Nats(nats) => nats.heal(),
        }
    }

    /// Returns all messages of rooms, in order.
    pub(super) fn records(&self) -> Vec<Record> {
        match self {
            Self::Redis(redis) => redis.model.ledger().iter().filter_map(record_of_redis).collect(),
            Self::Nats(nats) => nats.records(),
        }
    }

    /// Returns the offset and the mark of the last message of a room.
    pub(super) fn top(&self, room: &str) -> Option<(u64, u64)> {
        match self {
            Self::Redis(redis) => {
                let [_, offset, mark] = redis.model.top(&names().meta(room))?;
                Some((number(&offset, 10)?, number(&mark, 16)?))
            }
            Self::Nats(nats) => nats.top(room),
        }
    }
}

impl Redis {
    fn fail(&mut self, fault: u64, room: &str, random: &mut Random) {
        let model = &mut self.model;
        match fault {
            3 => self.snapshot = Some(model.snapshot()),
            4 => {
                // The server was killed, and comes back with its last copy, or with all it had.
                model.disconnect_all();
                match self.snapshot.clone() {
                    Some(copy) if random.below(3) > 0 => model.restore(copy),
                    _ => model.forget_scripts(),
                }
            }
            5 if random.below(5) == 0 => {
                model.flush();
                model.disconnect_all();
                self.snapshot = None;
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
