use super::connection::Connection;
use super::link::Link;
use super::path::{Action, Linked, Path, Ready};
use super::task::{Serving, Task};
use crate::{AsyncRuntime, BindError, Remote, Runtime, Server};
use drupe_core::wire::Protocol;
use drupe_core::{Config, ConnId, Event, Handler, Hub, Representation};

use std::sync::Arc;

use core::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

type Serve = dyn FnMut(Connection) -> Serving + Send;

/// A [`Handler`] that runs one task for each connection.
pub struct Connections {
    serve: Box<Serve>,
    spawn: fn(Task),
    remote: Remote<Ready>,
}

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

    /// Enables `half_open` on every listener that does not serve HTTP.
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
                let is_raw = hub.wire_name(conn) == Some("raw");
                let has_lines = !is_raw && hub.representation(conn) == Representation::Text;
                let connection = Connection::new(link, self.remote.clone(), conn, peer, (has_lines, is_raw));
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

/// Reports to the hub whether a connection's task has work, for which a drain waits.
fn note_work(hub: &mut Hub<'_, Linked>, conn: ConnId) {
    let is_working = link(hub, conn).is_some_and(|link| link.is_working());
    hub.set_working(conn, is_working);
}

/// Runs the queued actions of a connection's task.
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

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connections")
    }
}
