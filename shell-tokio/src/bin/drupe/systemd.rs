//! What systemd tells a service, and is told: sockets it opened, and when the service is ready. Without it, nothing.

use drupe_tokio::core::shell::OsListener;
use listenfd::ListenFd;
use sd_notify::NotifyState;
use std::{env, io};

/// The sockets that the process was given, by name (`FileDescriptorName=`), or by number where they have none.
pub(crate) fn listeners() -> io::Result<Vec<(String, OsListener)>> {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names: Vec<_> = names.split(':').collect();
    let mut given = ListenFd::from_env();
    let mut listeners = Vec::new();
    for place in 0..given.len() {
        let name = names.get(place).filter(|name| !name.is_empty() && **name != "unknown");
        let name = name.map_or_else(|| place.to_string(), ToString::to_string);
        // Each kind is refused for the other one.
        let listener = match given.take_tcp_listener(place) {
            Ok(Some(listener)) => OsListener::inherited_tcp(listener)?,
            _ => match given.take_unix_listener(place)? {
                Some(listener) => OsListener::inherited_unix(listener)?,
                None => continue,
            },
        };
        listeners.push((name, listener));
    }
    Ok(listeners)
}

pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Who does not listen needs not to know.
fn tell(state: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(false, state);
}
