use super::Remote;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use std::io;
use std::thread;

/// Drains a server on SIGINT and SIGTERM until it is dropped, from a thread that sleeps otherwise.
pub(super) struct DrainOnSignals(Handle);

impl DrainOnSignals {
    pub(super) fn new<N: Send + 'static>(remote: Remote<N>) -> io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let handle = signals.handle();
        thread::Builder::new().name("drupe-signals".into()).spawn(move || {
            for _ in &mut signals {
                // A server that has ended needs no drain, and one that does not keep up hears of the next signal.
                let _ = remote.drain();
            }
        })?;
        Ok(Self(handle))
    }
}

impl Drop for DrainOnSignals {
    fn drop(&mut self) {
        self.0.close();
    }
}
