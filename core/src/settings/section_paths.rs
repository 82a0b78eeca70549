//! HTTP paths that applications serve.

use super::SettingsError;
use super::layers::Layers;
use crate::config::Listen;
use crate::wire::Protocol;
use alloc::format;
use alloc::vec::Vec;

/// A path that an application serves.
#[derive(Clone, Copy, Debug)]
pub(super) struct SectionPath {
    /// The name of the application, and of its section.
    pub(super) app: &'static str,
    /// The key in the section that enables it.
    pub(super) key: &'static str,
    pub(super) path: &'static str,
}

/// Returns an error for each path that no listener of its application can serve, or that is the path of a WebSocket.
pub(super) fn problems(paths: &[SectionPath], listeners: &[Listen], layers: &Layers) -> Vec<SettingsError> {
    let mut found = Vec::new();
    for SectionPath { app, key, path } in paths {
        let key = format!("{app}.{key}");
        let mut own = listeners.iter().filter(|listen| listen.app == *app);
        let has_http = |listen: &Listen| matches!(listen.protocol, Protocol::Http(_) | Protocol::Auto(_));
        if !listeners.is_empty() && !own.clone().any(has_http) {
            let words = format!("it needs a listener of the application {app} with the protocol websocket or auto");
            found.push(layers.blame(&key, words));
        }
        let is_taken =
            |listen: &&Listen| matches!(&listen.protocol, Protocol::Http(http) if http.path.as_deref() == Some(path));
        if let Some(listen) = own.find(is_taken) {
            let words = format!("{key} needs this path: choose another one for the WebSocket");
            found.push(layers.blame(&format!("listeners.{}.websocket.path", listen.name), words));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::settings::{Catalog, PubSubSettings, Sources};
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn path_of_an_application_needs_a_listener_that_can_serve_it() {
        let catalog = Catalog::new("drupe").app("pubsub").app("echo").section::<PubSubSettings>();
        let needs = "pubsub.events: it needs a listener of the application pubsub with the protocol websocket or auto";
        let taken = "listeners.a.websocket.path: pubsub.events needs this path: choose another one for the WebSocket";
        for (rest, error) in [
            ("protocol: websocket", None),
            ("protocol: auto", None),
            ("protocol: websocket, websocket: { path: /socket }", None),
            ("protocol: tcp", Some(needs)),
            ("protocol: websocket, app: echo", Some(needs)),
            ("protocol: websocket, websocket: { path: /events }", Some(taken)),
        ] {
            for events in [true, false] {
                let text = format!(
                    "listeners: {{ a: {{ address: '127.0.0.1:1', {rest} }} }}\npubsub: {{ events: {events}, allow_anonymous: true }}\n"
                );
                let found = Sources::of(&catalog).file("drupe.yaml", &text).resolve().map(|_| ());
                let found = found.map_err(|problems| problems.to_string());
                match error.filter(|_| events) {
                    None => assert_eq!(found, Ok(()), "{text}"),
                    Some(error) => assert!(found.as_ref().is_err_and(|found| found.ends_with(error)), "{found:?}"),
                }
            }
        }
    }
}
