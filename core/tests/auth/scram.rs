//! SCRAM exchanges, and users that do not exist.

use super::{layer, lines, log, recorded, scram, scram_outside, told};
use drupe_core::Reason;
use drupe_core::kit::auth::scram::{Credentials, ScramClient};
use drupe_core::kit::auth::{Accounts, Authentication};
use std::time::Duration;

#[test]
fn scram_accepts_the_right_password_without_sending_it() {
    let (mut hub, sent) = recorded(layer());
    for (user, password, gets_in) in
        [("root", "t0psecret", true), ("ann", "mellon", true), ("root", "mellon", false), ("ann", "melon", false)]
    {
        let conn = hub.connect();
        let answer = scram_outside(&mut hub, conn, user, password);
        assert_eq!(answer.contains("auth_ok"), gets_in, "{user}: {answer}");
    }
    let sent: String = sent.try_iter().collect();
    assert!(!sent.contains("t0psecret") && !sent.contains("mellon"));
    assert!(sent.contains("scram"));
}

#[test]
fn inner_handler_sees_only_authenticated_peers() {
    let mut hub = lines(layer());
    let (good, bad, silent) = (hub.connect(), hub.connect(), hub.connect());
    assert_eq!(scram(&mut hub, good, "ann", "mellon").matches("\"user\":\"ann\"").count(), 1);
    assert_eq!(told(&mut hub, good, "hello"), ["ann: hello"]);
    let refused = r#"{"type":"error","of":"auth","code":"unauthorized","reason":"the proof is wrong"}"#;
    assert_eq!(scram(&mut hub, bad, "ann", "wrong"), refused);
    assert_eq!(told(&mut hub, bad, "hello"), ["error: auth: authentication required"]);
    assert_eq!(
        told(&mut hub, bad, r#"{"type":"hello"}"#),
        [
            r#"{"type":"error","of":"auth","code":"unauthorized","reason":"authentication required"}"#,
            r#"{"type":"closing","code":"unauthorized","reason":"authentication failed"}"#
        ]
    );
    hub.advance(Duration::from_secs(30));
    assert_eq!(hub.lines(silent), ["closing (authentication_timeout): authentication timed out"]);
    hub.end(good);
    assert_eq!(log(&hub), ["ann opened -", "ann authenticated", "ann closed peer_closed"]);
    assert_eq!((hub.ended(Reason::Unauthorized), hub.ended(Reason::AuthenticationTimeout)), (1, 1));
    assert_eq!((hub.machine().metrics().authenticated, hub.machine().metrics().authentication_failures), (1, 3));
}

#[test]
fn scram_challenge_of_unknown_user_looks_like_a_known_one() {
    let only_root =
        Accounts::new().user("root", Credentials::new("t0psecret", b"0123456789abcdef", 10_000).expect("good"), []);
    let mut hub = lines(Authentication::new(only_root.expect("a name"), [3; 32]));
    let mut shapes = Vec::new();
    for user in ["root", "nobody", "nobody"] {
        let conn = hub.connect();
        let first = told(&mut hub, conn, &format!("/auth scram n,,n={user},r=0123456789abcdef")).concat();
        let salt = first.split(",s=").nth(1).expect("a salt").split(',').next().expect("a salt").to_owned();
        shapes.push((first.len(), first.split(",i=").nth(1).map(ToOwned::to_owned), salt));
    }
    assert_eq!((shapes[0].0, &shapes[0].1), (shapes[1].0, &shapes[1].1));
    assert_eq!(shapes[1].2, shapes[2].2, "the same salt each time");
}

#[test]
fn password_change_during_scram_refuses_the_old_one() {
    let mut hub = lines(layer().dialogue());
    let conn = hub.connect();
    let client = ScramClient::new("root", "t0psecret", "0123456789abcdef").expect("printable");
    let first = told(&mut hub, conn, &format!("/auth scram {}", client.first())).concat();
    let (last, _) = client.answer(first.strip_prefix("scram ").expect("an answer")).expect("good");
    hub.with_handler(|handler| *handler.layer_mut().provider_mut() = Accounts::new());
    let answer = told(&mut hub, conn, &format!("/auth scram {last}")).concat();
    assert!(answer.contains("the password has changed") && log(&hub).is_empty(), "{answer}");
}
