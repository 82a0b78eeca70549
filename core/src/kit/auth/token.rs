//! Signed tokens: JSON Web Tokens (RFC 7519) in the compact form (RFC 7515 section 3.1), with HS256 or EdDSA over Ed25519
//! (RFC 8037). Which of them is decided by the key, never by the token.

use crate::{Identity, UnixTime};
use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

use super::scram::hmac;

/// A longer token is no token.
const TOKEN_MAX_BYTES: usize = 4_096;
/// A shorter key could be guessed (RFC 7518 section 3.2).
const SECRET_MIN_BYTES: usize = 32;

/// What a token says (RFC 7519 section 4.1).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// The user.
    pub sub: String,
    /// From when on it is worth nothing, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<u64>,
    /// Before when it is worth nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// For whom it was made: one or several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aud: Option<Audience>,
    /// What tells it from others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// What the user may do: words between blanks (RFC 8693 section 4.2).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// Everything else.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// For whom a token was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// A key that checks tokens, and signs them if it can.
#[derive(Clone)]
pub struct TokenKey(Kind);

#[derive(Clone)]
enum Kind {
    Hs256(Arc<[u8]>),
    Ed25519Public(VerifyingKey),
    Ed25519(SigningKey),
}

/// Not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenKeyError {
    /// A secret for HS256 that could be guessed.
    #[error("a secret for HS256 has at least {SECRET_MIN_BYTES} bytes")]
    TooShort,
    /// Bytes that are no point on the curve, or a weak one.
    #[error("these bytes are no public key of Ed25519")]
    NoPublicKey,
}

/// Why a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is no token.
    #[error("the token is not well formed")]
    Malformed,
    /// It was not signed with a key, or in a way, that is accepted here.
    #[error("the token is not signed with a key that is known here")]
    Signature,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYet,
    /// It does not say when its time is over.
    #[error("the token does not say when it expires")]
    NoExpiry,
    /// It is for somebody else, or from somebody else.
    #[error("the token was made for another purpose")]
    Purpose,
    /// It was used before, or does not say what tells it from others.
    #[error("the token was used before")]
    Used,
    /// Too many tokens that can be used once only are remembered.
    #[error("too many tokens were used; try again later")]
    Full,
    /// What time it is is not known.
    #[error("the time is not known")]
    NoClock,
}

impl TokenKey {
    /// A secret that signs and checks with HS256.
    ///
    /// # Errors
    /// If it has less than 32 bytes.
    pub fn hs256(secret: &[u8]) -> Result<Self, TokenKeyError> {
        if secret.len() < SECRET_MIN_BYTES {
            Err(TokenKeyError::TooShort)
        } else {
            Ok(Self(Kind::Hs256(secret.into())))
        }
    }

    /// A public key that checks with EdDSA over Ed25519.
    ///
    /// # Errors
    /// If the bytes are no public key.
    pub fn ed25519_public(key: &[u8; 32]) -> Result<Self, TokenKeyError> {
        let key = VerifyingKey::from_bytes(key).ok().filter(|key| !key.is_weak());
        key.map(|key| Self(Kind::Ed25519Public(key))).ok_or(TokenKeyError::NoPublicKey)
    }

    /// A private key, its seed, that signs and checks with EdDSA over Ed25519.
    #[must_use]
    pub fn ed25519(seed: &[u8; 32]) -> Self {
        Self(Kind::Ed25519(SigningKey::from_bytes(seed)))
    }

    /// The public half of a key of Ed25519.
    #[must_use]
    pub fn public(&self) -> Option<[u8; 32]> {
        match &self.0 {
            Kind::Hs256(_) => None,
            Kind::Ed25519Public(key) => Some(key.to_bytes()),
            Kind::Ed25519(key) => Some(key.verifying_key().to_bytes()),
        }
    }

