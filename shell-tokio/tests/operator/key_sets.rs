//! Public keys of tokens from files and URLs, with tokens that `PyJWT` made.

#![allow(clippy::panic, clippy::expect_used, clippy::print_stderr, reason = "a test fails where its assumption does")]
#![allow(dead_code, reason = "the other tests of the program use the rest of what they share")]

use crate::support::{Directory, Program, python};
use crate::{drupe, text};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub(super) const JWKS: &str = include_str!("../../../core/src/kit/auth/vectors/jwks.json");
/// Tokens: RS256, ES256, EdDSA, RS256 without `kid`, PS256, and RS256 with the `kid` of no key.
const TOKENS: &str = include_str!("../../../core/src/kit/auth/vectors/tokens.txt");

const IN: &str = "you are ann";
const UNKNOWN: &str = "a key that is not known here";
pub(super) const SIGNATURE: &str = "not signed with an accepted key";

pub(super) fn token(number: usize) -> &'static str {
    TOKENS.lines().nth(number).expect("a token")
}

/// A server of key sets, whose whole response the test sets. It counts the requests.
pub(super) struct Keys {
    pub(super) address: String,
    shared: Arc<Mutex<(Vec<u8>, usize)>>,
}

impl Keys {
    pub(super) fn start(response: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let shared = Arc::new(Mutex::new((response, 0)));
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let served = Arc::clone(&served);
                std::thread::spawn(move || {
                    let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
                    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                    let response = {
                        let mut served = served.lock().expect("no panic");
                        served.1 += 1;
                        served.0.clone()
                    };
                    let _ = stream.write_all(&response);
                    if response.is_empty() {
                        // As slow as the client is patient.
                        let _ = stream.read(&mut [0]);
                    }
                });
            }
        });
        Self { address, shared }
    }

    pub(super) fn set(&self, response: Vec<u8>) {
        self.shared.lock().expect("no panic").0 = response;
    }

    pub(super) fn requests(&self) -> usize {
        self.shared.lock().expect("no panic").1
    }
}

