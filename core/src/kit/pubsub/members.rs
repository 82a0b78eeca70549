//! What homes tell of the subscribers of channels.

use super::answer::{Answer, Subscribed};
use super::codes::{Disconnect, Refusal, Unsubscribe};
use super::hooks::Hooks;
use super::json::Object;
use super::publication::{kept, push};
use super::rules::ChannelRules;
use super::service::{PubSub, disconnect, fail, reply};
use super::session::{Phase, Session, State};
use super::stream_output;
use super::timing::seconds_until;
use crate::base::text::neutralize;
use crate::base::{ConnId, Outgoing, OutgoingBuf};
use crate::handler::{Hub, PresenceChange};
use crate::history::{Position, Recovery};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

impl<K: Hooks> PubSub<K> {
    /// Answers a subscription, whose home has told what the client missed.
    pub(super) fn joined(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        channel: &str,
        position: Option<Position>,
        recovery: Recovery,
        missed: &[(Position, OutgoingBuf)],
    ) {
        let Some(session) = hub.context(conn) else { return };
        let is_connecting = matches!(session.phase, Phase::Connecting(_));
        // A reload may have removed the home or the history since the client joined.
        let has_history = self.options.channels.rules(channel).is_ok_and(ChannelRules::has_history);
        let has_position = position.is_some() && has_history;
        let Some(subscription) = session.subscriptions.get_mut(channel) else { return };
        let State::Waiting { id, recover, wants_error } = core::mem::replace(&mut subscription.state, State::Live)
        else {
            return;
        };
        if !has_position {
            (subscription.grant.positioned, subscription.grant.recoverable) = (false, false);
        }
        let (grant, data, expires_at) = (subscription.grant, subscription.data.clone(), subscription.expires_at);
        let is_recovered = has_position && matches!(recovery, Recovery::Recovered { .. });
        if recover.is_some() && !is_recovered && wants_error {
            self.end_subscription(hub, conn, channel);
            return fail(hub, conn, id, &Refusal::UNRECOVERABLE.into());
        }
        if grant.join_leave && !is_connecting {
            self.told.entry(channel.into()).or_default().insert(conn);
        }
        let ttl = expires_at.map(|at| seconds_until(hub, at));
        let (channel, missed) = (channel.into(), if is_recovered { missed.to_vec() } else { Vec::new() });
        let subscribed = Subscribed { channel, grant, position, wanted: recover, is_recovered, missed, data, ttl };
        if id > 0 {
            return reply(hub, conn, id, &Answer::Subscribed(subscribed));
        }
        if let Some(Session { phase: Phase::Connecting(connecting), .. }) = hub.context(conn) {
            connecting.waiting = connecting.waiting.saturating_sub(1);
            connecting.positions.extend(position.map(|position| (subscribed.channel.clone(), position)));
        }
        self.begun_by_server(hub, conn, subscribed);
    }

    /// Notifies a client of a subscription by the server: in the reply to `connect` if the client waits for it,
    /// otherwise by a push.
    pub(super) fn begun_by_server(&mut self, hub: &mut Hub<'_, Session>, conn: ConnId, subscribed: Subscribed) {
        let Some(session) = hub.context(conn) else { return };
        if let Phase::Connecting(connecting) = &mut session.phase {
            let json = subscribed.json();
            connecting.subs.insert(subscribed.channel, json);
            return self.connected(hub, conn);
        }
        let json = push(&subscribed.channel, "subscribe", &subscribed.pushed());
        let text = format!("* you see {}", neutralize(&subscribed.channel));
        hub.send(conn, Outgoing::Negotiated { json: &json, text: &text });
        for (position, message) in &subscribed.missed {
            let json = push(&subscribed.channel, "pub", &kept(*position, message));
            let payload = message.as_outgoing().as_payload(crate::base::Representation::Text);
            let text = payload.as_str().unwrap_or_default();
            hub.send(conn, Outgoing::Negotiated { json: &json, text });
        }
    }

