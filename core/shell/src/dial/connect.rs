//! Connection attempts of the async shells.

use super::{Names, Race, RaceAction, Route};
use crate::{AsyncRuntime, OsStream, StreamOf};
use drupe_core::{Peer, Time};

use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Connects to the address of a dial: `HOST:PORT` or `unix://PATH`.
///
/// # Errors
/// If no address of the host accepts the connection, or the Unix socket does not.
pub fn connect<R: AsyncRuntime>(
    names: &Names,
    address: &str,
) -> impl Future<Output = io::Result<(StreamOf<R>, Peer)>> + Send + 'static {
    let route = Route::begin(names, address);
    async move {
        match route? {
            Route::Local(stream) => Ok((StreamOf::<R>::from(OsStream::Unix(stream)), Peer::Local)),
            Route::Network(resolving) => {
                let mut connecting = Connecting::<R>::new(resolving.await?);
                poll_fn(move |cx| connecting.poll(cx)).await
            }
        }
    }
}

type Attempt<R> = Pin<Box<dyn Future<Output = io::Result<StreamOf<R>>> + Send>>;

/// A race whose attempts and delays are those of a runtime.
struct Connecting<R: AsyncRuntime> {
    race: Race,
    began: Instant,
    attempts: Vec<(usize, SocketAddr, Attempt<R>)>,
    /// The timer of the race, once it has needed one.
    sleep: Option<R::Sleep>,
}

impl<R: AsyncRuntime> Connecting<R> {
    fn new(addresses: Vec<SocketAddr>) -> Self {
        Self { race: Race::new(addresses), began: Instant::now(), attempts: Vec::new(), sleep: None }
    }

    /// Dropping this future cancels the attempts in flight.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(StreamOf<R>, Peer)>> {
        loop {
            while let Some(action) = self.race.next_action(Time::START + self.began.elapsed()) {
                match action {
                    RaceAction::Connect(number, address) => {
                        self.attempts.push((number, address, Box::pin(R::connect(address))));
                    }
                    RaceAction::Cancel(number) => self.attempts.retain(|(other, ..)| *other != number),
                }
            }
            let before = self.attempts.len();
            if let Some((stream, address)) = self.poll_attempts(cx) {
                return Poll::Ready(Ok((stream, Peer::from(address))));
            }
            if self.race.is_lost() {
                return Poll::Ready(Err(core::mem::take(&mut self.race).into_error()));
            }
            // After a failure, the next attempt begins at once.
            if self.attempts.len() == before && self.poll_delay(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn poll_attempts(&mut self, cx: &mut Context<'_>) -> Option<(StreamOf<R>, SocketAddr)> {
        let Self { race, attempts, .. } = self;
        let mut index = 0;
        while let Some((number, address, attempt)) = attempts.get_mut(index) {
            match attempt.as_mut().poll(cx) {
                Poll::Pending => index += 1,
                Poll::Ready(Ok(stream)) => {
                    race.connected(*number);
                    return Some((stream, *address));
                }
                Poll::Ready(Err(error)) => {
                    race.failed(*number, error);
                    drop(attempts.remove(index));
                }
            }
        }
        None
    }

    /// Waits until the next attempt may begin.
    fn poll_delay(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.race.deadline() else { return Poll::Pending };
        let until = self.began + Duration::from_nanos(deadline.as_nanos());
        let sleep = self.sleep.get_or_insert_with(|| R::sleep(until));
        R::reset(sleep, until);
        R::poll(sleep, cx)
    }
}
