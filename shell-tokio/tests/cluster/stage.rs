//! What most tests need: a broker, three hosts, 24 members and 4 publishers, and the comparison at the end.

use super::check::{Found, check, check_order};
use super::host::{Broker, Host, Ports, SHELLS, start_all};
use super::member::{Member, Record};
use super::publisher::{Pace, Publisher};
use super::record::{Ledger, Position, Seen, locked};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub(crate) const ROOMS: [&str; 3] = ["red", "green", "blue"];
const MEMBERS: usize = 24;
const PUBLISHERS: u32 = 4;

/// Number of the publisher that ends each room.
const LAST: u32 = 99;

pub(crate) struct Stage {
    name: &'static str,
    pub(crate) hosts: Vec<Host>,
    pub(crate) ports: Ports,
    pub(crate) members: Vec<Member>,
    pub(crate) publishers: Vec<Publisher>,
    /// Whether the numbers of messages in one room have holes.
    has_holes: bool,
    _turn: Turn,
}

/// What a test has shown.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) found: Found,
    /// Number of acknowledged messages.
    pub(crate) acknowledged: usize,
    /// Number of acknowledged messages that no member received.
    pub(crate) unseen: usize,
    /// Why messages were refused, and how often.
    pub(crate) refused: BTreeMap<String, usize>,
    pub(crate) unknown: usize,
    /// Why members were told that messages may be missing, and how often.
    pub(crate) whys: BTreeMap<String, usize>,
    /// The gaps of the members on each host.
    pub(crate) gaps_of_hosts: [usize; 3],
}

/// The right of a test to have hosts now. So few tests have them at a time that all processors are used, but not more.
struct Turn;

/// Number of tests that may have hosts now.
static TURNS: Mutex<usize> = Mutex::new(3);
static IS_FREE: Condvar = Condvar::new();

impl Turn {
    /// Waits for the turn of a test.
    fn wait() -> Self {
        let mut turns = locked(&TURNS);
        while *turns == 0 {
            turns = IS_FREE.wait(turns).unwrap_or_else(PoisonError::into_inner);
        }
        *turns -= 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *locked(&TURNS) += 1;
        IS_FREE.notify_one();
    }
}

impl Stage {
    /// Starts the hosts, each with its own way to the broker, and nobody on them.
    pub(crate) fn empty(name: &'static str, brokers: [&Broker; 3]) -> Self {
        let turn = Turn::wait();
        let hosts = start_all(brokers);
        let ports = Arc::new(Mutex::new(hosts.iter().map(|host| host.port).collect()));
        hosts.iter().for_each(|host| host.wait_for_log("broker up", 1));
        let has_holes = brokers[0].has_holes();
        Self { name, hosts, ports, members: Vec::new(), publishers: Vec::new(), has_holes, _turn: turn }
    }

    /// Starts the hosts, and members and publishers on them.
    pub(crate) fn start(name: &'static str, brokers: [&Broker; 3]) -> Self {
        Self::empty(name, brokers).with_members().with_publishers(&Pace::default())
    }

    /// Adds 24 members, each in two rooms.
    pub(crate) fn with_members(mut self) -> Self {
        for number in 0..MEMBERS {
            let rooms = [ROOMS[number % 3], ROOMS[(number / 3 + 1 + number) % 3]];
            let rooms = if rooms[0] == rooms[1] { [rooms[0], ROOMS[(number + 1) % 3]] } else { rooms };
            // All rooms have members on all hosts.
            self.members.push(Member::start(&self.ports, number / 8, &rooms, None));
        }
        self.wait_for_subscriptions();
        self
    }

    pub(crate) fn with_publishers(mut self, pace: &Pace) -> Self {
        for number in 0..PUBLISHERS {
            let host = number as usize % 3;
            self.publishers.push(Publisher::start(&self.ports, host, number, &ROOMS, pace.clone()));
        }
        self.publishers.iter().for_each(|publisher| publisher.wait_for_more(30));
        self
    }

    /// Waits until all members have the answers to their subscriptions.
    pub(crate) fn wait_for_subscriptions(&self) {
        for member in &self.members {
            member.wait("a subscription", |record| record.subscribed.len() == member.rooms.len());
        }
    }

    /// Waits until the publishers on all hosts have new acknowledgements.
    pub(crate) fn wait_for_more(&self, count: u64) {
        self.publishers.iter().for_each(|publisher| publisher.wait_for_more(count));
    }

    /// Ends the publishers, waits until all members have the last message of each room, and checks what they received.
    pub(crate) fn finish(self) -> Outcome {
        self.finish_with(Vec::new())
    }

