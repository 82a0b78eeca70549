//! Time in which the server did not run does not count against any peer.
//!
//! The process was stopped (SIGSTOP, a paused container or virtual machine), or busy with something
//! else.

use crate::every_wire::{WIRES, base, message};
use drupe_core::app::Echo;
use drupe_core::tls::Secured;
use drupe_core::trace::{SharedTrace, replay};
use drupe_core::tunnel::{Ssh, Tunnel, TunnelReport, TunnelState};
use drupe_core::websocket::{Opcode, frame};
use drupe_core::wire::Protocol;
use drupe_core::{
    Command, Config, ConnId, Dial, Event, Handler, Hub, ListenerId, Machine, Peer, Reason, Ticket, Time, Timer,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const PAUSE: Duration = secs(60);

fn peer(number: u32) -> Peer {
    SocketAddr::from((std::net::Ipv4Addr::from(0xc000_0200 + number % 250), 1000)).into()
}

/// Pinged every 5 s where that can be, and closed when silent for 15 s.
fn config() -> Config {
    let mut config = base();
    for listen in &mut config.listeners {
        if let Protocol::Http(http) = &mut listen.protocol {
            Arc::make_mut(http).ping = Some(secs(5));
        }
    }
    config.peer.silence = Some(secs(15));
    config.connections.per_address = u32::MAX;
    config
}

struct Crowd {
    machine: Machine<Echo>,
    now: Time,
    members: Vec<Member>,
    elapsed: u64,
}

struct Member {
    conn: ConnId,
    wire: &'static str,
    alive: bool,
    /// What it was sent and has not looked at.
    heard: Vec<u8>,
}

impl Crowd {
    /// So many peers, of which every other one is dead as soon as it is in.
    fn new(config: Config, count: u32) -> Self {
        let mut machine = Machine::new(config, Echo);
        machine.started(Time::START);
        let mut crowd = Self { machine, now: Time::START, members: Vec::new(), elapsed: 0 };
        for number in 0..count {
            let listener = number % u32::try_from(WIRES.len()).expect("few");
            let conn =
                crowd.machine.accepted(crowd.now, ListenerId::new(listener), peer(number)).expect("room for all");
            let (wire, alive) = (WIRES[listener as usize], number / 9 % 2 == 0);
            crowd.members.push(Member { conn, wire, alive, heard: Vec::new() });
            let place = crowd.members.len() - 1;
            match wire {
                "websocket" | "ws+telnet" => crowd.say(
                    place,
                    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                ),
                "lines over TLS" => crowd.machine.secured(crowd.now, conn, &Secured::default()),
                "lines by proxy" => crowd.say(place, b"PROXY TCP4 192.0.2.9 192.0.2.1 4 5\r\n"),
                _ => {}
            }
            crowd.say(place, &message(wire, "hello"));
        }
        crowd.turn();
        crowd
    }

    fn say(&mut self, place: usize, bytes: &[u8]) {
        self.machine.received(self.now, self.members[place].conn, &mut bytes.to_vec());
    }

    fn turn(&mut self) {
        while let Some(conn) = self.machine.next_changed() {
            while let Some(intent) = self.machine.intent(conn).filter(|intent| !intent.transmit.is_empty()) {
                let bytes = intent.transmit.first().to_vec();
                self.machine.wrote(self.now, conn, bytes.len());
                if let Some(member) = self.members.iter_mut().find(|member| member.conn == conn) {
                    member.heard.extend(bytes);
                }
            }
        }
        self.machine.turn_ended(self.now);
    }

    /// Who is alive answers its pings, or says something where there are none.
    fn live(&mut self) {
        for place in 0..self.members.len() {
            let member = &mut self.members[place];
            if !member.alive {
                continue;
            }
            let heard = std::mem::take(&mut member.heard);
            if !matches!(member.wire, "websocket" | "ws+telnet") {
                let wire = member.wire;
                self.say(place, &message(wire, "still here"));
                continue;
            }
            // A ping of 8 bytes.
            let pings = heard.windows(10).filter(|window| window[..2] == [0x89, 8]).map(|ping| ping[2..].to_vec());
            for content in pings.collect::<Vec<_>>() {
                let mut pong = Vec::new();
                frame(Opcode::Pong, &content, Some([1, 2, 3, 4]), &mut pong);
                self.say(place, &pong);
            }
        }
        self.turn();
    }

    /// The server runs.
    fn run(&mut self, span: Duration) {
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

    /// It does not run.
    fn pause(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    fn open(&self, alive: bool) -> usize {
        let open = |member: &&Member| self.machine.intent(member.conn).is_some_and(|intent| intent.read);
        self.members.iter().filter(|member| member.alive == alive).filter(open).count()
    }
}

#[test]
fn process_pause_closes_only_dead_peers_on_all_wires() {
    let mut crowd = Crowd::new(config(), 1_000);
    let (alive, dead) = (crowd.open(true), crowd.open(false));
    assert_eq!(alive + dead, 1_000);
    // Living peers say something at least every 4 s.
    for _ in 0..3 {
        crowd.run(secs(4));
        crowd.live();
    }
    assert_eq!((crowd.open(true), crowd.open(false)), (alive, dead));
    crowd.pause(PAUSE);
    // The worst order: time is told first, and what came meanwhile is read a moment later.
    crowd.machine.elapsed(crowd.now);
    crowd.turn();
    assert_eq!((crowd.open(true), crowd.open(false)), (alive, dead), "nobody is closed unheard");
    let pinged = |member: &&Member| member.heard.windows(2).any(|window| window == [0x89, 8]);
    let sockets = crowd.members.iter().filter(|member| matches!(member.wire, "websocket" | "ws+telnet"));
    assert!(sockets.clone().filter(pinged).count() == sockets.count(), "who can be asked is asked at once");
    crowd.run(Duration::from_millis(1500));
    for _ in 0..6 {
        crowd.live();
        assert_eq!(crowd.open(true), alive);
        crowd.run(secs(4));
    }
    assert_eq!((crowd.open(true), crowd.open(false)), (alive, 0), "who answers stays, and who is dead goes");
    assert_eq!(crowd.machine.metrics().ended.get(Reason::Silent), dead as u64);
}

#[test]
fn repeated_pauses_do_not_keep_dead_peers_open() {
    let mut crowd = Crowd::new(config(), 9 * 4);
    let alive = crowd.open(true);
    for _ in 0..20 {
        crowd.live();
        crowd.run(secs(3));
        crowd.pause(secs(2));
        crowd.machine.elapsed(crowd.now);
        crowd.turn();
    }
    assert_eq!((crowd.open(true), crowd.open(false)), (alive, 0));
}

#[test]
fn slightly_late_shell_does_not_count_as_a_pause() {
    let mut crowd = Crowd::new(config(), 9);
    crowd.members.iter_mut().for_each(|member| member.alive = false);
    crowd.run(secs(14));
    crowd.now = crowd.now + Duration::from_millis(1_900);
    crowd.machine.elapsed(crowd.now);
    assert_eq!(crowd.machine.metrics().ended.get(Reason::Silent), 9);
}

/// A machine that is looked at by hand.
struct One<H: Handler> {
    machine: Machine<H>,
    now: Time,
}

impl<H: Handler> One<H> {
    fn new(config: Config, handler: H) -> Self {
        let mut machine = Machine::new(config, handler);
        machine.started(Time::START);
        Self { machine, now: Time::START }
    }

    fn accept(&mut self, wire: &str) -> ConnId {
        let listener = WIRES.iter().position(|name| *name == wire).expect("known");
        let listener = ListenerId::new(u32::try_from(listener).expect("few"));
        self.machine.accepted(self.now, listener, peer(1)).expect("let in")
    }

    fn run(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some(deadline) = self.machine.deadline().filter(|deadline| deadline.at <= until) {
            self.now = self.now.max(deadline.at);
            self.machine.elapsed(self.now);
        }
        self.now = until;
        self.machine.elapsed(until);
    }

    fn pause(&mut self) {
        self.now = self.now + PAUSE;
        self.machine.elapsed(self.now);
    }

    fn reason(&self) -> Vec<Reason> {
        self.machine.metrics().ended.iter().filter(|(_, count)| *count > 0).map(|(reason, _)| reason).collect()
    }

    fn say(&mut self, conn: ConnId, text: &str) {
        self.machine.received(self.now, conn, &mut text.as_bytes().to_vec());
    }
}

#[test]
fn tls_handshake_gets_bounded_time_after_a_pause() {
    let (mut one, secured) = (One::new(base(), Echo), Secured::default());
    let (good, bad) = (one.accept("lines over TLS"), one.accept("lines over TLS"));
    one.run(secs(9));
    one.pause();
    one.run(secs(5));
    one.machine.secured(one.now, good, &secured);
    assert_eq!((one.machine.metrics().open, one.machine.metrics().undecided), (1, 1));
    one.run(secs(6));
    assert_eq!((one.machine.metrics().open, one.reason()), (1, vec![Reason::TlsFailed]));
    one.say(good, "hello\n");
    assert!(one.machine.intent(good).is_some_and(|intent| !intent.transmit.is_empty()));
    one.run(secs(10));
    assert!(one.machine.intent(bad).is_none());
}

#[test]
fn message_and_idle_timeouts_are_extended_by_a_pause() {
    let mut config = base();
    config.peer.idle = Some(secs(70));
    let mut one = One::new(config, Echo);
    let (slow, dead) = (one.accept("lines"), one.accept("lines"));
    one.say(slow, "half");
    one.say(dead, "half");
    one.run(secs(59));
    one.pause();
    one.run(secs(50));
    one.say(slow, " a line\n");
    assert_eq!((one.machine.metrics().messages_in, one.reason()), (1, vec![]));
    one.run(secs(11));
    assert_eq!(one.reason(), [Reason::MessageTimeout]);
    one.run(secs(60));
    assert_eq!(one.reason(), [Reason::MessageTimeout, Reason::Idle]);
}

#[test]
fn write_deadline_is_extended_by_a_pause() {
    let mut one = One::new(base(), Echo);
    let (slow, dead) = (one.accept("lines"), one.accept("lines"));
    for conn in [slow, dead] {
        one.say(conn, "hello\n");
        one.machine.blocked(one.now, conn);
    }
    one.run(secs(29));
    one.pause();
    one.run(secs(20));
    assert_eq!(one.reason(), []);
    one.machine.wrote(one.now, slow, 6);
    one.run(secs(15));
    assert_eq!((one.machine.metrics().open, one.reason()), (1, vec![Reason::SlowConsumer]));
}

#[test]
fn ping_after_a_pause_follows_bytes_already_shown() {
    for is_whole in [true, false] {
        let mut one = One::new(config(), Echo);
        let conn = one.accept("websocket");
        one.say(
            conn,
            "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        );
        let pending = |one: &One<Echo>| {
            one.machine.intent(conn).map(|intent| intent.transmit.slices().collect::<Vec<_>>().concat()).expect("open")
        };
        one.machine.wrote(one.now, conn, pending(&one).len());
        one.machine.received(one.now, conn, &mut message("websocket", "hello, how are you?"));
        let shown = pending(&one);
        let count = if is_whole { shown.len() } else { 15 };
        // The process stops between the write and the word about it.
        one.now = one.now + PAUSE;
        one.machine.wrote(one.now, conn, count);
        let next = pending(&one);
        let (rest, ping) = next.split_at(shown.len() - count);
        assert_eq!((rest, &ping[..2], ping.len()), (&shown[count..], &[0x89, 8][..], 10));
    }
}

#[test]
fn close_flush_is_extended_by_a_pause() {
    let mut one = One::new(base(), Echo);
    let conn = one.accept("lines");
    one.machine.command(one.now, &Command::Kick { conn });
    one.run(secs(4));
    one.pause();
    assert!(one.machine.intent(conn).is_some_and(|intent| !intent.transmit.is_empty()));
    one.run(secs(6));
    assert!(one.machine.intent(conn).is_none());
}

#[test]
fn drain_deadline_is_extended_by_a_pause() {
    let mut one = One::new(base(), Echo);
    let conn = one.accept("lines");
    one.machine.command(one.now, &Command::Drain);
    one.now = one.now + PAUSE;
    one.machine.elapsed(one.now);
    let farewell = one.machine.intent(conn).map(|intent| intent.transmit.first().to_vec()).unwrap_or_default();
    assert!(String::from_utf8_lossy(&farewell).contains("closing (shutdown)"), "{farewell:?}");
    one.run(secs(10));
    assert!(one.machine.is_drained());
}

/// Gives work away for each message, and sets timers.
#[derive(Default)]
struct Busy {
    tickets: Vec<Ticket>,
    expired: usize,
    timers: Vec<(&'static str, Time)>,
}

impl Handler for Busy {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        match event {
            Event::Started => {
                hub.wake(Timer::named("of the server"), secs(10));
                hub.dial(Dial::lines("example.org:7"));
            }
            Event::Message { conn, .. } => {
                self.tickets.push(hub.ticket(conn, secs(5)).expect("few"));
                hub.wake(Timer::of(conn, "of a peer"), secs(10));
            }
            Event::Note(_) => {
                let ticket = self.tickets.remove(0);
                if hub.redeem(ticket) {
                    hub.send(ticket.conn(), "done");
                }
            }
            Event::TicketExpired(_) => self.expired += 1,
            Event::Timer(timer) => self.timers.push((timer.name, hub.now())),
            _ => {}
        }
    }
}

#[test]
fn tickets_dials_and_peer_timers_are_extended_by_a_pause() {
    let trace = SharedTrace::new();
    let mut machine = Machine::new(base(), Busy::default());
    machine.record(trace.recorder());
    machine.started(Time::START);
    let mut one = One { machine, now: Time::START };
    let conn = one.accept("lines");
    one.say(conn, "one\n");
    one.say(conn, "two\n");
    one.run(secs(4));
    one.pause();
    assert_eq!(one.machine.handler().expired, 0);
    assert_eq!(one.machine.handler().timers, [("of the server", Time::from_secs(64))], "by the clock");
    // The note was left during the pause.
    one.machine.noted(one.now, "answer".into());
    let dial = one.machine.dials().next().map(|(dial, _)| dial).expect("it is tried still");
    assert!(one.machine.dialed(one.now, dial, peer(7)).is_some());
    one.run(secs(2));
    assert_eq!(one.machine.handler().expired, 1);
    one.run(secs(10));
    let (name, at) = one.machine.handler().timers[1];
    assert!(name == "of a peer" && (Time::from_secs(65)..Time::from_secs(71)).contains(&at), "{at}");
    // What follows from a pause follows from the facts.
    let mut again = Machine::new(base(), Busy::default());
    replay(&trace.text(), &mut again).expect("well formed");
    assert_eq!(again.handler().timers, one.machine.handler().timers);
    assert_eq!(format!("{:?}", again.metrics()), format!("{:?}", one.machine.metrics()));
}

#[test]
fn tunnel_survives_a_pause() {
    let mut config = Config::listening(["tcp://127.0.0.1:0?tunnel=edge".parse().expect("good")]);
    config.tunnels.push(Tunnel::new("edge", Ssh::new("192.0.2.1", "drupe", "known_hosts")));
    let mut one = One::new(config, Echo);
    one.run(Duration::ZERO);
    let link = one.machine.tunnels().next().expect("dialled").link;
    one.machine.tunnel_reported(one.now, link, &TunnelReport::Connected);
    one.machine.tunnel_reported(one.now, link, &TunnelReport::Bound { listener: ListenerId::new(0), port: 7 });
    // Three questions, of which the last one was answered in the pause.
    one.run(secs(46));
    one.pause();
    let asked = one.machine.tunnels().next().expect("there still").asked;
    one.machine.tunnel_reported(one.now, link, &TunnelReport::Answered(asked));
    one.run(secs(20));
    let state = one.machine.tunnel_statuses().next().map(|status| status.state);
    assert_eq!(state, Some(TunnelState::Up));
    one.run(secs(60));
    let state = one.machine.tunnel_statuses().next().map(|status| status.state);
    assert_ne!(state, Some(TunnelState::Up));
}

#[test]
fn lagging_worker_does_not_hold_back_health_checks() {
    let mut one = One::new(base(), Echo);
    let (web, socket) = (one.accept("websocket"), one.accept("lines"));
    one.machine.held_back(one.now, true);
    one.say(web, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    let answer = one.machine.intent(web).map(|intent| intent.transmit.first().to_vec()).unwrap_or_default();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&answer));
    // Who could tell others something waits.
    assert!(!one.machine.intent(socket).is_some_and(|intent| intent.read));
}
