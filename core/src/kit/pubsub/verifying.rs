//! Verifies the tokens of clients with the current keys.

use super::hooks::Hooks;
use super::service::PubSub;
use super::tokens::{Bad, ChannelToken, ConnectionToken, channels_of, expiry, info};
use crate::base::UnixTime;
use crate::kit::auth::{Claims, TokenError};
use alloc::borrow::ToOwned;
use serde_json::Value;

impl<K: Hooks> PubSub<K> {
    /// Verifies the token of a connection.
    pub(super) fn connection_token(&mut self, token: &str, now: Option<UnixTime>) -> Result<ConnectionToken, Bad> {
        let claims = self.verified(token, now)?;
        // A channel token must not admit a connection.
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

#[cfg(test)]
mod tests {
    use super::super::{Hooks, PubSub, PubSubOptions};
    use crate::kit::auth::{KeySet, Tokens};
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
        // It has a `kid`.
        let token = include_str!("../auth/vectors/tokens.txt").lines().next().expect("a token");
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
