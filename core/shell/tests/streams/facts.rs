//! What a task sees of its connection, layers in front of tasks, and work in a drain.

use super::{LINES, World, slow};
use drupe_core::kit::auth::scram::Credentials;
use drupe_core::kit::auth::{Accounts, Authentication};
use drupe_core::kit::layer::{Greeting, RateBy, RateLimit, Within};
use drupe_core::kit::negotiate;
use drupe_core::limit::Rate;
use drupe_core::{Command, Config, Identity, Listen, Origin, Reason, Representation};
use drupe_shell::stream::{Connection, Connections};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

#[test]
fn task_sees_identity_request_representation_and_wire() {
    let mut world = World::new("ws://127.0.0.1:1", async |mut connection: Connection| {
        let request = connection.request().expect("a WebSocket");
        let (path, room) = (request.path().to_string(), request.query("room").unwrap_or("?").to_string());
        let agent = request.field("user-agent").unwrap_or("?").to_string();
        assert!(matches!(connection.origin(), Origin::Listener(_)));
        assert_eq!((connection.wire_name(), connection.has_lines()), ("websocket", false));
        assert_eq!((connection.identity(), connection.representation()), (None, Representation::Json));
        let identify = connection.with_hub(|hub, conn| {
            hub.set_representation(conn, Representation::Text);
            hub.identify(conn, Identity::user("ann").with_scopes(["admin"]))
        });
        assert_eq!(identify.await, Ok(true));
        let identity = connection.identity().expect("just identified");
        assert!(identity.may("admin") && connection.representation() == Representation::Text);
        connection.send(format!("{path} {room} {agent} {}", identity.user)).await.expect("open");
        assert_eq!(connection.leave("all").await, Ok(false));
        assert_eq!(connection.join("all").await, Ok(Ok(true)));
        assert_eq!(connection.leave("all").await, Ok(true));
    });
    let conn = world.hub.connect();
    world.send(
        conn,
        b"GET /chat?room=den HTTP/1.1\r\nHost: 127.0.0.1:1\r\nUser-Agent: me\r\nUpgrade: websocket\r\n\
          Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let received = String::from_utf8_lossy(world.hub.received(conn)).into_owned();
    assert!(received.contains("/chat den me ann"), "{received}");
}

#[test]
fn task_begins_behind_its_layers() {
    let listen: Listen = LINES.parse().expect("an address");
    let config = Config::listening([listen.welcome("hello".into())]);
    let credentials = Credentials::new("secret", b"0123456789abcdef", 4_096).expect("a password");
    let accounts = Accounts::default().user("ann", credentials, []).expect("a name");
    let rate = Rate::new(1, 3).expect("a rate");
    let serve = async |mut connection: Connection| {
        let user = connection.identity().map(|identity| identity.user.to_string());
        connection.send(format!("you are {user:?}")).await.expect("open");
        while let Some(message) = connection.receive().await {
            connection.send(message).await.expect("open");
        }
    };
    let mut world = World::within(config, serve, |tasks: Connections| {
        tasks
            .within(RateLimit::new(RateBy::Connection, rate))
            .within(Authentication::new(accounts, [7; 32]).dialogue())
            .within(Greeting)
    });
    let conn = world.connect();
    assert_eq!(world.tasks.len(), 0, "no task before the login");
    world.send(conn, b"ann\nsecret\n");
    assert_eq!(world.tasks.len(), 1);
    world.send(conn, b"one\ntwo\nthree\nfour\n");
    let text = String::from_utf8_lossy(world.hub.received(conn)).into_owned();
    assert!(text.contains("hello\n") && text.contains("you are Some(\"ann\")"), "{text}");
    assert!(text.contains("three\n") && !text.contains("four\n"), "{text}");
}

/// A latch that a test opens, for work that takes long.
#[derive(Clone, Default)]
struct Latch(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Latch {
    async fn opened(&self) {
        std::future::poll_fn(|cx| {
            let mut latch = self.0.lock().expect("no panic");
            latch.1.push(cx.waker().clone());
            if latch.0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn open(&self) {
        let mut latch = self.0.lock().expect("no panic");
        latch.0 = true;
        latch.1.drain(..).for_each(Waker::wake);
    }
}

/// A world whose tasks work until the latch opens, although no message asked them to.
fn working(latch: &Latch, log: &Arc<Mutex<Vec<String>>>) -> World {
    let (latch, log) = (latch.clone(), Arc::clone(log));
    let mut config = Config::listening([LINES.parse().expect("an address")]);
    config.drain.window = Duration::ZERO;
    config.drain.deadline = Duration::from_secs(10);
    let serve = move |mut connection: Connection| {
        let (latch, log) = (latch.clone(), Arc::clone(&log));
        async move {
            let work = connection.work();
            let done = connection.run_until_closed(latch.opened()).await;
            let sent = connection.send("done").await;
            drop(work);
            let last = connection.receive().await;
            let reason = connection.closed().await;
            log.lock().expect("no panic").push(format!("{done:?} {} {last:?} {reason}", sent.is_ok()));
        }
    };
    World::within(config, serve, |tasks| tasks)
}

#[test]
fn drain_waits_for_declared_work_and_reads_end_cleanly() {
    let (latch, log) = (Latch::default(), Arc::default());
    let mut world = working(&latch, &log);
    let conn = world.connect();
    world.hub.command(&Command::Drain);
    world.settle();
    world.advance(Duration::from_secs(5));
    assert!(!world.hub.is_closed(conn), "the work is in progress");
    latch.open();
    world.settle();
    world.advance(Duration::from_secs(1));
    assert!(world.hub.is_closed(conn));
    assert_eq!(world.hub.lines(conn)[1..2], ["done"]);
    assert_eq!(*log.lock().expect("no panic"), ["Ok(()) true None shutdown"]);
    assert_eq!(world.hub.machine().metrics().drain_unfinished, 0);
}

#[test]
fn drain_ends_work_at_its_deadline_as_shutdown() {
    let (latch, log) = (Latch::default(), Arc::default());
    let mut world = working(&latch, &log);
    let conn = world.connect();
    world.hub.command(&Command::Drain);
    world.settle();
    world.advance(Duration::from_secs(9));
    assert!(!world.hub.is_closed(conn));
    world.advance(Duration::from_secs(1));
    assert!(world.hub.is_closed(conn) && world.hub.ended(Reason::Shutdown) == 1);
    assert_eq!(*log.lock().expect("no panic"), ["Err(Disconnected(Shutdown)) false None shutdown"]);
    assert_eq!(world.hub.machine().metrics().drain_unfinished, 1);
}

#[test]
fn task_sends_a_value_in_the_representation_of_its_peer() {
    let mut world = World::new(LINES, async |mut connection: Connection| {
        connection.send(negotiate(&7.5)).await.expect("open");
    });
    let conn = world.connect();
    assert_eq!(world.hub.lines(conn), ["7.5"]);
}

#[test]
fn connection_accepted_in_drain_grace_is_notified_at_once() {
    let told = Arc::new(Mutex::new(0));
    let mut world = World::new(LINES, slow(&told));
    let mut config = world.hub.machine().config().clone();
    config.drain.grace = Duration::from_secs(5);
    world.hub.reconfigure(config);
    world.hub.command(&Command::Drain);
    let late = world.connect();
    world.send(late, b"hello\n");
    assert_eq!(world.hub.lines(late), ["hello"]);
}

#[test]
fn stuck_task_delays_a_drain_only_until_its_deadline() {
    let mut world = World::new(LINES, async |mut connection: Connection| {
        while connection.receive().await.is_some() {
            connection.closed().await;
        }
    });
    let stuck = world.connect();
    world.send(stuck, b"one\n");
    world.hub.command(&drupe_core::Command::Drain);
    world.hub.advance(Duration::from_secs(9));
    assert!(!world.hub.is_closed(stuck));
    world.hub.advance(Duration::from_secs(1));
    assert!(world.hub.lines(stuck).ends_with(&["closing (shutdown): the server is shutting down".into()]));
}
