//! How a client connects.

use super::answer::Answer;
use super::codes::{Disconnect, Failed, Refusal};
use super::command::{Connect, Known};
use super::hooks::{self, Hooks};
use super::json::Object;
use super::service::{CONNECT_TIMER, EXPIRY_TIMER, PING_TIMER, PubSub, disconnect, fail, forget, wake};
use super::session::{Connecting, Phase, Session};
use super::subscribing::{Begin, Begun, position};
use super::timing::{expire_at, seconds_until};
use super::tokens::{self, Bad, ConnectionToken, TokenChannel};
use crate::base::{ConnId, Identity, Representation};
use crate::handler::Hub;
use crate::history::Position;
use crate::state::Timer;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

impl<K: Hooks> PubSub<K> {
    /// Admits a client. The answer follows once it has the subscriptions of the server.
    pub(super) fn connect(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        id: u32,
        connect: &Connect<'_>,
    ) -> Result<Option<Answer>, Failed> {
        let done = self.begin_session(hub, conn, id, connect);
        if let Err(Failed::Refused(_)) = &done {
            self.refused(hub, conn);
        }
        done
    }

    /// Ends the session of a client whose `connect` is refused.
    fn refused(&mut self, hub: &mut Hub<'_, Session>, conn: ConnId) {
        let Some(session) = hub.context(conn) else { return };
        session.phase = Phase::Refused;
        let channels: Vec<String> = session.subscriptions.keys().cloned().collect();
        for channel in channels {
            self.end_subscription(hub, conn, &channel);
        }
        // The client should end the connection itself.
        wake(hub, conn, CONNECT_TIMER, self.options.connect_timeout);
    }

    fn begin_session(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        id: u32,
        connect: &Connect<'_>,
    ) -> Result<Option<Answer>, Failed> {
        let admitted = self.admit(hub, conn, connect)?;
        let data = admitted.data.clone();
        hub.set_representation(conn, Representation::Json);
        let channels = self.admitted(hub, conn, admitted);
        let (mut waiting, mut later) = (0, Vec::new());
        for (channel, of_token) in channels {
            let known = connect.subs.get(&channel).cloned().unwrap_or_default();
            if hub.room_options(&channel).is_none() {
                later.push((channel, of_token, known.recover));
                continue;
            }
            if let Begun::Waits = self.subscribe_for_server(hub, conn, &channel, &of_token, &known)? {
                waiting += 1;
            }
        }
        if let Some(session) = hub.context(conn) {
            let (subs, positions, commands) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
            session.phase = Phase::Connecting(Connecting { id, data, waiting, subs, positions, later, commands });
        }
        self.connected(hub, conn);
        Ok(None)
    }

    /// Decides who the client is.
    pub(super) fn admit(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        connect: &Connect<'_>,
    ) -> Result<ConnectionToken, Failed> {
        let now = hub.unix_time();
        if !connect.token.is_empty() {
            return self.connection_token(&connect.token, now).map_err(Bad::of_connection);
        }
        let data = connect.data.map(serde_json::value::RawValue::get);
        if self.options.backend.as_ref().is_some_and(|backend| backend.connect)
            && let Some(admitted) = self.admit_by_backend(hub, conn, connect)?
        {
            return Ok(admitted);
        }
        let request = hooks::Connecting { data, name: &connect.name, version: &connect.version };
        // A stream of events is admitted before its connection is open.
        let certified = hub.secured(conn).and_then(|secured| secured.user.as_deref());
        let user = match self.hooks.connect(&request)? {
            Some(user) => user,
            None => match hub.identity(conn).map(|identity| &*identity.user).or(certified) {
                Some(user) => user.to_string(),
                None if self.options.allow_anonymous => String::new(),
                None => return Err(Disconnect::BAD_REQUEST.into()),
            },
        };
        Ok(ConnectionToken { user, ..ConnectionToken::default() })
    }

    /// Asks the backend who a client is. `None`: the backend gives no result.
    fn admit_by_backend(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        connect: &Connect<'_>,
    ) -> Result<Option<ConnectionToken>, Failed> {
        let client = new_client(hub.random(), hub.random());
        if let Some(session) = hub.context(conn) {
            session.next_client.get_or_insert(client);
        }
        let channels: Vec<String> = connect.subs.keys().cloned().collect();
        let json = self.ask_backend(hub, conn, "/connect", |session| {
            let about = session.about().optional("data", connect.data.map(serde_json::value::RawValue::get));
            let about = about.text("name", &connect.name).text("version", &connect.version);
            about.raw("channels", &serde_json::to_string(&channels).unwrap_or_default())
        })?;
        if json.is_empty() {
            return Ok(None);
        }
        let token = tokens::given(&json, hub.unix_time()).map_err(|_| Refusal::INTERNAL)?;
        Ok(Some(token))
    }

    /// Begins the session of a client, and returns the channels to which the server subscribes it.
    pub(super) fn admitted(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        admitted: ConnectionToken,
    ) -> BTreeMap<String, TokenChannel> {
        let ConnectionToken { user, info, expires_at, mut channels, .. } = admitted;
        let client = new_client(hub.random(), hub.random());
        if self.options.personal_channels && !user.is_empty() {
            channels.entry(format!("#{user}")).or_default();
        }
        // The log and the monitor then name the user.
        if !user.is_empty() && hub.identity(conn).is_none() {
            hub.identify(conn, Identity::user(&user));
        }
        if let Some(session) = hub.context(conn) {
            if !session.client.is_empty() {
                forget(&mut self.clients, &session.user, conn);
            }
            self.clients.entry(user.clone()).or_default().insert(conn);
            let client = session.next_client.take().unwrap_or(client);
            (session.client, session.user, session.info, session.expires_at) = (client, user, info, expires_at);
        }
        hub.cancel(Timer::of(conn, CONNECT_TIMER));
        expire_at(hub, Timer::of(conn, EXPIRY_TIMER), expires_at);
        channels
    }

