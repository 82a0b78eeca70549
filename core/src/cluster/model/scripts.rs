//! What the scripts of the link do.

use super::data::Entry;
use super::{ModelRedis, Published, bulk};
use crate::base::Time;
use crate::cluster::redis::Script;
use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

impl ModelRedis {
    /// Runs a script. Returns its reply.
    pub(super) fn run_script(&mut self, now: Time, script: Script, keys: &[Vec<u8>], arguments: &[Vec<u8>]) -> Vec<u8> {
        match script {
            Script::Publish => self.run_publish(now, keys, arguments),
            Script::Open => self.run_open(keys, arguments),
            Script::Renew => self.run_renew(keys, arguments),
            Script::Read => self.run_read(now, keys, arguments),
            Script::Present => self.run_present(now, keys, arguments),
        }
    }

    fn run_publish(&mut self, now: Time, keys: &[Vec<u8>], arguments: &[Vec<u8>]) -> Vec<u8> {
        let [meta, stream, once @ ..] = keys else { panic!("keys {keys:?}") };
        let [epoch, mark, keep, age, window, channel, _, data] = arguments else { panic!("arguments {arguments:?}") };
        if let Some(earlier) = once.first().and_then(|once| self.data.strings.get(once)) {
            return pair(b"repeated", earlier);
        }
        let (epoch, offset, previous) = if let Some([epoch, offset, mark]) = self.data.top(meta) {
            (epoch, decimal(&offset), mark)
        } else {
            self.data.streams.remove(stream);
            (epoch.clone(), 0, b"0".to_vec())
        };
        let (offset, keep) = (offset + 1, usize::try_from(decimal(keep)).expect("a count"));
        self.work.publishes += 1;
        if keep > 0 {
            self.work.kept += 1;
            let entries = self.data.streams.entry(stream.clone()).or_default();
            if entries.last().is_some_and(|last| last.offset >= offset) {
                entries.clear();
            }
            let (mark, previous, data) = (mark.clone(), previous.clone(), data.clone());
            entries.push(Entry { offset, mark, previous, at: now.as_millis(), data });
            let excess = entries.len().saturating_sub(keep);
            entries.drain(..excess);
            if decimal(age) > 0 {
                self.data.expire_at(stream, now + Duration::from_millis(decimal(age)));
            }
        }
        let number = format!("{offset}").into_bytes();
        self.data.set_top(meta, [&epoch, &number, mark]);
        let position = [&epoch[..], &number, mark].join(&b' ');
        if let Some(once) = once.first() {
            self.data.strings.insert(once.clone(), position.clone());
            self.data.expire_at(once, now + Duration::from_millis(decimal(window)));
        }
        let number = self.ledger.last().map_or(0, |last| last.number) + 1;
        self.data.published.insert(number);
        let (channel, mark) = (channel.clone(), mark.clone());
        let news = [b"M ", &position[..], b" ", &previous, b"\n", data].concat();
        self.publish(&channel, &news);
        let data = data.clone();
        self.ledger.push(Published { number, channel, epoch, offset, mark, data, was_lost: false });
        pair(b"kept", &position)
    }

    fn run_open(&mut self, keys: &[Vec<u8>], arguments: &[Vec<u8>]) -> Vec<u8> {
        let [meta, stream] = keys else { panic!("keys {keys:?}") };
        if self.data.top(meta).is_none() {
            self.data.streams.remove(stream);
            self.data.set_top(meta, [&arguments[0], b"0", b"0"]);
        }
        self.top_reply(meta)
    }

    fn run_renew(&mut self, keys: &[Vec<u8>], arguments: &[Vec<u8>]) -> Vec<u8> {
        let ([meta], [expected, new, channel]) = (keys, arguments) else { panic!("keys {keys:?}") };
        if let Some([epoch, offset, mark]) = self.data.top(meta)
            && epoch == *expected
        {
            self.data.set_top(meta, [new, &offset, &mark]);
            self.publish(channel, b"E");
        }
        self.top_reply(meta)
    }

    pub(super) fn top_reply(&self, meta: &[u8]) -> Vec<u8> {
        let mut reply = b"*3\r\n".to_vec();
        match self.data.top(meta) {
            Some(top) => top.iter().for_each(|part| bulk(&mut reply, part)),
            None => reply.extend_from_slice(b"_\r\n_\r\n_\r\n"),
        }
        reply
    }

