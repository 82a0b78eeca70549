//! Publishing, histories, presence, calls, and messages to the application.

use super::answer::{Answer, called};
use super::codes::{Disconnect, Failed, Refusal, bad};
use super::command::{History, Publish, Rpc, Send};
use super::fields::Fields;
use super::hooks::{Caller, Hooks};
use super::publication::{Publication, keyed};
use super::service::{Asked, Asker, PubSub, fail, reply};
use super::session::Session;
use super::subscribing::position;
use crate::base::{ConnId, OutgoingBuf};
use crate::facts::{HistoryPage, HistoryRange, PublishRefusal, Published, RoomAnswer};
use crate::handler::Hub;
use crate::history::{Gap, Position};
use crate::state::RoomRequest;
use crate::wire::http::HttpResponse;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde_json::value::RawValue;

/// Maximum number of names in an answer.
const NAMES_MAX: usize = 10_000;
/// Number of names that are asked of a home at once.
const NAMES: u32 = 1_000;

/// What the backend makes of a message.
#[derive(Default)]
struct Changed {
    /// Other data, as JSON.
    data: Option<String>,
    tags: BTreeMap<String, String>,
    /// The key of a message that may be repeated. Empty: none.
    key: String,
}

impl<K: Hooks> PubSub<K> {
    pub(super) fn publish(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        id: u32,
        publish: &Publish<'_>,
    ) -> Result<Option<Answer>, Failed> {
        let channel = &*publish.channel;
        let rules = self.options.channels.rules(channel)?;
        let data = publish.data.ok_or(Refusal::BAD_REQUEST)?;
        let Some(session) = hub.context(conn) else { return Ok(None) };
        if self.options.is_of_another(channel, &session.user) {
            return Err(Refusal::PERMISSION_DENIED.into());
        }
        let is_asked = rules.publish_proxy_enabled;
        let caller = Caller { client: &session.client, user: &session.user };
        let may = match self.hooks.publish(caller, channel, data.get())? {
            Some(may) => may,
            // The backend decides.
            None => is_asked || rules.may_publish(session.who(channel)),
        };
        if !may {
            return Err(Refusal::PERMISSION_DENIED.into());
        }
        let Changed { data: changed, tags, key } =
            if is_asked { self.publication_of_backend(hub, conn, channel, data)? } else { Changed::default() };
        let Some(session) = hub.context(conn) else { return Ok(None) };
        let changed: Option<&RawValue> =
            changed.as_ref().map(|json| serde_json::from_str(json).map_err(|_| Refusal::INTERNAL)).transpose()?;
        let publication = Publication::new(channel, changed.unwrap_or(data), Some(session));
        let publication = publication.ok_or(Refusal::BAD_REQUEST)?.with_tags(&tags);
        if hub.room_options(channel).is_none() {
            hub.publish(channel, &publication.into_push(channel));
            return Ok(Some(Answer::Done("publish")));
        }
        let request = hub.publish_with(channel, &publication.into_message(), keyed(&key));
        self.asked.insert(request, (Asker::Client(conn, id), Asked::Publish));
        Ok(None)
    }

    /// Asks the backend about a message. Returns the data, the tags and the idempotency key of its result, if it has
    /// them.
    fn publication_of_backend(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        channel: &str,
        data: &RawValue,
    ) -> Result<Changed, Failed> {
        let json = self.ask_backend(hub, conn, "/publish", |session| {
            session.about().text("channel", channel).raw("data", data.get())
        })?;
        // Without a result, it allows nothing.
        let fields = Fields::of(&json).ok_or(Refusal::PERMISSION_DENIED)?;
        let wants_none_kept = fields.flag("skip_history");
        let (tags, key) = (fields.named_texts("tags"), fields.text("idempotency_key"));
        match (wants_none_kept, tags, key) {
            (Ok(false), Ok(tags), Ok(key)) => {
                Ok(Changed { data: fields.raw("data").map(ToString::to_string), tags, key })
            }
            _ => Err(Refusal::INTERNAL.into()),
        }
    }

