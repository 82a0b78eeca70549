//! A host: its part in the cluster, the bytes under way, and its members.

use super::broker::Broker;
use super::members::Members;
use super::record::Record;
use super::setting::{KEEP, ROOMS, Setting, Tally};
use crate::base::{OutgoingBuf, Random, Time};
use crate::cluster::{Cluster, LinkFault, Output, Submission};
use crate::config;
use crate::facts::{Published as Outcome, RoomAnswer, RoomMessage};
use crate::history::Keep;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::format;
use std::string::String;
use std::sync::Arc;
use std::vec::Vec;

pub(super) struct Host {
    cluster: Cluster,
    setting: Setting,
    client: Option<u32>,
    /// Bytes under way, with the time at which they arrive.
    to_broker: VecDeque<(Time, Vec<u8>)>,
    to_host: VecDeque<(Time, Vec<u8>)>,
    frozen_until: Option<Time>,
    members: Members,
    names: BTreeSet<(&'static str, String)>,
    /// Whether members were last told that a name came or that it left, for each room and name.
    told: BTreeMap<(Arc<str>, Arc<str>), bool>,
    /// Why the last link was of no use.
    pub(super) fault: Option<LinkFault>,
    /// The numbers of the messages that the broker has kept, as far as this host knows.
    pub(super) kept: BTreeSet<u64>,
}

fn cluster(now: Time, config: config::Cluster, seed: u64, setting: Setting) -> Cluster {
    let mut cluster = Cluster::new(now, config, seed);
    cluster.offsets_only = setting.offsets_only;
    cluster
}

impl Host {
    pub(super) fn new(now: Time, seed: u64, setting: Setting, broker: &Broker) -> Self {
        Self {
            cluster: cluster(now, broker.config(), seed, setting),
            setting,
            client: None,
            to_broker: VecDeque::new(),
            to_host: VecDeque::new(),
            frozen_until: None,
            members: Members::default(),
            names: BTreeSet::new(),
            told: BTreeMap::new(),
            fault: None,
            kept: BTreeSet::new(),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.cluster.is_up()
    }

    pub(super) fn publish(&mut self, now: Time, room: &str, number: u64) {
        let (room, message): (Arc<str>, _) = (room.into(), OutgoingBuf::from(&*format!("{number}")));
        let submission = Submission {
            room: &room,
            from: 0,
            request: Some(number),
            key: None,
            except: &[],
            message: &message,
            keep: Keep::messages(KEEP),
        };
        self.cluster.submit(now, &submission);
    }

    pub(super) fn join(&mut self, now: Time, room: &'static str, random: &mut Random) {
        let ask = self.members.join(now, room, random);
        self.cluster.ask(now, &room.into(), Keep::messages(KEEP), true, ask);
    }

    pub(super) fn leave(&mut self, now: Time, room: &'static str, random: &mut Random) {
        if self.members.leave(room, random) {
            self.cluster.release(now, room);
            self.told.retain(|(of, _), _| **of != *room);
        }
    }

    pub(super) fn enter(&mut self, now: Time, room: &'static str, random: &mut Random) {
        let name = format!("{}", random.below(5));
        let info = (random.below(2) == 0).then(|| Arc::from("info"));
        self.cluster.enter(now, (&room.into(), Keep::messages(KEEP)), 0, &name.as_str().into(), info.as_ref());
        self.names.insert((room, name));
    }

    pub(super) fn exit(&mut self, now: Time, room: &'static str, random: &mut Random) {
        let name = format!("{}", random.below(5));
        if self.names.remove(&(room, name.clone())) {
            self.cluster.exit(now, &room.into(), 0, &name.as_str().into());
        }
    }

    pub(super) fn present(&self) -> impl Iterator<Item = (&'static str, String)> + '_ {
        self.names.iter().cloned()
    }

    /// Returns the names that this host knows in a room, if it has members there.
    pub(super) fn names_in(&self, room: &str) -> Option<Vec<String>> {
        if !self.members.are_in(room) {
            return None;
        }
        let names = self.cluster.rooms.get(room)?.people.page(None, 100).names;
        Some(names.iter().map(|present| present.name.as_ref().into()).collect())
    }

    /// Returns a name of which members were last told something else than what is true, if there is one.
    pub(super) fn wrong_news(&self, present: &BTreeSet<(&'static str, String)>) -> Option<String> {
        let is_wrong = |(room, name): &(Arc<str>, Arc<str>), told: bool| {
            told != present.iter().any(|(of, who)| *of == &**room && *who == **name)
        };
        let wrong = self.told.iter().find(|(about, told)| is_wrong(about, **told));
        wrong.map(|((room, name), told)| format!("{name} was last told to be present in {room}: {told}"))
    }

    /// Cuts the connection to the broker. What is under way is lost.
    pub(super) fn cut(&mut self, now: Time, broker: &mut Broker) {
        if let Some(client) = self.client.take() {
            broker.model.disconnect(client);
            self.forget_bytes();
            self.cluster.link_ended(now);
        }
    }

    /// Delivers nothing until a time, in both directions.
    pub(super) fn freeze(&mut self, now: Time, span: Duration) {
        self.frozen_until = Some(now + span);
    }

    pub(super) fn heal(&mut self) {
        self.frozen_until = None;
    }

    /// The host ends without a word, and another one starts in its place.
    pub(super) fn crash(&mut self, now: Time, seed: u64, broker: &mut Broker) {
        if let Some(client) = self.client.take() {
            broker.model.disconnect(client);
        }
        self.forget_bytes();
        self.cluster = cluster(now, broker.config(), seed, self.setting);
        self.members.crash();
        self.names.clear();
        self.told.clear();
        self.kept.clear();
    }

    /// Moves bytes, and lets time pass. Returns `true` if something happened.
    pub(super) fn step(&mut self, now: Time, broker: &mut Broker, random: &mut Random) -> bool {
        let mut is_busy = false;
        if self.cluster.deadline().is_some_and(|at| at <= now) {
            self.cluster.elapsed(now);
            is_busy = true;
        }
        is_busy |= self.take_outputs();
        if self.cluster.take_must_close() {
            if let Some(client) = self.client.take() {
                broker.model.disconnect(client);
            }
            self.forget_bytes();
        }
        if self.client.is_none() && self.cluster.take_wanted_link(now).is_some() {
            self.client = Some(broker.model.connect(now));
            self.cluster.link_connected(now);
        }
        let Some(client) = self.client else { return is_busy };
        if !broker.model.has(client) {
            self.client = None;
            self.forget_bytes();
            self.cluster.link_ended(now);
            return true;
        }
        let delay = Duration::from_millis(random.below(5));
        put(&mut self.to_broker, now + delay, self.cluster.take_output());
        if self.frozen_until.is_some_and(|until| until > now) {
            return is_busy;
        }
        self.frozen_until = None;
        if let Some(bytes) = take(&mut self.to_broker, now, random) {
            broker.model.receive(now, client, &bytes);
            is_busy = true;
        }
        put(&mut self.to_host, now + delay, broker.model.take_output(now, client));
        if let Some(bytes) = take(&mut self.to_host, now, random) {
            self.cluster.received(now, &bytes);
            self.take_outputs();
            is_busy = true;
        }
        is_busy
    }

    pub(super) fn check_members(
        &self,
        ledger: &[Record],
        kept: &BTreeSet<u64>,
        broker: &Broker,
        tally: &mut Tally,
    ) -> Result<(), String> {
        tally.fills += self.cluster.metrics.fills;
        for room in ROOMS {
            self.members.check(room, (ledger, kept), broker.top(room), tally)?;
        }
        Ok(())
    }

    fn take_outputs(&mut self) -> bool {
        let mut took = false;
        while let Some(output) = self.cluster.next_output() {
            took = true;
            match output {
                Output::ToShard(_, RoomMessage::Answer { request, answer }) => {
                    if let RoomAnswer::Published(_) = answer {
                        self.kept.extend(is_kept(&answer).then_some(request));
                    }
                }
                Output::ToHolders(RoomMessage::PresenceChanged { room, name, is_present, .. }) => {
                    if self.members.are_in(&room) {
                        self.told.insert((room, name), is_present);
                    }
                }
                Output::ToShard(_, message) | Output::ToHolders(message) => self.members.handle(message),
                Output::Down(fault) => self.fault = fault.or(self.fault.take()),
                Output::FromHost { .. }
                | Output::HostGone(_)
                | Output::Claimed(..)
                | Output::Refused(_)
                | Output::Up => {}
            }
        }
        took
    }

    fn forget_bytes(&mut self) {
        self.to_broker.clear();
        self.to_host.clear();
    }
}

const fn is_kept(answer: &RoomAnswer) -> bool {
    matches!(answer, RoomAnswer::Published(Outcome::Kept { .. }))
}

fn put(queue: &mut VecDeque<(Time, Vec<u8>)>, at: Time, bytes: Vec<u8>) {
    if !bytes.is_empty() {
        let at = queue.back().map_or(at, |(last, _)| at.max(*last));
        queue.push_back((at, bytes));
    }
}

/// Takes what has arrived, cut at a random place.
fn take(queue: &mut VecDeque<(Time, Vec<u8>)>, now: Time, random: &mut Random) -> Option<Vec<u8>> {
    let (_, bytes) = queue.front_mut().filter(|(at, _)| *at <= now)?;
    let length = 1 + usize::try_from(random.below(bytes.len() as u64)).expect("small");
    let rest = bytes.split_off(if random.below(2) == 0 { length } else { bytes.len() });
    let taken = core::mem::replace(bytes, rest);
    if bytes.is_empty() {
        queue.pop_front();
    }
    Some(taken)
}
