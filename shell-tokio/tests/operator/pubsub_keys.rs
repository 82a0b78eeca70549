//! Public keys of the tokens of `pubsub`, from files and URLs, with tokens that `PyJWT` made.

use crate::key_sets::{JWKS, Keys, SIGN, response, token, without_rsa};
use crate::support::{Directory, Program, python};
use crate::{connect, drupe, text};
use std::io::{BufRead, BufReader, Write};
use std::process::Command;
use std::time::{Duration, Instant};

fn config(tokens: &str) -> String {
    format!(
        "workers: 2\nlisteners: {{ a: {{ address: '127.0.0.1:0', protocol: tcp, app: pubsub }} }}\n\
         pubsub: {{ tokens: {{ audience: drupe, {tokens} }} }}\n"
    )
}

/// What a client hears that connects with a token: whether it is in, or the code of what it is told.
#[derive(Debug, PartialEq)]
enum Heard {
    In,
    Code(u64),
}

use Heard::{Code, In};

/// A temporary error, after which clients connect again by themselves.
const LATER: Heard = Code(100);
/// The token is refused for good.
const REFUSED: Heard = Code(3500);

fn try_token(program: &Program, token: &str) -> Heard {
    let mut peer = BufReader::new(connect(program.port_of(0)));
    let command = format!("{{\"id\":1,\"connect\":{{\"token\":\"{token}\"}}}}\n");
    peer.get_mut().write_all(command.as_bytes()).expect("sent");
    let mut line = String::new();
    peer.read_line(&mut line).expect("an answer");
    let heard: serde_json::Value = serde_json::from_str(&line).expect(&line);
    if heard["connect"]["client"].is_string() {
        return In;
    }
    let codes = [&heard["error"]["code"], &heard["push"]["disconnect"]["code"]];
    Code(codes.into_iter().find_map(serde_json::Value::as_u64).expect(&line))
}

#[test]
fn key_set_in_a_file_verifies_tokens_of_clients_and_is_reloaded() {
    let directory = Directory::new("pubsub-jwks-file");
    let file = directory.0.join("jwks.json");
    std::fs::write(&file, without_rsa()).expect("written");
    let program = Program::configured(&directory.0, &config("jwks_file: jwks.json"), 1, |_| {});
    let answers = |number| try_token(&program, token(number));
    // Only a reload changes a file's keys, so its clients need not try again.
    assert_eq!([1, 2, 0].map(answers), [In, In, REFUSED]);
    std::fs::write(&file, JWKS).expect("written");
    program.signal("-HUP");
    directory.wait_for("log", "reloaded; listening on", 1);
    assert_eq!([0, 1, 2, 3, 4, 5].map(answers), [In, In, In, In, REFUSED, REFUSED]);
    // A bad file changes nothing.
    std::fs::write(&file, "{}").expect("written");
    program.signal("-HUP");
    directory.wait_for("log", "nothing was reloaded", 1);
    directory.wait_for("log", "pubsub.tokens.jwks_file: ", 1);
    assert_eq!(answers(0), In);
    // Another kind of key replaces the set.
    let text = config("hs256_secret: 0123456789abcdef0123456789abcdef");
    std::fs::write(directory.0.join("drupe.yaml"), text).expect("written");
    program.signal("-HUP");
    directory.wait_for("log", "reloaded; listening on", 2);
    assert_eq!(answers(0), REFUSED);
}

#[test]
fn client_with_an_unknown_key_tries_again_and_is_in_after_the_fetch() {
    let directory = Directory::new("pubsub-jwks-url");
    let keys = Keys::start(response("200 OK", &without_rsa()));
    let url = format!("jwks_url: 'http://{}/jwks', jwks_refresh: 1h, jwks_refresh_min: 0s", keys.address);
    let program = Program::configured(&directory.0, &config(&url), 1, |_| {});
    assert_eq!((try_token(&program, token(1)), keys.requests()), (In, 1));
    // The issuer has a new key, and what a client does after a temporary error brings it in.
    keys.set(response("200 OK", JWKS));
    let wait = |number| {
        let began = Instant::now();
        loop {
            match try_token(&program, token(number)) {
                LATER => assert!(began.elapsed() < Duration::from_secs(60), "the keys do not come"),
                heard => return heard,
            }
        }
    };
    assert_eq!(wait(0), In);
    directory.wait_for("log", "pubsub.tokens.jwks_url: 3 keys were fetched, which are others than before", 1);
    assert_eq!(try_token(&program, token(4)), REFUSED, "no key makes a bad signature good");
    // Whatever the issuer does now, the last good keys stay.
    keys.set(response("500 Internal Server Error", "no"));
    assert_eq!(try_token(&program, token(5)), LATER);
    directory.wait_for("log", "pubsub.tokens.jwks_url: can't fetch", 1);
    assert_eq!(try_token(&program, token(0)), In);
}

