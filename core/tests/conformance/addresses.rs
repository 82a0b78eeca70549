//! Outgoing connections to names with several addresses, and to Unix sockets.

use super::dial::Failing;
use super::tls::tls;
use super::{PATIENCE, Running, accept, run};
use crate::shell::common::block_on;
use crate::shell::common::client::Incoming;
use crate::shell::common::{ATTEMPT_DELAY, RESOLVER_THREADS_MAX};
use crate::shell::core::app::Echo;
use crate::shell::core::http::Http;
use crate::shell::core::kit::client::ClientOptions;
use crate::shell::core::tls::ClientTls;
use crate::shell::core::wire::{Protocol, Wire};
use crate::shell::core::{Address, Config, Dial, Listen, PayloadBuf, Peer as Origin, Reason};
use crate::shell::{self, Server};
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Instant;

/// Runs a server that dials and reports, and that resolves names with a function of the test.
fn dialler(
    dials: Vec<Dial>,
    look_up: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
) -> (Running<String>, mpsc::Receiver<String>) {
    let (report, reports) = mpsc::channel();
    let server = Server::bind(Config::default().unlimited(), Failing { dials, report }).expect("no listener");
    let server = server.resolve_with(look_up);
    let (addresses, remote) = (server.addresses().to_vec(), server.remote());
    (Running { addresses, remote, thread: std::thread::spawn(move || shell::run(server)) }, reports)
}

fn hear(reports: &mpsc::Receiver<String>) -> String {
    reports.recv_timeout(PATIENCE).expect("a report")
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// An address at which nothing listens.
///
/// On Linux, no other test uses it meanwhile.
fn dead() -> SocketAddr {
    let host = if cfg!(target_os = "linux") { "127.0.0.2:0" } else { "127.0.0.1:0" };
    TcpListener::bind(host).and_then(|listener| listener.local_addr()).expect("a port")
}

#[test]
fn refused_address_of_a_name_is_followed_by_the_next() {
    let (listener, good) = listener();
    let name = format!("two.example:{}", good.port());
    let (server, reports) = dialler(vec![Dial::lines(name)], move |host| {
        assert_eq!(host, "two.example");
        // Port 0 is replaced by the port of the dial.
        Ok(vec![dead(), SocketAddr::from(([127, 0, 0, 1], 0))])
    });
    assert_eq!(hear(&reports), "opened");
    drop(accept(&listener));
    assert_eq!(server.end().dial_errors, 0);
}

#[cfg(target_os = "linux")]
#[test]
fn silent_address_of_a_name_is_followed_by_the_next_after_the_delay() {
    use socket2::{Domain, Socket, Type};
    // Linux ignores connection attempts while the backlog is full.
    let silent = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    silent.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    silent.listen(0).expect("it is bound");
    let address = silent.local_addr().expect("it is bound").as_socket().expect("of a network");
    let _filling: Vec<Socket> = (0..8)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            socket.set_nonblocking(true).expect("it can be set");
            let _ = socket.connect(&address.into());
            socket
        })
        .collect();
    let (listener, good) = listener();
    let began = Instant::now();
    let (server, reports) = dialler(vec![Dial::lines("two.example:1")], move |_| Ok(vec![address, good]));
    assert_eq!(hear(&reports), "opened");
    assert!(began.elapsed() >= ATTEMPT_DELAY, "the first address was not tried");
    drop(accept(&listener));
    server.end();
}

#[test]
fn name_without_a_live_address_fails_with_the_most_telling_error() {
    let dials = ["none.example:1", "dead.example:1", "unknown.example:1", "no port"].map(Dial::lines);
    let (server, reports) = dialler(dials.into(), |host| match host {
        "none.example" => Ok(Vec::new()),
        "dead.example" => Ok(vec![dead(), dead(), dead()]),
        _ => Err(io::Error::other("no such name")),
    });
    let mut heard: Vec<_> = (0..4).map(|_| hear(&reports)).collect();
    heard.sort();
    assert_eq!(heard, ["invalid_address false", "not_found false", "not_found false", "refused false"]);
    server.end();
}

#[test]
fn hanging_lookup_does_not_delay_other_dials() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let (listener, good) = listener();
    let mut dials: Vec<_> = (1..RESOLVER_THREADS_MAX).map(|number| Dial::lines(format!("hangs{number}:1"))).collect();
    dials.extend([Dial::lines("good.example:1"), Dial::lines(good.to_string())]);
    let (server, reports) = dialler(dials, move |host| {
        if host == "good.example" {
            return Ok(vec![good]);
        }
        // The lookup hangs until the test drops the other end.
        let _ = released.lock().map(|released| released.recv());
        Ok(Vec::new())
    });
    assert_eq!([hear(&reports), hear(&reports)], ["opened", "opened"]);
    drop((accept(&listener), accept(&listener)));
    // The server ends although lookups hang.
    server.end();
    drop(release);
}

