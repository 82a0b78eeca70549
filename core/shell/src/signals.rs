use super::spared;
use signal_hook::iterator::{Handle, Signals};
use std::io;
use std::thread;

/// A signal handler: a thread that calls a function on each signal until this is dropped.
///
/// If the function panics, the panic is printed as usual, and the next signal is handled as well.
pub(super) struct OnSignals(Handle);

impl OnSignals {
    pub(super) fn new(signals: &[i32], mut act: impl FnMut() + Send + 'static) -> io::Result<Self> {
        let mut signals = Signals::new(signals)?;
        let handle = signals.handle();
        thread::Builder::new().name("drupe-signals".into()).spawn(move || {
            for _ in &mut signals {
                spared(&mut act);
            }
        })?;
        Ok(Self(handle))
    }
}

impl Drop for OnSignals {
    fn drop(&mut self) {
        self.0.close();
    }
}
