//! Communication with systemd: inherited sockets, readiness, status and watchdog.
//!
//! See `sd_listen_fds(3)` and `sd_notify(3)`. Without systemd, the functions do nothing.

use crate::failure::Failure;
use drupe_core::Metrics;
use drupe_core::app::AppNote;
use drupe_shell::OsListener;
use drupe_shell::Remote;
use listenfd::ListenFd;
use sd_notify::NotifyState;
use std::ffi::OsStr;
#[cfg(target_os = "linux")]
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, io, process, thread};

/// Interval at which the status is sent if there is no watchdog.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// Maximum wait for a service manager that accepts nothing.
const WAIT_MAX: Duration = Duration::from_millis(200);

/// Returns the inherited sockets by name (`FileDescriptorName=`), or by index if they have none.
///
/// # Errors
/// If one is not a listening stream socket.
pub(crate) fn listeners() -> Result<Vec<(String, OsListener)>, Failure> {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names: Vec<_> = names.split(':').collect();
    let mut given = ListenFd::from_env();
    let mut listeners = Vec::new();
    for place in 0..given.len() {
        let name = names.get(place).filter(|name| !name.is_empty() && **name != "unknown");
        let name = name.map_or_else(|| place.to_string(), ToString::to_string);
        let blame = |error| format!("can't use the inherited socket {name}: {error}");
        // `listenfd` refuses a socket of the other kind, so try both.
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

/// Whether the server has reported that it stops.
static STOPPING: AtomicBool = AtomicBool::new(false);

/// Reports that the server is ready, at the start or after a reload.
pub(crate) fn ready() {
    let does = if STOPPING.load(Ordering::Acquire) { "draining" } else { "serving" };
    tell(&[NotifyState::Ready, NotifyState::Status(does)]);
}

/// Reports that the server reloads its configuration.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// Reports that the server is draining. Only the first call of all workers has an effect.
pub(crate) fn stopping() {
    if !STOPPING.swap(true, Ordering::AcqRel) {
        tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
    }
}

/// Reports the number of connections and, with `WatchdogSec=`, that every worker responds.
///
/// Runs on a thread of its own until the process ends.
pub(crate) fn report_life(remote: Remote<AppNote>) -> io::Result<()> {
    if env::var_os("NOTIFY_SOCKET").is_none() {
        return Ok(());
    }
    thread::Builder::new().name("systemd".into()).spawn(move || report(&remote)).map(drop)
}

fn report(remote: &Remote<AppNote>) {
    let watchdog = watchdog().map(|timeout| timeout / 2);
    let mut shown = String::new();
    loop {
        thread::sleep(watchdog.unwrap_or(STATUS_EVERY));
        let (send, answer) = mpsc::channel();
        // A worker that does not respond must not reset the watchdog.
        if remote.metrics(move |metrics| drop(send.send(metrics))).is_err() {
            continue;
        }
        let Ok(metrics) = answer.recv() else { continue };
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

/// Returns the watchdog timeout of systemd (`sd_watchdog_enabled(3)`), if there is one.
fn watchdog() -> Option<Duration> {
    let is_ours = |pid: String| pid.parse() == Ok(process::id());
    let usec = env::var("WATCHDOG_USEC").ok()?.parse().ok().filter(|usec| *usec > 0)?;
    env::var("WATCHDOG_PID").map_or(true, is_ours).then(|| Duration::from_micros(usec))
}

fn status(metrics: &Metrics) -> String {
    let does = if metrics.draining > 0 { "draining" } else { "serving" };
    let plural = if metrics.open == 1 { "" } else { "s" };
    format!("{does} {} connection{plural}", metrics.open)
}

/// Sends an important state to the service manager. Waits briefly, and ignores errors.
fn tell(state: &[NotifyState<'_>]) {
    let _ = notify(state, |socket| socket.set_write_timeout(Some(WAIT_MAX)));
}

/// Sends a repeated state to the service manager. Never waits, and ignores errors.
fn mention(state: &[NotifyState<'_>]) {
    let _ = notify(state, |socket| socket.set_nonblocking(true));
}

/// Sends a state to the service manager, over a socket that `set_up` prepares.
fn notify(state: &[NotifyState<'_>], set_up: fn(&UnixDatagram) -> io::Result<()>) -> io::Result<()> {
    let Some(path) = env::var_os("NOTIFY_SOCKET") else { return Ok(()) };
    let socket = UnixDatagram::unbound()?;
    set_up(&socket)?;
    let words: String = state.iter().map(|state| format!("{state}\n")).collect();
    socket.send_to_addr(words.as_bytes(), &address(&path)?).map(drop)
}

/// Returns the address of a socket file, or of an abstract socket (`unix(7)`).
fn address(path: &OsStr) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = path.as_bytes().strip_prefix(b"@") {
        return <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name);
    }
    SocketAddr::from_pathname(path)
}