    /// A token that says this; `None` if the key is public and can't sign.
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> Option<String> {
        let header = format!(r#"{{"alg":"{}","typ":"JWT"}}"#, self.algorithm());
        let claims = serde_json::to_string(claims).ok()?;
        let mut token = URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = match &self.0 {
            Kind::Hs256(secret) => hmac(secret, token.as_bytes()).to_vec(),
            Kind::Ed25519(key) => key.sign(token.as_bytes()).to_bytes().to_vec(),
            Kind::Ed25519Public(_) => return None,
        };
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Some(token)
    }

    /// As it stands in a token's header (RFC 7518 section 3.1, RFC 8037 section 3.1).
    fn algorithm(&self) -> &'static str {
        match self.0 {
            Kind::Hs256(_) => "HS256",
            Kind::Ed25519Public(_) | Kind::Ed25519(_) => "EdDSA",
        }
    }

    fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        let ed25519 = |key: &VerifyingKey| {
            let signature = Signature::from_slice(signature);
            signature.is_ok_and(|signature| key.verify_strict(signed, &signature).is_ok())
        };
        match &self.0 {
            Kind::Hs256(secret) => bool::from(hmac(secret, signed).ct_eq(signature)),
            Kind::Ed25519Public(key) => ed25519(key),
            Kind::Ed25519(key) => ed25519(&key.verifying_key()),
        }
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenKey").field(&self.algorithm()).finish()
    }
}

/// Checks tokens.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// With the `kid` (RFC 7515 section 4.1.4) that a token must have to be checked with it, if it must have one.
    keys: Vec<(Option<String>, TokenKey)>,
    issuer: Option<String>,
    audience: Option<String>,
    leeway_secs: u64,
    used: Option<Used>,
}

/// The tokens that were used and are still valid.
#[derive(Clone, Debug)]
struct Used {
    most: usize,
    /// The latest that it ever was: the clock may go back, and what was used stays so.
    latest: u64,
    until: BTreeSet<(u64, Arc<str>)>,
    known: BTreeSet<Arc<str>>,
}

impl Tokens {
    /// Checks with one key.
    #[must_use]
    pub fn new(key: TokenKey) -> Self {
        Self { keys: [(None, key)].into(), issuer: None, audience: None, leeway_secs: 0, used: None }
    }

    /// Checks tokens whose header names a `kid` with this key as well: so keys are exchanged while tokens of both are about.
    #[must_use]
    pub fn with_key(mut self, kid: &str, key: TokenKey) -> Self {
        self.keys.push((Some(kid.to_owned()), key));
        self
    }

    /// Refuses tokens of any other issuer (`iss`).
    #[must_use]
    pub fn issuer(self, issuer: &str) -> Self {
        Self { issuer: Some(issuer.to_owned()), ..self }
    }

    /// Refuses tokens for anybody else (`aud`). Without this, a token that names an audience is refused.
    #[must_use]
    pub fn audience(self, audience: &str) -> Self {
        Self { audience: Some(audience.to_owned()), ..self }
    }

    /// Takes clocks to differ by so many seconds, at most 300. The default is none.
    #[must_use]
    pub fn leeway(self, seconds: u64) -> Self {
        Self { leeway_secs: seconds.min(300), ..self }
    }

    /// Accepts each token once only, by its `jti`, and remembers so many until they expire. When there are more, no token is
    /// accepted until one has.
    #[must_use]
    pub fn single_use(self, most: usize) -> Self {
        Self { used: Some(Used { most, latest: 0, until: BTreeSet::new(), known: BTreeSet::new() }), ..self }
    }

    /// What a token says, if all is well with it.
    ///
    /// # Errors
    /// The first thing that is not, signature first.
    pub fn verify(&mut self, token: &str, now: Option<UnixTime>) -> Result<Claims, TokenError> {
        let claims = self.signed(token)?;
        let now = now.ok_or(TokenError::NoClock)?.as_secs();
        let exp = claims.exp.ok_or(TokenError::NoExpiry)?;
        if exp.saturating_add(self.leeway_secs) <= now {
            return Err(TokenError::Expired);
        }
        if claims.nbf.is_some_and(|nbf| nbf > now.saturating_add(self.leeway_secs)) {
            return Err(TokenError::NotYet);
        }
        let is_for_us = match (&self.audience, &claims.aud) {
            (None, None) => true,
            (Some(us), Some(Audience::One(one))) => us == one,
            (Some(us), Some(Audience::Several(several))) => several.contains(us),
            _ => false,
        };
        if !is_for_us || self.issuer.is_some() && self.issuer != claims.iss {
            return Err(TokenError::Purpose);
        }
        if let Some(used) = &mut self.used {
            used.add(claims.jti.as_deref(), exp.saturating_add(self.leeway_secs), now)?;
        }
        Ok(claims)
    }

