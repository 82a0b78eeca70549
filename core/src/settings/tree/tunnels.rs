//! Settings for SSH tunnels and their reconnection.

use super::declare::settings;
use super::values::secs;
use crate::settings::formats::PATH;
use crate::settings::secret::Secret;
use crate::settings::units::{Maybe, Size, Span};
use alloc::string::String;
use alloc::vec::Vec;

settings! {
    /// An address on the far side of a tunnel.
    ForwardSettings {
        /// The name of the tunnel.
        tunnel: String = String::new();
        /// The address on which the SSH server listens: `localhost`, `*`, or an address of its own.
        /// `localhost` means 127.0.0.1 and, if available, `::1`. `*` means all IPv4 and, if
        /// available, IPv6 addresses. Values other than `localhost` need `GatewayPorts
        /// clientspecified` on the server.
        remote_bind_host: String = "localhost".into();
        /// The port on which the SSH server listens. With 0, it chooses one, and the log shows it.
        remote_bind_port: u16 = 0;
        /// The path of a Unix socket on the SSH server, instead of a port.
        remote_bind_path: String = String::new();
    }

    /// An SSH connection to a server that forwards ports to this server.
    TunnelSettings {
        /// The SSH server: a name or an address.
        ssh_host: String = String::new();
        /// The port of the SSH server.
        ssh_port: u16 = 22;
        /// The user on the SSH server.
        ssh_user: String = String::new();
        /// The private key file in OpenSSH format (Ed25519 or ECDSA); if empty, an agent's keys.
        /// A certificate beside it, `KEY-cert.pub`, is used too.
        #[schemars(extend("format" = PATH))]
        ssh_key_path: String = String::new();
        /// The passphrase of the private key.
        ssh_key_passphrase: Secret = Secret::default();
        /// A file whose first line is the passphrase of the private key.
        #[schemars(extend("format" = PATH))]
        ssh_key_passphrase_file: String = String::new();
        /// The file of the certificate, if it is not beside the private key.
        #[schemars(extend("format" = PATH))]
        ssh_certificate_path: String = String::new();
        /// The socket of the SSH agent; if empty, the value of `SSH_AUTH_SOCK`.
        #[schemars(extend("format" = PATH))]
        ssh_agent_socket: String = String::new();
        /// Whether a key file that others may read is refused.
        check_key_permissions: bool = true;
        /// The files with the known host keys.
        #[schemars(extend("format" = PATH))]
        known_hosts: Vec<String> = ["~/.ssh/known_hosts".into()].into();
        /// Whether an unknown host's key is accepted and added to the first file of `known_hosts`.
        accept_new: bool = false;
        /// Jump hosts, each `[USER@]HOST[:PORT]`, the nearest first.
        proxy_jump: Vec<String> = Vec::new();
        /// The proxy that connects to the first host: `http://HOST:PORT` (CONNECT) or
        /// `socks5://HOST:PORT`. The proxy resolves the host's name. The default port is 1080.
        proxy: String = String::new();
        /// The user for the proxy.
        proxy_user: String = String::new();
        /// The password for the proxy.
        proxy_password: Secret = Secret::default();
        /// A file whose first line is the password for the proxy.
        #[schemars(extend("format" = PATH))]
        proxy_password_file: String = String::new();
        /// Time limit for connecting, jump hosts included, and again for the answers to forwards.
        connect_timeout: Span = secs(30);
        /// Interval of keep-alive requests to the server.
        keep_alive_interval: Span = secs(15);
        /// Number of unanswered keep-alive requests after which the connection counts as dead.
        keep_alive_count_max: u32 = 3;
        /// When the tunnel reconnects, and when it gives up.
        reconnect: ReconnectSettings = ReconnectSettings::default();
        /// Time limit for the orderly end of the SSH connection.
        close_timeout: Span = secs(5);
        /// Bytes that one connection may send ahead of what the server has read.
        /// A connection that sends more is closed.
        ahead_max: Size = Size(16 << 20);
    }

    /// When a tunnel reconnects, and when it gives up.
    ReconnectSettings {
        /// Number of failed attempts in a row after which the tunnel gives up.
        attempts: Maybe<u32> = Maybe(None);
        /// Wait after the first failure.
        backoff: Span = secs(1);
        /// Factor by which each further wait grows, 1 to 255.
        factor: u8 = 2;
        /// Upper limit of the growing wait, at least `backoff`. It does not limit `refused_wait`.
        cap: Span = secs(60);
        /// Random part of each wait, 0 to 100 percent.
        /// It keeps many clients from reconnecting at one moment.
        jitter_percent: u8 = 50;
        /// How long a connection must last so that the next failure counts as the first again.
        /// With 0s, the next failure counts as the first after every connection.
        stable_after: Span = secs(30);
        /// Wait after a failure that needs the operator, such as a refused key.
        refused_wait: Span = secs(300);
    }
}
