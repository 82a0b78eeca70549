//! Timers, idle timeouts, and the end of time.

use super::{Log, Puppet, lines, listening, secs};
use drupe_core::app::Echo;
use drupe_core::testing::TestHub;
use drupe_core::{Event, Failure, Handler, Hub, Machine, Reason, Time, Timer};

#[test]
fn idle_and_silence_time_out_only_when_configured() {
    let mut hub = TestHub::with_config(lines(), Log::default());
    let listener = hub.connect();
    hub.advance(secs(1_000_000));
    assert!(!hub.is_closed(listener));

    let mut config = lines();
    (config.peer.idle, config.peer.silence) = (Some(secs(100)), Some(secs(30)));
    config.peer.budget.message_deadline = secs(10_000);
    let mut hub = TestHub::with_config(config, Log::default());
    let (silent, typing, talking) = (hub.connect(), hub.connect(), hub.connect());
    for _ in 0..11 {
        hub.advance(secs(10));
        hub.send(typing, b"x");
        hub.line(talking, "hello");
    }
    assert!(hub.is_closed(silent) && hub.is_closed(typing) && !hub.is_closed(talking));
    assert_eq!((hub.ended(Reason::Silent), hub.ended(Reason::Idle)), (1, 1));
}

#[test]
fn half_open_peer_times_out_as_idle() {
    let mut config = listening("tcp://127.0.0.1:1?half_open=yes");
    config.peer.idle = Some(secs(5));
    let mut hub = TestHub::with_config(config, Echo);
    let peer = hub.connect();
    hub.end(peer);
    hub.advance(secs(6));
    assert_eq!(hub.ended(Reason::Idle), 1);
}

/// Sets a timer for each line, and says when it comes.
pub(super) struct Alarm;

impl Handler for Alarm {
    type Context = u32;
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, u32>, event: Event<'_, String>) {
        match event {
            Event::Message { conn, payload } => match payload.as_str() {
                Some("cancel") => drop(hub.cancel(Timer::of(conn, "alarm"))),
                Some("pause") => {
                    hub.pause(conn);
                    hub.wake(Timer::of(conn, "alarm"), secs(5));
                }
                _ => hub.wake(Timer::of(conn, "alarm"), secs(5)),
            },
            Event::Timer(Timer { conn: Some(conn), name, .. }) => {
                hub.resume(conn);
                *hub.context(conn).expect("open") += 1;
                let count = *hub.context(conn).expect("open");
                hub.send(conn, &format!("{name} {count}"));
            }
            _ => {}
        }
    }
}

#[test]
fn timers_can_be_moved_and_cancelled_and_end_with_the_close() {
    let mut hub = TestHub::with_config(lines(), Alarm);
    let (one, two, gone) = (hub.connect(), hub.connect(), hub.connect());
    hub.line(one, "set");
    hub.line(two, "set");
    hub.line(gone, "set");
    hub.fail(gone, Failure::Reset);
    hub.advance(secs(3));
    hub.line(one, "set");
    hub.line(two, "cancel");
    hub.advance(secs(4));
    assert_eq!((hub.lines(one).len(), hub.lines(two).len()), (0, 0));
    hub.advance(secs(1));
    assert_eq!((hub.lines(one), hub.lines(two)), (vec!["alarm 1".into()], vec![]));
    hub.advance(secs(100));
    assert_eq!(hub.lines(one).len(), 1);
}

#[test]
fn machine_sets_no_deadline_beyond_the_end_of_time() {
    let mut machine = Machine::new(lines(), Puppet::default());
    machine.noted(Time::START, "wake".into());
    machine.elapsed(Time::from_nanos(u64::MAX));
    machine.elapsed(Time::from_nanos(u64::MAX));
    assert_eq!(machine.deadline(), None, "what can't be reached is no deadline");
}
