//! Events of the server, and commands of clients.

use super::answer::Answer;
use super::api::TOPIC;
use super::codes::{Disconnect, Failed, Refusal};
use super::command::{Command, Request};
use super::hooks::{Caller, Hooks};
use super::lines;
use super::page;
use super::service::{
    CONNECT_TIMER, EXPIRY_TIMER, HOSTS_TIMER, PING_TIMER, PONG_TIMER, PubSub, SUBSCRIPTION_TIMER, disconnect, fail,
    forget, reply, wake,
};
use super::session::{Phase, Session};
use crate::base::{ConnId, Representation};
use crate::handler::{Event, Handler, Hub, NoNote};
use crate::metrics::Series;
use crate::state::Timer;
use crate::wire::http::Request as HttpRequest;
use alloc::string::String;
use alloc::vec::Vec;

impl<K: Hooks> PubSub<K> {
    /// Handles an event, as [`Handler::on`] does, for any type of notes.
    pub fn on_event<N>(&mut self, hub: &mut Hub<'_, Session>, event: &Event<'_, N>) {
        if self.is_of_backend(hub, event) {
            return;
        }
        match *event {
            Event::Request { conn, request, .. } if self.stream_asked(hub, conn, request) => {}
            Event::Request { listener, request, .. } if page::asked(hub, listener, request) => {}
            Event::Opened { conn, .. } if self.stream_opened(hub, conn) => {}
            Event::Opened { conn, request, .. } => self.opened(hub, conn, request),
            Event::Message { conn, payload } => match payload.as_str() {
                Some(text) => self.said(hub, conn, text),
                None => disconnect(hub, conn, &Disconnect::BAD_REQUEST),
            },
            Event::Timer(Timer { conn: Some(conn), name, key, .. }) => self.timer(hub, conn, name, key),
            Event::Joined { conn, room, position, recovery, missed } => {
                self.joined(hub, conn, room, position, recovery, missed);
            }
            Event::RoomAnswered { request, answer } => self.answered(hub, request, answer),
            Event::RoomGap(gap) => self.gap(hub, gap.conn, gap.room),
            Event::Reconfigured => self.reconfigured(hub),
            Event::PresenceChanged(change) => self.presence_changed(hub, change),
            Event::Draining => {
                let is_client = |conn: &ConnId| !self.backend.as_ref().is_some_and(|backend| backend.has(*conn));
                let all: Vec<ConnId> = hub.connections().filter(is_client).collect();
                all.into_iter().for_each(|conn| disconnect(hub, conn, &Disconnect::SHUTDOWN));
            }
            Event::Closed { conn, .. } => self.closed(hub, conn),
            Event::Request { request, body, .. } => self.called(hub, request, body),
            Event::RequestExpired { ticket, .. } => {
                self.stream_expired(ticket);
                self.call_expired(ticket);
            }
            Event::ShardMessage { from, topic: TOPIC, content } => self.shard_said(hub, from, content),
            Event::HostMessage { from, topic: TOPIC, content } => self.host_said(hub, from, content),
            Event::Timer(Timer { conn: None, name: HOSTS_TIMER, key, .. }) => self.hosts_are_late(hub, key),
            Event::Started => self.started(hub),
            _ => {}
        }
    }

    fn started(&mut self, hub: &mut Hub<'_, Session>) {
        self.uid = hub.random();
        // A reload may add a backend, and counters exist from the start or never.
        let help = "Disconnect notices that the backend of pubsub did not receive.";
        self.lost = hub.register(Series::counter("pubsub_backend_lost_total", help)).ok();
    }

    /// Handles an event of the connections to the backend. Returns `false` for other events.
    fn is_of_backend<N>(&mut self, hub: &mut Hub<'_, Session>, event: &Event<'_, N>) -> bool {
        let Some(backend) = &mut self.backend else { return false };
        let Some(answered) = backend.on_event(hub, event) else { return false };
        let lost = backend.take_lost();
        if let (1.., Some(series)) = (lost, self.lost) {
            hub.increase(series, lost);
        }
        for (number, answer) in answered {
            self.answered_by_backend(hub, number, answer);
        }
        true
    }

    fn opened(&self, hub: &mut Hub<'_, Session>, conn: ConnId, request: Option<&HttpRequest>) {
        let wire = hub.wire_name(conn).unwrap_or_default();
        if let Some(session) = hub.context(conn) {
            session.transport = wire;
        }
        if let (Some(backend), Some(request), Some(session)) = (&self.options.backend, request, hub.context(conn)) {
            let values =
                |name: &String| request.fields(name).map(|value| (name.clone(), value.into())).collect::<Vec<_>>();
            session.passed = backend.passed_fields.iter().flat_map(values).collect();
        }
        if wire == "websocket" {
            wake(hub, conn, CONNECT_TIMER, self.options.connect_timeout);
        }
    }

    /// Handles a message: commands of the protocol, or a line of a person.
    fn said(&mut self, hub: &mut Hub<'_, Session>, conn: ConnId, text: &str) {
        let is_websocket = hub.wire_name(conn) == Some("websocket");
        let Some(session) = hub.context(conn) else { return };
        match session.phase {
            Phase::Over | Phase::Stream(_) => {}
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
        let most = self.options.commands_max();
        for (number, line) in text.split('\n').enumerate() {
            let is_fine = number < most && self.command(hub, conn, line, most);
            if !is_fine {
                return disconnect(hub, conn, &Disconnect::BAD_REQUEST);
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
        if let Some(session) = hub.context(conn)
            && session.is_asking()
            && line != "{}"
        {
            return self.keep_command(session, line);
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
            Err(Failed::Waits) => {
                return hub.context(conn).is_none_or(|session| self.keep_command(session, line));
            }
            Err(failed) => fail(hub, conn, id, &failed),
        }
        true
    }

    /// Runs a command that has waited for the backend, or for the command before it.
    pub(super) fn run_line(&mut self, hub: &mut Hub<'_, Session>, conn: ConnId, line: &str) {
        if hub.context(conn).is_some_and(|session| matches!(session.phase, Phase::Lines)) {
            lines::said(self, hub, conn, line);
        } else if !self.command(hub, conn, line, self.options.commands_max()) {
            disconnect(hub, conn, &Disconnect::BAD_REQUEST);
        }
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
            CONNECT_TIMER => disconnect(hub, conn, &Disconnect::STALE),
            // While the server waits for the backend, it does not read what the client answers.
            PONG_TIMER if hub.context(conn).is_some_and(|session| session.is_asking()) => {
                wake(hub, conn, PONG_TIMER, self.options.pong_timeout);
            }
            PONG_TIMER => disconnect(hub, conn, &Disconnect::NO_PONG),
            EXPIRY_TIMER => disconnect(hub, conn, &Disconnect::EXPIRED),
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
        if let Some(asking) = &session.asking {
            self.questions.remove(&asking.number);
        }
        if session.client.is_empty() {
            return;
        }
        forget(&mut self.clients, &session.user, conn);
        self.hooks.disconnected(Caller { client: &session.client, user: &session.user });
        if self.options.backend.as_ref().is_some_and(|backend| backend.disconnect) {
            let (json, passed) = (session.about().end(), core::mem::take(&mut session.passed));
            if let Some(backend) = &mut self.backend {
                backend.tell(hub, "/disconnect", &passed, &json);
            }
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
