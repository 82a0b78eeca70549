//! The clients of a listener and their scripts.

use crate::homes;
use crate::swarm::{Feature, Swarm};
use drupe_core::sim::{Client, Do, Link};
use drupe_core::telnet::InputMode;
use drupe_core::wire::{LengthPrefix, Protocol, Wire};
use drupe_core::{Listen, Random};
use std::time::Duration;

/// A client for a listener, with its script.
pub(crate) struct Guest {
    pub(crate) client: Client,
    pub(crate) script: Script,
    /// Whether the client uses HTTP.
    pub(crate) is_http: bool,
    /// Whether the client sends only messages, so that `check` can compare them.
    pub(crate) is_exact: bool,
}

/// Longest message of an exact client, in bytes.
const LINE_BYTES: usize = 32;

pub(crate) type Script = Box<dyn FnMut(&mut Random) -> Do>;

impl Swarm {
    /// Creates a client for a listener, most often of the listener's own protocol.
    pub(crate) fn guest(&mut self, listen: &Listen, link: Link, line_max: usize) -> Guest {
        let (client, speaks) = match &listen.protocol {
            Protocol::Spoken(Wire::Lines(_)) => (Client::lines(), true),
            Protocol::Spoken(Wire::LengthPrefixed(frames)) => (Client::length_prefixed(frames.prefix), true),
            Protocol::Spoken(Wire::Telnet(telnet)) => (self.terminal(telnet.mode, line_max), true),
            Protocol::Spoken(Wire::WebSocket(_)) => (Client::websocket(), true),
            Protocol::Spoken(Wire::Raw(_)) => (Client::raw(b"\r", b";"), true),
            Protocol::Spoken(Wire::Delimited(wire)) => (Client::delimited(wire.delimiter.as_bytes()), true),
            Protocol::Spoken(Wire::Custom(_)) => (Client::netstrings(), true),
            Protocol::Http(_) if self.chance(5) => (Client::http(), false),
            Protocol::Http(http) => match &http.telnet {
                Some(telnet) => (self.terminal(telnet.mode, line_max).in_websocket("/"), true),
                None => (Client::websocket_at("/", self.has(Feature::Deflate)), true),
            },
            // The listener treats a peer that does not send at once as a telnet client. Without a
            // wait, it treats every peer so.
            Protocol::Auto(auto) if link == Link::Steady && auto.wait > Duration::from_millis(1) => {
                match self.number(5) {
                    0 if auto.prefix.is_some() && listen.proxies.is_none() => {
                        (Client::length_prefixed(LengthPrefix::U32Be).begins_with("echo 1 0"), true)
                    }
                    0 | 1 => (Client::lines().begins_with("echo 1 0"), true),
                    2 => (Client::websocket(), true),
                    3 => (Client::http().begins_with("/healthz"), false),
                    _ => (self.terminal(auto.telnet.mode, line_max).telnet_first(), true),
                }
            }
            Protocol::Auto(auto) => (self.terminal(auto.telnet.mode, line_max).telnet_first(), true),
            other => panic!("there is no client for {other:?}"),
        };
        let garbage = self.has(Feature::Garbage) && self.chance(4);
        let script = if speaks { self.talk(garbage) } else { self.requests(garbage) };
        // A line editor cuts a line that is too long; other wires end the connection. Where the
        // application receives single keys, a rate that drops keys leaves gaps in messages.
        let lacks_keys = tells_keys(&listen.protocol) && self.has(Feature::Rates) && self.has(Feature::Drops);
        let is_exact = speaks && !garbage && !lacks_keys && !self.has(Feature::Modes) && line_max > LINE_BYTES;
        Guest { client, script, is_exact, is_http: !speaks }
    }

    fn terminal(&mut self, mode: InputMode, line_max: usize) -> Client {
        if mode == InputMode::Keys || self.chance(4) {
            return Client::telnet();
        }
        let columns = self.pick(&[20, 80, 80, 132]);
        Client::typist(columns, line_max.min(4_096))
    }

