//! Tests of key sets, with tokens that `PyJWT` made (see `vectors`), and the examples of RFC 7515.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails where its assumption does")]

use super::*;
use crate::base::UnixTime;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};

const JWKS: &str = include_str!("vectors/jwks.json");
/// Six tokens, one per line.
///
/// RS256, ES256, EdDSA, RS256 without `kid`, PS256, and RS256 with the `kid` of no key.
const TOKENS: &str = include_str!("vectors/tokens.txt");
const NOW: Option<UnixTime> = Some(UnixTime::from_secs(1_900_000_000));

fn verifier() -> Arc<dyn SignatureVerifier> {
    Arc::new(RustlsSignatures::new(&rustls::crypto::ring::default_provider()).expect("ring has both"))
}

fn parse(text: &str) -> Result<KeySet, KeySetError> {
    KeySet::parse(text.as_bytes(), &verifier())
}

fn tokens_of(text: &str) -> Tokens {
    Tokens::of_key_set(Arc::new(parse(text).expect("a key set"))).audience("drupe")
}

fn token(number: usize) -> &'static str {
    TOKENS.lines().nth(number).expect("a token")
}

/// Returns the JSON of a set with the keys at these indices, after `change` is applied to each.
fn set(indices: &[usize], change: impl Fn(&mut Value)) -> String {
    let all: Value = serde_json::from_str(JWKS).expect("JSON");
    let mut keys: Vec<_> = indices.iter().map(|index| all["keys"][*index].clone()).collect();
    keys.iter_mut().for_each(change);
    json!({ "keys": keys }).to_string()
}

#[test]
fn foreign_tokens_verify_with_the_key_that_they_name() {
    let tokens = tokens_of(JWKS);
    for number in 0..3 {
        let (identity, _) =
            tokens.clone().scopes_claim("realm_access.roles").identity(token(number), NOW).expect("good");
        assert_eq!(&*identity.user, "ann");
        assert!(identity.may("admin") && identity.may("join:x") && !identity.may("leave:x"));
        assert_eq!(identity.claim("tenant"), Some("acme".into()));
        // Without the claim, nothing is granted.
        let (identity, _) = tokens.identity(token(number), NOW).expect("good");
        assert!(identity.scopes.is_empty());
    }
    for (number, error) in [(4, TokenError::Signature), (5, TokenError::UnknownKey)] {
        assert_eq!(tokens.verify(token(number), NOW), Err(error), "token {number}");
    }
    assert_eq!(tokens.verify(token(0), Some(UnixTime::from_secs(2_000_000_000))), Err(TokenError::Expired));
    assert_eq!(tokens.clone().audience("others").verify(token(0), NOW), Err(TokenError::Purpose));
    assert_eq!(tokens.issuer("https://id.example.org/realms/b").verify(token(0), NOW), Err(TokenError::Purpose));
}

#[test]
fn token_without_kid_needs_a_single_key_of_its_algorithm() {
    assert!(tokens_of(JWKS).verify(token(3), NOW).is_ok(), "one RS256 key among others");
    let two = set(&[0, 3], |key| {
        let key = key.as_object_mut().expect("a key");
        ["use", "alg"].iter().for_each(|member| drop(key.remove(*member)));
    });
    assert_eq!(tokens_of(&two).verify(token(3), NOW), Err(TokenError::AmbiguousKey));
    assert!(tokens_of(&two).verify(token(0), NOW).is_ok());
    // A key without `kid` accepts tokens with any.
    let unnamed = set(&[0], |key| drop(key.as_object_mut().expect("a key").remove("kid")));
    for number in [0, 3, 5] {
        assert!(tokens_of(&unnamed).verify(token(number), NOW).is_ok(), "token {number}");
    }
    assert_eq!(tokens_of(&set(&[1], |_| ())).verify(token(3), NOW), Err(TokenError::Signature));
}

