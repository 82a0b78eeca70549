//! Callbacks for messages of an SSH server.

use super::LinkError;
use super::channel::SshChannel;
use super::goodbye::{Farewell, Goodbye, Wear};
use super::host_key::{KeyCheck, KnownHost};
use super::inbox::Inbox;
use super::known_hosts;
use super::link::families_of;
use super::stream::Flow;
use drupe_core::tunnel::{LinkId, RemoteBind, TunnelFailure, TunnelReport};
use drupe_core::{ListenerId, Peer};
use drupe_shell::TunnelPort;
use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelId};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tokio::sync::{mpsc, oneshot, watch};

/// Channels that may wait to be accepted, as in the backlog of a listener.
const WAITING_MAX: usize = drupe_shell::BACKLOG as usize;

/// The handler of one SSH connection.
pub(super) struct SshHandler {
    pub(super) known: KnownHost,
    /// Why the server's host key was refused.
    pub(super) refusal: Arc<Mutex<Option<LinkError>>>,
    /// Receives the channels. `None` for jump hosts, whose channels are refused.
    pub(super) forwarded: Option<Arc<Forwarded>>,
}

/// The channels of one SSH connection.
#[derive(Debug)]
pub(super) struct Forwarded {
    link: LinkId,
    port: TunnelPort,
    ahead_max: usize,
    table: Mutex<Table>,
    waiting: AtomicUsize,
    goodbyes: mpsc::UnboundedSender<Farewell>,
    pub(super) wear: Wear,
    pub(super) flow: Flow,
    /// Why the connection has ended, once it has.
    over: watch::Sender<Option<String>>,
}

#[derive(Debug, Default)]
struct Table {
    places: Vec<Place>,
    inboxes: HashMap<ChannelId, Arc<Inbox>>,
}

/// An address on which the server was asked to listen.
#[derive(Clone, Debug)]
struct Place {
    listener: ListenerId,
    bind: RemoteBind,
    /// If the server chooses the port, `None` until it has answered.
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

    /// Registers an address. Call it before asking the server to listen there.
    pub(super) fn expect(&self, listener: ListenerId, bind: &RemoteBind) {
        let port = if let RemoteBind::Tcp { port, .. } = bind { Some(*port).filter(|port| *port > 0) } else { None };
        let place = Place { listener, bind: bind.clone(), port };
        self.lock().places.push(place);
    }

    /// Records that the server listens at this port.
    pub(super) fn is_bound(&self, listener: ListenerId, port: u16) {
        let mut table = self.lock();
        if let Some(place) = table.places.iter_mut().find(|place| place.listener == listener) {
            place.port = Some(port);
        }
    }

    /// Removes an address at which the server does not, or no longer, listen.
    pub(super) fn unexpect(&self, listener: ListenerId) {
        self.lock().places.retain(|place| place.listener != listener);
    }

    /// A channel no longer waits to be accepted.
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

    /// Waits until all channels are closed.
    pub(super) async fn all_closed(&self) {
        let (send, receive) = oneshot::channel();
        if self.goodbyes.send(Farewell::Done(send)).is_ok() {
            let _ = receive.await;
        }
    }

    /// Watches for the end of the connection and its reason.
    pub(super) fn watch(&self) -> watch::Receiver<Option<String>> {
        self.over.subscribe()
    }

    /// The connection has ended.
    pub(super) fn lose(&self, words: String) {
        let inboxes = std::mem::take(&mut self.lock().inboxes);
        inboxes.into_values().for_each(|inbox| inbox.lose());
        // Only the first reason counts.
        self.over.send_if_modified(|over| over.is_none() && over.replace(words).is_none());
    }

