//! Calls before a login and calls over a rate limit: each is answered with its id.

use super::office;
use drupe_core::kit::auth::scram::Credentials;
use drupe_core::kit::auth::{Accounts, Authentication};
use drupe_core::kit::layer::{RateBy, RateLimit, Within};
use drupe_core::limit::Rate;
use drupe_core::testing::TestHub;
use drupe_core::{Config, ConnId, Handler, Listen, Reason};
use serde_json::{Value, json};

const CALL: &str = r#"{"jsonrpc":"2.0","id":"a","method":"sum","params":[1]}"#;
const BATCH: &str = r#"[{"jsonrpc":"2.0","id":1,"method":"sum","params":[1]},{"jsonrpc":"2.0","method":"update"},
    {"jsonrpc":"2.0","id":2,"method":"sum","params":[1]}]"#;

fn over<H: Handler>(address: &str, handler: H) -> TestHub<H> {
    TestHub::with_config(Config::listening([address.parse::<Listen>().expect(address)]), handler)
}

fn layer() -> Authentication<Accounts> {
    let credentials = Credentials::new("mellon", b"0123456789abcdef", 4_096).expect("a password");
    Authentication::new(Accounts::new().shared_password(credentials), [3; 32])
}

/// Sends a line and returns the ids and the error codes of the responses.
fn refused<H: Handler>(hub: &mut TestHub<H>, conn: ConnId, line: &str) -> Vec<(Value, Value)> {
    hub.clear();
    hub.line(conn, &line.replace('\n', ""));
    let lines = hub.lines(conn);
    let answer = lines.iter().find(|line| line.contains("jsonrpc")).map_or("[]", String::as_str);
    let answers = match serde_json::from_str(answer).expect("JSON") {
        Value::Array(answers) => answers,
        answer => vec![answer],
    };
    answers.into_iter().map(|answer| (answer["id"].clone(), answer["error"]["code"].clone())).collect()
}

#[test]
fn calls_before_the_login_are_refused_with_their_ids() {
    // With and without a prompt for the user name.
    for address in ["tcp://127.0.0.1:1", "telnet://127.0.0.1:1"] {
        let mut hub = over(address, office().within(layer().dialogue()));
        let conn = hub.connect();
        assert_eq!(refused(&mut hub, conn, CALL), [(json!("a"), json!(-32004))], "{address}");
        assert_eq!(refused(&mut hub, conn, BATCH), [(json!(1), json!(-32004)), (json!(2), json!(-32004))], "{address}");
    }
}

#[test]
fn calls_before_the_login_count_as_failures() {
    let mut hub = over("tcp://0.0.0.0:1", office().within(layer()));
    let conn = hub.connect();
    for _ in 0..3 {
        assert_eq!(hub.ended(Reason::Unauthorized), 0);
        hub.line(conn, CALL);
    }
    assert_eq!(hub.ended(Reason::Unauthorized), 1);
    assert_eq!(hub.machine().metrics().authentication_failures, 3);
}

#[test]
fn what_is_no_call_before_the_login_is_refused_as_a_message() {
    let mut hub = over("tcp://0.0.0.0:1", office().within(layer()));
    let conn = hub.connect();
    hub.line(conn, r#"{"jsonrpc":"2.0","method":"update"}"#);
    let expected = json!({"type": "error", "of": "auth", "code": "unauthorized", "reason": "authentication required"});
    assert_eq!(serde_json::from_str::<Value>(&hub.lines(conn)[0]).expect("JSON"), expected);
}

#[test]
fn calls_over_the_rate_are_refused_with_their_ids_in_batches_too() {
    let rate = Rate::per(1, 10, 1).expect("a valid rate");
    let mut hub = over("tcp://127.0.0.1:1", office().within(RateLimit::new(RateBy::Connection, rate)));
    let conn = hub.connect();
    hub.line(conn, CALL);
    assert_eq!(refused(&mut hub, conn, CALL), [(json!("a"), json!(-32000))]);
    assert_eq!(refused(&mut hub, conn, BATCH), [(json!(1), json!(-32000)), (json!(2), json!(-32000))]);
}
