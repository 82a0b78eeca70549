//! Public keys of SSH as text, and what is wrong with them.

use alloc::string::String;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use core::fmt;
use core::str::FromStr;

/// The types of keys that may log in, with the bytes that follow the type.
const KINDS: [(&str, Shape); 6] = [
    ("ssh-ed25519", Shape::Ed25519),
    ("ecdsa-sha2-nistp256", Shape::Ecdsa("nistp256", 65)),
    ("ecdsa-sha2-nistp384", Shape::Ecdsa("nistp384", 97)),
    ("ecdsa-sha2-nistp521", Shape::Ecdsa("nistp521", 133)),
    ("sk-ssh-ed25519@openssh.com", Shape::TokenEd25519),
    ("sk-ecdsa-sha2-nistp256@openssh.com", Shape::TokenEcdsa),
];

/// The beginnings of the names of key types. Anything else at the beginning of a line is an option.
const TYPES_BEGIN: [&str; 3] = ["ssh-", "ecdsa-", "sk-"];

/// The fields of a key after its type (RFC 4253, section 6.6; RFC 5656, section 3.1; RFC 8709, section 4).
#[derive(Clone, Copy)]
enum Shape {
    Ed25519,
    /// The name of the curve, and the length of an uncompressed point.
    Ecdsa(&'static str, usize),
    /// As `Ed25519`, and the application of a security token.
    TokenEd25519,
    /// As `Ecdsa` on nistp256, and the application of a security token.
    TokenEcdsa,
}

/// A public key that a user may log in with over SSH.
///
/// It is parsed from a line of OpenSSH's `authorized_keys` without options. Its text has the type and the base64 of the
/// key, without the comment, as [`Provider::public_key`](super::Provider::public_key) receives it.
///
/// ```
/// use drupe_core::kit::auth::PublicKey;
///
/// let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti ann@laptop";
/// let key: PublicKey = line.parse()?;
/// assert_eq!(key.as_str(), line.trim_end_matches(" ann@laptop"));
/// # Ok::<(), drupe_core::kit::auth::PublicKeyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(String);

/// Why a text is no [`PublicKey`], or why a user cannot have it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// Options, or anything else, are in front of the type.
    #[error("options in front of a key are not supported: begin it with its type, such as ssh-ed25519")]
    Options,
    /// Keys of this type may not log in, such as RSA.
    #[error("keys of the type {kind} are not supported: create one with ssh-keygen -t ed25519")]
    Unsupported {
        /// The type.
        kind: String,
    },
    /// The text is not a key of its type, in one line.
    #[error("it is not a public key: expected one line with the type and the base64 of the key")]
    Malformed,
    /// Another user has the key.
    #[error("the user {user} has the same key")]
    Taken {
        /// The other user.
        user: String,
    },
    /// There is no user of this name.
    #[error("there is no such user")]
    NoUser,
}

impl PublicKey {
    /// Returns the type and the base64 of the key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        let text = text.trim();
        // A second line would pass for a comment.
        if text.contains(['\n', '\r']) {
            return Err(PublicKeyError::Malformed);
        }
        let mut words = text.split_whitespace();
        let (kind, base64) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if !TYPES_BEGIN.iter().any(|begin| kind.starts_with(begin)) {
            return Err(if kind.is_empty() { PublicKeyError::Malformed } else { PublicKeyError::Options });
        }
        let Some((_, shape)) = KINDS.iter().find(|(name, _)| *name == kind) else {
            return Err(PublicKeyError::Unsupported { kind: kind.chars().take(40).collect() });
        };
        let blob = STANDARD.decode(base64).map_err(|_| PublicKeyError::Malformed)?;
        let mut fields = Fields(&blob);
        if fields.next() == Some(kind.as_bytes()) && fields.have(*shape) && fields.0.is_empty() {
            Ok(Self(alloc::format!("{kind} {base64}")))
        } else {
            Err(PublicKeyError::Malformed)
        }
    }
}

/// The rest of a key: fields, each after its length in four bytes.
struct Fields<'k>(&'k [u8]);

