//! Events of the server, and commands of clients.

use super::answer::Answer;
use super::api::TOPIC;
use super::codes::{Disconnect, Failed, Refusal};
use super::command::{Command, Request};
use super::hooks::{Caller, Hooks};
use super::lines;
use super::service::{
    CONNECT_TIMER, EXPIRY_TIMER, PING_TIMER, PONG_TIMER, PubSub, SUBSCRIPTION_TIMER, disconnect, fail, forget, reply,
    wake,
};
use super::session::{Phase, Session};
use crate::base::{ConnId, Representation};
use crate::handler::{Event, Handler, Hub, NoNote};
use crate::state::Timer;
use alloc::vec::Vec;

/// Number of commands in a message besides one for each channel.
const COMMANDS: usize = 64;

impl<K: Hooks> PubSub<K> {
    /// Handles an event, as [`Handler::on`] does, for any type of notes.
    pub fn on_event<N>(&mut self, hub: &mut Hub<'_, Session>, event: &Event<'_, N>) {
        match *event {
            Event::Opened { conn, .. } => self.opened(hub, conn),
            Event::Message { conn, payload } => match payload.as_str() {
                Some(text) => self.said(hub, conn, text),
                None => disconnect(hub, conn, Disconnect::BAD_REQUEST),
            },
            Event::Timer(Timer { conn: Some(conn), name, key, .. }) => self.timer(hub, conn, name, key),
            Event::Joined { conn, room, position, recovery, missed } => {
                self.joined(hub, conn, room, position, recovery, missed);
            }
            Event::RoomAnswered { request, answer } => self.answered(hub, request, answer),
            Event::RoomGap(gap) => self.gap(hub, gap.conn, gap.room),
            Event::PresenceChanged(change) => self.presence_changed(hub, change),
            Event::Draining => {
                let all: Vec<ConnId> = hub.connections().collect();
                all.into_iter().for_each(|conn| disconnect(hub, conn, Disconnect::SHUTDOWN));
            }
            Event::Closed { conn, .. } => self.closed(hub, conn),
            Event::Request { request, body, .. } => self.called(hub, request, body),
            Event::RequestExpired { ticket, .. } => self.call_expired(ticket),
            Event::ShardMessage { from, topic: TOPIC, content } => self.from_shard(hub, from, content),
            Event::Started => self.uid = hub.random(),
            _ => {}
        }
    }

    fn opened(&self, hub: &mut Hub<'_, Session>, conn: ConnId) {
        if hub.wire_name(conn) == Some("websocket") {
            wake(hub, conn, CONNECT_TIMER, self.options.connect_timeout);
        }
    }

    /// Handles a message: commands of the protocol, or a line of a person.
    fn said(&mut self, hub: &mut Hub<'_, Session>, conn: ConnId, text: &str) {
        let is_websocket = hub.wire_name(conn) == Some("websocket");
        let Some(session) = hub.context(conn) else { return };
        match session.phase {
            Phase::Over => {}
            Phase::New if !is_websocket && !text.trim_ascii_start().starts_with('{') => {
                session.phase = Phase::Lines;
                hub.set_representation(conn, Representation::Text);
                lines::begin(self, hub, conn);
                lines::said(self, hub, conn, text);
            }
            Phase::Lines => lines::said(self, hub, conn, text),
            Phase::New | Phase::Refused | Phase::Connecting(_) | Phase::Connected => self.batch(hub, conn, text),
        }
    }

    fn batch(&mut self, hub: &mut Hub<'_, Session>, conn: ConnId, text: &str) {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let most = self.options.channels_max as usize + COMMANDS;
        for (number, line) in text.split('\n').enumerate() {
            let is_fine = number < most && self.command(hub, conn, line, most);
            if !is_fine {
                return disconnect(hub, conn, Disconnect::BAD_REQUEST);
            }
        }
    }

    /// Runs a command, or keeps it until the client is connected. Returns `false` if it is none, or too many wait.
    pub(super) fn command(&mut self, hub: &mut Hub<'_, Session>, conn: ConnId, line: &str, most: usize) -> bool {
        match hub.context(conn).map(|session| &mut session.phase) {
            None | Some(Phase::Over) => return true,
            Some(Phase::Connecting(connecting)) => {
                let fits = connecting.commands.len() < most;
                connecting.commands.push(line.into());
                return fits;
            }
            Some(_) => {}
        }
        // Otherwise, an array would be read as the fields of a command in their order.
        if !line.trim_ascii_start().starts_with('{') {
            return false;
        }
        let Ok(command) = serde_json::from_str::<Command<'_>>(line) else { return false };
        let (id, request) = command.into_request();
        match self.run(hub, conn, id, request) {
            Ok(Some(answer)) => reply(hub, conn, id, &answer),
            Ok(None) => {}
            Err(failed) => fail(hub, conn, id, &failed),
        }
        true
    }