    /// As [`finish`](Self::finish), with what publishers were told that have ended.
    pub(crate) fn finish_with(mut self, mut ledgers: Vec<Ledger>) -> Outcome {
        let own: Vec<Ledger> = self.publishers.drain(..).map(Publisher::end).collect();
        ledgers.extend(own);
        let rooms: HashSet<String> = self.members.iter().flat_map(|member| member.rooms.iter().cloned()).collect();
        let mut ends = HashMap::new();
        for (number, room) in rooms.iter().enumerate() {
            let number = LAST + u32::try_from(number).expect("small");
            let (position, ledger) = self.publish_last(number, room);
            ends.insert(room.clone(), position);
            ledgers.push(ledger);
        }
        for member in &self.members {
            let has_all =
                |record: &Record| member.rooms.iter().all(|room| record.positions.get(room) == ends.get(room));
            member.wait(&format!("the last message of each room ({ends:?})"), has_all);
        }
        let mut records = Vec::new();
        for member in self.members.drain(..) {
            records.push((member.host, member.end()));
        }
        // All at once, so that nobody waits for each in turn.
        self.hosts.iter().for_each(Host::begin_drain);
        for (host, shell) in self.hosts.drain(..).zip(SHELLS) {
            assert!(host.has_ended_well(), "the host on {shell} does not end well");
        }
        let outcome = compare(&records, &ledgers, self.has_holes);
        println!("{}: {outcome:?}", self.name);
        outcome
    }

    /// Publishes one more message, until it is acknowledged.
    fn publish_last(&self, number: u32, room: &str) -> (Position, Ledger) {
        let since = Instant::now();
        loop {
            let pace = Pace { batch: 1, count: 1, ..Pace::default() };
            let ledger = Publisher::start(&self.ports, 0, number, &[room], pace).finish();
            if let Some((_, entry)) = ledger.acknowledged.first() {
                return (entry.position, ledger);
            }
            assert!(since.elapsed() < Duration::from_secs(60), "the broker takes nothing any more: {ledger:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Compares what members received with what publishers were told.
pub(crate) fn compare(records: &[(usize, Record)], ledgers: &[Ledger], has_holes: bool) -> Outcome {
    let mut by_room: HashMap<&str, Vec<_>> = HashMap::new();
    for (room, entry) in ledgers.iter().flat_map(|ledger| &ledger.acknowledged) {
        by_room.entry(room).or_default().push(*entry);
    }
    let (mut found, mut gaps_of_hosts) = (Found::default(), [0; 3]);
    let (mut whys, mut seen_ids) = (BTreeMap::new(), HashSet::new());
    let all: Vec<_> = by_room.values().flatten().copied().collect();
    for (number, (host, record)) in records.iter().enumerate() {
        for (room, seen) in &record.rooms {
            let ledger = by_room.get(&**room).map_or(&[][..], Vec::as_slice);
            let here = check(seen, ledger, has_holes.then_some(&all[..])).unwrap_or_else(|error| {
                panic!(
                    "member {number} on host {host} ({}) in {room}: {error}\n{}",
                    SHELLS[*host],
                    context(seen, &error)
                )
            });
            found = found.and(here);
            gaps_of_hosts[*host] += here.gaps;
            note(seen, &mut whys, &mut seen_ids);
        }
    }
    for room in by_room.keys() {
        let histories = records.iter().filter_map(|(_, record)| record.rooms.get(*room)).map(Vec::as_slice);
        check_order(histories).unwrap_or_else(|error| panic!("{room}: {error}"));
    }
    let mut refused = BTreeMap::new();
    for why in ledgers.iter().flat_map(|ledger| &ledger.refused) {
        *refused.entry(why.clone()).or_insert(0) += 1;
    }
    Outcome {
        found,
        acknowledged: all.len(),
        unseen: all.iter().filter(|entry| !seen_ids.contains(&entry.id)).count(),
        refused,
        unknown: ledgers.iter().map(|ledger| ledger.unknown).sum(),
        whys,
        gaps_of_hosts,
    }
}

fn note(seen: &[Seen], whys: &mut BTreeMap<String, usize>, ids: &mut HashSet<super::record::Id>) {
    use super::record::What;
    for Seen { what, .. } in seen {
        match what {
            What::Gap(_, why) | What::NotRecovered(_, why) => *whys.entry(why.clone()).or_insert(0) += 1,
            What::Message(_, id) => {
                ids.insert(*id);
            }
            What::New(_) | What::Recovered(_) => {}
        }
    }
}

/// Returns what a member received around a mistake.
fn context(seen: &[Seen], error: &str) -> String {
    use super::record::What;
    let is_there = |seen: &Seen| matches!(&seen.what, What::Message(_, id) if error.contains(&format!("{id:?}")));
    // Without the message, the mistake is probably near the end.
    let place = seen.iter().rposition(is_there).unwrap_or(seen.len().saturating_sub(16));
    let around = seen.iter().skip(place.saturating_sub(8)).take(24);
    around.map(|seen| format!("{:?}\n", seen.what)).collect()
}
