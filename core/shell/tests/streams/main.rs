//! One task per connection, without sockets and runtime: the test polls the tasks.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails where its assumption does, and some panic on purpose"
)]

mod facts;

use drupe_core::testing::TestHub;
use drupe_core::{Config, ConnId, Handler, Listen, PayloadBuf, Reason};
use drupe_shell::stream::{ByteStream, Connection, ConnectionTask, Connections, Linked, Ready};
use drupe_shell::{DriverMessage, Mailbox};
use proptest::prelude::*;
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

thread_local! {
    /// Spawned tasks that were not polled yet. Each test has a thread of its own.
    static SPAWNED: RefCell<Vec<ConnectionTask>> = const { RefCell::new(Vec::new()) };
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct World<H: Handler = Connections> {
    hub: TestHub<H>,
    mailbox: Mailbox<Ready>,
    tasks: Vec<(ConnectionTask, Arc<Woken>)>,
}

impl World {
    fn new<F>(address: &str, serve: impl FnMut(Connection) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let config = Config::listening([address.parse::<Listen>().expect(address)]);
        Self::within(config, serve, |tasks| tasks)
    }
}

impl<H: Handler<Context = Linked, Note = Ready>> World<H> {
    /// Creates a world whose tasks are behind layers.
    fn within<F>(
        config: Config,
        serve: impl FnMut(Connection) -> F + Send + 'static,
        wrap: impl FnOnce(Connections) -> H,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mailbox = Mailbox::new();
        let spawn = |task| SPAWNED.with(|spawned| spawned.borrow_mut().push(task));
        let handler = wrap(Connections::new(mailbox.remote(), spawn, serve));
        let hub = TestHub::with_config(Connections::configure(config).unlimited(), handler);
        Self { hub, mailbox, tasks: Vec::new() }
    }

    /// Lets time pass, and then runs what is due.
    fn advance(&mut self, span: Duration) {
        self.hub.advance(span);
        self.settle();
    }

    /// Sends bytes in pieces of `cut` and ends. Returns what came back, once all is closed.
    fn returned(&mut self, conn: ConnId, bytes: &[u8], cut: usize) -> &[u8] {
        for part in bytes.chunks(cut) {
            self.send(conn, part);
        }
        self.hub.end(conn);
        self.settle();
        assert!(self.hub.is_closed(conn));
        self.hub.received(conn)
    }

    /// Runs tasks and the machine until nothing changes.
    fn settle(&mut self) {
        loop {
            let spawned = SPAWNED.with(|spawned| spawned.borrow_mut().drain(..).collect::<Vec<_>>());
            self.tasks.extend(spawned.into_iter().map(|task| (task, Arc::new(Woken(AtomicBool::new(true))))));
            let mut busy = false;
            self.tasks.retain_mut(|(task, woken)| {
                if !woken.0.swap(false, Ordering::Relaxed) {
                    return true;
                }
                busy = true;
                let waker = Waker::from(Arc::clone(woken));
                Pin::new(task).poll(&mut Context::from_waker(&waker)).is_pending()
            });
            for mail in self.mailbox.take(Waker::noop()) {
                busy = true;
                if let DriverMessage::Note(note) = mail {
                    self.hub.note(note);
                }
            }
            if !busy {
                return;
            }
        }
    }

    fn connect(&mut self) -> ConnId {
        let conn = self.hub.connect();
        self.settle();
        conn
    }

    fn send(&mut self, conn: ConnId, bytes: &[u8]) {
        self.hub.send(conn, bytes);
        self.settle();
    }

    fn is_read(&self, conn: ConnId) -> bool {
        self.hub.machine().intent(conn).is_some_and(|intent| intent.read)
    }
}

const LINES: &str = "tcp://127.0.0.1:1";

async fn echo(mut connection: Connection) {
    while let Some(message) = connection.receive().await {
        if connection.send(message).await.is_err() {
            return;
        }
    }
}

#[test]
fn returning_task_closes_its_connection() {
    let mut world = World::new(LINES, async |mut connection: Connection| {
        while let Some(message) = connection.receive().await {
            let text = message.as_payload().as_str().expect("text").to_uppercase();
            if text == "QUIT" {
                connection.send("bye").await.expect("open");
                return;
            }
            connection.send(text).await.expect("open");
        }
    });
    let (one, two) = (world.connect(), world.connect());
    world.send(one, b"hello\nquit\nnever\n");
    assert_eq!(world.hub.lines(one), ["HELLO", "bye"]);
    assert!(world.hub.is_closed(one));
    // The last line has no line feed. It is answered before the connection closes.
    world.send(two, b"a\nb");
    world.hub.end(two);
    world.settle();
    assert_eq!(world.hub.lines(two), ["A", "B"]);
    assert!(world.hub.is_closed(two) && world.tasks.is_empty());
    assert_eq!(world.hub.ended(Reason::Application), 2);
}

#[test]
fn task_that_does_not_receive_pauses_reading_without_loss() {
    let gate = Arc::new(Mutex::new((false, None::<Waker>)));
    let opened = Arc::clone(&gate);
    let mut world = World::new(LINES, move |mut connection: Connection| {
        let gate = Arc::clone(&opened);
        async move {
            poll_fn(|cx| {
                let mut gate = gate.lock().expect("no panic");
                gate.1 = Some(cx.waker().clone());
                if gate.0 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            let mut total = 0;
            while let Some(message) = connection.receive().await {
                total += message.as_payload().as_bytes().len();
            }
            connection.send(total.to_string()).await.expect("half open");
        }
    });
    let conn = world.connect();
    let line = [&[b'x'; 999][..], b"\n"].concat();
    let mut sent = 0;
    while world.is_read(conn) {
        world.send(conn, &line);
        sent += 999;
        assert!(sent < 100_000, "reading stops at some point");
    }
    assert!(sent > 60_000);
    {
        let mut gate = gate.lock().expect("no panic");
        gate.0 = true;
        gate.1.take().expect("it waits").wake();
    }
    world.settle();
    assert!(world.is_read(conn));
    world.send(conn, &line);
    world.hub.end(conn);
    world.settle();
    assert_eq!(world.hub.lines(conn), [(sent + 999).to_string()]);
}

#[test]
fn send_waits_while_the_peer_does_not_read() {
    let sent = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&sent);
    let mut world = World::new(LINES, move |mut connection: Connection| {
        let counter = Arc::clone(&counter);
        async move {
            for _ in 0..10_000 {
                if connection.send("x".repeat(999)).await.is_err() {
                    return;
                }
                *counter.lock().expect("no panic") += 1;
            }
        }
    });
    let conn = world.hub.connect();
    world.hub.set_writable(conn, 0);
    world.settle();
    let queued = *sent.lock().expect("no panic");
    assert!(queued < 1_000, "{queued} of 10,000 messages were sent without waiting");
    world.hub.set_writable(conn, usize::MAX);
    world.settle();
    assert_eq!(*sent.lock().expect("no panic"), 10_000);
    assert_eq!(world.hub.lines(conn).len(), 10_000);
    assert_eq!((world.hub.ended(Reason::SlowConsumer), world.hub.ended(Reason::Application)), (0, 1));
}

#[test]
fn panicking_task_closes_only_its_own_connection() {
    let mut world = World::new(LINES, async |mut connection: Connection| {
        while let Some(message) = connection.receive().await {
            assert_ne!(message, PayloadBuf::from("panic"), "on purpose");
            connection.send(message).await.expect("open");
        }
    });
    let (bad, good) = (world.connect(), world.connect());
    world.send(bad, b"panic\nhello\n");
    world.send(good, b"hello\n");
    assert_eq!(world.hub.lines(bad), ["closing (handler_panicked): the application failed"]);
    assert_eq!(world.hub.lines(good), ["hello"]);
    assert_eq!(world.hub.ended(Reason::HandlerPanicked), 1);
}

#[test]
fn tasks_join_rooms_and_act_on_the_hub() {
    let mut world = World::new(LINES, async |mut connection: Connection| {
        assert_eq!(connection.join("all").await, Ok(Ok(true)));
        let members = connection.with_hub(|hub, _| hub.member_count("all")).await.expect("open");
        connection.send(format!("{members} here")).await.expect("open");
        while let Some(message) = connection.receive().await {
            connection.publish("all", message).await.expect("open");
        }
    });
    let (one, two, three) = (world.connect(), world.connect(), world.connect());
    world.send(two, b"hello\n");
    assert_eq!(world.hub.lines(one), ["1 here", "hello"]);
    assert_eq!(world.hub.lines(two), ["2 here"]);
    assert_eq!(world.hub.lines(three), ["3 here", "hello"]);
}

#[test]
fn both_halves_receive_the_reason_of_the_close() {
    let ends = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&ends);
    let mut world = World::new(LINES, move |connection: Connection| {
        let log = Arc::clone(&log);
        async move {
            let (mut receiver, sender) = connection.split();
            while receiver.receive().await.is_some() {}
            drop(receiver);
            let reason = sender.closed().await;
            let error = sender.send("too late").await.expect_err("over");
            assert_eq!(error.0, reason);
            assert_eq!(sender.with_hub(|_, _| ()).await.map_err(|error| error.0), Err(reason));
            log.lock().expect("no panic").push((reason, sender.reason()));
        }
    });
    let (one, two) = (world.connect(), world.connect());
    world.hub.fail(one, drupe_core::Failure::Reset);
    world.settle();
    world.send(two, &b"x".repeat(70_000));
    assert_eq!(
        *ends.lock().expect("no panic"),
        [(Reason::Reset, Some(Reason::Reset)), (Reason::MessageTooLarge, Some(Reason::MessageTooLarge))]
    );
    let left = world.connect();
    drop(world.hub);
    let waker = Waker::from(Arc::clone(&world.tasks[0].1));
    assert!(Pin::new(&mut world.tasks[0].0).poll(&mut Context::from_waker(&waker)).is_ready(), "{left}");
    assert_eq!(ends.lock().expect("no panic").last(), Some(&(Reason::Shutdown, Some(Reason::Shutdown))));
}

#[test]
fn panic_in_with_hub_closes_the_connection_and_wakes_the_task() {
    let mut world = World::new(LINES, async |connection: Connection| {
        let (receiver, sender) = connection.split();
        drop(receiver);
        let panicked = sender.with_hub(|_, _| -> u32 { panic!("on purpose") }).await;
        assert_eq!(panicked.map_err(|error| error.0), Err(Reason::HandlerPanicked));
    });
    let conn = world.connect();
    assert!(world.hub.is_closed(conn) && world.tasks.is_empty());
    assert_eq!((world.hub.ended(Reason::HandlerPanicked), world.hub.machine().metrics().handler_panics), (1, 1));
}

#[test]
fn input_does_not_block_a_task_that_dropped_its_receiver() {
    let mut world = World::new(LINES, async |connection: Connection| {
        let (receiver, sender) = connection.split();
        drop(receiver);
        sender.closed().await;
    });
    let (busy, gone) = (world.connect(), world.connect());
    for _ in 0..1_000 {
        world.send(busy, b"nobody hears\n");
    }
    assert!(world.is_read(busy));
    world.hub.end(gone);
    world.settle();
    assert!(world.hub.is_closed(gone) && world.tasks.len() == 1);
}

#[test]
fn byte_stream_sends_a_long_line_as_one_message_on_framed_wire() {
    let mut world = World::new("length://127.0.0.1:1", async |connection: Connection| {
        let mut stream = ByteStream::new(connection);
        let line = ["ä".repeat(20_000).as_bytes(), b"\nnext"].concat();
        let mut rest = &line[..];
        while !rest.is_empty() {
            let written = poll_fn(|cx| stream.poll_write(cx, rest)).await.expect("open");
            rest = &rest[written..];
        }
        poll_fn(|cx| stream.poll_close(cx)).await.expect("open");
    });
    let conn = world.connect();
    let messages = world.hub.messages(conn);
    assert_eq!(messages, ["ä".repeat(20_000).into_bytes(), b"next".to_vec()]);
}

#[test]
fn byte_stream_write_fails_on_an_endless_line() {
    let mut world = World::new("length://127.0.0.1:1", async |connection: Connection| {
        let mut stream = ByteStream::new(connection);
        let mut written = 0;
        let error = loop {
            match poll_fn(|cx| stream.poll_write(cx, &[b'x'; 1_024])).await {
                Ok(bytes) => written += bytes,
                Err(error) => break error,
            }
        };
        assert_eq!((error.kind(), written), (std::io::ErrorKind::InvalidData, 1 << 20));
    });
    world.connect();
    assert_eq!((world.tasks.len(), world.hub.ended(Reason::Application)), (0, 1));
}

/// Echoes the input, in pieces of this size.
async fn echo_bytes(connection: Connection, piece: usize) {
    let mut stream = ByteStream::new(connection);
    let mut buffer = vec![0; piece];
    loop {
        let read = poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await;
        if read == 0 {
            break;
        }
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            let Ok(written) = poll_fn(|cx| stream.poll_write(cx, rest)).await else { return };
            rest = &rest[written..];
        }
        if poll_fn(|cx| stream.poll_flush(cx)).await.is_err() {
            return;
        }
    }
    let _ = poll_fn(|cx| stream.poll_close(cx)).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, ..ProptestConfig::default() })]

    #[test]
    fn byte_stream_echoes_bytes_for_any_chunking(
        lines in prop::collection::vec("[a-zä]{0,20}", 1..20), cut in 1..50_usize, piece in 1..40_usize, frames: bool
    ) {
        let address = if frames { "length://127.0.0.1:1" } else { LINES };
        let mut world = World::new(address, move |connection| echo_bytes(connection, piece));
        let conn = world.connect();
        let framed: Vec<u8> = lines.iter().flat_map(|line| {
            let length = u32::try_from(line.len()).expect("short").to_be_bytes();
            if frames { [&length, line.as_bytes()].concat() } else { [line.as_bytes(), b"\n"].concat() }
        }).collect();
        prop_assert_eq!(world.returned(conn, &framed, cut), &framed[..]);
    }

    #[test]
    fn byte_stream_on_a_raw_wire_changes_no_byte(
        bytes in prop::collection::vec(prop::sample::select(b"\r\n\0x\xff".to_vec()), 1..200),
        cut in 1..50_usize, piece in 1..40_usize
    ) {
        let mut world = World::new("raw://127.0.0.1:1", move |connection| echo_bytes(connection, piece));
        let conn = world.connect();
        prop_assert_eq!(world.returned(conn, &bytes, cut), &bytes[..]);
    }

    #[test]
    fn messages_return_in_order_for_any_write_sizes(
        takes in prop::collection::vec(0..3_000_usize, 1..60), count in 1..400_u32
    ) {
        let mut world = World::new(LINES, echo);
        let conn = world.connect();
        world.hub.set_writable(conn, 0);
        let lines: Vec<String> = (0..count).map(|number| format!("{number:0100}")).collect();
        let mut unsent = lines.iter();
        for take in takes {
            if world.is_read(conn) && let Some(line) = unsent.next() {
                world.hub.line(conn, line);
                world.settle();
            }
            world.hub.set_writable(conn, take);
            world.settle();
        }
        world.hub.set_writable(conn, usize::MAX);
        world.settle();
        for line in unsent {
            world.hub.line(conn, line);
            world.settle();
        }
        prop_assert_eq!(world.hub.lines(conn), lines);
    }
}

