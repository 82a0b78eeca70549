//! The broker: a model of Redis whose commands take time, behind a network with a speed.

use super::host::Host;
use super::link::{Link, part};
use super::numbers::{float, whole};
use super::options::{Figures, Options};
use drupe_core::sim::{Actor, BrokerModel, RedisWork};
use drupe_core::{Random, Time};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

pub(super) struct Broker {
    model: BrokerModel,
    /// The links, by the numbers of their hosts.
    links: BTreeMap<usize, Link>,
    links_so_far: u64,
    queue: VecDeque<Queued>,
    figures: Figures,
    one_way: Duration,
    /// Until when the server is occupied with commands that it has begun.
    busy_until: Time,
    /// Whether commands and the network take no time, while a run is set up.
    is_free: bool,
    /// When each host last renewed its lease.
    leases: BTreeMap<usize, Time>,
    random: Random,
    pub(super) seen: Seen,
}

struct Queued {
    host: usize,
    link: u64,
    sent_at: Time,
    command: Vec<u8>,
}

/// What the broker has done in a part of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// Number of commands that arrived, and that were carried out.
    pub(super) received: u64,
    pub(super) ran: u64,
    /// The time that these took.
    pub(super) spent: Duration,
    /// The part of this time that sending to subscribers took.
    pub(super) spent_on_deliveries: Duration,
    /// Bytes for hosts.
    pub(super) bytes_out: u64,
    pub(super) work: RedisWork,
    /// Longest time from sending a command to its answer.
    pub(super) wait_max: Duration,
    /// Most bytes of commands of one link that waited for answers.
    pub(super) unanswered_max: usize,
    /// Most bytes for one host that waited for the network.
    pub(super) unread_max: usize,
    /// Longest time between two renewals of a lease.
    pub(super) lease_max: Duration,
    /// Links that the broker closed because their hosts were sent more than the network carries.
    pub(super) closed: u64,
}

