//! The tests that `drupe replay --test` prints, compiled and run.
//!
//! A unit test of the program compares these files with what it prints for `chat.recording`. If the chat says something
//! else, `DRUPE_UPDATE=1 cargo test -p drupe-program --test recorded` writes the recording again.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a test fails where its assumption does")]

mod beginning;
mod connection;
mod whole;

use drupe_core::app::Chat;
use drupe_core::trace::FlightRecorder;
use drupe_core::{Addressee, Config, ConnId, ListenerId, Machine, Peer, Shard, Time};
use std::net::SocketAddr;
use std::path::Path;

/// A server of two workers in virtual time.
struct Server([Machine<Chat>; 2]);

impl Server {
    fn start(flight: &FlightRecorder) -> Self {
        Self([0, 1].map(|number| {
            let config = Config::listening(["tcp://127.0.0.1:7000".parse().expect("an address")]).seed(Some(7));
            let mut machine = Machine::shard(config, Chat::default(), Shard::new(number, 2).expect("one of two"));
            machine.record(flight.recorder(number));
            machine.started(Time::START);
            machine
        }))
    }

    /// Connects a peer to each worker.
    fn connect(&mut self, now: Time) -> [ConnId; 2] {
        let [first, second] = &mut self.0;
        let (listener, peer) = (ListenerId::new(0), |port| Peer::from(SocketAddr::from(([127, 0, 0, 1], port))));
        let here = first.accepted(now, listener, peer(40_000)).expect("there is room");
        assert!(first.dispatched(now, listener, peer(40_001)).is_ok());
        let there = second.adopted(now, listener, peer(40_001));
        self.turn(now);
        [here, there]
    }

    fn received(&mut self, now: Time, conn: ConnId, text: &str) {
        self.0[usize::from(conn.shard())].received(now, conn, &mut text.as_bytes().to_vec());
        self.turn(now);
    }

    /// Writes all that the machines want to write, and passes their messages on until there are no more.
    fn turn(&mut self, now: Time) {
        loop {
            let mut messages = Vec::new();
            for (from, machine) in self.0.iter_mut().enumerate() {
                while let Some(id) = machine.next_changed() {
                    let bytes = machine.intent(id).map_or(0, |intent| intent.transmit.len());
                    if bytes > 0 {
                        machine.wrote(now, id, bytes);
                    }
                }
                machine.turn_ended(now);
                while let Some((to, message)) = machine.next_shard_message() {
                    let to = match to {
                        Addressee::First => 0,
                        Addressee::Shard(to) => usize::from(to),
                        Addressee::Others => 1 - from,
                    };
                    messages.push((to, message));
                }
            }
            if messages.is_empty() {
                break;
            }
            for (to, message) in messages {
                self.0[to].shard_message_received(now, &message);
            }
        }
    }
}

#[test]
fn recording_of_a_chat_is_current() {
    let flight = FlightRecorder::new(1 << 20);
    let mut server = Server::start(&flight);
    let [here, there] = server.connect(Time::from_millis(1));
    server.received(Time::from_millis(1_500), here, "hello everybody\n");
    server.received(Time::from_millis(2_500), there, "and \"hello\" to you\n");
    let text = flight.recording("0.1.0", "an example").text();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded/chat.recording");
    if std::env::var_os("DRUPE_UPDATE").is_some() {
        std::fs::write(&path, &text).expect("the file is ours");
    }
    assert_eq!(text, include_str!("chat.recording"));
}
