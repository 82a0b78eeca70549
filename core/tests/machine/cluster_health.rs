//! Whether a server is ready, and what its metrics and its log say, while the link to the broker does not work.

use drupe_core::broker::WithoutBroker;
use drupe_core::kit::layer::{Layered, Logging, Within};
use drupe_core::testing::sim::{Actor, BrokerModel};
use drupe_core::{
    Cluster, Config, ConnId, DialId, Event, Failure, Handler, Hub, ListenerId, Machine, NoNote, Random, Shard, Time,
};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

struct Nothing;

impl Handler for Nothing {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, _: &mut Hub<'_, ()>, _: Event<'_, NoNote>) {}
}

type Log = Box<dyn FnMut(&str)>;

/// A server whose link to the broker is made by hand.
struct Server {
    machine: Machine<Layered<Logging<Log>, Nothing>>,
    now: Time,
    lines: Rc<RefCell<Vec<String>>>,
}

impl Server {
    fn new(without_broker: WithoutBroker, shard: Option<Shard>) -> Self {
        let mut config = Config::listening(["ws://127.0.0.1:1".parse().expect("an address")]);
        config.cluster = Some(Cluster::redis("127.0.0.1:2").without_broker(without_broker));
        let lines = Rc::new(RefCell::new(Vec::new()));
        let log = Rc::clone(&lines);
        let log: Log = Box::new(move |line| log.borrow_mut().push(line.into()));
        let handler = Nothing.within(Logging::new(log));
        let mut machine = match shard {
            Some(shard) => Machine::shard(config, handler, shard),
            None => Machine::new(config, handler),
        };
        machine.started(Time::START);
        Self { machine, now: Time::START, lines }
    }

    fn advance(&mut self, by: Duration) {
        self.now = self.now + by;
        self.machine.elapsed(self.now);
    }

    /// Lets time pass until the next attempt to connect.
    fn dial(&mut self) -> DialId {
        for _ in 0..1_000 {
            if let Some((dial, _)) = self.machine.dials().next() {
                return dial;
            }
            self.advance(SECOND / 10);
        }
        panic!("nothing is dialled");
    }

    /// Makes a link that works.
    fn link(&mut self) -> ConnId {
        let dial = self.dial();
        let peer = SocketAddr::from(([127, 0, 0, 1], 2)).into();
        let conn = self.machine.dialed(self.now, dial, peer).expect("it is wanted");
        let mut broker = BrokerModel::redis().connection();
        broker.connected(&mut Random::new(1));
        loop {
            let bytes = self.transmitted(conn);
            if bytes.is_empty() {
                return conn;
            }
            broker.hear(&bytes);
            self.machine.received(self.now, conn, &mut broker.replies());
        }
    }

    /// Takes what is sent to a peer.
    fn transmitted(&mut self, conn: ConnId) -> Vec<u8> {
        let mut taken = Vec::new();
        while let Some(bytes) = self.machine.intent(conn).map(|intent| intent.transmit.first().to_vec()) {
            if bytes.is_empty() {
                break;
            }
            self.machine.wrote(self.now, conn, bytes.len());
            taken.extend(bytes);
        }
        taken
    }

    /// Asks for a path. Returns the status, and the body.
    fn get(&mut self, path: &str) -> (u16, String) {
        let peer = SocketAddr::from(([192, 0, 2, 1], 1)).into();
        let conn = self.machine.accepted(self.now, ListenerId::new(0), peer).expect("let in");
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").into_bytes();
        self.machine.received(self.now, conn, &mut request);
        let bytes = self.transmitted(conn);
        self.machine.ended(self.now, conn);
        let text = String::from_utf8(bytes).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        (head[9..12].parse().expect("a status"), body.into())
    }
}

#[test]
fn server_is_ready_while_the_link_works_and_for_10_s_after() {
    let mut server = Server::new(WithoutBroker::Refuse, None);
    let (ready, down) = ((200, "ready\ncluster: up\n"), (503, "not ready\ncluster: down\n"));
    let check = |server: &mut Server, (status, body): (u16, &str)| {
        assert_eq!(server.get("/readyz"), (status, body.to_string()));
        assert_eq!(server.get("/healthz").0, 200, "the process itself is fine");
        let metrics = server.machine.metrics().cluster;
        assert_eq!((metrics.configured, metrics.unready), (1, u64::from(status != 200)));
    };
    check(&mut server, down);
    let dial = server.dial();
    server.machine.dial_failed(server.now, dial, Failure::Refused);
    check(&mut server, down);
    let conn = server.link();
    check(&mut server, ready);
    server.machine.ended(server.now, conn);
    check(&mut server, (200, "ready\ncluster: down\n"));
    // Further failures do not begin the time anew.
    for _ in 0..3 {
        let dial = server.dial();
        server.machine.dial_failed(server.now, dial, Failure::Refused);
    }
    server.advance(Duration::from_secs(11));
    check(&mut server, down);
    server.link();
    check(&mut server, ready);
    let lines = server.lines.borrow();
    let told: Vec<_> = lines.iter().filter(|line| line.contains("broker")).map(String::as_str).collect();
    let refused = "broker down: refused";
    let ended = "broker down: the connection has ended: peer_closed";
    assert_eq!(told, [refused, "broker up", ended, refused, refused, refused, "broker up"]);
}

#[test]
fn server_that_goes_on_alone_is_ready_without_the_link() {
    let mut server = Server::new(WithoutBroker::Local, None);
    assert_eq!(server.get("/readyz"), (200, "ready\ncluster: down\n".into()));
    server.advance(Duration::from_secs(60));
    assert_eq!(server.get("/readyz"), (200, "ready\ncluster: down\n".into()));
}

#[test]
fn shard_that_has_not_heard_from_the_one_with_the_link_is_not_ready() {
    let shard = |number| Shard::new(number, 2).expect("in range");
    let mut first = Server::new(WithoutBroker::Refuse, Some(shard(0)));
    let mut last = Server::new(WithoutBroker::Refuse, Some(shard(1)));
    assert_eq!(first.get("/readyz").0, 503);
    last.link();
    last.advance(SECOND);
    for _ in 0..2 {
        while let Some((_, message)) = last.machine.next_shard_message() {
            first.machine.shard_message_received(first.now, &message);
        }
        last.advance(SECOND);
    }
    assert_eq!(first.get("/readyz"), (200, "ready\ncluster: up\n".into()));
    let text = first.get("/metrics").1;
    for line in
        ["drupe_cluster_link_up 1", "drupe_cluster_unready 0", "drupe_cluster_links_total 1", "drupe_cluster_rooms 0"]
    {
        assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    }
}

#[test]
fn reload_changes_no_cluster() {
    let mut server = Server::new(WithoutBroker::Refuse, None);
    let conn = server.link();
    let mut config = server.machine.config().clone();
    config.cluster = None;
    server.machine.reconfigured(server.now, config);
    assert!(server.machine.config().cluster.is_some() && server.machine.metrics().cluster.up == 1);
    server.machine.ended(server.now, conn);
    server.link();
    assert_eq!(server.machine.metrics().cluster.links, 2);
}
