use super::scopes::scope_text;
use crate::base::setters;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};

/// The claims of a token (RFC 7519 section 4.1).
///
/// Dates may have a fraction or an exponent (`NumericDate`, section 2). They are read in whole
/// seconds: [`nbf`](Self::nbf) is rounded up and the others down, so a token is never valid for
/// longer than it states.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Claims {
    /// The subject: the name of the user.
    ///
    /// A name with control or invisible characters is refused, because it could look like another
    /// name.
    #[serde(default)]
    pub sub: String,
    /// The time from which the token is invalid, in seconds since 1970.
    #[serde(default, deserialize_with = "round_down", skip_serializing_if = "Option::is_none")]
    pub exp: Option<u64>,
    /// The time before which the token is invalid, in seconds since 1970.
    #[serde(default, deserialize_with = "round_up", skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// The time of issue, in seconds since 1970.
    #[serde(default, deserialize_with = "round_down", skip_serializing_if = "Option::is_none")]
    pub iat: Option<u64>,
    /// The issuer of the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// The audience: the recipients that the token is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aud: Option<Audience>,
    /// The identifier of the token, unique for its issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The scopes of the user, separated by spaces (RFC 8693 section 4.2). A list is read as well.
    ///
    /// A token without this claim grants nothing, whatever other claims it has (`scp`,
    /// `permissions`), unless [`Tokens::scopes_claim`](super::Tokens::scopes_claim) names another.
    #[serde(default, deserialize_with = "scope_text", skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// All other claims of the token, by name.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

setters!(Claims {
    exp: Option<u64>,
    nbf: Option<u64>,
    iat: Option<u64>,
    iss: Option<String>,
    aud: Option<Audience>,
    jti: Option<String>,
    scope: String,
    others: Map<String, Value>,
});

impl Claims {
    /// Creates claims whose subject is this user, without any other claim.
    #[must_use]
    pub fn of(user: &str) -> Self {
        Self { sub: user.into(), ..Self::default() }
    }
}

fn round_down<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Number::deserialize(deserializer).map(|date| Some(whole_seconds(&date).0))
}

fn round_up<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let (seconds, has_fraction) = whole_seconds(&Number::deserialize(deserializer)?);
    Ok(Some(seconds.saturating_add(has_fraction.into())))
}

/// Returns the whole seconds of a date, clamped to `u64`, and whether a fraction remains.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "dates out of range become 0 or the maximum, and the fraction is checked for"
)]
fn whole_seconds(date: &Number) -> (u64, bool) {
    if let Some(seconds) = date.as_u64() {
        return (seconds, false);
    }
    let exact = date.as_f64().unwrap_or_default();
    let whole = exact as u64;
    (whole, (whole as f64) < exact)
}

/// The audience of a token: one recipient or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Audience {
    /// A single recipient.
    One(String),
    /// Several recipients.
    Several(Vec<String>),
}