#[test]
fn thousands_of_dials_to_one_name_cost_one_lookup() {
    const DIALS: usize = 5_000;
    let (release, released) = mpsc::channel::<()>();
    let (released, lookups) = (Mutex::new(released), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&lookups);
    let mut dials = vec![Dial::lines("many.example:1"); DIALS];
    // It begins after all others.
    dials.push(Dial::lines(dead().to_string()));
    let (server, reports) = dialler(dials, move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        let _ = released.lock().map(|released| released.recv());
        Err(io::Error::other("no such name"))
    });
    assert_eq!(hear(&reports), "refused false");
    drop(release);
    for _ in 0..DIALS {
        assert_eq!(hear(&reports), "not_found false");
    }
    assert_eq!(lookups.load(Ordering::Relaxed), 1);
    assert_eq!(server.end().dial_errors, DIALS as u64 + 1);
}

/// A directory for the Unix sockets of a test.
fn directory(name: &str) -> PathBuf {
    let path = format!("drupe-{name}-{}-{:?}", std::process::id(), std::thread::current().id());
    let path = std::env::temp_dir().join(path.replace(['(', ')'], ""));
    std::fs::create_dir_all(&path).expect("a directory");
    path
}

#[test]
fn unix_sockets_carry_lines_websockets_and_tls() {
    let directory = directory("dials");
    let at = |name: &str| directory.join(name).display().to_string();
    let (tls, trusting) = tls();
    let websocket = || Protocol::Http(Arc::new(Http::default()));
    let listen = |name: &str, protocol| Listen::new(Address::Unix(at(name)), protocol);
    let server = run(
        Config::listening([
            listen("lines", Wire::default().into()),
            listen("ws", websocket()),
            listen("tls", Wire::default().into()).tls(Some(tls.clone())),
            listen("wss", websocket()).tls(Some(tls)),
        ]),
        Echo,
        None,
    );
    let named = Some(ClientTls::new(trusting).server_name(Some("localhost".into())));
    let address = |name: &str| format!("unix://{}", at(name));
    for dial in [
        address("lines").parse::<Dial>().expect("a path"),
        Dial::websocket(address("ws"), "/"),
        Dial::lines(address("tls")).tls(named.clone()),
        Dial::websocket(address("wss"), "/").tls(named),
        // The next address follows if a socket is not there.
        Dial::lines(address("absent")).others(vec![address("lines")]),
    ] {
        let mut client = shell::connect(ClientOptions::new(dial.clone())).expect("a thread");
        block_on(async {
            let mut first = client.receive().await;
            if let Some(Incoming::DialFailed(..)) = first {
                first = client.receive().await;
            }
            assert_eq!(first, Some(Incoming::Connected(Origin::Local)), "{dial:?}");
            client.send("hello").await.expect("it runs");
            assert_eq!(client.receive().await, Some(Incoming::Message(PayloadBuf::from("hello"))));
            client.close();
            assert_eq!(client.receive().await, Some(Incoming::Disconnected(Reason::Application)));
        });
    }
    server.end();
    std::fs::remove_dir_all(directory).expect("it exists");
}

#[cfg(target_os = "linux")]
#[test]
fn abstract_unix_socket_is_dialled() {
    let name = format!("unix://@drupe-dialled-{}-{:?}", std::process::id(), std::thread::current().id());
    let server = run(Config::listening([name.parse().expect("a name")]), Echo, None);
    let mut client = shell::connect(ClientOptions::once(name.parse().expect("a name"))).expect("a thread");
    assert_eq!(block_on(client.receive()), Some(Incoming::Connected(Origin::Local)));
    drop(client);
    server.end();
}

#[test]
fn failures_of_unix_sockets_are_named() {
    let directory = directory("failures");
    let at = |name: &str| directory.join(name).display().to_string();
    drop(UnixListener::bind(at("stale")).expect("it is free"));
    std::fs::write(at("file"), "no socket").expect("it is free");
    for (path, expected) in [
        (at("absent"), "not_found false"),
        (at("stale"), "refused false"),
        (at("file"), "invalid_address false"),
        (at(&"long".repeat(50)), "invalid_address false"),
    ] {
        let (server, reports) = dialler(vec![Dial::lines(format!("unix://{path}"))], |_| Ok(Vec::new()));
        assert_eq!(hear(&reports), expected, "{path}");
        server.end();
    }
    // A certificate cannot name a path.
    let tls = Some(ClientTls::new(tls().1));
    let dial = Dial::lines(format!("unix://{}", at("stale"))).tls(tls);
    let error = shell::connect(ClientOptions::once(dial)).expect_err("it has no name");
    assert!(error.to_string().contains("server_name"), "{error}");
    std::fs::remove_dir_all(directory).expect("it exists");
}

#[test]
fn websocket_over_a_unix_socket_names_localhost_as_host() {
    let directory = directory("host");
    let path = directory.join("socket");
    let listener = UnixListener::bind(&path).expect("it is free");
    let dial = Dial::websocket(format!("unix://{}", path.display()), "/chat?x=1");
    let (server, _reports) = dialler(vec![dial], |_| Ok(Vec::new()));
    let (stream, _) = listener.accept().expect("it dials");
    stream.set_read_timeout(Some(PATIENCE)).expect("it can be set");
    let head: Vec<String> = BufReader::new(stream).lines().map_while(Result::ok).take(2).collect();
    assert_eq!(head, ["GET /chat?x=1 HTTP/1.1", "Host: localhost"]);
    server.end();
    std::fs::remove_dir_all(directory).expect("it exists");
}
