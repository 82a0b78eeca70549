//! Several hosts with a model of a broker: what holds for all of them.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails where its assumption does")]

mod api;
#[path = "../machine/cluster.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod cluster;
mod endings;
mod logins;
mod monitor;
mod quarantine;

use cluster::Cluster as Shards;
use drupe_core::testing::sim::{Actor, BrokerConnection, BrokerModel};
use drupe_core::{
    Claim, Cluster, ClusterAnswer, ClusterRequest, Config, ConnId, EndTarget, Event, Handler, Hub, Identity, NoNote,
    Random, Reason,
};
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// The kinds of brokers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Broker {
    Redis,
    Nats,
}

/// What a test shows holds for each kind of broker.
pub(crate) fn on_each_broker(test: impl Fn(Broker)) {
    for broker in [Broker::Redis, Broker::Nats] {
        eprintln!("{broker:?}");
        test(broker);
    }
}

/// Hosts of one cluster, and their links to the broker.
pub(crate) struct Hosts<H: Handler> {
    pub(crate) hosts: Vec<Shards<H>>,
    pub(crate) broker: BrokerModel,
    cluster: Cluster,
    links: Vec<Option<(ConnId, BrokerConnection)>>,
    /// Hosts that cannot connect to the broker.
    pub(crate) cut: Vec<bool>,
}

impl<H: Handler> Hosts<H> {
    /// Starts hosts with these numbers of shards, and waits until all know each other.
    pub(crate) fn start(broker: Broker, shards: &[u8], config: &Config, handler: impl Fn() -> H) -> Self {
        let (broker, cluster) = match broker {
            Broker::Redis => (BrokerModel::redis(), Cluster::redis("broker:6379")),
            Broker::Nats => (BrokerModel::nats(1), Cluster::nats("broker:4222")),
        };
        let mut all = Self { hosts: Vec::new(), broker, cluster, links: Vec::new(), cut: Vec::new() };
        for count in shards {
            all.add(*count, config, &handler);
        }
        all.pass(3 * SECOND);
        all
    }

    /// Starts one more host.
    pub(crate) fn add(&mut self, shards: u8, config: &Config, handler: &impl Fn() -> H) {
        let number = self.hosts.len() as u64;
        let config = config.clone().cluster(Some(self.cluster.clone())).seed(Some(100 + number));
        let mut host = Shards::start(&config, shards, number, handler);
        if let Some(first) = self.hosts.first() {
            host.now = first.now;
        }
        self.hosts.push(host);
        self.links.push(None);
        self.cut.push(false);
    }

    /// Lets time pass in short steps.
    pub(crate) fn pass(&mut self, span: Duration) {
        for _ in 0..span.as_millis().div_ceil(100) {
            for host in &mut self.hosts {
                host.now = host.now + Duration::from_millis(100);
            }
            self.deliver();
        }
    }

    /// Delivers all that is on its way.
    pub(crate) fn deliver(&mut self) {
        let now = self.hosts.iter().map(|host| host.now).max().expect("a host");
        self.broker.set_time(now);
        for _ in 0..1_000 {
            let mut is_quiet = true;
            for (number, host) in self.hosts.iter_mut().enumerate() {
                host.deliver_all();
                let link = &mut self.links[number];
                let last = host.machines.len() - 1;
                if self.cut[number] {
                    if let Some((conn, mut connection)) = link.take() {
                        connection.over();
                        host.reset(conn);
                        is_quiet = false;
                    }
                    continue;
                }
                let Some((conn, connection)) = link else {
                    let wanted = host.machines[last].dials().next().map(|(dial, _)| dial);
                    if let Some(dial) = wanted {
                        let peer = "192.0.2.250:6379".parse().expect("an address");
                        let conn = host.machines[last].dialed(host.now, dial, peer).expect("it is wanted");
                        let mut connection = self.broker.connection();
                        connection.connected(&mut Random::new(1));
                        *link = Some((conn, connection));
                        is_quiet = false;
                    }
                    continue;
                };
                let said = host.received.remove(conn).unwrap_or_default();
                if !said.is_empty() {
                    connection.hear(&said);
                    is_quiet = false;
                }
                let bytes = connection.replies();
                if !bytes.is_empty() {
                    let conn = *conn;
                    host.send(conn, &bytes);
                    is_quiet = false;
                }
            }
            if is_quiet {
                return;
            }
        }
        panic!("the hosts do not come to rest");
    }

