use super::App;
use super::id::MessageId;
use super::rooms::RoomError;
use crate::base::{ConnId, Identity, Outgoing, OutgoingBuf, Reason};
use crate::config::{JoinOptions, TicketError};
use crate::facts::HistoryRange;
use crate::handler::{Hub, PublishOptions};
use crate::kit::rpc::calls::{CallError, Calls};
use crate::kit::rpc::error::RpcError;
use crate::state::{RoomRequest, Ticket};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::fmt;
use core::time::Duration;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The continuation of an outgoing call, which receives the result as JSON.
pub(crate) type Then<A> = Box<dyn FnOnce(&mut A, &mut Cx<'_, A>, Result<String, CallError>) + Send>;

/// Access to the hub of a [`Service`](super::Service) and to its pending JSON-RPC calls.
pub struct Scope<'a, A: App> {
    /// The hub, through which the application acts on connections.
    pub hub: Hub<'a, A::Context>,
    pub(crate) calls: &'a mut Calls<Then<A>>,
}

/// A [`Scope`] for the one connection that a function is called for.
pub struct Cx<'a, A: App> {
    /// The hub, through which the application acts on connections.
    pub hub: Hub<'a, A::Context>,
    pub(crate) calls: &'a mut Calls<Then<A>>,
    conn: ConnId,
    /// The id of the message that is being handled, if it has one.
    pub(super) id: Option<MessageId<'a>>,
    /// The default context, used if the connection is gone.
    nowhere: Option<A::Context>,
}

impl<'a, A: App> Scope<'a, A> {
    pub(crate) fn new(hub: &'a mut Hub<'_, A::Context>, calls: &'a mut Calls<Then<A>>) -> Self {
        Self { hub: hub.reborrow(), calls }
    }

    /// Returns a [`Cx`] for one connection.
    pub fn of(&mut self, conn: ConnId) -> Cx<'_, A> {
        Cx { hub: self.hub.reborrow(), calls: self.calls, conn, id: None, nowhere: None }
    }

    /// Sends a value to a connection: as JSON to programs, in its `Display` form to people.
    pub fn send_as(&mut self, conn: ConnId, message: &(impl Serialize + fmt::Display)) -> bool {
        negotiated(message, |message| self.hub.send(conn, message))
    }

    /// Publishes a value to a room: as JSON to programs, in its `Display` form to people.
    ///
    /// Returns the number of recipients.
    pub fn publish_as(&mut self, room: &str, message: &(impl Serialize + fmt::Display)) -> usize {
        negotiated(message, |message| self.hub.publish(room, message))
    }

    /// Publishes a value like [`publish_as`](Self::publish_as), but not to those in `except`.
    pub fn publish_as_except(
        &mut self,
        room: &str,
        except: &[ConnId],
        message: &(impl Serialize + fmt::Display),
    ) -> usize {
        negotiated(message, |message| self.hub.publish_except(room, except, message))
    }

    /// Publishes a value to a room that has a [home](crate::Home), as [`Hub::publish_with`].
    ///
    /// [`Service::on_room_answer`](super::Service::on_room_answer) receives the answer.
    pub fn publish_as_with(
        &mut self,
        room: &str,
        message: &(impl Serialize + fmt::Display),
        options: PublishOptions<'_>,
    ) -> RoomRequest {
        negotiated(message, |message| self.hub.publish_with(room, message, options))
    }

    /// Answers a [deferred](crate::kit::rpc::Rpc::deferred) call.
    ///
    /// Returns false if the caller no longer waits.
    pub fn answer(&mut self, ticket: Ticket, result: Result<impl Serialize, RpcError>) -> bool {
        let result = result.and_then(|result| serde_json::to_string(&result).map_err(RpcError::from));
        self.calls.answer(&mut self.hub, ticket, &result)
    }

    /// Answers a [deferred](crate::kit::rpc::Rpc::deferred) call with an error.
    ///
    /// Returns false if the caller no longer waits.
    pub fn fail(&mut self, ticket: Ticket, error: RpcError) -> bool {
        self.calls.answer(&mut self.hub, ticket, &Err(error))
    }
}

