//! All hosts and their broker, driven by one virtual clock.

use super::broker::{Broker, Seen};
use super::crowd::Plan;
use super::host::Host;
use super::limits::passed;
use super::numbers::{float, whole};
use super::options::Options;
use super::report::{Repair, Step};
use drupe_core::{Metrics, Random, Time};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Connections that a host accepts at once while a run is set up.
const BATCH: u64 = 500;
/// With fewer hosts that have work in a step of the clock, threads cost more than they save.
const SHARED_FROM: usize = 8;

/// A simulation of a cluster.
pub struct Run {
    options: Options,
    plan: Plan,
    hosts: Vec<Host>,
    broker: Broker,
    /// The random choices of who publishes.
    random: Random,
    now: Time,
    /// When the broker is back. `None`: it is there.
    broker_back_at: Option<Time>,
    /// The part of a message that is due.
    due: f64,
    steps: u64,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("options", &self.options).field("now", &self.now).finish_non_exhaustive()
    }
}

impl Run {
    /// Starts all hosts, connects them and all members, and lets the time without messages pass.
    ///
    /// # Panics
    /// If a connection can't join its rooms, for lack of memory.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let plan = Plan::new(&options);
        let mut run = Self {
            plan,
            hosts: (0..options.hosts).map(|number| Host::new(&options, plan, number)).collect(),
            broker: Broker::new(&options),
            random: Random::new(options.seed),
            now: Time::START,
            broker_back_at: None,
            due: 0.0,
            steps: 0,
            options,
        };
        // The hosts read after a random wait once their links work.
        run.pass(Duration::from_secs(1));
        let most = plan.connections_of(0);
        for from in (0..most).step_by(usize::try_from(BATCH).unwrap_or(1)) {
            for (number, host) in (0..).zip(&mut run.hosts) {
                host.accept(run.now, plan.connections_of(number).saturating_sub(from).min(BATCH));
            }
            run.rest();
        }
        run.broker.charge();
        run.pass(Duration::from_secs(run.options.quiet_seconds));
        run.broker.take_seen(run.now);
        run
    }

    /// Returns the current virtual time.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// Runs the next step: the load, and unless a limit is passed a restart of the broker under this load.
    pub fn step(&mut self) -> Step {
        let rate = self.next_rate();
        let mut step = self.load(rate);
        step.passed = passed(&step, &self.options);
        if step.passed.is_empty() {
            let before = self.gaps();
            let (repair, seen) = self.repair(rate);
            step.lease_max = step.lease_max.max(seen.lease_max.as_secs_f64());
            step.unread_max = step.unread_max.max(seen.unread_max as u64);
            step.links_closed += seen.closed;
            step.repair = Some(repair);
            step.gaps = less(self.gaps(), &before);
            step.passed = passed(&step, &self.options);
        }
        step
    }

    fn next_rate(&mut self) -> u64 {
        let growth = 1.0 + float(self.options.growth) / 100.0;
        let rate = float(self.options.rate) * (0..self.steps).map(|_| growth).product::<f64>();
        self.steps += 1;
        whole(rate)
    }

    fn load(&mut self, rate: u64) -> Step {
        let before: Vec<Metrics> = self.hosts.iter().map(Host::metrics).collect();
        let sent_before: Vec<u64> = self.hosts.iter().map(|host| host.to_members).collect();
        let (began, gaps) = (self.now, self.gaps());
        self.broker.take_seen(self.now);
        let until = began + Duration::from_secs(self.options.seconds);
        while self.now < until && !self.broker.is_flooded() {
            self.publish(rate);
            self.tick();
        }
        let (seconds, seen) = (self.now.since(began).as_secs_f64(), self.broker.take_seen(self.now));
        let each = |count: u64| float(count) / seconds;
        // What the broker had no time for would have cost as much as the rest.
        let backlog = if seen.ran == 0 { 1.0 } else { float(seen.received.max(seen.ran)) / float(seen.ran) };
        let of_hosts: Vec<(Metrics, &Metrics)> = self.hosts.iter().map(Host::metrics).zip(&before).collect();
        let sent: Vec<u64> = self
            .hosts
            .iter()
            .zip(sent_before)
            .map(|(host, before)| (host.to_members - before) / (self.options.bytes + 1))
            .collect();
        let sum = |count: &dyn Fn(&Metrics) -> u64| -> u64 {
            of_hosts.iter().map(|(after, before)| count(after) - count(before)).sum()
        };
        let most = |count: &dyn Fn(&Metrics) -> u64| -> u64 {
            of_hosts.iter().map(|(after, before)| count(after) - count(before)).max().unwrap_or(0)
        };
        Step {
            number: self.steps,
            rate,
            seconds,
            publishes: each(seen.work.publishes),
            commands: each(seen.received),
            broker_deliveries: each(seen.work.deliveries),
            broker_busy: seen.spent.as_secs_f64() / seconds * backlog,
            busy_on_deliveries: seen.spent_on_deliveries.as_secs_f64() / seconds * backlog,
            broker_bytes: each(seen.bytes_out) * backlog,
            host_deliveries: each(sent.iter().sum()) / float(self.options.hosts),
            host_deliveries_max: each(sent.iter().copied().max().unwrap_or(0)),
            host_bytes_max: each(most(&|metrics| metrics.bytes_out).max(most(&|metrics| metrics.bytes_in))),
            unanswered_max: seen.unanswered_max as u64,
            wait_max: seen.wait_max.as_secs_f64(),
            unread_max: seen.unread_max as u64,
            links_closed: seen.closed,
            links_lost: sum(&|metrics| metrics.cluster.losses),
            refused: sum(&|metrics| metrics.cluster.refused),
            unknown: sum(&|metrics| metrics.cluster.unknown),
            gaps: less(self.gaps(), &gaps),
            lease_max: seen.lease_max.as_secs_f64(),
            repair: None,
            passed: Vec::new(),
        }
    }

    /// Restarts the broker with all its data, and waits until each host has read all its rooms again.
    fn repair(&mut self, rate: u64) -> (Repair, Seen) {
        let before = self.repaired();
        let rooms: Vec<u64> = self.hosts.iter().map(|host| host.metrics().cluster.rooms).collect();
        let back_at = self.now + Duration::from_millis(self.options.outage_ms);
        self.broker.restart(back_at);
        self.broker_back_at = Some(back_at);
        for host in &mut self.hosts {
            host.lose_link(self.now);
        }
        let until = back_at + Duration::from_secs(self.options.figures.repair_seconds);
        let is_repaired = |run: &Self| {
            (0..).zip(&rooms).all(|(host, rooms)| run.broker.reads(host).is_some_and(|reads| reads >= *rooms))
        };
        self.broker.take_seen(self.now);
        while self.now < until && !is_repaired(self) && !self.broker.is_flooded() {
            self.publish(rate);
            self.tick();
        }
        let seconds = is_repaired(self).then(|| self.now.since(back_at).as_secs_f64());
        // The next step begins with an empty queue, and without the messages that were missed.
        self.rest();
        let after = self.repaired();
        let (fills, filled, refused) = (after.0 - before.0, after.1 - before.1, after.2 - before.2);
        (Repair { seconds, fills, filled, refused }, self.broker.take_seen(self.now))
    }

    /// Returns how many histories were read so far, with how many messages, and how many messages were refused.
    fn repaired(&self) -> (u64, u64, u64) {
        self.hosts.iter().fold((0, 0, 0), |(fills, filled, refused), host| {
            let cluster = host.metrics().cluster;
            (fills + cluster.fills, filled + cluster.filled, refused + cluster.refused)
        })
    }

    /// Has members publish what is due in one step of the clock.
    fn publish(&mut self, rate: u64) {
        self.due += float(rate) * self.step_length().as_secs_f64();
        let count = whole(self.due.floor());
        self.due -= float(count);
        for _ in 0..count {
            let room = self.random.below(self.plan.rooms());
            let member = self.random.below(self.plan.members());
            let (host, number) = self.plan.place(self.plan.member(room, member));
            if let (Ok(host), Ok(number)) = (usize::try_from(host), usize::try_from(number)) {
                self.hosts[host].publishes.push((number, room));
            }
        }
    }

    const fn step_length(&self) -> Duration {
        Duration::from_micros(self.options.one_way_us)
    }

    fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        while self.now < until {
            self.tick();
        }
    }

    /// Waits until nothing is on its way, and at most for a minute.
    fn rest(&mut self) {
        let until = self.now + Duration::from_secs(60);
        loop {
            self.tick();
            let is_quiet = |host: &Host| host.from_broker.is_empty() && host.to_broker.is_empty();
            if self.now >= until || self.broker.is_idle() && self.hosts.iter().all(is_quiet) {
                return;
            }
        }
    }

    /// Advances the clock by one step, which is the time from a host to the broker.
    fn tick(&mut self) {
        self.connect();
        self.turn_hosts();
        self.now = self.now + self.step_length();
        for (number, host) in self.hosts.iter_mut().enumerate() {
            if std::mem::take(&mut host.has_closed_link) {
                self.broker.disconnect(number);
            }
            if !host.to_broker.is_empty() {
                self.broker.receive(self.now, number, &host.to_broker);
                host.to_broker.clear();
            }
        }
        self.broker.run(self.now);
        for number in self.broker.carry(self.now, &mut self.hosts) {
            self.broker.disconnect(number);
            self.hosts[number].lose_link(self.now);
        }
    }

    /// Connects the hosts that want a link, if the broker is there.
    fn connect(&mut self) {
        self.broker_back_at = self.broker_back_at.filter(|at| *at > self.now);
        let is_there = self.broker_back_at.is_none();
        for (number, host) in self.hosts.iter_mut().enumerate() {
            if host.wants_link() {
                self.broker.disconnect(number);
                host.has_closed_link = false;
                if host.dialed(self.now, is_there) {
                    self.broker.connect(number);
                }
            }
        }
    }

    fn turn_hosts(&mut self) {
        let now = self.now;
        let busy = self.hosts.iter().filter(|host| host.has_work(now)).count();
        let threads = if busy < SHARED_FROM { 1 } else { usize::try_from(self.options.threads).unwrap_or(1) };
        let size = self.hosts.len().div_ceil(threads).min(self.hosts.len());
        let turn =
            |hosts: &mut [Host]| hosts.iter_mut().filter(|host| host.has_work(now)).for_each(|host| host.turn(now));
        let (first, others) = self.hosts.split_at_mut(size);
        std::thread::scope(|scope| {
            others.chunks_mut(size).for_each(|part| drop(scope.spawn(move || turn(part))));
            turn(first);
        });
    }

    fn gaps(&self) -> BTreeMap<&'static str, u64> {
        let mut sum = BTreeMap::new();
        for (why, count) in self.hosts.iter().flat_map(|host| &host.crowd().gaps) {
            *sum.entry(*why).or_default() += count;
        }
        sum
    }
}

fn less(mut counts: BTreeMap<&'static str, u64>, before: &BTreeMap<&'static str, u64>) -> BTreeMap<&'static str, u64> {
    for (why, count) in before {
        if let Some(found) = counts.get_mut(why) {
            *found -= count;
        }
    }
    counts.retain(|_, count| *count > 0);
    counts
}
