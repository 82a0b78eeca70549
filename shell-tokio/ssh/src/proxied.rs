//! A TCP connection through a proxy.

use super::LinkError;
use drupe_core::ProxyFault;
use drupe_core::tunnel::TunnelFailure;
use drupe_core::wire::outgoing_proxy::{HandshakeProgress, OutgoingProxy, ProxyHandshake};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Maximum number of bytes of the answer that are peeked at a time.
const PIECE_BYTES: usize = 512;

/// Connects to a host through a proxy. The machine limits the time.
///
/// Reads no byte after the proxy's answer, so the next read returns the first bytes of the host.
pub(super) async fn connect(proxy: &OutgoingProxy, host: &str, port: u16) -> Result<TcpStream, LinkError> {
    let failed = |failure: TunnelFailure, words: String| {
        LinkError::new(failure, format!("{host}:{port} can't be reached through the proxy {proxy}: {words}"))
    };
    let broken = |error: io::Error| failed(TunnelFailure::Network, error.to_string());
    let refused = |fault: ProxyFault| {
        let failure = if fault.is_permanent() { TunnelFailure::Proxy } else { TunnelFailure::Network };
        failed(failure, format!("{fault}: {}", fault.advice()))
    };
    let target = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut handshake = ProxyHandshake::new(proxy, &target).map_err(refused)?;
    let mut stream = TcpStream::connect(proxy.address()).await.map_err(broken)?;
    let mut piece = [0; PIECE_BYTES];
    loop {
        stream.write_all(&handshake.take_output()).await.map_err(broken)?;
        match handshake.progress() {
            HandshakeProgress::Reading => {}
            HandshakeProgress::Done => return Ok(stream),
            HandshakeProgress::Failed(fault) => return Err(refused(fault)),
        }
        let seen = stream.peek(&mut piece).await.map_err(broken)?;
        if seen == 0 {
            return Err(refused(ProxyFault::Closed));
        }
        let used = handshake.receive(piece.get(..seen).unwrap_or_default());
        // These bytes have arrived, so this read does not wait.
        let answer = piece.get_mut(..used).unwrap_or_default();
        stream.read_exact(answer).await.map_err(broken)?;
    }
}
