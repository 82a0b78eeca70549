use drupe_core::{Handler, Metrics};
use drupe_shell::stream::ConnectionTask;
use drupe_shell::{AsyncRuntime, Runtime, Setup, Task};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::coop::{Unconstrained, unconstrained};
use tokio::time::Sleep;

/// The tokio runtime, in any flavour, with I/O and time enabled.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Tokio;

impl Runtime for Tokio {
    /// A future of the final metrics. It panics outside a tokio runtime.
    type Run<H: Handler> = Unconstrained<Task<H, Self>>;

    fn run<H: Handler>(setup: Setup<H>) -> Self::Run<H> {
        // One turn serves all sockets. Tokio's budget for a task would stop it halfway.
        unconstrained(Task::new(setup))
    }

    fn run_here<H: Handler>(setup: Setup<H>) -> io::Result<Metrics> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(Self::run(setup))
    }
}

impl AsyncRuntime for Tokio {
    type Watch = AsyncFd<OwnedFd>;
    type Sleep = Pin<Box<Sleep>>;

    fn watch(descriptor: OwnedFd) -> io::Result<Self::Watch> {
        #[expect(deprecated, reason = "what replaces it is unsafe, for types that may change their descriptor")]
        AsyncFd::with_interest(descriptor, Interest::READABLE)
    }

    fn poll_readable(
        watch: &mut Self::Watch,
        cx: &mut Context<'_>,
        look: &mut dyn FnMut() -> io::Result<bool>,
    ) -> io::Result<()> {
        while let Poll::Ready(ready) = watch.poll_read_ready(cx) {
            let mut ready = ready?;
            if !look()? {
                break;
            }
            // Unless more became ready meanwhile.
            ready.clear_ready();
        }
        Ok(())
    }

    fn spawn(task: ConnectionTask) {
        drop(tokio::spawn(task));
    }

    fn sleep(until: Instant) -> Self::Sleep {
        Box::pin(tokio::time::sleep_until(until.into()))
    }

    fn reset(sleep: &mut Self::Sleep, until: Instant) {
        sleep.as_mut().reset(until.into());
    }

    fn poll(sleep: &mut Self::Sleep, cx: &mut Context<'_>) -> Poll<()> {
        sleep.as_mut().poll(cx)
    }
}
