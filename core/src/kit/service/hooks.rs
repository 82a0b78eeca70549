//! Hooks: an application's functions for events.

use super::{App, Cx, MessageError, Scope};
use crate::base::Reason;
use crate::facts::RoomAnswer;
use crate::handler::{Event, RoomGap};
use crate::history::{Position, Recovery};
use crate::state::{RoomRequest, Timer};
use crate::wire::http::Request;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

/// The name of the timers of [`Service::every`](super::Service::every).
pub(super) const EVERY: &str = "drupe::kit::every";

type Plain<A> = Box<dyn FnMut(&mut A, &mut Cx<'_, A>, &str) -> Result<(), MessageError> + Send>;
type Binary<A> = Box<dyn FnMut(&mut A, &mut Cx<'_, A>, &[u8]) + Send>;
type Opened<A> = Box<dyn FnMut(&mut A, &mut Cx<'_, A>, Option<&Request>) -> Result<(), MessageError> + Send>;
type OnCx<A> = Box<dyn FnMut(&mut A, &mut Cx<'_, A>) + Send>;
type Closed<A> = Box<dyn FnMut(&mut A, &mut Cx<'_, A>, Reason) + Send>;
type OnScope<A> = Box<dyn FnMut(&mut A, &mut Scope<'_, A>) + Send>;
type Note<A> = Box<dyn FnMut(&mut A, &mut Scope<'_, A>, <A as App>::Note) + Send>;
type Other<A> = Box<dyn FnMut(&mut A, &mut Scope<'_, A>, Event<'_, <A as App>::Note>) + Send>;
type Joining<A> = Box<dyn FnMut(&mut A, &mut Cx<'_, A>, Joined<'_>) + Send>;
type Missing<A> = Box<dyn FnMut(&mut A, &mut Scope<'_, A>, RoomGap<'_>) + Send>;
type Answered<A> = Box<dyn FnMut(&mut A, &mut Scope<'_, A>, RoomRequest, &RoomAnswer) + Send>;
type Log = Box<dyn FnMut(&str, &str) + Send>;

/// A connection that has joined a room and receives its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Joined<'a> {
    /// The name of the room.
    pub room: &'a str,
    /// The position from which the messages follow. `None` if the room has no home.
    pub position: Option<Position>,
    /// Whether the member has missed messages.
    pub recovery: Recovery,
}

/// The hooks of an application: one optional function per kind of event, and periodic ones.
pub(super) struct Hooks<A: App> {
    pub(super) text: Option<Plain<A>>,
    pub(super) binary: Option<Binary<A>>,
    pub(super) opened: Option<Opened<A>>,
    pub(super) authenticated: Option<OnCx<A>>,
    pub(super) closed: Option<Closed<A>>,
    pub(super) started: Option<OnScope<A>>,
    pub(super) draining: Option<OnScope<A>>,
    pub(super) note: Option<Note<A>>,
    pub(super) joined: Option<Joining<A>>,
    pub(super) room_gap: Option<Missing<A>>,
    pub(super) room_answer: Option<Answered<A>>,
    pub(super) other: Option<Other<A>>,
    pub(super) error: Option<Log>,
    pub(super) periodic: Vec<(Duration, OnScope<A>)>,
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
            joined: None,
            room_gap: None,
            room_answer: None,
            other: None,
            error: None,
            periodic: Vec::new(),
        }
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

    /// Handles the event of a room, in the function for it or in the one for all other events.
    pub(super) fn room(&mut self, app: &mut A, scope: &mut Scope<'_, A>, event: Event<'_, A::Note>) {
        match (event, self) {
            (Event::Joined { conn, room, position, recovery, .. }, Self { joined: Some(act), .. }) => {
                act(app, &mut scope.of(conn), Joined { room, position, recovery });
            }
            (Event::RoomGap(gap), Self { room_gap: Some(act), .. }) => act(app, scope, gap),
            (Event::RoomAnswered { request, answer }, Self { room_answer: Some(act), .. }) => {
                act(app, scope, request, answer);
            }
            (event, hooks) => hooks.other(app, scope, event),
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

    /// Calls the function for binary messages. Returns false if there is none.
    pub(super) fn binary(&mut self, app: &mut A, cx: &mut Cx<'_, A>, bytes: &[u8]) -> bool {
        self.binary.iter_mut().for_each(|act| act(app, cx, bytes));
        self.binary.is_some()
    }
}
