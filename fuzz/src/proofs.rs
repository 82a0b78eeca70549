//! Authentication and calls: SCRAM, tokens, JSON-RPC.

use crate::memory::peak_of;
use drupe_core::kit::Service;
use drupe_core::kit::auth::scram::{ClientFirst, Credentials, ScramClient};
use drupe_core::kit::auth::{Claims, KeySet, SignatureVerifier, TokenKey, Tokens};
use drupe_core::kit::rpc::{Rpc, RpcError};
use drupe_core::testing::TestHub;
use drupe_core::{Config, Listen, UnixTime};
use std::sync::{Arc, LazyLock};

/// Hashed once, because password hashing is slow by design.
static CREDENTIALS: LazyLock<Credentials> =
    LazyLock::new(|| Credentials::new("mellon", b"0123456789abcdef", 4_096).expect("a password"));

/// Sends any messages as a SCRAM client, and as a SCRAM server.
///
/// # Panics
/// If the server accepts a proof, because the fuzzer does not know the password.
pub fn scram(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let (first, last) = text.split_once('\n').unwrap_or((text, ""));
    if let Ok(parsed) = ClientFirst::parse(first) {
        let server = parsed.answer(&CREDENTIALS, "3rfcNHYJY1ZVvWVs7j");
        let (nonce, _) = server.first().split_once(",s=").expect("a nonce comes first");
        // With the right nonce, the server verifies the proof and not only its syntax.
        let completed = last.replace("NONCE", nonce.trim_start_matches("r="));
        assert!(server.finish(&completed).is_err(), "{first:?} {completed:?}");
    }
    let client = ScramClient::new("ann", "wrong", "rOprNGfwEbeRWgbNEkqO").expect("a name and a password");
    // More iterations than the minimum are slow or refused, and test nothing more.
    if first.contains("i=4096") {
        let _ = client.answer(&first.replace("NONCE", "rOprNGfwEbeRWgbNEkqO"));
    }
}

/// Verifies any text as a token, and a valid token with up to four changed bytes.
///
/// # Panics
/// If a token without a valid signature is accepted, or too much memory is held.
pub fn token(data: &[u8]) {
    static GOOD: LazyLock<String> = LazyLock::new(|| {
        let claims = Claims::of("ann").exp(Some(2_000_000_000)).jti(Some("1".into()));
        key().sign(&claims).expect("it signs")
    });
    let now = Some(UnixTime::from_secs(1_900_000_000));
    let verify = |token: &str| {
        let tokens = Tokens::new(key()).with_key("other", TokenKey::ed25519(&[9; 32])).single_use(4);
        tokens.verify(token, now).is_ok()
    };
    if let Ok(text) = core::str::from_utf8(data) {
        let peak = peak_of(|| assert!(text == *GOOD || !verify(text), "{text}"));
        assert!(peak < (1 << 20) + 16 * data.len().cast_signed(), "{peak} bytes for {}", data.len());
    }
    let mut changed = GOOD.clone().into_bytes();
    for pair in data.chunks_exact(2).take(4) {
        let place = usize::from(pair[0]) % changed.len();
        changed[place] = pair[1] & 0x7f;
    }
    let changed = String::from_utf8(changed).expect("ASCII");
    assert_eq!(verify(&changed), changed == *GOOD, "{changed}");
    key_set(data);
}

/// Parses any bytes as a key set, and verifies any text with a good one.
///
/// # Panics
/// If a token without a valid signature is accepted, or too much memory is held.
fn key_set(data: &[u8]) {
    static GOOD: LazyLock<Arc<KeySet>> = LazyLock::new(|| Arc::new(KeySet::parse(KEYS, &refusing()).expect("good")));
    let peak = peak_of(|| {
        if let Ok(keys) = KeySet::parse(data, &refusing()) {
            assert!(keys.len() > 0 && keys.warning().is_none_or(|words| words.len() < 2_048));
        }
    });
    assert!(peak < (1 << 20) + 32 * data.len().cast_signed(), "{peak} bytes for {}", data.len());
    if let Ok(text) = core::str::from_utf8(data) {
        // The rest of the text is the header of a token, whose signature no key has made.
        let header = base64(text.as_bytes());
        let now = Some(UnixTime::from_secs(1_900_000_000));
        let tokens = Tokens::of_key_set(Arc::clone(&GOOD)).scopes_claim("a.b");
        for token in [text, &format!("{header}.e30.AAAA"), &format!("eyJhbGciOiJSUzI1NiJ9.{header}.AAAA")] {
            assert!(tokens.identity(token, now).is_err(), "{token}");
        }
    }
}

const KEYS: &[u8] = include_bytes!("../../core/src/kit/auth/vectors/jwks.json");

/// A verifier that accepts no signature, after it has checked its arguments.
#[derive(Debug)]
struct Refusing;

impl SignatureVerifier for Refusing {
    fn rs256(&self, key: &[u8], _: &[u8], _: &[u8]) -> bool {
        assert!(key.first() == Some(&0x30) && key.len() > 256, "{key:?}");
        false
    }

    fn es256(&self, key: &[u8; 65], _: &[u8], _: &[u8; 64]) -> bool {
        assert_eq!(key[0], 4);
        false
    }
}

fn refusing() -> Arc<dyn SignatureVerifier> {
    Arc::new(Refusing)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - chunk.len()));
        text.extend((0..=chunk.len()).map(|place| char::from(DIGITS[bits >> (18 - 6 * place) & 63])));
    }
    text
}

fn key() -> TokenKey {
    TokenKey::hs256(&[7; 32]).expect("long enough")
}

/// Sends any bytes as JSON-RPC in frames: requests, batches, and answers to a call of the server.
///
/// # Panics
/// If an answer is neither JSON nor an error text, or too much memory is held.
pub fn calls(data: &[u8]) {
    let rpc = Rpc::new("numbers", "1")
        .method("sum", |(), _, numbers: Vec<i64>| {
            numbers.iter().try_fold(0_i64, |sum, number| sum.checked_add(*number)).ok_or(RpcError::new(1, "too large"))
        })
        .method("square", |(), _, number: i32| Ok::<_, RpcError>(i64::from(number) * i64::from(number)));
    let listen: Listen = "length://127.0.0.1:1?prefix=u32be".parse().expect("well formed");
    let service = Service::new(())
        .rpc(rpc)
        .on_open(|(), cx| cx.call("greet", &[1], core::time::Duration::from_secs(5), |(), _, _: Result<String, _>| ()));
    let mut hub = TestHub::with_config(Config::listening([listen]).unlimited(), service);
    let conn = hub.connect();
    for message in data.split(|byte| *byte == b'\n') {
        let length = u32::try_from(message.len()).expect("short").to_be_bytes();
        let peak = peak_of(|| hub.send(conn, &[&length, message].concat()));
        assert!(peak < (4 << 20) + 64 * message.len().cast_signed(), "{peak} bytes for {}", message.len());
    }
    for answer in hub.messages(conn) {
        let answer = core::str::from_utf8(&answer).expect("text");
        assert!(answer.starts_with(['{', '[']) || answer.starts_with("error: "), "{answer}");
    }
    hub.advance(core::time::Duration::from_secs(10));
    assert_eq!(hub.machine().metrics().tickets, 0);
}