    /// The script of a client that sends messages.
    fn talk(&mut self, garbage: bool) -> Script {
        let mut verbs = vec!["say", "say", "only", "echo", "echo", "many"];
        let mut add = |has: bool, more: &[&'static str]| {
            if has {
                verbs.extend(more);
            }
        };
        add(self.has(Feature::Rooms), &["join", "leave", "pub", "pub", "some", "each"]);
        add(self.has(Feature::Policies), &["policy"]);
        add(self.has(Feature::AppPauses), &["pause"]);
        add(self.has(Feature::Prompts), &["prompt", "hide"]);
        add(self.has(Feature::Modes), &["mode"]);
        add(self.has(Feature::TicketKeys), &["ticket", "redeem", "tick"]);
        add(self.has(Feature::Dials), &["dial"]);
        add(self.has(Feature::Watch), &["watch", "name"]);
        add(self.has(Feature::Homes), &[homes::VERBS, homes::VERBS].concat());
        let seldom: Vec<&'static str> = [
            (Feature::Panics, "panic"),
            (Feature::Ends, "close"),
            (Feature::Ends, "bye"),
            (Feature::Ends, "end"),
            (Feature::HalfOpen, "finish"),
            (Feature::Quarantine, "quarantine"),
        ]
        .into_iter()
        .filter(|(feature, _)| self.has(*feature))
        .map(|(_, verb)| verb)
        .collect();
        let (big, pace, ends) = (self.has(Feature::Big), self.pick(&[1, 2, 20]), self.pick(&[0, 15, 60, 300]));
        let burst = self.pick(&[1, 1, 5, 60]);
        let storms = garbage && self.has(Feature::Storms);
        let mut said = 0;
        let mut left = 0;
        Box::new(move |random: &mut Random| {
            if left == 0 && random.below(pace) > 0 {
                return if random.below(6) == 0 { Do::Fidget } else { Do::Wait };
            }
            left = if left == 0 { random.below(burst) } else { left - 1 };
            if ends > 0 && random.below(ends) == 0 {
                return [Do::Close, Do::Close, Do::End, Do::Leave][usize::try_from(random.below(4)).expect("small")]
                    .clone();
            }
            if garbage && random.below(20) == 0 {
                let length = random.below(60);
                return Do::Raw((0..length).map(|_| u8::try_from(random.below(256)).expect("small")).collect());
            }
            if storms && random.below(10) == 0 {
                return storm(random);
            }
            said += 1;
            let verb = if !seldom.is_empty() && random.below(20) == 0 {
                seldom[usize::try_from(random.below(seldom.len() as u64)).expect("small")]
            } else {
                verbs[usize::try_from(random.below(verbs.len() as u64)).expect("small")]
            };
            let most = if big && random.below(10) == 0 { 5_000 } else { 60 };
            let verb = if big && random.below(20) == 0 { "big" } else { verb };
            Do::Say(format!("{verb} {} {said}", random.below(most)))
        })
    }

    /// The script of an HTTP client.
    fn requests(&mut self, garbage: bool) -> Script {
        let paths = [
            "/monitor",
            "/monitor.js",
            "/metrics",
            "/healthz",
            "/readyz",
            "/app.js",
            "/%2e%2e/app.js",
            "/nothing",
            "/score",
            "/slow",
            "/",
            "/metrics",
        ];
        let burst = self.pick(&[1, 3, 10]);
        let mut left = 0;
        Box::new(move |random: &mut Random| {
            if left == 0 && random.below(6) > 0 {
                return Do::Wait;
            }
            left = if left == 0 { random.below(burst) } else { left - 1 };
            if garbage && random.below(10) == 0 {
                return Do::Raw(b"GET /\x01 HTTP/1.1\r\n\r\n".to_vec());
            }
            if random.below(100) == 0 {
                return Do::End;
            }
            Do::Say(paths[usize::try_from(random.below(paths.len() as u64)).expect("small")].to_string())
        })
    }
}

/// Whether the application receives keys or pieces of messages on a listener with this protocol.
fn tells_keys(protocol: &Protocol) -> bool {
    if matches!(protocol, Protocol::Spoken(Wire::Raw(_))) {
        return true;
    }
    let telnet = match protocol {
        Protocol::Spoken(Wire::Telnet(telnet)) => Some(telnet),
        Protocol::Auto(auto) => Some(&auto.telnet),
        Protocol::Http(http) => http.telnet.as_ref(),
        _ => None,
    };
    telnet.is_some_and(|telnet| telnet.mode == InputMode::Keys)
}

/// One key or telnet command, repeated after a long line: the most expensive input of a few reads.
fn storm(random: &mut Random) -> Do {
    let keys: [&[u8]; 12] = [
        b"\x01\x05",
        b"\x0c",
        b"\x10\x0e",
        b"\x1b[A",
        b"\x1b[D",
        b"\x7f",
        b"\x15",
        b"\x17",
        b"\xff\xf6",
        b"\xff\xf7",
        b"\xff\xfd\x05\xff\xfe\x05",
        b"\r\x10",
    ];
    let letters = [&b"x"[..], "e\u{301}".as_bytes(), "\u{6f22}".as_bytes()];
    let key = keys[usize::try_from(random.below(12)).expect("small")];
    let letter = letters[usize::try_from(random.below(3)).expect("small")];
    Do::Raw([letter.repeat(4_000 / letter.len()), key.repeat(8_192 / key.len()), b"\r\n".to_vec()].concat())
}
