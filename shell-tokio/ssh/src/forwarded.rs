//! The channels of one SSH connection, and the addresses on which its SSH server listens.

use super::farewell::{Farewell, Goodbye};
use super::inbox::Inbox;
use super::stream::Flow;
use super::wear::Wear;
use drupe_core::ListenerId;
use drupe_core::tunnel::{LinkId, RemoteBind, TunnelReport};
use drupe_shell::TunnelPort;
use russh::ChannelId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot, watch};

/// The channels and the forwarded addresses of one SSH connection.
#[derive(Debug)]
pub(super) struct Forwarded {
    link: LinkId,
    pub(super) port: TunnelPort,
    pub(super) ahead_max: usize,
    table: Mutex<Table>,
    pub(super) waiting: AtomicUsize,
    goodbyes: mpsc::UnboundedSender<Farewell>,
    pub(super) wear: Wear,
    pub(super) flow: Flow,
    /// The watch channel for the reason why the connection has ended. `None` until then.
    over: watch::Sender<Option<String>>,
}

/// The requested addresses and the inboxes of the channels.
#[derive(Debug, Default)]
pub(super) struct Table {
    places: Vec<Place>,
    pub(super) inboxes: HashMap<ChannelId, Arc<Inbox>>,
}

/// An address on which the SSH server was asked to listen.
#[derive(Clone, Debug)]
struct Place {
    listener: ListenerId,
    bind: RemoteBind,
    /// The port, or `None` until the SSH server has reported the port that it chose.
    port: Option<u16>,
}

impl Forwarded {
    pub(super) fn new(
        link: LinkId,
        port: TunnelPort,
        ahead_max: usize,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Farewell>) {
        let (goodbyes, receive) = mpsc::unbounded_channel();
        let forwarded = Self {
            link,
            port,
            ahead_max,
            table: Mutex::default(),
            waiting: AtomicUsize::new(0),
            goodbyes,
            wear: Wear::default(),
            flow: Flow::default(),
            over: watch::Sender::new(None),
        };
        (Arc::new(forwarded), receive)
    }

    /// Registers an address of a listener. Call it before asking the SSH server to listen there.
    pub(super) fn expect(&self, listener: ListenerId, bind: &RemoteBind) {
        let port = if let RemoteBind::Tcp { port, .. } = bind { Some(*port).filter(|port| *port > 0) } else { None };
        let place = Place { listener, bind: bind.clone(), port };
        self.lock().places.push(place);
    }

    /// Records the port at which the SSH server listens for a listener.
    pub(super) fn is_bound(&self, listener: ListenerId, port: u16) {
        let mut table = self.lock();
        if let Some(place) = table.places.iter_mut().find(|place| place.listener == listener) {
            place.port = Some(port);
        }
    }

    /// Removes the address of a listener, because the SSH server does not listen there.
    pub(super) fn unexpect(&self, listener: ListenerId) {
        self.lock().places.retain(|place| place.listener != listener);
    }

    /// Records that a channel no longer waits to be accepted.
    pub(super) fn decided(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn forget(&self, id: ChannelId) {
        self.lock().inboxes.remove(&id);
    }

    pub(super) fn close(&self, goodbye: Goodbye) {
        // Fails only if the SSH connection has ended, and its channels with it.
        let _ = self.goodbyes.send(Farewell::One(goodbye));
    }

    /// Closes all channels, and waits until they are closed.
    pub(super) async fn all_closed(&self) {
        let (send, receive) = oneshot::channel();
        if self.goodbyes.send(Farewell::Done(send)).is_ok() {
            let _ = receive.await;
        }
    }

    /// Returns a watch on the end of the connection and its reason.
    pub(super) fn watch(&self) -> watch::Receiver<Option<String>> {
        self.over.subscribe()
    }

    /// Records that the connection has ended, and fails all its channels.
    pub(super) fn lose(&self, words: String) {
        let inboxes = std::mem::take(&mut self.lock().inboxes);
        inboxes.into_values().for_each(|inbox| inbox.lose());
        // Only the first reason counts.
        self.over.send_if_modified(|over| over.is_none() && over.replace(words).is_none());
    }

    /// Returns the listener for a TCP address that a peer connected to, if any.
    ///
    /// The SSH server must repeat the address as it was requested, which OpenSSH's client requires
    /// as well.
    pub(super) fn listener(&self, address: &str, port: u32) -> Option<ListenerId> {
        let table = self.lock();
        let is_there = |place: &&Place| match &place.bind {
            // A channel may arrive before the answer that contains the port.
            RemoteBind::Tcp { host, .. } => {
                let is_here = host == address || families_of(host).contains(&address);
                is_here && place.port.is_none_or(|bound| u32::from(bound) == port)
            }
            RemoteBind::Unix(_) => false,
        };
        let exact = |place: &&Place| place.port.is_some();
        let mut places: Vec<_> = table.places.iter().filter(is_there).collect();
        places.sort_by_key(|place| !exact(place));
        places.first().map(|place| place.listener)
    }

    pub(super) fn unix_listener(&self, path: &str) -> Option<ListenerId> {
        let table = self.lock();
        let is_there = |place: &&Place| matches!(&place.bind, RemoteBind::Unix(bound) if bound == path);
        table.places.iter().find(is_there).map(|place| place.listener)
    }

    pub(super) fn refuse(&self, words: String) {
        self.port.report(self.link, TunnelReport::ChannelRefused { words });
    }

    pub(super) fn inbox(&self, id: ChannelId) -> Option<Arc<Inbox>> {
        self.lock().inboxes.get(&id).cloned()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the IPv4 and IPv6 address of `localhost` or an empty name, or none for other names.
pub(super) fn families_of(host: &str) -> &'static [&'static str] {
    match host {
        "localhost" => &["127.0.0.1", "::1"],
        "" => &["0.0.0.0", "::"],
        _ => &[],
    }
}
