//! Validation of tunnels, and their conversion to those of the machine.

use super::plan::problems::Problems;
use super::proxies::proxy;
use super::tree::{ForwardSettings, ReconnectSettings, Settings, TunnelSettings};
use super::words::quoted;
use crate::base::Backoff;
use crate::config::Address;
use crate::tunnel::{Forward, Jump, KeepAlive, Passphrase, RemoteBind, Ssh, Tunnel};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

/// The shortest keep-alive interval and connect timeout.
///
/// Shorter ones would flood the server or fail on any link.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// The smallest valid `ahead_max`, in bytes.
///
/// A smaller value could close a connection that has sent only one line.
const AHEAD_MIN_BYTES: u64 = 4 << 10;

pub(super) fn plan(settings: &Settings, problems: &mut Problems<'_>) -> Vec<Tunnel> {
    let forwards: Vec<_> = settings.listeners.values().filter_map(|listener| listener.forward.as_ref()).collect();
    let mut tunnels = Vec::new();
    for (name, tunnel) in &settings.tunnels {
        let key = format!("tunnels.{name}");
        problems.check_name(&key, name);
        if !forwards.iter().any(|forward| forward.tunnel == *name) {
            let words =
                format!("no listener uses it; set forward of a listener, such as `forward: {{ tunnel: {name} }}`");
            problems.add(&key, words);
        }
        tunnels.push(one(name, &key, tunnel, problems));
    }
    tunnels
}

fn one(name: &str, key: &str, tunnel: &TunnelSettings, problems: &mut Problems<'_>) -> Tunnel {
    let mut must = |is_good: bool, part: &str, words: &str| {
        if !is_good {
            problems.add(&format!("{key}.{part}"), words);
        }
    };
    must(!tunnel.ssh_host.is_empty(), "ssh_host", "it needs the name or address of the SSH server");
    must(!tunnel.ssh_user.is_empty(), "ssh_user", "it needs the user on the SSH server");
    must(tunnel.ssh_port > 0, "ssh_port", "a port is 1 to 65535");
    must(
        !tunnel.known_hosts.is_empty(),
        "known_hosts",
        "it needs at least one file of known hosts, to verify the server",
    );
    let has_key = !tunnel.ssh_key_path.is_empty();
    must(has_key || tunnel.ssh_key_passphrase.is_empty(), "ssh_key_passphrase", "it needs a key: set ssh_key_path");
    must(has_key || tunnel.ssh_certificate_path.is_empty(), "ssh_certificate_path", "it needs a key: set ssh_key_path");
    must(
        !has_key || tunnel.ssh_agent_socket.is_empty(),
        "ssh_agent_socket",
        "ssh_key_path is set as well; set only one of them",
    );
    must(tunnel.keep_alive_interval.0 >= INTERVAL_MIN, "keep_alive_interval", "it must be at least 100ms");
    must(tunnel.keep_alive_count_max > 0, "keep_alive_count_max", "it must be at least 1");
    must(tunnel.connect_timeout.0 >= INTERVAL_MIN, "connect_timeout", "it must be at least 100ms");
    must(
        tunnel.ahead_max.0 >= AHEAD_MIN_BYTES,
        "ahead_max",
        "it must be at least 4KiB: a peer that sends one line may be that much ahead",
    );
    let reconnect = backoff(&tunnel.reconnect, &mut must);
    let add = |part: &str, words| problems.add(&format!("{key}.{part}"), words);
    let proxy = proxy(&tunnel.proxy, &tunnel.proxy_user, &tunnel.proxy_password, add);
    let jumps = tunnel.proxy_jump.iter().zip(0..).filter_map(|(text, number)| match text.parse::<Jump>() {
        Ok(jump) => Some(jump),
        Err(error) => {
            problems.add(&format!("{key}.proxy_jump[{number}]"), error.to_string());
            None
        }
    });
    let ssh = Ssh {
        host: tunnel.ssh_host.clone(),
        port: tunnel.ssh_port,
        user: tunnel.ssh_user.clone(),
        key_path: some(&tunnel.ssh_key_path),
        key_passphrase: some(tunnel.ssh_key_passphrase.reveal()).map(Passphrase),
        certificate_path: some(&tunnel.ssh_certificate_path),
        agent_socket: some(&tunnel.ssh_agent_socket),
        check_key_permissions: tunnel.check_key_permissions,
        known_hosts: tunnel.known_hosts.clone(),
        accept_new: tunnel.accept_new,
        jumps: jumps.collect(),
        proxy,
        ahead_max_bytes: usize::try_from(tunnel.ahead_max.0).unwrap_or(usize::MAX),
    };
    Tunnel {
        name: name.to_string(),
        ssh,
        connect_timeout: tunnel.connect_timeout.0,
        keep_alive: KeepAlive { interval: tunnel.keep_alive_interval.0, count_max: tunnel.keep_alive_count_max },
        reconnect,
        refused_wait: tunnel.reconnect.refused_wait.0,
        close_timeout: tunnel.close_timeout.0,
    }
}

fn backoff(reconnect: &ReconnectSettings, must: &mut impl FnMut(bool, &str, &str)) -> Backoff {
    let ReconnectSettings { attempts, backoff, factor, cap, jitter_percent, stable_after, refused_wait } = reconnect;
    must(*factor > 0, "reconnect.factor", "it must be 1 to 255");
    must(*jitter_percent <= 100, "reconnect.jitter_percent", "it must be 0 to 100");
    must(backoff.0 <= cap.0, "reconnect.backoff", &format!("it must be at most reconnect.cap ({cap})"));
    must(
        !backoff.0.is_zero(),
        "reconnect.backoff",
        "it must be above zero: without a wait, the tunnel would reconnect in a loop",
    );
    must(
        !refused_wait.0.is_zero(),
        "reconnect.refused_wait",
        "it must be above zero: without a wait, the tunnel would reconnect in a loop",
    );
    must(attempts.0 != Some(0), "reconnect.attempts", "it must be 1 or more, or unlimited");
    Backoff {
        initial: backoff.0,
        factor: *factor,
        cap: cap.0,
        jitter_percent: *jitter_percent,
        stable_after: stable_after.0,
        attempts_max: attempts.0,
    }
}

/// Converts the `forward` settings of a listener to its address, and adds their errors.
pub(super) fn forward(
    key: &str,
    forward: &ForwardSettings,
    settings: &Settings,
    problems: &mut Problems<'_>,
) -> Address {
    let ForwardSettings { tunnel, remote_bind_host: host, remote_bind_port: port, remote_bind_path: path } = forward;
    if !settings.tunnels.contains_key(tunnel) {
        let names: Vec<_> = settings.tunnels.keys().map(String::as_str).collect();
        let words = format!("there is no tunnel {} in tunnels: {{{}}}", quoted(tunnel), names.join(", "));
        problems.add(&format!("{key}.forward.tunnel"), words);
    }
    if !path.is_empty() && *port > 0 {
        let words = "remote_bind_port is set as well; set only one of them";
        problems.add(&format!("{key}.forward.remote_bind_path"), words);
    }
    let bind = if path.is_empty() {
        // For OpenSSH, the empty string means all addresses.
        let host = if host == "*" { "" } else { host };
        RemoteBind::Tcp { host: host.to_string(), port: *port }
    } else {
        RemoteBind::Unix(path.clone())
    };
    Address::Forwarded(Forward { tunnel: tunnel.clone(), bind })
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_string())
}