impl Broker {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            model: BrokerModel::redis(),
            links: BTreeMap::new(),
            links_so_far: 0,
            queue: VecDeque::new(),
            figures: options.figures.clone(),
            one_way: Duration::from_micros(options.one_way_us),
            busy_until: Time::START,
            is_free: true,
            leases: BTreeMap::new(),
            random: Random::new(options.seed),
            seen: Seen::default(),
        }
    }

    /// From now on, commands and the network take their time.
    pub(super) const fn charge(&mut self) {
        self.is_free = false;
    }

    /// Returns the counts so far, and sets them to zero.
    pub(super) fn take_seen(&mut self, now: Time) -> Seen {
        for at in self.leases.values() {
            self.seen.lease_max = self.seen.lease_max.max(now.since(*at));
        }
        for link in self.links.values() {
            let oldest = link.oldest_unanswered();
            self.seen.wait_max = self.seen.wait_max.max(oldest.map_or(Duration::ZERO, |at| now.since(at)));
        }
        if let Some(first) = self.queue.front() {
            self.seen.wait_max = self.seen.wait_max.max(now.since(first.sent_at));
        }
        std::mem::take(&mut self.seen)
    }

    pub(super) fn connect(&mut self, host: usize) {
        let mut connection = self.model.connection();
        connection.connected(&mut self.random);
        self.links_so_far += 1;
        self.links.insert(host, Link::new(connection, self.links_so_far));
    }

    pub(super) fn disconnect(&mut self, host: usize) {
        if let Some(mut link) = self.links.remove(&host) {
            link.connection.over();
        }
    }

    /// Ends all links and forgets the commands that wait, and nothing else.
    pub(super) fn restart(&mut self, back_at: Time) {
        self.model.restart(false);
        self.links.clear();
        self.queue.clear();
        self.busy_until = back_at;
    }

    /// Returns how many histories were read over the link of a host.
    pub(super) fn reads(&self, host: usize) -> Option<u64> {
        self.links.get(&host).map(|link| link.reads)
    }

    /// Takes what a host sends. It arrives at `now`.
    pub(super) fn receive(&mut self, now: Time, host: usize, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(&host) else { return };
        let sent_at = now.minus_nanos(u64::try_from(self.one_way.as_nanos()).unwrap_or(u64::MAX));
        for command in link.take_commands(bytes) {
            self.seen.received += 1;
            self.queue.push_back(Queued { host, link: link.number, sent_at, command });
        }
        self.seen.unanswered_max = self.seen.unanswered_max.max(link.unanswered);
    }

    /// Carries out the commands that end until `now`, and takes what the model has written.
    pub(super) fn run(&mut self, now: Time) {
        let mut has_run = false;
        while self.busy_until < now || self.is_free {
            let Some(Queued { host, link, sent_at, command }) = self.queue.pop_front() else { break };
            let Some(found) = self.links.get_mut(&host).filter(|found| found.number == link) else { continue };
            if matches!(part(&command, 0), Some(b"SET" | b"GETEX"))
                && part(&command, 1).is_some_and(|key| key.windows(7).any(|part| part == b":lease:"))
            {
                let before = self.leases.insert(host, now).unwrap_or(now);
                self.seen.lease_max = self.seen.lease_max.max(now.since(before));
            }
            let before = self.model.work();
            found.connection.receive(now, &command);
            found.has_run(sent_at, command.len());
            let did = difference(self.model.work(), before);
            found.reads += did.reads;
            self.charge_for(did, sent_at + self.one_way);
            has_run = true;
        }
        if has_run {
            for link in self.links.values_mut() {
                self.seen.bytes_out += link.take_output() as u64;
                self.seen.unread_max = self.seen.unread_max.max(link.unread());
            }
        }
    }

    fn charge_for(&mut self, did: RedisWork, arrived_at: Time) {
        let Figures { broker_kept, broker_plain, broker_deliveries, broker_reads, broker_commands, .. } = self.figures;
        let time = |count: u64, per_second: u64| Duration::from_nanos(whole(float(count) * 1e9 / float(per_second)));
        let deliveries = time(did.deliveries, broker_deliveries);
        let others = did.commands.saturating_sub(did.publishes + did.reads);
        let spent = time(did.kept, broker_kept)
            + time(did.publishes - did.kept, broker_plain)
            + time(did.reads, broker_reads)
            + time(others, broker_commands)
            + deliveries;
        self.seen.ran += 1;
        self.seen.spent += spent;
        self.seen.spent_on_deliveries += deliveries;
        add(&mut self.seen.work, did);
        self.busy_until = self.busy_until.max(arrived_at) + if self.is_free { Duration::ZERO } else { spent };
    }

    /// Carries to the hosts what the networks can carry in one step of the clock. It arrives one step later.
    ///
    /// Returns the hosts whose links end because too much waits for them.
    pub(super) fn carry(&mut self, now: Time, hosts: &mut [Host]) -> Vec<usize> {
        let in_step = |per_second: u64| {
            let bytes = whole(float(per_second) * self.one_way.as_secs_f64());
            if self.is_free { usize::MAX } else { usize::try_from(bytes).unwrap_or(usize::MAX) }
        };
        let (mut left, to_host) = (in_step(self.figures.broker_network), in_step(self.figures.host_network));
        let waiting = self.links.values().filter(|link| link.unread() > 0).count().max(1);
        // Each link gets its share first, and then what the others have left.
        let share = to_host.min(left / waiting);
        for (&host, link) in &mut self.links {
            left -= link.carry(share, &mut hosts[host].from_broker);
        }
        for (&host, link) in &mut self.links {
            if left > 0 {
                left -= link.carry(left.min(to_host - share), &mut hosts[host].from_broker);
            }
        }
        let mut closed = Vec::new();
        for (&host, link) in &mut self.links {
            if let Some(sent_at) = link.take_oldest_answered() {
                self.seen.wait_max = self.seen.wait_max.max((now + self.one_way).since(sent_at));
            }
            if !self.is_free && link.unread() as u64 > self.figures.broker_unread {
                closed.push(host);
            }
        }
        self.seen.closed += closed.len() as u64;
        closed
    }

    /// Returns `true` if nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.links.values().all(|link| link.unread() == 0)
    }

    /// Returns `true` if so much waits that going on would need too much memory, and shows nothing new.
    pub(super) fn is_flooded(&self) -> bool {
        let unread: usize = self.links.values().map(Link::unread).sum();
        unread > UNREAD_MAX || self.queue.len() > QUEUE_MAX
    }
}

/// Bytes and commands above which a part of a run ends early.
const UNREAD_MAX: usize = 2 << 30;
const QUEUE_MAX: usize = 2_000_000;

fn difference(after: RedisWork, before: RedisWork) -> RedisWork {
    let mut work = after;
    work.commands -= before.commands;
    work.publishes -= before.publishes;
    work.kept -= before.kept;
    work.reads -= before.reads;
    work.deliveries -= before.deliveries;
    work
}

const fn add(work: &mut RedisWork, more: RedisWork) {
    work.commands += more.commands;
    work.publishes += more.publishes;
    work.kept += more.kept;
    work.reads += more.reads;
    work.deliveries += more.deliveries;
}
