use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

/// A client with TLS that waits for what it reads.
pub(crate) struct Client(StreamOwned<ClientConnection, TcpStream>);

impl Client {
    /// Connects, and does the handshake.
    pub(crate) fn connect(at: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let mut stream = TcpStream::connect(at)?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").expect("a name");
        let mut tls = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        tls.complete_io(&mut stream)?;
        Ok(Self(StreamOwned::new(tls, stream)))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.flush()
    }

    /// Reads this number of bytes.
    pub(crate) fn read(&mut self, mut bytes: usize) -> io::Result<()> {
        let mut buffer = [0; 1 << 14];
        while bytes > 0 {
            let most = bytes.min(buffer.len());
            match self.0.read(&mut buffer[..most])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => bytes -= length,
            }
        }
        Ok(())
    }
}