#[test]
fn task_panic_is_counted_once_even_after_the_close() {
    let mut world = World::new(LINES, async |mut connection: Connection| {
        while let Some(message) = connection.receive().await {
            assert_ne!(message, PayloadBuf::from("panic"), "on purpose");
        }
        panic!("on purpose");
    });
    let (one, two) = (world.connect(), world.connect());
    world.send(one, b"panic\n");
    assert_eq!(world.hub.machine().metrics().handler_panics, 1);
    world.hub.fail(two, drupe_core::Failure::Reset);
    world.settle();
    assert_eq!(world.hub.machine().metrics().handler_panics, 2);
    assert_eq!((world.hub.ended(Reason::HandlerPanicked), world.hub.ended(Reason::Reset)), (1, 1));
}

/// Answers each message once the server drains, and counts the answers.
fn slow(
    told: &Arc<Mutex<usize>>,
) -> impl FnMut(Connection) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + 'static {
    let told = Arc::clone(told);
    move |mut connection: Connection| {
        let told = Arc::clone(&told);
        Box::pin(async move {
            while let Some(message) = connection.receive().await {
                // The work takes until the server drains.
                connection.draining().await;
                *told.lock().expect("no panic") += 1;
                connection.send(message).await.expect("work in progress may finish");
            }
        })
    }
}

#[test]
fn drain_notifies_tasks_and_waits_for_their_replies() {
    let told = Arc::new(Mutex::new(0));
    let mut world = World::new(LINES, slow(&told));
    let (busy, idle) = (world.connect(), world.connect());
    world.send(busy, b"one\ntwo\n");
    assert_eq!(world.hub.lines(busy), Vec::<String>::new());
    world.hub.command(&drupe_core::Command::Drain);
    world.hub.advance(Duration::from_secs(3));
    assert_eq!((world.hub.is_closed(busy), world.hub.is_closed(idle)), (false, true));
    // The task is polled only now.
    world.settle();
    world.hub.advance(Duration::ZERO);
    assert_eq!(*told.lock().expect("no panic"), 2);
    let closing = "closing (shutdown): the server is shutting down";
    assert_eq!(world.hub.lines(busy), ["notice: the server is shutting down", "one", "two", closing]);
    world.settle();
    assert!(world.tasks.is_empty(), "their connections have ended");
}
