use crate::base::setters;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};

/// What a token says (RFC 7519 section 4.1).
///
/// Its dates may have a fraction or an exponent (`NumericDate`, section 2). They are read in whole seconds: [`nbf`](Self::nbf) is
/// rounded up and the others down, so a token is never valid for longer than it says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Claims {
    /// The user. A name with control or invisible characters is refused: it could look like another one's.
    pub sub: String,
    /// From when on it is worth nothing, in seconds since 1970.
    #[serde(default, deserialize_with = "round_down", skip_serializing_if = "Option::is_none")]
    pub exp: Option<u64>,
    /// Before when it is worth nothing, in seconds since 1970.
    #[serde(default, deserialize_with = "round_up", skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// When it was made, in seconds since 1970.
    #[serde(default, deserialize_with = "round_down", skip_serializing_if = "Option::is_none")]
    pub iat: Option<u64>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// For whom it was made: one or several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aud: Option<Audience>,
    /// What tells it from others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// What the user may do: words between blanks (RFC 8693 section 4.2). A token without this claim gives no right at all,
    /// whatever other claims it has (`scp`, `permissions`).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// Everything else.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

setters!(Claims {
    sub: String,
    exp: Option<u64>,
    nbf: Option<u64>,
    iat: Option<u64>,
    iss: Option<String>,
    aud: Option<Audience>,
    jti: Option<String>,
    scope: String,
    others: Map<String, Value>,
});

fn round_down<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Number::deserialize(deserializer).map(|date| Some(whole_seconds(&date).0))
}

fn round_up<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let (seconds, has_fraction) = whole_seconds(&Number::deserialize(deserializer)?);
    Ok(Some(seconds.saturating_add(has_fraction.into())))
}

/// The whole seconds of a date, from 0 up, and whether there is more than those.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a date before 1970 is its beginning, one beyond all dates is the last, and a fraction is looked for"
)]
fn whole_seconds(date: &Number) -> (u64, bool) {
    if let Some(seconds) = date.as_u64() {
        return (seconds, false);
    }
    let exact = date.as_f64().unwrap_or_default();
    let whole = exact as u64;
    (whole, (whole as f64) < exact)
}

/// For whom a token was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}
