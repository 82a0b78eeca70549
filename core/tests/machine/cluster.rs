//! Several machines as one server, with messages between them that arrive in random order.

use drupe_core::{
    Addressee, Config, ConnId, End, Failure, Handler, ListenerId, Machine, Peer, Random, Reason, Shard, ShardMessage,
    Time, UnixTime,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// The shortest time that passes.
const MOMENT: Duration = Duration::from_nanos(1);
/// The time of the wall clock at the start, in seconds since 1970.
pub(crate) const NOW: u64 = 1_800_000_000;

/// The machines of a server, and what is on its way between each two of them and to each peer.
pub(crate) struct Cluster<H: Handler> {
    pub(crate) machines: Vec<Machine<H>>,
    post: BTreeMap<(usize, usize), VecDeque<ShardMessage>>,
    /// What each peer has received.
    pub(crate) received: BTreeMap<ConnId, Vec<u8>>,
    /// Bytes that the machine did not want to read yet.
    sent: BTreeMap<ConnId, Vec<u8>>,
    /// Peers that read nothing.
    pub(crate) stuck: BTreeSet<ConnId>,
    /// Shards that no messages reach.
    pub(crate) unreachable: BTreeSet<usize>,
    /// The contents of the messages between handlers so far, with the sender and the recipient.
    pub(crate) exchanged: Vec<(usize, usize, String)>,
    pub(crate) now: Time,
    random: Random,
}

impl<H: Handler> Cluster<H> {
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
            received: BTreeMap::new(),
            sent: BTreeMap::new(),
            stuck: BTreeSet::new(),
            unreachable: BTreeSet::new(),
            exchanged: Vec::new(),
            now: Time::START,
            random: Random::new(seed),
        }
    }

    pub(crate) fn machine(&mut self, conn: ConnId) -> &mut Machine<H> {
        &mut self.machines[usize::from(conn.shard())]
    }

    /// Connects a peer, to the shard that has the fewest connections.
    pub(crate) fn connect(&mut self, listener: u32, peer: &str) -> ConnId {
        let (listener, peer): (_, Peer) = (ListenerId::new(listener), peer.parse().expect(peer));
        let shard = self.machines[0].dispatched(self.now, listener, peer).expect("accepted");
        let conn = self.machines[usize::from(shard)].adopted(self.now, listener, peer);
        self.turn();
        conn
    }

    /// Connects a peer with an address in 192.0.2.0/24 to the first listener.
    pub(crate) fn connect_from(&mut self, address: u8) -> ConnId {
        self.connect(0, &format!("192.0.2.{address}:9"))
    }

    /// Sends a line of a peer.
    pub(crate) fn say(&mut self, conn: ConnId, line: &str) {
        self.send(conn, format!("{line}\n").as_bytes());
    }

    /// Returns the lines that a peer has received since the last call.
    pub(crate) fn take_lines(&mut self, conn: ConnId) -> Vec<String> {
        let bytes = self.received.remove(&conn).unwrap_or_default();
        String::from_utf8(bytes).expect("text").lines().map(ToOwned::to_owned).collect()
    }

    /// Sends a line of a peer, and returns what it has received once all messages have arrived.
    pub(crate) fn told(&mut self, conn: ConnId, line: &str) -> Vec<String> {
        self.say(conn, line);
        self.deliver_all();
        self.take_lines(conn)
    }

    /// Returns the number of connections that ended with this reason.
    pub(crate) fn total(&self, reason: Reason) -> u64 {
        self.machines.iter().map(|machine| machine.metrics().ended.get(reason)).sum()
    }

    /// Sends bytes of a peer. They are lost if its connection is over.
    pub(crate) fn send(&mut self, conn: ConnId, bytes: &[u8]) {
        self.sent.entry(conn).or_default().extend(bytes);
        self.turn();
    }

    /// Resets a peer's connection.
    pub(crate) fn reset(&mut self, conn: ConnId) {
        let now = self.now;
        self.machine(conn).failed(now, conn, Failure::Reset);
        self.turn();
    }

    pub(crate) fn is_over(&self, conn: ConnId) -> bool {
        let intent = self.machines[usize::from(conn.shard())].intent(conn);
        intent.is_none_or(|intent| intent.end == End::Shutdown)
    }

    /// Runs one turn of each machine: it reads, handles what is due, writes, and posts messages.
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
                let Some(intent) = machine.intent(conn).filter(|_| !self.stuck.contains(&conn)) else { continue };
                let bytes = intent.transmit.slices().collect::<Vec<_>>().concat();
                machine.wrote(self.now, conn, bytes.len());
                self.received.entry(conn).or_default().extend(bytes);
            }
            machine.turn_ended(self.now);
            while let Some((to, message)) = machine.next_shard_message() {
                let others: Vec<usize> = match to {
                    Addressee::First => vec![0],
                    Addressee::Shard(other) => vec![other.into()],
                    Addressee::Others => (0..count).filter(|other| *other != number).collect(),
                };
                for other in others {
                    if let ShardMessage::Handler { content, .. } = &message {
                        self.exchanged.push((number, other, content.to_string()));
                    }
                    self.post.entry((number, other)).or_default().push_back(message.clone());
                }
            }
            let machine = &self.machines[number];
            for conn in self.stuck.iter().filter(|conn| usize::from(conn.shard()) == number) {
                assert!(machine.intent(*conn).is_some(), "a peer that does not read stays");
            }
        }
    }

    /// Lets a peer read on.
    pub(crate) fn read_on(&mut self, conn: ConnId) {
        self.stuck.remove(&conn);
        let now = self.now;
        let machine = self.machine(conn);
        let bytes = machine.intent(conn).map(|intent| intent.transmit.slices().collect::<Vec<_>>().concat());
        let bytes = bytes.unwrap_or_default();
        machine.wrote(now, conn, bytes.len());
        self.received.entry(conn).or_default().extend(bytes);
        self.turn();
    }

    /// Delivers one message: those of each pair in order, and of which pair is random.
    pub(crate) fn deliver(&mut self) -> bool {
        let ways = self.post.iter().filter(|((from, to), messages)| {
            !messages.is_empty() && !self.unreachable.contains(to) && !self.unreachable.contains(from)
        });
        let ways: Vec<_> = ways.map(|(way, _)| *way).collect();
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

    /// Delivers about half of what is on its way.
    pub(crate) fn deliver_some(&mut self) {
        while self.random.below(8) > 0 && self.deliver() {}
    }

    /// Lets time pass, up to which everything is delivered.
    pub(crate) fn pass(&mut self, span: Duration) {
        self.deliver_all();
        self.now = self.now + span;
        self.deliver_all();
    }

    /// Checks the counts of all machines, once every message has been delivered.
    pub(crate) fn recount(&self) {
        assert_eq!(Machine::recount_shards(&self.machines.iter().collect::<Vec<_>>()), Ok(()));
    }
}
