//! Tokens: renewal, expiry, single use, and those in a WebSocket request.

use super::{Guarded, NOW, guarded, key, layer, lines, log, token, told};
use drupe_core::http::OpeningHandshake;
use drupe_core::kit::auth::{Accounts, Authentication, Claims, Tokens};
use drupe_core::websocket::CloseCode;
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

/// Connects a WebSocket, with a bearer token in the request if there is one.
fn connect(hub: &mut Guarded<Accounts>, target: &str, token: Option<&str>) -> ConnId {
    let conn = hub.connect();
    let fields = token.map(|token| ("Authorization".into(), format!("bearer {token}"))).into_iter().collect();
    hub.begin_websocket(conn, OpeningHandshake::new(target).fields(fields)).expect("accepted");
    conn
}

#[test]
fn websocket_token_comes_in_header_or_allowed_query() {
    let good = token("ann", NOW + 60);
    let bad = token("ann", NOW - 1);
    let mut hub = guarded("ws://127.0.0.1:1", layer());
    let conn = connect(&mut hub, "/chat?x=1", Some(&good));
    assert_eq!(hub.websocket(conn).texts(), [r#"{"type":"auth_ok","user":"ann"}"#]);
    assert!(!hub.is_closed(conn));
    let conn = connect(&mut hub, "/", Some(&bad));
    let texts = hub.websocket(conn).texts().concat();
    assert!(texts.contains("the token has expired"), "{texts}");
    let closed = hub.websocket(conn).closed().map(|(code, reason)| (code.map(CloseCode::get), reason.to_owned()));
    assert_eq!(closed, Some((Some(4401), "unauthorized".into())));
    let conn = connect(&mut hub, &format!("/?token={good}"), None);
    assert_eq!(hub.websocket(conn).messages(), []);
    assert!(!hub.is_closed(conn), "not by query: it waits for a first message");
    let mut hub = guarded("ws://127.0.0.1:1", layer().token_in_query());
    let conn = connect(&mut hub, &format!("/?token={good}"), None);
    assert!(hub.websocket(conn).texts().concat().contains("auth_ok"));
    let conn = connect(&mut hub, &format!("/?token={good}&token={good}"), None);
    assert_eq!(hub.websocket(conn).messages(), []);
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
    let conn = hub.open_websocket("/");
    for tries in 1..=3 {
        hub.clear();
        hub.websocket(conn).send_binary(&[0xff; 40]);
        let texts = hub.websocket(conn).texts().concat();
        assert!(texts.contains("a proof must be text"), "{texts}");
        assert_eq!(hub.is_closed(conn), tries == 3);
    }
    assert_eq!((hub.ended(Reason::Unauthorized), log(&hub).len()), (1, 0));
}
