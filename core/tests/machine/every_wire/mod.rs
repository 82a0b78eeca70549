//! One peer on each wire of one machine, in virtual time.

use drupe_core::app::Echo;
use drupe_core::http::Http;
use drupe_core::telnet::{InputMode, Telnet};
use drupe_core::testing::Netstrings;
use drupe_core::tls::{Secured, Tls};
use drupe_core::websocket::{Opcode, frame};
use drupe_core::wire::{Auto, Custom, Delimited, LengthPrefixed, Protocol, Proxies, Raw, Wire};
use drupe_core::{Address, Config, ConnId, Listen, ListenerId, Machine, Peer, Reason, Time, UnixTime};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What every wire of the configuration below is called, and one peer of each.
pub(crate) const WIRES: [&str; 12] = [
    "lines",
    "length",
    "telnet",
    "character",
    "auto",
    "websocket",
    "ws+telnet",
    "lines over TLS",
    "lines by proxy",
    "raw",
    "delimited",
    "netstrings",
];

fn telnet() -> Telnet {
    // The peers have spoken telnet, and are kept alive.
    Telnet::default().keep_alive(Some(Duration::from_secs(60)))
}

fn http() -> Http {
    Http::default().ping(Some(Duration::from_secs(60)))
}

/// A listener for each wire, in their order.
pub(crate) fn base() -> Config {
    let carried = http().telnet(Some(telnet()));
    let character = telnet().mode(InputMode::Character);
    let lines: Protocol = Wire::default().into();
    let spoken: [Protocol; 12] = [
        lines.clone(),
        Wire::LengthPrefixed(LengthPrefixed::default()).into(),
        Wire::Telnet(telnet()).into(),
        Wire::Telnet(character).into(),
        Protocol::Auto(Auto::default()),
        Protocol::Http(Arc::new(http())),
        Protocol::Http(Arc::new(carried)),
        lines.clone(),
        lines,
        Wire::Raw(Raw::default()).into(),
        Wire::Delimited(Delimited::default()).into(),
        Wire::Custom(Custom::new(&Netstrings).expect("a good name")).into(),
    ];
    let mut listeners: Vec<_> = (1..)
        .zip(spoken)
        .map(|(port, protocol)| Listen::new(Address::Tcp(SocketAddr::from(([127, 0, 0, 1], port))), protocol))
        .collect();
    listeners[7].tls = Some(Tls::external());
    listeners[8].proxies = Some(Proxies::trusting(["192.0.2.0/24".parse().expect("a network")]));
    Config::listening(listeners).seed(Some(7))
}

pub(crate) struct Peers {
    pub(crate) machine: Machine<Echo>,
    pub(crate) now: Time,
    pub(crate) conns: BTreeMap<&'static str, ConnId>,
    pub(crate) heard: BTreeMap<ConnId, Vec<u8>>,
    pub(crate) refused: Vec<Reason>,
    pub(crate) elapsed: u64,
}

pub(crate) fn message(wire: &str, text: &str) -> Vec<u8> {
    let mut framed = Vec::new();
    match wire {
        "length" => {
            framed.extend_from_slice(&u32::try_from(text.len()).expect("short").to_be_bytes());
            framed.extend_from_slice(text.as_bytes());
        }
        "websocket" => frame(Opcode::Text, text.as_bytes(), Some([1, 2, 3, 4]), &mut framed),
        "ws+telnet" => frame(Opcode::Binary, format!("{text}\r\n").as_bytes(), Some([1, 2, 3, 4]), &mut framed),
        "delimited" => framed.extend_from_slice(format!("{text}\0").as_bytes()),
        "netstrings" => framed.extend_from_slice(format!("{}:{text},", text.len()).as_bytes()),
        _ => framed.extend_from_slice(format!("{text}\r\n").as_bytes()),
    }
    framed
}

impl Peers {
    pub(crate) fn new(config: Config) -> Self {
        let mut machine = Machine::new(config, Echo);
        machine.clock_set(Time::START, UnixTime::from_secs(1_800_000_000));
        machine.started(Time::START);
        Self {
            machine,
            now: Time::START,
            conns: BTreeMap::new(),
            heard: BTreeMap::new(),
            refused: Vec::new(),
            elapsed: 0,
        }
    }

    /// One peer on each wire, as far as they are let in.
    pub(crate) fn connect(&mut self) {
        for (wire, number) in WIRES.into_iter().zip(0..) {
            let peer = Peer::from(SocketAddr::from(([192, 0, 2, 1], 1000)));
            match self.machine.accepted(self.now, ListenerId::new(number), peer) {
                Ok(conn) => drop(self.conns.insert(wire, conn)),
                Err(refusal) => {
                    self.refused.push(refusal.reason);
                    continue;
                }
            }
            match wire {
                // The terminal agrees to ECHO and SGA.
                "telnet" | "character" => self.say(wire, &[255, 253, 1, 255, 253, 3]),
                "websocket" | "ws+telnet" => self.say(
                    wire,
                    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                ),
                "lines over TLS" => {
                    let secured = Secured::default().version("TLSv1.3".into());
                    self.machine.secured(self.now, self.conns[wire], &secured);
                }
                "lines by proxy" => self.say(wire, b"PROXY TCP4 192.0.2.9 192.0.2.1 4 5\r\n"),
                _ => {}
            }
            if wire == "ws+telnet" {
                let mut agreed = Vec::new();
                frame(Opcode::Binary, &[255, 253, 1, 255, 253, 3], Some([1, 2, 3, 4]), &mut agreed);
                self.say(wire, &agreed);
            }
        }
    }

    pub(crate) fn say(&mut self, wire: &str, bytes: &[u8]) {
        if let Some(&conn) = self.conns.get(wire) {
            self.machine.received(self.now, conn, &mut bytes.to_vec());
            self.turn();
        }
    }

    /// Every socket takes everything.
    pub(crate) fn turn(&mut self) {
        while let Some(conn) = self.machine.next_changed() {
            while let Some(intent) = self.machine.intent(conn).filter(|intent| !intent.transmit.is_empty()) {
                let bytes = intent.transmit.first().to_vec();
                self.machine.wrote(self.now, conn, bytes.len());
                self.heard.entry(conn).or_default().extend(bytes);
            }
        }
        self.machine.turn_ended(self.now);
    }

    pub(crate) fn has_heard(&self, wire: &str, text: &str) -> bool {
        let heard = self.conns.get(wire).and_then(|conn| self.heard.get(conn)).map_or(&[][..], Vec::as_slice);
        heard.windows(text.len()).any(|window| window == text.as_bytes())
    }

    /// Time passes, with a stop at every deadline.
    pub(crate) fn advance(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some(deadline) = self.machine.deadline().filter(|deadline| deadline.at <= until) {
            self.now = self.now.max(deadline.at);
            self.elapsed += 1;
            self.machine.elapsed(self.now);
            self.turn();
        }
        self.now = until;
        self.machine.elapsed(until);
        self.turn();
    }
}
