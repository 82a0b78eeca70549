//! Settings of a cluster: the broker through which several hosts share their rooms.

use super::declare::{choices, settings};
use super::dials::ClientTlsSettings;
use crate::settings::broker_url::BrokerUrl;
use crate::settings::formats::PATH;
use crate::settings::secret::Secret;
use alloc::string::String;

settings! {
    /// The broker through which several hosts share their rooms.
    ClusterSettings {
        /// The broker, Redis 7.0 or later or Valkey: `redis://[[USER]:PASSWORD@]HOST[:PORT]`, or
        /// `rediss://` for TLS. Further addresses follow after commas. With Sentinels, it is
        /// `redis+sentinel://[[USER]:PASSWORD@]HOST[:PORT],HOST[:PORT]/MASTER`, or
        /// `rediss+sentinel://`; user and password are those of the Redis server.
        /// Reserved characters in them are percent-encoded.
        url: BrokerUrl = BrokerUrl::default();
        /// The beginning of all keys and channels of this cluster, up to 64 bytes.
        /// All hosts of a cluster need the same, and other clusters on the broker need another one.
        prefix: String = "drupe".into();
        /// The name of this host, which other hosts show, up to 64 bytes.
        name: String = String::new();
        /// What happens to messages in shared rooms while the broker cannot be reached.
        without_broker: WithoutBrokerChoice = WithoutBrokerChoice::Refuse;
        /// The password for the broker, if it is not in `url`.
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
        /// TLS, if `url` has it.
        tls: ClientTlsSettings = ClientTlsSettings::default();
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
