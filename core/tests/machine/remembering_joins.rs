//! Readers that come and go while others publish, with messages between shards in random order.

use drupe_core::history::Keep;
use drupe_core::history::{Position, Recovery};
use drupe_core::outbound::{Marks, OutboundLimits};
use drupe_core::{
    Addressee, Config, ConnId, Event, Handler, Hub, JoinOptions, ListenerId, Machine, NoNote, Random, Representation,
    RoomMemory, RoomOptions, Shard, ShardMessage, Time,
};
use std::collections::{BTreeMap, VecDeque};

const ROOM: &str = "news";
const SHARDS: u8 = 4;
const READERS: usize = 40;
const JOINS: u32 = 10_000;

/// Joins readers at the positions that they name, and publishes what others say.
#[derive(Default)]
struct Desk {
    joined: u32,
}

impl Handler for Desk {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Opened { conn, .. } => hub.set_representation(conn, Representation::Json),
            Event::Message { conn, payload } => match payload.as_str().expect("text").split_once(' ') {
                Some(("since", position)) => {
                    let since = position.parse().ok();
                    assert_eq!(hub.join_with(conn, ROOM, JoinOptions::new().since(since)), Ok(true));
                }
                Some((_, text)) => drop(hub.publish(ROOM, text)),
                None => assert!(hub.leave(conn, ROOM)),
            },
            Event::Joined { recovery, .. } => {
                assert!(!matches!(recovery, Recovery::NotRecovered(_)), "{recovery:?}, and everything is kept");
                self.joined += 1;
            }
            Event::RoomGap(gap) => panic!("{gap:?}, and everything is kept"),
            _ => {}
        }
    }
}

struct Server {
    machines: Vec<Machine<Desk>>,
    /// The messages from each shard to each other one, which keep their order.
    mail: BTreeMap<(u8, u8), VecDeque<ShardMessage>>,
    heard: BTreeMap<ConnId, Vec<u8>>,
}

impl Server {
    fn new(config: &Config) -> Self {
        let shard = |number| Shard::new(number, SHARDS).expect("in range");
        let machines = (0..SHARDS).map(|n| Machine::shard(config.clone(), Desk::default(), shard(n))).collect();
        Self { machines, mail: BTreeMap::new(), heard: BTreeMap::new() }
    }

    fn connect(&mut self) -> ConnId {
        let (listener, peer) = (ListenerId::new(0), "192.0.2.1:1".parse().expect("an address"));
        let shard = self.machines[0].dispatched(Time::START, listener, peer).expect("admitted");
        let conn = self.machines[usize::from(shard)].adopted(Time::START, listener, peer);
        self.turn();
        conn
    }

    fn say(&mut self, conn: ConnId, line: &str) {
        let mut bytes = format!("{line}\n").into_bytes();
        self.machines[usize::from(conn.shard())].received(Time::START, conn, &mut bytes);
        self.turn();
    }

    fn turn(&mut self) {
        for (from, machine) in (0..).zip(&mut self.machines) {
            while let Some(conn) = machine.next_changed() {
                let Some(intent) = machine.intent(conn) else { continue };
                let bytes = intent.transmit.slices().collect::<Vec<_>>().concat();
                machine.wrote(Time::START, conn, bytes.len());
                self.heard.entry(conn).or_default().extend(bytes);
            }
            machine.turn_ended(Time::START);
            while let Some((to, message)) = machine.next_shard_message() {
                let others = (0..SHARDS).filter(|to| *to != from);
                let to: Vec<u8> = match to {
                    Addressee::First => vec![0],
                    Addressee::Shard(shard) => vec![shard],
                    Addressee::Others => others.collect(),
                };
                to.into_iter().for_each(|to| self.mail.entry((from, to)).or_default().push_back(message.clone()));
            }
        }
    }

