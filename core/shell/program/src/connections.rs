//! The log of connections, listeners and tunnels: one line per event.

use crate::logs::Logs;
use crate::{descriptors, systemd};
use drupe_core::http::Request;
use drupe_core::kit::layer::Layer;
use drupe_core::text::escape_hidden;
use drupe_core::tunnel::{Forward, ForwardStatus, TunnelState, TunnelStatus};
use drupe_core::{AcceptFailure, Address, ConnId, Event, Handler, Hub, ListenerId, Reason};
use std::fmt::Display;
use tracing::{Level, debug, info, warn};

/// A layer that logs events of connections, listeners and tunnels, but no message content.
pub(crate) struct LogConnections(Logs);

impl LogConnections {
    pub(crate) const fn new(logs: Logs) -> Self {
        Self(logs)
    }

    fn log<H: Handler>(&self, hub: &Hub<'_, H::Context>, event: &Event<'_, H::Note>) {
        let user = |conn| hub.identity(conn).map_or("-".into(), |identity| escape_hidden(&identity.user));
        let admits_at =
            |level, kind, words: &dyn Display| self.0.admits_line(kind, level, || format!("{kind}: {words}"));
        let admits = |kind, words: &dyn Display| admits_at(Level::INFO, kind, words);
        let name = |listener: &ListenerId| hub.listener(*listener).map_or("", |listen| listen.name.as_str());
        match event {
            Event::Opened { conn, peer, .. } => {
                let listener = hub.listen(*conn).map_or("", |listen| &listen.name);
                let wire = hub.wire_name(*conn).unwrap_or_default();
                if admits("opened", &format_args!("{conn} {peer} by {listener}")) {
                    info!(target: "connections", %conn, %peer, listener, wire, "opened");
                }
            }
            Event::Refused { listener, peer, reason, .. } => {
                let listener = name(listener);
                if admits("refused", &format_args!("{peer} by {listener}: {reason}")) {
                    info!(target: "connections", %peer, listener, %reason, "refused");
                }
            }
            Event::RequestRefused { listener, peer, reason, status, why, request, .. } => {
                let listener = hub.listener(*listener).map_or("", |listen| listen.name.as_str());
                let shown =
                    |value: Option<&str>| value.map_or("-".into(), |value| escape_hidden(&start(value)).into_owned());
                let asked = |value: fn(&Request) -> Option<&str>| shown(request.and_then(value));
                let (host, origin) = (asked(Request::host), asked(|request| request.field("origin")));
                let (method, path) = (asked(|request| Some(request.method())), asked(|request| Some(request.path())));
                let words =
                    format_args!("{peer} by {listener}: {reason}, {method} {path}, host {host}, origin {origin}");
                // The usual cause of these is the configuration, so the operator should see them.
                let is_warning = matches!(reason, Reason::OriginRefused | Reason::HostRefused);
                let level = if is_warning { Level::WARN } else { Level::INFO };
                if !admits_at(level, "request refused", &words) {
                } else if is_warning {
                    warn!(target: "connections", %peer, listener, %reason, status, method, path, host, origin, "request refused: {why}");
                } else {
                    info!(target: "connections", %peer, listener, %reason, status, method, path, host, origin, "request refused: {why}");
                }
            }
            Event::Authenticated { conn, .. } => {
                let user = user(*conn);
                if admits("authenticated", &format_args!("{conn} {user}")) {
                    info!(target: "connections", %conn, %user, "authenticated");
                }
            }
            Event::Message { conn, payload } if self.0.admits_message() => {
                debug!(target: "messages", %conn, bytes = payload.as_bytes().len(), "message");
            }
            Event::Stalled { conn, queued, .. } if admits("stalled", &format_args!("{conn} {queued} bytes queued")) => {
                info!(target: "connections", %conn, queued, "stalled");
            }
            Event::Drained { conn, .. } if admits("drained", conn) => {
                info!(target: "connections", %conn, "drained");
            }
            Event::Closed { conn, reason, .. } => self.log_closed(hub, *conn, *reason),
            Event::Tunnel { status, .. } => self.log_tunnel(hub, status),
            Event::Broker { is_up: true, why: Some(why), .. } => {
                let line = format!("the broker of the cluster refused a message: {why}");
                self.0.frequent_operation("broker refused", Level::WARN, &line);
            }
            Event::Broker { is_up: true, .. } => {
                self.0.frequent_operation("broker up", Level::INFO, "the link to the broker of the cluster works");
            }
            Event::Broker { is_up: false, why, .. } => {
                let why = why.unwrap_or("the link has ended");
                let line = format!("the link to the broker of the cluster does not work: {why}");
                self.0.frequent_operation("broker down", Level::WARN, &line);
            }
            Event::ChannelRefused { tunnel, words, .. } => {
                let line = format!("tunnel {tunnel}: refused {words}");
                self.0.frequent_operation("channel refused", Level::WARN, &line);
            }
            Event::AcceptPaused { listener, failure, .. } => {
                let why = match failure {
                    AcceptFailure::Exhausted => descriptors::exhausted(),
                    _ => "accepting failed several times in a row".into(),
                };
                let line = format!("listener {} can't accept connections: {why}", name(listener));
                self.0.frequent_operation("accept paused", Level::ERROR, &line);
            }
            Event::AcceptResumed { listener, .. } => {
                let line = format!("listener {} accepts connections again", name(listener));
                self.0.frequent_operation("accept resumed", Level::INFO, &line);
            }
            Event::Draining => {
                info!(target: "operation", "draining");
                systemd::stopping();
            }
            _ => {}
        }
    }
}

