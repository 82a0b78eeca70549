//! Tokens that the server issues: who gets one, what it is good for, and for how long.

use super::{Guarded, NOW, accounts, guarded, log, token, told};
use drupe_core::kit::auth::{Accounts, Authentication, AuthenticationLimits, Claims, IssuedTokens};
use drupe_core::limit::Rate;
use drupe_core::{ConnId, UnixTime};
use std::time::Duration;

fn issuing(rules: IssuedTokens) -> Authentication<Accounts> {
    Authentication::new(accounts(), [3; 32]).issue_tokens(rules)
}

fn hub(rules: IssuedTokens) -> Guarded<Accounts> {
    guarded("tcp://127.0.0.1:1", issuing(rules))
}

/// Requests a token, and returns it, or the whole answer if there is none.
fn requested(hub: &mut Guarded<Accounts>, conn: ConnId) -> Result<String, String> {
    let answer = told(hub, conn, r#"{"type":"token"}"#).concat();
    let json: serde_json::Value = serde_json::from_str(&answer).map_err(|_| answer.clone())?;
    json["token"].as_str().map(ToOwned::to_owned).ok_or(answer)
}

fn log_in(hub: &mut Guarded<Accounts>, token: &str) -> (ConnId, String) {
    let conn = hub.connect();
    let message = serde_json::json!({ "type": "auth", "token": token }).to_string();
    let answer = told(hub, conn, &message).concat();
    (conn, answer)
}

fn with_password(hub: &mut Guarded<Accounts>) -> ConnId {
    let conn = hub.connect();
    let answer = told(hub, conn, r#"{"type":"auth","user":"root","password":"t0psecret"}"#).concat();
    assert!(answer.contains("auth_ok"), "{answer}");
    conn
}

#[test]
fn issued_token_logs_in_with_the_same_scopes_until_it_expires() {
    let mut hub = hub(IssuedTokens::default());
    let first = with_password(&mut hub);
    let answer = told(&mut hub, first, r#"{"type":"token"}"#).concat();
    assert!(answer.ends_with(r#""expires_in":300}"#), "{answer}");
    let token = requested(&mut hub, first).expect("a token");
    let (second, answer) = log_in(&mut hub, &token);
    assert_eq!(answer, r#"{"type":"auth_ok","user":"root"}"#);
    assert_eq!(told(&mut hub, second, "may anything"), ["true"]);
    // The session does not end with the token.
    hub.advance(Duration::from_secs(300));
    assert!(!hub.is_closed(second));
    let (_, late) = log_in(&mut hub, &token);
    assert!(late.contains("the token has expired"), "{late}");
}

#[test]
fn session_ends_when_the_first_token_expires() {
    let mut hub = hub(IssuedTokens::default());
    let (first, answer) = log_in(&mut hub, &token("ann", NOW + 60));
    assert!(answer.contains("auth_ok"), "{answer}");
    let issued = requested(&mut hub, first).expect("a token");
    let (second, _) = log_in(&mut hub, &issued);
    let chained = requested(&mut hub, second).expect("a token");
    // A renewal with an issued token prolongs nothing.
    told(&mut hub, first, &serde_json::json!({ "type": "auth", "token": chained }).to_string());
    hub.advance(Duration::from_secs(59));
    let (third, _) = log_in(&mut hub, &chained);
    assert_eq!([first, second, third].map(|conn| hub.is_closed(conn)), [false; 3]);
    hub.advance(Duration::from_secs(1));
    assert_eq!([first, second, third].map(|conn| hub.is_closed(conn)), [true; 3]);
}

#[test]
fn chain_of_tokens_ends_some_time_after_the_password() {
    let rules = IssuedTokens::default().lifetime(Duration::from_secs(50)).chain(Duration::from_secs(100));
    let mut hub = hub(rules);
    let mut conn = with_password(&mut hub);
    for _ in 0..3 {
        let token = requested(&mut hub, conn).expect("a token");
        hub.advance(Duration::from_secs(33));
        conn = log_in(&mut hub, &token).0;
    }
    assert!(requested(&mut hub, conn).is_ok(), "99 s after the password");
    hub.advance(Duration::from_secs(1));
    let refused = requested(&mut hub, conn).expect_err("100 s after the password");
    assert!(refused.contains("authenticate again first"), "{refused}");
    // The password begins a new chain.
    let conn = with_password(&mut hub);
    assert!(requested(&mut hub, conn).is_ok());
}

#[test]
fn tokens_of_other_servers_and_changed_tokens_are_refused() {
    let limits = AuthenticationLimits::default().per_address(Rate::new(100, 100).expect("a rate"));
    let mut hub = guarded("tcp://127.0.0.1:1", issuing(IssuedTokens::default()).limits(limits));
    let mut other =
        guarded("tcp://127.0.0.1:1", Authentication::new(accounts(), [4; 32]).issue_tokens(IssuedTokens::default()));
    let conn = with_password(&mut other);
    let foreign = requested(&mut other, conn).expect("a token");
    let conn = with_password(&mut hub);
    let own = requested(&mut hub, conn).expect("a token");
    let parts: Vec<_> = own.split('.').collect();
    let none = ["eyJhbGciOiJub25lIn0", parts[1], ""].join(".");
    for token in [foreign, own[..own.len() - 2].to_owned(), none, format!("{own}x"), String::new()] {
        let (_, answer) = log_in(&mut hub, &token);
        assert!(answer.contains(r#""code":"unauthorized""#), "{token}: {answer}");
    }
    assert!(log_in(&mut hub, &own).1.contains("auth_ok"));
}

#[test]
fn only_authenticated_peers_get_tokens() {
    let mut hub = hub(IssuedTokens::default());
    let conn = hub.connect();
    assert!(told(&mut hub, conn, r#"{"type":"token"}"#).concat().contains("authentication required"));
    // Where none are issued, the message is the application's.
    let mut plain = guarded("tcp://127.0.0.1:1", super::layer());
    let conn = with_password(&mut plain);
    assert_eq!(told(&mut plain, conn, r#"{"type":"token"}"#).concat(), r#"root: {"type":"token"}"#);
    assert_eq!(log(&plain), ["root opened -", "root authenticated"]);
}

#[test]
fn custom_claims_go_on_into_issued_tokens_while_they_fit() {
    let claims = |tenant: String| {
        let others = [("tenant".to_owned(), tenant.into())].into_iter().collect();
        super::key().sign(&Claims::of("ann").exp(Some(NOW + 600)).others(others)).expect("it signs")
    };
    let mut hub = hub(IssuedTokens::default());
    let (conn, _) = log_in(&mut hub, &claims("blue".into()));
    let issued = requested(&mut hub, conn).expect("a token");
    let (conn, _) = log_in(&mut hub, &issued);
    assert_eq!(told(&mut hub, conn, "claim tenant"), [r#"Some(String("blue"))"#]);
    let (conn, answer) = log_in(&mut hub, &claims("x".repeat(2_950)));
    assert!(answer.contains("auth_ok"), "{answer}");
    let refused = requested(&mut hub, conn).expect_err("too long");
    assert!(refused.contains("too long for a token"), "{refused}");
}

#[test]
fn tokens_of_a_restarted_server_with_the_same_secret_are_valid() {
    let mut before = hub(IssuedTokens::default());
    let conn = with_password(&mut before);
    let issued = requested(&mut before, conn).expect("a token");
    let mut after = hub(IssuedTokens::default());
    after.set_clock(UnixTime::from_secs(NOW + 100));
    assert!(log_in(&mut after, &issued).1.contains("auth_ok"));
}

/// Requests the token endpoint over HTTP. Returns the head and the body of the response.
fn fetched(hub: &mut Guarded<Accounts>, method: &str, token: &str) -> (String, String) {
    let conn = hub.connect();
    let authorization = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    hub.send(conn, format!("{method} /token HTTP/1.1\r\nHost: x\r\n{authorization}\r\n").as_bytes());
    let response = String::from_utf8(hub.received(conn).to_vec()).expect("text");
    let (head, body) = response.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

#[test]
fn http_endpoint_exchanges_a_token_for_an_issued_one() {
    let rules = IssuedTokens::default().lifetime(Duration::from_secs(60));
    let mut hub = guarded("ws://127.0.0.1:1", issuing(rules).token_path("/token").token_in_query());
    let exchanged = |hub: &mut Guarded<Accounts>, method: &str, token: &str| {
        let (head, body) = fetched(hub, method, token);
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head} {body}");
        assert!(head.contains("Cache-Control: no-store"), "{head}");
        let json: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!((&json["token_type"], &json["expires_in"]), (&"Bearer".into(), &60.into()));
        json["token"].as_str().expect("a token").to_owned()
    };
    let issued = exchanged(&mut hub, "GET", &token("ann", NOW + 600));
    let chained = exchanged(&mut hub, "POST", &issued);
    let conn = hub.connect();
    hub.send(
        conn,
        format!(
            "GET /?token={chained} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .as_bytes(),
    );
    assert_eq!(log(&hub), ["ann opened /", "ann authenticated"]);
}

#[test]
fn http_endpoint_refuses_what_is_no_valid_token() {
    let mut hub = guarded("ws://127.0.0.1:1", issuing(IssuedTokens::default()).token_path("/token"));
    for (token, reason) in [
        (String::new(), "a token is required (Authorization: Bearer)"),
        ("x".to_owned(), "the token is not well formed"),
        (token("ann", NOW), "the token has expired"),
    ] {
        let (head, body) = fetched(&mut hub, "POST", &token);
        assert!(head.starts_with("HTTP/1.1 401") && head.contains("WWW-Authenticate: "), "{head}");
        assert_eq!(body, format!(r#"{{"error":"{reason}"}}"#));
    }
    assert!(fetched(&mut hub, "DELETE", "x").0.starts_with("HTTP/1.1 405"));
    assert_eq!(hub.machine().metrics().authentication_failures, 3);
    // Without the endpoint, the path is like any other.
    let mut plain = guarded("ws://127.0.0.1:1", issuing(IssuedTokens::default()));
    assert!(fetched(&mut plain, "GET", "x").0.starts_with("HTTP/1.1 404"));
    assert!(fetched(&mut plain, "POST", "x").0.starts_with("HTTP/1.1 405"));
}
