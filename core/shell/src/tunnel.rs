//! The interface between a server and its SSH client, which may run on another thread.

use super::Channel;
use drupe_core::tunnel::{LinkId, TunnelIntent, TunnelReport, TunnelStatus};
use drupe_core::{ListenerId, Peer};

use std::collections::BTreeMap;
use std::sync::Arc;

use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The latest intents and states of the tunnels that the machine published, with their watchers.
#[derive(Debug, Default)]
pub(super) struct TunnelSnapshot(Mutex<Shown>);

#[derive(Debug, Default)]
struct Shown {
    /// The machine's version of the tunnel states, from 1. 0 before the first `show`.
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

    /// Records that the server has ended, and wakes all watchers.
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
    // A woken task may lock it at once.
    drop(shown);
    watchers.into_values().for_each(Waker::wake);
}

/// A watch on the tunnels of a server: [`Remote::watch_tunnels`](super::Remote::watch_tunnels).
#[derive(Debug)]
pub struct TunnelWatch {
    board: Arc<TunnelSnapshot>,
    number: u64,
    /// The version that was returned last.
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

    /// Waits for a change, and returns the states of the tunnels. `None` once the server has ended.
    ///
    /// The first call returns at once if the server has published its tunnels. Changes between two
    /// calls are merged.
    pub async fn next(&mut self) -> Option<Vec<TunnelStatus>> {
        poll_fn(|cx| self.poll_shown(cx)).await.map(|(_, statuses)| statuses)
    }

    /// Waits for a change, and returns the intents of the tunnels. `None` once the server ended.
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

/// An SSH client's interface to its server: [`Remote::tunnel_port`](super::Remote::tunnel_port).
#[derive(Clone)]
pub struct TunnelPort {
    server: Arc<dyn Port>,
    board: Arc<TunnelSnapshot>,
}

/// The receiver of the reports and channels of a [`TunnelPort`].
pub(super) trait Port: Send + Sync {
    fn report(&self, link: LinkId, report: TunnelReport);
    fn offer(&self, listener: ListenerId, peer: Peer, channel: Box<dyn Channel>);
}

impl TunnelPort {
    pub(super) fn new(server: impl Port + 'static, board: Arc<TunnelSnapshot>) -> Self {
        Self { server: Arc::new(server), board }
    }

    /// Reports an event of an SSH connection to the server.
    ///
    /// For [`Machine::tunnel_reported`](drupe_core::Machine::tunnel_reported).
    pub fn report(&self, link: LinkId, report: TunnelReport) {
        self.server.report(link, report);
    }

    /// Offers a new channel to the server.
    ///
    /// The caller bounds how many channels wait to be accepted.
    pub fn offer(&self, listener: ListenerId, peer: Peer, channel: Box<dyn Channel>) {
        self.server.offer(listener, peer, channel);
    }

    /// Returns a watch on the intents and the states of the tunnels.
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
