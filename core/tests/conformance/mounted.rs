//! Connections that another server of the process hands over.

use super::{PATIENCE, run, run_sharded};
use crate::shell::common::block_on;
use crate::shell::common::mount::{MountAnswer, MountError, MountRequest, MountResponse, MountedIo, MountedWebSocket};
use crate::shell::core::app::Echo;
use crate::shell::core::{Config, Event, Handler, Hub, NoNote, Peer, Reason};
use crate::shell::{Remote, RemoteError, Server};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How many bytes a pipe holds in each direction.
const PIPE_BYTES: usize = 1_000;

/// A stream in memory: the server has one end, the test the other.
#[derive(Clone, Default)]
struct Pipe(Arc<(Mutex<Ends>, Condvar)>);

#[derive(Default)]
struct Ends {
    to_server: VecDeque<u8>,
    to_peer: VecDeque<u8>,
    peer_ended: bool,
    server_ended: bool,
    waker: Option<Waker>,
}

/// The server's end of a pipe. Dropping it closes the connection.
struct ServerEnd(Pipe);

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, Ends> {
        self.0.0.lock().expect("no panic")
    }

    /// Changes the pipe, and wakes the server.
    fn change<T>(&self, change: impl FnOnce(&mut Ends) -> T) -> T {
        let mut ends = self.lock();
        let changed = change(&mut ends);
        let waker = ends.waker.take();
        drop(ends);
        waker.into_iter().for_each(Waker::wake);
        changed
    }

    fn wait(&self, so: impl Fn(&Ends) -> bool) -> MutexGuard<'_, Ends> {
        let (ends, timeout) = self.0.1.wait_timeout_while(self.lock(), PATIENCE, |ends| !so(ends)).expect("no panic");
        assert!(!timeout.timed_out(), "the server does nothing");
        ends
    }

    fn send(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            drop(self.wait(|ends| ends.to_server.len() < PIPE_BYTES || ends.server_ended));
            let count = self.change(|ends| {
                let count = bytes.len().min(PIPE_BYTES.saturating_sub(ends.to_server.len()));
                ends.to_server.extend(&bytes[..count]);
                count
            });
            bytes = &bytes[count..];
        }
    }

    fn hear(&self, count: usize) -> Vec<u8> {
        let mut heard = Vec::new();
        while heard.len() < count {
            drop(self.wait(|ends| !ends.to_peer.is_empty() || ends.server_ended));
            let part: Vec<u8> = self.change(|ends| {
                let part = ends.to_peer.len().min(count - heard.len());
                ends.to_peer.drain(..part).collect()
            });
            if part.is_empty() {
                break;
            }
            heard.extend(part);
        }
        heard
    }

    fn rest(&self) -> Vec<u8> {
        self.hear(usize::MAX)
    }

    fn end(&self) {
        self.change(|ends| ends.peer_ended = true);
    }
}

impl MountedIo for ServerEnd {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut ends = self.0.lock();
        if ends.to_server.is_empty() && !ends.peer_ended {
            ends.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = buffer.len().min(ends.to_server.len());
        for (to, from) in buffer.iter_mut().zip(ends.to_server.drain(..count)) {
            *to = from;
        }
        drop(ends);
        self.0.0.1.notify_all();
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut ends = self.0.lock();
        let room = PIPE_BYTES - ends.to_peer.len();
        if room == 0 {
            ends.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(room).collect();
        ends.to_peer.extend(&bytes);
        drop(ends);
        self.0.0.1.notify_all();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().server_ended = true;
        self.0.0.1.notify_all();
        Poll::Ready(Ok(()))
    }
}

impl Drop for ServerEnd {
    fn drop(&mut self) {
        self.0.lock().server_ended = true;
        self.0.0.1.notify_all();
    }
}

fn config(listeners: &[&str]) -> Config {
    let mut config = Config::listening(listeners.iter().map(|text| text.parse().expect("well formed")));
    config.drain.window = Duration::ZERO;
    config
}

fn peer() -> Peer {
    "192.0.2.1:4711".parse().expect("an address")
}

fn plain(target: &str) -> MountRequest {
    MountRequest::new("GET", target).field("Host", "example.org")
}

fn upgrade(target: &str) -> MountRequest {
    plain(target)
        .field("Upgrade", "websocket")
        .field("Connection", "keep-alive, Upgrade")
        .field("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .field("Sec-WebSocket-Version", "13")
}

fn ask<N>(remote: &Remote<N>, name: &str, request: MountRequest) -> Result<MountAnswer, MountError> {
    block_on(remote.mount_request(name, peer(), request))
}

fn upgraded<N>(remote: &Remote<N>, name: &str, request: MountRequest) -> (MountResponse, MountedWebSocket) {
    match ask(remote, name, request).expect("it is mounted") {
        MountAnswer::Upgrade(response, socket) => (response, socket),
        MountAnswer::Response(response) => panic!("{response:?}"),
    }
}

fn refused<N>(remote: &Remote<N>, name: &str, request: MountRequest) -> MountResponse {
    match ask(remote, name, request).expect("it is mounted") {
        MountAnswer::Response(response) => response,
        MountAnswer::Upgrade(response, _) => panic!("{response:?}"),
    }
}

/// Greets each peer with what it knows of it, and echoes.
struct Greeter;

impl Handler for Greeter {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Opened { conn, peer, request: Some(request), .. } => {
                let user = request.field("x-user").unwrap_or_default();
                let text = format!("{} {user} {peer}", request.path());
                let _ = hub.send(conn, text.as_str());
            }
            Event::Message { conn, payload } => drop(hub.send(conn, payload)),
            _ => {}
        }
    }
}

