use super::scram::hmac;
use crate::base::UnixTime;
use crate::handler::Hub;
use alloc::string::String;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// A source of SCRAM nonces that never repeat, even on other machines with the same secret.
///
/// An eavesdropper could replay an exchange in another one with the same nonce. So the key is
/// derived from everything that distinguishes one machine from another: shard, seed, and time of
/// start. `Nonces` is not `Clone`, so no second machine can have the same key.
pub(crate) struct Nonces {
    key: [u8; 32],
    count: u64,
}

impl Nonces {
    /// Creates the nonce source of the machine that this hub belongs to.
    pub(crate) fn new<C>(secret: &[u8; 32], hub: &mut Hub<'_, C>) -> Self {
        let shard = hub.shard();
        let mut parts = alloc::vec![shard.number(), shard.count()];
        for number in [hub.random(), hub.random(), hub.now().as_nanos()] {
            parts.extend(number.to_be_bytes());
        }
        parts.extend(hub.unix_time().map_or(0, UnixTime::as_millis).to_be_bytes());
        Self { key: hmac(secret, &[b"nonces", &parts[..]].concat()), count: 0 }
    }

    /// Returns a new nonce: 24 characters that are unpredictable without the secret.
    pub(crate) fn next(&mut self) -> String {
        self.count += 1;
        STANDARD_NO_PAD.encode(&hmac(&self.key, &self.count.to_be_bytes())[..18])
    }
}
