//! Signed tokens: JSON Web Tokens (RFC 7519) in the compact form (RFC 7515 section 3.1).
//!
//! They are signed with HS256, RS256, ES256 (RFC 7518), or EdDSA over Ed25519 (RFC 8037). The key
//! decides which, never the token.

use super::claims::{Audience, Claims};
use super::key::{Algorithm, TokenKey};
use super::key_set::KeySet;
use super::refusal::TokenError;
use super::scopes::scopes_at;
use super::used::SingleUse;
use crate::base::text::neutralize;
use crate::base::{Identity, UnixTime};
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Maximum length of a token, in bytes.
pub(super) const TOKEN_MAX_BYTES: usize = 4_096;

/// A verifier of signed tokens: its keys, and the claims that it requires.
///
/// The verifier is stateless: [`UsedTokens`](super::UsedTokens) remembers which tokens were used.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Each key, with the `kid` (RFC 7515 section 4.1.4) that tokens need for it, if any.
    keys: Vec<(Option<String>, TokenKey)>,
    key_set: Option<Arc<KeySet>>,
    /// The path of the claim with the scopes. `None`: the claim `scope`.
    scopes_claim: Option<String>,
    issuer: Option<String>,
    audience: Option<String>,
    leeway_secs: u64,
    single_use_max: Option<u32>,
    has_optional_expiry: bool,
    has_optional_subject: bool,
}

impl Tokens {
    /// Creates a verifier with one key, which ignores the `kid` of tokens.
    #[must_use]
    pub fn new(key: TokenKey) -> Self {
        Self { keys: [(None, key)].into(), ..Self::without_keys() }
    }

    /// Creates a verifier with a set of public keys, from which the `kid` of a token selects one.
    #[must_use]
    pub fn of_key_set(keys: Arc<KeySet>) -> Self {
        Self { key_set: Some(keys), ..Self::without_keys() }
    }

    /// Sets or replaces the key set. Keys that were added one by one stay.
    #[must_use]
    pub fn key_set(self, keys: Arc<KeySet>) -> Self {
        Self { key_set: Some(keys), ..self }
    }

    /// Returns the key set, if there is one.
    #[must_use]
    pub fn keys(&self) -> Option<&KeySet> {
        self.key_set.as_deref()
    }

    /// Returns a shared pointer to the key set, if there is one.
    #[must_use]
    pub fn shared_keys(&self) -> Option<Arc<KeySet>> {
        self.key_set.clone()
    }

    const fn without_keys() -> Self {
        Self {
            keys: Vec::new(),
            key_set: None,
            scopes_claim: None,
            issuer: None,
            audience: None,
            leeway_secs: 0,
            single_use_max: None,
            has_optional_expiry: false,
            has_optional_subject: false,
        }
    }

    /// Adds a key for tokens whose header has this `kid`.
    ///
    /// During a key rotation, tokens of both keys are valid.
    #[must_use]
    pub fn with_key(mut self, kid: &str, key: TokenKey) -> Self {
        self.keys.push((Some(kid.to_owned()), key));
        self
    }

    /// Takes the scopes from this claim. Default: `scope`.
    ///
    /// The claim is text with spaces, or a list. Dots separate the names of claims within others:
    /// `realm_access.roles`. A claim whose whole name is `path` comes first. A token without the
    /// claim grants nothing.
    #[must_use]
    pub fn scopes_claim(self, path: &str) -> Self {
        Self { scopes_claim: Some(path.to_owned()).filter(|path| path != "scope"), ..self }
    }

    /// Accepts only tokens from this issuer (`iss`).
    #[must_use]
    pub fn issuer(self, issuer: &str) -> Self {
        Self { issuer: Some(issuer.to_owned()), ..self }
    }

    /// Accepts only tokens for this audience (`aud`).
    ///
    /// Without this, tokens that have an audience are refused.
    #[must_use]
    pub fn audience(self, audience: &str) -> Self {
        Self { audience: Some(audience.to_owned()), ..self }
    }

