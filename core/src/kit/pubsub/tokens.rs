//! Tokens of connections and of channels (JSON Web Tokens, RFC 7519).

use super::codes::{Disconnect, Failed, Refusal};
use crate::base::UnixTime;
use crate::kit::auth::Claims;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

/// What a token of a connection says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ConnectionToken {
    pub(super) user: String,
    /// JSON that other clients see with the user.
    pub(super) info: Option<String>,
    pub(super) expires_at: Option<u64>,
    /// Data for the client, as JSON, if the backend admits it.
    pub(super) data: Option<String>,
    /// The channels to which the server subscribes the client, with their options.
    pub(super) channels: BTreeMap<String, TokenChannel>,
}

/// A channel in the token of a connection.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct TokenChannel {
    pub(super) info: Option<Value>,
    pub(super) data: Option<Value>,
}

/// What a token of a channel says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ChannelToken {
    pub(super) user: String,
    pub(super) channel: String,
    pub(super) info: Option<String>,
    pub(super) expires_at: Option<u64>,
}

/// Why a token was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    Expired,
    /// What it gives has ended, whatever the token itself says.
    Ended,
    /// Its key is unknown, but may be fetched soon.
    Later,
    Invalid,
}

impl Bad {
    /// Returns what follows for a client that connects or refreshes its connection.
    pub(super) fn of_connection(self) -> Failed {
        match self {
            Self::Expired => Refusal::TOKEN_EXPIRED.into(),
            Self::Ended => Refusal::EXPIRED.into(),
            Self::Later => Refusal::INTERNAL.into(),
            Self::Invalid => Disconnect::INVALID_TOKEN.into(),
        }
    }

    /// Returns what follows for a client that subscribes.
    pub(super) fn of_channel(self) -> Failed {
        match self {
            Self::Expired => Refusal::TOKEN_EXPIRED.into(),
            Self::Ended => Refusal::EXPIRED.into(),
            Self::Later => Refusal::INTERNAL.into(),
            Self::Invalid => Refusal::PERMISSION_DENIED.into(),
        }
    }

    /// Returns what happens to a client that sends this token as a refresh. `expired` is for an expired token.
    pub(super) fn of_refresh(self, expired: Disconnect) -> Failed {
        match self {
            // An error would make clients stay away.
            Self::Expired | Self::Ended => expired.into(),
            Self::Later => Refusal::INTERNAL.into(),
            Self::Invalid => Disconnect::INVALID_TOKEN.into(),
        }
    }
}

/// Reads the result of the backend for `connect`: the claims of a connection token, with the user in `user`.
pub(super) fn given(json: &str, now: Option<UnixTime>) -> Result<ConnectionToken, Bad> {
    let Ok(Value::Object(mut others)) = serde_json::from_str::<Value>(json) else { return Err(Bad::Invalid) };
    others.retain(|_, value| !value.is_null());
    let user = match others.remove("user") {
        None => String::new(),
        Some(Value::String(user)) => user,
        Some(_) => return Err(Bad::Invalid),
    };
    let channels = channels_of(&others)?;
    let data = others.remove("data").map(|data| data.to_string());
    let claims = Claims { others, ..Claims::of(&user) };
    let (info, expires_at) = (info(&claims)?, expiry(&claims, now)?);
    Ok(ConnectionToken { user: claims.sub, info, expires_at, data, channels })
}

/// Reads the channels to which the server subscribes a client.
pub(super) fn channels_of(others: &Map<String, Value>) -> Result<BTreeMap<String, TokenChannel>, Bad> {
    let read = |value: &Value| serde_json::from_value::<alloc::vec::Vec<String>>(value.clone());
    match (others.get("subs"), others.get("channels")) {
        (Some(subs), _) => serde_json::from_value(subs.clone()).map_err(|_| Bad::Invalid),
        (None, Some(names)) => {
            let names = read(names).map_err(|_| Bad::Invalid)?;
            Ok(names.into_iter().map(|name| (name, TokenChannel::default())).collect())
        }
        (None, None) => Ok(BTreeMap::new()),
    }
}

/// Returns what other clients see with the user, as JSON.
pub(super) fn info(claims: &Claims) -> Result<Option<String>, Bad> {
    if let Some(text) = claims.others.get("b64info") {
        let text = text.as_str().and_then(|text| STANDARD.decode(text).ok()).ok_or(Bad::Invalid)?;
        let info: Value = serde_json::from_slice(&text).map_err(|_| Bad::Invalid)?;
        return Ok(Some(info.to_string()));
    }
    Ok(claims.others.get("info").map(Value::to_string))
}

/// Returns when the right that a token gives ends. `expire_at` replaces `exp`, and 0 means never.
pub(super) fn expiry(claims: &Claims, now: Option<UnixTime>) -> Result<Option<u64>, Bad> {
    match claims.others.get("expire_at") {
        None => Ok(claims.exp),
        Some(at) => match at.as_u64().ok_or(Bad::Invalid)? {
            0 => Ok(None),
            at if now.is_none_or(|now| at <= now.as_secs()) => Err(Bad::Ended),
            at => Ok(Some(at)),
        },
    }
}
