//! Settings of a cluster: the broker through which several hosts share their rooms.

use super::declare::{choices, settings};
use super::dials::ClientTlsSettings;
use crate::settings::broker_url::BrokerUrl;
use crate::settings::formats::PATH;
use crate::settings::secret::Secret;
use crate::settings::units::{Maybe, Size};
use alloc::string::String;

settings! {
    /// The broker through which several hosts share their rooms.
    ClusterSettings {
        /// The broker, Redis 7.0 or later or Valkey: `redis://[[USER]:PASSWORD@]HOST[:PORT]`, or
        /// `rediss://` for TLS. Further addresses follow after commas. With Sentinels, it is
        /// `redis+sentinel://[[USER]:PASSWORD@]HOST[:PORT],HOST[:PORT]/MASTER`, or
        /// `rediss+sentinel://`; user and password are those of the Redis server.
        /// NATS 2.9 or later with `JetStream` is `nats://[USER:PASSWORD@|TOKEN@]HOST[:PORT]`, or
        /// `tls://` with TLS. Reserved characters in users and passwords are percent-encoded.
        url: BrokerUrl = BrokerUrl::default();
        /// The beginning of all keys and channels of this cluster, up to 64 bytes.
        /// All hosts of a cluster need the same, and other clusters on the broker need another one.
        /// For NATS, it consists of letters, digits, `-` and `_`.
        prefix: String = "drupe".into();
        /// The name of this host, which other hosts show, up to 64 bytes.
        /// If empty, it is that of the computer.
        name: String = String::new();
        /// What happens to messages in shared rooms while the broker cannot be reached.
        without_broker: WithoutBrokerChoice = WithoutBrokerChoice::Refuse;
        /// The password for the broker, if it is not in `url`; for NATS without a user, the token.
        password: Secret = Secret::default();
        /// A file whose first line is the password for the broker.
        #[schemars(extend("format" = PATH))]
        password_file: String = String::new();
        /// The user for the Sentinels; if empty, `default`.
        sentinel_user: String = String::new();
        /// The password for the Sentinels; if empty, there is no login.
        sentinel_password: Secret = Secret::default();
        /// A file whose first line is the password for the Sentinels.
        #[schemars(extend("format" = PATH))]
        sentinel_password_file: String = String::new();
        /// The seed of the NKEY for NATS. It begins with `SU`.
        nkey: Secret = Secret::default();
        /// A file whose first line is the seed of the NKEY for NATS.
        #[schemars(extend("format" = PATH))]
        nkey_file: String = String::new();
        /// The credentials for NATS: the content of a `.creds` file, with a JWT and a seed.
        credentials: Secret = Secret::default();
        /// A `.creds` file for NATS.
        #[schemars(extend("format" = PATH))]
        credentials_file: String = String::new();
        /// On how many servers of NATS each stream is kept, 1 to 5.
        replicas: u8 = 1;
        /// Where NATS keeps the messages of rooms.
        storage: NatsStorageChoice = NatsStorageChoice::File;
        /// Maximum size of each stream with messages at NATS; with `never`, there is none.
        /// Above it, the oldest messages are removed first.
        stream_max: Maybe<Size> = Maybe(None);
        /// Whether TLS with NATS begins with the first byte (`handshake_first` of the server).
        tls_first: bool = false;
        /// TLS, if `url` has it.
        tls: ClientTlsSettings = ClientTlsSettings::default();
    }
}

choices! {
    /// Where NATS keeps the messages of rooms.
    NatsStorageChoice {
        /// In files. They survive a restart of the server.
        #[default]
        File = "file",
        /// In memory.
        Memory = "memory",
    }
}

choices! {
    /// What happens to messages in shared rooms while the broker cannot be reached.
    WithoutBrokerChoice {
        /// They are refused.
        #[default]
        Refuse = "refuse",
        /// They go to the members on this host. Members are told of a gap afterwards.
        Local = "local",
    }
}
