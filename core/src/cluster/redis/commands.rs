//! The commands for each request.

use super::scripts::Script;
use crate::cluster::broker::{Named, NamesChange, Part, Request};
use crate::cluster::names::{Names, host_text};
use crate::cluster::resp::write_command;
use crate::config::{BrokerLogin, Redis};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// Time after which a room that nobody uses is forgotten, in milliseconds: 30 days.
const UNUSED_MS: &str = "2592000000";
/// Time after which the names of a host are forgotten, in milliseconds: 1 day. Hosts renew them every hour.
const NAMES_MS: &str = "86400000";
/// Time after which a host counts as gone if it does not renew its lease, in milliseconds.
const LEASE_MS: &str = "15000";

/// Maximum time for which a key is taken, in milliseconds: 1 year.
const ONCE_MAX_MS: u128 = 31_536_000_000;

/// Writes the commands of one host.
#[derive(Debug)]
pub(super) struct Commands {
    options: Redis,
    pub(super) names: Names,
    pub(super) host: u64,
    hashes: [String; Script::ALL.len()],
}

/// The parts of a command.
type Parts = Vec<Vec<u8>>;

impl Commands {
    pub(super) fn new(options: Redis, names: Names, host: u64) -> Self {
        Self { options, names, host, hashes: Script::ALL.map(Script::hash) }
    }

    /// Greets the server: version of the protocol, login, and a name for its list of clients.
    pub(super) fn hello(&self) -> Vec<u8> {
        let mut parts: Vec<&[u8]> = vec![b"HELLO", b"3"];
        if let Some(BrokerLogin { user, password }) = &self.options.login {
            parts.extend([&b"AUTH"[..], user.as_bytes(), password.as_bytes()]);
        }
        let name = format!("drupe-{}", host_text(self.host));
        parts.extend([&b"SETNAME"[..], name.as_bytes()]);
        written(&parts)
    }

    /// Logs in at a Sentinel, if that is needed.
    pub(super) fn sentinel_login(&self) -> Option<Vec<u8>> {
        let BrokerLogin { user, password } = self.options.sentinel.as_ref()?.login.as_ref()?;
        Some(written(&[b"AUTH", user.as_bytes(), password.as_bytes()]))
    }