    /// Ends a host at once. Its lease stays until it expires.
    pub(crate) fn crash(&mut self, host: usize) {
        self.hosts.remove(host);
        self.cut.remove(host);
        if let Some((_, mut connection)) = self.links.remove(host) {
            connection.over();
        }
    }

    /// Sends a line of a peer to a host, and returns what the peer was told.
    pub(crate) fn told(&mut self, host: usize, conn: ConnId, line: &str) -> Vec<String> {
        self.hosts[host].say(conn, line);
        self.deliver();
        self.hosts[host].take_lines(conn)
    }
}

/// An application whose peers name themselves, and end others.
#[derive(Default)]
pub(crate) struct Desk {
    asked: BTreeMap<ClusterRequest, ConnId>,
}

impl Handler for Desk {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Message { conn, payload } => {
                let words: Vec<_> = payload.as_str().expect("text").split(' ').collect();
                let request = match words[..] {
                    ["as", user] => {
                        hub.identify(conn, Identity::user(user));
                        return;
                    }
                    ["kick", user] => hub.end_everywhere(EndTarget::user(user), Reason::Kicked),
                    ["kick_from", address] => {
                        let address = address.parse().expect("an address");
                        hub.end_everywhere(EndTarget::Address(address), Reason::Kicked)
                    }
                    ["claim", key, seconds] => hub.claim(key, Duration::from_secs(seconds.parse().expect("a number"))),
                    ["release", address] => {
                        hub.release(address.parse().expect("an address"));
                        return;
                    }
                    _ => panic!("{words:?}"),
                };
                self.asked.insert(request, conn);
            }
            Event::ClusterAnswered { request, answer, .. } => {
                let conn = self.asked.remove(&request).expect("it is answered once");
                let words = match answer {
                    ClusterAnswer::Ended(ended) => ended.to_string(),
                    ClusterAnswer::Claimed(claim) => claim.name().into(),
                    other => format!("{other:?}"),
                };
                hub.send(conn, &words);
            }
            _ => {}
        }
    }
}

pub(crate) fn config() -> Config {
    Config::listening(["tcp://127.0.0.1:1".parse().expect("an address")]).unlimited()
}

#[test]
fn a_key_is_free_once_for_all_hosts_until_its_time_is_over() {
    on_each_broker(|broker| {
        let mut all = Hosts::start(broker, &[2, 1], &config(), Desk::default);
        let conns = [0, 0, 1].map(|host| (host, all.hosts[host].connect_from(1)));
        let claim = |all: &mut Hosts<Desk>, who: usize, key: &str| {
            let (host, conn) = conns[who];
            all.told(host, conn, &format!("claim {key} 10"))
        };
        assert_eq!(claim(&mut all, 0, "a"), [Claim::Free.name()]);
        for who in 0..3 {
            assert_eq!(claim(&mut all, who, "a"), [Claim::Taken.name()]);
        }
        assert_eq!(claim(&mut all, 2, "b"), [Claim::Free.name()]);
        assert_eq!(claim(&mut all, 1, "b"), [Claim::Taken.name()]);
        all.pass(11 * SECOND);
        // NATS keeps all claims for 30 days.
        let later = if matches!(broker, Broker::Nats) { Claim::Taken } else { Claim::Free };
        assert_eq!(claim(&mut all, 1, "a"), [later.name()]);
        all.broker.is_full(true);
        assert_eq!(claim(&mut all, 0, "c"), [Claim::Unknown.name()]);
        all.broker.is_full(false);
        all.cut[0] = true;
        all.deliver();
        assert_eq!(claim(&mut all, 0, "c"), [Claim::NoBroker.name()]);
        assert_eq!(claim(&mut all, 2, "c"), [Claim::Free.name()]);
    });
}

#[test]
fn a_server_without_a_cluster_has_no_broker() {
    let mut server = Shards::start(&config(), 2, 1, Desk::default);
    let conns = [1, 2].map(|address| server.connect_from(address));
    assert_eq!(server.told(conns[1], "claim a 5"), ["no_broker"]);
    server.told(conns[0], "as ann");
    assert_eq!(server.told(conns[1], "kick ann"), ["1 connections ended; 1 of 1 hosts answered"]);
    assert!(server.is_over(conns[0]));
}
