//! Command-line arguments of the `hub` example of each shell. Needs the feature `cli`.

use drupe_core::app::{AppName, BuiltIn, Envelope};
use drupe_core::outbound::Gather;
use drupe_core::wire::MessageSize;
use drupe_core::{Config, Listen};

use core::num::NonZeroU8;

/// Arguments of a server for telnet, lines, length-prefixed frames and WebSocket.
#[derive(Clone, Debug, clap::Args)]
#[non_exhaustive]
pub struct HubArguments {
    /// Application to serve: chat, relay or echo
    #[arg(long, value_name = "APP", default_value_t = AppName::Chat)]
    pub app: AppName,
    /// Addresses to listen on, in the syntax of [`Listen`].
    #[arg(
        long,
        value_name = "ADDRESS",
        help = "Address to listen on, such as telnet://127.0.0.1:8023, tcp://127.0.0.1:7000, ws://127.0.0.1:8025/chat, \
                length://[::1]:7001 or unix:///run/drupe.sock; may be repeated; with port 0 the system chooses \
                the port [default: telnet://127.0.0.1:8023, tcp://127.0.0.1:8024 and ws://127.0.0.1:8025]"
    )]
    pub listen: Vec<Listen>,
    /// Format in which the relay wraps messages: none or json
    #[arg(long, value_name = "ENVELOPE", default_value = "none", value_parser = envelope)]
    pub envelope: Envelope,
    /// Number of worker threads, 1 to 255
    #[arg(long, value_name = "N", default_value = "1")]
    pub workers: NonZeroU8,
    /// Remove limits on rates and numbers of connections, for load tests
    #[arg(long)]
    pub unlimited: bool,
    /// Rest after a turn that sent to rooms, in microseconds, 0 to 500
    #[arg(long, value_name = "MICROS", default_value = "0", value_parser = gather)]
    pub gather: Gather,
    /// Maximum size of a message in bytes, 1 to 1073741824
    #[arg(long, value_name = "BYTES", default_value = "65536", value_parser = message_size)]
    pub max_message: MessageSize,
}

impl HubArguments {
    /// Returns the configuration that these arguments describe.
    #[must_use]
    pub fn config(&self) -> Config {
        let mut listeners = self.listen.clone();
        if listeners.is_empty() {
            listeners.extend(DEFAULT_LISTEN.iter().filter_map(|address| address.parse::<Listen>().ok()));
        }
        let mut config = Config::listening(listeners);
        config.peer.budget.message_max_bytes = self.max_message;
        config.outbound.gather = self.gather;
        if self.unlimited { config.unlimited() } else { config }
    }

    /// Returns a function that creates the chosen application for one worker.
    pub fn handler<N>(&self) -> impl Fn(N) -> BuiltIn + Clone + Send + use<N> {
        let (app, envelope) = (self.app, self.envelope);
        move |_| app.make(envelope)
    }
}

const DEFAULT_LISTEN: [&str; 3] = ["telnet://127.0.0.1:8023", "tcp://127.0.0.1:8024", "ws://127.0.0.1:8025"];

fn envelope(text: &str) -> Result<Envelope, String> {
    match text {
        "none" => Ok(Envelope::None),
        "json" => Ok(Envelope::Json),
        _ => Err("an envelope is none or json".to_string()),
    }
}

fn gather(text: &str) -> Result<Gather, String> {
    let micros = text.parse().map_err(|_| "expected a number of microseconds".to_string())?;
    Gather::from_micros(micros).map_err(|error| error.to_string())
}

fn message_size(text: &str) -> Result<MessageSize, String> {
    let bytes = text.parse().map_err(|_| "expected a number of bytes".to_string())?;
    MessageSize::new(bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Arguments {
        #[command(flatten)]
        hub: HubArguments,
    }

    fn parse(arguments: &[&str]) -> Result<Config, clap::Error> {
        use clap::Parser;
        Arguments::try_parse_from([&["hub"], arguments].concat()).map(|arguments| arguments.hub.config())
    }

    #[test]
    fn server_without_arguments_listens_on_loopback() {
        let config = parse(&[]).expect("good");
        assert_eq!(config, Config::listening(DEFAULT_LISTEN.map(|address| address.parse().expect("well formed"))));
    }

    #[test]
    fn argument_errors_name_the_mistake() {
        for (arguments, words) in [
            (["--listen", "7000"], "must begin with tcp://"),
            (["--max-message", "0"], "a message size limit must be 1 to 1073741824 bytes"),
            (["--gather", "501"], "a rest has at most 500 microseconds, not 501"),
            (["--app", "web"], "expected chat, relay or echo"),
            (["--envelope", "xml"], "an envelope is none or json"),
        ] {
            let error = parse(&arguments).expect_err(words).to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
