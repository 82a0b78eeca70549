//! The values and listeners of each profile.

use super::tree::Profile;

impl Profile {
    /// Returns the values of the profile as a layer, in YAML.
    pub(super) const fn layer(self) -> &'static str {
        match self {
            Self::Development => DEVELOPMENT,
            Self::Production => PRODUCTION,
            Self::Testing => TESTING,
        }
    }

    /// Returns the default listeners of the profile, in YAML.
    ///
    /// Production has none: a server on the internet listens only where the operator says so.
    pub(super) const fn listeners(self) -> &'static str {
        match self {
            Self::Development | Self::Testing => LISTENERS,
            Self::Production => "",
        }
    }
}

const DEVELOPMENT: &str = "
log: { level: info }
";

const PRODUCTION: &str = "
limits:
  connections_per_address_max: 64
  arrivals_per_address: 120/60s burst 60
  peer:
    messages: 50/s burst 200
    bytes: 256KiB/s burst 1MiB
    silence: 5m
    ladder: { warn: 1, pause: 1, close: 1000 }
quarantine: { cool_down: 10m }
drain: { grace: 5s, window: 20s, closes_per_second: 200, deadline: 30s, retry_after: 5s }
authentication: { deadline: 15s }
log: { format: json, level: info }
";

const TESTING: &str = "
limits:
  connections_per_address_max: 10000
  peer: { messages: unlimited, bytes: unlimited }
closing: { flush: 1s, linger: 500ms }
drain: { window: 0s, deadline: 2s }
log: { level: warn }
";

const LISTENERS: &str = "
listeners:
  telnet: { address: '127.0.0.1:8023', protocol: telnet }
  lines: { address: '127.0.0.1:8024', protocol: tcp }
  web: { address: '127.0.0.1:8025', protocol: websocket }
";