impl<'k> Fields<'k> {
    fn next(&mut self) -> Option<&'k [u8]> {
        let (length, rest) = self.0.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(field)
    }

    /// Returns `true` if the next fields are those of this type of key.
    fn have(&mut self, shape: Shape) -> bool {
        match shape {
            Shape::Ed25519 => self.next().is_some_and(|key| key.len() == 32),
            Shape::Ecdsa(curve, length) => {
                // An uncompressed point begins with 4 (RFC 5656, section 3.1).
                let is_point = |point: &[u8]| point.len() == length && point.first() == Some(&4);
                self.next() == Some(curve.as_bytes()) && self.next().is_some_and(is_point)
            }
            Shape::TokenEd25519 => self.have(Shape::Ed25519) && self.has_application(),
            Shape::TokenEcdsa => self.have(Shape::Ecdsa("nistp256", 65)) && self.has_application(),
        }
    }

    fn has_application(&mut self) -> bool {
        self.next().is_some_and(|name| str::from_utf8(name).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const ED25519: &str = "AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    fn base64_of(fields: &[&[u8]]) -> String {
        let with_length = |field: &&[u8]| {
            let length = u32::try_from(field.len()).expect("short").to_be_bytes();
            [&length[..], field].concat()
        };
        STANDARD.encode(fields.iter().flat_map(with_length).collect::<Vec<_>>())
    }

    fn line(kind: &str, rest: &[&[u8]]) -> String {
        format!("{kind} {}", base64_of(&[&[kind.as_bytes()], rest].concat()))
    }

    #[test]
    fn keys_of_all_supported_types_are_read_without_their_comments() {
        let point = |length: usize| [&[4][..], &alloc::vec![7; length - 1]].concat();
        for key in [
            format!("ssh-ed25519 {ED25519}"),
            line("ecdsa-sha2-nistp256", &[b"nistp256", &point(65)]),
            line("ecdsa-sha2-nistp384", &[b"nistp384", &point(97)]),
            line("ecdsa-sha2-nistp521", &[b"nistp521", &point(133)]),
            line("sk-ssh-ed25519@openssh.com", &[&[1; 32], b"ssh:"]),
            line("sk-ecdsa-sha2-nistp256@openssh.com", &[b"nistp256", &point(65), b"ssh:"]),
        ] {
            for text in [key.clone(), format!("{key} ann@laptop of ann\n"), format!("  {}", key.replace(' ', "\t"))] {
                assert_eq!(text.parse::<PublicKey>().map(|key| key.to_string()), Ok(key.clone()), "{text}");
            }
        }
    }

    #[test]
    fn other_texts_are_no_keys() {
        let unsupported = |kind: &str| PublicKeyError::Unsupported { kind: kind.into() };
        for (text, error) in [
            (String::new(), PublicKeyError::Malformed),
            (format!("no-pty ssh-ed25519 {ED25519}"), PublicKeyError::Options),
            (ED25519.into(), PublicKeyError::Options),
            (line("ssh-rsa", &[&[1, 0, 1], &[9; 256]]), unsupported("ssh-rsa")),
            (line("ssh-dss", &[]), unsupported("ssh-dss")),
            ("ssh-ed25519".into(), PublicKeyError::Malformed),
            ("ssh-ed25519 AAAA".into(), PublicKeyError::Malformed),
            ("ssh-ed25519 %%%%".into(), PublicKeyError::Malformed),
            (format!("ssh-ed25519 {}", &ED25519[..60]), PublicKeyError::Malformed),
            (format!("ssh-ed25519 {ED25519}\nssh-ed25519 {ED25519}"), PublicKeyError::Malformed),
            // The type of the line is not that of the key.
            (format!("sk-ssh-ed25519@openssh.com {ED25519}"), PublicKeyError::Malformed),
            (line("ssh-ed25519", &[&[1; 31]]), PublicKeyError::Malformed),
            (line("ssh-ed25519", &[&[1; 32], b"more"]), PublicKeyError::Malformed),
            (line("ecdsa-sha2-nistp256", &[b"nistp384", &[4; 65]]), PublicKeyError::Malformed),
            (line("ecdsa-sha2-nistp256", &[b"nistp256", &[3; 65]]), PublicKeyError::Malformed),
            (line("sk-ssh-ed25519@openssh.com", &[&[1; 32]]), PublicKeyError::Malformed),
        ] {
            assert_eq!(text.parse::<PublicKey>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(ssh-ed25519|ecdsa-sha2-nistp256|x)? ?[A-Za-z0-9+/=\n ]{0,80}") {
            if let Ok(key) = text.parse::<PublicKey>() {
                prop_assert_eq!(key.as_str().parse::<PublicKey>(), Ok(key.clone()));
            }
        }
    }
}
