//! At the address of the broker is something else. The log names it, clients get answers, and the host ends well.

use super::host::{Broker, Host, SHELLS};
use super::redis::{RedisServer, are_installed};
use super::wire::Connection;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Starts a server, which ends with the test's process. Returns its address.
pub(super) fn server(serve: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = serve.clone();
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

pub(super) fn read_all(mut stream: TcpStream) {
    while stream.read(&mut [0; 4_096]).is_ok_and(|length| length > 0) {}
}

/// Returns the next answers of a host, without notices of gaps.
fn answers<const N: usize>(connection: &mut Connection, requests: &[Value; N]) -> [Value; N] {
    connection.send_all(requests).expect("the host reads");
    let since = Instant::now();
    requests.each_ref().map(|_| {
        loop {
            assert!(since.elapsed() < Duration::from_secs(60), "too few answers to {requests:?}");
            let answer = connection.receive().expect("an answer");
            if let Some(answer) = answer.filter(|answer| answer["type"] != "gap") {
                return answer;
            }
        }
    })
}

fn expect(address: String, words: &str) {
    expect_of(&Broker::At(address), words);
}

/// Starts a host on each shell, which names what is wrong.
pub(super) fn expect_of(broker: &Broker, words: &str) {
    // Without a turn: the hosts only wait here.
    std::thread::scope(|scope| {
        for shell in SHELLS {
            scope.spawn(|| expect_on(shell, broker, words));
        }
    });
}

fn expect_on(shell: &str, broker: &Broker, words: &str) {
    let host = Host::start(shell, broker);
    host.wait_for_log(&format!("the link to the broker of the cluster does not work: {words}"), 1);
    // It tries again.
    host.wait_for_log("broker down", 2);
    let mut connection = Connection::open(host.port).expect("it listens");
    let publish = json!({ "type": "publish", "room": "red", "data": 1 });
    let [refusal] = answers(&mut connection, &[publish]);
    assert_eq!((&refusal["code"], &refusal["reason"]), (&"refused".into(), &"the broker cannot be reached".into()));
    let subscribe = json!({ "type": "subscribe", "room": "red" });
    let come_back = json!({ "type": "subscribe", "room": "blue", "since": "1.1.1" });
    let mut joined = answers(&mut connection, &[subscribe, come_back]);
    joined.sort_by_key(|answer| answer["room"] == "red");
    let [returned, joined] = joined;
    assert_eq!((&joined["type"], &joined["position"]), (&"subscribed".into(), &"0.0.0".into()), "{joined}");
    assert_eq!((&returned["recovered"], &returned["why"]), (&false.into(), &"broker_away".into()), "{returned}");
    assert!(host.drain(), "the host on {shell} does not end well");
}

#[test]
fn http_server_is_no_broker() {
    let address = server(|mut stream| {
        let _ = stream.read(&mut [0; 1_024]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        let _ = stream.shutdown(Shutdown::Write);
        read_all(stream);
    });
    expect(address, "the peer does not speak the Redis protocol: it sent 'H' first");
}

#[test]
fn ssh_server_is_no_broker() {
    let address = server(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
        read_all(stream);
    });
    expect(address, "the peer does not speak the Redis protocol: it sent 'S' first");
}

#[test]
fn server_that_says_nothing_is_no_broker() {
    expect(server(read_all), "the broker did not answer within 5 s");
}

#[test]
fn server_that_closes_at_once_is_no_broker() {
    expect(server(drop), "the connection has ended");
}

#[test]
fn replica_is_no_broker() {
    if !are_installed() {
        return;
    }
    let master = RedisServer::start("of-replica", &["--save", ""]);
    let options = ["--save", "", "--replicaof", &format!("127.0.0.1 {}", master.port)];
    let replica = RedisServer::start("only-replica", &options);
    expect(replica.address(), "the server is a replica, not a master");
}

#[test]
fn server_with_a_password_that_nobody_gave_is_named() {
    if !are_installed() {
        return;
    }
    let guarded = server_with_password();
    expect(guarded.0, "the broker refused to serve this host: NOAUTH");
}

/// Starts a Redis server with a password.
fn server_with_password() -> (String, RedisServer) {
    let server = RedisServer::start_guarded("guarded", &["--save", "", "--requirepass", "secret"]);
    (server.address(), server)
}