    pub(super) fn history(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        id: u32,
        history: &History<'_>,
    ) -> Result<Option<Answer>, Failed> {
        let channel = &*history.channel;
        let rules = self.options.channels.rules(channel)?;
        if !rules.has_history() {
            return Err(Refusal::NOT_AVAILABLE.into());
        }
        let Some(session) = hub.context(conn) else { return Ok(None) };
        if self.options.is_of_another(channel, &session.user) || !rules.may_read_history(session.who(channel)) {
            return Err(Refusal::PERMISSION_DENIED.into());
        }
        let since = history.since.as_ref().map(|since| (&*since.epoch, since.offset));
        self.ask_history(hub, Asker::Client(conn, id), channel, (history.limit, since, history.reverse))?;
        Ok(None)
    }

    /// Asks the home of a channel for its history: at most `limit` messages, after a position, or the latest first.
    pub(super) fn ask_history(
        &mut self,
        hub: &mut Hub<'_, Session>,
        asker: Asker,
        channel: &str,
        (limit, since, is_reversed): (i32, Option<(&str, u64)>, bool),
    ) -> Result<(), Refusal> {
        if !self.options.channels.rules(channel)?.has_history() {
            return Err(Refusal::NOT_AVAILABLE);
        }
        let max = self.options.history_page_max.max(1);
        let limit = u32::try_from(limit).map_or(max, |limit| limit.min(max));
        let range = match since {
            // Backwards from a position, a page would end where it should begin.
            Some(_) if is_reversed => return Err(Refusal::BAD_REQUEST),
            Some((epoch, offset)) => HistoryRange::After(position(epoch, offset)),
            None if is_reversed => HistoryRange::Latest,
            None => HistoryRange::Oldest,
        };
        let request = hub.read_history(channel, range, limit);
        self.asked.insert(request, (asker, Asked::History { is_reversed }));
        Ok(())
    }

    pub(super) fn presence(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        id: u32,
        channel: &str,
        is_stats: bool,
    ) -> Result<Option<Answer>, Failed> {
        let rules = self.options.channels.rules(channel)?;
        let Some(session) = hub.context(conn) else { return Ok(None) };
        if !rules.presence {
            return Err(Refusal::NOT_AVAILABLE.into());
        }
        if self.options.is_of_another(channel, &session.user) || !rules.may_see_presence(session.who(channel)) {
            return Err(Refusal::PERMISSION_DENIED.into());
        }
        self.ask_presence(hub, Asker::Client(conn, id), channel, is_stats);
        Ok(None)
    }

    /// Asks the home of a channel for its members.
    pub(super) fn ask_presence(&mut self, hub: &mut Hub<'_, Session>, asker: Asker, channel: &str, is_stats: bool) {
        let request = hub.read_presence(channel, None, NAMES);
        let (channel, found) = (channel.into(), Vec::new());
        self.asked.insert(request, (asker, Asked::Presence { channel, found, is_stats }));
    }

    pub(super) fn rpc(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        rpc: &Rpc<'_>,
    ) -> Result<Option<Answer>, Failed> {
        let Some(session) = hub.context(conn) else { return Ok(None) };
        let caller = Caller { client: &session.client, user: &session.user };
        let data = rpc.data.map_or("null", serde_json::value::RawValue::get);
        let result = if self.options.backend.as_ref().is_some_and(|backend| backend.rpc) {
            let json = self.ask_backend(hub, conn, "/rpc", |session| {
                session.about().text("method", &rpc.method).raw("data", data)
            })?;
            Fields::of(&json)
                .and_then(|fields| fields.raw("data").map(ToString::to_string))
                .unwrap_or_else(|| "null".into())
        } else {
            self.hooks.rpc(caller, &rpc.method, data)?
        };
        Ok(Some(Answer::Json("rpc", called(&result)?)))
    }

    pub(super) fn message(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        send: &Send<'_>,
    ) -> Result<Option<Answer>, Failed> {
        let Some(session) = hub.context(conn) else { return Ok(None) };
        let caller = Caller { client: &session.client, user: &session.user };
        let data = send.data.map_or("null", serde_json::value::RawValue::get);
        if self.hooks.message(caller, data) { Ok(None) } else { Err(Disconnect::NOT_AVAILABLE.into()) }
    }

