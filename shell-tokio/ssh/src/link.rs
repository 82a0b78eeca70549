//! One SSH connection, from the connection attempt to its end.

use super::connect::{Connected, connect};
use super::forwarded::{Forwarded, families_of};
use super::goodbye::say_goodbyes;
use super::handler::SshHandler;
use super::line::Cut;
use drupe_core::ListenerId;
use drupe_core::tunnel::{ForwardIntent, LinkId, RemoteBind, TunnelFailure, TunnelIntent, TunnelReport};
use drupe_shell::TunnelPort;
use russh::client::Handle;
use russh::{Disconnect, Error};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Runs an SSH connection and reports its events. Dropping the future aborts the connection.
pub(super) async fn run(mut intent: watch::Receiver<TunnelIntent>, port: TunnelPort, cut: Cut) {
    let TunnelIntent { link, tunnel, .. } = intent.borrow().clone();
    let (forwarded, goodbyes) = Forwarded::new(link, port.clone(), tunnel.ssh.ahead_max_bytes);
    // All channels end with the SSH connection, however it ends.
    let _lost = Lost(Arc::clone(&forwarded));
    match connect(&tunnel.ssh, cut, &forwarded).await {
        Ok(connected) => {
            port.report(link, TunnelReport::Connected);
            let mut tasks = JoinSet::new();
            tasks.spawn(say_goodbyes(goodbyes, Arc::clone(&forwarded)));
            let connected = Arc::new(connected);
            let (questions, places) = (VecDeque::new(), BTreeMap::new());
            Up { link, port, forwarded, connected, asked: 0, places, questions }.serve(&mut intent).await;
        }
        Err(error) => port.report(link, TunnelReport::Failed { failure: error.failure, words: error.words }),
    }
}

struct Lost(Arc<Forwarded>);

impl Drop for Lost {
    fn drop(&mut self) {
        self.0.lose("the SSH connection was aborted".into());
    }
}

/// An established SSH connection.
struct Up {
    link: LinkId,
    port: TunnelPort,
    forwarded: Arc<Forwarded>,
    connected: Arc<Connected>,
    /// Number of the last keep-alive request.
    asked: u32,
    /// The addresses at which the SSH server should listen, and its answers, by listener.
    places: BTreeMap<ListenerId, (ForwardIntent, Answer)>,
    /// Queued requests, which are sent one at a time because their results depend on the order.
    questions: VecDeque<Question>,
}

enum Answer {
    None,
    /// The SSH server listens at these addresses.
    Yes(Vec<RemoteBind>),
    No,
}

/// A request to the SSH server to listen at an address, or to stop.
enum Question {
    Listen(ForwardIntent),
    Leave(RemoteBind),
}

/// The result of a request to the SSH server.
enum Outcome {
    Listens(ForwardIntent, Result<Vec<RemoteBind>, Error>),
    Left,
}

impl Up {
    async fn serve(mut self, intent: &mut watch::Receiver<TunnelIntent>) {
        let mut over = self.forwarded.watch();
        let mut asking = JoinSet::new();
        let mut keep_alive = JoinSet::new();
        loop {
            let wanted = intent.borrow_and_update().clone();
            if wanted.closing {
                return self.close(over).await;
            }
            self.follow(&wanted);
            if self.asked != wanted.asked {
                self.asked = wanted.asked;
                self.forwarded.flow.ear.listen();
                let connected = Arc::clone(&self.connected);
                // Fails only if the connection has ended, which `over` reports.
                keep_alive.spawn(async move { drop(connected.handle.send_keepalive(true).await) });
            }
            if asking.is_empty()
                && let Some(question) = self.questions.pop_front()
            {
                if let Question::Listen(place) = &question {
                    self.forwarded.expect(place.listener, &place.bind);
                }
                asking.spawn(ask(Arc::clone(&self.connected), question));
            }
            let forwarded = Arc::clone(&self.forwarded);
            tokio::select! {
                // The machine no longer wants the connection.
                changed = intent.changed() => if changed.is_err() { return },
                lost = over.wait_for(Option::is_some) => {
                    let words = lost.ok().and_then(|words| words.clone()).unwrap_or_default();
                    let report = TunnelReport::Failed { failure: TunnelFailure::Disconnected, words };
                    return self.port.report(self.link, report);
                }
                () = forwarded.wear.renewal() => {
                    let words = format!(
                        "reconnecting to free the memory of {} channels that were closed before their peers left",
                        forwarded.wear.closed_first()
                    );
                    let report = TunnelReport::Failed { failure: TunnelFailure::Renewed, words };
                    return self.port.report(self.link, report);
                }
                () = forwarded.flow.ear.heard() => self.port.report(self.link, TunnelReport::Answered(self.asked)),
                Some(Ok(outcome)) = asking.join_next() => {
                    if let Outcome::Listens(place, answer) = outcome {
                        self.answered(&place, answer);
                    }
                }
                Some(_) = keep_alive.join_next() => {}
            }
        }
    }

