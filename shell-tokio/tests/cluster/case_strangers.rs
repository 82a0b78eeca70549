//! At the address of the broker is something else. The log names it, clients get answers, and the host ends well.

use super::host::{Broker, Host, SHELLS};
use super::redis::{RedisServer, are_installed};
use super::stage::turn;
use super::wire::Connection;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Starts a server, which ends with the test's process. Returns its address.
fn server(serve: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> String {
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

fn read_all(mut stream: TcpStream) {
    while stream.read(&mut [0; 4_096]).is_ok_and(|length| length > 0) {}
}

/// Returns the next answer of a host, after notices of gaps.
fn answer(connection: &mut Connection, request: &Value) -> Value {
    connection.send(request).expect("the host reads");
    let since = Instant::now();
    loop {
        assert!(since.elapsed() < Duration::from_secs(60), "no answer to {request}");
        match connection.receive().expect("an answer") {
            Some(notice) if notice["type"] == "gap" => {}
            Some(answer) => return answer,
            None => {}
        }
    }
}

fn expect(address: &str, words: &str) {
    let _turn = turn();
    for shell in SHELLS {
        let host = Host::start(shell, &Broker::At(address.to_string()));
        host.wait_for_log(&format!("the link to the broker of the cluster does not work: {words}"), 1);
        // It tries again.
        host.wait_for_log("broker down", 2);
        let mut connection = Connection::open(host.port).expect("it listens");
        let refusal = answer(&mut connection, &json!({ "type": "publish", "room": "red", "data": 1 }));
        assert_eq!((&refusal["code"], &refusal["reason"]), (&"refused".into(), &"the broker cannot be reached".into()));
        let joined = answer(&mut connection, &json!({ "type": "subscribe", "room": "red" }));
        assert_eq!((&joined["type"], &joined["position"]), (&"subscribed".into(), &"0.0.0".into()), "{joined}");
        let returned = answer(&mut connection, &json!({ "type": "subscribe", "room": "blue", "since": "1.1.1" }));
        assert_eq!((&returned["recovered"], &returned["why"]), (&false.into(), &"broker_away".into()), "{returned}");
        assert!(host.drain(), "the host on {shell} does not end well");
    }
}

#[test]
fn http_server_is_no_broker() {
    let address = server(|mut stream| {
        let _ = stream.read(&mut [0; 1_024]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        let _ = stream.shutdown(Shutdown::Write);
        read_all(stream);
    });
    expect(&address, "the peer does not speak the Redis protocol: it sent 'H' first");
}

#[test]
fn ssh_server_is_no_broker() {
    let address = server(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
        read_all(stream);
    });
    expect(&address, "the peer does not speak the Redis protocol: it sent 'S' first");
}

#[test]
fn server_that_says_nothing_is_no_broker() {
    expect(&server(read_all), "the broker did not answer within 5 s");
}

#[test]
fn server_that_closes_at_once_is_no_broker() {
    expect(&server(drop), "the connection has ended");
}

#[test]
fn replica_is_no_broker() {
    if !are_installed() {
        return;
    }
    let master = RedisServer::start("of-replica", &["--save", ""]);
    let options = ["--save", "", "--replicaof", &format!("127.0.0.1 {}", master.port)];
    let replica = RedisServer::start("only-replica", &options);
    expect(&replica.address(), "the server is a replica, not a master");
}

#[test]
fn server_with_a_password_that_nobody_gave_is_named() {
    if !are_installed() {
        return;
    }
    let guarded = server_with_password();
    expect(&guarded.0, "the broker refused to serve this host: NOAUTH");
}

/// Starts a Redis server with a password.
fn server_with_password() -> (String, RedisServer) {
    let server = RedisServer::start_guarded("guarded", &["--save", "", "--requirepass", "secret"]);
    (server.address(), server)
}
