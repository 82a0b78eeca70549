//! Hooks of a service: connections that the application refuses, and binary messages.

use super::Hall;
use drupe_core::kit::{Cx, MessageError, Service};
use drupe_core::testing::TestHub;
use drupe_core::{Config, ConnId, Listen, Reason};

fn on_websocket(service: Service<Hall>) -> TestHub<Service<Hall>> {
    TestHub::with_config(Config::listening(["ws://127.0.0.1:1".parse::<Listen>().expect("good")]), service)
}

/// Sends a binary message. Returns the last text that the sender receives.
fn say_binary(hub: &mut TestHub<Service<Hall>>, conn: ConnId, content: &[u8]) -> String {
    hub.clear();
    hub.websocket(conn).send_binary(content);
    hub.websocket(conn).texts().last().copied().unwrap_or_default().to_owned()
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
    let conn = hub.open_websocket("/other");
    assert!(hub.websocket(conn).texts()[0].contains("only /chat is open"));
    assert_eq!(hub.websocket(conn).closed().map(|(_, reason)| reason), Some("forbidden"));
    assert_eq!(hub.ended(Reason::Forbidden), 1);
    hub.websocket(conn).send_text("let me in");
    let conn = hub.open_websocket("/chat");
    assert_eq!(hub.websocket(conn).messages(), []);
    hub.websocket(conn).send_text("hello");
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
    let conn = hub.open_websocket("/");
    assert_eq!(say_binary(&mut hub, conn, b"hello"), "text hello");
    let refused = say_binary(&mut hub, conn, b"\xff\xfe");
    assert!(refused.contains("binary messages are not supported here"), "{refused}");
    let mut hub = on_websocket(service().on_binary(|app, _, bytes| app.log.push(format!("{bytes:?}"))));
    let conn = hub.open_websocket("/");
    assert_eq!(say_binary(&mut hub, conn, b"hi"), "");
    assert_eq!(say_binary(&mut hub, conn, b"\xff"), "");
    hub.websocket(conn).send_text("hi");
    assert_eq!(hub.websocket(conn).texts(), ["text hi"]);
    assert_eq!(hub.handler().app().log, ["[104, 105]", "[255]"]);
}