    /// The listener for an address that a peer connected to.
    ///
    /// The server must repeat the address as it was requested, which OpenSSH's client requires as
    /// well.
    fn listener(&self, address: &str, port: u32) -> Option<ListenerId> {
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

    fn unix_listener(&self, path: &str) -> Option<ListenerId> {
        let table = self.lock();
        let is_there = |place: &&Place| matches!(&place.bind, RemoteBind::Unix(bound) if bound == path);
        table.places.iter().find(is_there).map(|place| place.listener)
    }

    /// Offers a channel to the server.
    ///
    /// `place` is the address that the peer connected to, `found` its listener.
    fn offer(
        self: &Arc<Self>,
        found: Option<ListenerId>,
        peer: Peer,
        place: &str,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
    ) {
        // Dropping the reply refuses the channel.
        let Some(listener) = found else {
            return self.refuse(format!("a connection from {peer} to {place}: no listener has this address"));
        };
        if self.waiting.load(Ordering::Relaxed) >= WAITING_MAX {
            return self.refuse(format!("a connection from {peer} to {place}: {WAITING_MAX} wait to be accepted"));
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.wear.begin();
        let id = channel.id();
        // The reading half is dropped: russh would stop all channels while one of them is not read.
        let (_, half) = channel.split();
        let half = Arc::new(half);
        let inbox = Arc::new(Inbox::new(self.ahead_max, self.flow.pace.clone()));
        self.lock().inboxes.insert(id, Arc::clone(&inbox));
        let channel = SshChannel {
            id,
            inbox,
            half,
            reply: Some(reply),
            is_open: false,
            sending: None,
            ends: false,
            dismissed: false,
            link: Arc::clone(self),
        };
        self.port.offer(listener, peer, Box::new(channel));
    }

    fn refuse(&self, words: String) {
        self.port.report(self.link, TunnelReport::ChannelRefused { words });
    }

    fn inbox(&self, id: ChannelId) -> Option<Arc<Inbox>> {
        self.lock().inboxes.get(&id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SshHandler {
    fn inbox(&self, id: ChannelId) -> Option<Arc<Inbox>> {
        self.forwarded.as_ref()?.inbox(id)
    }

    /// Reports a channel of a type that is never requested.
    fn refuse_channel(&self, what: &str) {
        if let Some(forwarded) = &self.forwarded {
            forwarded.refuse(format!("{what}: it was not requested"));
        }
    }

    fn refuse_key(&self, words: String) {
        let mut refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        *refusal = Some(LinkError::new(TunnelFailure::HostKey, words));
    }
}

/// Covers every end of the session, because russh does not report them all.
impl Drop for SshHandler {
    fn drop(&mut self) {
        if let Some(forwarded) = &self.forwarded {
            forwarded.lose("the connection was lost".into());
        }
    }
}

impl Handler for SshHandler {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let refused = match self.known.judge(shown, SystemTime::now()) {
            KeyCheck::Known => None,
            KeyCheck::New { file, line } => known_hosts::add(&file, &line).err(),
            KeyCheck::Refused(words) => Some(words),
        };
        let is_good = refused.is_none();
        refused.into_iter().for_each(|words| self.refuse_key(words));
        Ok(is_good)
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<Msg>,
        connected_address: &str,
        connected_port: u32,
        originator_address: &str,
        originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        if let Some(forwarded) = &self.forwarded {
            let listener = forwarded.listener(connected_address, connected_port);
            let place = format!("{connected_address}:{connected_port}");
            forwarded.offer(listener, originator(originator_address, originator_port), &place, channel, reply);
        }
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        socket_path: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        if let Some(forwarded) = &self.forwarded {
            forwarded.offer(forwarded.unix_listener(socket_path), Peer::Local, socket_path, channel, reply);
        }
        Ok(())
    }

    // No other channels are requested. Dropping the reply refuses the channel.

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.refuse_channel("an agent channel");
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.refuse_channel("a session channel");
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.refuse_channel(&format!("a direct channel to {host}:{port}"));
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        path: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.refuse_channel(&format!("a direct channel to the socket {path}"));
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.refuse_channel("an X11 channel");
        Ok(())
    }

    async fn should_accept_unknown_server_channel(&mut self, _: ChannelId, kind: &str) -> bool {
        self.refuse_channel(&format!("a channel of the type {kind}"));
        false
    }

    async fn data(&mut self, id: ChannelId, bytes: &[u8], _: &mut Session) -> Result<(), russh::Error> {
        if let Some(inbox) = self.inbox(id) {
            inbox.receive(bytes);
        }
        Ok(())
    }

    async fn channel_eof(&mut self, id: ChannelId, _: &mut Session) -> Result<(), russh::Error> {
        if let Some(inbox) = self.inbox(id) {
            inbox.end();
        }
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Session) -> Result<(), russh::Error> {
        if let Some(inbox) = self.inbox(id) {
            inbox.close();
        }
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<russh::Error>) -> Result<(), russh::Error> {
        let (words, result) = match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                (format!("the server ended the connection: {:?} {:?}", info.reason_code, info.message), Ok(()))
            }
            DisconnectReason::Error(error) => (format!("the connection was lost: {error}"), Err(error)),
        };
        if let Some(forwarded) = &self.forwarded {
            forwarded.lose(words);
        }
        result
    }
}

/// The address of a peer. All peers whose address cannot be parsed share the unspecified one.
fn originator(address: &str, port: u32) -> Peer {
    let port = u16::try_from(port).unwrap_or(0);
    let bare = address.split('%').next().unwrap_or_default();
    let ip = bare.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    Peer::from(SocketAddr::new(ip, port))
}
