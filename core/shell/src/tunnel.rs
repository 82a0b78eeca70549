//! Between a server and what speaks SSH for it, on whatever thread that runs.

use super::{Channel, DriverMessage, Remote};
use drupe_core::tunnel::{LinkId, TunnelIntent, TunnelReport, TunnelStatus};
use drupe_core::{ListenerId, Peer};

use std::collections::BTreeMap;
use std::sync::Arc;

use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a server wants of its tunnels, and how they are: for all who look.
#[derive(Debug, Default)]
pub(super) struct TunnelSnapshot(Mutex<Shown>);

#[derive(Debug, Default)]
struct Shown {
    /// Of the machine, from 1; 0 before anything was shown.
    version: u64,
    intents: Vec<TunnelIntent>,
    statuses: Vec<TunnelStatus>,
    watchers: BTreeMap<u64, Waker>,
    next_watcher: u64,
    ended: bool,
}

impl TunnelSnapshot {
    pub(super) fn show(&self, version: u64, intents: Vec<TunnelIntent>, statuses: Vec<TunnelStatus>) {
        let mut shown = self.lock();
        (shown.version, shown.intents, shown.statuses) = (version, intents, statuses);
        wake_all(shown);
    }

    /// The server is gone.
    pub(super) fn end(&self) {
        let mut shown = self.lock();
        shown.ended = true;
        shown.intents.clear();
        wake_all(shown);
    }

    pub(super) fn statuses(&self) -> Vec<TunnelStatus> {
        self.lock().statuses.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake_all(mut shown: MutexGuard<'_, Shown>) {
    let watchers = core::mem::take(&mut shown.watchers);
    // Who is woken may look at once.
    drop(shown);
    watchers.into_values().for_each(Waker::wake);
}

/// Sees how a server's tunnels change, until the server ends: [`Remote::watch_tunnels`].
#[derive(Debug)]
pub struct TunnelWatch {
    board: Arc<TunnelSnapshot>,
    number: u64,
    /// The version that was seen last.
    seen: u64,
}

impl TunnelWatch {
    pub(super) fn new(board: &Arc<TunnelSnapshot>) -> Self {
        let mut shown = board.lock();
        shown.next_watcher += 1;
        let number = shown.next_watcher;
        drop(shown);
        Self { board: Arc::clone(board), number, seen: 0 }
    }

    /// How the tunnels are, as soon as that may be otherwise than it was seen last; `None` once the server has ended. What
    /// comes and goes while nobody looks is not seen.
    pub async fn next(&mut self) -> Option<Vec<TunnelStatus>> {
        poll_fn(|cx| self.poll_shown(cx)).await.map(|(_, statuses)| statuses)
    }

    /// The same, with the SSH connections that should be there: for what makes them.
    pub async fn next_intents(&mut self) -> Option<Vec<TunnelIntent>> {
        poll_fn(|cx| self.poll_shown(cx)).await.map(|(intents, _)| intents)
    }

    fn poll_shown(&mut self, cx: &mut Context<'_>) -> Poll<Option<(Vec<TunnelIntent>, Vec<TunnelStatus>)>> {
        let mut shown = self.board.lock();
        if shown.version != self.seen {
            self.seen = shown.version;
            return Poll::Ready(Some((shown.intents.clone(), shown.statuses.clone())));
        }
        if shown.ended {
            return Poll::Ready(None);
        }
        shown.watchers.insert(self.number, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for TunnelWatch {
    fn drop(&mut self) {
        self.board.lock().watchers.remove(&self.number);
    }
}

/// Where what speaks SSH tells a server of it: [`Remote::tunnel_port`].
#[derive(Clone)]
pub struct TunnelPort {
    server: Arc<dyn Port>,
    board: Arc<TunnelSnapshot>,
}

trait Port: Send + Sync {
    fn report(&self, link: LinkId, report: TunnelReport);
    fn offer(&self, listener: ListenerId, peer: Peer, channel: Box<dyn Channel>);
}

impl<N: Send> Port for Remote<N> {
    fn report(&self, link: LinkId, report: TunnelReport) {
        // Of what an SSH server can cause as often as it likes, only so many wait.
        let is_bounded = matches!(report, TunnelReport::ChannelRefused { .. });
        let mail = DriverMessage::Tunnel(link, report);
        // A server that has ended has no use for it.
        let _ = if is_bounded { self.shards[0].put(mail).ok() } else { self.shards[0].post(mail).ok() };
    }

    fn offer(&self, listener: ListenerId, peer: Peer, channel: Box<dyn Channel>) {
        if let Err(DriverMessage::Channel(_, _, channel)) =
            self.shards[0].post(DriverMessage::Channel(listener, peer, channel))
        {
            channel.dismiss(&[]);
        }
    }
}

impl TunnelPort {
    pub(super) fn new<N: Send + 'static>(remote: Remote<N>, board: Arc<TunnelSnapshot>) -> Self {
        Self { server: Arc::new(remote), board }
    }

    /// Something happened to an SSH connection: for [`Machine::tunnel_reported`](drupe_core::Machine::tunnel_reported).
    pub fn report(&self, link: LinkId, report: TunnelReport) {
        self.server.report(link, report);
    }

    /// Somebody came through it. Whoever calls this bounds how many channels wait to be let in.
    pub fn offer(&self, listener: ListenerId, peer: Peer, channel: Box<dyn Channel>) {
        self.server.offer(listener, peer, channel);
    }

    /// Sees what is wanted.
    #[must_use]
    pub fn watch(&self) -> TunnelWatch {
        TunnelWatch::new(&self.board)
    }
}

impl fmt::Debug for TunnelPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TunnelPort")
    }
}