    fn subscribe_for_server(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        channel: &str,
        of_token: &TokenChannel,
        known: &Known<'_>,
    ) -> Result<Begun, Failed> {
        let recover = known.recover.then(|| position(&known.epoch, known.offset));
        let (info, data) = (&of_token.info, &of_token.data);
        let asked = Begin {
            info: info.as_ref().map(ToString::to_string),
            data: data.as_ref().map(ToString::to_string),
            ..Begin::of_server(channel, recover)
        };
        self.begin(hub, conn, asked).map_err(|refusal| match refusal {
            refusal if refusal == Refusal::LIMIT_EXCEEDED => Disconnect::CHANNEL_LIMIT.into(),
            refusal => refusal.into(),
        })
    }

    /// Subscribes a client to the channels without a home, once it waits for no home. Returns `true` if it waits for
    /// none afterwards.
    fn begin_later(&mut self, hub: &mut Hub<'_, Session>, conn: ConnId) -> Result<bool, Failed> {
        let Some(Session { phase: Phase::Connecting(connecting), .. }) = hub.context(conn) else { return Ok(false) };
        if connecting.waiting > 0 {
            return Ok(false);
        }
        for (channel, of_token, recover) in core::mem::take(&mut connecting.later) {
            // Without a home, the channel has no positions.
            let known = Known { recover, ..Known::default() };
            let begun = self.subscribe_for_server(hub, conn, &channel, &of_token, &known)?;
            if let Some(Session { phase: Phase::Connecting(connecting), .. }) = hub.context(conn) {
                match begun {
                    Begun::Live(subscribed) => drop(connecting.subs.insert(channel, subscribed.json())),
                    // A reload has given it a home.
                    Begun::Waits => connecting.waiting += 1,
                }
            }
        }
        let waits = |session: &mut Session| matches!(&session.phase, Phase::Connecting(of) if of.waiting > 0);
        Ok(!hub.context(conn).is_some_and(waits))
    }

    /// Answers a client that has connected, once it has the subscriptions of the server.
    pub(super) fn connected(&mut self, hub: &mut Hub<'_, Session>, conn: ConnId) {
        let Some(Session { phase: Phase::Connecting(Connecting { id, .. }), .. }) = hub.context(conn) else { return };
        let id = *id;
        match self.begin_later(hub, conn) {
            Ok(true) => {}
            Ok(false) => return,
            Err(failed) => {
                if let Failed::Refused(_) = failed {
                    self.refused(hub, conn);
                }
                return fail(hub, conn, id, &failed);
            }
        }
        let ping = self.options.ping_interval;
        let ttl = hub.context(conn).and_then(|session| session.expires_at);
        let ttl = ttl.map(|at| seconds_until(hub, at));
        let Some(session) = hub.context(conn) else { return };
        let Phase::Connecting(connecting) = &mut session.phase else { return };
        // Messages that came while another channel was waiting came before this reply, and its client drops them.
        let positions = core::mem::take(&mut connecting.positions);
        let is_behind = |(channel, position): (&String, &Position)| hub.room_position(channel) != Some(*position);
        if positions.iter().any(is_behind) {
            return disconnect(hub, conn, &Disconnect::INSUFFICIENT_STATE);
        }
        let Some(session) = hub.context(conn) else { return };
        let Phase::Connecting(connecting) = &mut session.phase else { return };
        let mut result =
            Object::new().text("client", &session.client).text("version", concat!("drupe ", env!("CARGO_PKG_VERSION")));
        if let Some(ttl) = ttl {
            result = result.flag("expires", true).number("ttl", ttl);
        }
        if !connecting.subs.is_empty() {
            let subs = connecting.subs.iter().fold(Object::new(), |subs, (channel, json)| subs.raw(channel, json));
            result = result.raw("subs", &subs.end());
        }
        result = result.optional("data", connecting.data.as_deref());
        if !ping.is_zero() {
            result = result.number("ping", ping.as_secs().max(1)).flag("pong", !self.options.pong_timeout.is_zero());
        }
        let commands = core::mem::take(&mut connecting.commands);
        session.phase = Phase::Connected;
        // Before the reply, no push may come.
        for (channel, _) in session.subscriptions.iter().filter(|(_, found)| found.grant.join_leave) {
            self.told.entry(channel.clone()).or_default().insert(conn);
        }
        hub.send(conn, &Object::new().number("id", id.into()).raw("connect", &result.end()).end());
        // Clients that connect at the same time are not pinged at the same time.
        let half = ping / 2;
        let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
        let random = Duration::from_nanos(hub.random().checked_rem(nanos).unwrap_or(0));
        wake(hub, conn, PING_TIMER, half + random);
        for command in commands {
            if !self.command(hub, conn, &command, 0) {
                return disconnect(hub, conn, &Disconnect::BAD_REQUEST);
            }
        }
    }
}

/// Returns the identifier of a client: a random UUID (version 4, RFC 9562 section 5.4).
pub(super) fn new_client(high: u64, low: u64) -> String {
    let (high, low) = (high & !0xf000 | 0x4000, low & (u64::MAX >> 2) | 1 << 63);
    let (a, b, c) = (high >> 32, high >> 16 & 0xffff, high & 0xffff);
    format!("{a:08x}-{b:04x}-{c:04x}-{:04x}-{:012x}", low >> 48, low & 0xffff_ffff_ffff)
}
