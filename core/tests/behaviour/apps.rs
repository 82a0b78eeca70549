//! Several applications in one server: each receives its own events, and has its own types.

use super::secs;
use drupe_core::app::{AppNote, Apps};
use drupe_core::testing::TestHub;
use drupe_core::{
    Config, ConnId, Dial, Event, Failure, Handler, Hub, Listen, ListenerId, NoNote, Origin, Peer, Reason, Timer,
};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

/// Records its events with its name. Its contexts count messages in a type of its own.
struct Recorder<C, N> {
    name: &'static str,
    log: Arc<Mutex<Vec<String>>>,
    types: core::marker::PhantomData<(C, N)>,
}

type Log = Arc<Mutex<Vec<String>>>;

fn recorder<C, N>(name: &'static str, log: &Log) -> Recorder<C, N> {
    Recorder { name, log: Arc::clone(log), types: core::marker::PhantomData }
}

/// A context that counts.
trait Count: Default + Debug + 'static {
    fn count(&mut self);
}

#[derive(Debug, Default)]
struct Small(u8);

#[derive(Debug, Default)]
struct Text(String);

impl Count for Small {
    fn count(&mut self) {
        self.0 += 1;
    }
}

impl Count for Text {
    fn count(&mut self) {
        self.0.push('x');
    }
}

impl<C: Count, N: Debug + 'static> Handler for Recorder<C, N> {
    type Context = C;
    type Note = N;

    fn on(&mut self, hub: &mut Hub<'_, C>, event: Event<'_, N>) {
        let line = match event {
            Event::Started => {
                hub.wake(Timer::named("tick"), secs(if self.name == "one" { 1 } else { 3 }));
                "started".into()
            }
            Event::Opened { conn, origin, .. } => {
                let context = hub.context(conn).expect("the connection is open");
                format!("opened {:?} with {context:?}", matches!(origin, Origin::Dial(_)))
            }
            Event::Message { conn, payload } => {
                let context = hub.context(conn).expect("the connection is open");
                context.count();
                let line = format!("message {:?} with {context:?}", payload.as_str().unwrap_or_default());
                match payload.as_str() {
                    Some("dial") => drop(hub.dial(Dial::lines("127.0.0.1:7"))),
                    Some("cancel") => assert!(hub.cancel(Timer::named("tick")), "its timer was set"),
                    _ => {}
                }
                line
            }
            Event::Timer(timer) => {
                assert_eq!(timer, Timer::named("tick"), "the application sees the timer that it set");
                "tick".into()
            }
            Event::Closed { conn, .. } => format!("closed with {:?}", hub.context(conn).expect("the last time")),
            Event::DialFailed { .. } => "dial failed".into(),
            Event::Refused { reason, .. } => format!("refused: {reason}"),
            other => format!("{other:?}"),
        };
        self.log.lock().expect("no panic").push(format!("{}: {line}", self.name));
    }
}

struct World {
    hub: TestHub<Apps>,
    log: Log,
}

