//! How clients subscribe to channels, and how that ends.

use super::answer::{Answer, Subscribed};
use super::codes::{Disconnect, Failed, Refusal};
use super::command;
use super::fields::Fields;
use super::hooks::{Caller, Hooks};
use super::rules::{Who, needs_token};
use super::service::{PubSub, SUBSCRIPTION_TIMER, fail, forget};
use super::session::{Grant, Session, State, Subscription};
use super::timing::{expire_at, seconds_until};
use super::tokens::Bad;
use crate::base::{ConnId, UnixTime};
use crate::config::{JoinError, JoinOptions, SlowPolicy};
use crate::handler::Hub;
use crate::history::Position;
use crate::kit::compact_json::compact;
use crate::state::Timer;
use alloc::string::String;
use alloc::vec::Vec;

/// A subscription that is to begin, and is allowed.
pub(super) struct Begin<'a> {
    /// The number of the command. 0: the server begins it.
    pub(super) id: u32,
    pub(super) channel: &'a str,
    /// The position from which the client wants to recover.
    pub(super) recover: Option<Position>,
    pub(super) wants_error: bool,
    pub(super) asks_positioned: bool,
    pub(super) asks_recoverable: bool,
    pub(super) asks_join_leave: bool,
    pub(super) info: Option<String>,
    /// Data for the client, as JSON.
    pub(super) data: Option<String>,
    pub(super) expires_at: Option<u64>,
}

impl<'a> Begin<'a> {
    /// Returns a subscription that the server begins, with all that the rules allow.
    pub(super) const fn of_server(channel: &'a str, recover: Option<Position>) -> Self {
        Self {
            id: 0,
            channel,
            recover,
            wants_error: false,
            asks_positioned: true,
            asks_recoverable: true,
            asks_join_leave: true,
            info: None,
            data: None,
            expires_at: None,
        }
    }

    /// Returns a subscription of a person, who sees what is new.
    pub(super) const fn of_person(id: u32, channel: &'a str) -> Self {
        let (recover, wants_error, info, data, expires_at) = (None, false, None, None, None);
        let (asks_positioned, asks_recoverable, asks_join_leave) = (false, false, true);
        Self {
            id,
            channel,
            recover,
            wants_error,
            asks_positioned,
            asks_recoverable,
            asks_join_leave,
            info,
            data,
            expires_at,
        }
    }
}

/// The properties that a token or the backend gives a subscription.
#[derive(Debug, Default)]
pub(super) struct Allowed {
    /// The `info` about the user that others get in the channel, as JSON.
    pub(super) info: Option<String>,
    /// Data for the client, as JSON.
    pub(super) data: Option<String>,
    pub(super) expires_at: Option<u64>,
}

/// Whether a subscription has begun.
pub(super) enum Begun {
    Live(Subscribed),
    /// The home of the channel must tell first what the client missed.
    Waits,
}

impl<K: Hooks> PubSub<K> {
    pub(super) fn subscribe(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        id: u32,
        subscribe: &command::Subscribe<'_>,
    ) -> Result<Option<Answer>, Failed> {
        if subscribe.kind != 0 {
            return Err(Refusal::NOT_AVAILABLE.into());
        }
        let Allowed { info, data, expires_at } = self.allowed(hub, conn, subscribe)?;
        let asked = Begin {
            id,
            channel: &subscribe.channel,
            recover: subscribe.recover.then(|| position(&subscribe.epoch, subscribe.offset)),
            wants_error: subscribe.flag & WANTS_ERROR > 0,
            asks_positioned: subscribe.positioned,
            asks_recoverable: subscribe.recoverable,
            asks_join_leave: subscribe.join_leave,
            info,
            data,
            expires_at,
        };
        match self.begin(hub, conn, asked)? {
            Begun::Live(subscribed) => Ok(Some(Answer::Subscribed(subscribed))),
            Begun::Waits => Ok(None),
        }
    }

    /// Decides whether a client may subscribe.
    pub(super) fn allowed(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        subscribe: &command::Subscribe<'_>,
    ) -> Result<Allowed, Failed> {
        let channel = &*subscribe.channel;
        let (asks, max) = (self.options.channels.rules(channel)?.subscribe_proxy_enabled, self.options.channels_max);
        let now = hub.unix_time();
        let Some(session) = hub.context(conn) else { return Err(Refusal::INTERNAL.into()) };
        session.may_add(channel, max)?;
        if asks {
            if self.options.is_of_another(channel, &session.user) {
                return Err(Refusal::PERMISSION_DENIED.into());
            }
            return self.allowed_by_backend(hub, conn, subscribe);
        }
        let caller = Caller { client: &session.client, user: &session.user };
        self.may_subscribe(now, caller, channel, &subscribe.token)
    }

    /// Decides whether a client may subscribe, where the backend does not decide.
    pub(super) fn may_subscribe(
        &mut self,
        now: Option<UnixTime>,
        caller: Caller<'_>,
        channel: &str,
        token: &str,
    ) -> Result<Allowed, Failed> {
        let rules = self.options.channels.rules(channel)?;
        if !token.is_empty() {
            let token = self.channel_token(token, now).map_err(Bad::of_channel)?;
            if token.user != caller.user || token.channel != channel {
                return Err(Disconnect::INVALID_TOKEN.into());
            }
            return Ok(Allowed { info: token.info, data: None, expires_at: token.expires_at });
        }
        if self.options.is_of_another(channel, caller.user) {
            return Err(Refusal::PERMISSION_DENIED.into());
        }
        let may = match self.hooks.subscribe(caller, channel)? {
            Some(may) => may,
            None => !needs_token(channel) && rules.may_subscribe(caller.user, channel),
        };
        if may { Ok(Allowed::default()) } else { Err(Refusal::PERMISSION_DENIED.into()) }
    }