pub(super) fn response(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

/// The key set without the first key, that of the RS256 tokens.
pub(super) fn without_rsa() -> String {
    let start = JWKS.find("  {").expect("a key");
    let second = start + JWKS[start + 3..].find("  {").expect("another key") + 3;
    format!("{}{}", &JWKS[..start], &JWKS[second..])
}

fn config(tokens: &str) -> String {
    format!(
        "workers: 2\nlisteners: {{ a: {{ address: '127.0.0.1:0', protocol: tcp, app: echo }} }}\n\
         authentication:\n  enabled: true\n  failures_per_address: 99/1s burst 99\n  tokens: {{ audience: drupe, {tokens} }}\n"
    )
}

/// What a peer hears that sends this token: one of these words, or everything.
fn try_token(program: &Program, token: &str) -> String {
    let stream = TcpStream::connect(("127.0.0.1", program.port_of(0))).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    let mut peer = BufReader::new(stream);
    peer.get_mut().write_all(format!("/auth {token}\n").as_bytes()).expect("sent");
    let mut heard = String::new();
    while peer.read_line(&mut heard).is_ok_and(|bytes| bytes > 0) {
        if let Some(found) = [IN, UNKNOWN, SIGNATURE].iter().find(|words| heard.contains(**words)) {
            return (*found).to_owned();
        }
    }
    heard
}

#[test]
fn key_set_in_a_file_verifies_foreign_tokens_and_is_reloaded() {
    let directory = Directory::new("jwks-file");
    let file = directory.0.join("jwks.json");
    std::fs::write(&file, without_rsa()).expect("written");
    let program = Program::configured(&directory.0, &config("jwks_file: jwks.json"), 1, |_| {});
    let answers = |number| try_token(&program, token(number));
    assert_eq!([1, 2, 0].map(answers), [IN, IN, UNKNOWN]);
    std::fs::write(&file, JWKS).expect("written");
    program.signal("-HUP");
    directory.wait_for("log", "reloaded; listening on", 1);
    assert_eq!([0, 1, 2, 3, 4, 5].map(answers), [IN, IN, IN, IN, SIGNATURE, UNKNOWN]);
    // A bad file changes nothing.
    std::fs::write(&file, "{}").expect("written");
    program.signal("-HUP");
    directory.wait_for("log", "nothing was reloaded", 1);
    directory.wait_for("log", "authentication.tokens.jwks_file: ", 1);
    assert_eq!(answers(0), IN);
}

#[test]
fn unknown_kid_fetches_keys_once_and_the_login_waits_for_them() {
    let directory = Directory::new("jwks-url");
    let keys = Keys::start(response("200 OK", &without_rsa()));
    let url = format!("jwks_url: 'http://{}/jwks'", keys.address);
    let program = Program::configured(
        &directory.0,
        &config(&format!("{url}, jwks_refresh: 1h, jwks_refresh_min: 0s")),
        1,
        |_| {},
    );
    assert_eq!((try_token(&program, token(1)), keys.requests()), (IN.into(), 1));
    // The issuer has a new key, and the token is accepted at the first attempt.
    keys.set(response("200 OK", JWKS));
    assert_eq!((try_token(&program, token(0)), keys.requests()), (IN.into(), 2));
    assert_eq!(try_token(&program, token(0)), IN);
    assert_eq!((try_token(&program, token(4)), keys.requests()), (SIGNATURE.into(), 2));
    // Whatever the issuer does now, the last good keys stay.
    let huge = response("200 OK", &format!("{JWKS}{}", " ".repeat(1 << 20)));
    for (number, (bad, words)) in [
        (response("500 Internal Server Error", "no"), "the server answers 500"),
        (response("302 Found\r\nLocation: http://127.0.0.1:1/", ""), "redirects (302), which is not followed"),
        (huge, "the key set is longer than 1024 KiB"),
        (response("200 OK", "<html>"), "this is not a key set"),
        (response("200 OK", "{\"keys\":[]}"), "the key set has no keys"),
        (b"\x00\x01\x02\r\n\r\n".to_vec(), "can't fetch"),
    ]
    .into_iter()
    .enumerate()
    {
        keys.set(bad);
        assert_eq!(try_token(&program, token(5)), UNKNOWN, "{words}");
        directory.wait_for("log", words, 1);
        directory.wait_for("log", "; the previous keys stay", number + 1);
        assert_eq!(try_token(&program, token(0)), IN, "{words}");
    }
}

#[test]
fn minimum_interval_bounds_the_fetches_of_unknown_kids() {
    let directory = Directory::new("jwks-min");
    let keys = Keys::start(response("200 OK", JWKS));
    let url = format!("jwks_url: 'http://{}/jwks', jwks_refresh_min: 5m", keys.address);
    let program = Program::configured(&directory.0, &config(&url), 1, |_| {});
    for _ in 0..20 {
        assert_eq!(try_token(&program, token(5)), UNKNOWN);
    }
    assert_eq!(keys.requests(), 1);
}

#[test]
fn interval_refreshes_keys() {
    let directory = Directory::new("jwks-interval");
    let keys = Keys::start(response("200 OK", &without_rsa()));
    let url = format!("jwks_url: 'http://{}/jwks', jwks_refresh: 50ms", keys.address);
    let program = Program::configured(&directory.0, &config(&url), 1, |_| {});
    keys.set(response("200 OK", JWKS));
    directory.wait_for("log", "3 keys were fetched, which are others than before", 1);
    assert_eq!(try_token(&program, token(0)), IN);
}

#[test]
fn metrics_count_fetches_that_succeed_and_that_fail() {
    let directory = Directory::new("jwks-metrics");
    let keys = Keys::start(response("200 OK", JWKS));
    let tokens = format!("jwks_url: 'http://{}/jwks', jwks_refresh: 50ms", keys.address);
    let web = "web: { address: '127.0.0.1:0', protocol: websocket, app: echo, websocket: { metrics: open } }";
    let config = config(&tokens).replacen("app: echo }", &format!("app: echo }}, {web}"), 1);
    let program = Program::configured(&directory.0, &config, 2, |_| {});
    let count = |name: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", program.port_of(1))).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        let (_, rest) = answer.split_once(&format!("\ndrupe_key_set_{name}_total ")).expect("the series");
        rest.lines().next().and_then(|value| value.parse::<u64>().ok()).expect("a number")
    };
    let wait_for = |name: &str| {
        let began = Instant::now();
        while count(name) == 0 {
            assert!(began.elapsed() < Duration::from_secs(60), "{name} stays 0");
        }
    };
    wait_for("fetches");
    assert_eq!(count("fetch_failures"), 0);
    keys.set(response("500 Internal Server Error", "no"));
    wait_for("fetch_failures");
}

