//! Tokens: renewal, expiry, single use, and those in a WebSocket request.

use super::{Guarded, NOW, guarded, key, layer, lines, log, token, told};
use drupe_core::kit::auth::{Accounts, Authentication, Claims, Tokens};
use drupe_core::websocket::{Opcode, frame};
use drupe_core::{ConnId, Reason, UnixTime};
use std::time::Duration;

#[test]
fn token_logs_in_renews_for_its_owner_and_expires() {
    let mut hub = lines(layer());
    let conn = hub.connect();
    assert_eq!(told(&mut hub, conn, &format!("/auth {}", token("ann", NOW + 10))), ["notice: you are ann"]);
    hub.advance(Duration::from_secs(5));
    for (token, answer) in [
        (token("bob", NOW + 60), "error: auth: a renewal must be for the same user"),
        (token("ann", NOW + 5), "error: auth: the token has expired"),
        (token("ann", NOW + 4), "error: auth: the token has expired"),
        (token("ann", NOW + 20), "notice: you are ann"),
    ] {
        assert_eq!(told(&mut hub, conn, &format!("/auth {token}")), [answer]);
    }
    hub.advance(Duration::from_millis(14_999));
    assert!(!hub.is_closed(conn));
    hub.advance(Duration::from_millis(1));
    assert!(hub.is_closed(conn));
    assert_eq!(log(&hub), ["ann opened -", "ann authenticated", "ann closed session_expired"]);
    let late = hub.connect();
    hub.line(late, &format!("/auth {}", token("ann", NOW + 20)));
    assert_eq!(hub.lines(late), ["error: auth: the token has expired"]);
}

#[test]
fn wall_clock_jump_ends_only_expired_sessions() {
    let mut hub = lines(layer());
    let (soon, later) = (hub.connect(), hub.connect());
    hub.line(soon, &format!("/auth {}", token("ann", NOW + 3_600)));
    hub.line(later, &format!("/auth {}", token("bob", NOW + 200_000)));
    hub.set_clock(UnixTime::from_secs(NOW - 86_400));
    hub.advance(Duration::from_secs(1));
    assert!(!hub.is_closed(soon));
    hub.set_clock(UnixTime::from_secs(NOW + 86_400));
    hub.advance(Duration::from_nanos(1));
    assert_eq!((hub.is_closed(soon), hub.is_closed(later)), (true, false));
}

const UPGRADE: &str = "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// What a WebSocket with this target and these fields gets behind the head of the response.
pub(super) fn upgraded(hub: &mut Guarded<Accounts>, target: &str, fields: &str) -> (ConnId, String) {
    let conn = hub.connect();
    hub.send(conn, format!("GET {target} HTTP/1.1\r\n{UPGRADE}{fields}\r\n").as_bytes());
    let received = String::from_utf8_lossy(hub.received(conn)).into_owned();
    let (_, frames) = received.split_once("\r\n\r\n").expect("a response");
    (conn, frames.to_owned())
}

#[test]
fn websocket_token_comes_in_header_or_allowed_query() {
    let good = token("ann", NOW + 60);
    let bad = token("ann", NOW - 1);
    let bearer = |token: &str| format!("Authorization: bearer {token}\r\n");
    let mut hub = guarded("ws://127.0.0.1:1", layer());
    let (conn, frames) = upgraded(&mut hub, "/chat?x=1", &bearer(&good));
    assert!(frames.contains(r#"{"type":"auth_ok","user":"ann"}"#) && !hub.is_closed(conn), "{frames}");
    let (conn, frames) = upgraded(&mut hub, "/", &bearer(&bad));
    assert!(frames.contains("the token has expired") && frames.contains("unauthorized"), "{frames}");
    assert!(hub.received(conn).windows(2).any(|pair| pair == 4401_u16.to_be_bytes()), "closed with 4401");
    let (conn, frames) = upgraded(&mut hub, &format!("/?token={good}"), "");
    assert!(frames.is_empty() && !hub.is_closed(conn), "not by query: it waits for a first message");
    let mut hub = guarded("ws://127.0.0.1:1", layer().token_in_query());
    let (_, frames) = upgraded(&mut hub, &format!("/?token={good}"), "");
    assert!(frames.contains("auth_ok"));
    let (_, frames) = upgraded(&mut hub, &format!("/?token={good}&token={good}"), "");
    assert!(frames.is_empty());
    assert_eq!(log(&hub), ["ann opened /", "ann authenticated"]);
}

#[test]
fn single_use_token_stays_used_after_a_key_reload() {
    let once = || Accounts::new().tokens(Tokens::new(key()).single_use(9));
    let mut hub = lines(Authentication::new(once(), [3; 32]));
    let claims = Claims::of("ann").exp(Some(NOW + 60)).jti(Some("1".into()));
    let token = key().sign(&claims).expect("it signs");
    let (first, second, third) = (hub.connect(), hub.connect(), hub.connect());
    assert_eq!(told(&mut hub, first, &format!("/auth {token}")), ["notice: you are ann"]);
    assert_eq!(told(&mut hub, second, &format!("/auth {token}")), ["error: auth: the token was used before"]);
    hub.with_handler(|handler| *handler.layer_mut().provider_mut() = once());
    assert_eq!(told(&mut hub, third, &format!("/auth {token}")), ["error: auth: the token was used before"]);
    // Nor does it renew anything a second time.
    assert_eq!(told(&mut hub, first, &format!("/auth {token}")), ["error: auth: the token was used before"]);
    let unnamed = key().sign(&claims.jti(None)).expect("it signs");
    assert_eq!(told(&mut hub, third, &format!("/auth {unnamed}")), ["error: auth: the token was used before"]);
}

#[test]
fn binary_message_counts_as_a_failed_login() {
    let mut hub = guarded("ws://127.0.0.1:1", layer());
    let (conn, _) = upgraded(&mut hub, "/", "");
    let mut binary = Vec::new();
    frame(Opcode::Binary, &[0xff; 40], Some([1, 2, 3, 4]), &mut binary);
    for tries in 1..=3 {
        hub.clear();
        hub.send(conn, &binary);
        let heard = String::from_utf8_lossy(hub.received(conn)).into_owned();
        assert!(heard.contains("a proof must be text"), "{heard}");
        assert_eq!(hub.is_closed(conn), tries == 3);
    }
    assert_eq!((hub.ended(Reason::Unauthorized), log(&hub).len()), (1, 0));
}
