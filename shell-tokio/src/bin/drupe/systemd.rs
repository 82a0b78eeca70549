//! What systemd and the service tell each other: inherited sockets (`sd_listen_fds(3)`), readiness, status and signs of life
//! (`sd_notify(3)`). Without systemd, nothing.

use crate::Failure;
use drupe_tokio::Remote;
use drupe_tokio::core::{Metrics, NoNote};
use drupe_tokio::shell::OsListener;
use listenfd::ListenFd;
use sd_notify::NotifyState;
use std::ffi::OsStr;
#[cfg(target_os = "linux")]
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{env, io, process};
use tokio::sync::oneshot;

/// How often the status is brought up to date where no sign of life is asked for.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// How long a service manager is waited for that takes nothing.
const WAIT_MAX: Duration = Duration::from_millis(200);

/// The sockets that the process was given, by name (`FileDescriptorName=`), or by number where they have none.
///
/// # Errors
/// If one is no listening stream socket.
pub(crate) fn listeners() -> Result<Vec<(String, OsListener)>, Failure> {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names: Vec<_> = names.split(':').collect();
    let mut given = ListenFd::from_env();
    let mut listeners = Vec::new();
    for place in 0..given.len() {
        let name = names.get(place).filter(|name| !name.is_empty() && **name != "unknown");
        let name = name.map_or_else(|| place.to_string(), ToString::to_string);
        let blame = |error| format!("can't use the inherited socket {name}: {error}");
        // Each kind is refused for the other one.
        let listener = match given.take_tcp_listener(place) {
            Ok(Some(listener)) => OsListener::inherited_tcp(listener),
            _ => match given.take_unix_listener(place).map_err(blame)? {
                Some(listener) => OsListener::inherited_unix(listener),
                None => continue,
            },
        };
        let listener = listener.map_err(blame)?;
        listeners.push((name, listener));
    }
    Ok(listeners)
}

/// The server has said that it stops.
static STOPPING: AtomicBool = AtomicBool::new(false);

/// The server listens, at the start or after a reload.
pub(crate) fn ready() {
    let does = if STOPPING.load(Ordering::Acquire) { "draining" } else { "serving" };
    tell(&[NotifyState::Ready, NotifyState::Status(does)]);
}

/// The server loads its configuration anew.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The server drains. Told once, however many workers say so.
pub(crate) fn stopping() {
    if !STOPPING.swap(true, Ordering::AcqRel) {
        tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
    }
}

/// Tells how many connections there are and, where the unit has `WatchdogSec=`, that the server is alive: every worker has
/// answered since that was last told.
pub(crate) async fn report_life(remote: Remote<NoNote>) {
    if env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let watchdog = watchdog().map(|timeout| timeout / 2);
    let mut shown = String::new();
    loop {
        tokio::time::sleep(watchdog.unwrap_or(STATUS_EVERY)).await;
        let (send, answer) = oneshot::channel();
        // Who does not keep up with what it is asked has no sign of life to give.
        if remote.metrics(move |metrics| drop(send.send(metrics))).is_err() {
            continue;
        }
        let Ok(metrics) = answer.await else { continue };
        if watchdog.is_some() {
            mention(&[NotifyState::Watchdog]);
        }
        let status = status(&metrics);
        if status != shown {
            mention(&[NotifyState::Status(&status)]);
            shown = status;
        }
    }
}

/// Without a sign of life for so long the service is taken for dead (`sd_watchdog_enabled(3)`).
fn watchdog() -> Option<Duration> {
    let is_ours = |pid: String| pid.parse() == Ok(process::id());
    let usec = env::var("WATCHDOG_USEC").ok()?.parse().ok().filter(|usec| *usec > 0)?;
    env::var("WATCHDOG_PID").map_or(true, is_ours).then(|| Duration::from_micros(usec))
}

fn status(metrics: &Metrics) -> String {
    let does = if metrics.draining > 0 { "draining" } else { "serving" };
    format!("{does} {} connections", metrics.open)
}

/// Tells something that is not to be lost. Who does not listen needs not to know.
fn tell(state: &[NotifyState<'_>]) {
    let _ = notify(state, |socket| socket.set_write_timeout(Some(WAIT_MAX)));
}

/// Tells something that is told again soon.
fn mention(state: &[NotifyState<'_>]) {
    let _ = notify(state, |socket| socket.set_nonblocking(true));
}

/// Sends to the service manager, which may be too busy to take it: the server does not wait for that.
fn notify(state: &[NotifyState<'_>], set_up: fn(&UnixDatagram) -> io::Result<()>) -> io::Result<()> {
    let Some(path) = env::var_os("NOTIFY_SOCKET") else { return Ok(()) };
    let socket = UnixDatagram::unbound()?;
    set_up(&socket)?;
    let words: String = state.iter().map(|state| format!("{state}\n")).collect();
    socket.send_to_addr(words.as_bytes(), &address(&path)?).map(drop)
}

/// A file, or a name without one (unix(7), "abstract").
fn address(path: &OsStr) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = path.as_bytes().strip_prefix(b"@") {
        return <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name);
    }
    SocketAddr::from_pathname(path)
}
