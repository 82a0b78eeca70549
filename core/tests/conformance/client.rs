//! Clients: login, calls, reconnection, backpressure.

use super::{PATIENCE, accept, lines, run};
use crate::shell;
use crate::shell::common::block_on;
use crate::shell::common::client::Incoming;
use crate::shell::core::app::Echo;
use crate::shell::core::kit::Service;
use crate::shell::core::kit::auth::scram::Credentials;
use crate::shell::core::kit::auth::{Accounts, Authentication};
use crate::shell::core::kit::client::{ClientOptions, Login};
use crate::shell::core::kit::layer::Within;
use crate::shell::core::kit::rpc::{CallError, Rpc, RpcError};
use crate::shell::core::{Backoff, Dial, Handler, NoNote, PayloadBuf, Reason};
use std::io::Write;
use std::time::Duration;

/// Serves calls of authenticated peers.
fn calculator() -> impl Handler<Context = (), Note = NoNote> + Send + 'static {
    let rpc = Rpc::new("calculator", "1")
        .method("add", |(), _, [a, b]: [i64; 2]| Ok(a + b))
        .method("fail", |(), _, _: [u8; 0]| Err::<bool, _>(RpcError::new(7, "not today")));
    let credentials = Credentials::new("mellon", b"0123456789abcdef", 4_096).expect("a password");
    let accounts = Accounts::new().user("ann", credentials, []).expect("a name");
    Service::new(()).rpc(rpc).within(Authentication::new(accounts, [9; 32]))
}

#[test]
fn client_logs_in_calls_and_closes() {
    let mut config = lines();
    config.listeners.push("ws://127.0.0.1:0/calc".parse().expect("good"));
    config.drain.window = Duration::ZERO;
    let server = run(config, calculator(), None);
    for address in server.addresses.clone() {
        let login = Login::Password { user: "ann".into(), password: "mellon".into() };
        let options = ClientOptions::new(address.parse().expect("what a server prints")).login(login);
        let mut client = shell::connect(options).expect("a thread");
        block_on(async {
            let sum: i64 = client.call("add", &[2, 3], PATIENCE).await.expect("it adds");
            assert_eq!(sum, 5);
            let failed = client.call::<bool>("fail", &[0; 0], PATIENCE).await;
            assert!(matches!(failed, Err(CallError::Remote(error)) if error.message == "not today"));
            assert!(matches!(client.receive().await, Some(Incoming::Connected(_))));
            client.close();
            assert_eq!(client.receive().await, Some(Incoming::Disconnected(Reason::Application)));
            assert_eq!(client.receive().await, None);
            assert!(client.call::<i64>("add", &[2, 3], PATIENCE).await.is_err());
        });
    }
    server.end();
}

#[test]
fn client_resubscribes_after_a_lost_connection() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("it can listen on loopback");
    let address = listener.local_addr().expect("it has one");
    let backoff = Backoff::default().initial(Duration::from_millis(1));
    let dial = Dial::lines(address.to_string()).backoff(Some(backoff));
    let mut client = shell::connect(ClientOptions::new(dial)).expect("a thread");
    client.subscribe("news", "/join news").expect("it runs");
    let mut first = accept(&listener);
    assert_eq!(first.line(), "/join news");
    block_on(client.send("hello")).expect("connected");
    assert_eq!(first.line(), "hello");
    drop(first);
    let mut second = accept(&listener);
    assert_eq!(second.line(), "/join news");
    second.send(b"headline\n");
    let heard = block_on(async {
        let mut heard = Vec::new();
        while heard.len() < 4 {
            heard.extend(client.receive().await);
        }
        heard
    });
    assert!(matches!(
        heard[..],
        [Incoming::Connected(_), Incoming::Disconnected(_), Incoming::Connected(_), Incoming::Message(_)]
    ));
    // Dropping the last handle closes the connection.
    drop(client);
    assert_eq!(second.rest_bytes(), b"");
}

#[test]
fn client_backpressure_holds_after_a_reconnect() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("it can listen on loopback");
    let address = listener.local_addr().expect("it has one");
    let backoff = Backoff::default().initial(Duration::from_millis(1));
    let dial = Dial::lines(address.to_string()).backoff(Some(backoff));
    let client = shell::connect(ClientOptions::new(dial)).expect("a thread");
    let mut first = accept(&listener);
    first.send(&b"x\n".repeat(300));
    drop(first);
    // The client has stopped reading, so only a failed write detects the end of the first
    // connection.
    let sender = client.clone();
    let sending = std::thread::spawn(move || while block_on(sender.send("again")).is_ok() {});
    let mut second = accept(&listener);
    // The client accepts no more than fits into the buffers of both sides.
    second.0.get_mut().set_nonblocking(true).expect("it can be set");
    let (mut sent, mut waited) = (0_usize, 0);
    while waited < 1_000 {
        match second.0.get_mut().write(&[b'x', b'\n'].repeat(8_000)) {
            Ok(bytes) => (sent, waited) = (sent + bytes, 0),
            Err(_) => waited += 1,
        }
        std::thread::yield_now();
        assert!(sent < 256 << 20, "everything is taken");
    }
    client.close();
    sending.join().expect("no panic");
}

#[test]
fn client_that_gives_up_fails_pending_sends_and_receives() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("it can listen on loopback");
    let address = listener.local_addr().expect("it has one").to_string();
    drop(listener);
    let mut client = shell::connect(ClientOptions::once(Dial::lines(address))).expect("a thread");
    block_on(async {
        assert!(client.send("hello").await.is_err());
        assert!(matches!(client.receive().await, Some(Incoming::DialFailed(_, None))));
        assert_eq!(client.receive().await, None);
    });
}

#[test]
fn client_receives_20_000_echoes_in_order_under_backpressure() {
    let server = run(lines().unlimited(), Echo, None);
    let mut client = shell::connect(ClientOptions::new(server.addresses[0].parse().expect("good"))).expect("a thread");
    let sender = client.clone();
    let sending = std::thread::spawn(move || {
        block_on(async {
            for number in 0..20_000 {
                sender.send(format!("{number:0100}")).await.expect("it runs");
            }
        });
    });
    block_on(async {
        let mut next = 0;
        while next < 20_000 {
            if let Some(Incoming::Message(message)) = client.receive().await {
                assert_eq!(message, PayloadBuf::from(format!("{next:0100}")));
                next += 1;
            }
        }
    });
    sending.join().expect("no panic");
    drop(client);
    server.end();
}

#[test]
fn every_receiving_client_clone_sees_the_close() {
    let server = run(lines(), Echo, None);
    let mut client = shell::connect(ClientOptions::new(server.addresses[0].parse().expect("good"))).expect("a thread");
    assert!(matches!(block_on(client.receive()), Some(Incoming::Connected(_))));
    let receiving: Vec<_> = (0..3)
        .map(|_| {
            let mut clone = client.clone();
            std::thread::spawn(move || block_on(async { while clone.receive().await.is_some() {} }))
        })
        .collect();
    client.close();
    receiving.into_iter().for_each(|thread| thread.join().expect("no panic"));
    server.end();
}
