//! From a name to a session: the lookup, the hosts on the way, the host keys, and who we are.

use super::LinkError;
use super::handler::{Forwarded, SshHandler};
use super::host_key::{Files, KnownHost};
use super::identity::Identity;
use super::known_hosts;
use super::line::{Cut, Line};
use super::stream::SshStream;
use drupe_core::tunnel::{Jump, Ssh, TunnelFailure};
use russh::client::{Config, Handle, connect_stream};
use russh::{Error, Limits, Preferred, SshId};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// How much a channel may send ahead of what has come. russh also ends a connection on which more than twice as much arrives,
/// on all channels, while it waits for new keys: what is in the buffers of both systems must fit in there.
const WINDOW_BYTES: u32 = 16 << 20;

/// When we ask for new keys: as OpenSSH does for ciphers with blocks of 128 bits (RFC 4344 section 3.2), and not for the time
/// alone. The server may ask earlier.
const REKEY_BYTES: usize = if usize::BITS > 32 { 32 << 30 } else { 1 << 30 };
const NEVER: Duration = Duration::from_secs(u32::MAX as u64);

/// An SSH connection, and those that it goes through.
pub(super) struct Connected {
    pub(super) handle: Handle<SshHandler>,
    /// They last as long as it does.
    pub(super) _through: Vec<Handle<SshHandler>>,
}

/// Connects as the configuration says. How long it may take is the machine's. Whatever comes of the last server is heard.
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

/// Reads the files anew, so that what was mended holds with the next attempt.
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
    /// Goes to the next host, from here or through the one before, and in there.
    async fn take(self, before: Option<&Handle<SshHandler>>, cut: &Cut) -> Result<Handle<SshHandler>, LinkError> {
        let Self { ssh, identity, hop: Jump { user, host, port, .. }, .. } = self;
        let unreachable =
            |words: String| LinkError::new(TunnelFailure::Network, format!("{host}:{port} can't be reached{words}"));
        let mut handle = match before {
            None => {
                let tcp = TcpStream::connect((host.as_str(), *port)).await;
                let tcp = tcp.map_err(|error| unreachable(format!(": {error}")))?;
                // If it fails, it is merely slower.
                let _ = tcp.set_nodelay(true);
                self.session(Line::new(tcp, cut.clone())).await?
            }
            Some(before) => {
                let channel = before.channel_open_direct_tcpip(host, u32::from(*port), "127.0.0.1", 0).await;
                let channel = channel.map_err(|error| unreachable(format!(" through the host before: {error}")))?;
                self.session(channel.into_stream()).await?
            }
        };
        identity.prove(&mut handle, user.as_ref().unwrap_or(&ssh.user), &format!("{host}:{port}")).await?;
        Ok(handle)
    }

    /// Speaks SSH on a stream, as far as knowing that it is the right server.
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
                LinkError::new(failure, format!("{host}:{port} does not speak SSH as we do: {error}"))
            })
        })
    }
}