    /// Tolerates clocks that differ by this many seconds. Maximum: 300. Default: 0.
    #[must_use]
    pub fn leeway(self, seconds: u64) -> Self {
        Self { leeway_secs: seconds.min(300), ..self }
    }

    /// Accepts each token only once, identified by its issuer and `jti`.
    ///
    /// [`Authentication`](super::Authentication) remembers up to `most` used tokens until they
    /// expire, for all shards of the server. They survive a change of keys, but not a restart. Once
    /// it remembers that many, no other token is accepted; with 0, none ever is.
    #[must_use]
    pub fn single_use(self, most: u32) -> Self {
        Self { single_use_max: Some(most), ..self }
    }

    /// Accepts tokens without an expiry (`exp`) as well. They never expire.
    #[must_use]
    pub fn optional_expiry(self) -> Self {
        Self { has_optional_expiry: true, ..self }
    }

    /// Accepts tokens without a user (`sub`), or with an empty name, as well.
    ///
    /// Only for applications that read [`Claims::sub`] themselves and know users without a name.
    #[must_use]
    pub fn optional_subject(self) -> Self {
        Self { has_optional_subject: true, ..self }
    }

    /// Verifies a token, and returns its claims. Does not check whether the token was used before.
    ///
    /// # Errors
    /// The first check that fails, beginning with the signature.
    pub fn verify(&self, token: &str, now: Option<UnixTime>) -> Result<Claims, TokenError> {
        self.checked(token, now).map(|(claims, _)| claims)
    }

