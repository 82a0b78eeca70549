use crate::sockets::SmolSockets;
use drupe_core::{Handler, Metrics};
use drupe_shell::stream::ConnectionTask;
use drupe_shell::{AsyncRuntime, Attempts, Names, OsStream, ReadyQueue, Runtime, Setup, Task, tune};
use smol::{Async, Timer};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
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
    type Sockets = SmolSockets;
    type Sleep = Timer;

    fn sockets(queue: Arc<ReadyQueue>, names: Names) -> SmolSockets {
        SmolSockets { queue, attempts: Attempts::new(), names }
    }

    fn begin_turn(sockets: &mut SmolSockets, waker: &Waker) {
        sockets.attempts.begin_turn(waker);
    }

    async fn connect(address: SocketAddr) -> io::Result<OsStream> {
        let stream = Async::<TcpStream>::connect(address).await?.into_inner()?;
        tune(&stream);
        Ok(OsStream::Tcp(stream))
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

    fn wake_after_io(cx: &mut Context<'_>) {
        // Before `block_on` polls a task again, it looks at the sockets.
        cx.waker().wake_by_ref();
    }
}