impl<A: App> Cx<'_, A> {
    /// Returns the id of the connection.
    #[must_use]
    pub fn conn(&self) -> ConnId {
        self.conn
    }

    /// Returns the `id` of the message that is being handled, as JSON: a string or a number.
    ///
    /// `None` if the message has none, for commands, and outside of message functions. A sender
    /// that gives each message an id can tell which answer belongs to which message.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.map(MessageId::as_json)
    }

    /// Returns a scope without a connection.
    pub fn scope(&mut self) -> Scope<'_, A> {
        Scope { hub: self.hub.reborrow(), calls: self.calls }
    }

    /// Returns the application's state for this connection, or a default one if it is closed.
    pub fn context(&mut self) -> &mut A::Context {
        if self.hub.context(self.conn).is_none() {
            return self.nowhere.get_or_insert_default();
        }
        self.hub.context(self.conn).unwrap_or_else(|| self.nowhere.get_or_insert_default())
    }

    /// Returns the user of this connection and the user's scopes, if authenticated.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.hub.identity(self.conn)
    }

    /// Returns the name of this connection's user, if authenticated.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.identity().map(|identity| &*identity.user)
    }

    /// Returns whether this connection's user has a [scope](Identity::may).
    #[must_use]
    pub fn may(&self, scope: &str) -> bool {
        self.identity().is_some_and(|identity| identity.may(scope))
    }

    /// Sends a message to this connection.
    pub fn reply<'p>(&mut self, message: impl Into<Outgoing<'p>>) -> bool {
        self.hub.send(self.conn, message)
    }

    /// Sends a value to this connection: as JSON to programs, in its `Display` form to people.
    ///
    /// A JSON object without an `id` gets the [`id`](Self::id) of the message being handled.
    pub fn reply_as(&mut self, message: &(impl Serialize + fmt::Display)) -> bool {
        let (conn, id) = (self.conn, self.id);
        negotiated(message, |message| match (message, id) {
            (Outgoing::Negotiated { json, text }, Some(id)) => {
                self.hub.send(conn, Outgoing::Negotiated { json: &id.insert(json), text })
            }
            (message, _) => self.hub.send(conn, message),
        })
    }

    /// Sends a value to this connection as JSON, even if its peer is a person.
    ///
    /// A JSON object without an `id` gets the [`id`](Self::id) of the message being handled.
    /// Returns false if it cannot be sent or serialized.
    pub fn reply_json(&mut self, message: &impl Serialize) -> bool {
        let Ok(json) = serde_json::to_string(message) else { return false };
        match self.id {
            Some(id) => self.reply(&*id.insert(&json)),
            None => self.reply(&json),
        }
    }

    /// Adds this connection to a room.
    ///
    /// The room must be [open](super::Service::rooms), or the user must have the scope `join:`
    /// followed by its name.
    ///
    /// # Errors
    /// If the user may not join or a limit of [`RoomLimits`](crate::RoomLimits) is reached.
    pub fn join(&mut self, room: &str) -> Result<bool, RoomError> {
        if !self.may_join(room) {
            return Err(RoomError::Forbidden);
        }
        Ok(self.hub.join(self.conn, room)?)
    }

    /// Adds this connection to a room like [`join`](Self::join), with options.
    ///
    /// With [`JoinOptions::since`], it receives what it missed, or learns that it cannot.
    /// [`Service::on_joined`](super::Service::on_joined) follows.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub fn join_with(&mut self, room: &str, options: JoinOptions) -> Result<bool, RoomError> {
        if !self.may_join(room) {
            return Err(RoomError::Forbidden);
        }
        Ok(self.hub.join_with(self.conn, room, options)?)
    }

    /// Publishes a value to a room that has a [home](crate::Home), which answers.
    ///
    /// [`Service::on_room_answer`](super::Service::on_room_answer) receives the answer. This
    /// connection need not be a member. If it is one, it receives the value like the others, unless
    /// the options except it.
    ///
    /// # Errors
    /// If the room is not [open](super::Service::rooms), and the user lacks the scope `publish:`
    /// followed by its name.
    pub fn publish_with(
        &mut self,
        room: &str,
        message: &(impl Serialize + fmt::Display),
        options: PublishOptions<'_>,
    ) -> Result<RoomRequest, RoomError> {
        if !self.may_publish(room) {
            return Err(RoomError::Forbidden);
        }
        Ok(self.scope().publish_as_with(room, message, options))
    }

    /// Requests at most `max` messages of a room's history, as [`Hub::read_history`].
    ///
    /// [`Service::on_room_answer`](super::Service::on_room_answer) receives them.
    ///
    /// # Errors
    /// If this connection may not [join](Self::join) the room.
    pub fn read_history(&mut self, room: &str, range: HistoryRange, max: u32) -> Result<RoomRequest, RoomError> {
        if !self.may_join(room) {
            return Err(RoomError::Forbidden);
        }
        Ok(self.hub.read_history(room, range, max))
    }

    /// Returns `true` if this connection may [join](Self::join) a room, and read its history.
    #[must_use]
    pub fn may_join(&self, room: &str) -> bool {
        self.calls.rooms.may_join(self.identity(), room)
    }

    /// Returns `true` if this connection may [publish](Self::publish) to a room.
    #[must_use]
    pub fn may_publish(&self, room: &str) -> bool {
        self.calls.rooms.may_publish(self.identity(), room)
    }

    /// Publishes a value to the other members of a room. Returns the recipient count.
    ///
    /// This connection must be a member, and the room must be [open](super::Service::rooms) or the
    /// user must have the scope `publish:` followed by its name.
    ///
    /// # Errors
    /// If the user may not publish, or the connection is not a member.
    pub fn publish(&mut self, room: &str, message: &(impl Serialize + fmt::Display)) -> Result<usize, RoomError> {
        if !self.may_publish(room) {
            return Err(RoomError::Forbidden);
        }
        if !self.hub.rooms_of(self.conn).any(|joined| joined == room) {
            return Err(RoomError::NotMember);
        }
        let conn = self.conn;
        Ok(self.scope().publish_as_except(room, &[conn], message))
    }

    /// Calls a method of the peer (JSON-RPC 2.0).
    ///
    /// `then` is called once: with the result, or with an error. A call without an answer within
    /// `deadline` fails with [`CallError::TimedOut`].
    ///
    /// # Errors
    /// If the connection is closed or a limit of [`TicketLimits`](crate::TicketLimits) is reached.
    /// Nothing is sent in that case.
    pub fn call<R: DeserializeOwned>(
        &mut self,
        method: &str,
        params: &impl Serialize,
        deadline: Duration,
        then: impl FnOnce(&mut A, &mut Cx<'_, A>, Result<R, CallError>) + Send + 'static,
    ) -> Result<Ticket, TicketError> {
        let params = serde_json::to_string(params).unwrap_or_else(|_| "[]".into());
        let then = Box::new(move |app: &mut A, cx: &mut Cx<'_, A>, result: Result<String, CallError>| {
            let parsed =
                |text: String| serde_json::from_str(&text).map_err(|error| CallError::Unexpected(error.to_string()));
            then(app, cx, result.and_then(parsed));
        });
        self.calls.call(&mut self.hub, self.conn, method, &params, deadline, then)
    }

    /// Sends a notification to the peer (JSON-RPC 2.0 section 4.1).
    ///
    /// Returns false if it cannot be sent.
    pub fn notify(&mut self, method: &str, params: &impl Serialize) -> bool {
        let params = serde_json::to_string(params);
        params.is_ok_and(|params| Calls::<Then<A>>::notify(&mut self.hub, self.conn, method, &params))
    }

    /// Ends this connection with `reason`.
    pub fn end(&mut self, reason: Reason) {
        self.hub.end(self.conn, reason);
    }

    pub(crate) fn answered(&mut self, app: &mut A, number: Option<u64>, result: Result<String, RpcError>) {
        if let Some(then) = self.calls.take_answered(&mut self.hub, self.conn, number) {
            then(app, self, result.map_err(CallError::Remote));
        }
    }
}

