//! The `CONNECT` of a link, and the signature of an NKEY.

use super::headers::client_name;
use crate::base::text::json_string;
use crate::cluster::fault::LinkFault;
use crate::config::{BrokerLogin, NatsLogin};
use alloc::format;
use alloc::string::String;

/// Returns the JSON of `CONNECT`. `nonce`: what the server wants to be signed.
pub(super) fn connect(
    login: Option<&NatsLogin>,
    nonce: Option<&str>,
    host: u64,
    has_tls: bool,
) -> Result<String, LinkFault> {
    let mut json = format!(
        r#"{{"verbose":false,"pedantic":false,"tls_required":{has_tls},"lang":"drupe","version":"{}","protocol":1,"headers":true,"no_responders":true,"echo":true"#,
        env!("CARGO_PKG_VERSION")
    );
    let mut put = |name: &str, value: &str| {
        json.extend([",\"", name, "\":"]);
        json_string(value, &mut json);
    };
    put("name", &client_name(host));
    match login {
        None => {}
        Some(NatsLogin::User(BrokerLogin { user, password })) => {
            put("user", user);
            put("pass", password);
        }
        Some(NatsLogin::Token(token)) => put("auth_token", token),
        Some(NatsLogin::Nkey(seed)) => {
            let key = nkey::Key::new(seed)?;
            put("nkey", &key.public());
            put("sig", &key.sign(nonce.ok_or(LinkFault::NoNonce)?));
        }
        Some(NatsLogin::Jwt { jwt, seed }) => {
            let key = nkey::Key::new(seed)?;
            put("jwt", jwt);
            put("nkey", &key.public());
            put("sig", &key.sign(nonce.ok_or(LinkFault::NoNonce)?));
        }
    }
    json.push('}');
    Ok(json)
}

#[cfg(feature = "auth")]
mod nkey {
    //! NKEYs: Ed25519 keys in base32 (RFC 4648 section 6), with a prefix and a checksum.

    use crate::cluster::fault::LinkFault;
    use alloc::string::String;
    use alloc::vec::Vec;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ed25519_dalek::{Signer, SigningKey};

    /// The first bytes of a seed: `S`, and the kind `U` of its key over both bytes.
    const SEED: u8 = 18 << 3;
    const USER: u8 = 20 << 3;

    pub(super) struct Key(SigningKey);

    impl Key {
        pub(super) fn new(seed: &str) -> Result<Self, LinkFault> {
            Self::read(seed.trim()).ok_or(LinkFault::BadSeed)
        }

        fn read(seed: &str) -> Option<Self> {
            let bytes = decode(seed)?;
            let (content, sum) = bytes.split_at_checked(34)?;
            let [first, second, key @ ..] = content else { return None };
            let kind = (first & 7) << 5 | second >> 3;
            let is_seed = first & 0xf8 == SEED && kind == USER && sum == checksum(content).to_le_bytes();
            Some(Self(SigningKey::from_bytes(key.try_into().ok().filter(|_| is_seed)?)))
        }

        /// Returns the text of the public key, which begins with `U`.
        pub(super) fn public(&self) -> String {
            let mut bytes = Vec::from([USER]);
            bytes.extend_from_slice(self.0.verifying_key().as_bytes());
            bytes.extend(checksum(&bytes).to_le_bytes());
            encode(&bytes)
        }

        pub(super) fn sign(&self, nonce: &str) -> String {
            URL_SAFE_NO_PAD.encode(self.0.sign(nonce.as_bytes()).to_bytes())
        }
    }

    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

    fn decode(text: &str) -> Option<Vec<u8>> {
        let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
        for byte in text.bytes() {
            let digit = u32::try_from(DIGITS.iter().position(|digit| *digit == byte)?).ok()?;
            (bits, count) = (bits << 5 | digit, count + 5);
            if count >= 8 {
                count -= 8;
                bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
            }
            bits &= (1 << count) - 1;
        }
        (bits == 0).then_some(bytes)
    }

    fn encode(bytes: &[u8]) -> String {
        let (mut text, mut bits, mut count) = (String::new(), 0_u32, 0);
        let mut put = |digit: u32| text.extend(DIGITS.get(digit as usize & 31).map(|digit| char::from(*digit)));
        for byte in bytes {
            (bits, count) = (bits << 8 | u32::from(*byte), count + 8);
            while count >= 5 {
                count -= 5;
                put(bits >> count);
            }
            bits &= (1 << count) - 1;
        }
        if count > 0 {
            put(bits << (5 - count));
        }
        text
    }

    /// CRC-16 with the polynomial 0x1021, from 0.
    fn checksum(bytes: &[u8]) -> u16 {
        bytes.iter().fold(0, |sum, byte| {
            (0..8)
                .fold(sum ^ u16::from(*byte) << 8, |sum, _| if sum & 0x8000 > 0 { sum << 1 ^ 0x1021 } else { sum << 1 })
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        // The example in the documentation of NATS.
        const SEED_TEXT: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";

        #[test]
        fn seed_has_its_public_key_and_a_checksum() {
            let key = Key::new(SEED_TEXT).expect("a seed");
            assert_eq!(key.public(), "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4");
            for wrong in ["", "SU", &SEED_TEXT[1..], &SEED_TEXT.replace("SL3", "SL4"), &SEED_TEXT.to_lowercase()] {
                assert!(Key::new(wrong).is_err(), "{wrong}");
            }
            assert_eq!(encode(&decode(SEED_TEXT).expect("base32")), SEED_TEXT);
        }
    }
}

#[cfg(not(feature = "auth"))]
mod nkey {
    use crate::cluster::fault::LinkFault;
    use alloc::string::String;

    pub(super) struct Key;

    impl Key {
        pub(super) const fn new(_: &str) -> Result<Self, LinkFault> {
            Err(LinkFault::NoNkeys)
        }

        pub(super) const fn public(&self) -> String {
            String::new()
        }

        pub(super) const fn sign(&self, _: &str) -> String {
            String::new()
        }
    }
}
