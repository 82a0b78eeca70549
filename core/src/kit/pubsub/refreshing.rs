//! Tokens that are replaced before they expire.

use super::answer::Answer;
use super::codes::{Disconnect, Failed, Refusal};
use super::command::SubRefresh;
use super::hooks::Hooks;
use super::json::Object;
use super::service::{EXPIRY_TIMER, PubSub, SUBSCRIPTION_TIMER};
use super::session::Session;
use super::timing::{expire_at, seconds_until};
use crate::base::ConnId;
use crate::handler::Hub;
use crate::state::Timer;
use alloc::string::String;

impl<K: Hooks> PubSub<K> {
    pub(super) fn refresh(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        token: &str,
    ) -> Result<Option<Answer>, Failed> {
        if token.is_empty() {
            return Err(Disconnect::BAD_REQUEST.into());
        }
        let token = self.connection_token(token, hub.unix_time());
        let token = token.map_err(|bad| bad.of_refresh(Disconnect::EXPIRED))?;
        let Some(session) = hub.context(conn) else { return Ok(None) };
        if token.user != session.user {
            return Err(Disconnect::INVALID_TOKEN.into());
        }
        (session.info, session.expires_at) = (token.info, token.expires_at);
        let client = session.client.clone();
        expire_at(hub, Timer::of(conn, EXPIRY_TIMER), token.expires_at);
        let result = Object::new().text("client", &client);
        Ok(Some(Answer::Json("refresh", until(hub, result, token.expires_at))))
    }

    pub(super) fn sub_refresh(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        refresh: &SubRefresh<'_>,
    ) -> Result<Option<Answer>, Failed> {
        if refresh.token.is_empty() {
            return Err(Refusal::BAD_REQUEST.into());
        }
        let token = self.channel_token(&refresh.token, hub.unix_time());
        let token = token.map_err(|bad| bad.of_refresh(Disconnect::SUBSCRIPTION_EXPIRED))?;
        let channel: String =
            if refresh.channel.is_empty() { token.channel.clone() } else { (*refresh.channel).into() };
        let Some(session) = hub.context(conn) else { return Ok(None) };
        if token.user != session.user || token.channel != channel {
            return Err(Disconnect::INVALID_TOKEN.into());
        }
        let Some(found) = session.subscriptions.get_mut(&channel) else {
            return Err(Refusal::PERMISSION_DENIED.into());
        };
        (found.info, found.expires_at) = (token.info, token.expires_at);
        let timer = Timer::of(conn, SUBSCRIPTION_TIMER).keyed(found.number);
        expire_at(hub, timer, token.expires_at);
        Ok(Some(Answer::Json("sub_refresh", until(hub, Object::new(), token.expires_at))))
    }
}

/// Returns a result that says how long a right lasts, if it ends.
fn until(hub: &Hub<'_, Session>, result: Object, expires_at: Option<u64>) -> String {
    match expires_at {
        Some(at) => result.flag("expires", true).number("ttl", seconds_until(hub, at)).end(),
        None => result.end(),
    }
}
