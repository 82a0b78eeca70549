//! What is counted: a machine that is driven without sockets.

use super::extra::Extra;
use super::server::Server;
use drupe_core::app::{Echo, Relay};

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
pub(crate) enum Wire {
    Lines,
    Telnet,
    WebSocket,
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
    pub(crate) const ALL: [Self; 10] = [
        Self::new("lines-1", Wire::Lines, Work::FanOut(1)),
        Self::new("lines-16", Wire::Lines, Work::FanOut(16)),
        Self::new("telnet-1", Wire::Telnet, Work::FanOut(1)),
        Self::new("telnet-16", Wire::Telnet, Work::FanOut(16)),
        Self::new("websocket-1", Wire::WebSocket, Work::FanOut(1)),
        Self::new("websocket-16", Wire::WebSocket, Work::FanOut(16)),
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
                let input = self.wire.message().repeat(messages as usize);
                let expected = self.units() as usize * PAYLOAD.len();
                for _ in 0..rounds {
                    server.pass_time();
                    assert!(server.turn(sender, &input) >= expected, "all recipients get all messages");
                }
            }
            Work::Echo => {
                let mut server = Server::new(self.wire, Echo, extra);
                let conns: Vec<_> = (0..ECHOES).map(|_| server.connect()).collect();
                let input = self.wire.message();
                for _ in 0..rounds {
                    server.pass_time();
                    for &conn in &conns {
                        assert!(server.turn(conn, &input) >= PAYLOAD.len(), "the message comes back");
                    }
                }
            }
            Work::Churn => {
                let mut server = Server::new(self.wire, Echo, extra);
                let input = self.wire.message();
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

impl Wire {
    pub(crate) const fn scheme(self) -> &'static str {
        match self {
            Self::Lines => "tcp",
            Self::Telnet => "telnet",
            Self::WebSocket => "ws",
        }
    }

    /// What a client sends first.
    pub(crate) const fn opening(self) -> &'static [u8] {
        match self {
            Self::Lines | Self::Telnet => b"",
            // RFC 6455, section 1.2.
            Self::WebSocket => {
                b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            }
        }
    }

    /// A message of 63 bytes, as a client sends it.
    fn message(self) -> Vec<u8> {
        match self {
            Self::Lines => [&PAYLOAD[..], b"\n"].concat(),
            Self::Telnet => [&PAYLOAD[..], b"\r\n"].concat(),
            Self::WebSocket => {
                // RFC 6455, section 5.2: a final text frame with a mask.
                let mask = [1, 2, 3, 4];
                let masked = PAYLOAD.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
                [0x81, 0x80 | 63].into_iter().chain(mask).chain(masked).collect()
            }
        }
    }
}
