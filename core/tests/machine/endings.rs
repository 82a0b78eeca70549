//! How connections end, and which do not: half-closes, reloads, drains, and work in progress.

use drupe_core::app::Echo;
use drupe_core::limit::{Ladder, Rate};
use drupe_core::outbound::Marks;
use drupe_core::testing::TestHub;
use drupe_core::tls::{Secured, Tls};
use drupe_core::trace::{SharedTrace, replay, replay_with};
use drupe_core::wire::{Auto, Protocol};
use drupe_core::{
    Closing, Command, Config, ConnId, Drain, Event, Handler, Hub, Listen, ListenerId, Machine, Peer, PeerLimits,
    Reason, Ticket, Time,
};
use std::time::Duration;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn listening(address: &str) -> Config {
    Config::listening([address.parse::<Listen>().expect(address)])
}

fn half_open() -> Config {
    listening("tcp://127.0.0.1:1?half_open=yes")
}

/// Finishes, pauses and works as it is told.
#[derive(Default)]
struct Obedient {
    tickets: Vec<Ticket>,
    expired: usize,
}

impl Handler for Obedient {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        match event {
            Event::Message { conn, payload } => match payload.as_str() {
                Some("finish") => hub.finish(conn),
                Some("work") => self.tickets.push(hub.ticket(conn, secs(3600)).expect("few")),
                Some("work a little") => self.tickets.push(hub.ticket(conn, secs(1)).expect("few")),
                Some(text) => drop(hub.send(conn, &format!("you said {text}"))),
                None => {}
            },
            Event::InputEnded { conn, .. } => drop(hub.send(conn, "that was all")),
            Event::Note(answer) => {
                let ticket = self.tickets.remove(0);
                if hub.redeem(ticket) {
                    hub.send(ticket.conn(), &answer);
                }
            }
            Event::TicketExpired(ticket) => {
                self.expired += 1;
                hub.send(ticket.conn(), "nobody knows");
            }
            _ => {}
        }
    }
}

#[test]
fn input_after_a_slow_consumer_close_is_not_held() {
    let peer: Peer = "192.0.2.1:1".parse().expect("an address");
    // An answer, or what is drawn, becomes too much at each place: as the input arrives, and as it is served from what was held.
    let mut ended = 0;
    for most in 1..150 {
        let mut config = listening("telnet://127.0.0.1:1?mode=character&probe=no");
        config.peer.budget.messages_per_turn = 1;
        config.outbound.marks = Marks::new(most, most, most).expect("in order");
        let mut machine = Machine::new(config, Obedient::default());
        machine.started(Time::START);
        let conn = machine.accepted(Time::START, ListenerId::new(0), peer).expect("let in");
        machine.received(Time::START, conn, &mut b"\xff\xfd\x01\xff\xfd\x03a\r\n".to_vec());
        machine.elapsed(Time::START);
        let all = machine.intent(conn).map_or(0, |intent| intent.transmit.len());
        // The rest of a message that has begun is flushed.
        machine.wrote(Time::START, conn, all - 1);
        machine.blocked(Time::START, conn);
        machine.received(Time::START, conn, &mut b"\xff\xfd\xc8\xff\xfd\xc9work\r\nwork\r\nwork\r\n".to_vec());
        for step in 1..9 {
            assert_eq!(machine.recount(), Ok(()), "at most {most} bytes, step {step}");
            machine.elapsed(Time::START + millis(step));
        }
        ended += machine.metrics().ended.get(Reason::SlowConsumer);
    }
    assert!(ended > 20, "{ended} were slow");
}

#[test]
fn connection_closes_when_both_halves_have_ended() {
    let mut machine = Machine::new(half_open(), Obedient::default());
    machine.started(Time::START);
    let peer = "192.0.2.1:1".parse().expect("an address");
    let [first, second] = [0, 1].map(|_| machine.accepted(Time::START, ListenerId::new(0), peer).expect("let in"));
    machine.received(Time::START, first, &mut b"finish\nheard still\n".to_vec());
    assert_eq!((machine.metrics().open, machine.metrics().messages_in), (2, 2), "the peer may go on");
    assert!(machine.intent(first).is_some_and(|intent| intent.read && intent.end == drupe_core::End::Shutdown));
    machine.ended(Time::START, first);
    assert_eq!((machine.metrics().open, machine.metrics().ended.get(Reason::PeerClosed)), (1, 1));
    assert!(machine.intent(first).is_none(), "its place is free at once");
    machine.ended(Time::START, second);
    assert_eq!(take(&mut machine, Time::START, second), "that was all\n");
    assert_eq!(machine.metrics().open, 1, "the application may go on");
    let mut hub = TestHub::with_config(half_open(), Finishing);
    let peer = hub.connect();
    hub.end(peer);
    assert_eq!((hub.machine().metrics().open, hub.ended(Reason::PeerClosed)), (0, 1));
    assert_eq!((hub.lines(peer), hub.machine().metrics().closing), (vec!["goodbye".into()], 0));
}

