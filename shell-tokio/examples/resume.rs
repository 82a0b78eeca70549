//! Sessions that outlive connections, behind a reverse SSH tunnel.
//!
//! A chat that keeps messages for participants whose tunnel or connection is down.
//!
//! ```text
//! resume drupe@edge.example.org:22 ~/.ssh/id_ed25519 ~/.ssh/known_hosts \
//!     'tcp://127.0.0.1:7000?tunnel=edge'
//! nc edge.example.org 7000
//! ```
//!
//! The first line names the session. After the connection was lost, `/resume SESSION` on a new one
//! continues the session and sends the missed messages.

#![allow(clippy::print_stdout, reason = "it prints its addresses")]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails where its assumption does"))]

use drupe_tokio::core::tunnel::{Jump, Ssh, Tunnel};
use drupe_tokio::core::{Config, ConnId, Event, Handler, Hub, NoNote, Reason, Timer};
use drupe_tokio::shell::secret;
use drupe_tokio::{Server, tunnel};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::time::Duration;

/// How long a session without a connection is kept.
const KEPT_FOR: Duration = Duration::from_secs(600);
/// How many missed messages a session keeps. If there are more, the last ones.
const KEPT_MAX: usize = 100;

/// A chat room that keeps the sessions of participants who lost their connection.
struct Channel {
    sessions: BTreeMap<String, Session>,
    /// Creates unpredictable session names: a name is the only credential of its session.
    name: Box<dyn FnMut() -> String + Send>,
    next: u32,
}

struct Session {
    number: u32,
    /// `None` while the connection is lost.
    conn: Option<ConnId>,
    missed: Vec<String>,
}

impl Handler for Channel {
    /// The name of the connection's session.
    type Context = Option<String>;
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, Self::Context>, event: Event<'_, NoNote>) {
        match event {
            Event::Opened { conn, .. } => {
                self.next += 1;
                let name = (self.name)();
                hub.send(conn, &format!("session {name}"));
                self.enter(hub, conn, name, Session { number: self.next, conn: None, missed: Vec::new() });
            }
            Event::Message { conn, payload } => match payload.as_str().unwrap_or_default().strip_prefix("/resume ") {
                Some(name) => self.resume(hub, conn, name),
                None => self.say(hub, conn, payload.as_str().unwrap_or_default()),
            },
            Event::Closed { conn, reason, .. } => {
                let Some(name) = hub.context(conn).and_then(Option::take) else { return };
                let Some(session) = self.sessions.get_mut(&name) else { return };
                // A peer that closed its connection leaves. One that lost it may come back.
                if matches!(reason, Reason::TunnelLost | Reason::Reset | Reason::NetworkTimeout | Reason::NetworkError)
                {
                    session.conn = None;
                    hub.wake(Timer::named("forget").keyed(session.number.into()), KEPT_FOR);
                } else {
                    self.sessions.remove(&name);
                }
            }
            Event::Timer(timer) => {
                self.sessions.retain(|_, session| session.conn.is_some() || u64::from(session.number) != timer.key);
            }
            _ => {}
        }
    }
}

impl Channel {
    fn new(name: impl FnMut() -> String + Send + 'static) -> Self {
        Self { sessions: BTreeMap::new(), name: Box::new(name), next: 0 }
    }

    fn enter(&mut self, hub: &mut Hub<'_, Option<String>>, conn: ConnId, name: String, mut session: Session) {
        for missed in session.missed.drain(..) {
            hub.send(conn, &missed);
        }
        session.conn = Some(conn);
        if let Some(context) = hub.context(conn) {
            *context = Some(name.clone());
        }
        self.sessions.insert(name, session);
    }

    fn resume(&mut self, hub: &mut Hub<'_, Option<String>>, conn: ConnId, name: &str) {
        // A session that has a connection cannot be resumed.
        let waits = self.sessions.get(name).is_some_and(|session| session.conn.is_none());
        let waiting = if waits { self.sessions.remove(name) } else { None };
        let Some(session) = waiting else {
            hub.send(conn, "no such session, or it is still connected");
            return;
        };
        hub.cancel(Timer::named("forget").keyed(session.number.into()));
        if let Some(own) = hub.context(conn).and_then(Option::take) {
            self.sessions.remove(&own);
        }
        hub.send(conn, &format!("welcome back, {}", session.number));
        self.enter(hub, conn, name.to_owned(), session);
    }

    fn say(&mut self, hub: &mut Hub<'_, Option<String>>, conn: ConnId, text: &str) {
        let Some(own) = hub.context(conn).and_then(|context| context.clone()) else { return };
        let Some(number) = self.sessions.get(&own).map(|session| session.number) else { return };
        let message = format!("{number}: {text}");
        for (name, session) in &mut self.sessions {
            match session.conn {
                _ if *name == own => {}
                Some(conn) => drop(hub.send(conn, &message)),
                None => {
                    session.missed.push(message.clone());
                    let over = session.missed.len().saturating_sub(KEPT_MAX);
                    session.missed.drain(..over);
                }
            }
        }
    }
}

