use drupe_shell::stream::{ByteStream, Connection};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection with tokio's `AsyncRead` and `AsyncWrite`. See [`ByteStream`] for lines.
///
/// ```no_run
/// use drupe_tokio::{Stream, Server, core::Config};
/// use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let config = Config::listening(["tcp://127.0.0.1:8888".parse()?, "ws://127.0.0.1:8889".parse()?]);
///     let server = Server::serve(config, async |connection| {
///         let mut stream = BufReader::new(Stream::from(connection));
///         let mut line = String::new();
///         while stream.read_line(&mut line).await.is_ok_and(|bytes| bytes > 0) {
///             if stream.write_all(line.to_uppercase().as_bytes()).await.is_err() {
///                 break;
///             }
///             line.clear();
///         }
///     })?;
///     server.drain_on_signals()?.run().await?;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Stream(ByteStream);

impl From<Connection> for Stream {
    fn from(connection: Connection) -> Self {
        Self(ByteStream::new(connection))
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = self.0.poll_read(cx, buffer.initialize_unfilled());
        read.map(|bytes| {
            buffer.advance(bytes);
            Ok(())
        })
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_close(cx)
    }
}
