//! Who is present in rooms of servers with one to four shards.

use crate::cluster::Cluster;
use drupe_core::history::Keep;
use drupe_core::{
    Config, ConnId, Event, Handler, Hub, JoinOptions, Listen, NoNote, Presence, RoomAnswer, RoomMemory, RoomOptions,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

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

fn cluster(shards: u8, seed: u64) -> Cluster<Lobby> {
    Cluster::start(&config(Presence::Names), shards, seed, Lobby::default)
}

fn config(presence: Presence) -> Config {
    let rooms = vec![RoomOptions::new("*", Keep::messages(1)).presence(presence)];
    let listen: Listen = "tcp://127.0.0.1:1".parse().expect("an address");
    Config::listening([listen]).memory(RoomMemory::default().rooms(rooms)).unlimited()
}

proptest! {
    /// In the end, who is listed and what the changes add up to is who is there.
    #[test]
    fn presence_of_all_shards_agrees_with_a_list_of_members(
        shards in prop::sample::select(vec![1_u8, 2, 4]),
        seed: u64,
        steps in prop::collection::vec((0..6_usize, 0..6_u8, "[ab]", "[xyz]", any::<bool>()), 1..120),
    ) {
        let mut server = cluster(shards, seed);
        let mut conns: Vec<ConnId> = (0..6).map(|_| server.connect(0, "192.0.2.1:1")).collect();
        let mut model: Vec<(ConnId, String, String)> = Vec::new();
        for (who, step, room, name, is_some_delivered) in steps {
            let conn = conns[who];
            match step {
                0..=2 => {
                    server.send(conn, format!("join {room} {name}\n").as_bytes());
                    if !model.iter().any(|(other, known, _)| (*other, known) == (conn, &room)) {
                        model.push((conn, room, name));
                    }
                }
                3 => {
                    server.send(conn, format!("leave {room}\n").as_bytes());
                    model.retain(|(other, known, _)| (*other, known) != (conn, &room));
                }
                _ => {
                    server.reset(conn);
                    model.retain(|(other, _, _)| *other != conn);
                    conns[who] = server.connect(0, "192.0.2.1:1");
                }
            }
            if is_some_delivered {
                server.deliver_some();
            }
        }
        server.deliver_all();
        for room in ["a", "b"] {
            let expected: BTreeSet<&str> =
                model.iter().filter(|(_, of, _)| of == room).map(|(_, _, name)| &**name).collect();
            server.send(conns[0], format!("list {room}\n").as_bytes());
            server.deliver_all();
            let (names, count) = server.machine(conns[0]).handler().listed.last().expect("an answer").clone();
            prop_assert_eq!(&names, &expected.iter().map(ToString::to_string).collect::<Vec<_>>());
            prop_assert_eq!(count, expected.len() as u64);
        }
        // On one shard, one handler is told of every change.
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
        server.recount();
    }
}

/// Applies a configuration on one shard, before the others.
fn reconfigure(server: &mut Cluster<Lobby>, shard: usize, presence: Presence) {
    let now = server.now;
    server.machines[shard].reconfigured(now, config(presence));
    server.turn();
}

/// Returns the names that a member of room a is told when it asks.
fn listed(server: &mut Cluster<Lobby>, conn: ConnId) -> Vec<String> {
    server.told(conn, "list a");
    server.machine(conn).handler().listed.last().expect("an answer").0.clone()
}

#[test]
fn home_that_applies_two_reloads_late_forgets_no_name_that_came_before() {
    for home in 0..2 {
        let mut server = cluster(2, 7);
        let conns: Vec<ConnId> = (0..2).map(|_| server.connect(0, "192.0.2.1:1")).collect();
        for (conn, name) in conns.iter().zip(["x", "y"]) {
            server.told(*conn, &format!("join a {name}"));
        }
        for presence in [Presence::Off, Presence::Names] {
            reconfigure(&mut server, 1 - home, presence);
        }
        server.deliver_all();
        for presence in [Presence::Off, Presence::Names] {
            reconfigure(&mut server, home, presence);
        }
        server.deliver_all();
        assert_eq!(listed(&mut server, conns[0]), ["x", "y"], "shard {home} is late");
        server.recount();
    }
}

#[test]
fn room_that_begins_to_tell_names_tells_those_that_are_present() {
    for before in [Presence::Counts, Presence::Off] {
        let mut server = cluster(1, 7);
        let conn = server.connect(0, "192.0.2.1:1");
        // A name can come only while there is presence.
        reconfigure(&mut server, 0, Presence::Counts);
        server.told(conn, "join a x");
        reconfigure(&mut server, 0, before);
        server.deliver_all();
        assert_eq!(server.machines[0].handler().changes, [], "{before:?}");
        reconfigure(&mut server, 0, Presence::Names);
        server.deliver_all();
        let told = ("a".to_string(), "x".to_string(), true);
        assert_eq!(server.machines[0].handler().changes, [told], "{before:?}");
    }
}
