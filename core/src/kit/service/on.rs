//! Setters for the hooks of a service.

use super::{App, Cx, Joined, Outcome, Scope, Service};
use crate::base::Reason;
use crate::facts::RoomAnswer;
use crate::handler::{Event, RoomGap};
use crate::state::RoomRequest;
use crate::wire::http::Request;
use alloc::boxed::Box;
use core::time::Duration;

/// Hooks: the functions that the service calls for events.
///
/// Each kind of event, except [`every`](Self::every), has one function; setting another one
/// replaces it.
impl<A: App> Service<A> {
    /// Sets the function called for text that is neither a JSON object or array nor a command.
    #[must_use]
    pub fn on_text<O: Outcome>(
        mut self,
        mut act: impl FnMut(&mut A, &mut Cx<'_, A>, &str) -> O + Send + 'static,
    ) -> Self {
        self.hooks.text = Some(Box::new(move |app, cx, text| act(app, cx, text).into_result()));
        self
    }

    /// Sets the function called for binary messages. By default, UTF-8 is handled as text.
    #[must_use]
    pub fn on_binary(mut self, act: impl FnMut(&mut A, &mut Cx<'_, A>, &[u8]) + Send + 'static) -> Self {
        self.hooks.binary = Some(Box::new(act));
        self
    }

    /// Sets the function called when a connection opens.
    ///
    /// If it returns an error, the peer gets it, and the connection ends as [`Reason::Forbidden`].
    #[must_use]
    pub fn on_open<O: Outcome>(mut self, mut act: impl FnMut(&mut A, &mut Cx<'_, A>) -> O + Send + 'static) -> Self {
        self.hooks.opened = Some(Box::new(move |app, cx, _| act(app, cx).into_result()));
        self
    }

    /// Sets the function called when a connection opens, with the request of its WebSocket, if any.
    ///
    /// It replaces the function of [`on_open`](Self::on_open), and its errors have the same effect.
    #[must_use]
    pub fn on_open_with<O: Outcome>(
        mut self,
        mut act: impl FnMut(&mut A, &mut Cx<'_, A>, Option<&Request>) -> O + Send + 'static,
    ) -> Self {
        self.hooks.opened = Some(Box::new(move |app, cx, request| act(app, cx, request).into_result()));
        self
    }

    /// Sets the function called when the user of a connection changes.
    ///
    /// The renewal of a token does not change the user. With
    /// [`Authentication`](crate::kit::auth::Authentication), [`on_open`](Self::on_open) is called
    /// first, with the user already set.
    #[must_use]
    pub fn on_authenticated(mut self, act: impl FnMut(&mut A, &mut Cx<'_, A>) + Send + 'static) -> Self {
        self.hooks.authenticated = Some(Box::new(act));
        self
    }

    /// Sets the function called when a connection has closed.
    #[must_use]
    pub fn on_close(mut self, act: impl FnMut(&mut A, &mut Cx<'_, A>, Reason) + Send + 'static) -> Self {
        self.hooks.closed = Some(Box::new(act));
        self
    }

    /// Sets the function called when the server starts.
    #[must_use]
    pub fn on_start(mut self, act: impl FnMut(&mut A, &mut Scope<'_, A>) + Send + 'static) -> Self {
        self.hooks.started = Some(Box::new(act));
        self
    }

    /// Sets the function called when the server begins to drain.
    ///
    /// The server closes its connections over the [window](crate::Drain::window); for each one,
    /// [`on_close`](Self::on_close) is called.
    #[must_use]
    pub fn on_drain(mut self, act: impl FnMut(&mut A, &mut Scope<'_, A>) + Send + 'static) -> Self {
        self.hooks.draining = Some(Box::new(act));
        self
    }

    /// Sets the function called for notes from outside.
    #[must_use]
    pub fn on_note(mut self, act: impl FnMut(&mut A, &mut Scope<'_, A>, A::Note) + Send + 'static) -> Self {
        self.hooks.note = Some(Box::new(act));
        self
    }

    /// Sets the function called when a connection has joined a room that has a [home](crate::Home).
    ///
    /// It has received what it missed, and all later messages follow. The answer to a
    /// [subscription](Self::room_messages) precedes it.
    #[must_use]
    pub fn on_joined(mut self, act: impl FnMut(&mut A, &mut Cx<'_, A>, Joined<'_>) + Send + 'static) -> Self {
        self.hooks.joined = Some(Box::new(act));
        self
    }

    /// Sets the function called when members of a room may have missed messages.
    #[must_use]
    pub fn on_room_gap(mut self, act: impl FnMut(&mut A, &mut Scope<'_, A>, RoomGap<'_>) + Send + 'static) -> Self {
        self.hooks.room_gap = Some(Box::new(act));
        self
    }

    /// Sets the function called for the answer to a request of the application about a room.
    ///
    /// These are [`Cx::publish_with`], [`Cx::read_history`], and those of the
    /// [`Hub`](crate::Hub). Answers to the [requests of peers](Self::room_messages) go to the peers.
    #[must_use]
    pub fn on_room_answer(
        mut self,
        act: impl FnMut(&mut A, &mut Scope<'_, A>, RoomRequest, &RoomAnswer) + Send + 'static,
    ) -> Self {
        self.hooks.room_answer = Some(Box::new(act));
        self
    }

    /// Sets the function called for other events, such as telnet signals, timers and failed dials.
    #[must_use]
    pub fn on_other(mut self, act: impl FnMut(&mut A, &mut Scope<'_, A>, Event<'_, A::Note>) + Send + 'static) -> Self {
        self.hooks.other = Some(Box::new(act));
        self
    }

    /// Sets the function called for internal errors of methods, with the method and the cause.
    #[must_use]
    pub fn on_error(mut self, act: impl FnMut(&str, &str) + Send + 'static) -> Self {
        self.hooks.error = Some(Box::new(act));
        self
    }

    /// Calls a function every `interval` (at least 1 ms), first one interval after the start.
    #[must_use]
    pub fn every(mut self, interval: Duration, act: impl FnMut(&mut A, &mut Scope<'_, A>) + Send + 'static) -> Self {
        self.hooks.periodic.push((interval.max(Duration::from_millis(1)), Box::new(act)));
        self
    }
}