#[test]
fn rfc_7515_examples_verify() {
    let payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    // Appendix A.2.
    let rsa = r#"{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#;
    let rs256 = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    // Appendix A.3.
    let ec = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    let es256 = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    for (key, header, signature) in [(rsa, "eyJhbGciOiJSUzI1NiJ9", rs256), (ec, "eyJhbGciOiJFUzI1NiJ9", es256)] {
        let tokens = tokens_of(&format!(r#"{{"keys":[{key}]}}"#));
        let token = format!("{header}.{payload}.{signature}");
        // The signature is valid, but the claims lack `sub`.
        assert_eq!(tokens.verify(&token, NOW), Err(TokenError::Malformed));
        let mut bytes = URL_SAFE_NO_PAD.decode(signature).expect("base64");
        for place in [0, bytes.len() / 2, bytes.len() - 1] {
            bytes[place] ^= 1;
            let changed = format!("{header}.{payload}.{}", URL_SAFE_NO_PAD.encode(&bytes));
            assert_eq!(tokens.verify(&changed, NOW), Err(TokenError::Signature), "byte {place}");
            bytes[place] ^= 1;
        }
        for length in [0, 1, bytes.len() - 1] {
            let cut = format!("{header}.{payload}.{}", URL_SAFE_NO_PAD.encode(&bytes[..length]));
            assert_eq!(tokens.verify(&cut, NOW), Err(TokenError::Signature), "{length} bytes");
        }
    }
}

#[test]
fn public_key_is_no_hs256_secret_and_alg_none_is_refused() {
    let tokens = tokens_of(JWKS);
    let body = URL_SAFE_NO_PAD.encode(r#"{"sub":"ann","aud":"drupe","exp":2000000000}"#);
    let all: Value = serde_json::from_str(JWKS).expect("JSON");
    let n = all["keys"][0]["n"].as_str().expect("a modulus");
    let raw = URL_SAFE_NO_PAD.decode(n).expect("base64");
    let head = |alg: &str, kid: &str| URL_SAFE_NO_PAD.encode(json!({ "alg": alg, "kid": kid }).to_string());
    let secrets: [&[u8]; 3] = [n.as_bytes(), &raw, JWKS.as_bytes()];
    for secret in secrets {
        for kid in ["rsa-1", "nobody"] {
            let signed = format!("{}.{body}", head("HS256", kid));
            let signature = URL_SAFE_NO_PAD.encode(scram::hmac(secret, signed.as_bytes()));
            assert!(tokens.verify(&format!("{signed}.{signature}"), NOW).is_err());
        }
    }
    for alg in ["none", "None", "RS512", "PS256", "ES384", "HS512", ""] {
        // Not an unknown key, for which keys would be fetched.
        for kid in ["rsa-1", "nobody"] {
            let token = format!("{}.{body}.", head(alg, kid));
            assert_eq!(tokens.verify(&token, NOW), Err(TokenError::Signature), "{alg} {kid}");
        }
    }
    // The right `kid` with the algorithm of another key.
    for (alg, kid) in [("ES256", "rsa-1"), ("RS256", "ec-1"), ("EdDSA", "rsa-1"), ("HS256", "ed-1")] {
        assert_eq!(tokens.verify(&format!("{}.{body}.AAAA", head(alg, kid)), NOW), Err(TokenError::Signature));
    }
}

#[test]
fn unusable_keys_are_skipped_with_their_reason() {
    let poor = include_str!("vectors/poor.json");
    let Err(KeySetError::Unusable(skipped)) = parse(poor) else { panic!("no key is usable") };
    let reasons: Vec<_> = skipped.iter().map(ToString::to_string).collect();
    let expected = [
        "key \"weak\": an RSA key needs 2048 to 8192 bits, not 1024",
        "key \"p384\": the curve P-384 is not supported; use P-256 or Ed25519",
        "key \"secret\": it is a secret, which does not belong into a set of public keys; use hs256_secret_file",
        "key \"pq\": keys of the type AKP are not supported",
        "keys[4]: the algorithm PS256 is not supported for it; use RS256, ES256 or EdDSA",
        "keys[5]: these numbers are not a valid RSA public key",
        "keys[6]: it contains the private key; publish the public part only",
        "keys[7]: it is not a well-formed key",
        "keys[8]: it is not a well-formed key",
        "keys[9]: it is not for verifying signatures",
    ];
    assert_eq!(reasons, expected);
    // Beside a good key, they cost nothing but a warning.
    let poor: Value = serde_json::from_str(poor).expect("JSON");
    let good: Value = serde_json::from_str(JWKS).expect("JSON");
    let both: Vec<_> = [&poor, &good].iter().flat_map(|set| set["keys"].as_array().expect("keys").clone()).collect();
    let both = json!({ "keys": both }).to_string();
    let set = parse(&both).expect("some are usable");
    assert_eq!((set.len(), set.skipped().len()), (3, 10));
    let warning = set.warning().expect("keys were skipped");
    assert!(
        warning.starts_with("10 keys are not used: key \"weak\"") && warning.ends_with("; and 6 more"),
        "{warning}"
    );
    assert!(tokens_of(&both).verify(token(0), NOW).is_ok());
    assert_eq!(parse(JWKS).expect("a set").warning(), None, "keys for encryption are usual");
}

#[test]
fn malformed_sets_are_refused() {
    let twice = set(&[0, 0], |_| ());
    let unnamed = set(&[1, 1], |key| drop(key.as_object_mut().expect("a key").remove("kid")));
    let many = format!(r#"{{"keys":[{}7]}}"#, "7,".repeat(256));
    let long = format!("{}{}", JWKS, " ".repeat(KEY_SET_MAX_BYTES));
    for (text, words) in [
        (&*long, "the key set is longer than 1024 KiB"),
        ("", "this is not a key set (JSON with an array `keys`): EOF"),
        ("<html>", "this is not a key set (JSON with an array `keys`): expected value"),
        ("{}", "this is not a key set (JSON with an array `keys`): missing field `keys`"),
        (r#"{"keys":7}"#, "this is not a key set"),
        (r#"{"keys":[]}"#, "the key set has no keys"),
        (&many, "the key set has 257 keys; the maximum is 256"),
        (&twice, "two RS256 keys have the same kid \"rsa-1\""),
        (&unnamed, "two ES256 keys have no kid"),
        (r#"{"keys":[{"kty":"RSA","use":"enc"}]}"#, "the key set has no key that verifies tokens"),
    ] {
        let error = parse(text).expect_err(words).to_string();
        assert!(error.starts_with(words), "{error}");
    }
    // One `kid` for keys of different algorithms is unambiguous (RFC 7517 section 4.5).
    let shared = set(&[0, 1], |key| key["kid"] = "same".into());
    assert_eq!(parse(&shared).map(|set| set.len()), Ok(2));
}

#[test]
fn rsa_key_sizes_are_bounded() {
    let key = |bits: usize, exponent: &[u8]| {
        let mut modulus = alloc::vec![0xff; bits.div_ceil(8)];
        modulus[0] >>= (8 - bits % 8) % 8;
        TokenKey::rs256(&modulus, exponent, verifier()).map(drop)
    };
    assert_eq!(TokenKey::rs256(&[], &[], verifier()).map(drop), Err(TokenKeyError::RsaBits { bits: 0 }));
    for (bits, exponent, result) in [
        (2_047, &[1, 0, 1][..], Err(TokenKeyError::RsaBits { bits: 2_047 })),
        (2_048, &[1, 0, 1], Ok(())),
        (8_192, &[0, 0, 3], Ok(())),
        (8_193, &[3], Err(TokenKeyError::RsaBits { bits: 8_193 })),
        (2_048, &[1], Err(TokenKeyError::NoRsaKey)),
        (2_048, &[2], Err(TokenKeyError::NoRsaKey)),
        (2_048, &[], Err(TokenKeyError::NoRsaKey)),
        (2_048, &[1, 0, 0, 0, 1], Ok(())),
        (2_048, &[2, 0, 0, 0, 1], Err(TokenKeyError::NoRsaKey)),
    ] {
        assert_eq!(key(bits, exponent), result, "{bits} {exponent:?}");
    }
}

proptest! {
    /// Compares the key that a set chooses with the result of a naive search through its keys.
    #[test]
    fn key_choice_equals_the_naive_rule(
        kids in proptest::collection::btree_map(proptest::option::of("[a-c]"), 0_usize..3, 1..5),
        kid in proptest::option::of("[a-d]"),
        number in 0_usize..3,
    ) {
        let all: Value = serde_json::from_str(JWKS).expect("JSON");
        let keys: Vec<Value> = kids.iter().map(|(kid, index)| {
            let mut key = all["keys"][*index].clone();
            key.as_object_mut().expect("a key").remove("kid");
            if let Some(kid) = kid {
                key["kid"] = kid.as_str().into();
            }
            key
        }).collect();
        let set = parse(&json!({ "keys": keys }).to_string()).expect("a set");
        let algorithm = [key::Algorithm::Rs256, key::Algorithm::Es256, key::Algorithm::EdDsa][number];
        let fitting: Vec<_> = kids.iter().filter(|(_, index)| **index == number).map(|(kid, _)| kid.clone()).collect();
        let expected = match &kid {
            None if fitting.len() > 1 => Err(TokenError::AmbiguousKey),
            None if fitting.is_empty() => Err(TokenError::Signature),
            None => Ok(()),
            Some(_) if fitting.contains(&kid) || fitting.contains(&None) => Ok(()),
            Some(_) if kids.contains_key(&kid) => Err(TokenError::Signature),
            Some(_) => Err(TokenError::UnknownKey),
        };
        let chosen = set.key(algorithm, kid.as_deref());
        prop_assert!(chosen.as_ref().is_ok_and(|key| key.algorithm() == algorithm) || chosen.is_err());
        prop_assert_eq!(chosen.map(drop), expected);
    }
}
