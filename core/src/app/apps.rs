use crate::base::{AppIndex, ConnId, ListenerId, Origin};
use crate::handler::{Contexts, Event, Handler, Hub, NoNote};
use crate::state::Timer;
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;

/// A handler that hosts several applications in one server.
///
/// A listener names its [application](crate::Listen::app). If it names none of them, it has the
/// first one. Each application has its own types.
///
/// An application receives the events of its own connections, listeners, dials, timers and notes.
/// Events of the whole server, such as [`Draining`](Event::Draining), go to all applications.
///
/// Each application has its own rooms: those of two applications never meet, whatever their names.
/// The limits of rooms are those of the server, and the names of rooms of all applications but the
/// first are stored with up to five more bytes. All applications share the topics of [messages
/// between shards](Hub::send_to_shard).
///
/// ```
/// use drupe_core::app::{Apps, Chat, Echo};
/// use drupe_core::testing::TestHub;
///
/// let mut hub = TestHub::new(Apps::new().with("chat", Chat::default()).with("echo", Echo));
/// let peer = hub.connect();
/// hub.line(peer, "/nick ann");
/// ```
#[derive(Default)]
pub struct Apps {
    apps: Vec<(String, Box<dyn AnyApp>)>,
}

/// A note for one of several applications was to be read from text, which cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("notes for one of several applications cannot be read from text")]
#[non_exhaustive]
pub struct NoteHasNoText;

impl core::str::FromStr for AppNote {
    type Err = NoteHasNoText;

    /// Never succeeds. Recordings of several applications [omit](crate::trace::Recorder::without_notes) their notes.
    fn from_str(_: &str) -> Result<Self, NoteHasNoText> {
        Err(NoteHasNoText)
    }
}

/// A [note](Handler::Note) for one of several applications.
pub struct AppNote {
    app: AppIndex,
    note: Box<dyn Any + Send>,
}

impl Apps {
    /// The maximum number of applications.
    pub const MAX: usize = 255;

    /// Creates an empty set of applications.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an application.
    ///
    /// It replaces an earlier one with that name, and takes its [index](Self::index). An application
    /// beyond [`MAX`](Self::MAX) is ignored.
    #[must_use]
    pub fn with<H: Handler<Context: 'static, Note: 'static> + 'static>(mut self, name: &str, handler: H) -> Self {
        let index = self.index(name).unwrap_or_else(|| self.next_index());
        let app: Box<dyn AnyApp> = Box::new(Hosted { handler, contexts: Contexts::default(), index });
        if let Some((_, replaced)) = self.apps.get_mut(usize::from(index.0)) {
            *replaced = app;
        } else if self.apps.len() < Self::MAX {
            self.apps.push((name.to_owned(), app));
        }
        self
    }

    /// Returns the index of the application that is added next, if its name is a new one.
    #[must_use]
    pub fn next_index(&self) -> AppIndex {
        AppIndex(u8::try_from(self.apps.len()).unwrap_or(u8::MAX))
    }

    /// Returns the index of the first application with this name, if any.
    #[must_use]
    pub fn index(&self, name: &str) -> Option<AppIndex> {
        let position = self.apps.iter().position(|(known, _)| known == name)?;
        Some(AppIndex(u8::try_from(position).ok()?))
    }

    fn recipient(&self, hub: &mut Hub<'_, AppIndex>, event: &Event<'_, AppNote>) -> Recipient {
        let of_listener = |hub: &Hub<'_, AppIndex>, listener: ListenerId| {
            hub.listener(listener).and_then(|listen| self.index(&listen.app)).unwrap_or_default()
        };
        let one = Recipient::One;
        match *event {
            Event::Opened { conn, origin, .. } => {
                let index = match origin {
                    Origin::Listener(listener) => of_listener(hub, listener),
                    Origin::Dial(dial) => AppIndex(dial.app()),
                };
                set(hub, conn, index);
                one(index)
            }
            Event::Timer(Timer { conn: None, app, .. }) => one(AppIndex(app)),
            Event::RoomGap(gap) if gap.conn.is_none() => one(gap.app),
            Event::PresenceChanged(change) => one(change.app),
            Event::RoomAnswered { request, .. } => one(AppIndex(request.app)),
            Event::ClusterAnswered { request, .. } => one(AppIndex(request.app)),
            Event::DialFailed { dial, .. } | Event::DialEnded { dial } => one(AppIndex(dial.app())),
            Event::Refused { listener, .. }
            | Event::Login { listener, .. }
            | Event::LoginEnded { listener, .. }
            | Event::Request { listener, .. }
            | Event::RequestExpired { listener, .. }
            | Event::RequestRefused { listener, .. }
            | Event::AcceptPaused { listener, .. }
            | Event::AcceptResumed { listener } => one(of_listener(hub, listener)),
            Event::Note(AppNote { app, .. }) => one(app),
            _ => match event.conn() {
                Some(conn) => hub.context(conn).map_or(Recipient::None, |index| one(*index)),
                None => Recipient::All,
            },
        }
    }
}

