use super::App;
use crate::base::{ConnId, Identity, Outgoing, Reason};
use crate::config::{JoinError, TicketError};
use crate::handler::Hub;
use crate::kit::rpc::{CallError, Calls, RpcError};
use crate::state::Ticket;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::fmt;
use core::time::Duration;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a function of the application may do: everything the hub offers, and what a [`Service`](super::Service) adds.
pub struct Scope<'a, A: App> {
    /// The hub.
    pub hub: Hub<'a, A::Context>,
    pub(crate) calls: &'a mut Calls<A>,
}

/// A [`Scope`] around one connection: the one that a function is told about.
pub struct Cx<'a, A: App> {
    /// The hub.
    pub hub: Hub<'a, A::Context>,
    pub(crate) calls: &'a mut Calls<A>,
    conn: ConnId,
    /// The context of a connection that is not there.
    nowhere: Option<A::Context>,
}

/// A message was not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoomError {
    /// The user lacks a [scope](Identity::may) for it.
    #[error("this room is closed to you")]
    Forbidden,
    /// The sender is not a member.
    #[error("you are not in that room")]
    NotMember,
    /// The connection can't join.
    #[error(transparent)]
    Join(#[from] JoinError),
}

impl<'a, A: App> Scope<'a, A> {
    pub(crate) fn new(hub: &'a mut Hub<'_, A::Context>, calls: &'a mut Calls<A>) -> Self {
        Self { hub: hub.reborrow(), calls }
    }

    /// As a scope around one connection.
    pub fn of(&mut self, conn: ConnId) -> Cx<'_, A> {
        Cx { hub: self.hub.reborrow(), calls: self.calls, conn, nowhere: None }
    }

    /// Sends a value as JSON, or for a person as it displays itself.
    pub fn send_as(&mut self, conn: ConnId, message: &(impl Serialize + fmt::Display)) -> bool {
        negotiated(message, |message| self.hub.send(conn, message))
    }

    /// Publishes a value to a room: as JSON, and for people as it displays itself. Returns for how many.
    pub fn publish_as(&mut self, room: &str, message: &(impl Serialize + fmt::Display)) -> usize {
        negotiated(message, |message| self.hub.publish(room, message))
    }

    /// As [`publish_as`](Self::publish_as), but not for these.
    pub fn publish_as_except(
        &mut self,
        room: &str,
        except: &[ConnId],
        message: &(impl Serialize + fmt::Display),
    ) -> usize {
        negotiated(message, |message| self.hub.publish_except(room, except, message))
    }

    /// Answers a call whose method [answers later](crate::kit::rpc::Rpc::deferred); false if nobody waits for it any more.
    pub fn answer(&mut self, ticket: Ticket, result: Result<impl Serialize, RpcError>) -> bool {
        let result = result.and_then(|result| serde_json::to_string(&result).map_err(RpcError::from));
        self.calls.answer(&mut self.hub, ticket, &result)
    }

    /// As [`answer`](Self::answer), with an error.
    pub fn fail(&mut self, ticket: Ticket, error: RpcError) -> bool {
        self.calls.answer(&mut self.hub, ticket, &Err(error))
    }
}

impl<A: App> Cx<'_, A> {
    /// The connection.
    #[must_use]
    pub fn conn(&self) -> ConnId {
        self.conn
    }

    /// As a scope around none.
    pub fn scope(&mut self) -> Scope<'_, A> {
        Scope { hub: self.hub.reborrow(), calls: self.calls }
    }

    /// What the application remembers about the connection.
    pub fn context(&mut self) -> &mut A::Context {
        if self.hub.context(self.conn).is_none() {
            return self.nowhere.get_or_insert_default();
        }
        self.hub.context(self.conn).unwrap_or_else(|| self.nowhere.get_or_insert_default())
    }

    /// Who is at the other end, if that is known.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.hub.identity(self.conn)
    }

    /// The name of the user at the other end, if that is known.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.identity().map(|identity| &*identity.user)
    }

    /// Whether the user at the other end has a [scope](Identity::may).
    #[must_use]
    pub fn may(&self, scope: &str) -> bool {
        self.identity().is_some_and(|identity| identity.may(scope))
    }

    /// Sends a message to this connection.
    pub fn reply<'p>(&mut self, message: impl Into<Outgoing<'p>>) -> bool {
        self.hub.send(self.conn, message)
    }

    /// Sends a value to this connection: as JSON, or for a person as it displays itself.
    pub fn reply_as(&mut self, message: &(impl Serialize + fmt::Display)) -> bool {
        let conn = self.conn;
        self.scope().send_as(conn, message)
    }

    /// Sends a value to this connection as JSON, whoever is there; false also if it can't be written as JSON.
    pub fn reply_json(&mut self, message: &impl Serialize) -> bool {
        serde_json::to_string(message).is_ok_and(|json| self.reply(&json))
    }

    /// Makes this connection a member of a room: one that is [open](super::Service::rooms), or of which the user has the scope
    /// `join:` and its name.
    ///
    /// # Errors
    /// If the room is closed to the user or a limit of [`RoomLimits`](crate::RoomLimits) is reached.
    pub fn join(&mut self, room: &str) -> Result<bool, RoomError> {
        if !self.calls.rooms.may_join(self.identity(), room) {
            return Err(RoomError::Forbidden);
        }
        Ok(self.hub.join(self.conn, room)?)
    }

    /// Publishes a value to the other members of a room that this connection is in: one that is [open](super::Service::rooms), or
    /// of which the user has the scope `publish:` and its name. Returns for how many.
    ///
    /// # Errors
    /// If the room is closed to the user, or the membership is missing.
    pub fn publish(&mut self, room: &str, message: &(impl Serialize + fmt::Display)) -> Result<usize, RoomError> {
        if !self.calls.rooms.may_publish(self.identity(), room) {
            return Err(RoomError::Forbidden);
        }
        if !self.hub.rooms_of(self.conn).any(|joined| joined == room) {
            return Err(RoomError::NotMember);
        }
        let conn = self.conn;
        Ok(self.scope().publish_as_except(room, &[conn], message))
    }

    /// Calls a method at the other end (JSON-RPC 2.0). `then` is called once: with the result, or with why there is none within
    /// `deadline`.
    ///
    /// # Errors
    /// If the connection is over or a limit of [`TicketLimits`](crate::TicketLimits) is reached; then nothing is sent.
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

    /// Tells the other end something that is not answered (JSON-RPC 2.0 section 4.1); false if that can't be sent.
    pub fn notify(&mut self, method: &str, params: &impl Serialize) -> bool {
        let params = serde_json::to_string(params);
        params.is_ok_and(|params| Calls::<A>::notify(&mut self.hub, self.conn, method, &params))
    }

    /// Ends the connection for a named reason.
    pub fn end(&mut self, reason: Reason) {
        self.hub.end(self.conn, reason);
    }

    pub(crate) fn answered(&mut self, app: &mut A, number: Option<u64>, result: Result<String, RpcError>) {
        if let Some(then) = self.calls.take_answered(&mut self.hub, self.conn, number) {
            then(app, self, result.map_err(CallError::Remote));
        }
    }
}

/// A value in both representations.
fn negotiated<T>(message: &(impl Serialize + fmt::Display), send: impl FnOnce(Outgoing<'_>) -> T) -> T {
    // What can't be written as JSON (a map whose keys are no strings) is told as text to all.
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
