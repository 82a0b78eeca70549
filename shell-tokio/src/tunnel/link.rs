//! One SSH connection, from the attempt to its end: what is wanted of it, and what happens to it.

use super::connect::{Connected, connect};
use super::handler::{Client, Farewell, Forwarded, Goodbye};
use super::line::Cut;
use drupe_core::ListenerId;
use drupe_core::shell::TunnelPort;
use drupe_core::tunnel::{ForwardIntent, LinkId, RemoteBind, TunnelFailure, TunnelIntent, TunnelReport};
use russh::client::Handle;
use russh::{Disconnect, Error};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long what was taken from a connection that is over may be on its way.
const GOODBYE_MAX: Duration = Duration::from_secs(5);
/// How many words for channels russh keeps waiting, and one more: when so many were taken behind one, that one is gone.
const QUEUED_MAX: usize = 11;
/// So many goodbyes may be under way before those who were not let in are not waited for any more.
const GOODBYES_MAX: usize = 1024;

/// Runs a link until it is over, and tells so; or until it is dropped.
pub(super) async fn run(mut intent: watch::Receiver<TunnelIntent>, port: TunnelPort, cut: Cut) {
    let TunnelIntent { link, tunnel, .. } = intent.borrow().clone();
    let (forwarded, goodbyes) = Forwarded::new(link, port.clone(), tunnel.ssh.ahead_max_bytes);
    // Whoever came through it does not outlive it, however it ends.
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
        self.0.lose("the link was given up".into());
    }
}

/// A link that is up.
struct Up {
    link: LinkId,
    port: TunnelPort,
    forwarded: Arc<Forwarded>,
    connected: Arc<Connected>,
    /// How many questions were asked whether the server is there.
    asked: u32,
    /// Where the server should listen, and what came of it.
    places: BTreeMap<ListenerId, (ForwardIntent, Answer)>,
    /// What is still to be asked of the server, one after another: what comes of it depends on the order.
    questions: VecDeque<Question>,
}

#[derive(Clone, Copy)]
enum Answer {
    None,
    /// It listens at this port.
    Yes(u16),
    No,
}

/// What the server is asked about a place.
enum Question {
    Listen(ForwardIntent),
    Leave(RemoteBind),
}

/// What came of it.
enum Outcome {
    Listens(ForwardIntent, Result<u16, Error>),
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
                // It fails only if the connection is over, which is told otherwise.
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
                // Nobody wants it any more.
                changed = intent.changed() => if changed.is_err() { return },
                lost = over.wait_for(Option::is_some) => {
                    let words = lost.ok().and_then(|words| words.clone()).unwrap_or_default();
                    let report = TunnelReport::Failed { failure: TunnelFailure::Disconnected, words };
                    return self.port.report(self.link, report);
                }
                () = forwarded.flow.ear.heard() => self.port.report(self.link, TunnelReport::Answered(self.asked)),
                Some(Ok(outcome)) = asking.join_next() => {
                    if let Outcome::Listens(place, answer) = outcome {
                        self.answered(&place, &answer);
                    }
                }
                Some(_) = keep_alive.join_next() => {}
            }
        }
    }

    /// Asks for what should be and is not, and against what is and should not be.
    fn follow(&mut self, wanted: &TunnelIntent) {
        let stays = |place: &ForwardIntent| wanted.forwards.iter().any(|forward| forward == place);
        let gone = self.places.iter().filter(|(_, (place, _))| !stays(place)).map(|(&listener, _)| listener);
        for listener in gone.collect::<Vec<_>>() {
            // Where there is no answer yet, it is looked at when it comes.
            if let Some((place, Answer::Yes(port))) = self.places.remove(&listener) {
                self.forwarded.unexpect(listener);
                self.questions.push_back(Question::Leave(place.bind.bound_at(port)));
            }
        }
        for forward in &wanted.forwards {
            self.places.entry(forward.listener).or_insert_with(|| {
                self.questions.push_back(Question::Listen(forward.clone()));
                (forward.clone(), Answer::None)
            });
        }
    }

    fn answered(&mut self, place: &ForwardIntent, outcome: &Result<u16, Error>) {
        let listener = place.listener;
        let wanted = self.places.get_mut(&listener).filter(|(wanted, _)| wanted == place).map(|(_, answer)| answer);
        let report = match (outcome, wanted) {
            (&Ok(port), Some(answer)) => {
                *answer = Answer::Yes(port);
                self.forwarded.is_bound(listener, port);
                TunnelReport::Bound { listener, port }
            }
            (&Ok(port), None) => {
                // It is not wanted any more.
                self.forwarded.unexpect(listener);
                return self.questions.push_front(Question::Leave(place.bind.bound_at(port)));
            }
            // Over, which is told otherwise.
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

    /// Says goodbye, behind what is on its way. How long it may take is the machine's.
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
            // A server that goes on listening is told no when somebody comes.
            let _ = match bind {
                RemoteBind::Tcp { host, port } => handle.cancel_tcpip_forward(host, u32::from(port)).await,
                RemoteBind::Unix(path) => handle.cancel_streamlocal_forward(path).await,
            };
            Outcome::Left
        }
    }
}

async fn listen(handle: &Handle<Client>, bind: &RemoteBind) -> Result<u16, Error> {
    match bind {
        RemoteBind::Tcp { host, port } => {
            let chosen = handle.tcpip_forward(host, u32::from(*port)).await?;
            // Only who was to choose says what was chosen.
            Ok(if *port == 0 { u16::try_from(chosen).map_err(|_| Error::Inconsistent)? } else { *port })
        }
        RemoteBind::Unix(path) => handle.streamlocal_forward(path).await.map(|()| 0),
    }
}

/// Closes channels whose connections are over, behind what was taken from them.
async fn say_goodbyes(mut goodbyes: mpsc::UnboundedReceiver<Farewell>, forwarded: Arc<Forwarded>) {
    let mut saying = JoinSet::new();
    let mut last = None;
    while let Some(farewell) = goodbyes.recv().await {
        while saying.try_join_next().is_some() {}
        match farewell {
            Farewell::One(mut goodbye) => {
                if goodbye.dismissed && saying.len() >= GOODBYES_MAX {
                    (goodbye.sending, goodbye.waits) = (None, false);
                }
                last = Some(Arc::clone(&goodbye.half));
                // Nothing is waited for here: what is behind in the line may be what this one waits for.
                saying.spawn(say_goodbye(goodbye, Arc::clone(&forwarded)));
            }
            Farewell::Done(tell) => {
                while saying.join_next().await.is_some() {}
                // What was said last is behind these words, which mean nothing on a channel that is closed.
                if let Some(half) = &last {
                    for _ in 0..QUEUED_MAX {
                        let _ = half.close().await;
                    }
                }
                let _ = tell.send(());
            }
        }
    }
}

async fn say_goodbye(goodbye: Goodbye, forwarded: Arc<Forwarded>) {
    let Goodbye { id, half, inbox, sending, waits, .. } = goodbye;
    let _ = timeout(GOODBYE_MAX, async {
        if let Some(sending) = sending {
            let _ = sending.await;
        }
        if waits {
            let _ = half.eof().await;
            inbox.closed().await;
        }
    })
    .await;
    forwarded.forget(id);
    let _ = half.close().await;
}