    fn allowed_by_backend(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        subscribe: &command::Subscribe<'_>,
    ) -> Result<Allowed, Failed> {
        let json = self.ask_backend(hub, conn, "/subscribe", |session| {
            let about = session.about().text("channel", &subscribe.channel).text("token", &subscribe.token);
            about.optional("data", subscribe.data.map(serde_json::value::RawValue::get))
        })?;
        // Without a result, it allows nothing.
        let fields = Fields::of(&json).ok_or(Refusal::PERMISSION_DENIED)?;
        if fields.raw("override").is_some() {
            return Err(Refusal::INTERNAL.into());
        }
        let json = |name| fields.raw(name).map(|json| compact(json).ok_or(Refusal::INTERNAL)).transpose();
        let expires_at = fields.number("expire_at").map_err(|_| Refusal::INTERNAL)?.filter(|at| *at > 0);
        Ok(Allowed { info: json("info")?, data: json("data")?, expires_at })
    }

    /// Begins a subscription.
    pub(super) fn begin(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        asked: Begin<'_>,
    ) -> Result<Begun, Refusal> {
        let Begin { id, channel, recover, wants_error, info, data, expires_at, .. } = asked;
        let rules = self.options.channels.rules(channel)?.clone();
        let has_home = hub.room_options(channel).is_some();
        let max = self.options.channels_max;
        let Some(session) = hub.context(conn) else { return Err(Refusal::INTERNAL) };
        session.may_add(channel, max)?;
        // What subscribers may do, this one may do now.
        let who = Who { user: &session.user, is_subscribed: true };
        let recoverable = has_home && rules.recovers(asked.asks_recoverable, who);
        let positioned = recoverable || has_home && rules.positions(asked.asks_positioned, who);
        let join_leave = has_home && rules.tells_joins(asked.asks_join_leave, who);
        let grant = Grant { positioned, recoverable, join_leave };
        let recover = recover.filter(|_| recoverable);
        let number = session.next_number();
        let wanted = recover.map(|position| position.offset);
        let state = if has_home { State::Waiting { id, recover: wanted, wants_error } } else { State::Live };
        let is_of_server = id == 0;
        let subscription = Subscription { number, state, is_of_server, grant, info, data: data.clone(), expires_at };
        session.subscriptions.insert(channel.into(), subscription);
        let about = session.client_info(channel);
        let client = session.client.clone();
        let (name, about) = if has_home && rules.has_names() { (Some(&*client), Some(&*about)) } else { (None, None) };
        let options = JoinOptions::new().since(recover).name(name).info(about).missed_to_handler(true);
        if let Err(error) = hub.join_with(conn, channel, options) {
            if let Some(session) = hub.context(conn) {
                session.subscriptions.remove(channel);
            }
            return Err(refusal(error));
        }
        if positioned {
            // Otherwise, a slow client would count skipped messages as received.
            let _ = hub.set_slow_policy(channel, SlowPolicy::Close);
        }
        if expires_at.is_some() {
            expire_at(hub, Timer::of(conn, SUBSCRIPTION_TIMER).keyed(number), expires_at);
        }
        if has_home {
            return Ok(Begun::Waits);
        }
        let ttl = expires_at.map(|at| seconds_until(hub, at));
        let (position, wanted, is_recovered, missed) = (None, None, false, Vec::new());
        Ok(Begun::Live(Subscribed {
            channel: channel.into(),
            grant,
            position,
            wanted,
            is_recovered,
            missed,
            data,
            ttl,
        }))
    }

    /// Ends a subscription, if there is one.
    pub(super) fn unsubscribe(&mut self, hub: &mut Hub<'_, Session>, conn: ConnId, channel: &str) -> Answer {
        if let Some(State::Waiting { id: id @ 1.., .. }) = self.end_subscription(hub, conn, channel) {
            // The client has changed its mind, and the command has a reply all the same.
            fail(hub, conn, id, &Refusal::INTERNAL.into());
        }
        Answer::Done("unsubscribe")
    }

    /// Ends a subscription. Returns its state, if there was one.
    pub(super) fn end_subscription(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        channel: &str,
    ) -> Option<State> {
        let subscription = hub.context(conn)?.subscriptions.remove(channel)?;
        hub.cancel(Timer::of(conn, SUBSCRIPTION_TIMER).keyed(subscription.number));
        forget(&mut self.told, channel, conn);
        hub.leave(conn, channel);
        Some(subscription.state)
    }
}

/// The flag of clients that want an error if they cannot recover.
const WANTS_ERROR: u64 = 2;

/// Returns the position that a client knows. An epoch that is none of ours matches no room.
pub(super) fn position(epoch: &str, offset: u64) -> Position {
    let epoch = u64::from_str_radix(epoch, 16).unwrap_or(0);
    Position::new(epoch, offset, Position::ANY_MARK)
}

const fn refusal(error: JoinError) -> Refusal {
    match error {
        JoinError::TooMany(_) | JoinError::TooManyOfConnection(_) => Refusal::LIMIT_EXCEEDED,
        JoinError::NotOpen => Refusal::INTERNAL,
        _ => Refusal::BAD_REQUEST,
    }
}