impl World {
    /// Creates a server with two applications and a listener for each.
    fn new() -> Self {
        let log = Log::default();
        let listen = |port: u16, app: &str| {
            let listen: Listen = format!("tcp://127.0.0.1:{port}").parse().expect("an address");
            listen.app(app.into()).connections_max(Some(2))
        };
        let apps = Apps::new()
            .with("one", recorder::<Small, u32>("one", &log))
            .with("two", recorder::<Text, &'static str>("two", &log));
        let config = Config::listening([listen(7000, "one"), listen(7001, "two"), listen(7002, "unknown")]);
        Self { hub: TestHub::with_config(config, apps), log }
    }

    fn connect(&mut self, listener: u16) -> ConnId {
        let peer = Peer::Address(([127, 0, 0, 1], 40_000).into());
        self.hub.try_connect(ListenerId::new(listener.into()), peer).expect("it is admitted")
    }

    /// Returns the events since the last call.
    fn events(&self) -> Vec<String> {
        core::mem::take(&mut self.log.lock().expect("no panic"))
    }
}

#[test]
fn an_application_replaces_an_earlier_one_of_its_name() {
    let log = Log::default();
    let apps = Apps::new()
        .with("one", recorder::<Small, u32>("first", &log))
        .with("two", recorder::<Text, &'static str>("two", &log))
        .with("one", recorder::<Small, u32>("second", &log));
    assert_eq!(apps.index("one"), Some(drupe_core::app::AppIndex::default()));
    assert_ne!(apps.index("two"), Some(apps.next_index()));
    let config = Config::listening(["tcp://127.0.0.1:7000".parse::<Listen>().expect("an address").app("one".into())]);
    let mut world = World { hub: TestHub::with_config(config, apps), log };
    assert_eq!(world.events(), ["second: started", "two: started"]);
    let conn = world.connect(0);
    world.hub.line(conn, "a");
    assert_eq!(world.events(), ["second: opened false with Small(0)", "second: message \"a\" with Small(1)"]);
}

#[test]
fn each_application_receives_the_events_of_its_own_connections_with_its_own_context() {
    let mut world = World::new();
    assert_eq!(world.events(), ["one: started", "two: started"]);
    let (first, second, unknown) = (world.connect(0), world.connect(1), world.connect(2));
    world.hub.line(first, "a");
    world.hub.line(second, "b");
    world.hub.line(second, "c");
    world.hub.line(unknown, "d");
    world.hub.end(first);
    assert_eq!(
        world.events(),
        [
            "one: opened false with Small(0)",
            "two: opened false with Text(\"\")",
            "one: opened false with Small(0)",
            "one: message \"a\" with Small(1)",
            "two: message \"b\" with Text(\"x\")",
            "two: message \"c\" with Text(\"xx\")",
            "one: message \"d\" with Small(1)",
            "one: closed with Small(1)",
        ]
    );
    // A slot that is used again begins with a new context, of another type.
    let third = world.connect(1);
    assert_eq!(third.index(), first.index());
    assert_eq!(world.events(), ["two: opened false with Text(\"\")"]);
}

#[test]
fn timers_of_the_same_name_belong_to_the_application_that_set_them() {
    let mut world = World::new();
    let second = world.connect(1);
    world.events();
    world.hub.advance(secs(2));
    assert_eq!(world.events(), ["one: tick"]);
    world.hub.advance(secs(2));
    assert_eq!(world.events(), ["two: tick"]);
    let mut world = World::new();
    let first = world.connect(0);
    world.hub.line(first, "cancel");
    world.events();
    world.hub.advance(secs(10));
    assert_eq!(world.events(), ["two: tick"]);
    let _ = second;
}

#[test]
fn dials_belong_to_the_application_that_dialled() {
    let mut world = World::new();
    let (first, second) = (world.connect(0), world.connect(1));
    world.hub.line(first, "dial");
    world.hub.line(second, "dial");
    world.events();
    let wanted: Vec<_> = world.hub.machine().dials().map(|(dial, _)| dial).collect();
    assert_eq!(wanted.len(), 2, "each application has its dial");
    for dial in wanted.iter().copied() {
        world.hub.dial_failed(dial, Failure::Refused);
    }
    assert_eq!(world.events(), ["one: dial failed", "two: dial failed"]);

    world.hub.line(second, "dial");
    world.events();
    let dial = world.hub.machine().dials().map(|(dial, _)| dial).next().expect("a dial");
    let conn = world.hub.dialed(dial, Peer::Address(([127, 0, 0, 1], 7).into())).expect("it is connected");
    world.hub.line(conn, "hello");
    assert_eq!(world.events(), ["two: opened true with Text(\"\")", "two: message \"hello\" with Text(\"x\")"]);
}

/// A handler that lets its peers join, publish and count rooms by name.
struct Rooms;

impl Handler for Rooms {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        let Event::Message { conn, payload } = event else { return };
        let (verb, room) = payload.as_str().and_then(|line| line.split_once(' ')).expect("a verb and a room");
        match verb {
            "join" => drop(hub.join(conn, room).expect("there is room")),
            "say" => drop(hub.publish(room, "hello")),
            "leave" => drop(hub.leave(conn, room)),
            _ => {
                let rooms: Vec<_> = hub.rooms().map(|(name, count)| format!("{name:?} {count}")).collect();
                let own: Vec<_> = hub.rooms_of(conn).map(|name| format!("{name:?}")).collect();
                let counted = hub.members(room).count();
                assert_eq!(counted, hub.member_count(room));
                hub.send(conn, &format!("{} | {} | {counted}", rooms.join(", "), own.join(", ")));
            }
        }
    }
}

#[test]
fn rooms_of_two_applications_never_meet() {
    let listen =
        |port: u16, app: &str| format!("tcp://127.0.0.1:{port}").parse::<Listen>().expect("an address").app(app.into());
    let config = Config::listening([listen(7000, "one"), listen(7001, "two")]);
    let mut hub = TestHub::with_config(config, Apps::new().with("one", Rooms).with("two", Rooms));
    let peer = Peer::Address(([127, 0, 0, 1], 40_000).into());
    let connect =
        |hub: &mut TestHub<Apps>, listener| hub.try_connect(ListenerId::new(listener), peer).expect("admitted");
    let (one, other, two) = (connect(&mut hub, 0), connect(&mut hub, 0), connect(&mut hub, 1));
    // Whatever a peer names: what the server stores for the other application as well.
    for room in ["a", "\u{1f}1\u{1f}a", "1\u{1f}a"] {
        for conn in [one, two] {
            hub.line(conn, &format!("join {room}"));
        }
        hub.clear();
        hub.line(other, &format!("say {room}"));
        assert_eq!((hub.lines(one), hub.lines(two)), (vec!["hello".to_string()], vec![]), "{room:?}");
        hub.clear();
        hub.line(two, &format!("say {room}"));
        assert_eq!((hub.lines(one), hub.lines(two)), (vec![], vec!["hello".to_string()]), "{room:?}");
        hub.clear();
        hub.line(two, &format!("list {room}"));
        assert_eq!(hub.lines(two), [format!("{room:?} 1 | {room:?} | 1")]);
        for conn in [one, two] {
            hub.line(conn, &format!("leave {room}"));
        }
        hub.line(one, &format!("list {room}"));
        assert_eq!(hub.lines(one), [" |  | 0".to_string()]);
    }
}

#[test]
fn notes_reach_only_the_application_that_they_are_for() {
    let mut world = World::new();
    let index = |world: &World, name| world.hub.handler().index(name).expect("a known name");
    let (one, two) = (index(&world, "one"), index(&world, "two"));
    world.events();
    world.hub.note(AppNote::new(one, 7_u32));
    world.hub.note(AppNote::new(two, "text"));
    // A note of the wrong type is ignored.
    world.hub.note(AppNote::new(two, 7_u32));
    assert_eq!(world.events(), ["one: Note(7)", "two: Note(\"text\")"]);
}

#[test]
fn refusals_reach_the_application_of_the_listener_and_the_drain_reaches_all() {
    let mut world = World::new();
    for _ in 0..2 {
        world.connect(1);
    }
    world.events();
    let peer = Peer::Address(([127, 0, 0, 1], 40_000).into());
    world.hub.try_connect(ListenerId::new(1), peer).expect_err("the listener is full");
    assert_eq!(world.events(), [format!("two: refused: {}", Reason::ListenerFull)]);
    let config = world.hub.machine().config().clone();
    world.hub.reconfigure(config);
    world.hub.with_handler(|_| ());
    assert_eq!(world.events(), ["one: Reconfigured", "two: Reconfigured"]);
    world.hub.command(&drupe_core::Command::Drain);
    assert_eq!(world.events()[..2], ["one: Draining", "two: Draining"]);
}

/// Answers each message with its settings.
struct Settings;

#[derive(Debug, PartialEq)]
struct Motto(&'static str);

impl Handler for Settings {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        if let Event::Message { conn, .. } = event {
            let motto = hub.settings::<Motto>().map_or("none", |motto| motto.0);
            hub.send(conn, motto);
        }
    }
}

#[test]
fn reload_replaces_the_settings_of_applications() {
    let mut hub = TestHub::with_config(super::lines(), Settings);
    let peer = hub.connect();
    hub.line(peer, "?");
    let mut config = super::lines();
    config.sections.set(Motto("one"));
    let before = config.clone();
    hub.reconfigure(config.clone());
    hub.line(peer, "?");
    config.sections.set(Motto("two"));
    assert_ne!(config, before, "configurations with other settings differ");
    config.sections.set(Motto("one"));
    assert_eq!(config, before, "a type has one value");
    config.sections.set(Motto("three"));
    hub.reconfigure(config);
    hub.line(peer, "?");
    assert_eq!(hub.lines(peer), ["none", "one", "three"]);
}
