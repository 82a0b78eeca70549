//! Relays to benchmark, each on its own thread: Drupe's shells, and two others for comparison.
//!
//! [`tls`] measures servers with TLS, [`idle`] the memory of idle connections, and [`cluster`] shared rooms with real
//! brokers. [`capacity`] finds out in virtual time what breaks first in a cluster of many hosts.

#![allow(clippy::expect_used, reason = "a benchmark that cannot run should fail at once")]

pub mod bare;
pub mod capacity;
pub mod cluster;
mod directory;
mod idiomatic;
pub mod idle;
mod load;
mod processes;
mod samples;
mod shell;
pub mod tls;

pub use load::{Load, Receivers};
pub use processes::{Process, own_cpu};
pub use samples::Samples;

use drupe_core::app::Relay;
use drupe_core::{Config, Listen};
use shell::Shell;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;

/// Numbers of messages that are sent at once.
pub const MESSAGES: [usize; 2] = [1, 64];

/// A server that relays every line to all connections but its sender.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Hub {
    /// A bare epoll loop: one thread, with one write per recipient and wake-up.
    BareEpoll,
    /// Drupe on a bare event loop.
    DrupeMio,
    /// Drupe on smol.
    DrupeSmol,
    /// Drupe on tokio, with a single-threaded runtime.
    DrupeTokio,
    /// A tokio program with a broadcast channel, and a task for each connection.
    TokioBroadcast,
}

impl Hub {
    /// The first argument of a process that is a hub.
    const SERVE: &'static str = "serve-hub";

    /// All hubs.
    pub const ALL: [Self; 5] =
        [Self::BareEpoll, Self::DrupeMio, Self::DrupeSmol, Self::DrupeTokio, Self::TokioBroadcast];

    /// The name in criterion's reports.
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

    /// The name in the README's table.
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

    /// Starts the hub on a thread that ends with the process. Returns its address.
    ///
    /// # Panics
    /// If it cannot listen on loopback.
    #[must_use]
    pub fn start(self) -> SocketAddr {
        let (send, receive) = mpsc::channel();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        std::thread::spawn(move || self.run(address, move |address| send.send(address).expect("the caller waits")));
        receive.recv().expect("it starts")
    }

    /// Serves for ever, if these are the arguments of a [`Process`] that is a hub.
    ///
    /// # Panics
    /// If it cannot listen at the address.
    pub fn serve_if_asked(arguments: impl IntoIterator<Item = String>) {
        let arguments: Vec<String> = arguments.into_iter().skip(1).collect();
        if let [asked, name, address] = &arguments[..]
            && asked == Self::SERVE
        {
            let hub = Self::ALL.into_iter().find(|hub| hub.name() == name).expect("a hub");
            hub.run(address.parse().expect("an address"), drop);
        }
    }

    /// Serves at an address. Passes the address to `told` once it listens.
    fn run(self, at: SocketAddr, told: impl FnOnce(SocketAddr)) {
        let shell = match self {
            Self::BareEpoll => return bare::serve(at, told).expect("it can listen on loopback"),
            Self::TokioBroadcast => return on_tokio(idiomatic::serve(at, told)),
            Self::DrupeMio => Shell::Mio,
            Self::DrupeSmol => Shell::Smol,
            Self::DrupeTokio => Shell::Tokio,
        };
        shell.serve(config(at), Relay::default(), |addresses| told(address(addresses)));
    }
}

fn config(at: SocketAddr) -> Config {
    Config::listening([Listen::lines(at)]).unlimited()
}

fn address(addresses: &[String]) -> SocketAddr {
    addresses[0].strip_prefix("tcp://").expect("its scheme").parse().expect("an address")
}

fn on_tokio(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work);
}
