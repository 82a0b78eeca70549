//! Several machines as one server, in virtual time, with delayed messages between them.

use drupe_core::app::Relay;
use drupe_core::http::{Forwarded, ForwardedField, Http};
use drupe_core::limit::{Ladder, Rate};
use drupe_core::tls::{Secured, Tls};
use drupe_core::websocket::{Opcode, frame};
use drupe_core::wire::Protocol;
use drupe_core::{
    Address, Addressee, Command, Config, ConnId, Listen, ListenerId, Machine, Metrics, Peer, Reason, Shard,
    ShardMessage, Time,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Machines, and the messages that are on their way to each.
struct Server {
    machines: Vec<Machine<Relay>>,
    post: Vec<VecDeque<ShardMessage>>,
    heard: BTreeMap<ConnId, Vec<u8>>,
}

impl Server {
    fn new(config: &Config, shards: u8) -> Self {
        let machine = |n| Machine::shard(config.clone(), Relay::default(), Shard::new(n, shards).expect("in range"));
        let machines: Vec<_> = (0..shards).map(machine).collect();
        Self { post: machines.iter().map(|_| VecDeque::new()).collect(), machines, heard: BTreeMap::new() }
    }

    fn connect(&mut self, peer: &str) -> Result<ConnId, Reason> {
        let (listener, peer): (_, Peer) = (ListenerId::new(0), peer.parse().expect(peer));
        let shard = self.machines[0].dispatched(Time::START, listener, peer).map_err(|refusal| refusal.reason)?;
        let id = self.machines[usize::from(shard)].adopted(Time::START, listener, peer);
        assert_eq!(id.shard(), shard);
        self.turn();
        Ok(id)
    }

    fn say(&mut self, id: ConnId, line: &str) {
        self.send(id, format!("{line}\n").into_bytes());
    }

    fn send(&mut self, id: ConnId, mut bytes: Vec<u8>) {
        self.machines[usize::from(id.shard())].received(Time::START, id, &mut bytes);
        self.turn();
    }

    fn heard_text(&self, id: ConnId) -> String {
        String::from_utf8_lossy(self.heard.get(&id).map_or(&[][..], Vec::as_slice)).into_owned()
    }

    /// Every machine writes, and posts its messages.
    fn turn(&mut self) {
        for shard in 0..self.machines.len() {
            let machine = &mut self.machines[shard];
            while let Some(id) = machine.next_changed() {
                let Some(intent) = machine.intent(id) else { continue };
                let bytes = intent.transmit.slices().collect::<Vec<_>>().concat();
                machine.wrote(Time::START, id, bytes.len());
                self.heard.entry(id).or_default().extend(bytes);
            }
            machine.turn_ended(Time::START);
            while let Some((to, message)) = machine.next_shard_message() {
                match to {
                    Addressee::First => self.post[0].push_back(message),
                    Addressee::Shard(other) => self.post[usize::from(other)].push_back(message),
                    Addressee::Others => {
                        for other in (0..self.post.len()).filter(|other| *other != shard) {
                            self.post[other].push_back(message.clone());
                        }
                    }
                }
            }
        }
    }

    fn deliver(&mut self, shard: usize) {
        if let Some(message) = self.post[shard].pop_front() {
            self.machines[shard].shard_message_received(Time::START, &message);
            self.turn();
        }
    }

    fn deliver_all(&mut self) {
        while let Some(shard) = self.post.iter().position(|messages| !messages.is_empty()) {
            self.deliver(shard);
        }
    }
}

proptest! {
    /// Whenever messages arrive, everybody hears everybody else's lines, each once and in order.
    #[test]
    fn messages_of_each_sender_keep_order_across_shards(
        shards in 1..5u8,
        steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..200),
    ) {
        let config = Config::listening(["tcp://127.0.0.1:1".parse().expect("well formed")]).unlimited();
        let mut server = Server::new(&config, shards);
        let peers: Vec<ConnId> = (0..6).map(|n| server.connect(&format!("192.0.2.{n}:1")).expect("room")).collect();
        let spread: std::collections::BTreeSet<u8> = peers.iter().map(|id| id.shard()).collect();
        prop_assert_eq!(spread.len(), usize::from(shards), "the shard with the fewest gets the next");
        let mut said: BTreeMap<ConnId, Vec<String>> = BTreeMap::new();
        for (speaks, index) in steps {
            if speaks {
                let id = *index.get(&peers);
                let lines = said.entry(id).or_default();
                lines.push(format!("{id} {}", lines.len()));
                let line = lines.last().expect("just said").clone();
                server.say(id, &line);
            } else {
                server.deliver(index.index(shards.into()));
            }
        }
        server.deliver_all();
        for listener in &peers {
            let heard = String::from_utf8(server.heard.get(listener).cloned().unwrap_or_default()).expect("text");
            for speaker in &peers {
                let own = format!("{speaker} ");
                let from: Vec<&str> = heard.lines().filter(|line| line.starts_with(&own)).collect();
                let expected = if speaker == listener { None } else { said.get(speaker) };
                prop_assert_eq!(from, expected.cloned().unwrap_or_default());
            }
        }
    }
}

