//! Hooks: an application's functions for events.

use super::{App, Cx, MessageError, Outcome, Scope, Service};
use crate::base::Reason;
use crate::handler::Event;
use crate::state::Timer;
use crate::wire::http::Request;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

/// The name of the timers of [`Service::every`].
pub(super) const EVERY: &str = "drupe::kit::every";

type Plain<A> = Box<dyn FnMut(&mut A, &mut Cx<'_, A>, &str) -> Result<(), MessageError> + Send>;
type Binary<A> = Box<dyn FnMut(&mut A, &mut Cx<'_, A>, &[u8]) + Send>;
type Opened<A> = Box<dyn FnMut(&mut A, &mut Cx<'_, A>, Option<&Request>) -> Result<(), MessageError> + Send>;
type OnCx<A> = Box<dyn FnMut(&mut A, &mut Cx<'_, A>) + Send>;
type Closed<A> = Box<dyn FnMut(&mut A, &mut Cx<'_, A>, Reason) + Send>;
type OnScope<A> = Box<dyn FnMut(&mut A, &mut Scope<'_, A>) + Send>;
type Note<A> = Box<dyn FnMut(&mut A, &mut Scope<'_, A>, <A as App>::Note) + Send>;
type Other<A> = Box<dyn FnMut(&mut A, &mut Scope<'_, A>, Event<'_, <A as App>::Note>) + Send>;
type Log = Box<dyn FnMut(&str, &str) + Send>;

/// One optional function per kind of event.
pub(super) struct Hooks<A: App> {
    pub(super) text: Option<Plain<A>>,
    binary: Option<Binary<A>>,
    opened: Option<Opened<A>>,
    authenticated: Option<OnCx<A>>,
    closed: Option<Closed<A>>,
    started: Option<OnScope<A>>,
    draining: Option<OnScope<A>>,
    note: Option<Note<A>>,
    other: Option<Other<A>>,
    error: Option<Log>,
    periodic: Vec<(Duration, OnScope<A>)>,
}

impl<A: App> Default for Hooks<A> {
    fn default() -> Self {
        Self {
            text: None,
            binary: None,
            opened: None,
            authenticated: None,
            closed: None,
            started: None,
            draining: None,
            note: None,
            other: None,
            error: None,
            periodic: Vec::new(),
        }
    }
}

/// Hooks.
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

    /// Sets the function called for binary messages. Without it, UTF-8 ones are served as text.
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

    /// Like [`on_open`](Self::on_open), but passes the request that opened the WebSocket, if any.
    #[must_use]
    pub fn on_open_with<O: Outcome>(
        mut self,
        mut act: impl FnMut(&mut A, &mut Cx<'_, A>, Option<&Request>) -> O + Send + 'static,
    ) -> Self {
        self.hooks.opened = Some(Box::new(move |app, cx, request| act(app, cx, request).into_result()));
        self
    }

    /// Sets the function called when a connection gets another user, not when a token is renewed.
    ///
    /// With [`Authentication`](crate::kit::auth::Authentication), [`on_open`](Self::on_open) is
    /// called first, with the user already set.
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
    /// It closes its connections over the [window](crate::Drain::window); for each one,
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

    /// Sets the function called for other events, such as telnet signals, timers and failed dials.
    #[must_use]
    pub fn on_other(mut self, act: impl FnMut(&mut A, &mut Scope<'_, A>, Event<'_, A::Note>) + Send + 'static) -> Self {
        self.hooks.other = Some(Box::new(act));
        self
    }

    /// Sets the function that logs errors withheld from callers; it gets the method and the text.
    #[must_use]
    pub fn on_error(mut self, act: impl FnMut(&str, &str) + Send + 'static) -> Self {
        self.hooks.error = Some(Box::new(act));
        self
    }

    /// Calls a function every `interval`, first one interval after the start. At least 1 ms.
    #[must_use]
    pub fn every(mut self, interval: Duration, act: impl FnMut(&mut A, &mut Scope<'_, A>) + Send + 'static) -> Self {
        self.hooks.periodic.push((interval.max(Duration::from_millis(1)), Box::new(act)));
        self
    }
}

impl<A: App> Hooks<A> {
    pub(super) fn start(&mut self, app: &mut A, scope: &mut Scope<'_, A>) {
        for ((interval, _), number) in self.periodic.iter().zip(0..) {
            scope.hub.wake(Timer::named(EVERY).keyed(number), *interval);
        }
        self.started.iter_mut().for_each(|act| act(app, scope));
    }

    pub(super) fn every(&mut self, app: &mut A, scope: &mut Scope<'_, A>, timer: Timer) {
        let number = usize::try_from(timer.key).unwrap_or(usize::MAX);
        let Some((interval, act)) = self.periodic.get_mut(number) else { return };
        scope.hub.wake(timer, *interval);
        act(app, scope);
    }

    pub(super) fn opened(
        &mut self,
        app: &mut A,
        cx: &mut Cx<'_, A>,
        request: Option<&Request>,
    ) -> Result<(), MessageError> {
        self.opened.as_mut().map_or(Ok(()), |act| act(app, cx, request))
    }

    pub(super) fn authenticated(&mut self, app: &mut A, cx: &mut Cx<'_, A>) {
        self.authenticated.iter_mut().for_each(|act| act(app, cx));
    }

    pub(super) fn closed(&mut self, app: &mut A, cx: &mut Cx<'_, A>, reason: Reason) {
        self.closed.iter_mut().for_each(|act| act(app, cx, reason));
    }

    pub(super) fn drain(&mut self, app: &mut A, scope: &mut Scope<'_, A>) {
        self.draining.iter_mut().for_each(|act| act(app, scope));
    }

    pub(super) fn note(&mut self, app: &mut A, scope: &mut Scope<'_, A>, note: A::Note) {
        if let Some(act) = &mut self.note {
            act(app, scope, note);
        }
    }

    pub(super) fn other(&mut self, app: &mut A, scope: &mut Scope<'_, A>, event: Event<'_, A::Note>) {
        if let Some(act) = &mut self.other {
            act(app, scope, event);
        }
    }

    pub(super) fn error(&mut self, method: &str, cause: &str) {
        self.error.iter_mut().for_each(|act| act(method, cause));
    }

    pub(super) fn plain(&mut self, app: &mut A, cx: &mut Cx<'_, A>, text: &str) -> Result<(), MessageError> {
        self.text.as_mut().map_or(Ok(()), |act| act(app, cx, text))
    }

    /// Returns false if there is no function for binary messages.
    pub(super) fn binary(&mut self, app: &mut A, cx: &mut Cx<'_, A>, bytes: &[u8]) -> bool {
        self.binary.iter_mut().for_each(|act| act(app, cx, bytes));
        self.binary.is_some()
    }
}