#[test]
fn mounted_websocket_knows_its_request_and_gets_what_was_read_before() {
    let server = run(config(&["ws://mounted:chat/chat"]), Greeter, None);
    assert_eq!(server.addresses, ["ws://mounted:chat/chat"]);
    let (response, socket) = upgraded(&server.remote, "chat", upgrade("/chat?x=1").field("X-User", "ann"));
    assert_eq!(response.status, 101);
    assert_eq!(response.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    let pipe = Pipe::default();
    // A masked "Hello", half of which the other server has read with the request.
    let hello = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    socket.attach(ServerEnd(pipe.clone()), &hello[..4]);
    pipe.send(&hello[4..]);
    let greeting = "/chat ann 192.0.2.1:4711";
    assert_eq!(pipe.hear(2 + greeting.len())[2..], *greeting.as_bytes());
    assert_eq!(pipe.hear(7), b"\x81\x05Hello");
    server.remote.drain().expect("it runs");
    let _ = server.remote.drain();
    assert_eq!(pipe.rest(), b"\x88\x0a\x03\xe9shutdown");
    let metrics = server.thread.join().expect("no panic");
    assert_eq!((metrics.opened, metrics.messages_in, metrics.ended.get(Reason::Shutdown)), (1, 1, 1));
}

#[test]
fn server_answers_mounted_requests_as_on_its_own_listener() {
    let server = run(config(&["ws://mounted:chat/chat", "ws://mounted:full?max=0"]), Echo, None);
    let remote = &server.remote;
    let healthy = refused(remote, "chat", plain("/healthz"));
    assert_eq!((healthy.status, healthy.body.as_slice(), healthy.field("connection")), (200, &b"ok\n"[..], None));
    let head = MountRequest::new("HEAD", "/healthz").field("Host", "x");
    assert_eq!(refused(remote, "chat", head).body, b"");
    // The origin may have either scheme, because only the other server knows whether it spoke TLS.
    let from = |origin: &str| upgrade("/chat").field("Origin", origin);
    assert_eq!(refused(remote, "chat", from("https://evil.example")).status, 403);
    assert_eq!(upgraded(remote, "chat", from("https://example.org")).0.status, 101);
    assert_eq!(upgraded(remote, "chat", from("http://example.org")).0.status, 101);
    for (request, status) in [
        (upgrade("/elsewhere"), 404),
        (plain("/metrics"), 404),
        (plain("/chat"), 426),
        (plain("/").field("Content-Length", "5"), 413),
        (plain("/").field("X", vec![b'x'; 10_000]), 431),
    ] {
        assert_eq!(refused(remote, "chat", request).status, status);
    }
    assert_eq!(refused(remote, "full", upgrade("/")).status, 503);
    server.end();
}

#[test]
fn mount_errors_name_the_mistake() {
    let server = run(config(&["ws://mounted:chat", "tcp://mounted:lines"]), Echo, None);
    let error = |name: &str, request| ask(&server.remote, name, request).expect_err("it is wrong");
    assert_eq!(error("other", upgrade("/")), MountError::Unknown("other".into()));
    assert_eq!(error("lines", upgrade("/")), MountError::NotWebSocket("lines".into()));
    assert!(matches!(error("chat", upgrade("/").field("X", "a\r\nb")), MountError::Request(_)));
    let (tell, told) = mpsc::channel();
    let reload = config(&["ws://mounted:new"]);
    let applied = server.remote.reconfigure(reload, move |done| {
        let _ = tell.send(done.is_ok());
    });
    applied.expect("it runs");
    assert!(told.recv_timeout(PATIENCE).expect("it answers"));
    assert_eq!(error("chat", upgrade("/")), MountError::Unknown("chat".into()));
    drop(upgraded(&server.remote, "new", upgrade("/")));
    let remote = server.remote.clone();
    server.end();
    let after = block_on(remote.mount_request("new", peer(), upgrade("/"))).expect_err("it has ended");
    assert_eq!(after, MountError::Remote(RemoteError::Ended));
    let twice = Server::bind(config(&["ws://mounted:a", "tcp://mounted:a"]), Echo).expect_err("the name is not unique");
    assert!(twice.to_string().contains("two listeners have this name"), "{twice}");
}

#[test]
fn request_that_gets_no_stream_counts_as_reset() {
    let server = run(config(&["ws://mounted:chat"]), Echo, None);
    drop(upgraded(&server.remote, "chat", upgrade("/")));
    server.until(|metrics| metrics.ended.get(Reason::Reset) == 1);
    drop(server.remote.mount_request("chat", peer(), upgrade("/")));
    server.until(|metrics| metrics.open == 0);
    server.end();
}

#[test]
fn whole_connection_is_admitted_or_refused_as_on_a_listener() {
    let server = run(config(&["tcp://mounted:lines?max=1"]), Echo, None);
    let (first, second) = (Pipe::default(), Pipe::default());
    block_on(server.remote.mount("lines", peer(), ServerEnd(first.clone()), "al")).expect("there is room");
    let refused = block_on(server.remote.mount("lines", peer(), ServerEnd(second.clone()), ""));
    assert_eq!(refused, Err(MountError::Refused(Reason::ListenerFull)));
    assert!(!second.rest().is_empty(), "the peer learns why");
    first.send(b"pha\nbeta\n");
    assert_eq!(first.hear(11), b"alpha\nbeta\n");
    first.end();
    assert_eq!(first.rest(), b"");
    server.until(|metrics| metrics.ended.get(Reason::PeerClosed) == 1);
    let unknown = Pipe::default();
    let unmounted = block_on(server.remote.mount("other", peer(), ServerEnd(unknown.clone()), ""));
    assert_eq!(unmounted, Err(MountError::Unknown("other".into())));
    assert_eq!(unknown.rest(), b"");
    server.end();
}

#[test]
fn mounted_connections_have_backpressure_in_both_directions() {
    let server = run(config(&["tcp://mounted:lines"]).unlimited(), Echo, None);
    let pipe = Pipe::default();
    drop(server.remote.mount("lines", peer(), ServerEnd(pipe.clone()), ""));
    let lines: String = (0..20_000).map(|number| format!("{number}\n")).collect();
    let (sender, expected) = (pipe.clone(), lines.clone().into_bytes());
    let sends = std::thread::spawn(move || sender.send(lines.as_bytes()));
    // The pipe holds a hundredth of it.
    assert!(pipe.hear(expected.len()) == expected);
    sends.join().expect("it sends everything");
    pipe.end();
    assert_eq!(pipe.rest(), b"");
    server.end();
}

#[test]
fn mounted_connections_are_spread_over_the_shards() {
    let server = run_sharded(config(&["ws://mounted:chat", "tcp://mounted:lines"]), || Echo);
    let pipes: Vec<Pipe> = (0..6).map(|_| Pipe::default()).collect();
    for (pipe, number) in pipes.iter().zip(0..) {
        if number % 2 == 0 {
            upgraded(&server.remote, "chat", upgrade("/")).1.attach(ServerEnd(pipe.clone()), "");
            pipe.send(b"\x81\x82\0\0\0\0ab");
            assert_eq!(pipe.hear(4), b"\x81\x02ab");
        } else {
            block_on(server.remote.mount("lines", peer(), ServerEnd(pipe.clone()), "ab\n")).expect("there is room");
            assert_eq!(pipe.hear(3), b"ab\n");
        }
    }
    assert_eq!(server.metrics().open, 6);
    let metrics = server.end();
    assert_eq!((metrics.opened, metrics.ended.get(Reason::Shutdown)), (6, 6));
}