#[test]
fn program_does_not_start_without_keys() {
    let directory = Directory::new("jwks-start");
    let start = |tokens: &str| {
        std::fs::write(directory.0.join("drupe.yaml"), config(tokens)).expect("written");
        let output = drupe(&directory.0, &["--config", "drupe.yaml"]);
        (output.status.code(), text(&output.stderr))
    };
    let keys = Keys::start(Vec::new());
    let url = format!("jwks_url: 'http://{}/jwks', jwks_timeout: 200ms", keys.address);
    for (served, tokens, words) in [
        (Vec::new(), &*url, "timeout"),
        (response("404 Not Found", ""), &url, "the server answers 404"),
        (response("302 Found\r\nLocation: /there", ""), &url, "redirects (302)"),
        (response("200 OK", "[]"), &url, "this is not a key set"),
        (Vec::new(), "jwks_file: missing.json", "can't read missing.json"),
        (Vec::new(), "jwks_url: 'https://127.0.0.1:1/jwks', jwks_authorities: missing.pem", "jwks_authorities"),
    ] {
        keys.set(served);
        let (code, errors) = start(tokens);
        assert!(code == Some(1) && errors.contains("authentication.tokens.jwks_"), "{words}: {errors}");
        assert!(errors.contains(words), "{words}: {errors}");
    }
}

/// Makes keys, their set and a token of each, as an identity provider does. The second argument ends the `kid` of each.
pub(super) const SIGN: &str = "
import json, sys, time, jwt
from cryptography.hazmat.primitives.asymmetric import rsa, ec
from jwt.algorithms import RSAAlgorithm, ECAlgorithm
suffix = ''.join(sys.argv[2:])
rs, es = rsa.generate_private_key(65537, 3072), ec.generate_private_key(ec.SECP256R1())
keys = [json.loads(a.to_jwk(k.public_key())) | {'kid': kid + suffix} for a, k, kid in ((RSAAlgorithm, rs, 'r'), (ECAlgorithm, es, 'e'))]
open(sys.argv[1], 'w').write(json.dumps({'keys': keys}))
claims = {'sub': 'ann', 'aud': ['account', 'drupe'], 'exp': time.time() + 3600}
for key, algorithm, kid in ((rs, 'RS256', 'r'), (es, 'ES256', 'e')):
    print(jwt.encode(claims, key, algorithm, headers={'kid': kid + suffix}))
";

#[test]
fn tokens_that_pyjwt_makes_now_are_accepted() {
    let Some(python) = python("jwt, cryptography") else { return };
    let directory = Directory::new("jwks-python");
    let made = Command::new(python).args(["-c", SIGN]).arg(directory.0.join("jwks.json")).output().expect("it runs");
    assert!(made.status.success(), "{}", text(&made.stderr));
    let program = Program::configured(&directory.0, &config("jwks_file: jwks.json"), 1, |_| {});
    let tokens = text(&made.stdout);
    assert_eq!(tokens.lines().map(|token| try_token(&program, token)).collect::<Vec<_>>(), [IN, IN]);
}