/// Ends its half when the peer has.
struct Finishing;

impl Handler for Finishing {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        if let Event::InputEnded { conn, .. } = event {
            hub.send(conn, "goodbye");
            hub.finish(conn);
        }
    }
}

#[test]
fn last_message_may_finish_the_connection() {
    let mut hub = TestHub::with_config(half_open(), Obedient::default());
    let peer = hub.connect();
    hub.send(peer, b"finish");
    hub.end(peer);
    assert_eq!(hub.ended(Reason::PeerClosed), 1);
}

#[test]
fn half_closed_peer_does_not_time_out_as_silent() {
    let config = half_open().silence(Some(secs(300)));
    let mut hub = TestHub::with_config(config, Obedient::default());
    let (ended, silent) = (hub.connect(), hub.connect());
    hub.end(ended);
    hub.advance(secs(3600));
    assert_eq!((hub.is_closed(ended), hub.is_closed(silent)), (false, true));
    assert_eq!(hub.lines(ended), ["that was all"]);
}

#[test]
fn reload_keeps_a_rate_pause_without_idle_timeout() {
    let rates = |config: &mut Config| {
        config.peer.rates.messages = Rate::new(1, 1).ok();
        config.peer.rates.ladder = Ladder::default().warn(None);
        config.peer.idle = Some(secs(20));
        config.peer.silence = Some(secs(20));
    };
    let mut config = listening("tcp://127.0.0.1:1");
    rates(&mut config);
    let mut hub = TestHub::with_config(config.clone(), Echo);
    let peer = hub.connect();
    hub.send(peer, &b"x\n".repeat(40));
    let read = |hub: &TestHub<Echo>| hub.machine().intent(peer).is_some_and(|intent| intent.read);
    let served = hub.lines(peer).len();
    hub.advance(secs(30));
    assert!(!read(&hub));
    // The same again, as a renewed certificate brings it.
    hub.reconfigure(config.clone());
    assert!(!read(&hub), "a reload is no way around a limit");
    hub.advance(millis(1));
    assert!(!hub.is_closed(peer));
    // Without the limit it is read, and has its time from now on.
    config.peer.rates.messages = None;
    hub.reconfigure(config);
    hub.advance(secs(1));
    assert_eq!((hub.lines(peer).len(), hub.is_closed(peer), read(&hub)), (40, false, true));
    assert!(served < 40);
    hub.advance(secs(18));
    assert!(!hub.is_closed(peer));
    hub.advance(secs(3));
    assert_eq!(hub.ended(Reason::Idle) + hub.ended(Reason::Silent), 1);
}

#[test]
fn reload_starts_new_timeouts_from_the_reload() {
    let mut hub = TestHub::with_config(listening("tcp://127.0.0.1:1"), Echo);
    let peers = [hub.connect(), hub.connect()];
    hub.send(peers[1], b"begun");
    hub.advance(secs(50));
    let mut newer = listening("tcp://127.0.0.1:1").idle(Some(secs(10))).silence(Some(secs(10)));
    newer.peer.budget.message_deadline = secs(5);
    hub.reconfigure(newer.clone());
    hub.advance(secs(4));
    assert!(peers.iter().all(|&peer| !hub.is_closed(peer)));
    // Reloads again and again keep nobody.
    for _ in 0..3 {
        hub.reconfigure(newer.clone());
        hub.advance(secs(2));
    }
    assert!(peers.iter().all(|&peer| hub.is_closed(peer)));
    assert_eq!((hub.ended(Reason::MessageTimeout), hub.ended(Reason::Idle)), (1, 1));
}

