//! One SSH connection, from the attempt to its end: what is wanted of it, and what happens to it.

use super::connect::{Connected, connect};
use super::handler::{Client, Forwarded, Goodbye};
use super::line::Cut;
use drupe_core::ListenerId;
use drupe_core::shell::TunnelPort;
use drupe_core::tunnel::{ForwardIntent, LinkId, RemoteBind, TunnelFailure, TunnelIntent, TunnelReport};
use russh::client::Handle;
use russh::{Disconnect, Error};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long what was taken from a connection that is over may be on its way.
const GOODBYE_MAX: Duration = Duration::from_secs(5);

/// Runs a link until it is over, and tells so; or until it is dropped.
pub(super) async fn run(mut intent: watch::Receiver<TunnelIntent>, port: TunnelPort, cut: Cut) {
    let TunnelIntent { link, tunnel, .. } = intent.borrow().clone();
    let (forwarded, goodbyes) = Forwarded::new(link, port.clone(), tunnel.ssh.ahead_max_bytes);
    match connect(&tunnel.ssh, cut.clone(), Arc::clone(&forwarded)).await {
        Ok(connected) => {
            port.report(link, TunnelReport::Connected);
            // It may have been lost before anybody looked.
            let over = forwarded.watch();
            let says_goodbye = tokio::spawn(say_goodbyes(goodbyes));
            let up =
                Up { link, port, cut, forwarded, connected: Arc::new(connected), asked: 0, places: BTreeMap::new() };
            up.serve(&mut intent, over).await;
            says_goodbye.abort();
        }
        Err(error) => port.report(link, TunnelReport::Failed { failure: error.failure, words: error.words }),
    }
}

/// A link that is up.
struct Up {
    link: LinkId,
    port: TunnelPort,
    cut: Cut,
    forwarded: Arc<Forwarded>,
    connected: Arc<Connected>,
    /// How many questions were asked.
    asked: u32,
    /// Where the server was asked to listen, and what came of it.
    places: BTreeMap<ListenerId, (ForwardIntent, Answer)>,
}

#[derive(Clone, Copy)]
enum Answer {
    None,
    /// It listens at this port.
    Yes(u16),
    No,
}

/// What a question to the server came to.
enum Outcome {
    Bound(ListenerId, Result<u16, Error>),
    Done,
}

impl Up {
    async fn serve(mut self, intent: &mut watch::Receiver<TunnelIntent>, mut over: watch::Receiver<Option<String>>) {
        let mut questions = JoinSet::new();
        loop {
            let wanted = intent.borrow_and_update().clone();
            if wanted.closing {
                return self.close(over).await;
            }
            self.follow(&wanted, &mut questions);
            let cut = self.cut.clone();
            tokio::select! {
                // Nobody wants it any more.
                changed = intent.changed() => if changed.is_err() { return },
                lost = over.wait_for(Option::is_some) => {
                    let words = lost.ok().and_then(|words| words.clone()).unwrap_or_default();
                    let report = TunnelReport::Failed { failure: TunnelFailure::Disconnected, words };
                    return self.port.report(self.link, report);
                }
                () = cut.heard() => self.port.report(self.link, TunnelReport::Answered(self.asked)),
                Some(Ok(Outcome::Bound(listener, outcome))) = questions.join_next() => self.tell(listener, &outcome),
            }
        }
    }

    /// Makes the connection what it should be.
    fn follow(&mut self, wanted: &TunnelIntent, questions: &mut JoinSet<Outcome>) {
        let stays = |place: &ForwardIntent| wanted.forwards.iter().any(|forward| forward == place);
        let gone = self.places.iter().filter(|(_, (place, _))| !stays(place)).map(|(&listener, _)| listener);
        for listener in gone.collect::<Vec<_>>() {
            let Some((place, answer)) = self.places.remove(&listener) else { continue };
            let bind = match answer {
                Answer::None => place.bind,
                Answer::Yes(port) => place.bind.bound_at(port),
                Answer::No => continue,
            };
            self.forwarded.unexpect(listener);
            let connected = Arc::clone(&self.connected);
            questions.spawn(async move {
                cancel(&connected.handle, &bind).await;
                Outcome::Done
            });
        }
        for forward in &wanted.forwards {
            if self.places.contains_key(&forward.listener) {
                continue;
            }
            self.places.insert(forward.listener, (forward.clone(), Answer::None));
            self.forwarded.expect(forward.listener, &forward.bind);
            let (connected, ForwardIntent { listener, bind, .. }) = (Arc::clone(&self.connected), forward.clone());
            questions.spawn(async move { Outcome::Bound(listener, ask(&connected.handle, &bind).await) });
        }
        if self.asked != wanted.asked {
            self.asked = wanted.asked;
            self.cut.listen();
            let connected = Arc::clone(&self.connected);
            questions.spawn(async move {
                // It fails only if the connection is over, which is told otherwise.
                let _ = connected.handle.send_keepalive(true).await;
                Outcome::Done
            });
        }
    }

    fn tell(&mut self, listener: ListenerId, outcome: &Result<u16, Error>) {
        let Some((_, answer)) = self.places.get_mut(&listener) else { return };
        let report = match outcome {
            &Ok(port) => {
                *answer = Answer::Yes(port);
                self.forwarded.is_bound(listener, port);
                TunnelReport::Bound { listener, port }
            }
            // Over, which is told otherwise.
            Err(Error::SendError | Error::Disconnect) => return,
            Err(_) => {
                *answer = Answer::No;
                self.forwarded.unexpect(listener);
                TunnelReport::Refused { listener }
            }
        };
        self.port.report(self.link, report);
    }

    /// Says goodbye. How long it may take is the machine's.
    async fn close(self, mut over: watch::Receiver<Option<String>>) {
        let _ = self.connected.handle.disconnect(Disconnect::ByApplication, "the server has ended", "en").await;
        let _ = over.wait_for(Option::is_some).await;
        self.port.report(self.link, TunnelReport::Closed);
    }
}

async fn ask(handle: &Handle<Client>, bind: &RemoteBind) -> Result<u16, Error> {
    match bind {
        RemoteBind::Tcp { host, port } => {
            let chosen = handle.tcpip_forward(host, u32::from(*port)).await?;
            // Only who was to choose says what was chosen.
            Ok(if *port == 0 { u16::try_from(chosen).map_err(|_| Error::Inconsistent)? } else { *port })
        }
        RemoteBind::Unix(path) => handle.streamlocal_forward(path).await.map(|()| 0),
    }
}

async fn cancel(handle: &Handle<Client>, bind: &RemoteBind) {
    // A server that goes on listening is told no by whoever looks who it is for.
    let _ = match bind {
        RemoteBind::Tcp { host, port } => handle.cancel_tcpip_forward(host, u32::from(*port)).await,
        RemoteBind::Unix(path) => handle.cancel_streamlocal_forward(path).await,
    };
}

/// Closes channels whose connections are over, behind what was taken from them.
async fn say_goodbyes(mut goodbyes: mpsc::UnboundedReceiver<Goodbye>) {
    let mut slow = JoinSet::new();
    while let Some(Goodbye { half, sending }) = goodbyes.recv().await {
        while slow.try_join_next().is_some() {}
        let Some(sending) = sending else {
            let _ = half.close().await;
            continue;
        };
        slow.spawn(async move {
            let _ = timeout(GOODBYE_MAX, sending).await;
            let _ = half.close().await;
        });
    }
}
