//! What the ready-made messages and methods do.

use super::answers::{InRoom, Subscribed, Unsubscribed};
use super::kinds::{HISTORY, PUBLISH};
use super::page::{page, published};
use super::presence;
use super::reply::{RoomRefusal, RoomReply};
use super::requests::{History, Publish, Since, Subscribe, Unsubscribe};
use super::waits::Asked;
use crate::base::ConnId;
use crate::config::JoinOptions;
use crate::facts::{HistoryPage, HistoryRange, Published, RoomAnswer};
use crate::handler::PublishOptions;
use crate::history::{Position, Recovery};
use crate::kit::compact_json::DEPTH_MAX;
use crate::kit::service::app::App;
use crate::kit::service::cx::{Cx, Scope};
use crate::kit::service::rooms::RoomError;
use crate::state::{RoomRequest, Ticket};
use alloc::string::ToString;

/// Adds the sender to a room. The answer follows once the home has told what the sender missed.
pub(super) fn subscribe<A: App>(
    cx: &mut Cx<'_, A>,
    Subscribe { room, since, info }: Subscribe,
    ticket: Ticket,
) -> Result<(), RoomRefusal> {
    let since = since.map(|Since(position)| position);
    let name = presence::name_in(cx, &room);
    let info = info.as_ref().map(|info| info.get()).filter(|_| name.is_some());
    if !cx.join_with(&room, JoinOptions::new().since(since).name(name.as_deref()).info(info))? {
        return Err(RoomRefusal::new("already_subscribed", "this connection is already in that room"));
    }
    // Only then, an event follows.
    if since.is_some() || cx.hub.room_options(&room).is_some() {
        cx.calls.room_waits.join(&room, ticket);
        return Ok(());
    }
    let reply = RoomReply::new("subscribed", &Subscribed::new(&room, None, Recovery::New));
    cx.calls.answer_about_room(&mut cx.hub, ticket, Ok(reply));
    Ok(())
}

/// Removes the sender from a room. Only one that may join a room may leave it this way.
pub(super) fn unsubscribe<A: App>(
    cx: &mut Cx<'_, A>,
    Unsubscribe { room }: Unsubscribe,
    ticket: Ticket,
) -> Result<(), RoomRefusal> {
    if !cx.may_join(&room) {
        return Err(RoomError::Forbidden.into());
    }
    let conn = cx.conn();
    if !cx.hub.leave(conn, &room) {
        return Err(RoomError::NotMember.into());
    }
    if let Some(waiting) = cx.calls.room_waits.take_join(conn, &room) {
        let refusal = RoomRefusal::new("unsubscribed", "the subscription was ended before it began");
        cx.calls.answer_about_room(&mut cx.hub, waiting, Err(refusal));
    }
    let reply = RoomReply::new("unsubscribed", &Unsubscribed { room });
    cx.calls.answer_about_room(&mut cx.hub, ticket, Ok(reply));
    Ok(())
}

/// Publishes a message to a room. The answer follows.
pub(super) fn publish<A: App>(
    cx: &mut Cx<'_, A>,
    Publish { room, data, key }: Publish,
    ticket: Ticket,
) -> Result<(), RoomRefusal> {
    if !cx.may_publish(&room) {
        return Err(RoomError::Forbidden.into());
    }
    let options = match &key {
        Some(key) => PublishOptions::new().key(key),
        None => PublishOptions::new(),
    };
    let Some(message) = published(&room, &data, has_positions(&cx.scope(), &room)) else {
        return Err(RoomRefusal::new("invalid", alloc::format!("the data are nested more than {DEPTH_MAX} times")));
    };
    let request = cx.hub.publish_with(&room, &message, options);
    cx.calls.room_waits.ask(request, PUBLISH, &room, ticket);
    Ok(())
}

/// Requests a page of a room's history. The answer follows.
pub(super) fn history<A: App>(
    cx: &mut Cx<'_, A>,
    History { room, since, latest, max }: History,
    ticket: Ticket,
) -> Result<(), RoomRefusal> {
    let range = match (since, latest) {
        (None, false) => HistoryRange::Oldest,
        (None, true) => HistoryRange::Latest,
        (Some(Since(position)), false) => HistoryRange::After(position),
        (Some(_), true) => {
            return Err(RoomRefusal::new("invalid", "`since` and `latest` exclude each other"));
        }
    };
    let request = cx.read_history(&room, range, max)?;
    cx.calls.room_waits.ask(request, HISTORY, &room, ticket);
    Ok(())
}

/// Answers the subscription of a member that now receives the messages of a room, if it has one.
pub(in crate::kit::service) fn joined<A: App>(
    scope: &mut Scope<'_, A>,
    conn: ConnId,
    room: &str,
    position: Option<Position>,
    recovery: Recovery,
) {
    let Some(ticket) = scope.calls.room_waits.take_join(conn, room) else { return };
    let reply = RoomReply::new("subscribed", &Subscribed::new(room, position, recovery));
    scope.calls.answer_about_room(&mut scope.hub, ticket, Ok(reply));
}

/// Answers the peer that made a request. Returns `false` if the application made it itself.
pub(in crate::kit::service) fn answered<A: App>(
    scope: &mut Scope<'_, A>,
    request: RoomRequest,
    answer: &RoomAnswer,
) -> bool {
    let Some(Asked { ticket, kind, room }) = scope.calls.room_waits.take_request(request) else { return false };
    let reply = match answer {
        RoomAnswer::Published(Published::Kept { position, is_repeated }) => {
            let answer = InRoom { room: room.into(), position: position.to_string(), repeated: *is_repeated };
            Ok(RoomReply::new("published", &answer))
        }
        RoomAnswer::Published(Published::Refused(refusal)) => Err((*refusal).into()),
        RoomAnswer::History(Ok(kept)) => Ok(page_for(scope, ticket.conn(), &room, kept)),
        RoomAnswer::History(Err(gap)) => Err(RoomRefusal::of_gap(*gap)),
        RoomAnswer::Present(page) => presence::page(&room, page.as_ref()),
        RoomAnswer::Unknown => Err(RoomRefusal::without_answer(kind)),
    };
    scope.calls.answer_about_room(&mut scope.hub, ticket, reply);
    true
}

/// Returns a page that fits in the peer's queue, so that it does not count as a slow consumer.
fn page_for<A: App>(scope: &Scope<'_, A>, conn: ConnId, room: &str, kept: &HistoryPage) -> RoomReply {
    let bytes = (scope.hub.pending(conn), scope.hub.state.outbound.marks(conn.slot()).high());
    RoomReply::new("history", &page(room, kept, bytes, has_positions(scope, room)))
}

fn has_positions<A: App>(scope: &Scope<'_, A>, room: &str) -> bool {
    scope.hub.room_options(room).is_some_and(|options| options.positions)
}
