//! Hooks of a service: connections that the application refuses, and binary messages.

use super::Hall;
use drupe_core::kit::{Cx, MessageError, Service};
use drupe_core::testing::TestHub;
use drupe_core::websocket::{Opcode, frame};
use drupe_core::{Config, ConnId, Listen, Reason};

fn on_websocket(service: Service<Hall>) -> TestHub<Service<Hall>> {
    TestHub::with_config(Config::listening(["ws://127.0.0.1:1".parse::<Listen>().expect("good")]), service)
}

/// The connection, and what it was sent behind the head of the response.
fn upgraded(hub: &mut TestHub<Service<Hall>>, path: &str) -> (ConnId, String) {
    let conn = hub.connect();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    hub.send(conn, request.as_bytes());
    let heard = String::from_utf8_lossy(hub.received(conn)).into_owned();
    (conn, heard.split_once("\r\n\r\n").map_or_else(String::new, |(_, frames)| frames.into()))
}

fn say(hub: &mut TestHub<Service<Hall>>, conn: ConnId, opcode: Opcode, content: &[u8]) -> String {
    let mut bytes = Vec::new();
    frame(opcode, content, Some([1, 2, 3, 4]), &mut bytes);
    hub.clear();
    hub.send(conn, &bytes);
    String::from_utf8_lossy(hub.received(conn)).into_owned()
}

#[test]
fn on_open_error_closes_the_connection_as_forbidden() {
    let service = Service::new(Hall::default())
        .on_open_with(|_, _, request: Option<&drupe_core::http::Request>| {
            let is_right = request.is_some_and(|request| request.path() == "/chat");
            if is_right { Ok(()) } else { Err(MessageError::new("closed", "only /chat is open")) }
        })
        .on_text(|app: &mut Hall, _, text: &str| app.log.push(text.into()));
    let mut hub = on_websocket(service);
    let (conn, frames) = upgraded(&mut hub, "/other");
    assert!(frames.contains("only /chat is open") && frames.contains("forbidden"), "{frames}");
    assert_eq!(hub.ended(Reason::Forbidden), 1);
    say(&mut hub, conn, Opcode::Text, b"let me in");
    let (conn, frames) = upgraded(&mut hub, "/chat");
    assert_eq!(frames, "");
    say(&mut hub, conn, Opcode::Text, b"hello");
    assert_eq!(hub.handler().app().log, ["hello"]);
}

#[test]
fn binary_message_goes_to_on_binary_or_falls_back_to_text() {
    let service = || {
        Service::new(Hall::default()).on_text(|_, cx: &mut Cx<'_, Hall>, text: &str| {
            cx.reply(&format!("text {text}"));
        })
    };
    let mut hub = on_websocket(service());
    let (conn, _) = upgraded(&mut hub, "/");
    assert!(say(&mut hub, conn, Opcode::Binary, b"hello").ends_with("text hello"));
    let refused = say(&mut hub, conn, Opcode::Binary, b"\xff\xfe");
    assert!(refused.contains("binary messages are not supported here"), "{refused}");
    let mut hub = on_websocket(service().on_binary(|app, _, bytes| app.log.push(format!("{bytes:?}"))));
    let (conn, _) = upgraded(&mut hub, "/");
    assert_eq!(say(&mut hub, conn, Opcode::Binary, b"hi"), "");
    assert_eq!(say(&mut hub, conn, Opcode::Binary, b"\xff"), "");
    assert!(say(&mut hub, conn, Opcode::Text, b"hi").ends_with("text hi"));
    assert_eq!(hub.handler().app().log, ["[104, 105]", "[255]"]);
}