/// Creates a message from a value: JSON for programs, the `Display` form for people.
///
/// [`Cx::publish`] and [`Scope::send_as`] do this themselves. This is for messages that are sent
/// from elsewhere, such as with [`Hub::publish`] or from another thread.
///
/// ```
/// # use drupe_core::{OutgoingBuf, kit::negotiate};
/// let OutgoingBuf::Negotiated { json, text } = negotiate(&7) else { unreachable!() };
/// assert_eq!((&*json, &*text), ("7", "7"));
/// ```
#[expect(clippy::redundant_closure_for_method_calls, reason = "the method is not general over lifetimes")]
pub fn negotiate(message: &(impl Serialize + fmt::Display)) -> OutgoingBuf {
    negotiated(message, |message| message.to_owned())
}

/// Passes a value to `send` as JSON and in its `Display` form, or only as text if JSON fails.
fn negotiated<T>(message: &(impl Serialize + fmt::Display), send: impl FnOnce(Outgoing<'_>) -> T) -> T {
    // Values that are not valid JSON (such as a map with non-string keys) are sent as text to all.
    let text = message.to_string();
    match serde_json::to_string(message) {
        Ok(json) => send(Outgoing::Negotiated { json: &json, text: &text }),
        Err(_) => send(Outgoing::from(&text)),
    }
}

impl<A: App> fmt::Debug for Scope<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("hub", &self.hub).finish_non_exhaustive()
    }
}

impl<A: App> fmt::Debug for Cx<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx").field("conn", &self.conn).finish_non_exhaustive()
    }
}
