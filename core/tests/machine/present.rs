//! Who is present in rooms of servers with one to four shards.

use drupe_core::history::Keep;
use drupe_core::{
    Addressee, Config, ConnId, Event, Failure, Handler, Hub, JoinOptions, Listen, ListenerId, Machine, NoNote, Peer,
    Presence, Random, RoomAnswer, RoomMemory, RoomOptions, Shard, ShardMessage, Time,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Joins and leaves by lines, and records who comes and goes.
#[derive(Default)]
struct Lobby {
    changes: Vec<(String, String, bool)>,
    listed: Vec<(Vec<String>, u64)>,
}

impl Handler for Lobby {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Message { conn, payload } => {
                let text = payload.as_str().expect("text").to_string();
                match text.split(' ').collect::<Vec<_>>()[..] {
                    ["join", room, name] => {
                        let _ = hub.join_with(conn, room, JoinOptions::new().name(Some(name)));
                    }
                    ["leave", room] => drop(hub.leave(conn, room)),
                    ["list", room] => drop(hub.read_presence(room, None, 100)),
                    _ => panic!("{text} is meant to end the connection"),
                }
            }
            Event::PresenceChanged(change) => {
                self.changes.push((change.room.into(), change.name.into(), change.is_present));
            }
            Event::RoomAnswered { answer: RoomAnswer::Present(Some(page)), .. } => {
                self.listed.push((page.names.iter().map(|present| present.name.to_string()).collect(), page.count));
            }
            _ => {}
        }
    }
}

struct Server {
    machines: Vec<Machine<Lobby>>,
    post: BTreeMap<(usize, usize), VecDeque<ShardMessage>>,
    random: Random,
}

impl Server {
    fn new(shards: u8, seed: u64) -> Self {
        let rooms = vec![RoomOptions::new("*", Keep::messages(1)).presence(Presence::Names)];
        let listen: Listen = "tcp://127.0.0.1:1".parse().expect("an address");
        let config = Config::listening([listen]).memory(RoomMemory::default().rooms(rooms)).unlimited();
        let machine = |number| {
            let shard = Shard::new(number, shards).expect("in range");
            let mut machine = Machine::shard(config.clone(), Lobby::default(), shard);
            machine.started(Time::START);
            machine
        };
        Self { machines: (0..shards).map(machine).collect(), post: BTreeMap::new(), random: Random::new(seed) }
    }

    fn connect(&mut self) -> ConnId {
        let peer: Peer = "192.0.2.1:1".parse().expect("an address");
        let shard = match self.machines.len() {
            1 => return self.machines[0].accepted(Time::START, ListenerId::new(0), peer).expect("accepted"),
            _ => self.machines[0].dispatched(Time::START, ListenerId::new(0), peer).expect("accepted"),
        };
        self.machines[usize::from(shard)].adopted(Time::START, ListenerId::new(0), peer)
    }

    fn of(&mut self, conn: ConnId) -> &mut Machine<Lobby> {
        &mut self.machines[usize::from(conn.shard())]
    }

    fn line(&mut self, conn: ConnId, line: &str) {
        self.of(conn).received(Time::START, conn, &mut format!("{line}\n").into_bytes());
    }

    /// Delivers at most this many messages between shards, of senders in random order.
    fn deliver(&mut self, most: usize) {
        for _ in 0..most {
            for from in 0..self.machines.len() {
                while let Some((to, message)) = self.machines[from].next_shard_message() {
                    let all = 0..self.machines.len();
                    let to: Vec<usize> = match to {
                        Addressee::First => vec![0],
                        Addressee::Shard(shard) => vec![shard.into()],
                        Addressee::Others => all.filter(|&shard| shard != from).collect(),
                    };
                    for to in to {
                        self.post.entry((from, to)).or_default().push_back(message.clone());
                    }
                }
            }
            let ways: Vec<_> = self.post.iter().filter(|(_, queue)| !queue.is_empty()).map(|(&way, _)| way).collect();
            let Some(count) = u64::try_from(ways.len()).ok().filter(|&count| count > 0) else { return };
            let way = ways[usize::try_from(self.random.next_u64() % count).expect("small")];
            let message = self.post.get_mut(&way).and_then(VecDeque::pop_front).expect("a message");
            self.machines[way.1].shard_message_received(Time::START, &message);
        }
    }
}

proptest! {
    /// In the end, who is listed and what the changes add up to is who is there.
    #[test]
    fn presence_of_all_shards_agrees_with_a_list_of_members(
        shards in prop::sample::select(vec![1_u8, 2, 4]),
        seed: u64,
        steps in prop::collection::vec((0..6_usize, 0..6_u8, "[ab]", "[xyz]", 0..4_usize), 1..120),
    ) {
        let mut server = Server::new(shards, seed);
        let mut conns: Vec<ConnId> = (0..6).map(|_| server.connect()).collect();
        let mut model: Vec<(ConnId, String, String)> = Vec::new();
        for (who, step, room, name, deliveries) in steps {
            let conn = conns[who];
            match step {
                0..=2 => {
                    server.line(conn, &format!("join {room} {name}"));
                    if !model.iter().any(|(other, known, _)| (*other, known) == (conn, &room)) {
                        model.push((conn, room, name));
                    }
                }
                3 => {
                    server.line(conn, &format!("leave {room}"));
                    model.retain(|(other, known, _)| (*other, known) != (conn, &room));
                }
                _ => {
                    let way = [Failure::Reset, Failure::TimedOut][usize::from(step % 2)];
                    server.of(conn).failed(Time::START, conn, way);
                    model.retain(|(other, _, _)| *other != conn);
                    conns[who] = server.connect();
                }
            }
            server.deliver(deliveries);
        }
        server.deliver(usize::MAX);
        for room in ["a", "b"] {
            let expected: BTreeSet<&str> =
                model.iter().filter(|(_, of, _)| of == room).map(|(_, _, name)| &**name).collect();
            server.line(conns[0], &format!("list {room}"));
            server.deliver(usize::MAX);
            let conn = conns[0];
            let (names, count) = server.of(conn).handler().listed.last().expect("an answer").clone();
            prop_assert_eq!(&names, &expected.iter().map(ToString::to_string).collect::<Vec<_>>());
            prop_assert_eq!(count, expected.len() as u64);
        }
        // A shard that has had members all the time was told of every change, in the same order.
        let mut told = BTreeSet::new();
        if shards == 1 {
            for (room, name, is_present) in &server.machines[0].handler().changes {
                // The last member to leave is told to nobody.
                if *is_present { told.insert((room, name)); } else { told.remove(&(room, name)); }
            }
            for (_, room, name) in &model {
                prop_assert!(told.contains(&(room, name)), "{} in {} was not told", name, room);
            }
        }
        for machine in &server.machines {
            machine.recount().expect("tables agree");
        }
    }
}
