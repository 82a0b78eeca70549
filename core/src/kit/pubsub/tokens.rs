//! Tokens of connections and of channels (JSON Web Tokens, RFC 7519).

use super::codes::{Disconnect, Failed, Refusal};
use super::hooks::Hooks;
use super::service::PubSub;
use crate::base::UnixTime;
use crate::kit::auth::{Claims, TokenError};
use alloc::borrow::ToOwned;
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
    /// The key that it is signed with may become known.
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

    /// Returns what follows for a client that refreshes a right, which ends with this code if its token is too old.
    pub(super) fn of_refresh(self, expired: Disconnect) -> Failed {
        match self {
            // An error would make clients stay away.
            Self::Expired | Self::Ended => expired.into(),
            Self::Later => Refusal::INTERNAL.into(),
            Self::Invalid => Disconnect::INVALID_TOKEN.into(),
        }
    }
}

impl<K: Hooks> PubSub<K> {
    /// Verifies the token of a connection.
    pub(super) fn connection_token(&mut self, token: &str, now: Option<UnixTime>) -> Result<ConnectionToken, Bad> {
        let claims = self.verified(token, now)?;
        // A token of a channel is no token of a connection.
        if claims.others.contains_key("channel") {
            return Err(Bad::Invalid);
        }
        let channels = channels_of(&claims.others)?;
        let (info, expires_at) = (info(&claims)?, expiry(&claims, now)?);
        Ok(ConnectionToken { user: claims.sub, info, expires_at, data: None, channels })
    }

    /// Verifies the token of a channel.
    pub(super) fn channel_token(&mut self, token: &str, now: Option<UnixTime>) -> Result<ChannelToken, Bad> {
        let claims = self.verified(token, now)?;
        let channel = claims.others.get("channel").and_then(Value::as_str).ok_or(Bad::Invalid)?.to_owned();
        let (info, expires_at) = (info(&claims)?, expiry(&claims, now)?);
        Ok(ChannelToken { user: claims.sub, channel, info, expires_at })
    }

    fn verified(&mut self, token: &str, now: Option<UnixTime>) -> Result<Claims, Bad> {
        let tokens = self.options.tokens.as_ref().ok_or(Bad::Invalid)?;
        let verified = match tokens.keys().and_then(|_| self.hooks.key_set()) {
            Some(keys) => tokens.clone().key_set(keys).verify(token, now),
            None => tokens.verify(token, now),
        };
        verified.map_err(|error| match error {
            TokenError::Expired => Bad::Expired,
            TokenError::UnknownKey if self.hooks.key_is_unknown() => Bad::Later,
            // Not valid yet: a client that is told to fetch a new token would do so without end.
            _ => Bad::Invalid,
        })
    }
}

/// Reads what the backend says of a client instead of a token: the same fields, with the user in `user`.
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

fn channels_of(others: &Map<String, Value>) -> Result<BTreeMap<String, TokenChannel>, Bad> {
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

fn info(claims: &Claims) -> Result<Option<String>, Bad> {
    if let Some(text) = claims.others.get("b64info") {
        let text = text.as_str().and_then(|text| STANDARD.decode(text).ok()).ok_or(Bad::Invalid)?;
        let info: Value = serde_json::from_slice(&text).map_err(|_| Bad::Invalid)?;
        return Ok(Some(info.to_string()));
    }
    Ok(claims.others.get("info").map(Value::to_string))
}

/// Returns when the right that a token gives ends. `expire_at` replaces `exp`, and 0 means never.
fn expiry(claims: &Claims, now: Option<UnixTime>) -> Result<Option<u64>, Bad> {
    match claims.others.get("expire_at") {
        None => Ok(claims.exp),
        Some(at) => match at.as_u64().ok_or(Bad::Invalid)? {
            0 => Ok(None),
            at if now.is_none_or(|now| at <= now.as_secs()) => Err(Bad::Ended),
            at => Ok(Some(at)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Hooks, PubSub, PubSubOptions};
    use crate::kit::auth::{Claims, KeySet, TokenKey, Tokens};
    use crate::testing::TestHub;
    use alloc::format;
    use alloc::sync::Arc;

    /// An application whose set of keys is still empty.
    struct Application {
        is_fetching: bool,
    }

    impl Hooks for Application {
        fn key_set(&mut self) -> Option<Arc<KeySet>> {
            Some(Arc::default())
        }

        fn key_is_unknown(&mut self) -> bool {
            self.is_fetching
        }
    }

    #[test]
    fn client_with_an_unknown_key_tries_again_only_if_the_key_may_come() {
        let token = TokenKey::ed25519(&[9; 32]).sign(&Claims::of("ann")).expect("it signs");
        let connect = format!("{{\"id\":1,\"connect\":{{\"token\":\"{token}\"}}}}");
        for (is_fetching, expected) in [
            (true, r#"{"id":1,"error":{"code":100,"message":"internal server error","temporary":true}}"#),
            (false, r#"{"push":{"disconnect":{"code":3500,"reason":"invalid token"}}}"#),
        ] {
            let tokens = Tokens::of_key_set(Arc::default()).optional_expiry();
            let options = PubSubOptions::default().tokens(Some(tokens));
            let mut hub = TestHub::new(PubSub::new(options, Application { is_fetching }));
            let client = hub.connect();
            hub.line(client, &connect);
            assert_eq!(hub.lines(client), [expected]);
        }
    }
}
