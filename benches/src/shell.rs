use crate::on_tokio;
use drupe_core::{Config, Handler};

/// What runs a server of Drupe.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shell {
    Mio,
    Smol,
    Tokio,
}

impl Shell {
    pub(crate) const ALL: [Self; 3] = [Self::Mio, Self::Smol, Self::Tokio];

    /// The name in a table.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Mio => "mio",
            Self::Smol => "smol",
            Self::Tokio => "tokio",
        }
    }

    /// Serves for ever. Passes the addresses to `told` once it listens.
    pub(crate) fn serve<H: Handler>(self, config: Config, handler: H, told: impl FnOnce(&[String])) {
        match self {
            Self::Mio => {
                let server = drupe_mio::Server::bind(config, handler).expect("a port");
                told(server.addresses());
                server.run().expect("an event queue");
            }
            Self::Smol => {
                let server = drupe_smol::Server::bind(config, handler).expect("a port");
                told(server.addresses());
                smol::block_on(server.run()).expect("a reactor");
            }
            Self::Tokio => {
                let server = drupe_tokio::Server::bind(config, handler).expect("a port");
                told(server.addresses());
                on_tokio(async { drop(server.run().await.expect("a reactor")) });
            }
        }
    }
}
