use super::connection::{Connection, Handle};
use super::link::{Link, Weight};
use crate::{AsyncRuntime, BindError, Remote, Runtime, Server};
use drupe_core::wire::Protocol;
use drupe_core::{Config, ConnId, Event, Handler, Hub, OutgoingBuf, PayloadBuf, Reason, Representation};

use std::sync::Arc;

use core::fmt;
use core::pin::Pin;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

type Serve = dyn FnMut(Connection) -> Serving + Send;

/// The task of one connection.
pub struct Task {
    future: Serving,
    handle: Handle,
}

/// A [`Handler`] that runs one task for each connection.
pub struct Connections {
    serve: Box<Serve>,
    spawn: fn(Task),
    remote: Remote<Ready>,
}

type Act = dyn FnOnce(&mut Hub<'_, Linked>, ConnId) + Send;

/// What a task asks of the machine.
pub(super) enum Action {
    Send(OutgoingBuf),
    Write(PayloadBuf),
    Act(Box<Act>),
    Close,
    End(Reason),
}

/// The link between a connection's task and the machine.
pub(super) type Path = Link<PayloadBuf, Action>;

impl Weight for PayloadBuf {
    fn bytes(&self) -> usize {
        self.as_payload().as_bytes().len()
    }
}

impl Weight for Action {
    fn bytes(&self) -> usize {
        match self {
            Self::Send(message) => message.as_outgoing().len(),
            Self::Write(payload) => payload.bytes(),
            Self::Act(_) | Self::Close | Self::End(_) => 0,
        }
    }
}

/// A note to the handler: a connection's task has queued actions, or has panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    pub(super) conn: ConnId,
    pub(super) panicked: bool,
}

/// The context of a connection: the link to its task.
#[derive(Default)]
pub struct Linked(Option<Arc<Path>>);

impl Connections {
    /// Creates the handler. `serve` creates the future of each connection, and `spawn` runs it.
    pub fn new<F>(
        remote: Remote<Ready>,
        spawn: fn(Task),
        mut serve: impl FnMut(Connection) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let serve = move |connection| -> Serving { Box::pin(serve(connection)) };
        Self { serve: Box::new(serve), spawn, remote }
    }

    /// Enables `half_open` on all listeners except HTTP.
    ///
    /// A peer may end its half while its task still has messages to read and answer.
    #[must_use]
    pub fn configure(mut config: Config) -> Config {
        for listen in &mut config.listeners {
            // A WebSocket cannot be half-open.
            listen.half_open |= !matches!(listen.protocol, Protocol::Http(_));
        }
        config
    }
}

impl<R: Runtime + AsyncRuntime> Server<Connections, R> {
    /// Binds a server that runs one task per connection, on the runtime of the server.
    ///
    /// Peers can connect from now on. See [`stream`](super) for limits and back-pressure.
    ///
    /// # Errors
    /// The first listener that cannot be bound. All others are closed.
    pub fn serve<F>(config: Config, serve: impl FnMut(Connection) -> F + Send + 'static) -> Result<Self, BindError>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::bind_with(Connections::configure(config), |remote| Connections::new(remote, R::spawn, serve))
    }
}

impl Handler for Connections {
    type Context = Linked;
    type Note = Ready;

    fn on(&mut self, hub: &mut Hub<'_, Linked>, event: Event<'_, Ready>) {
        match event {
            Event::Opened { conn, peer, .. } => {
                let link = Link::new();
                if hub.is_draining() {
                    link.drain();
                }
                if let Some(context) = hub.context(conn) {
                    context.0 = Some(Arc::clone(&link));
                }
                let has_lines = hub.representation(conn) == Representation::Text;
                let connection = Connection::new(link, self.remote.clone(), conn, peer, has_lines);
                let handle = connection.handle();
                let future = (self.serve)(connection);
                (self.spawn)(Task { future, handle });
            }
            Event::Message { conn, payload } => {
                let is_full = link(hub, conn).is_some_and(|link| link.deliver(payload.to_owned()));
                if is_full {
                    hub.pause(conn);
                }
                if hub.is_draining() {
                    note_work(hub, conn);
                }
            }
            Event::Draining => {
                for conn in hub.connections().collect::<Vec<_>>() {
                    link(hub, conn).iter().for_each(|link| link.drain());
                    note_work(hub, conn);
                }
            }
            Event::Note(Ready { conn, panicked }) => {
                attend(hub, conn);
                if panicked {
                    hub.task_panicked(conn);
                }
            }
            Event::InputEnded { conn, .. } => {
                let is_silent = link(hub, conn).is_some_and(|link| link.input_ended());
                if is_silent {
                    hub.close(conn);
                }
            }
            Event::Stalled { conn, .. } => link(hub, conn).iter().for_each(|link| link.set_stalled(true)),
            Event::Drained { conn, .. } => link(hub, conn).iter().for_each(|link| link.set_stalled(false)),
            Event::Closed { conn, reason, .. } => link(hub, conn).iter().for_each(|link| link.end(reason)),
            _ => {}
        }
    }

    fn reads_keys(&self) -> bool {
        false
    }
}

fn link(hub: &mut Hub<'_, Linked>, conn: ConnId) -> Option<Arc<Path>> {
    hub.context(conn)?.0.clone()
}

/// Reports whether the connection's task has work, which a drain waits for.
fn note_work(hub: &mut Hub<'_, Linked>, conn: ConnId) {
    let is_working = link(hub, conn).is_some_and(|link| link.is_working());
    hub.set_working(conn, is_working);
}

/// Runs the actions of a connection's task.
fn attend(hub: &mut Hub<'_, Linked>, conn: ConnId) {
    let Some(link) = link(hub, conn) else { return };
    let (actions, resumes) = link.take_actions();
    for action in actions {
        match action {
            Action::Send(message) => drop(hub.send(conn, message.as_outgoing())),
            Action::Write(payload) => drop(hub.write(conn, &payload)),
            Action::Act(act) => {
                if catch_unwind(AssertUnwindSafe(|| act(hub, conn))).is_err() {
                    hub.task_panicked(conn);
                }
            }
            Action::Close => hub.close(conn),
            Action::End(reason) => hub.end(conn, reason),
        }
    }
    if resumes {
        hub.resume(conn);
    }
    if link.is_silent() {
        hub.close(conn);
    }
    if hub.is_draining() {
        note_work(hub, conn);
    }
    link.done();
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { future, handle } = &mut *self;
        // The future is not polled again after a panic.
        catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))).unwrap_or_else(|_| {
            handle.panicked();
            Poll::Ready(())
        })
    }
}

/// The server was dropped, whether or not the connection had ended.
impl Drop for Linked {
    fn drop(&mut self) {
        self.0.iter().for_each(|link| link.end(Reason::Shutdown));
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Task")
    }
}

impl fmt::Debug for Linked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Linked")
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connections")
    }
}
