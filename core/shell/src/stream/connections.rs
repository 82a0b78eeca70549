use super::connection::{Connection, Opening};
use super::link::Link;
use super::path::{Action, Linked, Path, Ready};
use super::task::{Serving, Task};
use crate::{AsyncRuntime, BindError, Remote, Runtime, Server};
use drupe_core::wire::Protocol;
use drupe_core::{Config, ConnId, Event, Handler, Hub};

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

impl<H: Handler<Context = Linked, Note = Ready>, R: Runtime + AsyncRuntime> Server<H, R> {
    /// Binds a server like [`serve`](Server::serve), with layers in front of the tasks.
    ///
    /// `wrap` adds the layers. A task begins once they have passed its connection on: behind
    /// [`Authentication`], once the peer is authenticated, so that the task knows its
    /// [identity](Connection::identity). Then it receives only what the layers pass on.
    ///
    /// ```no_run
    /// # fn serve<R: drupe_shell::AsyncRuntime + drupe_shell::Runtime>()
    /// # -> Result<drupe_shell::Server<impl drupe_core::Handler, R>, Box<dyn std::error::Error>> {
    /// use drupe_core::kit::layer::{Greeting, RateBy, RateLimit, Within};
    /// use drupe_core::{Config, Listen, limit::Rate};
    /// use drupe_shell::{Server, stream::Connection};
    ///
    /// async fn echo(mut connection: Connection) {
    ///     while let Some(message) = connection.receive().await {
    ///         if connection.send(message).await.is_err() {
    ///             return;
    ///         }
    ///     }
    /// }
    ///
    /// let listen: Listen = "tcp://127.0.0.1:7000".parse()?;
    /// let config = Config::listening([listen.welcome("hello".into())]);
    /// let rate = Rate::new(10, 20)?;
    /// let server = Server::<_, R>::serve_within(config, echo, |tasks| {
    ///     // The layer added last is the outermost.
    ///     tasks.within(RateLimit::new(RateBy::Connection, rate)).within(Greeting)
    /// })?;
    /// # Ok(server)
    /// # }
    /// ```
    ///
    /// [`Authentication`]: https://docs.rs/drupe-core/latest/drupe_core/kit/auth/struct.Authentication.html
    ///
    /// # Errors
    /// The first listener that cannot be bound. All others are closed.
    pub fn serve_within<F>(
        config: Config,
        serve: impl FnMut(Connection) -> F + Send + 'static,
        wrap: impl FnOnce(Connections) -> H,
    ) -> Result<Self, BindError>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::bind_with(Connections::configure(config), |remote| wrap(Connections::new(remote, R::spawn, serve)))
    }
}

impl Handler for Connections {
    type Context = Linked;
    type Note = Ready;

    fn on(&mut self, hub: &mut Hub<'_, Linked>, event: Event<'_, Ready>) {
        match event {
            Event::Opened { conn, peer, origin, request, .. } => {
                let link = Link::new();
                if hub.is_draining() {
                    link.drain();
                }
                let wire_name = hub.wire_name(conn).unwrap_or("lines");
                // Not the representation, which a layer may have changed.
                let has_lines = matches!(wire_name, "lines" | "telnet" | "ws+telnet");
                let opening = Opening { peer, origin, request: request.cloned(), wire_name, has_lines };
                let Some(context) = hub.context(conn) else { return };
                context.link = Some(Arc::clone(&link));
                let live = Arc::clone(&context.live);
                refresh(hub, conn);
                let connection = Connection::new(link, self.remote.clone(), conn, opening, live);
                let handle = connection.handle();
                let future = (self.serve)(connection);
                (self.spawn)(Task { future, handle });
            }
            Event::Authenticated { conn, .. } => refresh(hub, conn),
            Event::Message { conn, payload } => {
                refresh_representation(hub, conn);
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
    hub.context(conn)?.link.clone()
}

/// Copies a connection's identity and representation to the state that its task reads.
fn refresh(hub: &mut Hub<'_, Linked>, conn: ConnId) {
    let identity = hub.identity(conn).cloned();
    if let Some(context) = hub.context(conn) {
        context.live.lock().identity = identity;
    }
    refresh_representation(hub, conn);
}

fn refresh_representation(hub: &mut Hub<'_, Linked>, conn: ConnId) {
    let representation = hub.representation(conn);
    if let Some(context) = hub.context(conn) {
        context.live.lock().representation = Some(representation);
    }
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
                refresh(hub, conn);
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