    /// Who a token says its bearer is, if all is well with it: with its scopes, and until it expires.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn identity(&mut self, token: &str, now: Option<UnixTime>) -> Result<Identity, TokenError> {
        let claims = self.verify(token, now)?;
        let identity = Identity::user(&claims.sub).with_scopes(claims.scope.split_ascii_whitespace());
        let expires_at = claims.exp.map(|exp| UnixTime::from_secs(exp.saturating_add(self.leeway_secs)));
        Ok(Identity { expires_at, ..identity })
    }

    /// What is signed, if it is signed by one of our keys.
    fn signed(&self, token: &str) -> Result<Claims, TokenError> {
        #[derive(Deserialize)]
        struct Header {
            alg: String,
            #[serde(default)]
            kid: Option<String>,
            /// What must be understood (RFC 7515 section 4.1.11): nothing is.
            #[serde(default)]
            crit: Option<Value>,
        }
        let malformed = TokenError::Malformed;
        if token.len() > TOKEN_MAX_BYTES {
            return Err(malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed);
        let (header, signature, claims) = (decode(header)?, decode(signature)?, decode(claims)?);
        let header: Header = serde_json::from_slice(&header).map_err(|_| malformed)?;
        if header.crit.is_some() {
            return Err(TokenError::Signature);
        }
        let fits = |(kid, key): &&(Option<String>, TokenKey)| {
            key.algorithm() == header.alg && (kid.is_none() || *kid == header.kid)
        };
        let keys = || self.keys.iter().filter(fits);
        if !keys().any(|(_, key)| key.verifies(signed.as_bytes(), &signature)) {
            return Err(TokenError::Signature);
        }
        let claims: Claims = serde_json::from_slice(&claims).map_err(|_| malformed)?;
        if claims.sub.is_empty() || claims.sub.len() > 256 { Err(malformed) } else { Ok(claims) }
    }
}

