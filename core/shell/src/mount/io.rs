//! The byte stream of a mounted connection.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

/// A bidirectional byte stream that another server hands over.
///
/// The server polls it on its own thread, with a waker that works on every thread. So any stream
/// of a runtime fits, as long as it may be polled outside of the runtime. Each shell has an adapter
/// for the traits of its runtime.
pub trait MountedIo: Send + 'static {
    /// Reads available bytes into `buffer`. Returns 0 at the end of the input.
    ///
    /// # Errors
    /// If the stream fails. The connection ends.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Accepts some bytes of `slices` and returns their number, or returns `Pending`.
    ///
    /// # Errors
    /// If the stream fails. The connection ends.
    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

    /// Sends the bytes that `poll_write` accepted.
    ///
    /// # Errors
    /// If the stream fails. The connection ends.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Closes the sending half. Called after everything is flushed.
    ///
    /// # Errors
    /// If the stream fails. The connection ends.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}
