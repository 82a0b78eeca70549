//! Failed logins: throttling by address and user, and how many passwords are hashed.

use super::{Guarded, NOW, layer, lines, scram, token, told};
use drupe_core::app::Echo;
use drupe_core::kit::auth::Accounts;
use drupe_core::kit::layer::Within;
use drupe_core::{Config, ConnId, Listen, ListenerId, Machine, Peer, Reason, Time};
use std::time::Duration;

#[test]
fn failed_logins_are_limited_per_address_and_per_user() {
    let mut hub = lines(layer());
    let connect = |hub: &mut Guarded<Accounts>, ip: [u8; 4]| {
        hub.try_connect(ListenerId::new(0), Peer::Address((ip, 9).into())).expect("let in")
    };
    for _ in 0..5 {
        let conn = connect(&mut hub, [192, 0, 2, 1]);
        assert!(told(&mut hub, conn, "/auth x").concat().contains("not well formed"));
    }
    // Not even the right proof is listened to.
    let conn = connect(&mut hub, [192, 0, 2, 1]);
    let good = token("ann", NOW + 3_600);
    assert_eq!(told(&mut hub, conn, &format!("/auth {good}"))[0], "error: auth: too many failures; try again in 60 s");
    assert!(hub.is_closed(conn));
    let other = connect(&mut hub, [192, 0, 2, 2]);
    assert_eq!(told(&mut hub, other, &format!("/auth {good}")), ["notice: you are ann"]);
    hub.advance(Duration::from_secs(61));
    let conn = connect(&mut hub, [192, 0, 2, 1]);
    assert_eq!(told(&mut hub, conn, &format!("/auth {good}")), ["notice: you are ann"]);
    // What is no proof costs a try, and not the address.
    for _ in 0..9 {
        let conn = connect(&mut hub, [192, 0, 2, 3]);
        assert_eq!(told(&mut hub, conn, "hello"), ["error: auth: authentication required"]);
    }
    let conn = connect(&mut hub, [192, 0, 2, 3]);
    assert_eq!(told(&mut hub, conn, &format!("/auth {good}")), ["notice: you are ann"]);
    // One user, from many addresses.
    let mut refused = 0;
    for address in 0..60 {
        let conn = connect(&mut hub, [198, 51, 100, address]);
        let answer = scram(&mut hub, conn, "root", "guess");
        refused += u32::from(answer.contains("too many failures"));
    }
    assert_eq!(refused, 10);
}

#[test]
fn failed_logins_elsewhere_do_not_lock_out_the_owner() {
    let mut hub = lines(layer());
    let at = |hub: &mut Guarded<Accounts>, address: [u8; 4]| {
        hub.try_connect(ListenerId::new(0), Peer::Address((address, 9).into())).expect("let in")
    };
    let owner = at(&mut hub, [192, 0, 2, 1]);
    assert!(scram(&mut hub, owner, "root", "t0psecret").contains("auth_ok"));
    for stranger in 0..60 {
        let conn = at(&mut hub, [198, 51, 100, stranger]);
        scram(&mut hub, conn, "root", "guess");
    }
    let stranger = at(&mut hub, [203, 0, 113, 1]);
    assert!(scram(&mut hub, stranger, "root", "guess").contains("too many failures"));
    let again = at(&mut hub, [192, 0, 2, 1]);
    assert!(scram(&mut hub, again, "root", "t0psecret").contains("auth_ok"), "the owner is where they were before");
}

#[test]
fn password_hashing_runs_as_a_job() {
    let config = Config::listening(["tcp://127.0.0.1:1".parse::<Listen>().expect("good")]);
    let mut machine = Machine::new(config, Echo.within(layer().dialogue()));
    machine.takes_jobs(Time::START);
    machine.started(Time::START);
    let mut connect = |last: u8| {
        machine.accepted(Time::START, ListenerId::new(0), Peer::Address(([192, 0, 2, last], 9).into())).expect("let in")
    };
    let [first, same_address, other] = [connect(1), connect(1), connect(2)];
    let heard = |machine: &mut Machine<_>, conn: ConnId| {
        let bytes = machine.intent(conn).map(|intent| intent.transmit.slices().collect::<Vec<_>>().concat());
        let bytes = bytes.unwrap_or_default();
        machine.wrote(Time::START, conn, bytes.len());
        String::from_utf8(bytes).expect("text")
    };
    for conn in [first, same_address, other] {
        machine.received(
            Time::START,
            conn,
            &mut b"root
t0psecret
hello
"
            .to_vec(),
        );
        assert_eq!(heard(&mut machine, conn), "user: password: ", "nothing was hashed yet");
        assert!(!machine.intent(conn).expect("open").read, "what it says comes after");
    }
    // Of each address one password at a time.
    let work: Vec<_> = std::iter::from_fn(|| machine.take_job()).collect();
    assert_eq!(work.iter().map(drupe_core::Job::conn).collect::<Vec<_>>(), [first, other]);
    for (work, nanos) in work.into_iter().zip(1..) {
        let (conn, outcome) = (work.conn(), work.run());
        machine.job_done(Time::START, conn, outcome);
        machine.elapsed(Time::from_nanos(nanos));
        assert_eq!(
            heard(&mut machine, conn),
            "notice: you are root
hello
"
        );
    }
    let work = machine.take_job().expect("it is its turn");
    assert_eq!(work.conn(), same_address);
    // It does not wait for it, and then nobody is told of it.
    machine.failed(Time::START, same_address, drupe_core::Failure::Reset);
    machine.job_done(Time::START, same_address, work.run());
    assert!(machine.take_job().is_none());
    assert_eq!(machine.metrics().authenticated, 2);
}

#[test]
fn guessing_address_gets_few_passwords_hashed() {
    let config = Config::listening(["tcp://127.0.0.1:1".parse::<Listen>().expect("good")]).unlimited();
    let mut machine = Machine::new(config, Echo.within(layer().dialogue()));
    machine.takes_jobs(Time::START);
    machine.started(Time::START);
    let peer = Peer::Address(([192, 0, 2, 1], 9).into());
    for _ in 0..500 {
        let conn = machine.accepted(Time::START, ListenerId::new(0), peer).expect("let in");
        machine.received(
            Time::START,
            conn,
            &mut b"root
guess
"
            .to_vec(),
        );
    }
    let mut hashed = 0;
    while let Some(work) = machine.take_job() {
        assert!(machine.take_job().is_none(), "one at a time");
        hashed += 1;
        machine.job_done(Time::START, work.conn(), false);
    }
    assert_eq!(hashed, 5, "as many as it may be wrong");
    assert_eq!(machine.metrics().ended.get(Reason::Unauthorized), 495, "the others are refused");
}

#[test]
fn authenticated_peer_is_closed_after_too_many_failures() {
    let mut hub = lines(layer());
    let conn = hub.connect();
    hub.line(conn, &format!("/auth {}", token("ann", NOW + 60)));
    for _ in 0..3 {
        hub.line(conn, "/auth nonsense");
    }
    assert!(hub.is_closed(conn));
    assert_eq!((hub.ended(Reason::Unauthorized), hub.machine().metrics().authentication_failures), (1, 3));
}
