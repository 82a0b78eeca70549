//! What a configuration exposes, and which valid settings cause a warning.

use drupe_core::Config;
use drupe_core::Listen;
use drupe_core::app::Echo;
use drupe_core::http::Access;
use drupe_core::kit::auth::scram::{Credentials, ScramError};
use drupe_core::settings::{HashedPasswords, Resolved, Sources};
use drupe_core::testing::TestHub;
use drupe_core::wire::Protocol;

fn good(text: &str) -> Resolved {
    Sources::new().file("drupe.yaml", text).resolve().unwrap_or_else(|problems| panic!("{text}{problems}"))
}

fn wrong(text: &str) -> String {
    Sources::new().file("drupe.yaml", text).resolve().map(|_| ()).expect_err(text).to_string()
}

fn warned(text: &str) -> String {
    good(text).warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn metrics(listen: &Listen) -> bool {
    let Protocol::Http(http) = &listen.protocol else { panic!("{listen:?}") };
    matches!(http.metrics, Access::Open)
}

#[test]
fn metrics_are_open_by_default_only_on_loopback() {
    let listener = |rest: &str| format!("listeners: {{ a: {{ protocol: websocket, {rest} }} }}\n");
    for (rest, is_open) in [
        ("address: '127.0.0.1:1'", true),
        ("address: '[::1]:1'", true),
        ("address: 'unix:/x'", true),
        ("address: '0.0.0.0:1'", false),
        ("address: '192.0.2.1:1'", false),
        ("address: '[::]:1'", false),
        ("address: 'inherited:x'", false),
        ("address: '127.0.0.1:1', forwarded: { trusted: [127.0.0.1] }", false),
        ("address: 'unix:/x', forwarded: { trusted: [127.0.0.1] }", false),
        ("address: '127.0.0.1:1', proxy_protocol: { trusted: [127.0.0.1] }", false),
        ("address: '0.0.0.0:1', websocket: { metrics: open }", true),
        ("address: '127.0.0.1:1', websocket: { metrics: off }", false),
    ] {
        for profile in ["development", "production"] {
            let text = listener(rest) + &format!("profile: {profile}\n");
            assert_eq!(metrics(&good(&text).plan.config.listeners[0]), is_open, "{text}");
        }
    }
    for (address, is_open) in [
        ("ws://127.0.0.1:1", true),
        ("ws://0.0.0.0:1/chat", false),
        ("ws://[::]:1", false),
        ("ws://0.0.0.0:1?metrics=open", true),
        ("ws://127.0.0.1:1?metrics=off", false),
    ] {
        assert_eq!(metrics(&address.parse().expect("good")), is_open, "{address}");
    }
}

#[test]
fn metrics_of_an_auto_listener_are_open_only_on_loopback() {
    for (address, status) in [("auto://127.0.0.1:1", "200"), ("auto://0.0.0.0:1", "404")] {
        let config = Config::listening([address.parse().expect("good")]);
        let mut hub = TestHub::with_config(config, Echo);
        let conn = hub.connect();
        hub.send(conn, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = String::from_utf8_lossy(hub.received(conn)).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{address}: {answer}");
    }
}

#[test]
fn cleartext_secrets_on_an_inherited_socket_are_refused() {
    let users = "authentication: { enabled: true, shared_password: x, dialogue: true }\n";
    let inherited = "listeners: { a: { address: 'inherited:chat', protocol: telnet } }\n";
    let problems = wrong(&(inherited.to_string() + users));
    assert!(problems.contains("listeners.a.address: passwords would cross the network in the clear"), "{problems}");
    good(&(inherited.to_string() + &users.replace("dialogue: true", "dialogue: true, allow_plaintext: true")));
    let monitor = "listeners: { a: { address: 'inherited:web', protocol: websocket, websocket: { monitor: true } } }\nmonitor: { credential: 0123456789abcdef }\n";
    assert!(wrong(monitor).contains("credential would cross the network in the clear"));
    // A listener of the command line is held to the same.
    let listen =
        |address: &str| Sources::new().file("drupe.yaml", users).listen([address.parse().expect("good")]).resolve();
    let problems = listen("telnet://0.0.0.0:23").map(|_| ()).expect_err("in the clear").to_string();
    assert!(problems.starts_with("--listen: telnet://0.0.0.0:23: passwords would cross"), "{problems}");
    listen("telnet://127.0.0.1:23").expect("nobody else can connect");
}

#[test]
fn risky_settings_cause_warnings() {
    let listener = |rest: &str| format!("listeners: {{ a: {{ address: '127.0.0.1:1', {rest} }} }}\n");
    let production = |rest: &str| format!("profile: production\nlisteners: {{ a: {{ {rest} }} }}\n");
    for (text, words) in [
        (
            listener("protocol: websocket, websocket: { origins: [] }"),
            "listeners.a.websocket.origins: no page may connect",
        ),
        (
            production("address: '0.0.0.0:23', protocol: telnet"),
            "listeners.a: traffic crosses the network in the clear",
        ),
        (
            production("address: '0.0.0.0:1', protocol: websocket, websocket: { metrics: open }"),
            "listeners.a.websocket.metrics: every peer that can connect may read",
        ),
        (listener("deny: [0.0.0.0/0, '::/0']"), "listeners.a.deny: no peer is accepted"),
        (listener("allow: [10.1.0.0/16], deny: [10.0.0.0/8]"), "listeners.a.deny: no peer is accepted"),
        (listener("connections_max: 20000"), "listeners.a.connections_max: it is never reached"),
        (listener("limits: { idle: 1ms }"), "listeners.a.limits.idle: it closes almost every connection"),
        (
            listener("") + "limits: { peer: { message_deadline: 5ms } }\n",
            "limits.peer.message_deadline: it closes almost",
        ),
        (listener("") + "limits: { exempt: [0.0.0.0/0] }\n", "limits.exempt: it exempts all addresses in 0.0.0.0/0"),
        (
            listener("") + "outbound: { max: 32KiB }\n",
            "outbound.max: a message of limits.peer.message_max (64KiB) does not fit",
        ),
        (
            listener("app: echo") + "workers: 4\nlimits: { tickets_max: 5 }\n",
            "limits.tickets_max: the limit applies to each of the 4 workers",
        ),
        (
            production("address: '127.0.0.1:1'") + "limits: { dry_run: true }\n",
            "limits.dry_run: limits are only counted, not enforced",
        ),
    ] {
        let warnings = warned(&text);
        assert!(warnings.contains(words) && warnings.starts_with("drupe.yaml:"), "{text}{words}\n{warnings}");
    }
    for text in [
        listener(""),
        listener("allow: [10.0.0.0/8], deny: [10.1.0.0/16]"),
        production("address: '127.0.0.1:1', protocol: websocket"),
        production("address: 'inherited:x', protocol: telnet"),
        // The limit is one of the whole server.
        listener("app: echo") + "workers: 4\nrooms: { rooms_max: 5 }\n",
    ] {
        assert_eq!(warned(&text), "", "{text}");
    }
}

/// RFC 7677 section 3.
const STORED: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

#[test]
fn user_may_have_a_password_hash() {
    let credentials = Credentials::from_stored(STORED).expect("of the RFC");
    assert!(credentials.verify("pencil") && !credentials.verify("pencils"));
    assert_eq!(credentials.to_stored(), STORED);
    assert!(!format!("{credentials:?}").contains("WG5d"));
    for text in [
        "",
        "pencil",
        "SCRAM-SHA-1$4096:AAAA$AAAA:AAAA",
        "SCRAM-SHA-256$4096:$A:A",
        "SCRAM-SHA-256$4096:AAAA$AAAA:AAAA",
    ] {
        assert_eq!(Credentials::from_stored(text), Err(ScramError::Stored), "{text}");
    }
    for iterations in ["1", "4294967295"] {
        let text = STORED.replace("4096", iterations);
        assert_eq!(Credentials::from_stored(&text), Err(ScramError::Iterations));
    }
    let text = |user: &str| {
        format!(
            "listeners: {{ a: {{ address: '127.0.0.1:1' }} }}\nauthentication: {{ enabled: true, users: {{ ann: {user} }} }}\n"
        )
    };
    let resolved = good(&text(&format!("{{ password_hash: {STORED} }}")));
    let plan = resolved.plan.authentication.clone().expect("enabled");
    let accounts = plan.accounts(&mut HashedPasswords::new([7; 32]), None).expect("good");
    assert!(accounts.credentials("ann").expect("a user").verify("pencil"));
    assert!(!resolved.explain().contains("WG5d") && !format!("{resolved:?}").contains("WG5d"));
    for (user, words) in [
        (
            "{}".to_string(),
            "users.ann: a user needs a password or keys: set password, password_file, password_hash or keys",
        ),
        (format!("{{ password: x, password_hash: {STORED} }}"), "users.ann.password_hash: a password is set as well"),
        ("{ password_hash: hunter2 }".into(), "users.ann.password_hash: a hashed password has the form SCRAM-SHA-256$"),
    ] {
        let problems = wrong(&text(&user));
        assert!(problems.contains(words) && !problems.contains("hunter2"), "{problems}");
    }
    // Those who are hashed less often can be told from who does not exist.
    let mixed = text(&format!("{{ password_hash: {STORED} }}, bob: {{ password: x }}"));
    assert!(
        warned(&mixed).contains("users.ann.password_hash: it has another number of iterations"),
        "{}",
        warned(&mixed)
    );
    assert_eq!(warned(&mixed.replace("enabled: true", "enabled: true, iterations: 4096")), "");
}

#[test]
fn token_leeway_is_at_most_5_minutes() {
    let text = |leeway: &str| {
        format!(
            "listeners: {{ a: {{ address: '127.0.0.1:1' }} }}\nauthentication: {{ enabled: true, tokens: {{ hs256_secret: 0123456789abcdef0123456789abcdef, leeway: {leeway} }} }}\n"
        )
    };
    good(&text("5m"));
    assert!(wrong(&text("6m")).contains("authentication.tokens.leeway: it must be at most 5m, not 6m"));
}
