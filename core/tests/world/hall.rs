//! The application of the swarm: it runs the peers' commands, and records what each should receive.

use crate::homes::Homes;
use drupe_core::http::HttpResponse;
use drupe_core::outbound::SlowPolicy;
use drupe_core::telnet::{InputMode, Key, Signal};
use drupe_core::wire::{LengthPrefix, Wire};
use drupe_core::{
    Backoff, ConnId, Dial, Event, Handler, Hub, Identity, NoNote, Origin, OutgoingBuf, Reason, RequestTicket,
    ShardMessage, Ticket, Timer,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The room that every accepted connection joins, if the limits allow it.
pub(crate) const ALL: &str = "all";

/// The text that the operator publishes.
pub(crate) const OPERATOR: &str = "a word of the operator";

/// Runs each message as a command; see [`Hall::obey`].
#[derive(Default)]
pub(crate) struct Hall {
    /// The messages that each connection sent, in order.
    pub(crate) received: BTreeMap<ConnId, Vec<String>>,
    /// The messages that each connection should receive, in order.
    pub(crate) sent: BTreeMap<ConnId, Vec<String>>,
    /// The members of each room that joined through this handler.
    members: BTreeMap<String, BTreeSet<ConnId>>,
    /// Connections whose wire cannot carry messages of more than 255 bytes.
    short: BTreeSet<ConnId>,
    /// Connections whose sending half has ended.
    finished: BTreeSet<ConnId>,
    /// Connections of raw bytes, which end each message with CR.
    raw: BTreeSet<ConnId>,
    tickets: Vec<Ticket>,
    /// HTTP requests that wait for their response, by the key of the timer.
    requests: BTreeMap<u64, RequestTicket>,
    published: u64,
    /// Keys, or raw bytes, that each connection sent since its last Enter.
    keys: BTreeMap<ConnId, String>,
    /// Connections without the client certificate that their listener requires.
    pub(crate) strangers: Vec<ConnId>,
    homes: Homes,
}

impl Hall {
    pub(crate) const fn homes(&self) -> &Homes {
        &self.homes
    }

    /// Records who should receive a message of another shard, before the machine publishes it.
    pub(crate) fn delivered(&mut self, message: &ShardMessage) {
        if let ShardMessage::Publish { room, except, message } = message {
            let OutgoingBuf::Same(payload) = message else { return };
            let text = payload.as_payload().as_str().unwrap_or_default().to_string();
            if text == OPERATOR {
                return;
            }
            let members = self.members.get(&**room).cloned().unwrap_or_default();
            self.expect(members.iter().filter(|conn| !except.contains(conn)).copied(), &text);
        }
    }

    fn expect(&mut self, conns: impl IntoIterator<Item = ConnId>, text: &str) {
        for conn in conns {
            let is_short = text.len() <= 255 || !self.short.contains(&conn);
            if is_short && !self.finished.contains(&conn) {
                self.sent.entry(conn).or_default().push(text.to_string());
            }
        }
    }

    fn send(&mut self, hub: &mut Hub<'_, u32>, conn: ConnId, text: &str) {
        if hub.send(conn, text) {
            self.expect([conn], text);
        }
    }

    fn publish(&mut self, hub: &mut Hub<'_, u32>, room: &str, except: &[ConnId], length: usize) {
        self.published += 1;
        let text = format!("{room} {} {} {};", hub.random() % 100, self.published, "-".repeat(length));
        let members: Vec<ConnId> = hub.members(room).filter(|conn| !except.contains(conn)).collect();
        self.expect(members, &text);
        hub.publish_except(room, except, &text);
    }

    fn join(&mut self, hub: &mut Hub<'_, u32>, conn: ConnId, room: &str) {
        if hub.join(conn, room) == Ok(true) {
            self.members.entry(room.to_string()).or_default().insert(conn);
        }
    }

    /// Ends the server's half of a connection.
    fn finish(&mut self, hub: &mut Hub<'_, u32>, conn: ConnId) {
        hub.finish(conn);
        self.finished.insert(conn);
    }

    /// Runs a command: a verb and a number.
    fn obey(&mut self, hub: &mut Hub<'_, u32>, conn: ConnId, message: &str) {
        let mut words = message.split(' ');
        let verb = words.next().unwrap_or_default();
        let number: usize = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        let room = ["side", "other", ""][number % 3];
        match verb {
            "say" => self.publish(hub, ALL, &[], number),
            "only" => self.publish(hub, ALL, &[conn], number),
            "some" => {
                let all: Vec<ConnId> = hub.connections().collect();
                self.publish(hub, ALL, &all[..number % (all.len() + 1)], 3);
            }
            "echo" => self.send(hub, conn, &format!("{message};")),
            "many" => (0..number % 40).for_each(|n| self.send(hub, conn, &format!("many {n};"))),
            "big" => self.send(hub, conn, &format!("big {};", "=".repeat(number))),
            "each" => {
                let all: Vec<ConnId> = hub.connections().collect();
                let text = format!("each {number};");
                self.expect(all.iter().copied(), &text);
                hub.send_each(&all, &text);
            }
            "join" => self.join(hub, conn, room),
            "leave" if hub.leave(conn, room) => {
                self.members.entry(room.to_string()).or_default().remove(&conn);
            }
            "pub" => self.publish(hub, room, &[], number),
            "pause" => {
                hub.pause(conn);
                hub.wake(Timer::of(conn, "resume"), Duration::from_millis(number as u64 * 10));
            }
            "prompt" => drop(hub.prompt(conn, "> ")),
            "hide" => drop(hub.prompt_hidden(conn, "password: ")),
            "mode" => {
                // Not `Keys`: a typist could not know whether the server still echoes its keys.
                let modes = [InputMode::Line, InputMode::Character];
                hub.set_input_mode(conn, modes[number % 2]);
            }
            "ticket" => {
                self.tickets.extend(hub.ticket(conn, Duration::from_millis(number as u64)));
            }
            "redeem" => drop(self.tickets.pop().map(|ticket| hub.redeem(ticket))),
            "policy" => {
                let policies =
                    [SlowPolicy::SkipOldest, SlowPolicy::SkipNewest, SlowPolicy::KeepLatest, SlowPolicy::Close];
                let _ = hub.set_slow_policy(room, policies[number % 4]);
            }
            "watch" => hub.watch(conn, !number.is_multiple_of(3)),
            "name" => {
                let name = ["ann", "bob", "cid"][number % 3];
                hub.identify(conn, Identity::user(name));
            }
            "tick" => hub.wake(Timer::named("tick").keyed(number as u64 % 5), Duration::from_millis(number as u64)),
            "dial" => {
                let backoff = number.is_multiple_of(2).then(|| {
                    let (zero, usual) = (Duration::ZERO, Backoff::default());
                    if number.is_multiple_of(4) {
                        return usual;
                    }
                    usual.initial(zero).factor(0).cap(zero).stable_after(zero)
                });
                let dial = if number.is_multiple_of(3) {
                    Dial::websocket("192.0.2.1:7", "/")
                } else {
                    Dial::lines("192.0.2.1:7")
                };
                let timeout = if number.is_multiple_of(7) { Duration::ZERO } else { dial.timeout };
                hub.dial(dial.backoff(backoff).timeout(timeout));
            }
            _ if let Some(verb) = verb.strip_prefix("home-") => self.homes.obey(hub, conn, verb, number),
            "panic" => std::panic::panic_any(Wanted),
            "close" => hub.close(conn),
            "bye" => {
                self.send(hub, conn, "bye;");
                hub.close(conn);
            }
            "finish" => self.finish(hub, conn),
            "end" => hub.end(conn, Reason::Forbidden),
            "quarantine" => {
                if let Some(drupe_core::Peer::Address(address)) = hub.peer(conn) {
                    hub.quarantine(address.ip());
                }
            }
            _ => {}
        }
    }
}

/// The payload of panics that a peer requested.
pub(crate) struct Wanted;

impl Handler for Hall {
    type Context = u32;
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, u32>, event: Event<'_, NoNote>) {
        match event {
            Event::Request { request, .. } if request.path() == "/score" => {
                let _ = hub.respond(HttpResponse::text("7"));
            }
            Event::Request { request, .. } if request.path() == "/slow" => {
                let (key, wait) = (hub.random(), hub.random() % 40);
                self.requests.insert(key, hub.respond_later().expect("there is a request"));
                hub.wake(Timer::named("respond").keyed(key), Duration::from_secs(wait));
            }
            // Each ticket is either used or expires.
            Event::Timer(Timer { name: "respond", key, .. }) => {
                let Some(ticket) = self.requests.remove(&key) else { return };
                hub.respond_to(ticket, &HttpResponse::text("8")).expect("it has not expired");
            }
            Event::RequestExpired { ticket, .. } => {
                let requests = self.requests.len();
                self.requests.retain(|_, known| *known != ticket);
                assert_eq!(self.requests.len() + 1, requests, "{ticket} has been used, or has expired twice");
            }
            Event::Opened { conn, origin, .. } => {
                let frames = hub.listen(conn).map(|listen| listen.protocol.wire());
                if matches!(frames, Some(Wire::LengthPrefixed(frames)) if frames.prefix == LengthPrefix::U8) {
                    self.short.insert(conn);
                }
                if matches!(frames, Some(Wire::Raw(_))) {
                    self.raw.insert(conn);
                }
                let app = hub.listen(conn).map(|listen| listen.app.clone()).unwrap_or_default();
                let user = hub.secured(conn).and_then(|secured| secured.user.clone());
                let is_known = match (app.split_once(' '), &user) {
                    (Some(("required" | "optional", authority)), Some(user)) => user.starts_with(authority),
                    (Some(("required", _)), None) => false,
                    _ => true,
                };
                if !is_known {
                    self.strangers.push(conn);
                }
                if let Origin::Listener(_) = origin {
                    self.join(hub, conn, ALL);
                    self.homes.opened(hub, conn);
                }
            }
            Event::Message { conn, payload } if self.raw.contains(&conn) => {
                for c in payload.as_bytes().iter().map(|&byte| char::from(byte)) {
                    if c != '\r' {
                        self.keys.entry(conn).or_default().push(c);
                        continue;
                    }
                    let message = self.keys.remove(&conn).unwrap_or_default();
                    self.received.entry(conn).or_default().push(message.clone());
                    self.obey(hub, conn, &message);
                }
            }
            Event::Message { conn, payload } => {
                let message = payload.as_str().unwrap_or("?").to_string();
                self.received.entry(conn).or_default().push(message.clone());
                self.obey(hub, conn, &message);
            }
            Event::Signal { conn, signal: Signal::Key(Key::Char(c)), .. } => self.keys.entry(conn).or_default().push(c),
            Event::Signal { conn, signal: Signal::Key(Key::Enter), .. } => {
                let message = self.keys.remove(&conn).unwrap_or_default();
                self.received.entry(conn).or_default().push(message.clone());
                self.obey(hub, conn, &message);
            }
            Event::Timer(Timer { conn: Some(conn), name: "resume", .. }) => hub.resume(conn),
            Event::Timer(Timer { name: "tick", .. }) => self.publish(hub, ALL, &[], 5),
            Event::InputEnded { conn, .. } => match hub.random() % 3 {
                0 => self.finish(hub, conn),
                1 => hub.close(conn),
                _ => hub.wake(Timer::of(conn, "over"), Duration::from_millis(300)),
            },
            Event::Timer(Timer { conn: Some(conn), name: "over", .. }) => hub.close(conn),
            Event::Joined { room, position: Some(position), .. } => self.homes.saw(room, position),
            Event::RoomAnswered { request, answer, .. } => self.homes.answered(request, answer),
            Event::Closed { conn, .. } => {
                for members in self.members.values_mut() {
                    members.remove(&conn);
                }
            }
            _ => {}
        }
    }
}
