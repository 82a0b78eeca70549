//! The commands that the link sends.

use super::scripts::decimal;
use super::{Client, ModelRedis, bulk, unsubscribe};
use crate::base::Time;
use crate::cluster::redis::Script;
use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

impl ModelRedis {
    /// Runs one command, and sends its reply.
    pub(super) fn run(&mut self, now: Time, client: u32, parts: &[Vec<u8>]) {
        self.data.expire(now);
        self.work.commands += 1;
        let words: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let before = self.clients.get(&client).map_or(0, |client| client.output.len());
        let reply = self.reply(now, client, &words);
        let Some(client) = self.clients.get_mut(&client) else { return };
        let at = if self.faults.publishes_first { client.output.len() } else { before };
        client.output.splice(at..at, reply);
    }

    fn reply(&mut self, now: Time, client: u32, words: &[&[u8]]) -> Vec<u8> {
        match words {
            [b"HELLO", b"3", ..] => {
                let role = if self.faults.is_replica { "replica" } else { "master" };
                let mut reply = b"%4\r\n".to_vec();
                for word in ["server", "redis", "version", "7.2.4", "mode", "standalone", "role", role] {
                    bulk(&mut reply, word.as_bytes());
                }
                reply
            }
            [b"AUTH", _, _] => b"+OK\r\n".to_vec(),
            // It is its own Sentinel.
            [b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", _] => b"*2\r\n$9\r\n192.0.2.9\r\n$4\r\n6379\r\n".to_vec(),
            [b"SCRIPT", b"LOAD", text] => {
                let script = Script::ALL.into_iter().find(|script| script.text().as_bytes() == *text);
                let script = script.expect("a script of the link");
                let hash = script.hash().into_bytes();
                self.scripts.insert(hash.clone(), script);
                let mut reply = Vec::new();
                bulk(&mut reply, &hash);
                reply
            }
            [b"SUBSCRIBE", channels @ ..] => self.change_channels(client, b"subscribe", channels),
            [b"UNSUBSCRIBE", channels @ ..] => self.change_channels(client, b"unsubscribe", channels),
            [b"EVALSHA", hash, count, rest @ ..] => {
                let Some(script) = self.scripts.get(*hash).copied() else {
                    return b"-NOSCRIPT No matching script.\r\n".to_vec();
                };
                self.eval(now, script, count, rest)
            }
            [b"EVAL", text, count, rest @ ..] => {
                let script = Script::ALL.into_iter().find(|script| script.text().as_bytes() == *text);
                let script = script.expect("a script of the link");
                self.scripts.insert(script.hash().into_bytes(), script);
                self.eval(now, script, count, rest)
            }
            [b"HMGET", meta, b"e", b"o", b"k"] => self.top_reply(meta),
            [b"DEL", key] => {
                let existed = self.data.has(key);
                self.data.remove(key);
                format!(":{}\r\n", u8::from(existed)).into_bytes()
            }
            [b"HGETALL", key] => {
                let fields: Vec<_> = self.data.hashes.get(*key).into_iter().flatten().collect();
                let mut reply = format!("%{}\r\n", fields.len()).into_bytes();
                for (name, value) in fields {
                    bulk(&mut reply, name);
                    bulk(&mut reply, value);
                }
                reply
            }
            [b"HSCAN", key, cursor, b"COUNT", _] => self.scan(key, cursor),
            [b"SET", key, value, b"PX", millis, b"GET"] => {
                if self.faults.is_replica {
                    return b"-READONLY You can't write against a read only replica.\r\n".to_vec();
                }
                let before = self.data.strings.insert(key.to_vec(), value.to_vec());
                self.data.expire_at(key, now + Duration::from_millis(decimal(millis)));
                let mut reply = Vec::new();
                match before {
                    Some(before) => bulk(&mut reply, &before),
                    None => reply.extend_from_slice(b"_\r\n"),
                }
                reply
            }
            [b"SET", key, value, b"PX", millis, b"NX"] => self.set_once(now, key, value, millis),
            [b"GETEX", key, b"PX", millis] => {
                if self.faults.is_replica {
                    return b"-READONLY You can't write against a read only replica.\r\n".to_vec();
                }
                let mut reply = Vec::new();
                match self.data.strings.get(*key) {
                    Some(value) => bulk(&mut reply, value),
                    None => reply.extend_from_slice(b"_\r\n"),
                }
                if self.data.has(key) {
                    self.data.expire_at(key, now + Duration::from_millis(decimal(millis)));
                }
                reply
            }
            [b"MGET", keys @ ..] => {
                let mut reply = format!("*{}\r\n", keys.len()).into_bytes();
                for key in keys {
                    match self.data.strings.get(*key) {
                        Some(value) => bulk(&mut reply, value),
                        None => reply.extend_from_slice(b"_\r\n"),
                    }
                }
                reply
            }
            [b"PUBLISH", channel, data] => format!(":{}\r\n", self.publish(channel, data)).into_bytes(),
            _ => panic!("the link sent {words:?}"),
        }
    }

    /// Sets a key that does not exist.
    fn set_once(&mut self, now: Time, key: &[u8], value: &[u8], millis: &[u8]) -> Vec<u8> {
        if self.faults.is_replica {
            return b"-READONLY You can't write against a read only replica.\r\n".to_vec();
        }
        if self.faults.is_full {
            return b"-OOM command not allowed when used memory > 'maxmemory'.\r\n".to_vec();
        }
        if self.data.has(key) {
            return b"_\r\n".to_vec();
        }
        self.data.strings.insert(key.to_vec(), value.to_vec());
        self.data.expire_at(key, now + Duration::from_millis(decimal(millis)));
        b"+OK\r\n".to_vec()
    }

    fn eval(&mut self, now: Time, script: Script, count: &[u8], rest: &[&[u8]]) -> Vec<u8> {
        let writes = script != Script::Read;
        let needs_memory = matches!(script, Script::Publish | Script::Present);
        if writes && self.faults.is_replica {
            return b"-READONLY You can't write against a read only replica.\r\n".to_vec();
        }
        if needs_memory && self.faults.is_full {
            return b"-OOM command not allowed when used memory > 'maxmemory'.\r\n".to_vec();
        }
        let count = usize::try_from(decimal(count)).expect("a count");
        let (keys, arguments) = rest.split_at(count);
        let owned = |parts: &[&[u8]]| -> Vec<Vec<u8>> { parts.iter().map(|part| part.to_vec()).collect() };
        self.run_script(now, script, &owned(keys), &owned(arguments))
    }

    fn change_channels(&mut self, client: u32, verb: &[u8], channels: &[&[u8]]) -> Vec<u8> {
        let number = client;
        let Some(Client { channels: subscribed, .. }) = self.clients.get_mut(&number) else { return Vec::new() };
        let mut reply = Vec::new();
        for channel in channels {
            if verb == b"subscribe" {
                subscribed.insert(channel.to_vec());
                self.subscribers.entry(channel.to_vec()).or_default().insert(number);
            } else {
                subscribed.remove(*channel);
                unsubscribe(&mut self.subscribers, channel, number);
            }
            reply.extend_from_slice(b">3\r\n");
            bulk(&mut reply, verb);
            bulk(&mut reply, channel);
            reply.extend_from_slice(format!(":{}\r\n", subscribed.len()).as_bytes());
        }
        reply
    }

    /// Returns two fields at a time, in the order of their names. The cursor is the beginning of a name as a number.
    fn scan(&self, key: &[u8], cursor: &[u8]) -> Vec<u8> {
        let from = decimal(cursor);
        let fields = self.data.hashes.get(key).into_iter().flatten();
        let rest: Vec<_> = fields.filter(|(name, _)| beginning(name) >= from).collect();
        let next = rest.get(2).map_or(0, |(name, _)| beginning(name));
        let part = &rest[..rest.len().min(2)];
        let mut reply = b"*2\r\n".to_vec();
        bulk(&mut reply, format!("{next}").as_bytes());
        reply.extend_from_slice(format!("*{}\r\n", part.len() * 2).as_bytes());
        for (name, value) in part {
            bulk(&mut reply, name);
            bulk(&mut reply, value);
        }
        reply
    }
}

/// Returns the first bytes of a name as a number above 0.
fn beginning(name: &[u8]) -> u64 {
    (0..6).fold(1, |number, at| number << 8 | u64::from(name.get(at).copied().unwrap_or(0)))
}