impl Used {
    fn add(&mut self, jti: Option<&str>, until: u64, now: u64) -> Result<(), TokenError> {
        self.latest = self.latest.max(now);
        if until <= self.latest {
            return Err(TokenError::Expired);
        }
        while let Some((until, jti)) = self.until.first()
            && *until <= self.latest
        {
            self.known.remove(jti);
            self.until.pop_first();
        }
        let jti: Arc<str> = jti.ok_or(TokenError::Used)?.into();
        if self.known.contains(&jti) {
            return Err(TokenError::Used);
        }
        if self.known.len() >= self.most {
            return Err(TokenError::Full);
        }
        self.known.insert(jti.clone());
        self.until.insert((until, jti));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn hs256() -> TokenKey {
        TokenKey::hs256(&[7; 32]).expect("long enough")
    }

    fn claims() -> Claims {
        Claims { sub: "ann".into(), exp: Some(NOW + 60), scope: "join:* admin".into(), ..Claims::default() }
    }

    fn verify(tokens: &mut Tokens, token: &str) -> Result<Claims, TokenError> {
        tokens.verify(token, Some(UnixTime::from_secs(NOW)))
    }

    /// A token with a header of one's own, signed with HS256 by the key's bytes.
    fn forged(header: &str, claims: &str, secret: &[u8]) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = hmac(secret, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// RFC 7515 appendix A.1.
    #[test]
    fn the_example_of_the_specification() {
        let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let secret = URL_SAFE_NO_PAD.decode(secret).expect("base64");
        let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
                     eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
                     dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let tokens = Tokens::new(TokenKey::hs256(&secret).expect("long enough"));
        // It is signed well, and lacks what we ask for.
        assert_eq!(tokens.signed(token), Err(TokenError::Malformed));
        assert_eq!(tokens.signed(&token.replace("dBjf", "dBjg")), Err(TokenError::Signature));
    }

    #[test]
    fn both_algorithms_sign_and_check() {
        let private = TokenKey::ed25519(&[9; 32]);
        let public = TokenKey::ed25519_public(&private.public().expect("it has one")).expect("a key");
        assert_eq!(public.sign(&claims()), None);
        for (signs, checks) in [(hs256(), hs256()), (private.clone(), private), (TokenKey::ed25519(&[9; 32]), public)] {
            let token = signs.sign(&claims()).expect("it signs");
            assert_eq!(verify(&mut Tokens::new(checks.clone()), &token), Ok(claims()));
            let identity = Tokens::new(checks).identity(&token, Some(UnixTime::from_secs(NOW))).expect("good");
            assert!(identity.may("admin") && identity.may("join:x") && !identity.may("leave:x"));
            assert_eq!(identity.expires_at, Some(UnixTime::from_secs(NOW + 60)));
        }
    }

    #[test]
    fn the_key_says_how_it_is_used() {
        let body = format!(r#"{{"sub":"ann","exp":{}}}"#, NOW + 60);
        let private = TokenKey::ed25519(&[9; 32]);
        let public = private.public().expect("it has one");
        let mut eddsa = Tokens::new(TokenKey::ed25519_public(&public).expect("a key"));
        // The public key taken for a secret.
        let confused = forged(r#"{"alg":"HS256"}"#, &body, &public);
        assert_eq!(verify(&mut eddsa, &confused), Err(TokenError::Signature));
        let mut tokens = Tokens::new(hs256());
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"None"}"#,
            r#"{"alg":"hs256"}"#,
            r#"{"alg":"HS512"}"#,
            r#"{"alg":"EdDSA"}"#,
            r#"{"alg":"HS256","crit":["exp"],"exp":1}"#,
        ] {
            assert_eq!(verify(&mut tokens, &forged(header, &body, &[7; 32])), Err(TokenError::Signature), "{header}");
        }
        let unsigned = forged(r#"{"alg":"none"}"#, &body, &[7; 32]);
        let unsigned = &unsigned[..=unsigned.rfind('.').expect("a dot")];
        assert_eq!(verify(&mut tokens, unsigned), Err(TokenError::Signature));
        assert!(verify(&mut tokens, &forged(r#"{"alg":"HS256"}"#, &body, &[7; 32])).is_ok());
    }

    #[test]
    fn a_kid_chooses_among_known_keys_and_is_never_a_path() {
        let second = TokenKey::hs256(&[8; 32]).expect("long enough");
        let mut tokens = Tokens::new(hs256()).with_key("2026", second);
        let body = format!(r#"{{"sub":"ann","exp":{}}}"#, NOW + 60);
        let signed = |kid: &str, byte| forged(&format!(r#"{{"alg":"HS256","kid":{kid}}}"#), &body, &[byte; 32]);
        assert!(verify(&mut tokens, &signed(r#""2026""#, 8)).is_ok());
        for kid in [r#""2025""#, r#""../../dev/null""#, r#""'; select 1""#, "null"] {
            assert_eq!(verify(&mut tokens, &signed(kid, 8)), Err(TokenError::Signature), "{kid}");
            // The first key checks whatever the token calls it.
            assert!(verify(&mut tokens, &signed(kid, 7)).is_ok());
        }
    }

    #[test]
    fn times_and_purposes_hold_to_the_second() {
        let token = |change: fn(&mut Claims)| {
            let mut claims = claims();
            change(&mut claims);
            hs256().sign(&claims).expect("it signs")
        };
        let plain = || Tokens::new(hs256());
        let cases: [(Tokens, String, Result<(), TokenError>); 16] = [
            (plain(), token(|claims| claims.exp = Some(NOW)), Err(TokenError::Expired)),
            (plain(), token(|claims| claims.exp = Some(NOW - 1)), Err(TokenError::Expired)),
            (plain(), token(|claims| claims.exp = Some(NOW + 1)), Ok(())),
            (plain(), token(|claims| claims.exp = None), Err(TokenError::NoExpiry)),
            (plain(), token(|claims| claims.exp = Some(u64::MAX)), Ok(())),
            (plain(), token(|claims| claims.nbf = Some(NOW + 1)), Err(TokenError::NotYet)),
            (plain(), token(|claims| claims.nbf = Some(NOW)), Ok(())),
            (plain().leeway(5), token(|claims| claims.exp = Some(NOW - 4)), Ok(())),
            (plain().leeway(5), token(|claims| claims.exp = Some(NOW - 5)), Err(TokenError::Expired)),
            (plain().leeway(5), token(|claims| claims.nbf = Some(NOW + 5)), Ok(())),
            (plain(), token(|claims| claims.aud = Some(Audience::One("us".into()))), Err(TokenError::Purpose)),
            (plain().audience("us"), token(|_| ()), Err(TokenError::Purpose)),
            (
                plain().audience("us"),
                token(|c| c.aud = Some(Audience::Several(["them".into(), "us".into()].into()))),
                Ok(()),
            ),
            (plain().audience("us"), token(|c| c.aud = Some(Audience::One("them".into()))), Err(TokenError::Purpose)),
            (plain().issuer("we"), token(|c| c.iss = Some("they".into())), Err(TokenError::Purpose)),
            (plain().issuer("we"), token(|c| c.iss = Some("we".into())), Ok(())),
        ];
        for (number, (mut tokens, token, result)) in cases.into_iter().enumerate() {
            assert_eq!(verify(&mut tokens, &token).map(drop), result, "case {number}");
        }
        assert_eq!(plain().verify(&token(|_| ()), None), Err(TokenError::NoClock));
    }

    #[test]
    fn a_token_is_used_once_and_the_table_is_bounded() {
        let mut tokens = Tokens::new(hs256()).single_use(2);
        let token = |jti: Option<&str>, exp| {
            hs256().sign(&Claims { jti: jti.map(Into::into), exp: Some(exp), ..claims() }).expect("it signs")
        };
        let mut at = |token: &str, now| tokens.verify(token, Some(UnixTime::from_secs(now))).map(drop);
        assert_eq!(at(&token(None, NOW + 9), NOW), Err(TokenError::Used));
        assert_eq!(at(&token(Some("a"), NOW + 10), NOW), Ok(()));
        assert_eq!(at(&token(Some("a"), NOW + 10), NOW), Err(TokenError::Used));
        assert_eq!(at(&token(Some("b"), NOW + 20), NOW), Ok(()));
        assert_eq!(at(&token(Some("c"), NOW + 30), NOW), Err(TokenError::Full));
        assert_eq!(at(&token(Some("c"), NOW + 30), NOW + 10), Ok(()));
        assert_eq!(at(&token(Some("b"), NOW + 20), NOW + 11), Err(TokenError::Used));
        // The clock on the wall goes back.
        assert_eq!(at(&token(Some("a"), NOW + 10), NOW + 5), Err(TokenError::Expired));
    }

    #[test]
    fn what_is_no_token_is_refused_and_nothing_secret_is_shown() {
        let mut tokens = Tokens::new(hs256());
        let long = format!("{}.{}.{}", "a".repeat(1 << 20), "b", "c");
        for token in ["", ".", "..", "...", "a.b", "a.b.c", "e30.e30.", "e30.e30.e30=", "\u{e4}.b.c", &long] {
            assert_eq!(verify(&mut tokens, token), Err(TokenError::Malformed), "{token:.20}");
        }
        assert_eq!(TokenKey::hs256(&[0; 31]).map(drop), Err(TokenKeyError::TooShort));
        // The neutral element of the curve: anything would verify with it.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        assert_eq!(TokenKey::ed25519_public(&neutral).map(drop), Err(TokenKeyError::NoPublicKey));
        let shown = format!("{:?}", Tokens::new(TokenKey::hs256(b"this is a secret of 32 bytes, no?").expect("long")));
        assert!(!shown.contains("secret") && !shown.contains("116"), "{shown}");
    }
}