/// Stores the index of a new connection's application in its context.
fn set(hub: &mut Hub<'_, AppIndex>, conn: ConnId, index: AppIndex) {
    if let Some(stored) = hub.context(conn) {
        *stored = index;
    }
}

/// The applications that receive an event.
enum Recipient {
    One(AppIndex),
    All,
    None,
}

impl Handler for Apps {
    type Context = AppIndex;
    type Note = AppNote;

    fn on(&mut self, hub: &mut Hub<'_, AppIndex>, event: Event<'_, AppNote>) {
        match self.recipient(hub, &event) {
            Recipient::One(AppIndex(index)) => {
                let event = match event {
                    // The application does not know its index.
                    Event::Timer(timer) => Event::Timer(Timer { app: 0, ..timer }),
                    event => event,
                };
                if let Some((_, app)) = self.apps.get_mut(usize::from(index)) {
                    app.on(hub, event);
                }
            }
            Recipient::All => {
                let Ok(event) = event.with_other_notes::<NoNote>() else { return };
                for (_, app) in &mut self.apps {
                    let Ok(event) = event.clone().with_other_notes();
                    app.on(hub, event);
                }
            }
            Recipient::None => {}
        }
    }

    fn holds_secrets(&self) -> bool {
        self.apps.iter().any(|(_, app)| app.holds_secrets())
    }

    fn reads_keys(&self) -> bool {
        self.apps.iter().any(|(_, app)| app.reads_keys())
    }
}

impl AppNote {
    /// Creates a note for the application with this index.
    ///
    /// The application ignores a note of another type than its [`Note`](Handler::Note).
    pub fn new<N: Send + 'static>(app: AppIndex, note: N) -> Self {
        Self { app, note: Box::new(note) }
    }

    /// Returns the content of the note if its type is `N`, whichever application the note is for.
    ///
    /// # Errors
    /// The note itself, if it has another type.
    pub fn downcast<N: 'static>(self) -> Result<N, Self> {
        let Self { app, note } = self;
        note.downcast().map(|note| *note).map_err(|note| Self { app, note })
    }
}

/// An application with its context and note types erased.
trait AnyApp {
    fn on(&mut self, hub: &mut Hub<'_, AppIndex>, event: Event<'_, AppNote>);
    fn holds_secrets(&self) -> bool;
    fn reads_keys(&self) -> bool;
}

struct Hosted<H: Handler> {
    handler: H,
    contexts: Contexts<H::Context>,
    index: AppIndex,
}

impl<H: Handler<Note: 'static>> AnyApp for Hosted<H> {
    fn on(&mut self, hub: &mut Hub<'_, AppIndex>, event: Event<'_, AppNote>) {
        let event = match event.with_other_notes() {
            Ok(event) => event,
            Err(AppNote { note, .. }) => match note.downcast() {
                Ok(note) => Event::Note(*note),
                Err(_) => return,
            },
        };
        self.contexts.deliver_to(self.index.0, hub, event, &mut self.handler);
    }

    fn holds_secrets(&self) -> bool {
        self.handler.holds_secrets()
    }

    fn reads_keys(&self) -> bool {
        self.handler.reads_keys()
    }
}

impl fmt::Debug for Apps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.apps.iter().map(|(name, _)| name)).finish()
    }
}

impl fmt::Debug for AppNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppNote").field("app", &self.app).finish_non_exhaustive()
    }
}