    /// Verifies a token, and returns its claims and their JSON text.
    fn checked(&self, token: &str, now: Option<UnixTime>) -> Result<(Claims, Vec<u8>), TokenError> {
        let (claims, text) = self.signed(token)?;
        let now = now.ok_or(TokenError::NoClock)?.as_secs();
        match claims.exp {
            None if !self.has_optional_expiry => return Err(TokenError::NoExpiry),
            Some(exp) if exp.saturating_add(self.leeway_secs) <= now => return Err(TokenError::Expired),
            _ => {}
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
        Ok((claims, text))
    }

    /// Verifies a token. Returns its identity, and a [`SingleUse`] if tokens are single-use.
    ///
    /// The identity has the scopes and the [claims](Identity::claim) of the token, and expires with
    /// it, after the [leeway](Self::leeway).
    ///
    /// Do not trust a [single-use](Self::single_use) token before
    /// [`UsedTokens::redeem`](super::UsedTokens::redeem) has accepted it.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), or [`TokenError::Used`] if the token is single-use and has no
    /// `jti`.
    pub fn identity(&self, token: &str, now: Option<UnixTime>) -> Result<(Identity, Option<SingleUse>), TokenError> {
        let (claims, text) = self.checked(token, now)?;
        let until_secs = claims.exp.map(|exp| exp.saturating_add(self.leeway_secs));
        let single_use = match self.single_use_max {
            Some(most) => {
                let jti = claims.jti.as_deref().ok_or(TokenError::Used)?;
                let until_secs = until_secs.ok_or(TokenError::NoExpiry)?;
                Some(SingleUse::new(claims.iss.as_deref(), jti, until_secs, most))
            }
            None => None,
        };
        let identity = Identity::user(&claims.sub);
        let identity = match &self.scopes_claim {
            None => identity.with_scopes(claims.scope.split_ascii_whitespace()),
            Some(path) => {
                let all: Map<String, Value> = serde_json::from_slice(&text).map_err(|_| TokenError::Malformed)?;
                identity.with_scopes(scopes_at(&all, path)?.iter().map(String::as_str))
            }
        };
        let text = core::str::from_utf8(&text).map_err(|_| TokenError::Malformed)?;
        let identity = identity.with_claims(text).map_err(|_| TokenError::Malformed)?;
        Ok((Identity { expires_at: until_secs.map(UnixTime::from_secs), ..identity }, single_use))
    }

    /// Verifies the form and the signature of a token. Returns its claims and their JSON text.
    fn signed(&self, token: &str) -> Result<(Claims, Vec<u8>), TokenError> {
        #[derive(Deserialize)]
        struct Header {
            alg: String,
            #[serde(default)]
            kid: Option<String>,
            /// Critical extensions (RFC 7515 section 4.1.11). No extension is supported.
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
        let (header, signature, text) = (decode(header)?, decode(signature)?, decode(claims)?);
        let header: Header = serde_json::from_slice(&header).map_err(|_| malformed)?;
        if header.crit.is_some() {
            return Err(TokenError::Signature);
        }
        let algorithm = Algorithm::named(&header.alg).ok_or(TokenError::Signature)?;
        let fits = |(kid, key): &&(Option<String>, TokenKey)| {
            key.algorithm() == algorithm && (kid.is_none() || *kid == header.kid)
        };
        let verifies = |key: &TokenKey| key.verifies(signed.as_bytes(), &signature);
        if !self.keys.iter().filter(fits).any(|(_, key)| verifies(key)) {
            let keys = self.key_set.as_ref().ok_or(TokenError::Signature)?;
            if !verifies(keys.key(algorithm, header.kid.as_deref())?) {
                return Err(TokenError::Signature);
            }
        }
        let claims: Claims = serde_json::from_slice(&text).map_err(|_| malformed)?;
        let is_there = !claims.sub.is_empty() || self.has_optional_subject;
        let is_name = is_there && claims.sub.len() <= 256 && neutralize(&claims.sub) == claims.sub;
        if is_name { Ok((claims, text)) } else { Err(malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::auth::TokenKeyError;
    use crate::kit::auth::scram::hmac;
    use alloc::format;

    const NOW: u64 = 1_800_000_000;

    fn hs256() -> TokenKey {
        TokenKey::hs256(&[7; 32]).expect("long enough")
    }

    fn claims() -> Claims {
        Claims { sub: "ann".into(), exp: Some(NOW + 60), scope: "join:* admin".into(), ..Claims::default() }
    }

    fn verify(tokens: &Tokens, token: &str) -> Result<Claims, TokenError> {
        tokens.verify(token, Some(UnixTime::from_secs(NOW)))
    }

    /// Returns a token with the given header and claims, signed with HS256 and the given secret.
    fn forged(header: &str, claims: &str, secret: &[u8]) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = hmac(secret, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Verifies the signature of the example in RFC 7515 appendix A.1.
    #[test]
    fn token_checks_the_rfc_7515_example_signature() {
        let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let secret = URL_SAFE_NO_PAD.decode(secret).expect("base64");
        let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
                     eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
                     dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let tokens = Tokens::new(TokenKey::hs256(&secret).expect("long enough"));
        // The signature is valid, but the claims lack `sub`.
        assert_eq!(tokens.signed(token), Err(TokenError::Malformed));
        assert_eq!(tokens.signed(&token.replace("dBjf", "dBjg")), Err(TokenError::Signature));
    }

    #[test]
    fn hs256_and_eddsa_sign_and_verify() {
        let private = TokenKey::ed25519(&[9; 32]);
        let public = TokenKey::ed25519_public(&private.public().expect("it has one")).expect("a key");
        assert_eq!(public.sign(&claims()), None);
        for (signs, checks) in [(hs256(), hs256()), (private.clone(), private), (TokenKey::ed25519(&[9; 32]), public)] {
            let token = signs.sign(&claims()).expect("it signs");
            assert_eq!(verify(&Tokens::new(checks.clone()), &token), Ok(claims()));
            let identity = Tokens::new(checks).identity(&token, Some(UnixTime::from_secs(NOW))).expect("good").0;
            assert!(identity.may("admin") && identity.may("join:x") && !identity.may("leave:x"));
            assert_eq!(identity.expires_at, Some(UnixTime::from_secs(NOW + 60)));
        }
    }

    #[test]
    fn key_fixes_the_algorithm_not_the_token_header() {
        let body = format!(r#"{{"sub":"ann","exp":{}}}"#, NOW + 60);
        let private = TokenKey::ed25519(&[9; 32]);
        let public = private.public().expect("it has one");
        let eddsa = Tokens::new(TokenKey::ed25519_public(&public).expect("a key"));
        // The public key is used as an HS256 secret.
        let confused = forged(r#"{"alg":"HS256"}"#, &body, &public);
        assert_eq!(verify(&eddsa, &confused), Err(TokenError::Signature));
        let tokens = Tokens::new(hs256());
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"None"}"#,
            r#"{"alg":"hs256"}"#,
            r#"{"alg":"HS512"}"#,
            r#"{"alg":"EdDSA"}"#,
            r#"{"alg":"HS256","crit":["exp"],"exp":1}"#,
        ] {
            assert_eq!(verify(&tokens, &forged(header, &body, &[7; 32])), Err(TokenError::Signature), "{header}");
        }
        let unsigned = forged(r#"{"alg":"none"}"#, &body, &[7; 32]);
        let unsigned = &unsigned[..=unsigned.rfind('.').expect("a dot")];
        assert_eq!(verify(&tokens, unsigned), Err(TokenError::Signature));
        assert!(verify(&tokens, &forged(r#"{"alg":"HS256"}"#, &body, &[7; 32])).is_ok());
    }

    #[test]
    fn kid_selects_only_known_keys() {
        let second = TokenKey::hs256(&[8; 32]).expect("long enough");
        let tokens = Tokens::new(hs256()).with_key("2026", second);
        let body = format!(r#"{{"sub":"ann","exp":{}}}"#, NOW + 60);
        let signed = |kid: &str, byte| forged(&format!(r#"{{"alg":"HS256","kid":{kid}}}"#), &body, &[byte; 32]);
        assert!(verify(&tokens, &signed(r#""2026""#, 8)).is_ok());
        for kid in [r#""2025""#, r#""../../dev/null""#, r#""'; select 1""#, "null"] {
            assert_eq!(verify(&tokens, &signed(kid, 8)), Err(TokenError::Signature), "{kid}");
            // The first key accepts any `kid`.
            assert!(verify(&tokens, &signed(kid, 7)).is_ok());
        }
    }

    #[test]
    fn token_times_issuer_and_audience_are_checked_exactly() {
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
        for (number, (tokens, token, result)) in cases.into_iter().enumerate() {
            assert_eq!(verify(&tokens, &token).map(drop), result, "case {number}");
        }
        assert_eq!(plain().verify(&token(|_| ()), None), Err(TokenError::NoClock));
    }

    #[test]
    fn token_dates_round_down_fractions_and_exponents() {
        let tokens = Tokens::new(hs256());
        let said = |dates: &str| {
            verify(&tokens, &forged(r#"{"alg":"HS256"}"#, &format!(r#"{{"sub":"ann",{dates}}}"#), &[7; 32]))
        };
        let read = |dates: &str| said(dates).map(|claims| (claims.exp, claims.nbf, claims.iat));
        for (dates, result) in [
            (r#""exp":1900000000.5"#, Ok((Some(1_900_000_000), None, None))),
            (r#""exp":2.0e9"#, Ok((Some(2_000_000_000), None, None))),
            (r#""exp":19E8"#, Ok((Some(1_900_000_000), None, None))),
            (r#""exp":1800000001.0"#, Ok((Some(NOW + 1), None, None))),
            (r#""exp":1800000000.9"#, Err(TokenError::Expired)),
            (r#""exp":1e300"#, Ok((Some(u64::MAX), None, None))),
            (r#""exp":18446744073709551615"#, Ok((Some(u64::MAX), None, None))),
            (r#""exp":-1"#, Err(TokenError::Expired)),
            (r#""exp":-1.5e3"#, Err(TokenError::Expired)),
            (r#""exp":2e9,"nbf":1.8e9"#, Ok((Some(2_000_000_000), Some(NOW), None))),
            (r#""exp":2e9,"nbf":1799999999.1"#, Ok((Some(2_000_000_000), Some(NOW), None))),
            (r#""exp":2e9,"nbf":1800000000.1"#, Err(TokenError::NotYet)),
            (r#""exp":2e9,"nbf":-7.5"#, Ok((Some(2_000_000_000), Some(0), None))),
            (r#""exp":2e9,"iat":1.7999999995e9"#, Ok((Some(2_000_000_000), None, Some(NOW - 1)))),
            (r#""exp":2e9,"iat":"yesterday""#, Err(TokenError::Malformed)),
            (r#""exp":"2e9""#, Err(TokenError::Malformed)),
            (r#""exp":null"#, Err(TokenError::Malformed)),
            (r#""exp":2e9,"nbf":null"#, Err(TokenError::Malformed)),
            (r#""exp":1e999"#, Err(TokenError::Malformed)),
            (r#""iat":1"#, Err(TokenError::NoExpiry)),
        ] {
            assert_eq!(read(dates), result, "{dates}");
        }
    }

    #[test]
    fn token_subject_with_hidden_characters_is_refused() {
        for (sub, is_name) in [
            ("admin", true),
            ("Grüße an", true),
            ("ad\\u0000min", false),
            ("ad\\u200bmin", false),
            ("a\\u001b[2J", false),
        ] {
            let token = forged(r#"{"alg":"HS256"}"#, &format!(r#"{{"sub":"{sub}","exp":2e9}}"#), &[7; 32]);
            assert_eq!(verify(&Tokens::new(hs256()), &token).is_ok(), is_name, "{sub}");
        }
    }

    #[test]
    fn only_the_scope_claim_grants_rights() {
        for claims in
            [r#""x":1"#, r#""scp":"join:* admin""#, r#""scp":["admin"]"#, r#""permissions":["admin"]"#, r#""scope":"""#]
        {
            let token = forged(r#"{"alg":"HS256"}"#, &format!(r#"{{"sub":"ann","exp":2e9,{claims}}}"#), &[7; 32]);
            let (identity, _) = Tokens::new(hs256()).identity(&token, Some(UnixTime::from_secs(NOW))).expect("good");
            assert!(identity.scopes.is_empty() && !identity.may("admin"), "{claims}");
        }
        for (scope, result) in [
            (r#"["admin","join:*"]"#, Ok("admin join:*".into())),
            ("[]", Ok(String::new())),
            (r#"["a admin"]"#, Err(TokenError::Malformed)),
            ("[1]", Err(TokenError::Malformed)),
            (r#"{"admin":true}"#, Err(TokenError::Malformed)),
        ] {
            let claims = format!(r#"{{"sub":"ann","exp":2e9,"scope":{scope}}}"#);
            let token = forged(r#"{"alg":"HS256"}"#, &claims, &[7; 32]);
            assert_eq!(verify(&Tokens::new(hs256()), &token).map(|claims| claims.scope), result, "{scope}");
        }
    }

    #[test]
    fn malformed_tokens_are_refused_and_debug_hides_keys() {
        let tokens = Tokens::new(hs256());
        let long = format!("{}.{}.{}", "a".repeat(1 << 20), "b", "c");
        for token in ["", ".", "..", "...", "a.b", "a.b.c", "e30.e30.", "e30.e30.e30=", "\u{e4}.b.c", &long] {
            assert_eq!(verify(&tokens, token), Err(TokenError::Malformed), "{token:.20}");
        }
        assert_eq!(TokenKey::hs256(&[0; 31]).map(drop), Err(TokenKeyError::TooShort));
        // The neutral element of the curve: it would verify anything.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        assert_eq!(TokenKey::ed25519_public(&neutral).map(drop), Err(TokenKeyError::NoPublicKey));
        let shown = format!("{:?}", Tokens::new(TokenKey::hs256(b"this is a secret of 32 bytes, no?").expect("long")));
        assert!(!shown.contains("secret") && !shown.contains("116"), "{shown}");
    }
}