    /// Asks a Sentinel for the address of the master.
    pub(super) fn master(&self) -> Vec<u8> {
        written(&[b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", self.master_name().as_bytes()])
    }

    pub(super) fn master_name(&self) -> String {
        self.options.sentinel.as_ref().map(|sentinel| sentinel.master.clone()).unwrap_or_default()
    }

    pub(super) fn load_scripts() -> impl Iterator<Item = Vec<u8>> {
        Script::ALL.into_iter().map(|script| written(&[b"SCRIPT", b"LOAD", script.text().as_bytes()]))
    }

    /// The channels that this host always hears: its own, and the one of all hosts.
    pub(super) fn own_channels(&self) -> [Vec<u8>; 2] {
        [self.names.all_hosts(), self.names.probe(self.host)]
    }

    pub(super) fn of_channels(verb: &[u8], channels: &[Vec<u8>]) -> Vec<u8> {
        let mut parts = vec![verb];
        parts.extend(channels.iter().map(Vec::as_slice));
        written(&parts)
    }

    /// Writes the command of a request. `as_text`: a script with its text and not by its hash.
    pub(super) fn of_request(&self, request: &Request, as_text: bool) -> Vec<u8> {
        let names = &self.names;
        match request {
            Request::Publish { room, key, keep, epoch, mark, data } => {
                let mut keys = vec![names.meta(room), names.stream(room)];
                keys.extend(key.as_ref().filter(|_| !keep.key_window.is_zero()).map(|key| names.once(room, key)));
                let age = keep.age.map_or(0, |age| age.as_millis().max(1));
                let arguments = vec![
                    hex(*epoch),
                    hex(*mark),
                    decimal(keep.messages),
                    decimal(age),
                    decimal(keep.key_window.as_millis().max(1)),
                    names.channel(room),
                    UNUSED_MS.into(),
                    data.to_vec(),
                ];
                self.script(Script::Publish, as_text, &keys, &arguments)
            }
            Request::Open { room, epoch, .. } => {
                let keys = [names.meta(room), names.stream(room)];
                self.script(Script::Open, as_text, &keys, &[hex(*epoch), UNUSED_MS.into()])
            }
            Request::Renew { room, epoch, new, .. } => {
                let arguments = [hex(*epoch), hex(*new), names.channel(room)];
                self.script(Script::Renew, as_text, &[names.meta(room)], &arguments)
            }
            Request::Read { room, part, .. } => {
                let Part { from, max, bytes_max, above } = *part;
                let from = from.map_or_else(|| "latest".into(), decimal);
                let arguments = [from, decimal(max), decimal(bytes_max), decimal(above)];
                self.script(Script::Read, as_text, &[names.meta(room), names.stream(room)], &arguments)
            }
            Request::Names { room, change, before, version, .. } => {
                self.change_names(room, self.host, (*before, *version), change, as_text)
            }
            Request::Forget { room, host } => {
                self.change_names(room, *host, (0, 0), &NamesChange::All(Vec::new()), as_text)
            }
            Request::Top { room, .. } => written(&[b"HMGET", &names.meta(room), b"e", b"o", b"k"]),
            Request::Remove { room, .. } => written(&[b"DEL", &names.stream(room)]),
            Request::Hosts { room } => written(&[b"HGETALL", &names.hosts(room)]),
            Request::NamesOf { room, host, cursor } => {
                written(&[b"HSCAN", &names.present(room, *host), cursor, b"COUNT", b"256"])
            }
            // A server without memory left renews a lease, but begins none.
            Request::Lease { is_new: false } => {
                written(&[b"GETEX", &names.lease(self.host), b"PX", LEASE_MS.as_bytes()])
            }
            Request::Lease { is_new: true } => {
                written(&[b"SET", &names.lease(self.host), b"1", b"PX", LEASE_MS.as_bytes(), b"GET"])
            }
            Request::Leases { hosts } => {
                let leases: Vec<_> = hosts.iter().map(|host| names.lease(*host)).collect();
                let mut parts: Vec<&[u8]> = vec![b"MGET"];
                parts.extend(leases.iter().map(Vec::as_slice));
                written(&parts)
            }
            Request::EndLease => written(&[b"DEL", &names.lease(self.host)]),
            Request::Probe { number } => written(&[b"PUBLISH", &names.probe(self.host), number.to_string().as_bytes()]),
            Request::Once { key, time } => {
                let millis = decimal(time.as_millis().clamp(1, ONCE_MAX_MS));
                written(&[b"SET", &names.claim(key), b"1", b"PX", &millis, b"NX"])
            }
            Request::Tell { data } => written(&[b"PUBLISH", &names.all_hosts(), data]),
        }
    }

    fn change_names(
        &self,
        room: &str,
        host: u64,
        (before, version): (u64, u64),
        change: &NamesChange,
        as_text: bool,
    ) -> Vec<u8> {
        let keys = [self.names.present(room, host), self.names.hosts(room)];
        let (what, named): (&str, &[Named]) = match change {
            NamesChange::All(named) => ("all", named),
            NamesChange::More(named) => ("more", named),
            NamesChange::Add(named) => ("+", core::slice::from_ref(named)),
            NamesChange::Remove(name) => ("-", &[(name.clone(), None)]),
        };
        let mut arguments: Parts = vec![what.into(), host_text(host).into(), decimal(before), decimal(version)];
        arguments.extend([self.names.channel(room), NAMES_MS.into()]);
        for (name, info) in named {
            arguments.push(name.as_bytes().to_vec());
            // An empty text is no information, and other information has a letter before it.
            arguments.push(info.as_ref().map(|info| format!("i{info}").into_bytes()).unwrap_or_default());
        }
        self.script(Script::Present, as_text, &keys, &arguments)
    }

    fn script(&self, script: Script, as_text: bool, keys: &[Vec<u8>], arguments: &[Vec<u8>]) -> Vec<u8> {
        let count = keys.len().to_string();
        let mut parts: Vec<&[u8]> = if as_text {
            vec![b"EVAL", script.text().as_bytes()]
        } else {
            let hash = self.hashes.get(script as usize).map_or("", String::as_str);
            vec![b"EVALSHA", hash.as_bytes()]
        };
        parts.push(count.as_bytes());
        parts.extend(keys.iter().chain(arguments).map(Vec::as_slice));
        written(&parts)
    }
}

fn written(parts: &[&[u8]]) -> Vec<u8> {
    let mut command = Vec::new();
    write_command(&mut command, parts);
    command
}

fn hex(number: u64) -> Vec<u8> {
    format!("{number:x}").into_bytes()
}

fn decimal(number: impl Into<u128>) -> Vec<u8> {
    number.into().to_string().into_bytes()
}