    /// Makes clients that may have missed messages subscribe again, which tells them what they missed.
    pub(super) fn gap(&mut self, hub: &mut Hub<'_, Session>, conn: Option<ConnId>, channel: &str) {
        let members: Vec<ConnId> = match conn {
            Some(conn) => [conn].into(),
            None => hub.members(channel).collect(),
        };
        for conn in members {
            let Some(session) = hub.context(conn) else { continue };
            // The client of a stream takes a later position to mean that it has all earlier messages.
            let is_stream = session.stream().is_some();
            let found = session.subscriptions.get(channel).filter(|found| found.state == State::Live);
            let Some(found) = found.filter(|found| found.grant.positioned || is_stream) else { continue };
            if found.is_of_server {
                disconnect(hub, conn, &Disconnect::INSUFFICIENT_STATE);
            } else {
                self.unsubscribed_by_server(hub, conn, channel, Unsubscribe::INSUFFICIENT_STATE);
            }
        }
    }

    /// Ends the subscriptions with a position in channels whose history a reload has removed.
    pub(super) fn reconfigured(&mut self, hub: &mut Hub<'_, Session>) {
        let all: Vec<ConnId> = hub.connections().collect();
        for conn in all {
            let Some(session) = hub.context(conn) else { continue };
            let positioned = session.subscriptions.iter().filter(|(_, found)| found.grant.positioned);
            let channels: Vec<String> = positioned.map(|(channel, _)| channel.clone()).collect();
            for channel in channels {
                let has_history = self.options.channels.rules(&channel).is_ok_and(ChannelRules::has_history);
                if !has_history || hub.room_options(&channel).is_none() {
                    self.gap(hub, Some(conn), &channel);
                }
            }
        }
    }

    /// Ends a subscription whose right has expired.
    pub(super) fn subscription_expired(&mut self, hub: &mut Hub<'_, Session>, conn: ConnId, number: u64) {
        let Some(session) = hub.context(conn) else { return };
        let found = session.subscriptions.iter().find(|(_, found)| found.number == number);
        let Some((channel, found)) = found.map(|(channel, found)| (channel.clone(), found)) else { return };
        if found.is_of_server {
            disconnect(hub, conn, &Disconnect::SUBSCRIPTION_EXPIRED);
        } else {
            self.unsubscribed_by_server(hub, conn, &channel, Unsubscribe::EXPIRED);
        }
    }

    /// Ends a subscription, and notifies its client. A stream of events ends with it.
    pub(super) fn unsubscribed_by_server(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        channel: &str,
        why: Unsubscribe,
    ) {
        if hub.context(conn).is_some_and(|session| session.stream().is_some()) {
            // The stream has no other channel. Its client may come back, depending on the code.
            let why = match why {
                Unsubscribe::INSUFFICIENT_STATE => Disconnect::INSUFFICIENT_STATE,
                Unsubscribe::EXPIRED => Disconnect::SUBSCRIPTION_EXPIRED,
                _ => Disconnect::FORCED,
            };
            return disconnect(hub, conn, &why);
        }
        match self.end_subscription(hub, conn, channel) {
            // The command still needs a reply. After this error, the client does not try again.
            Some(State::Waiting { id: id @ 1.., .. }) => {
                return fail(hub, conn, id, &Refusal::PERMISSION_DENIED.into());
            }
            Some(State::Waiting { .. }) => {
                if let Some(Session { phase: Phase::Connecting(connecting), .. }) = hub.context(conn) {
                    connecting.waiting = connecting.waiting.saturating_sub(1);
                    return self.connected(hub, conn);
                }
            }
            _ => {}
        }
        let json = Object::new().number("code", why.code.into()).text("reason", why.reason).end();
        let text = format!("* you see {} no longer: {}", neutralize(channel), why.reason);
        let json = push(channel, "unsubscribe", &json);
        hub.send(conn, Outgoing::Negotiated { json: &json, text: &text });
    }

    /// Sends a join or a leave to the subscribers that get them.
    pub(super) fn presence_changed(&self, hub: &mut Hub<'_, Session>, change: PresenceChange<'_>) {
        let Some(told) = self.told.get(change.room) else { return };
        let is_stream = |conn: &ConnId| hub.wire_name(*conn) == Some("events");
        let (streams, told): (Vec<ConnId>, Vec<ConnId>) = told.iter().copied().partition(is_stream);
        let info = change.info.unwrap_or("{}");
        let (kind, verb) = if change.is_present { ("join", "has come") } else { ("leave", "has gone") };
        let json = Object::new().raw("info", info).end();
        streams.into_iter().for_each(|conn| stream_output::presence(hub, conn, kind, &json));
        let json = push(change.room, kind, &json);
        let text = format!("[{}] * {} {verb}", neutralize(change.room), super::answer::shown_user(info));
        hub.send_each(&told, Outgoing::Negotiated { json: &json, text: &text });
    }
}
