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

/// A hub that relays every line to everybody but its sender.
#[derive(Clone, Copy, Debug)]
pub enum Hub {
    /// A bare epoll loop: what one thread with one write per recipient and wake-up can do.
    BareEpoll,
    /// Drupe on tokio, its runtime on one thread.
    DrupeTokio,
    /// What one writes first on tokio: a broadcast channel, and a task for each connection.
    TokioBroadcast,
}

impl Hub {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::BareEpoll, Self::DrupeTokio, Self::TokioBroadcast];

    /// Its name in a report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BareEpoll => "bare_epoll",
            Self::DrupeTokio => "drupe_tokio",
            Self::TokioBroadcast => "tokio_broadcast",
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
                Self::DrupeTokio => on_tokio(async {
                    let config = Config::listening(["tcp://127.0.0.1:0".parse::<Listen>().expect("well formed")]);
                    let server = drupe_tokio::Server::bind(config.unlimited(), Relay::default()).expect("a port");
                    told(
                        server.addresses()[0].strip_prefix("tcp://").expect("its scheme").parse().expect("an address"),
                    );
                    server.run().await.expect("a reactor");
                }),
                Self::TokioBroadcast => on_tokio(idiomatic::serve(told)),
            }
        });
        receive.recv().expect("it starts")
    }
}

fn on_tokio(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work);
}
