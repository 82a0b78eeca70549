//! One host: a machine with its connections and its link, in virtual time.

use super::crowd::{Crowd, Plan, line};
use super::options::Options;
use drupe_core::history::Keep;
use drupe_core::limit::{Budget, MessageSize};
use drupe_core::{
    Cluster, Config, ConnId, DialId, End, Failure, Home, Listen, ListenerId, Machine, Metrics, Peer, RoomLimits,
    RoomMemory, RoomOptions, Time,
};
use std::net::{Ipv4Addr, SocketAddr};

/// Number of bytes that a host reads from its link at once, as a shell does.
const READ_BYTES: usize = 64 << 10;

pub(super) struct Host {
    machine: Machine<Crowd>,
    conns: Vec<ConnId>,
    link: Option<ConnId>,
    /// The attempt to connect to the broker, while the machine wants one.
    dial: Option<DialId>,
    deadline: Option<Time>,
    /// What has arrived from the broker.
    pub(super) from_broker: Vec<u8>,
    /// What leaves for the broker.
    pub(super) to_broker: Vec<u8>,
    /// Whether the host has closed its link, until the broker knows.
    pub(super) has_closed_link: bool,
    /// The rooms to which members publish next, and who does: the numbers of their connections.
    pub(super) publishes: Vec<(usize, u64)>,
    bytes: u64,
    /// Number of bytes that members were sent.
    pub(super) to_members: u64,
}

impl Host {
    pub(super) fn new(options: &Options, plan: Plan, number: u64) -> Self {
        let machine = Machine::new(config(options, number), Crowd::new(plan, number));
        let mut host = Self {
            machine,
            conns: Vec::new(),
            link: None,
            dial: None,
            deadline: None,
            from_broker: Vec::new(),
            to_broker: Vec::new(),
            has_closed_link: false,
            publishes: Vec::new(),
            bytes: options.bytes,
            to_members: 0,
        };
        host.machine.started(Time::START);
        host.turn(Time::START);
        host
    }

    /// Accepts this many connections.
    pub(super) fn accept(&mut self, now: Time, count: u64) {
        for _ in 0..count {
            let conn =
                self.machine.accepted(now, ListenerId::new(0), Peer::Local).expect("the limits leave room for all");
            self.conns.push(conn);
            self.flush(now);
        }
        self.turn(now);
    }

    /// Returns `true` if the host wants to connect to the broker.
    pub(super) const fn wants_link(&self) -> bool {
        self.dial.is_some()
    }

    /// Reports whether the attempt to connect has succeeded. Returns `true` if there is a link.
    pub(super) fn dialed(&mut self, now: Time, is_there: bool) -> bool {
        let Some(dial) = self.dial.take() else { return false };
        if is_there {
            let broker = Peer::Address(SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 6379)));
            self.link = self.machine.dialed(now, dial, broker);
        } else {
            self.machine.dial_failed(now, dial, Failure::Refused);
        }
        self.turn(now);
        self.link.is_some()
    }

    /// Breaks the link, as a broker that ends does.
    pub(super) fn lose_link(&mut self, now: Time) {
        self.from_broker.clear();
        self.to_broker.clear();
        if let Some(link) = self.link.take() {
            self.machine.failed(now, link, Failure::Reset);
            self.turn(now);
            self.has_closed_link = false;
        }
    }

    /// Returns `true` if something has arrived or a deadline has come.
    pub(super) fn has_work(&self, now: Time) -> bool {
        !self.from_broker.is_empty() || !self.publishes.is_empty() || self.deadline.is_some_and(|at| at <= now)
    }

    /// Handles what has arrived, the lines of members and what is due, and writes everything.
    pub(super) fn turn(&mut self, now: Time) {
        // What was due since the last step of the clock came before what arrives now.
        if self.deadline.is_some_and(|at| at < now) {
            self.machine.elapsed(now);
            self.flush(now);
        }
        let mut input = core::mem::take(&mut self.from_broker);
        for part in input.chunks_mut(READ_BYTES) {
            if let Some(link) = self.link {
                self.machine.received(now, link, part);
                self.flush(now);
            }
        }
        for (number, room) in core::mem::take(&mut self.publishes) {
            if let Some(&conn) = self.conns.get(number) {
                self.machine.received(now, conn, &mut line(room, self.bytes));
            }
            if self.machine.turn_is_full() {
                self.flush(now);
            }
        }
        while self.machine.deadline().is_some_and(|deadline| deadline.at <= now) {
            self.machine.elapsed(now);
            self.flush(now);
        }
        self.flush(now);
        self.deadline = self.machine.deadline().map(|deadline| deadline.at);
    }

    /// Writes all output, as a shell does at the end of a turn. Every socket takes everything.
    fn flush(&mut self, now: Time) {
        while let Some(conn) = self.machine.next_changed() {
            let is_link = self.link == Some(conn);
            let Some(intent) = self.machine.intent(conn) else {
                if is_link {
                    self.link = None;
                    self.has_closed_link = true;
                    self.to_broker.clear();
                }
                continue;
            };
            if is_link {
                intent.transmit.slices().for_each(|slice| self.to_broker.extend_from_slice(slice));
            }
            let (bytes, end) = (intent.transmit.len(), intent.end);
            self.to_members += if is_link { 0 } else { bytes as u64 };
            if end == End::Shutdown {
                self.machine.ended(now, conn);
            } else if bytes > 0 {
                self.machine.wrote(now, conn, bytes);
            }
        }
        self.machine.turn_ended(now);
        while let Some(dial) = self.machine.next_changed_dial() {
            self.dial = self.machine.address_to_dial(dial).map(|_| dial);
        }
    }

    pub(super) fn metrics(&self) -> Metrics {
        self.machine.metrics()
    }

    pub(super) fn crowd(&self) -> &Crowd {
        self.machine.handler()
    }
}

fn config(options: &Options, number: u64) -> Config {
    let any: Listen = "tcp://127.0.0.1:1".parse().expect("well formed");
    let keep = Keep::messages(u32::try_from(options.keep).unwrap_or(u32::MAX));
    let rooms = RoomOptions::new("*", keep).home(Home::Shared);
    let size = MessageSize::new(options.bytes + 100).unwrap_or(MessageSize::MAX);
    let limits = RoomLimits::default().total(u32::MAX).per_connection(u32::MAX);
    Config::listening([any])
        .unlimited()
        .seed(Some(options.seed.wrapping_mul(0x9e37_79b9).wrapping_add(number)))
        .rooms(limits)
        .budget(Budget::default().message_max_bytes(size))
        .idle(None)
        .silence(None)
        .lifetime(None)
        .memory(RoomMemory::default().rooms(vec![rooms]))
        .cluster(Some(Cluster::redis("broker:6379")))
}
