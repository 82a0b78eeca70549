//! Proxies of outgoing connections and of tunnels.

use super::secret::Secret;
use crate::wire::outgoing_proxy::{OutgoingProxy, OutgoingProxyError};
use alloc::string::{String, ToString};

/// Converts the settings of the proxy. `add` receives the key and the text of a problem.
pub(super) fn proxy(
    address: &str,
    user: &str,
    password: &Secret,
    mut add: impl FnMut(&'static str, String),
) -> Option<OutgoingProxy> {
    let password = password.reveal();
    if !password.is_empty() && user.is_empty() {
        add("proxy_password", "it needs a user: set proxy_user".into());
        return None;
    }
    if address.is_empty() {
        if !user.is_empty() {
            add("proxy_user", "it needs a proxy: set proxy".into());
        }
        return None;
    }
    let proxy: OutgoingProxy = match address.parse() {
        Ok(proxy) => proxy,
        Err(error) => {
            add("proxy", error.to_string());
            return None;
        }
    };
    if proxy.user().is_some() {
        add("proxy", "it must not contain a user or a password: set proxy_user and proxy_password_file".into());
        return None;
    }
    if user.is_empty() {
        return Some(proxy);
    }
    let part = |error: &OutgoingProxyError| match error {
        OutgoingProxyError::Password(_) => "proxy_password",
        _ => "proxy_user",
    };
    proxy.credentials(user, password).map_err(|error| add(part(&error), error.to_string())).ok()
}