    /// Runs a command. `None`: there is no answer, or it follows.
    fn run(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        id: u32,
        request: Request<'_>,
    ) -> Result<Option<Answer>, Failed> {
        let Some(session) = hub.context(conn) else { return Ok(None) };
        let is_connect = matches!(request, Request::Connect(_));
        let has_id = id > 0 || matches!(request, Request::Send(_) | Request::Pong);
        let is_refused = matches!(session.phase, Phase::Refused);
        if is_refused || is_connect != matches!(session.phase, Phase::New) || !has_id {
            return Err(Disconnect::BAD_REQUEST.into());
        }
        match request {
            Request::Connect(connect) => self.connect(hub, conn, id, &connect),
            Request::Subscribe(subscribe) => self.subscribe(hub, conn, id, &subscribe),
            Request::Unsubscribe(of) => Ok(Some(self.unsubscribe(hub, conn, &of.channel))),
            Request::Publish(publish) => self.publish(hub, conn, id, &publish),
            Request::Presence(of) => self.presence(hub, conn, id, &of.channel, false),
            Request::PresenceStats(of) => self.presence(hub, conn, id, &of.channel, true),
            Request::History(history) => self.history(hub, conn, id, &history),
            Request::Rpc(rpc) => self.rpc(hub, conn, &rpc),
            Request::Send(send) => self.message(hub, conn, &send),
            Request::Refresh(refresh) => self.refresh(hub, conn, &refresh.token),
            Request::SubRefresh(refresh) => self.sub_refresh(hub, conn, &refresh),
            Request::Ping => Err(Refusal::NOT_AVAILABLE.into()),
            Request::Pong => self.pong(hub, conn),
            Request::Unknown => Err(Refusal::BAD_REQUEST.into()),
        }
    }

    /// Handles the answer to a ping.
    fn pong(&self, hub: &mut Hub<'_, Session>, conn: ConnId) -> Result<Option<Answer>, Failed> {
        let Some(session) = hub.context(conn) else { return Ok(None) };
        if !core::mem::take(&mut session.owes_pong) && !self.options.pong_timeout.is_zero() {
            return Err(Disconnect::BAD_REQUEST.into());
        }
        hub.cancel(Timer::of(conn, PONG_TIMER));
        Ok(None)
    }

    fn timer(&mut self, hub: &mut Hub<'_, Session>, conn: ConnId, name: &'static str, key: u64) {
        match name {
            CONNECT_TIMER => disconnect(hub, conn, Disconnect::STALE),
            PONG_TIMER => disconnect(hub, conn, Disconnect::NO_PONG),
            EXPIRY_TIMER => disconnect(hub, conn, Disconnect::EXPIRED),
            SUBSCRIPTION_TIMER => self.subscription_expired(hub, conn, key),
            PING_TIMER => {
                hub.send(conn, "{}");
                wake(hub, conn, PING_TIMER, self.options.ping_interval);
                let pong_timeout = self.options.pong_timeout;
                if let Some(session) = hub.context(conn).filter(|_| !pong_timeout.is_zero())
                    && !core::mem::replace(&mut session.owes_pong, true)
                {
                    wake(hub, conn, PONG_TIMER, pong_timeout);
                }
            }
            _ => {}
        }
    }

    fn closed(&mut self, hub: &mut Hub<'_, Session>, conn: ConnId) {
        let Some(session) = hub.context(conn) else { return };
        for channel in session.subscriptions.keys() {
            forget(&mut self.told, channel, conn);
        }
        if !session.client.is_empty() {
            forget(&mut self.clients, &session.user, conn);
            self.hooks.disconnected(Caller { client: &session.client, user: &session.user });
        }
    }
}

impl<K: Hooks> Handler for PubSub<K> {
    type Context = Session;
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, Session>, event: Event<'_, NoNote>) {
        self.on_event(hub, &event);
    }

    fn holds_secrets(&self) -> bool {
        true
    }

    fn reads_keys(&self) -> bool {
        false
    }
}
