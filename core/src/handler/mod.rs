mod contexts;
mod deliver;
mod event;
mod hub;
mod presence_change;
mod room_gap;

pub use contexts::Contexts;
pub use event::Event;
pub use hub::{Close, Hub, PublishOptions};
pub use presence_change::PresenceChange;
pub use room_gap::RoomGap;

use core::fmt;
use core::str::FromStr;

/// An application: receives [`Event`]s and acts through the [`Hub`].
///
/// If `on` panics, the connection that the event is about ends as [`Reason::HandlerPanicked`](crate::Reason::HandlerPanicked), and
/// the panic is counted. The server continues with the handler in the state in which the panic left
/// it. This needs the feature `std`, which every shell enables. Without it, the target's panic
/// strategy applies.
///
/// A handler needs no `async`, lock or clock, so an application is tested like a function (see
/// [`testing`](crate::testing)). No method of the hub calls `on` before it returns.
pub trait Handler {
    /// Per-connection state of the application.
    ///
    /// The machine creates it when the connection opens, and drops it after its [`Event::Closed`].
    /// [`Hub::context`] accesses it.
    type Context: Default;

    /// Data from outside, such as a database result or a message from another thread.
    ///
    /// Use [`NoNote`] for none.
    type Note;

    /// Handles one event.
    fn on(&mut self, hub: &mut Hub<'_, Self::Context>, event: Event<'_, Self::Note>);

    /// Returns `true` if peers send this handler passwords or tokens.
    ///
    /// If so, a [trace](crate::trace) omits what peers send. Default: false.
    fn holds_secrets(&self) -> bool {
        false
    }

    /// Returns `true` if this handler handles [`Signal::Key`](crate::telnet::Signal::Key). Default: true.
    ///
    /// If not, a server refuses to start or reload with a listener in
    /// [`InputMode::Keys`](crate::telnet::InputMode::Keys) for this handler, because the handler
    /// would receive nothing that is typed there.
    fn reads_keys(&self) -> bool {
        true
    }
}

/// The note type of an application that receives no notes. It has no values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it has no values")]
pub enum NoNote {}

impl fmt::Display for NoNote {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl FromStr for NoNote {
    type Err = NoNoteError;

    fn from_str(_: &str) -> Result<Self, NoNoteError> {
        Err(NoNoteError)
    }
}

/// The error returned when a note is parsed for an application that takes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this application takes no notes")]
#[non_exhaustive]
pub struct NoNoteError;