#[test]
fn keys_of_clients_and_of_peers_are_refreshed_apart() {
    let directory = Directory::new("pubsub-jwks-two");
    let (ours, theirs) = (Keys::start(response("200 OK", &without_rsa())), Keys::start(response("200 OK", JWKS)));
    let text = config(&format!("jwks_url: 'http://{}/jwks', jwks_refresh: 50ms", ours.address));
    let peers =
        format!("authentication: {{ enabled: true, tokens: {{ jwks_url: 'http://{}/jwks' }} }}\n", theirs.address);
    let program = Program::configured(&directory.0, &format!("{text}{peers}"), 1, |_| {});
    ours.set(response("200 OK", JWKS));
    directory.wait_for("log", "pubsub.tokens.jwks_url: 3 keys were fetched, which are others than before", 1);
    assert_eq!(theirs.requests(), 1, "the other interval is five minutes");
    drop(program);
}

#[test]
fn program_does_not_start_without_the_keys_of_clients() {
    let directory = Directory::new("pubsub-jwks-start");
    let keys = Keys::start(response("404 Not Found", ""));
    let url = format!("jwks_url: 'http://{}/jwks'", keys.address);
    for (tokens, words) in [
        (&*url, "pubsub.tokens.jwks_url: can't fetch"),
        ("jwks_file: missing.json", "pubsub.tokens.jwks_file: can't read missing.json"),
    ] {
        std::fs::write(directory.0.join("drupe.yaml"), config(tokens)).expect("written");
        let output = drupe(&directory.0, &["--config", "drupe.yaml"]);
        let errors = text(&output.stderr);
        assert!(output.status.code() == Some(1) && errors.contains(words), "{words}: {errors}");
    }
    let output = drupe(&directory.0, &["--app", "pubsub", "--listen", "tcp://127.0.0.1:0"]);
    let errors = text(&output.stderr);
    assert!(
        output.status.code() == Some(1) && errors.contains("pubsub.allow_anonymous: no client could connect"),
        "{errors}"
    );
}

#[test]
fn tokens_that_pyjwt_makes_now_are_accepted_of_clients() {
    let Some(python) = python("jwt, cryptography") else { return };
    let directory = Directory::new("pubsub-jwks-python");
    let make = |name: &str| {
        let made = Command::new(&python).args(["-c", SIGN]).arg(directory.0.join(name)).arg(name).output();
        let made = made.expect("it runs");
        assert!(made.status.success(), "{}", text(&made.stderr));
        text(&made.stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let read = |name: &str| std::fs::read_to_string(directory.0.join(name)).expect("a key set");
    let (first, second) = (make("first.json"), make("second.json"));
    let program = Program::configured(&directory.0, &config("jwks_file: first.json"), 1, |_| {});
    assert_eq!(first.iter().map(|token| try_token(&program, token)).collect::<Vec<_>>(), [In, In]);
    assert_eq!(second.iter().map(|token| try_token(&program, token)).collect::<Vec<_>>(), [REFUSED, REFUSED]);
    drop(program);
    // The same from a URL, where the second keys replace the first.
    let keys = Keys::start(response("200 OK", &read("first.json")));
    let url = format!("jwks_url: 'http://{}/jwks', jwks_refresh: 50ms", keys.address);
    let program = Program::configured(&directory.0, &config(&url), 1, |_| {});
    assert_eq!(first.iter().map(|token| try_token(&program, token)).collect::<Vec<_>>(), [In, In]);
    keys.set(response("200 OK", &read("second.json")));
    directory.wait_for("log", "2 keys were fetched, which are others than before", 1);
    assert_eq!(second.iter().map(|token| try_token(&program, token)).collect::<Vec<_>>(), [In, In]);
    assert_eq!(first.iter().map(|token| try_token(&program, token)).collect::<Vec<_>>(), [LATER, LATER]);
}
