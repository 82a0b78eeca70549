use super::scram::hmac;
use crate::base::UnixTime;
use crate::handler::Hub;
use alloc::string::String;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// The nonces of one machine: none is said twice, by this machine or another one of the same secret.
///
/// What was overheard of one exchange would be good in another one with the same nonce. So the key is made of everything that
/// tells one machine from another (its shard, its seed, the time of its start), and it can't be cloned into a second machine.
pub(crate) struct Nonces {
    key: [u8; 32],
    count: u64,
}

impl Nonces {
    /// Those of the machine that this hub belongs to.
    pub(crate) fn new<C: Default>(secret: &[u8; 32], hub: &mut Hub<'_, C>) -> Self {
        let shard = hub.shard();
        let mut parts = alloc::vec![shard.number(), shard.count()];
        for number in [hub.random(), hub.random(), hub.now().as_nanos()] {
            parts.extend(number.to_be_bytes());
        }
        parts.extend(hub.unix_time().map_or(0, UnixTime::as_millis).to_be_bytes());
        Self { key: hmac(secret, &[b"nonces", &parts[..]].concat()), count: 0 }
    }

    /// Another one: 24 characters that nobody can guess who does not know the secret.
    pub(crate) fn next(&mut self) -> String {
        self.count += 1;
        STANDARD_NO_PAD.encode(&hmac(&self.key, &self.count.to_be_bytes())[..18])
    }
}
