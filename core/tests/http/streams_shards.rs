//! Streams of events for clients behind a proxy, which the first shard admits.

use crate::requests_world::config;
use crate::streams::{News, get, with_rooms};
use drupe_core::http::{Forwarded, ForwardedField, Http};
use drupe_core::{ConnId, Failure, ListenerId, Machine, Reason, Shard, Time};

/// Two shards. Each client may have one connection.
struct Server {
    machines: Vec<Machine<News>>,
    now: Time,
    heard: Vec<u8>,
}

impl Server {
    fn new() -> Self {
        let proxies = Forwarded::new(ForwardedField::XForwardedFor, ["10.0.0.0/8".parse().expect("a network")]);
        let mut config = with_rooms(config(Http::default().forwarded(Some(proxies))));
        config.connections.per_address = 1;
        let machine = |number| {
            let mut machine = Machine::shard(config.clone(), News::default(), Shard::new(number, 2).expect("in range"));
            machine.started(Time::START);
            machine
        };
        Self { machines: vec![machine(0), machine(1)], now: Time::START, heard: Vec::new() }
    }

    /// Requests a stream for a client from the second shard.
    fn request(&mut self, client: &str) -> ConnId {
        let (listener, peer) = (ListenerId::new(0), "10.0.0.1:9".parse().expect("a peer"));
        while self.machines[0].dispatched(self.now, listener, peer).expect("a proxy") != 1 {}
        let conn = self.machines[1].adopted(self.now, listener, peer);
        self.heard.clear();
        let mut request = get("/events", &format!("X-Forwarded-For: {client}\r\n")).into_bytes();
        self.machines[1].received(self.now, conn, &mut request);
        self.write();
        assert_eq!(self.heard, b"", "the first shard has not answered");
        conn
    }

    fn write(&mut self) {
        let machine = &mut self.machines[1];
        while let Some(id) = machine.next_changed() {
            let Some(intent) = machine.intent(id) else { continue };
            let bytes = intent.transmit.slices().collect::<Vec<_>>().concat();
            machine.wrote(self.now, id, bytes.len());
            self.heard.extend(bytes);
        }
    }

    /// Delivers all messages between the shards. Returns what the second one has written.
    fn deliver(&mut self) -> String {
        loop {
            let mut messages = Vec::new();
            for (from, machine) in self.machines.iter_mut().enumerate() {
                machine.turn_ended(self.now);
                messages
                    .extend(std::iter::from_fn(|| machine.next_shard_message()).map(|(_, message)| (from, message)));
            }
            if messages.is_empty() {
                break;
            }
            for (from, message) in messages {
                self.machines[1 - from].shard_message_received(self.now, &message);
            }
        }
        self.write();
        String::from_utf8(self.heard.clone()).expect("text")
    }

    fn seen(&self) -> &[String] {
        &self.machines[1].handler().seen
    }
}

#[test]
fn stream_waits_until_its_client_is_admitted() {
    let mut server = Server::new();
    let ann = server.request("192.0.2.1");
    assert_eq!(server.seen(), [""; 0]);
    let heard = server.deliver();
    assert!(heard.starts_with("HTTP/1.1 200 ") && heard.contains("event: joined"), "{heard}");
    assert!(server.seen()[0].starts_with("opened /events for 192.0.2.1"), "{:?}", server.seen());
    // Another stream of the same client is refused, and the handler is told.
    server.request("192.0.2.1");
    let heard = server.deliver();
    assert!(heard.starts_with("HTTP/1.1 429 "), "{heard}");
    assert_eq!((server.seen().len(), &*server.seen()[1]), (2, "expired"));
    assert_eq!(server.machines[1].metrics().ended.get(Reason::AddressFull), 1);
    // The place of a client that has gone is free.
    server.machines[1].failed(server.now, ann, Failure::Reset);
    server.deliver();
    server.request("192.0.2.1");
    assert!(server.deliver().starts_with("HTTP/1.1 200 "));
}

#[test]
fn stream_that_cannot_wait_expires() {
    // The client goes while it waits.
    let mut server = Server::new();
    let conn = server.request("192.0.2.1");
    server.machines[1].failed(server.now, conn, Failure::Reset);
    assert_eq!(server.seen(), ["expired"]);
    // The late answer gives the place back.
    server.deliver();
    server.request("192.0.2.1");
    assert!(server.deliver().starts_with("HTTP/1.1 200 "));
    // The first shard does not answer.
    let mut server = Server::new();
    server.request("192.0.2.1");
    while server.seen().is_empty() {
        server.now = server.machines[1].deadline().expect("it waits").at;
        server.machines[1].elapsed(server.now);
    }
    server.write();
    assert!(server.heard.starts_with(b"HTTP/1.1 503 ") && server.seen() == ["expired"], "{:?}", server.seen());
}