    /// Delivers the oldest message between two random shards. Returns `false` if there is none.
    fn deliver(&mut self, random: &mut Random) -> bool {
        let waiting: Vec<(u8, u8)> =
            self.mail.iter().filter(|(_, mail)| !mail.is_empty()).map(|(&way, _)| way).collect();
        if waiting.is_empty() {
            return false;
        }
        let way = waiting[usize::try_from(random.below(waiting.len() as u64)).expect("small")];
        if let Some(message) = self.mail.get_mut(&way).and_then(VecDeque::pop_front) {
            self.machines[usize::from(way.1)].shard_message_received(Time::START, &message);
            self.turn();
        }
        true
    }
}

/// A reader, and the last position that it saw.
struct Reader {
    conn: ConnId,
    seen: Option<Position>,
    is_member: bool,
}

impl Reader {
    /// Checks that what the reader heard follows what it had before.
    fn read(&mut self, server: &mut Server) {
        let Some(heard) = server.heard.get_mut(&self.conn) else { return };
        for line in String::from_utf8(core::mem::take(heard)).expect("text").lines() {
            let (_, rest) = line.split_once("\"position\":\"").expect(line);
            let (position, _) = rest.split_once('"').expect(line);
            let position: Position = position.parse().expect(line);
            if let Some(seen) = self.seen {
                let next = (seen.epoch, seen.offset + 1);
                assert_eq!((position.epoch, position.offset), next, "{} has a hole or a double", self.conn);
            }
            self.seen = Some(position);
        }
    }
}

#[test]
fn ten_thousand_joins_while_four_publish_have_no_hole_and_no_double() {
    let keep = Keep::messages(u32::MAX).bytes(u32::MAX);
    let memory =
        RoomMemory::default().rooms(vec![RoomOptions::new(ROOM, keep)]).bytes_max(u64::MAX).recover_max(u32::MAX);
    let marks = Marks::new(1 << 28, 1 << 29, 1 << 30).expect("in order");
    let config = Config::listening(["tcp://127.0.0.1:1".parse().expect("an address")]);
    let config = config.memory(memory).outbound(OutboundLimits::default().marks(marks)).unlimited();
    let mut server = Server::new(&config);
    let (mut random, mut joins, mut published) = (Random::new(7), 0, 0_u64);
    let connect = |server: &mut Server| Reader { conn: server.connect(), seen: None, is_member: false };
    let mut readers: Vec<Reader> = (0..READERS).map(|_| connect(&mut server)).collect();
    let publishers: Vec<ConnId> = (0..4).map(|_| server.connect()).collect();
    while joins < JOINS {
        let number = usize::try_from(random.below(READERS as u64)).expect("small");
        readers[number].read(&mut server);
        let reader = &mut readers[number];
        if reader.is_member {
            server.say(reader.conn, "leave");
            // It may have heard more by then.
            reader.read(&mut server);
        } else {
            server.say(reader.conn, &format!("since {}", reader.seen.map_or("-".into(), |seen| seen.to_string())));
            joins += 1;
        }
        reader.is_member = !reader.is_member;
        if random.below(2) == 0 {
            published += 1;
            server.say(publishers[number % 4], &format!("say {published}"));
        }
        for _ in 0..random.below(12) {
            server.deliver(&mut random);
        }
    }
    while server.deliver(&mut random) {}
    for reader in &mut readers {
        reader.read(&mut server);
        let has_all = reader.seen.is_some_and(|seen| seen.offset == published);
        assert!(has_all || !reader.is_member, "{} is at {:?} of {published}", reader.conn, reader.seen);
    }
    let joined: u32 = server.machines.iter().map(|machine| machine.handler().joined).sum();
    assert!(joined > JOINS / 2 && published > 4_000, "{joined} joins were answered, {published} were published");
    let metrics = server.machines.iter().map(Machine::metrics);
    let recovered: u64 = metrics.map(|metrics| metrics.memory.recovered_messages).sum();
    assert!(recovered > u64::from(JOINS), "{recovered} missed messages were received");
}
