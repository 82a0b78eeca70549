//! SSH tunnels, and their reconnection.

use super::declare::settings;
use super::values::secs;
use crate::settings::paths::PATH;
use crate::settings::secret::Secret;
use crate::settings::units::{Maybe, Size, Span};
use alloc::string::String;
use alloc::vec::Vec;

settings! {
    /// A place on the other side of a tunnel.
    ForwardSettings {
        /// The name of the tunnel.
        tunnel: String = String::new();
        /// The address that the SSH server is to listen at: `localhost` for 127.0.0.1 and, where it can be had, `::1`; `*` for all of
        /// IPv4 and, where they can be had, of IPv6; or one of its own. It needs `GatewayPorts clientspecified` there to be anything
        /// but `localhost`.
        remote_bind_host: String = "localhost".into();
        /// The port; 0 lets the SSH server choose, and the log says which.
        remote_bind_port: u16 = 0;
        /// The path of a Unix socket there, in place of a port.
        remote_bind_path: String = String::new();
    }

    /// An SSH connection.
    TunnelSettings {
        /// The SSH server: a name or an address.
        ssh_host: String = String::new();
        /// Its port.
        ssh_port: u16 = 22;
        /// The user there.
        ssh_user: String = String::new();
        /// The file of the private key, as OpenSSH writes it (Ed25519 or ECDSA); the keys of an agent, if it is empty. A
        /// certificate is found beside it, as `KEY-cert.pub`.
        #[schemars(extend("format" = PATH))]
        ssh_key_path: String = String::new();
        /// What the private key is encrypted with.
        ssh_key_passphrase: Secret = Secret::default();
        /// A file whose first line is what the private key is encrypted with.
        #[schemars(extend("format" = PATH))]
        ssh_key_passphrase_file: String = String::new();
        /// The file of a certificate that is elsewhere.
        #[schemars(extend("format" = PATH))]
        ssh_certificate_path: String = String::new();
        /// The socket of the agent; that of `SSH_AUTH_SOCK`, if it is empty.
        #[schemars(extend("format" = PATH))]
        ssh_agent_socket: String = String::new();
        /// Whether a key file that others may read is refused.
        check_key_permissions: bool = true;
        /// The files of known host keys.
        #[schemars(extend("format" = PATH))]
        known_hosts: Vec<String> = ["~/.ssh/known_hosts".into()].into();
        /// Whether a host that none of them knows is accepted once, and added to the first.
        accept_new: bool = false;
        /// Hosts to go through, each `[USER@]HOST[:PORT]`, the nearest first.
        proxy_jump: Vec<String> = Vec::new();
        /// How long it may take to connect, hosts on the way included.
        connect_timeout: Span = secs(30);
        /// How often the server is asked whether it is there.
        keep_alive_interval: Span = secs(15);
        /// How many questions may stay without an answer.
        keep_alive_count_max: u32 = 3;
        /// When it is tried again.
        reconnect: ReconnectSettings = ReconnectSettings::default();
        /// How long a goodbye may take.
        close_timeout: Span = secs(5);
        /// How many bytes one connection may be ahead of what is served; who sends more is closed.
        ahead_max: Size = Size(16 << 20);
    }

    /// When a tunnel is tried again.
    ReconnectSettings {
        /// How many attempts there are in a row.
        attempts: Maybe<u32> = Maybe(None);
        /// How long to wait after the first failure.
        backoff: Span = secs(1);
        /// What each further wait is multiplied by.
        factor: u8 = 2;
        /// The longest wait.
        cap: Span = secs(60);
        /// How much of a wait is left to chance, so that many do not come back at once.
        jitter_percent: u8 = 50;
        /// A connection that was up for this long was good: the next failure is the first again. With 0s each is.
        stable_after: Span = secs(30);
        /// How long to wait after a failure that somebody must do something about, such as a key that is refused.
        refused_wait: Span = secs(300);
    }
}