    /// Answers a command or a part of a call, whose home has answered.
    pub(super) fn answered(&mut self, hub: &mut Hub<'_, Session>, request: RoomRequest, answer: &RoomAnswer) {
        let Some((asker, asked)) = self.asked.remove(&request) else { return };
        let answer = match (asked, answer) {
            (Asked::Publish, RoomAnswer::Published(Published::Kept { position, .. })) => {
                Ok(Answer::Published(*position))
            }
            (Asked::Publish, RoomAnswer::Published(Published::Refused(why))) => Err(refusal(*why)),
            (Asked::History { is_reversed }, RoomAnswer::History(page)) => page_for(hub, asker, page, is_reversed),
            (Asked::Presence { channel, mut found, is_stats }, RoomAnswer::Present(Some(page))) => {
                let nothing = || "{}".into();
                found.extend(page.names.iter().map(|one| (one.name.clone(), one.info.clone().unwrap_or_else(nothing))));
                match (page.has_more, found.last()) {
                    (true, _) if found.len() >= NAMES_MAX => Err(Refusal::LIMIT_EXCEEDED),
                    (true, Some((last, _))) => {
                        let request = hub.read_presence(&channel, Some(last), NAMES);
                        self.asked.insert(request, (asker, Asked::Presence { channel, found, is_stats }));
                        return;
                    }
                    _ if is_stats => Ok(Answer::PresenceStats(found)),
                    _ => Ok(Answer::Presence(found)),
                }
            }
            (Asked::Presence { .. }, RoomAnswer::Present(None)) => Err(Refusal::NOT_AVAILABLE),
            _ => Err(Refusal::INTERNAL),
        };
        match (asker, answer) {
            (Asker::Client(conn, id), Ok(answer)) => reply(hub, conn, id, &answer),
            (Asker::Client(conn, id), Err(refusal)) => fail(hub, conn, id, &refusal.into()),
            (Asker::Api(place), answer) => self.part_done(hub, place, answer.map(|answer| answer.for_backend())),
        }
    }
}

/// Returns as much of a page as fits in the client's queue or an answer of the API, and at least one message.
fn page_for(
    hub: &Hub<'_, Session>,
    asker: Asker,
    page: &Result<HistoryPage, Gap>,
    is_reversed: bool,
) -> Result<Answer, Refusal> {
    let page = match page {
        Ok(page) => page,
        // Nothing was published there yet.
        Err(Gap::NoHistory) => return Ok(Answer::History { messages: Vec::new(), top: Position::new(0, 0, 0) }),
        Err(Gap::BrokerAway) => return Err(Refusal::INTERNAL),
        Err(_) => return Err(Refusal::UNRECOVERABLE),
    };
    let (mut bytes, most) = match asker {
        Asker::Client(conn, _) => (hub.pending(conn), hub.config().outbound.marks.high()),
        Asker::Api(_) => (0, HttpResponse::BODY_MAX_BYTES / 2),
    };
    let mut count = 0;
    let fits = |(_, message): &&(Position, OutgoingBuf)| {
        bytes += message.as_outgoing().len();
        count += 1;
        // A page without messages would be the end of the history.
        count == 1 || bytes <= most
    };
    let messages: Vec<_> = if is_reversed {
        page.messages.iter().rev().take_while(fits).cloned().collect()
    } else {
        page.messages.iter().take_while(fits).cloned().collect()
    };
    Ok(Answer::History { messages, top: page.top })
}

fn refusal(why: PublishRefusal) -> Refusal {
    match why {
        PublishRefusal::TooManyRequests
        | PublishRefusal::NoBroker
        | PublishRefusal::BrokerBehind
        | PublishRefusal::Broker => Refusal::INTERNAL,
        PublishRefusal::NoHome => Refusal::NOT_AVAILABLE,
        why => bad(&why.to_string()),
    }
}