    fn run_read(&mut self, now: Time, keys: &[Vec<u8>], arguments: &[Vec<u8>]) -> Vec<u8> {
        let ([meta, stream], [from, max, bytes_max, above]) = (keys, arguments) else { panic!("keys {keys:?}") };
        let (max, bytes_max, above) = (decimal(max), decimal(bytes_max), decimal(above));
        let top = self.data.top(meta).map_or(0, |[_, offset, _]| decimal(&offset));
        let from = if from == b"latest" { (top + 1).saturating_sub(max).max(1) } else { decimal(from) };
        let is_too_much = above > 0 && top.saturating_sub(from) > above;
        self.work.reads += 1;
        let (mut entries, mut count, mut bytes, mut known) = (Vec::new(), 0, 0, false);
        for entry in self.data.streams.get(stream).into_iter().flatten().filter(|entry| entry.offset >= from) {
            let size = entry.data.len() as u64;
            if above > 0 && known && count == 1 && bytes + size > bytes_max {
                // The reader has the first message, and the next one names its mark.
                (count, bytes) = (0, 0);
                entries.clear();
            }
            if is_too_much || count == max || count > 0 && bytes + size > bytes_max {
                break;
            }
            known = count == 0 && entry.offset == from;
            (count, bytes) = (count + 1, bytes + size);
            entries.extend_from_slice(b"*2\r\n");
            bulk(&mut entries, format!("{}-0", entry.offset).as_bytes());
            entries.extend_from_slice(b"*8\r\n");
            let at = format!("{}", entry.at).into_bytes();
            for part in [b"k", &entry.mark[..], b"p", &entry.previous, b"t", &at, b"d", &entry.data] {
                bulk(&mut entries, part);
            }
        }
        let mut reply = self.top_reply(meta);
        reply.splice(..4, *b"*5\r\n");
        bulk(&mut reply, format!("{}", now.as_millis()).as_bytes());
        reply.extend_from_slice(format!("*{count}\r\n").as_bytes());
        reply.extend_from_slice(&entries);
        reply
    }

    fn run_present(&mut self, now: Time, keys: &[Vec<u8>], arguments: &[Vec<u8>]) -> Vec<u8> {
        let ([names, hosts], [what, host, expected, version, channel, forget_after, named @ ..]) = (keys, arguments)
        else {
            panic!("keys {keys:?}")
        };
        let fields = self.data.hashes.get(hosts);
        let before = fields.and_then(|fields| fields.get(host)).cloned().unwrap_or_else(|| b"0".to_vec());
        if what != b"all" && (before != *expected || self.data.hashes.contains_key(names) == (before == b"0")) {
            return b"$5\r\nOTHER\r\n".to_vec();
        }
        if what == b"all" {
            self.data.remove(names);
        }
        for pair in named.chunks_exact(2) {
            let of_host = self.data.hashes.entry(names.clone()).or_default();
            if what == b"-" {
                of_host.remove(&pair[0]);
            } else {
                of_host.insert(pair[0].clone(), pair[1].clone());
            }
        }
        self.data.hashes.retain(|_, fields| !fields.is_empty());
        let has_names = self.data.hashes.contains_key(names);
        let of_room = self.data.hashes.entry(hosts.clone()).or_default();
        if has_names {
            of_room.insert(host.clone(), version.clone());
            let at = now + Duration::from_millis(decimal(forget_after));
            self.data.expire_at(names, at);
            self.data.expire_at(hosts, at);
        } else {
            of_room.remove(host);
        }
        self.data.hashes.retain(|_, fields| !fields.is_empty());
        let version = if has_names { version } else { &b"0".to_vec() };
        let news = [b"P ", &host[..], b" ", &before, b" ", version].concat();
        let news = match named {
            [name, info] if what == b"+" || what == b"-" => {
                let length = format!("{}", name.len()).into_bytes();
                [&news[..], b" ", what, b" ", &length, b"\n", name, info].concat()
            }
            _ => news,
        };
        self.publish(channel, &news);
        b"+OK\r\n".to_vec()
    }
}

fn pair(first: &[u8], second: &[u8]) -> Vec<u8> {
    let mut reply = b"*2\r\n".to_vec();
    bulk(&mut reply, first);
    bulk(&mut reply, second);
    reply
}

pub(super) fn decimal(text: &[u8]) -> u64 {
    core::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).expect("a decimal number")
}