#[test]
fn reload_applies_listener_limits_from_the_reload() {
    let own = |idle| {
        let limits = Some(PeerLimits::default().idle(idle));
        Config::listening([Listen::lines(([127, 0, 0, 1], 1).into()).limits(limits)])
    };
    let mut hub = TestHub::with_config(own(None), Echo);
    let peer = hub.connect();
    hub.advance(secs(100));
    hub.reconfigure(own(Some(secs(10))));
    hub.advance(secs(9));
    assert!(!hub.is_closed(peer));
    hub.advance(secs(2));
    assert!(hub.is_closed(peer));
}

#[test]
fn notices_round_times_up_to_whole_seconds() {
    let mut config = listening("tcp://127.0.0.1:1").idle(Some(secs(5))).idle_warning(Some(millis(700)));
    config.drain.retry_after = Some(millis(1_200));
    let mut hub = TestHub::with_config(config.clone(), Echo);
    let peer = hub.connect();
    hub.advance(millis(4_500));
    assert_eq!(hub.lines(peer), ["notice: idle for too long; the connection closes in 1 s"]);
    hub.line(peer, "x");
    hub.clear();
    hub.command(&Command::Drain);
    hub.advance(secs(2));
    assert_eq!(hub.lines(peer)[0], "notice: the server is shutting down; try again in 2 s");
    config.listeners = listening("ws://127.0.0.1:1").listeners;
    config.drain.grace = secs(3);
    let mut hub = TestHub::with_config(config, Echo);
    let peer = hub.connect();
    hub.command(&Command::Drain);
    hub.send(peer, b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
    let text = String::from_utf8_lossy(hub.received(peer)).into_owned();
    assert!(text.contains("\r\nRetry-After: 2\r\n"), "{text}");
}

#[test]
fn idle_warning_without_lead_time_is_not_sent() {
    for warning in [secs(5), secs(6), Duration::ZERO] {
        let config = listening("tcp://127.0.0.1:1").idle(Some(secs(5))).idle_warning(Some(warning));
        let mut hub = TestHub::with_config(config, Echo);
        let peer = hub.connect();
        hub.advance(secs(4));
        hub.line(peer, "x");
        hub.advance(secs(4));
        assert_eq!(hub.lines(peer), ["x"], "{warning:?}");
    }
}

/// What a server of 10 s has for work.
fn draining() -> Config {
    listening("tcp://127.0.0.1:1").drain(Drain::default().deadline(secs(10)))
}

#[test]
fn drain_waits_for_pending_tickets() {
    let mut hub = TestHub::with_config(draining(), Obedient::default());
    let (busy, idle) = (hub.connect(), hub.connect());
    hub.line(busy, "work");
    hub.line(busy, "work");
    hub.command(&Command::Drain);
    hub.advance(secs(5));
    assert_eq!((hub.is_closed(busy), hub.is_closed(idle)), (false, true));
    hub.note("forty-two".into());
    hub.advance(secs(3));
    assert!(!hub.is_closed(busy), "there is one more");
    hub.note("forty-three".into());
    hub.advance(Duration::ZERO);
    let closing = "closing (shutdown): the server is shutting down";
    assert_eq!(hub.lines(busy), ["notice: the server is shutting down", "forty-two", "forty-three", closing]);
    assert!(hub.machine().is_drained());
}

#[test]
fn drain_stops_waiting_for_tickets_at_its_deadline() {
    let mut hub = TestHub::with_config(draining(), Obedient::default());
    let (busy, short) = (hub.connect(), hub.connect());
    hub.line(busy, "work");
    hub.line(short, "work a little");
    hub.command(&Command::Drain);
    hub.advance(secs(2));
    assert_eq!(hub.lines(short)[1..], ["nobody knows", "closing (shutdown): the server is shutting down"]);
    assert!(!hub.is_closed(busy));
    hub.advance(millis(7_400));
    assert!(!hub.is_closed(busy));
    hub.advance(millis(200));
    // The ticket expires while the peer can still be answered.
    assert_eq!(hub.lines(busy)[1..], ["nobody knows", "closing (shutdown): the server is shutting down"]);
    assert!(hub.machine().is_drained());
}

#[test]
fn second_drain_does_not_wait_for_tickets() {
    let mut hub = TestHub::with_config(draining(), Obedient::default());
    let busy = hub.connect();
    hub.line(busy, "work");
    hub.command(&Command::Drain);
    hub.advance(secs(1));
    hub.command(&Command::Drain);
    hub.advance(Duration::ZERO);
    assert!(hub.is_closed(busy));
}

/// Everything that is queued for a peer.
pub(super) fn take<H: Handler>(machine: &mut Machine<H>, now: Time, conn: ConnId) -> String {
    let mut out = Vec::new();
    while let Some(intent) = machine.intent(conn).filter(|intent| !intent.transmit.is_empty()) {
        let bytes = intent.transmit.first().to_vec();
        machine.wrote(now, conn, bytes.len());
        out.extend(bytes);
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn closing_peer_that_keeps_sending_gets_its_last_bytes() {
    for rate in [Rate::new(4 << 20, 8 << 20).ok(), Rate::new(1 << 20, 1 << 20).ok(), None] {
        let mut config = listening("tcp://127.0.0.1:1");
        config.peer.rates.bytes = rate;
        let mut machine = Machine::new(config, Echo);
        machine.started(Time::START);
        let mut now = Time::START;
        let conn =
            machine.accepted(now, ListenerId::new(0), "192.0.2.1:1".parse().expect("an address")).expect("let in");
        machine.received(now, conn, &mut b"answer me\n".to_vec());
        machine.blocked(now, conn);
        machine.command(now, &Command::Kick { conn });
        // It goes on sending, and reads nothing for 4 s.
        let (mut sent, mut left) = (0, 4_u64 << 20);
        while now < Time::from_secs(4) {
            while left > 0 && machine.intent(conn).is_some_and(|intent| intent.read) {
                machine.received(now, conn, &mut vec![b'x'; 64 << 10]);
                left -= 64 << 10;
                sent += 64 << 10;
            }
            now = machine.deadline().map_or(now, |deadline| deadline.at).clamp(now, now + millis(100)) + millis(1);
            machine.elapsed(now);
        }
        let told = take(&mut machine, now, conn);
        assert_eq!(told, "answer me\nclosing (kicked): an operator closed the connection\n", "{rate:?}");
        // Not faster than it would have been served, beyond what is free.
        if let Some(rate) = rate.filter(|rate| *rate == Rate::new(1 << 20, 1 << 20).expect("not zero")) {
            assert!(sent <= 7 << 20, "{sent} bytes in 4 s at {rate:?}");
        }
        // It lingers, and what it sends then does not reset it either.
        for _ in 0..40 {
            if machine.intent(conn).is_some_and(|intent| intent.read) {
                machine.received(now, conn, &mut vec![b'x'; 64 << 10]);
            }
        }
        assert!(machine.intent(conn).is_some(), "its last bytes may be on their way");
        machine.ended(now, conn);
        assert!(machine.intent(conn).is_none());
    }
}

#[test]
fn input_after_the_close_delays_it_only_until_the_deadline() {
    let mut config = listening("tcp://127.0.0.1:1");
    config.closing = Closing::default().flush(secs(5)).linger(secs(2)).discard_max_bytes(0);
    config.peer.rates.bytes = Rate::new(1, 1).ok();
    let mut machine = Machine::new(config, Echo);
    machine.started(Time::START);
    let peer = "192.0.2.1:1".parse().expect("an address");
    let conn = machine.accepted(Time::START, ListenerId::new(0), peer).expect("let in");
    machine.command(Time::START, &Command::Kick { conn });
    machine.received(Time::START, conn, &mut b"much too much".to_vec());
    assert!(!machine.intent(conn).is_some_and(|intent| intent.read));
    let mut now = Time::START;
    while let Some(deadline) = machine.deadline() {
        now = now.max(deadline.at);
        machine.elapsed(now);
    }
    assert_eq!((machine.intent(conn).is_none(), now), (true, Time::from_secs(5)));
}

pub(super) fn secure(protocol: impl Into<Protocol>) -> Config {
    let address = drupe_core::Address::Tcp(([127, 0, 0, 1], 1).into());
    Config::listening([Listen::new(address, protocol).tls(Some(Tls::external())).half_open(true)])
}

#[test]
fn truncated_tls_input_is_not_served_as_a_message() {
    for protocol in [Protocol::Spoken(drupe_core::wire::Wire::default()), Protocol::Auto(Auto::default())] {
        let trace = SharedTrace::new();
        let mut machine = Machine::new(secure(protocol.clone()), Obedient::default());
        machine.record(trace.recorder());
        machine.started(Time::START);
        let peer = "192.0.2.1:1".parse().expect("an address");
        let conn = machine.accepted(Time::START, ListenerId::new(0), peer).expect("let in");
        machine.secured(Time::START, conn, &Secured::default());
        machine.received(Time::START, conn, &mut b"transfer 1\ntransfer 100".to_vec());
        machine.truncated(Time::START, conn);
        let told = take(&mut machine, Time::START, conn);
        let last = "closing (truncated): the connection ended without TLS close_notify\n";
        assert_eq!(told, format!("you said transfer 1\n{last}"), "{protocol:?}");
        assert_eq!(machine.metrics().ended.get(Reason::Truncated), 1);
        // And a trace tells it apart from an end that was said.
        let mut again = Machine::new(secure(protocol), Obedient::default());
        let transcript = replay(&trace.text(), &mut again).expect("well formed");
        assert!(transcript.written[&conn].ends_with(last.as_bytes()));
    }
}

#[test]
fn complete_lines_before_tls_truncation_are_served() {
    let mut config = secure(drupe_core::wire::Wire::default());
    config.peer.rates.messages = Rate::new(1, 1).ok();
    config.peer.rates.ladder = Ladder::default().warn(None);
    let mut machine = Machine::new(config, Obedient::default());
    machine.started(Time::START);
    let peer = "192.0.2.1:1".parse().expect("an address");
    let conn = machine.accepted(Time::START, ListenerId::new(0), peer).expect("let in");
    machine.secured(Time::START, conn, &Secured::default());
    machine.received(Time::START, conn, &mut b"one\ntwo\nthree\nfou".to_vec());
    machine.truncated(Time::START, conn);
    let mut told = String::new();
    while let Some(deadline) = machine.deadline().filter(|deadline| deadline.at < Time::from_secs(20)) {
        machine.elapsed(deadline.at);
        told += &take(&mut machine, deadline.at, conn);
    }
    assert!(told.starts_with("you said one\nyou said two\nyou said three\nclosing (truncated)"), "{told}");
}

#[test]
fn trace_with_reloads_replays_with_their_configurations() {
    let trace = SharedTrace::new();
    let mut machine = Machine::new(listening("tcp://127.0.0.1:1"), Obedient::default());
    machine.record(trace.recorder());
    machine.started(Time::START);
    let conn = machine.accepted(Time::START, ListenerId::new(0), "192.0.2.1:1".parse().expect("good")).expect("let in");
    let reloads = [Some(secs(5)), None].map(|idle| listening("length://127.0.0.1:2").idle(idle));
    let mut written = String::new();
    for (second, reload) in (1..).zip(reloads.clone()) {
        machine.received(Time::from_secs(second), conn, &mut b"hello\n".to_vec());
        written += &take(&mut machine, Time::from_secs(second), conn);
        machine.reconfigured(Time::from_secs(second), reload);
    }
    let fresh = || Machine::new(listening("tcp://127.0.0.1:1"), Obedient::default());
    let mut again = fresh();
    let transcript = replay_with(&trace.text(), &mut again, reloads.clone()).expect("one for each");
    assert_eq!(transcript.written[&conn], written.as_bytes());
    assert_eq!(format!("{:?}", again.metrics()), format!("{:?}", machine.metrics()));
    let words = replay(&trace.text(), &mut fresh()).expect_err("there are none").to_string();
    assert!(words.contains("the configuration of each"), "{words}");
}

/// Peers send it secrets.
struct Secretive;

impl Handler for Secretive {
    type Context = ();
    type Note = String;

    fn on(&mut self, _: &mut Hub<'_, ()>, _: Event<'_, String>) {}

    fn holds_secrets(&self) -> bool {
        true
    }
}

#[test]
fn trace_conceals_notes() {
    let trace = SharedTrace::new();
    let mut machine = Machine::new(listening("tcp://127.0.0.1:1"), Secretive);
    machine.record(trace.recorder());
    machine.noted(Time::from_secs(1), "token abc".into());
    assert!(trace.text().contains("noted concealed") && !trace.text().contains("abc"), "{}", trace.text());
    replay(&trace.text(), &mut Machine::new(listening("tcp://127.0.0.1:1"), Secretive)).expect("it can be read");
}
