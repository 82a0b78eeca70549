//! Secrets in logs, metrics and traces; events held back until a peer has authenticated.

use super::identities::Slow;
use super::{Inside, NOW, accounts, layer, token};
use drupe_core::app::Echo;
use drupe_core::kit::auth::Authentication;
use drupe_core::kit::layer::{Layered, Logging, Within};
use drupe_core::outbound::Marks;
use drupe_core::testing::TestHub;
use drupe_core::trace::{SharedTrace, replay};
use drupe_core::{Config, ConnId, Event, Handler, Hub, Listen, ListenerId, Machine, Peer, Reason, Time, UnixTime};
use std::sync::mpsc::channel;
use std::time::Duration;

#[test]
fn debug_logs_and_metrics_show_no_secret() {
    let (send, logged) = channel::<String>();
    let inside = Inside::default().within(layer().dialogue());
    let mut hub =
        TestHub::new(inside.within(Logging::new(move |line: &str| drop(send.send(line.into()))).with_messages()));
    let (one, two) = (hub.connect(), hub.connect());
    let token = token("ann", NOW + 60);
    hub.line(one, &format!("/auth {token}"));
    hub.line(two, "root");
    hub.line(two, "t0psecret");
    hub.end(two);
    let logged: String = logged.try_iter().collect();
    assert!(logged.contains("authenticated: root") && logged.contains("authenticated: ann"));
    let shown = format!("{:?} {:?}", layer(), accounts());
    let metrics = hub.machine().metrics().exposition();
    for text in [logged, shown, metrics, format!("{:?}", hub.machine())] {
        for secret in [&token, "t0psecret", "mellon", "3, 3, 3", "7, 7, 7"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

/// Keeps the names of all that it is told.
#[derive(Default)]
struct Names(Vec<&'static str>);

impl Handler for Names {
    type Context = ();
    type Note = (ConnId, Option<String>);

    fn on(&mut self, _: &mut Hub<'_, ()>, event: Event<'_, Self::Note>) {
        self.0.push(match event {
            Event::Opened { .. } => "opened",
            Event::InputEnded { .. } => "input ended",
            Event::Stalled { .. } => "stalled",
            Event::Drained { .. } => "drained",
            Event::Closed { .. } => "closed",
            _ => return,
        });
    }
}

#[test]
fn handler_receives_end_of_input_after_the_login() {
    let config = Config::listening(["tcp://127.0.0.1:1?half_open=yes".parse::<Listen>().expect("good")]);
    let mut hub = TestHub::with_config(config, Names::default().within(Authentication::new(Slow, [3; 32])));
    let (good, bad, silent) = (hub.connect(), hub.connect(), hub.connect());
    for conn in [good, bad] {
        hub.line(conn, "/auth x");
        hub.end(conn);
    }
    hub.end(silent);
    assert!(hub.is_closed(silent), "nothing more can come");
    hub.note((good, Some("ann".into())));
    hub.note((bad, None));
    hub.advance(Duration::from_nanos(1));
    assert!(hub.is_closed(bad));
    assert_eq!(hub.handler().inner().0, ["opened", "input ended"]);
}

#[test]
fn unterminated_proof_at_end_of_input_gets_its_verdict() {
    let config = Config::listening(["tcp://127.0.0.1:1?half_open=yes".parse::<Listen>().expect("good")]);
    let mut hub = TestHub::with_config(config, Names::default().within(Authentication::new(Slow, [3; 32])));
    let (good, bad) = (hub.connect(), hub.connect());
    for conn in [good, bad] {
        hub.send(conn, b"/auth x");
        hub.end(conn);
    }
    assert!(hub.handler().inner().0.is_empty() && !hub.is_closed(good) && !hub.is_closed(bad));
    hub.note((good, Some("ann".into())));
    assert_eq!(hub.lines(good), ["notice: you are ann"]);
    assert_eq!(hub.handler().inner().0, ["opened", "input ended"]);
    hub.note((bad, None));
    assert_eq!(hub.lines(bad), ["error: auth: unknown to the directory"]);
    assert!(hub.is_closed(bad), "nothing more can come");
    assert_eq!(hub.ended(Reason::PeerClosed), 1);
}

/// A peer that has sent no proof and reads nothing, and what the handler within is told once the provider accepts it.
fn accepted_while_it_reads_nothing(high: u32, max: u32) -> (TestHub<Layered<Authentication<Slow>, Names>>, ConnId) {
    let mut config = Config::listening(["tcp://127.0.0.1:1".parse::<Listen>().expect("good")]);
    config.outbound.marks = Marks::new(1, high, max).expect("in order");
    let mut hub = TestHub::with_config(config, Names::default().within(Authentication::new(Slow, [3; 32])));
    let conn = hub.connect();
    hub.set_writable(conn, 0);
    hub.line(conn, "hello");
    assert!(hub.handler().inner().0.is_empty());
    hub.note((conn, Some("ann".into())));
    (hub, conn)
}

#[test]
fn stall_before_the_login_is_reported_after_it() {
    let (hub, conn) = accepted_while_it_reads_nothing(20, 1_000);
    assert_eq!(hub.handler().inner().0, ["opened", "stalled"]);
    assert!(!hub.is_closed(conn));
}

#[test]
fn peer_whose_queue_overflows_with_its_verdict_never_opens() {
    let (hub, _) = accepted_while_it_reads_nothing(40, 45);
    assert_eq!(hub.ended(Reason::SlowConsumer), 1);
    assert!(hub.handler().inner().0.is_empty(), "{:?}", hub.handler().inner().0);
    assert_eq!(hub.machine().metrics().authenticated, 0);
}

#[test]
fn only_a_verbatim_trace_holds_secrets_and_replays() {
    let config = || Config::listening(["tcp://127.0.0.1:1".parse::<Listen>().expect("good")]);
    let machine = || {
        let mut machine = Machine::new(config(), Echo.within(layer().dialogue()));
        machine.clock_set(Time::START, UnixTime::from_secs(NOW));
        machine
    };
    for verbatim in [false, true] {
        let trace = SharedTrace::new();
        let mut recorded = machine();
        let recorder = trace.recorder();
        recorded.record(if verbatim { recorder.verbatim() } else { recorder });
        recorded.started(Time::START);
        let conn = recorded.accepted(Time::START, ListenerId::new(0), Peer::Local).expect("let in");
        recorded.received(Time::START, conn, &mut b"root\nt0psecret\nhello\n".to_vec());
        let answer: Vec<u8> = recorded.intent(conn).expect("open").transmit.slices().flatten().copied().collect();
        recorded.wrote(Time::START, conn, answer.len());
        assert!(answer.ends_with(b"you are root\nhello\n"));
        let text = trace.text();
        assert_eq!(text.contains("t0psecret"), verbatim, "{text}");
        let replayed = replay(&text, &mut machine()).expect("what is written is read");
        assert_eq!(replayed.written.get(&conn) == Some(&answer), verbatim);
        assert_eq!(text.contains(&format!("received {conn} concealed 21\n")), !verbatim);
    }
}
