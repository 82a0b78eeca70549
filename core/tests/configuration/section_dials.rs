//! Outgoing connections in the sections of applications.

use drupe_core::settings::{Catalog, DialSettings, Section, Sources};
use drupe_core::tls::ClientTls;
use drupe_core::wire::outgoing_proxy::OutgoingProxy;
use drupe_core::{AddressOrder, Backoff, Dial};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The game.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
struct Game {
    /// The server with the scores.
    scores: DialSettings,
}

impl Section for Game {
    const NAME: &'static str = "game";

    fn dials(&mut self) -> Vec<(&'static str, &mut DialSettings)> {
        vec![("scores", &mut self.scores)]
    }
}

fn file(scores: &str) -> Sources {
    let catalog = Catalog::new("my-game").app("game").section::<Game>();
    Sources::of(catalog).file("/etc/my/my.yaml", &format!("game:\n  scores: {{ {scores} }}\n"))
}

fn with_tls(scores: &str) -> Sources {
    file(scores).client_tls_from(|tls| match tls.ca.as_str() {
        "" | "/etc/my/good.pem" => Ok(ClientTls::external().server_name(Some(tls.server_name.clone()))),
        other => Err(format!("can't read {other}: there is no such file")),
    })
}

fn dial(sources: &Sources) -> Option<Dial> {
    let plan = sources.resolve().expect("the configuration is valid").plan;
    plan.config.sections.get::<Game>().expect("the section").scores.dial()
}

#[test]
fn section_makes_the_dial_that_it_describes() {
    assert_eq!(dial(&file("")), None);
    let backoff = Some(Backoff::default());
    assert_eq!(dial(&file("address: 'h:7'")), Some(Dial::lines("h:7").backoff(backoff)));
    let scores = "address: 'ws://h:7/x', others: ['h2:7', '[::1]:8', 'unix:///x.sock'], order: random, timeout: 5s, wait: 2s, \
                  wait_max: 9s, rounds_max: 3";
    let slow = Backoff::default().initial(Duration::from_secs(2)).cap(Duration::from_secs(9)).attempts_max(Some(3));
    let expected = Dial::websocket("h:7", "/x").others(vec!["h2:7".into(), "[::1]:8".into(), "unix:///x.sock".into()]);
    let expected = expected.order(AddressOrder::Random).timeout(Duration::from_secs(5)).backoff(Some(slow));
    assert_eq!(dial(&file(scores)), Some(expected));
    assert_eq!(dial(&file("address: 'h:7', reconnect: false")), Some(Dial::lines("h:7")));
    let proxied = file("address: 'h:7', proxy: 'socks5://p:9', proxy_user: me, proxy_password_file: /secret");
    let proxied =
        dial(&proxied.secrets_from(|_| Ok("hush".into()))).expect("it has an address").proxy.expect("a proxy");
    let expected: OutgoingProxy = "socks5://p:9".parse().expect("good");
    assert_eq!(proxied, expected.credentials("me", "hush").expect("short"));
}

#[test]
fn tls_is_loaded_with_the_configuration() {
    let expected = |name: &str| Some(ClientTls::external().server_name(Some(name.into())));
    let dialled = dial(&with_tls("address: 'tls://h:7', tls: { ca: good.pem, server_name: other }"));
    assert_eq!(dialled.expect("it has an address").tls, expected("other"), "a path is relative to the file's folder");
    assert_eq!(dial(&with_tls("address: 'wss://h:7'")).expect("it has an address").tls, expected(""));
    // Settings that were not loaded with a configuration make a dial whose attempts fail.
    let mut unloaded = DialSettings::default();
    unloaded.address = "tls://h:7".into();
    assert_eq!(unloaded.dial().expect("it has an address").tls, Some(ClientTls::pending()));
}

#[test]
fn mistakes_name_the_key_and_the_remedy() {
    let pin = "ab".repeat(31);
    for (scores, words) in [
        ("timeout: 5s", "scores.address: it needs the server's address"),
        ("address: 'nowhere'", "scores.address: an address is SCHEME://HOST:PORT"),
        ("address: 'gopher://h:7'", "scores.address: an address begins with tcp://"),
        (
            "address: 'h:7', others: ['h2:7', 'h3']",
            "scores.others: address 2 of the list is neither HOST:PORT nor unix:///PATH",
        ),
        (
            "address: 'h:7', others: ['tls://h2:7']",
            "scores.others: address 1 of the list is neither HOST:PORT nor unix:///PATH",
        ),
        ("address: 'h:7', order: sorted", "scores.order: "),
        ("address: 'h:7', timeout: 0s", "scores.timeout: "),
        ("address: 'h:7', wait: 2m", "scores.wait: it must be at most wait_max (1m)"),
        ("address: 'h:7', rounds_max: 0", "scores.rounds_max: "),
        ("address: 'h:7', tls: { ca: x.pem }", "scores.tls: the address has no TLS; use an address such as tls://"),
        ("address: 'tls://h:7', tls: { ca: x.pem }", "scores.tls: can't read /etc/my/x.pem: there is no such file"),
        (
            "address: 'tls://h:7', tls: { ca: x, insecure: true }",
            "scores.tls: ca, pins and insecure exclude each other",
        ),
        (
            &format!("address: 'tls://h:7', tls: {{ pins: ['{pin}'] }}"),
            "scores.tls.pins: pin 1 is not a SHA-256 fingerprint",
        ),
        ("address: 'tls://h:7', tls: { key: x.pem }", "scores.tls.key: it needs a certificate"),
        ("address: 'tls://h:7', tls: { certificate: x.pem }", "scores.tls.certificate: it needs a private key"),
        ("address: 'h:7', proxy: 'ftp://p:1'", "scores.proxy: "),
        ("address: 'h:7', proxy: 'http://me:secret@p:1'", "scores.proxy: it must not contain a user or a password"),
        ("address: 'h:7', proxy_user: me", "scores.proxy_user: it needs a proxy: set proxy"),
        ("address: 'unix:///x', proxy: 'http://p:1'", "scores.proxy: the address is a Unix socket"),
        ("addres: 'h:7'", "scores.addres: there is no such key; did you mean address?"),
    ] {
        let problems = with_tls(scores).resolve().err().unwrap_or_else(|| panic!("{scores}")).to_string();
        assert!(problems.contains(&format!("my.yaml:2: game.{words}")), "{scores}: {problems}");
    }
    let problems = file("address: 'tls://h:7'").resolve().expect_err("no function loads the files").to_string();
    assert!(problems.contains("this program does not load TLS files"), "{problems}");
}

#[test]
fn template_and_schema_have_the_keys() {
    let catalog = Catalog::new("my-game").app("game").section::<Game>();
    let template = Sources::of(catalog).resolve().expect("the defaults").explain();
    for key in ["game.scores.address", "game.scores.tls.ca", "game.scores.wait_max"] {
        assert!(template.contains(key), "{key}: {template}");
    }
}
