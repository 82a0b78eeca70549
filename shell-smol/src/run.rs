use drupe_core::{Handler, Metrics};
use drupe_shell::stream::ConnectionTask;
use drupe_shell::{AsyncRuntime, Runtime, Setup, Task};
use smol::{Async, Timer};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

/// The smol runtime. The server runs in any `block_on`, or as a task of any executor.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Smol;

impl Runtime for Smol {
    /// A future of the final metrics.
    type Run<H: Handler> = Task<H, Self>;

    fn run<H: Handler>(setup: Setup<H>) -> Self::Run<H> {
        Task::new(setup)
    }

    fn run_here<H: Handler>(setup: Setup<H>) -> io::Result<Metrics> {
        smol::block_on(Self::run(setup))
    }
}

impl AsyncRuntime for Smol {
    type Watch = Async<OwnedFd>;
    type Sleep = Timer;

    fn watch(descriptor: OwnedFd) -> io::Result<Self::Watch> {
        // It is never read, so it need not be non-blocking.
        Async::new_nonblocking(descriptor)
    }

    fn poll_readable(
        watch: &mut Self::Watch,
        cx: &mut Context<'_>,
        look: &mut dyn FnMut() -> io::Result<bool>,
    ) -> io::Result<()> {
        while let Poll::Ready(ready) = watch.poll_readable(cx) {
            ready?;
            if !look()? {
                break;
            }
        }
        Ok(())
    }

    fn spawn(task: ConnectionTask) {
        smol::spawn(task).detach();
    }

    fn sleep(until: Instant) -> Timer {
        Timer::at(until)
    }

    fn reset(sleep: &mut Timer, until: Instant) {
        sleep.set_at(until);
    }

    fn poll(sleep: &mut Timer, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(sleep).poll(cx).map(drop)
    }
}
