//! Callbacks for messages of an SSH server.

use super::LinkError;
use super::channel::SshChannel;
use super::forwarded::Forwarded;
use super::host_key::{KeyCheck, KnownHost};
use super::inbox::Inbox;
use super::known_hosts;
use drupe_core::tunnel::TunnelFailure;
use drupe_core::{ListenerId, Peer};
use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelId};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Maximum number of channels that wait to be accepted, as in the backlog of a listener.
const WAITING_MAX: usize = drupe_shell::BACKLOG as usize;

/// The handler of one SSH connection.
pub(super) struct SshHandler {
    pub(super) known: KnownHost,
    /// The reason why the server's host key was refused, if it was.
    pub(super) refusal: Arc<Mutex<Option<LinkError>>>,
    /// The receiver of the channels. `None` for jump hosts, whose channels are refused.
    pub(super) forwarded: Option<Arc<Forwarded>>,
}

impl Forwarded {
    /// Offers a channel to the server, or refuses it if no listener matches or too many wait.
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
}

impl SshHandler {
    fn inbox(&self, id: ChannelId) -> Option<Arc<Inbox>> {
        self.forwarded.as_ref()?.inbox(id)
    }

    /// Reports a refused channel of a type that the client never requests.
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

/// Reports the end of the session, because russh does not report it in all cases.
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

/// Parses the address of a peer. Returns 0.0.0.0 if the address is invalid.
fn originator(address: &str, port: u32) -> Peer {
    let port = u16::try_from(port).unwrap_or(0);
    let bare = address.split('%').next().unwrap_or_default();
    let ip = bare.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    Peer::from(SocketAddr::new(ip, port))
}
