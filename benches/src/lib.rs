//! Hubs to measure beside each other, each on a thread of its own: Drupe's, and two peers written for the
//! comparison.

#![allow(clippy::expect_used, reason = "a benchmark that can't run should say so at once")]

pub mod bare;
mod idiomatic;
mod load;

pub use load::{Load, Receivers};

use drupe_core::app::Relay;
use drupe_core::{Config, Listen};
use std::net::SocketAddr;
use std::sync::mpsc;

/// How many messages are sent at once.
pub const MESSAGES: [usize; 2] = [1, 64];

/// A hub that relays every line to everybody but its sender.
#[derive(Clone, Copy, Debug)]
pub enum Hub {
    /// A bare epoll loop: what one thread with one write per recipient and wake-up can do.
    BareEpoll,
    /// Drupe on a bare event loop.
    DrupeMio,
    /// Drupe on smol.
    DrupeSmol,
    /// Drupe on tokio, its runtime on one thread.
    DrupeTokio,
    /// What one writes first on tokio: a broadcast channel, and a task for each connection.
    TokioBroadcast,
}

impl Hub {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::BareEpoll, Self::DrupeMio, Self::DrupeSmol, Self::DrupeTokio, Self::TokioBroadcast];

    /// Its name in a report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BareEpoll => "bare_epoll",
            Self::DrupeMio => "drupe_mio",
            Self::DrupeSmol => "drupe_smol",
            Self::DrupeTokio => "drupe_tokio",
            Self::TokioBroadcast => "tokio_broadcast",
        }
    }

    /// Its name for a reader.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::BareEpoll => "bare epoll",
            Self::DrupeMio => "Drupe on mio",
            Self::DrupeSmol => "on smol",
            Self::DrupeTokio => "on tokio",
            Self::TokioBroadcast => "`tokio::sync::broadcast`",
        }
    }

    /// Starts it on a thread that ends with the process, and says where it listens.
    ///
    /// # Panics
    /// If it can't listen on loopback.
    #[must_use]
    pub fn start(self) -> SocketAddr {
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            let told = move |address| send.send(address).expect("somebody waits");
            match self {
                Self::BareEpoll => bare::serve(told).expect("loopback can be listened at"),
                Self::DrupeMio => {
                    let server = drupe_mio::Server::bind(config(), Relay::default()).expect("a port");
                    told(address(server.addresses()));
                    server.run().expect("an event queue");
                }
                Self::DrupeSmol => {
                    let server = drupe_smol::Server::bind(config(), Relay::default()).expect("a port");
                    told(address(server.addresses()));
                    smol::block_on(server.run()).expect("a reactor");
                }
                Self::DrupeTokio => {
                    let server = drupe_tokio::Server::bind(config(), Relay::default()).expect("a port");
                    told(address(server.addresses()));
                    on_tokio(async { drop(server.run().await.expect("a reactor")) });
                }
                Self::TokioBroadcast => on_tokio(idiomatic::serve(told)),
            }
        });
        receive.recv().expect("it starts")
    }
}

fn config() -> Config {
    Config::listening(["tcp://127.0.0.1:0".parse::<Listen>().expect("well formed")]).unlimited()
}

fn address(addresses: &[String]) -> SocketAddr {
    addresses[0].strip_prefix("tcp://").expect("its scheme").parse().expect("an address")
}

fn on_tokio(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work);
}
