//! Servers of several shards whose messages arrive in random order.

use drupe_core::{
    Addressee, Config, ConnId, End, Handler, ListenerId, Machine, Peer, Random, Reason, Shard, ShardMessage, Time,
    UnixTime,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// The least that time passes.
const MOMENT: Duration = Duration::from_nanos(1);
/// The time of the wall clock at the start, in seconds since 1970.
pub(crate) const NOW: u64 = 1_800_000_000;

/// Machines, what is on its way between each two of them, and to each peer.
pub(crate) struct Server<H: Handler> {
    pub(crate) machines: Vec<Machine<H>>,
    post: BTreeMap<(usize, usize), VecDeque<ShardMessage>>,
    pub(crate) heard: BTreeMap<ConnId, Vec<u8>>,
    /// What peers have sent and the machine did not want to read yet.
    sent: BTreeMap<ConnId, Vec<u8>>,
    pub(crate) over: BTreeSet<ConnId>,
    pub(crate) now: Time,
    random: Random,
}

impl<H: Handler> Server<H> {
    /// Starts one machine for each shard. The seed decides which message arrives next.
    pub(crate) fn start(config: &Config, shards: u8, seed: u64, handler: impl Fn() -> H) -> Self {
        let machine = |number| {
            let shard = Shard::new(number, shards).expect("in range");
            let mut machine = Machine::shard(config.clone(), handler(), shard);
            machine.clock_set(Time::START, UnixTime::from_secs(NOW));
            machine.started(Time::START);
            machine
        };
        Self {
            machines: (0..shards).map(machine).collect(),
            post: BTreeMap::new(),
            heard: BTreeMap::new(),
            sent: BTreeMap::new(),
            over: BTreeSet::new(),
            now: Time::START,
            random: Random::new(seed),
        }
    }

    /// A peer connects, to the shard that has the fewest.
    pub(crate) fn connect(&mut self, address: u8) -> ConnId {
        self.connect_to(0, address)
    }

    pub(crate) fn connect_to(&mut self, listener: u32, address: u8) -> ConnId {
        let peer = Peer::Address(([192, 0, 2, address], 9).into());
        let listener = ListenerId::new(listener);
        let shard = self.machines[0].dispatched(self.now, listener, peer).expect("let in");
        let conn = self.machines[usize::from(shard)].adopted(self.now, listener, peer);
        self.turn();
        conn
    }

    pub(crate) fn say(&mut self, conn: ConnId, line: &str) {
        self.sent.entry(conn).or_default().extend([line.as_bytes(), b"\n"].concat());
        self.turn();
    }

    /// Every machine reads and writes, and posts its messages.
    pub(crate) fn turn(&mut self) {
        let count = self.machines.len();
        for number in 0..count {
            let machine = &mut self.machines[number];
            for (conn, bytes) in self.sent.iter_mut().filter(|(conn, _)| usize::from(conn.shard()) == number) {
                if !bytes.is_empty() && machine.intent(*conn).is_some_and(|intent| intent.read) {
                    machine.received(self.now, *conn, &mut std::mem::take(bytes));
                }
            }
            // A backlog is due at once, a moment later.
            while let Some(due) = machine.deadline().filter(|due| due.at <= self.now + MOMENT) {
                self.now = self.now.max(due.at);
                machine.elapsed(self.now);
            }
            while let Some(conn) = machine.next_changed() {
                let Some(intent) = machine.intent(conn) else {
                    self.over.insert(conn);
                    continue;
                };
                let bytes = intent.transmit.slices().collect::<Vec<_>>().concat();
                if intent.end == End::Shutdown {
                    self.over.insert(conn);
                }
                machine.wrote(self.now, conn, bytes.len());
                self.heard.entry(conn).or_default().extend(bytes);
            }
            machine.turn_ended(self.now);
            while let Some((to, message)) = machine.next_shard_message() {
                let others: Vec<usize> = match to {
                    Addressee::First => vec![0],
                    Addressee::Shard(other) => vec![other.into()],
                    Addressee::Others => (0..count).filter(|other| *other != number).collect(),
                };
                for other in others {
                    self.post.entry((number, other)).or_default().push_back(message.clone());
                }
            }
        }
    }

    /// One message arrives: of each pair in order, and of which pair is chance.
    pub(crate) fn deliver(&mut self) -> bool {
        let ways: Vec<_> = self.post.iter().filter(|(_, messages)| !messages.is_empty()).map(|(way, _)| *way).collect();
        let Some(&way) = ways.get(usize::try_from(self.random.below(ways.len() as u64)).expect("small")) else {
            return false;
        };
        let message = self.post.get_mut(&way).and_then(VecDeque::pop_front).expect("there is one");
        self.machines[way.1].shard_message_received(self.now, &message);
        self.turn();
        true
    }

    pub(crate) fn deliver_all(&mut self) {
        // What waits to be read is read in the turn after.
        self.turn();
        self.turn();
        while self.deliver() {
            while self.deliver() {}
            self.turn();
            self.turn();
        }
    }

    pub(crate) fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
        self.deliver_all();
    }

    pub(crate) fn take_lines(&mut self, conn: ConnId) -> Vec<String> {
        let bytes = self.heard.remove(&conn).unwrap_or_default();
        String::from_utf8(bytes).expect("text").lines().map(ToOwned::to_owned).collect()
    }

    /// What a line is answered with, once all messages have come.
    pub(crate) fn told(&mut self, conn: ConnId, line: &str) -> Vec<String> {
        self.say(conn, line);
        self.deliver_all();
        self.take_lines(conn)
    }

    pub(crate) fn is_over(&self, conn: ConnId) -> bool {
        self.over.contains(&conn)
    }

    pub(crate) fn total(&self, reason: Reason) -> u64 {
        self.machines.iter().map(|machine| machine.metrics().ended.get(reason)).sum()
    }
}
