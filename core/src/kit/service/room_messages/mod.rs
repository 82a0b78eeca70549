//! Ready-made messages and methods, with which peers use rooms that remember.

mod answers;
mod kinds;
mod page;
mod presence;
pub(in crate::kit) mod reply;
mod requests;
mod serve;
pub(in crate::kit) mod waits;

pub(super) use presence::changed;
pub(super) use serve::{answered, joined};

use super::app::App;
use super::cx::Cx;
use super::router::Router;
use crate::kit::rpc::{Rpc, RpcError};
use crate::state::Ticket;
use answers::{InRoom, Page, Subscribed, Unsubscribed};
use core::time::Duration;
use kinds::{HISTORY, PRESENCE, PUBLISH, SUBSCRIBE, UNSUBSCRIBE};
use presence::{Present, Who};
use reply::RoomRefusal;
use requests::{History, HistoryWords, Publish, PublishWords, Subscribe, SubscribeWords, Unsubscribe};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

/// Time after which a message counts as unanswered. The homes of rooms answer within 10 s.
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);

/// What a message or a method does. A ticket identifies the answer.
type Act<A, M> = fn(&mut Cx<'_, A>, M, Ticket) -> Result<(), RoomRefusal>;

/// Returns the functions for messages and commands.
pub(super) fn router<A: App + 'static>() -> Router<A> {
    let router = message::<A, Subscribe, SubscribeWords>(Router::new(), SUBSCRIBE, serve::subscribe);
    let router = message::<A, Unsubscribe, Unsubscribe>(router, UNSUBSCRIBE, serve::unsubscribe);
    let router = message::<A, Publish, PublishWords>(router, PUBLISH, serve::publish);
    let router = message::<A, History, HistoryWords>(router, HISTORY, serve::history);
    message::<A, Who, Who>(router, PRESENCE, presence::who)
}

/// Returns the methods of JSON-RPC.
pub(super) fn methods<A: App + 'static>(rpc: Rpc<A>) -> Rpc<A> {
    let own = Rpc::new("", "")
        .deferred::<Subscribe, Subscribed>(SUBSCRIBE, method(serve::subscribe))
        .about("Joins a room. Sends what the caller missed since a position, and then all messages.")
        .deferred::<Unsubscribe, Unsubscribed>(UNSUBSCRIBE, method(serve::unsubscribe))
        .about("Leaves a room.")
        .deferred::<Publish, InRoom>(PUBLISH, method(serve::publish))
        .about("Publishes a message to a room that keeps a history.")
        .deferred::<History, Page>(HISTORY, method(serve::history))
        .about("Returns a page of a room's history, oldest message first.")
        .deferred::<Who, Present>(PRESENCE, method(presence::who))
        .about("Returns the names that are present in a room, and their number.");
    rpc.with_others(own)
}

/// Adds a message that is answered later. People write it as `W`.
fn message<A: App + 'static, M, W>(router: Router<A>, kind: &'static str, act: Act<A, M>) -> Router<A>
where
    M: DeserializeOwned + JsonSchema + 'static,
    W: DeserializeOwned + JsonSchema + Into<M> + 'static,
{
    router.on_either::<M, W>(kind, move |_, cx, message| {
        let ticket = cx.hub.ticket(cx.conn(), ANSWERED_WITHIN)?;
        let id = cx.id().map(Into::into);
        cx.calls.promise_message(ticket, kind, id);
        act(cx, message, ticket).map_err(|refusal| {
            cx.hub.redeem(ticket);
            cx.calls.forget_message(ticket);
            refusal.into_message_error()
        })
    })
}

/// Returns the function of a method.
fn method<A: App + 'static, M: 'static>(
    act: Act<A, M>,
) -> impl FnMut(&mut A, &mut Cx<'_, A>, M, Ticket) -> Result<(), RpcError> + Send + 'static {
    move |_, cx, params, ticket| act(cx, params, ticket).map_err(RoomRefusal::into_rpc_error)
}
