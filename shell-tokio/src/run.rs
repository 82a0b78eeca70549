use crate::sockets::TokioSockets;
use drupe_core::{Handler, Metrics};
use drupe_shell::stream::ConnectionTask;
use drupe_shell::{AsyncRuntime, Attempts, Names, OsStream, ReadyQueue, Runtime, Setup, Task, tune};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tokio::net::TcpStream;
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
        // One turn polls all sockets. Tokio's budget for a task would stop it halfway.
        unconstrained(Task::new(setup))
    }

    fn run_here<H: Handler>(setup: Setup<H>) -> io::Result<Metrics> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(Self::run(setup))
    }
}

impl AsyncRuntime for Tokio {
    type Sockets = TokioSockets;
    type Sleep = Pin<Box<Sleep>>;

    fn sockets(queue: Arc<ReadyQueue>, names: Names) -> TokioSockets {
        TokioSockets { queue, attempts: Attempts::new(), names }
    }

    fn begin_turn(sockets: &mut TokioSockets, waker: &Waker) {
        sockets.attempts.begin_turn(waker);
    }

    async fn connect(address: SocketAddr) -> io::Result<OsStream> {
        let stream = TcpStream::connect(address).await?.into_std()?;
        tune(&stream);
        Ok(OsStream::Tcp(stream))
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

    fn wake_after_io(cx: &mut Context<'_>) {
        // It passes the waker to the runtime, which uses it after it has looked at the sockets. A waker that is used
        // here would only put the task back into the queue.
        let _ = pin!(tokio::task::yield_now()).poll(cx);
    }
}
