//! The methods for the connections of a user.

use super::channels::not_available;
use crate::base::ConnId;
use crate::handler::Hub;
use crate::kit::compact_json::compact;
use crate::kit::pubsub::codes::{Disconnect, Refusal, Unsubscribe, bad};
use crate::kit::pubsub::fields::Fields;
use crate::kit::pubsub::hooks::Hooks;
use crate::kit::pubsub::json::Object;
use crate::kit::pubsub::service::{EXPIRY_TIMER, PubSub, disconnect};
use crate::kit::pubsub::session::{Phase, Session};
use crate::kit::pubsub::subscribing::{Begin, Begun, position};
use crate::kit::pubsub::timing::{expire_at, seconds_until};
use crate::state::Timer;
use alloc::format;
use alloc::vec::Vec;

impl<K: Hooks> PubSub<K> {
    /// Runs a method on the connections of a user on this worker. Returns the number of those that it concerned.
    pub(super) fn do_to_clients(
        &mut self,
        hub: &mut Hub<'_, Session>,
        method: &str,
        fields: &Fields<'_>,
    ) -> Result<u64, Refusal> {
        let targets = self.targets(hub, fields)?;
        let count = targets.len() as u64;
        match method {
            "subscribe" => self.subscribe_clients(hub, &targets, fields)?,
            "unsubscribe" => {
                let channel = fields.text("channel")?;
                self.options.channels.rules(&channel)?;
                targets.iter().for_each(|conn| self.unsubscribe_client(hub, *conn, &channel));
            }
            "disconnect" => return disconnect_clients(hub, &targets, fields),
            "refresh" => refresh_clients(hub, &targets, fields)?,
            _ => return Err(Refusal::METHOD_NOT_FOUND),
        }
        Ok(count)
    }

    /// Returns the connections of a user on this worker. With `client`, only the one with this identifier.
    ///
    /// # Errors
    /// If neither `user` nor `client` is set.
    fn targets(&self, hub: &mut Hub<'_, Session>, fields: &Fields<'_>) -> Result<Vec<ConnId>, Refusal> {
        let (user, client) = (fields.text("user")?, fields.text("client")?);
        // Otherwise, it would mean all anonymous clients.
        if user.is_empty() && client.is_empty() {
            return Err(bad("user must not be empty"));
        }
        // This server has no sessions, so no connection matches one.
        let has_session = !fields.text("session")?.is_empty();
        let of_user = self.clients.get(&user).filter(|_| !has_session);
        let mut found: Vec<ConnId> = of_user.into_iter().flatten().copied().collect();
        found.retain(|conn| {
            hub.context(*conn).is_some_and(|session| {
                matches!(session.phase, Phase::Connecting(_) | Phase::Connected | Phase::Lines | Phase::Stream(_))
                    && (client.is_empty() || session.client == client)
            })
        });
        Ok(found)
    }

    fn subscribe_clients(
        &mut self,
        hub: &mut Hub<'_, Session>,
        targets: &[ConnId],
        fields: &Fields<'_>,
    ) -> Result<(), Refusal> {
        let channel = fields.text("channel")?;
        self.options.channels.rules(&channel)?;
        if fields.raw("override").is_some() {
            return Err(not_available("override"));
        }
        let json = |name| fields.raw(name).map(|json| compact(json).ok_or_else(|| bad("a field is nested too deeply")));
        let (info, data) = (json("info").transpose()?, json("data").transpose()?);
        let since = fields.position("recover_since")?;
        let recover = since.map(|(epoch, offset)| position(&epoch, offset));
        let expires_at = fields.number("expire_at")?.filter(|at| *at > 0);
        let mut done = Ok(());
        // A stream of events has one channel.
        let is_stream = |conn: &&ConnId| hub.wire_name(**conn) == Some("events");
        let targets: Vec<ConnId> = targets.iter().filter(|conn| !is_stream(conn)).copied().collect();
        for conn in &targets {
            let (info, data) = (info.clone(), data.clone());
            let asked = Begin { info, data, expires_at, ..Begin::of_server(&channel, recover) };
            match self.begin(hub, *conn, asked) {
                Ok(Begun::Live(subscribed)) => self.begun_by_server(hub, *conn, subscribed),
                Ok(Begun::Waits) => {
                    // The reply to `connect` contains the subscription.
                    if let Some(Session { phase: Phase::Connecting(connecting), .. }) = hub.context(*conn) {
                        connecting.waiting += 1;
                    }
                }
                Err(refusal) if refusal == Refusal::ALREADY_SUBSCRIBED => {}
                Err(refusal) => done = Err(refusal),
            }
        }
        done
    }

    fn unsubscribe_client(&mut self, hub: &mut Hub<'_, Session>, conn: ConnId, channel: &str) {
        let is_subscribed = |session: &mut Session| session.subscriptions.contains_key(channel);
        if hub.context(conn).is_some_and(is_subscribed) {
            self.unsubscribed_by_server(hub, conn, channel, Unsubscribe::BY_SERVER);
        }
    }
}

fn disconnect_clients(hub: &mut Hub<'_, Session>, targets: &[ConnId], fields: &Fields<'_>) -> Result<u64, Refusal> {
    let spared = fields.texts("whitelist")?;
    let why = match fields.object("disconnect")? {
        None => Disconnect::FORCED,
        Some(of) => Disconnect::of_backend(of.number("code")?.unwrap_or(0), of.text("reason")?)?,
    };
    let mut ended = 0;
    for conn in targets {
        if hub.context(*conn).is_some_and(|session| !spared.contains(&session.client)) {
            disconnect(hub, *conn, &why);
            ended += 1;
        }
    }
    Ok(ended)
}

fn refresh_clients(hub: &mut Hub<'_, Session>, targets: &[ConnId], fields: &Fields<'_>) -> Result<(), Refusal> {
    let is_expired = fields.flag("expired")?;
    let expires_at = fields.number("expire_at")?.filter(|at| *at > 0);
    let info = fields.raw("info").map(|json| compact(json).ok_or_else(|| bad("info is nested too deeply")));
    let info = info.transpose()?;
    for conn in targets {
        if is_expired {
            disconnect(hub, *conn, &Disconnect::EXPIRED);
            continue;
        }
        let ttl = expires_at.map(|at| seconds_until(hub, at));
        let Some(session) = hub.context(*conn) else { continue };
        session.expires_at = expires_at;
        if info.is_some() {
            session.info.clone_from(&info);
        }
        let is_protocol = matches!(session.phase, Phase::Connected);
        expire_at(hub, Timer::of(*conn, EXPIRY_TIMER), expires_at);
        if is_protocol {
            let json = ttl.map_or_else(Object::new, |ttl| Object::new().flag("expires", true).number("ttl", ttl)).end();
            hub.send(*conn, &format!("{{\"push\":{{\"refresh\":{json}}}}}"));
        }
    }
    Ok(())
}