fn unguessable() -> String {
    // Without random bytes the name is not secret: all zeros.
    let bytes = secret().unwrap_or_default();
    bytes[..16].iter().fold(String::new(), |mut name, byte| {
        let _ = write!(name, "{byte:02x}");
        name
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, key, known_hosts, addresses @ ..] = &arguments[..] else {
        return Err("usage: resume USER@HOST[:PORT] KEY KNOWN_HOSTS ADDRESS...".into());
    };
    let Jump { user: Some(user), host, port, .. } = server.parse()? else {
        return Err("the SSH server needs a user: USER@HOST[:PORT]".into());
    };
    let ssh = Ssh::new(&host, &user, known_hosts).port(port).key_path(Some(key.clone()));
    tunnel::check(&ssh)?;
    let mut config = Config::listening(addresses.iter().map(|text| text.parse()).collect::<Result<Vec<_>, _>>()?);
    config.tunnels = vec![Tunnel::new("edge", ssh)];
    let server = Server::bind(config, Channel::new(unguessable))?.drain_on_signals()?;
    for address in server.addresses() {
        println!("listening on {address}");
    }
    let tunnels = tokio::spawn(tunnel::serve(&server.remote()));
    let mut watch = server.remote().watch_tunnels();
    tokio::spawn(async move {
        while let Some(statuses) = watch.next().await {
            statuses.iter().for_each(|status| println!("{status}"));
        }
    });
    server.run().await?;
    tunnels.await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use drupe_tokio::core::testing::TestHub;
    use drupe_tokio::core::tunnel::{LinkId, TunnelFailure, TunnelId, TunnelReport};
    use drupe_tokio::core::{ListenerId, Peer};

    /// A connected tunnel with two listeners: one on the SSH server and one here.
    fn hub() -> TestHub<Channel> {
        let addresses = ["tcp://127.0.0.1:7000?tunnel=edge", "tcp://127.0.0.1:7000"];
        let mut config = Config::listening(addresses.map(|text| text.parse().unwrap()));
        config.tunnels = vec![Tunnel::new("edge", Ssh::new("edge", "drupe", "known_hosts"))];
        let mut number = 0;
        let mut hub = TestHub::with_config(
            config,
            Channel::new(move || {
                number += 1;
                format!("secret-{number}")
            }),
        );
        hub.tunnel_reported(link(1), &TunnelReport::Connected);
        hub.tunnel_reported(link(1), &TunnelReport::Bound { listener: ListenerId::new(0), port: 7000 });
        hub
    }

    fn link(attempt: u32) -> LinkId {
        LinkId::new(TunnelId::new(0), attempt)
    }

    fn lose_the_tunnel(hub: &mut TestHub<Channel>) {
        let report = TunnelReport::Failed { failure: TunnelFailure::Disconnected, words: "gone".into() };
        hub.tunnel_reported(link(1), &report);
    }

    fn peer(text: &str) -> Peer {
        text.parse().unwrap()
    }

    #[test]
    fn session_lost_with_the_tunnel_resumes_with_missed_lines() {
        let mut hub = hub();
        let far = hub.try_connect(ListenerId::new(0), peer("203.0.113.9:1")).unwrap();
        let near = hub.try_connect(ListenerId::new(1), peer("127.0.0.1:1")).unwrap();
        hub.line(far, "hello");
        assert_eq!(hub.lines(near), ["session secret-2", "1: hello"]);
        lose_the_tunnel(&mut hub);
        assert!(hub.is_closed(far) && hub.ended(Reason::TunnelLost) == 1 && !hub.is_closed(near));
        hub.line(near, "are you there?");
        hub.advance(Duration::from_secs(60));
        let back = hub.try_connect(ListenerId::new(0), peer("203.0.113.9:2")).unwrap();
        hub.line(back, "/resume secret-1");
        assert_eq!(hub.lines(back), ["session secret-3", "welcome back, 1", "2: are you there?"]);
        hub.line(back, "now I am");
        assert_eq!(hub.lines(near).last().unwrap(), "1: now I am");
    }

    #[test]
    fn session_resumes_only_when_lost_and_before_it_expires() {
        let mut hub = hub();
        let far = hub.try_connect(ListenerId::new(0), peer("203.0.113.9:1")).unwrap();
        let near = hub.try_connect(ListenerId::new(1), peer("127.0.0.1:1")).unwrap();
        hub.line(near, "/resume secret-1");
        assert_eq!(hub.lines(near).last().unwrap(), "no such session, or it is still connected");
        hub.line(far, "it is mine still");
        assert_eq!(hub.lines(near).last().unwrap(), "1: it is mine still");
        lose_the_tunnel(&mut hub);
        hub.advance(KEPT_FOR);
        hub.line(near, "/resume secret-1");
        assert_eq!(hub.lines(near).last().unwrap(), "no such session, or it is still connected");
    }
}
