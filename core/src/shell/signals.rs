use signal_hook::iterator::{Handle, Signals};
use std::io;
use std::thread;

/// Does something on each of some signals until it is dropped, on a thread that sleeps otherwise.
pub(super) struct OnSignals(Handle);

impl OnSignals {
    pub(super) fn new(signals: &[i32], mut act: impl FnMut() + Send + 'static) -> io::Result<Self> {
        let mut signals = Signals::new(signals)?;
        let handle = signals.handle();
        thread::Builder::new().name("drupe-signals".into()).spawn(move || {
            for _ in &mut signals {
                act();
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
