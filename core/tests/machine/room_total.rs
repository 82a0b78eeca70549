//! The limit on rooms of servers of several shards.

use super::cluster::Cluster;
use drupe_core::{Config, ConnId, Event, Handler, Hub, Listen, NoNote, RoomLimits};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Joins and leaves the rooms that peers name, and answers whether it could.
struct Doorkeeper;

impl Handler for Doorkeeper {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        let Event::Message { conn, payload } = event else { return };
        let Some((word, room)) = payload.as_str().and_then(|text| text.split_once(' ')) else { return };
        let answer = if word == "join" {
            hub.join(conn, room).map_or_else(|error| error.to_string(), |_| "in".into())
        } else {
            hub.leave(conn, room);
            "out".into()
        };
        hub.send(conn, &answer);
    }
}

struct Server {
    cluster: Cluster<Doorkeeper>,
    peers: Vec<ConnId>,
    members: BTreeMap<String, BTreeSet<ConnId>>,
}

impl Server {
    fn new(shards: u8, total: u32, seed: u64) -> Self {
        let config = Config::listening(["tcp://127.0.0.1:1".parse::<Listen>().expect("good")]).unlimited();
        let config = config.rooms(RoomLimits::default().total(total));
        let mut cluster = Cluster::start(&config, shards, seed, || Doorkeeper);
        let peers = (1..=8).map(|port| cluster.connect(0, &format!("192.0.2.1:{port}"))).collect();
        Self { cluster, peers, members: BTreeMap::new() }
    }

    /// Returns the answer to a line, before anything reaches another shard.
    fn tell(&mut self, conn: ConnId, word: &str, room: &str) -> String {
        self.cluster.received.remove(&conn);
        self.cluster.send(conn, format!("{word} {room}\n").as_bytes());
        let answer = String::from_utf8(self.cluster.received[&conn].clone()).expect("text").trim_end().to_owned();
        match answer.as_str() {
            "in" => drop(self.members.entry(room.into()).or_default().insert(conn)),
            "out" => {
                if let Some(members) = self.members.get_mut(room) {
                    members.remove(&conn);
                }
                self.members.retain(|_, members| !members.is_empty());
            }
            _ => {}
        }
        answer
    }

    fn rooms_on(&self, shard: u8) -> usize {
        self.members.values().filter(|members| members.iter().any(|conn| conn.shard() == shard)).count()
    }
}

proptest! {
    #[test]
    fn rooms_of_all_shards_stay_within_the_limit(
        shards in 1..5_u8,
        total in 0..5_u32,
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0..9_u8, 0..3_u8), 0..120),
        seed: u64,
    ) {
        let mut server = Server::new(shards, total, seed);
        for (who, room, kind) in &steps {
            let (conn, room) = (*who.get(&server.peers), format!("room {room}"));
            let before = server.members.len();
            let is_here = server.members.get(&room).is_some_and(|members| members.iter().any(|other| other.shard() == conn.shard()));
            let exists = server.members.contains_key(&room);
            if *kind == 0 {
                server.tell(conn, "leave", &room);
            } else {
                let answer = server.tell(conn, "join", &room);
                let is_new = before >= total as usize && !exists;
                let full = format!("there are {total} rooms, which is the limit");
                let expected = if is_here { Some("in") } else if is_new { Some(&*full) } else if before < total as usize { Some("in") } else { None };
                if let Some(expected) = expected {
                    prop_assert_eq!(answer.as_str(), expected, "{} rooms, of {}", before, total);
                } else {
                    // On the first shard, a room of another one is known to exist.
                    prop_assert_eq!(answer == "in", conn.shard() == 0);
                }
            }
            server.cluster.deliver_all();
            prop_assert!(server.members.len() <= total as usize);
            server.cluster.recount();
        }
    }

    /// Rooms open on all shards while their messages are on the way.
    #[test]
    fn rooms_of_a_shard_stay_within_the_limit_whenever_messages_arrive(
        total in 0..5_u32,
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0..20_u8, 0..4_u8), 0..120),
        seed: u64,
    ) {
        let mut server = Server::new(4, total, seed);
        for (who, room, kind) in &steps {
            let (conn, room) = (*who.get(&server.peers), format!("room {room}"));
            match kind {
                0 => drop(server.tell(conn, "leave", &room)),
                1 => server.cluster.deliver_some(),
                _ => drop(server.tell(conn, "join", &room)),
            }
            for shard in 0..4 {
                prop_assert!(server.rooms_on(shard) <= total as usize);
            }
        }
        server.cluster.deliver_all();
        server.cluster.recount();
        let rooms = server.members.len();
        let answer = server.tell(server.peers[1], "join", "a new one");
        prop_assert_eq!(answer == "in", rooms < total as usize, "once all has arrived, the limit holds: {}", answer);
    }
}
