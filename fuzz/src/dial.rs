//! Responses of a server to the WebSocket client.

use crate::cut::cut;
use crate::memory::peak_of;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use drupe_core::http::OpeningHandshake;
use drupe_core::testing::TestHub;
use drupe_core::{Config, ConnId, Dial, DialProtocol, Event, Handler, Hub, Peer};
use sha1::{Digest, Sha1};
use std::fmt::Write;
use std::time::Duration;

/// Dials once and logs the events.
#[derive(Default)]
struct Caller {
    log: String,
}

impl Handler for Caller {
    type Context = ();
    type Note = ();

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, ()>) {
        let _ = match event {
            Event::Note(()) => {
                let handshake =
                    OpeningHandshake::new("/chat").subprotocols(vec!["one".into(), "two".into()]).ping(None);
                let protocol = DialProtocol::WebSocket(handshake.into());
                hub.dial(Dial::lines("example.org:80").protocol(protocol).backoff(None));
                Ok(())
            }
            Event::Opened { conn, .. } => {
                hub.send(conn, "hello");
                self.log.write_str("opened;")
            }
            Event::Message { payload, .. } => write!(self.log, "{payload:?};"),
            Event::Closed { reason, .. } => write!(self.log, "closed {reason};"),
            Event::DialFailed { failure, .. } => write!(self.log, "failed {failure};"),
            _ => Ok(()),
        };
    }
}

/// Sends any bytes as the response of a WebSocket server, in any pieces.
///
/// `ACCEPT` in them stands for the right value of `Sec-WebSocket-Accept`.
///
/// # Panics
/// If the split changes the result, a WebSocket opens without that value, or too much memory is
/// held.
pub fn dial(data: &[u8]) {
    let [length, answer @ ..] = data else { return };
    let whole = outcome(answer, &[usize::MAX]);
    for lengths in [&[1][..], &[usize::from(*length).max(1), 3]] {
        let split = outcome(answer, lengths);
        assert!(whole == split, "the split changes the result: {whole:?} and {split:?}");
    }
    let has_proof = answer.windows(SIGN.len()).any(|window| window == SIGN);
    assert!(has_proof || !whole.contains("opened"), "it opens without Sec-WebSocket-Accept");
}

const SIGN: &[u8] = b"ACCEPT";

/// Returns the handler's log if the server sends `answer` in pieces of these lengths, then ends.
fn outcome(answer: &[u8], lengths: &[usize]) -> String {
    let mut hub = TestHub::with_config(Config::listening([]).seed(Some(7)).unlimited(), Caller::default());
    hub.note(());
    let dial = hub.machine().dials().next().expect("it was asked for").0;
    let conn = hub.dialed(dial, Peer::Address(([192, 0, 2, 7], 80).into())).expect("it is wanted");
    let answer = proven(answer, &accept(&hub, conn));
    for piece in cut(&answer, lengths) {
        if hub.is_closed(conn) {
            break;
        }
        let peak = peak_of(|| hub.send(conn, &piece));
        assert!(peak < 1 << 20, "{peak} bytes for {}", piece.len());
        // Expensive work continues in later turns.
        hub.advance(Duration::from_millis(1));
    }
    if !hub.is_closed(conn) {
        hub.end(conn);
    }
    hub.advance(Duration::from_secs(120));
    assert!(hub.is_closed(conn));
    assert_eq!(hub.machine().recount(), Ok(()));
    hub.handler().log.clone()
}

/// The value of `Sec-WebSocket-Accept` for the request (RFC 6455 section 4.2.2).
fn accept(hub: &TestHub<Caller>, conn: ConnId) -> String {
    let request = core::str::from_utf8(hub.received(conn)).expect("text");
    let (_, key) = request.split_once("Sec-WebSocket-Key: ").expect("it has one");
    let key = key.lines().next().expect("a line");
    BASE64_STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")))
}

fn proven(answer: &[u8], accept: &str) -> Vec<u8> {
    let mut proven = Vec::new();
    let mut rest = answer;
    while let Some(place) = rest.windows(SIGN.len()).position(|window| window == SIGN) {
        proven.extend_from_slice(&rest[..place]);
        proven.extend_from_slice(accept.as_bytes());
        rest = &rest[place + SIGN.len()..];
    }
    proven.extend_from_slice(rest);
    proven
}
