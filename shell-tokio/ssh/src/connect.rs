//! Setup of an SSH connection: TCP, jump hosts, host keys and authentication.

use super::LinkError;
use super::forwarded::Forwarded;
use super::handler::SshHandler;
use super::host_key::{Files, KnownHost};
use super::identity::Identity;
use super::known_hosts;
use super::line::{Cut, Line};
use super::proxied;
use super::stream::SshStream;
use drupe_core::tunnel::{Jump, Ssh, TunnelFailure};
use russh::client::{Config, Handle, connect_stream};
use russh::{Error, Limits, Preferred, SshId};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Receive window of a channel, in bytes.
///
/// russh also ends a connection if more than twice as much arrives, on all channels together, while
/// it waits for new keys. Data in the buffers of both systems must fit into that.
const WINDOW_BYTES: u32 = 16 << 20;

/// Number of bytes after which the client requests new keys.
///
/// This is OpenSSH's value for ciphers with blocks of 128 bits (RFC 4344 section 3.2). The client
/// never requests new keys because of time alone. The server may request them earlier.
const REKEY_BYTES: usize = if usize::BITS > 32 { 32 << 30 } else { 1 << 30 };
/// A time limit that is never reached: 136 years.
const NEVER: Duration = Duration::from_secs(u32::MAX as u64);

/// An SSH connection, and the connections to its jump hosts.
pub(super) struct Connected {
    pub(super) handle: Handle<SshHandler>,
    /// The connections to the jump hosts, which must live as long as `handle`.
    pub(super) _through: Vec<Handle<SshHandler>>,
}

/// Connects to the SSH server of a tunnel, through its jump hosts.
///
/// The machine limits the time. `forwarded` receives the channels of the last server.
pub(super) async fn connect(ssh: &Ssh, cut: Cut, forwarded: &Arc<Forwarded>) -> Result<Connected, LinkError> {
    let (files, identity) = load(ssh).await?;
    let step = |hop, forwarded| Step { ssh, files: &files, identity: &identity, hop, forwarded };
    let mut through: Vec<Handle<SshHandler>> = Vec::new();
    for jump in &ssh.jumps {
        through.push(step(jump, None).take(through.last(), &cut).await?);
    }
    let last = Jump::new(&ssh.host).port(ssh.port);
    let handle = step(&last, Some(Arc::clone(forwarded))).take(through.last(), &cut).await?;
    Ok(Connected { handle, _through: through })
}

/// Reads the known hosts and the key, anew for each attempt so that corrections take effect.
async fn load(ssh: &Ssh) -> Result<(Files, Identity), LinkError> {
    let ssh = ssh.clone();
    let load = move || Ok((known_hosts::read(&ssh)?, Identity::load(&ssh)?));
    let loaded = tokio::task::spawn_blocking(load).await;
    loaded.unwrap_or_else(|error| Err(LinkError::new(TunnelFailure::PrivateKey, error.to_string())))
}

struct Step<'a> {
    ssh: &'a Ssh,
    files: &'a Files,
    identity: &'a Identity,
    hop: &'a Jump,
    forwarded: Option<Arc<Forwarded>>,
}

impl Step<'_> {
    /// Connects to the next host, directly or through the previous one, and authenticates there.
    async fn take(self, before: Option<&Handle<SshHandler>>, cut: &Cut) -> Result<Handle<SshHandler>, LinkError> {
        let Self { ssh, identity, hop: Jump { user, host, port, .. }, .. } = self;
        let unreachable =
            |words: String| LinkError::new(TunnelFailure::Network, format!("{host}:{port} can't be reached{words}"));
        let mut handle = match before {
            None => {
                let tcp = if let Some(proxy) = &ssh.proxy {
                    proxied::connect(proxy, host, *port).await?
                } else {
                    let tcp = TcpStream::connect((host.as_str(), *port)).await;
                    tcp.map_err(|error| unreachable(format!(": {error}")))?
                };
                // Without it, the connection is slower.
                let _ = tcp.set_nodelay(true);
                self.session(Line::new(tcp, cut.clone())).await?
            }
            Some(before) => {
                let channel = before.channel_open_direct_tcpip(host, u32::from(*port), "127.0.0.1", 0).await;
                let channel = channel.map_err(|error| unreachable(format!(" through the previous host: {error}")))?;
                self.session(channel.into_stream()).await?
            }
        };
        identity.prove(&mut handle, user.as_ref().unwrap_or(&ssh.user), &format!("{host}:{port}")).await?;
        Ok(handle)
    }

    /// Starts an SSH session on a stream, and checks the server's host key.
    async fn session<S>(self, stream: S) -> Result<Handle<SshHandler>, LinkError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Jump { host, port, .. } = self.hop;
        let known = KnownHost::new(self.files, host, *port, self.ssh.accept_new)
            .map_err(|words| LinkError::new(TunnelFailure::HostKey, words))?;
        let (keys, certificates) = known.algorithms();
        let preferred =
            Preferred { key: keys.into(), host_key_certificates: certificates.into(), ..Preferred::DEFAULT };
        let config = Config {
            client_id: SshId::Standard(concat!("SSH-2.0-drupe_", env!("CARGO_PKG_VERSION")).into()),
            preferred,
            window_size: WINDOW_BYTES,
            limits: Limits { rekey_write_limit: REKEY_BYTES, rekey_read_limit: REKEY_BYTES, rekey_time_limit: NEVER },
            ..Config::default()
        };
        let flow = self.forwarded.as_ref().map(|forwarded| forwarded.flow.clone());
        let stream = SshStream::new(stream, flow.unwrap_or_default());
        let refusal = Arc::new(Mutex::new(None));
        let client = SshHandler { known, refusal: Arc::clone(&refusal), forwarded: self.forwarded };
        connect_stream(Arc::new(config), stream, client).await.map_err(|error| {
            let refused = refusal.lock().unwrap_or_else(PoisonError::into_inner).take();
            refused.unwrap_or_else(|| {
                let failure = match error {
                    Error::IO(_) | Error::HUP | Error::Disconnect => TunnelFailure::Network,
                    _ => TunnelFailure::Protocol,
                };
                LinkError::new(failure, format!("the SSH handshake with {host}:{port} failed: {error}"))
            })
        })
    }
}