/// Truncates a value from the peer to 200 characters.
fn start(value: &str) -> String {
    value.chars().take(200).collect()
}

impl LogConnections {
    fn log_closed<C>(&self, hub: &Hub<'_, C>, conn: ConnId, reason: Reason) {
        let user = hub.identity(conn).map_or("-".into(), |identity| escape_hidden(&identity.user));
        let seconds = hub.age(conn).as_secs_f64();
        let peer = hub.peer(conn).map_or("-".into(), |peer| peer.to_string());
        let error = hub.decode_error(conn);
        let why = error.map(|error| format!(", {error}")).unwrap_or_default();
        let line = || format!("closed: {conn} {reason} after {seconds:.3} s, user {user}{why}");
        if self.0.admits_line("closed", Level::INFO, line) {
            let error = error.map(tracing::field::display);
            let listener = hub.listen(conn).map_or("-", |listen| &listen.name);
            let wire = hub.wire_name(conn).unwrap_or("-");
            let traffic = hub.traffic(conn).map(|traffic| (traffic.bytes_in, traffic.bytes_out, traffic.messages_in));
            let (bytes_in, bytes_out, messages_in) = traffic.unwrap_or_default();
            info!(
                target: "connections",
                %conn, %peer, listener, wire, %reason, error, seconds, %user, bytes_in, bytes_out, messages_in,
                "closed"
            );
        }
    }

    fn log_tunnel<C>(&self, hub: &Hub<'_, C>, status: &TunnelStatus) {
        let is_permanent = status.last_error.as_ref().is_some_and(|(failure, _)| failure.is_permanent());
        let level = match status.state {
            TunnelState::Connecting if status.connects > 1 => Level::DEBUG,
            TunnelState::Waiting(_) if is_permanent => Level::ERROR,
            TunnelState::GivenUp => Level::ERROR,
            TunnelState::Waiting(_) | TunnelState::Degraded => Level::WARN,
            _ => Level::INFO,
        };
        let place = |forward: &ForwardStatus| {
            let listen = hub.listener(forward.listener)?;
            Some(listen.bound(&Address::Forwarded(Forward::new(&status.name, forward.bind.clone()))))
        };
        let places: Vec<_> = status.forwards.iter().filter(|forward| forward.bound).filter_map(place).collect();
        let places = if places.is_empty() { String::new() } else { format!("; listening on {}", places.join(", ")) };
        self.0.operation(level, &format!("{status}{places}"));
    }
}

impl<H: Handler> Layer<H> for LogConnections {
    fn on(&mut self, hub: &mut Hub<'_, H::Context>, event: Event<'_, H::Note>, within: &mut H) {
        self.log::<H>(hub, &event);
        within.on(hub, event);
    }
}
