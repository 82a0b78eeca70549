//! Servers with TLS 1.3 or without TLS, each as a process of its own, and what they cost.

mod bare;
mod client;
mod costs;
mod keys;

pub(crate) use client::Client;
pub use costs::Case;
pub use keys::Keys;

use crate::Process;
use crate::shell::Shell;
use bare::Work;
use drupe_core::app::{Echo, Relay};
use drupe_core::tls::Tls;
use drupe_core::{Config, Handler, Listen};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// The first argument of a process that is a server.
const SERVE: &str = "serve-tls";
/// Where Debian has the module.
const STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// A server that ends TLS, and echoes or relays lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Server {
    /// A bare epoll loop with rustls.
    Bare,
    /// Drupe on a bare event loop.
    DrupeMio,
    /// Drupe on smol.
    DrupeSmol,
    /// Drupe on tokio, with a single-threaded runtime.
    DrupeTokio,
    /// The stream module of nginx in front of a bare epoll loop without TLS. Both are counted.
    Nginx,
}

impl Server {
    /// All servers.
    pub const ALL: [Self; 5] = [Self::Bare, Self::DrupeMio, Self::DrupeSmol, Self::DrupeTokio, Self::Nginx];

    /// The name in a table.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Bare => "bare epoll and rustls",
            Self::DrupeMio => "Drupe on mio",
            Self::DrupeSmol => "Drupe on smol",
            Self::DrupeTokio => "Drupe on tokio",
            Self::Nginx => "nginx before bare epoll",
        }
    }

    /// Returns `true` if the server can run on this computer.
    #[must_use]
    pub fn is_there(self) -> bool {
        self != Self::Nginx || Path::new(STREAM_MODULE).exists()
    }

    /// Starts the server.
    ///
    /// # Errors
    /// If it does not start within 20 s.
    fn start(self, work: Work, keys: Option<&Keys>) -> io::Result<Running> {
        let Some(keys) = keys.filter(|_| self == Self::Nginx) else {
            return Ok(Running { front: process(self, work, keys)?, backend: None });
        };
        let backend = process(Self::Bare, work, None)?;
        let at = crate::processes::free_address();
        let mut command = Command::new("nginx");
        command.arg("-c").arg(keys.nginx_configuration(STREAM_MODULE, at, backend.address())?);
        Ok(Running { front: Process::start(command, at)?, backend: Some(backend) })
    }

    /// Serves for ever, if these are the arguments of a process that is a server.
    ///
    /// # Panics
    /// If it cannot listen at the address.
    pub fn serve_if_asked(arguments: impl IntoIterator<Item = String>) {
        let arguments: Vec<String> = arguments.into_iter().skip(1).collect();
        let [asked, title, work, at, keys @ ..] = &arguments[..] else { return };
        if asked != SERVE {
            return;
        }
        let server = Self::ALL.into_iter().find(|server| server.title() == title).expect("a server");
        let at = at.parse().expect("an address");
        let keys = keys.first().map(|directory| Keys::read(Path::new(directory)).expect("they were written"));
        match Work::named(work) {
            Work::Echo => server.run(at, Work::Echo, keys.as_ref(), Echo),
            Work::Relay => server.run(at, Work::Relay, keys.as_ref(), Relay::default()),
        }
    }

    fn run<H: Handler>(self, at: SocketAddr, work: Work, keys: Option<&Keys>, handler: H) {
        let tls = keys.map(Keys::server);
        let shell = match self {
            Self::Bare => return bare::serve(at, work, tls.as_ref()).expect("it can listen on loopback"),
            Self::DrupeMio => Shell::Mio,
            Self::DrupeSmol => Shell::Smol,
            Self::DrupeTokio => Shell::Tokio,
            Self::Nginx => return,
        };
        let config = Config::listening([Listen::lines(at).tls(tls.map(Tls::new))]).unlimited();
        shell.serve(config, handler, |_| {});
    }
}

/// A server, and what is behind it.
#[derive(Debug)]
struct Running {
    front: Process,
    backend: Option<Process>,
}

impl Running {
    const fn address(&self) -> SocketAddr {
        self.front.address()
    }

    /// Returns the time that it has used the processor, in seconds.
    fn cpu(&self) -> f64 {
        self.front.cpu() + self.backend.as_ref().map_or(0.0, Process::cpu)
    }
}

fn process(server: Server, work: Work, keys: Option<&Keys>) -> io::Result<Process> {
    let at = crate::processes::free_address();
    let mut command = Command::new(std::env::current_exe()?);
    command.args([SERVE, server.title(), work.name(), &at.to_string()]);
    command.args(keys.map(Keys::directory));
    Process::start(command, at)
}
