//! Passwords in JSON: who may send one, and what a wrong one costs.

use super::{Guarded, Inside, guarded, layer, log, told};
use drupe_core::kit::auth::{Accounts, AuthenticationLimits};
use drupe_core::kit::layer::Within;
use drupe_core::limit::Rate;
use drupe_core::testing::TestHub;
use drupe_core::tls::{Secured, Tls};
use drupe_core::{Config, ConnId, Listen, ListenerId, Peer};

fn login(user: &str, password: &str) -> String {
    format!(r#"{{"type":"auth","user":"{user}","password":"{password}"}}"#)
}

#[test]
fn json_password_logs_in_on_this_machine() {
    for address in ["tcp://127.0.0.1:1", "telnet://127.0.0.1:1", "unix:///run/x"] {
        let mut hub = guarded(address, layer());
        let conn = hub.connect();
        let answer = told(&mut hub, conn, &login("root", "t0psecret")).concat();
        assert_eq!(answer, r#"{"type":"auth_ok","user":"root"}"#, "{address}");
        assert_eq!(log(&hub), ["root opened -", "root authenticated"]);
        let again = told(&mut hub, conn, &login("root", "t0psecret")).concat();
        assert!(again.contains("already authenticated"), "{again}");
    }
}

#[test]
fn json_password_in_the_clear_is_refused_unless_allowed() {
    let far = Peer::Address(([192, 0, 2, 1], 5000).into());
    let clear: Listen = "tcp://0.0.0.0:1".parse().expect("an address");
    let enciphered = clear.clone().tls(Some(Tls::external()));
    let try_it = |listen: &Listen, layer, secured| -> (String, Vec<String>) {
        let inside = Inside::default().within(layer);
        let mut hub: Guarded<Accounts> = TestHub::with_config(Config::listening([listen.clone()]), inside);
        let conn = hub.try_connect(ListenerId::new(0), far).expect("let in");
        if secured {
            hub.secured(conn, &Secured::default());
        }
        let answer = told(&mut hub, conn, &login("root", "t0psecret")).concat();
        (answer, log(&hub).into_iter().map(Into::into).collect())
    };
    let (refused, seen) = try_it(&clear, layer(), false);
    assert!(refused.contains(r#""code":"unauthorized""#) && refused.contains("a password needs TLS here"), "{refused}");
    assert!(seen.is_empty(), "{seen:?}");
    for (listen, layer, secured) in [(&clear, layer().allow_plaintext(), false), (&enciphered, layer(), true)] {
        assert_eq!(try_it(listen, layer, secured).0, r#"{"type":"auth_ok","user":"root"}"#);
    }
}

#[test]
fn wrong_json_passwords_count_as_other_proofs_do() {
    let per_address = Rate::new(1, 4).expect("not nothing");
    let mut hub = guarded("tcp://127.0.0.1:1", layer().limits(AuthenticationLimits::default().tries(3)));
    let conn = hub.connect();
    for (user, left) in [("root", true), ("nobody", true), ("", false)] {
        let answer = told(&mut hub, conn, &login(user, "wrong")).concat();
        assert!(answer.contains("wrong user name or password"), "{answer}");
        assert_eq!(hub.is_closed(conn), !left, "{user}");
    }
    let limits = AuthenticationLimits::default().per_address(per_address).tries(99);
    let mut hub = guarded("tcp://127.0.0.1:1", layer().limits(limits));
    let near = |port: u16| Peer::Address(([127, 0, 0, 1], port).into());
    let answers: Vec<String> = (0..6_u16)
        .map(|port| {
            let conn: ConnId = hub.try_connect(ListenerId::new(0), near(port + 1)).expect("let in");
            told(&mut hub, conn, &login("root", "wrong")).concat()
        })
        .collect();
    let wrong = answers.iter().filter(|answer| answer.contains("wrong user name or password")).count();
    let late = answers.iter().filter(|answer| answer.contains("too many failures")).count();
    assert_eq!((wrong, late), (4, 2), "{answers:?}");
}

#[test]
fn incomplete_or_mixed_json_proofs_are_no_proofs() {
    for proof in [
        r#"{"type":"auth","user":"root"}"#,
        r#"{"type":"auth","password":"t0psecret"}"#,
        r#"{"type":"auth","user":"root","password":7}"#,
        r#"{"type":"auth","user":"root","password":"t0psecret","token":"x"}"#,
        r#"{"type":"auth","user":"root","password":"t0psecret","scram":"x"}"#,
        r#"{"type":"login","user":"root","password":"t0psecret","of":"auth"}"#,
    ] {
        let mut hub = guarded("tcp://127.0.0.1:1", layer());
        let conn = hub.connect();
        let answer = told(&mut hub, conn, proof).concat();
        assert!(answer.contains("authentication required"), "{proof}: {answer}");
    }
}
