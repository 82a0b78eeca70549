//! Lookup of the secrets in the server's settings.

use super::secret::Secret;
use super::tree::{AuthenticationSettings, Settings, TunnelSettings};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

impl Settings {
    /// Returns every secret of the server's own settings, by key.
    pub(super) fn secrets(&self) -> BTreeMap<String, &Secret> {
        let AuthenticationSettings { users, shared_password, shared_password_hash, tokens, .. } = &self.authentication;
        let single = [
            ("monitor.credential", &self.monitor.credential),
            ("monitor.metrics_credential", &self.monitor.metrics_credential),
            ("api.key", &self.api.key),
            ("authentication.shared_password", shared_password),
            ("authentication.shared_password_hash", shared_password_hash),
        ];
        let tokens = tokens.iter().map(|tokens| ("authentication.tokens.hs256_secret", &tokens.hs256_secret));
        let single = single.into_iter().chain(tokens).map(|(key, secret)| (key.into(), secret));
        let of_cluster = self.cluster.iter().flat_map(|cluster| {
            [
                ("cluster.url", cluster.url.secret()),
                ("cluster.password", &cluster.password),
                ("cluster.sentinel_password", &cluster.sentinel_password),
                ("cluster.nkey", &cluster.nkey),
                ("cluster.credentials", &cluster.credentials),
            ]
        });
        let single = single.chain(of_cluster.map(|(key, secret)| (key.into(), secret)));
        let users = users.iter().flat_map(|(name, user)| {
            let key = format!("authentication.users.{name}.password");
            [(format!("{key}_hash"), &user.password_hash), (key, &user.password)]
        });
        let tunnels = self.tunnels.iter().flat_map(|(name, tunnel)| {
            let TunnelSettings { ssh_key_passphrase, proxy_password, .. } = tunnel;
            [("ssh_key_passphrase", ssh_key_passphrase), ("proxy_password", proxy_password)]
                .map(|(key, secret)| (format!("tunnels.{name}.{key}"), secret))
        });
        single.chain(users).chain(tunnels).collect()
    }
}