    /// Queues requests for new addresses, and cancellations for removed ones.
    fn follow(&mut self, wanted: &TunnelIntent) {
        let stays = |place: &ForwardIntent| wanted.forwards.iter().any(|forward| forward == place);
        let gone = self.places.iter().filter(|(_, (place, _))| !stays(place)).map(|(&listener, _)| listener);
        for listener in gone.collect::<Vec<_>>() {
            // If the answer is pending, `answered` handles it.
            if let Some((_, Answer::Yes(bound))) = self.places.remove(&listener) {
                self.forwarded.unexpect(listener);
                self.questions.extend(bound.into_iter().map(Question::Leave));
            }
        }
        for forward in &wanted.forwards {
            self.places.entry(forward.listener).or_insert_with(|| {
                self.questions.push_back(Question::Listen(forward.clone()));
                (forward.clone(), Answer::None)
            });
        }
    }

    fn answered(&mut self, place: &ForwardIntent, outcome: Result<Vec<RemoteBind>, Error>) {
        let listener = place.listener;
        let wanted = self.places.get_mut(&listener).filter(|(wanted, _)| wanted == place).map(|(_, answer)| answer);
        let report = match (outcome, wanted) {
            (Ok(bound), Some(answer)) => {
                let port = bound.first().map_or(0, port_of);
                *answer = Answer::Yes(bound);
                self.forwarded.is_bound(listener, port);
                TunnelReport::Bound { listener, port }
            }
            (Ok(bound), None) => {
                // The machine no longer wants it.
                self.forwarded.unexpect(listener);
                return bound.into_iter().for_each(|bind| self.questions.push_front(Question::Leave(bind)));
            }
            // The connection has ended, which `over` reports.
            (Err(Error::SendError | Error::Disconnect), _) => return,
            (Err(_), wanted) => {
                self.forwarded.unexpect(listener);
                let Some(answer) = wanted else { return };
                *answer = Answer::No;
                TunnelReport::Refused { listener }
            }
        };
        self.port.report(self.link, report);
    }

    /// Closes the connection after all data was sent. The machine limits the time.
    async fn close(self, mut over: watch::Receiver<Option<String>>) {
        self.forwarded.all_closed().await;
        let _ = self.connected.handle.disconnect(Disconnect::ByApplication, "the server has ended", "en").await;
        let _ = over.wait_for(Option::is_some).await;
        self.port.report(self.link, TunnelReport::Closed);
    }
}

async fn ask(connected: Arc<Connected>, question: Question) -> Outcome {
    let handle = &connected.handle;
    match question {
        Question::Listen(place) => {
            let answer = listen(handle, &place.bind).await;
            Outcome::Listens(place, answer)
        }
        Question::Leave(bind) => {
            leave(handle, bind).await;
            Outcome::Left
        }
    }
}

/// Asks the SSH server to listen at an address, and returns the addresses at which it listens.
///
/// A name for addresses of both families stands for both addresses (RFC 4254 section 7.1). If only
/// the second address is free, the server accepts the name all the same, and peers that connect to
/// the first address reach another program. So the first address is requested by itself, and the
/// second is added if it is free.
async fn listen(handle: &Handle<SshHandler>, bind: &RemoteBind) -> Result<Vec<RemoteBind>, Error> {
    let RemoteBind::Tcp { host, port } = bind else {
        return ask_for(handle, bind.clone()).await.map(|bind| vec![bind]);
    };
    let [first, second] = match families_of(host) {
        [first, second] => [*first, *second],
        _ => return ask_for(handle, bind.clone()).await.map(|bind| vec![bind]),
    };
    let at = |host: &str, port| RemoteBind::Tcp { host: host.to_owned(), port };
    match ask_for(handle, at(first, *port)).await {
        Ok(bound) => {
            let also = ask_for(handle, at(second, port_of(&bound))).await;
            Ok([bound].into_iter().chain(also).collect())
        }
        Err(Error::RequestDenied) => match ask_for(handle, at(second, *port)).await {
            // Addresses are allowed, but the first one is taken.
            Ok(bound) => {
                leave(handle, bound).await;
                Err(Error::RequestDenied)
            }
            // Perhaps only the name is allowed (`PermitListen`).
            Err(Error::RequestDenied) => ask_for(handle, bind.clone()).await.map(|bind| vec![bind]),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    }
}

async fn ask_for(handle: &Handle<SshHandler>, bind: RemoteBind) -> Result<RemoteBind, Error> {
    match &bind {
        RemoteBind::Tcp { host, port } => {
            let chosen = handle.tcpip_forward(host, u32::from(*port)).await?;
            // The server reports a port only if it chose one.
            Ok(if *port == 0 { bind.bound_at(u16::try_from(chosen).map_err(|_| Error::Inconsistent)?) } else { bind })
        }
        RemoteBind::Unix(path) => handle.streamlocal_forward(path).await.map(|()| bind),
    }
}

/// Asks the SSH server to stop listening at an address.
///
/// Errors are ignored: if the server continues to listen, its channels are refused.
async fn leave(handle: &Handle<SshHandler>, bind: RemoteBind) {
    let _ = match bind {
        RemoteBind::Tcp { host, port } => handle.cancel_tcpip_forward(host, u32::from(port)).await,
        RemoteBind::Unix(path) => handle.cancel_streamlocal_forward(path).await,
    };
}

fn port_of(bind: &RemoteBind) -> u16 {
    match bind {
        RemoteBind::Tcp { port, .. } => *port,
        RemoteBind::Unix(_) => 0,
    }
}