#[test]
fn limits_apply_to_the_whole_server() {
    let mut config = Config::listening(["tcp://127.0.0.1:1?max=4".parse().expect("well formed")]);
    config.connections.per_address = 3;
    config.peer.rates.messages = Rate::new(1, 1).ok();
    config.peer.rates.ladder = Ladder::default().pause(None).quarantine(Some(2));
    let mut server = Server::new(&config, 3);
    let ids: Vec<_> = (1..4).map(|port| server.connect(&format!("192.0.2.1:{port}")).expect("room")).collect();
    assert_eq!(ids.iter().map(|id| id.shard()).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(server.connect("192.0.2.1:9"), Err(Reason::AddressFull));
    let other = server.connect("192.0.2.2:1").expect("room");
    assert_eq!((other.shard(), server.connect("192.0.2.3:1")), (0, Err(Reason::ListenerFull)));
    // Who leaves the third shard makes room there, once its message has come.
    server.machines[2].failed(Time::START, ids[2], drupe_core::Failure::Reset);
    server.turn();
    assert_eq!(server.connect("192.0.2.3:1"), Err(Reason::ListenerFull));
    server.deliver_all();
    let third = server.connect("192.0.2.3:1").expect("room");
    assert_eq!(third.shard(), 2);
    // Who is quarantined there is refused at the door.
    for n in 0..9 {
        server.say(third, &n.to_string());
    }
    server.deliver_all();
    assert_eq!(server.machines[2].metrics().ended.get(Reason::Quarantined), 1);
    assert_eq!(server.connect("192.0.2.3:2"), Err(Reason::Quarantined));
}

#[test]
fn shards_report_counters_only_when_changed() {
    let config = Config::listening(["ws://127.0.0.1:1".parse().expect("well formed")]);
    let mut server = Server::new(&config, 2);
    let (here, there) = (server.connect("192.0.2.1:1").expect("room"), server.connect("192.0.2.1:2").expect("room"));
    assert_eq!((here.shard(), there.shard()), (0, 1));
    let second = Time::from_secs(1);
    let tells = |machine: &mut Machine<Relay>| {
        machine.elapsed(second);
        machine.next_shard_message().map(|(_, message)| message)
    };
    let told = tells(&mut server.machines[1]).expect("it has counted");
    assert!(matches!(told, ShardMessage::Counted { shard: 1, .. }));
    server.machines[0].shard_message_received(second, &told);
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    server.machines[0].received(second, here, &mut request.to_vec());
    server.turn();
    let text = String::from_utf8(server.heard[&here].clone()).expect("text");
    assert!(text.contains("\ndrupe_connections_undecided 2\n"), "{text}");
    assert_eq!(tells(&mut server.machines[1]), None, "nothing happened since");
    // What only time brings about is told as well: nothing is asked of the connection that is not yet decided.
    let mut later = second;
    while let Some(deadline) = server.machines[1].deadline().filter(|_| server.machines[1].metrics().undecided > 0) {
        later = deadline.at;
        server.machines[1].elapsed(later);
    }
    while server.machines[1].next_shard_message().is_some() {}
    let at = server.machines[1].deadline().expect("it has counted").at;
    server.machines[1].elapsed(at.max(later));
    assert!(matches!(server.machines[1].next_shard_message(), Some((_, ShardMessage::Counted { .. }))));
    assert!(server.machines[1].deadline().is_none_or(|deadline| deadline.at > second));
    let Metrics { requests_metrics, undecided, .. } = server.machines[0].metrics();
    assert_eq!((requests_metrics, undecided), (1, 1), "its own are its own");
}

#[test]
fn rooms_and_reloads_count_once_across_shards() {
    let config = Config::listening(["tcp://127.0.0.1:1".parse().expect("well formed")]);
    let mut server = Server::new(&config, 3);
    let ids: Vec<_> = (1..5).map(|port| server.connect(&format!("192.0.2.1:{port}")).expect("room")).collect();
    server.deliver_all();
    let sum = |server: &Server| {
        let mut sum = server.machines[0].metrics();
        server.machines[1..].iter().for_each(|machine| sum.add(&machine.metrics()));
        (sum.rooms, sum.reloads)
    };
    assert_eq!(sum(&server), (1, 0), "everybody is in the same room");
    for id in &ids[..3] {
        let machine = &mut server.machines[usize::from(id.shard())];
        machine.failed(Time::START, *id, drupe_core::Failure::Reset);
        machine.reconfigured(Time::START, config.clone());
    }
    server.turn();
    server.deliver_all();
    assert_eq!(sum(&server), (1, 1), "one is still there");
    server.machines[0].failed(Time::START, ids[3], drupe_core::Failure::Reset);
    server.turn();
    assert_eq!(sum(&server), (0, 1));
}

#[test]
fn held_back_connection_does_not_time_out_as_idle() {
    let mut config = Config::listening(["tcp://127.0.0.1:1".parse().expect("well formed")]);
    config.peer.idle = Some(std::time::Duration::from_secs(2));
    let mut server = Server::new(&config, 2);
    let id = server.connect("192.0.2.1:1").expect("room");
    let machine = &mut server.machines[0];
    let reads = |machine: &Machine<Relay>| machine.intent(id).is_some_and(|intent| intent.read);
    machine.received(Time::from_secs(1), id, &mut b"half a li".to_vec());
    machine.held_back(Time::from_secs(1), true);
    assert!(!reads(machine));
    machine.elapsed(Time::from_secs(100));
    machine.held_back(Time::from_secs(100), false);
    assert!(reads(machine), "it is read again");
    let named: Vec<ConnId> = std::iter::from_fn(|| machine.next_changed()).collect();
    assert_eq!(named, [id], "and the shell is told");
    assert_eq!(machine.metrics().ended.total(), 0);
    machine.elapsed(Time::from_secs(102));
    assert_eq!(machine.metrics().ended.get(Reason::Idle), 1, "from then on it counts");
}

#[test]
fn connection_of_an_unknown_listener_closes_at_once() {
    let mut machine =
        Machine::new(Config::listening(["tcp://127.0.0.1:1".parse().expect("well formed")]), Relay::default());
    machine.started(Time::START);
    let id = machine.adopted(Time::START, ListenerId::new(7), Peer::Local);
    assert!(machine.intent(id).is_none());
    assert_eq!((machine.metrics().ended.get(Reason::Shutdown), machine.recount()), (1, Ok(())));
}

#[test]
fn holding_back_reports_every_changed_connection() {
    let mut machine =
        Machine::new(Config::listening(["tcp://127.0.0.1:1".parse().expect("well formed")]), Relay::default());
    let conn = machine.accepted(Time::START, ListenerId::new(0), Peer::Local).expect("let in");
    let named = |machine: &mut Machine<Relay>| std::iter::from_fn(|| machine.next_changed()).collect::<Vec<_>>();
    named(&mut machine);
    for (held, expected) in [(true, vec![conn]), (true, vec![]), (false, vec![conn])] {
        machine.held_back(Time::START, held);
        assert_eq!(machine.intent(conn).map(|intent| intent.read), Some(!held));
        assert_eq!(named(&mut machine), expected);
    }
}

/// Two shards behind a reverse proxy that names its clients, each of which may have one connection.
fn behind_proxy(tls: Option<Tls>) -> Server {
    let forwarded = Forwarded::new(ForwardedField::XForwardedFor, ["10.0.0.0/8".parse().expect("good")]);
    let http = Http::default().forwarded(Some(forwarded));
    let address = Address::Tcp(([127, 0, 0, 1], 1).into());
    let mut config = Config::listening([Listen::new(address, Protocol::Http(Arc::new(http))).tls(tls)]);
    config.connections.per_address = 1;
    Server::new(&config, 2)
}

fn upgrade_for(client: &str) -> Vec<u8> {
    format!(
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Forwarded-For: {client}\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    .into_bytes()
}

/// A connection of the proxy on the second shard.
fn proxied_on_second_shard(server: &mut Server) -> ConnId {
    std::iter::repeat_with(|| server.connect("10.0.0.1:9").expect("a proxy"))
        .take(3)
        .find(|id| id.shard() == 1)
        .expect("the shard with the fewest gets the next")
}

#[test]
fn proxied_upgrade_on_another_shard_waits_for_the_first() {
    let mut server = behind_proxy(None);
    let other = server.connect("10.0.0.1:8").expect("a proxy");
    server.send(other, upgrade_for("192.0.2.1"));
    assert_eq!(other.shard(), 0);
    assert!(server.heard_text(other).starts_with("HTTP/1.1 101 "));
    let conn = proxied_on_second_shard(&mut server);
    let mut request = upgrade_for("192.0.2.2");
    frame(Opcode::Text, b"hello", Some([1, 2, 3, 4]), &mut request);
    server.send(conn, request);
    assert_eq!(server.heard_text(conn), "", "the first shard has not answered");
    server.deliver_all();
    assert!(server.heard_text(conn).starts_with("HTTP/1.1 101 "), "{}", server.heard_text(conn));
    assert!(server.heard_text(other).ends_with("hello"), "the message behind the request is served");
    assert_eq!(server.machines[1].metrics().undecided, 0);
}

#[test]
fn proxied_upgrade_is_refused_over_http_by_the_first_shard() {
    let mut server = behind_proxy(None);
    let first = server.connect("10.0.0.1:8").expect("a proxy");
    server.send(first, upgrade_for("192.0.2.1"));
    server.machines[0].command(Time::START, &Command::Quarantine { address: [192, 0, 2, 66].into() });
    for (client, status, reason) in
        [("192.0.2.1", "HTTP/1.1 429 ", Reason::AddressFull), ("192.0.2.66", "HTTP/1.1 403 ", Reason::Quarantined)]
    {
        let conn = proxied_on_second_shard(&mut server);
        server.send(conn, upgrade_for(client));
        server.deliver_all();
        let heard = server.heard_text(conn);
        assert!(heard.starts_with(status) && heard.contains(reason.sentence()), "{client}: {heard}");
        assert_eq!(server.machines[1].metrics().ended.get(reason), 1, "{client}");
    }
    // A client that is not admitted has no place: the one that has it leaves, and the next is admitted.
    server.machines[0].failed(Time::START, first, drupe_core::Failure::Reset);
    let conn = proxied_on_second_shard(&mut server);
    server.send(conn, upgrade_for("192.0.2.1"));
    server.deliver_all();
    assert!(server.heard_text(conn).starts_with("HTTP/1.1 101 "));
}

#[test]
fn client_admitted_by_first_shard_repeats_no_tls_handshake() {
    let mut server = behind_proxy(Some(Tls::external()));
    let conn = proxied_on_second_shard(&mut server);
    server.machines[1].secured(Time::START, conn, &Secured::default());
    server.send(conn, upgrade_for("192.0.2.1"));
    server.deliver_all();
    assert!(server.heard_text(conn).starts_with("HTTP/1.1 101 "), "{}", server.heard_text(conn));
}

#[test]
fn proxied_upgrade_returns_503_when_the_first_shard_is_late() {
    let mut server = behind_proxy(None);
    let conn = proxied_on_second_shard(&mut server);
    server.send(conn, upgrade_for("192.0.2.1"));
    while let Some(deadline) = server.machines[1].deadline().filter(|_| server.heard_text(conn).is_empty()) {
        server.machines[1].elapsed(deadline.at);
        server.machines[1].turn_ended(deadline.at);
        while let Some(intent) = server.machines[1].intent(conn).filter(|intent| !intent.transmit.is_empty()) {
            let bytes = intent.transmit.slices().collect::<Vec<_>>().concat();
            server.machines[1].wrote(deadline.at, conn, bytes.len());
            server.heard.entry(conn).or_default().extend(bytes);
        }
    }
    assert!(server.heard_text(conn).starts_with("HTTP/1.1 503 "), "{}", server.heard_text(conn));
    assert_eq!(server.machines[1].metrics().ended.get(Reason::ServerBusy), 1);
}
