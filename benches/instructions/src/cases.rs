//! What is counted.

use drupe_core::app::{Echo, Relay};
use drupe_instructions::{Extra, Server, Wire};

const RECIPIENTS: u32 = 200;
const ECHOES: u32 = 50;
const PAYLOAD: [u8; 63] = [b'x'; 63];

/// A protocol and what is done with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    name: &'static str,
    wire: Wire,
    work: Work,
}

#[derive(Clone, Copy, Debug)]
enum Work {
    /// One connection sends this number of messages at once to all others.
    FanOut(u32),
    /// Each connection sends a message, and gets it back.
    Echo,
    /// A connection is accepted, sends a message, gets it back, and ends.
    Churn,
}

impl Case {
    pub(crate) const ALL: [Self; 12] = [
        Self::new("lines-1", Wire::Lines, Work::FanOut(1)),
        Self::new("lines-16", Wire::Lines, Work::FanOut(16)),
        Self::new("telnet-1", Wire::Telnet, Work::FanOut(1)),
        Self::new("telnet-16", Wire::Telnet, Work::FanOut(16)),
        Self::new("websocket-1", Wire::WebSocket, Work::FanOut(1)),
        Self::new("websocket-16", Wire::WebSocket, Work::FanOut(16)),
        Self::new("deflate-16", Wire::Deflate, Work::FanOut(16)),
        Self::new("mccp2-16", Wire::Mccp2, Work::FanOut(16)),
        Self::new("lines-echo", Wire::Lines, Work::Echo),
        Self::new("telnet-echo", Wire::Telnet, Work::Echo),
        Self::new("websocket-echo", Wire::WebSocket, Work::Echo),
        Self::new("lines-churn", Wire::Lines, Work::Churn),
    ];

    const fn new(name: &'static str, wire: Wire, work: Work) -> Self {
        Self { name, wire, work }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|case| case.name == name)
    }

    pub(crate) const fn name(self) -> &'static str {
        self.name
    }

    /// What a round does several times.
    pub(crate) const fn unit(self) -> &'static str {
        match self.work {
            Work::FanOut(_) => "delivery",
            Work::Echo => "echo",
            Work::Churn => "connection",
        }
    }

    /// How many of these one round has.
    pub(crate) const fn units(self) -> u32 {
        match self.work {
            Work::FanOut(messages) => messages * RECIPIENTS,
            Work::Echo | Work::Churn => ECHOES,
        }
    }

    pub(crate) fn run(self, extra: Extra, rounds: u32) {
        match self.work {
            Work::FanOut(messages) => {
                let mut server = Server::new(self.wire, Relay::default(), extra);
                let sender = server.connect();
                (0..RECIPIENTS).for_each(|_| {
                    server.connect();
                });
                let input = self.wire.message(&PAYLOAD).repeat(messages as usize);
                // Compressed, it is less.
                let least = if self.wire.is_compressed() { 1 } else { PAYLOAD.len() };
                let expected = RECIPIENTS as usize * least;
                for _ in 0..rounds {
                    server.pass_time();
                    assert!(server.turn(sender, &input) >= expected, "all recipients get all messages");
                }
            }
            Work::Echo => {
                let mut server = Server::new(self.wire, Echo, extra);
                let conns: Vec<_> = (0..ECHOES).map(|_| server.connect()).collect();
                let input = self.wire.message(&PAYLOAD);
                for _ in 0..rounds {
                    server.pass_time();
                    for &conn in &conns {
                        assert!(server.turn(conn, &input) >= PAYLOAD.len(), "the message comes back");
                    }
                }
            }
            Work::Churn => {
                let mut server = Server::new(self.wire, Echo, extra);
                let input = self.wire.message(&PAYLOAD);
                for _ in 0..rounds * ECHOES {
                    server.pass_time();
                    let conn = server.connect();
                    assert!(server.turn(conn, &input) >= PAYLOAD.len(), "the message comes back");
                    server.disconnect(conn);
                }
            }
        }
    }
}
