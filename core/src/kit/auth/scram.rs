//! SCRAM-SHA-256 (RFC 5802 and RFC 7677): both sides prove that they know a password, and neither sends it, nor anything that
//! could be sent again. Without channel binding.

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use core::fmt;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

type Key = [u8; 32];

/// What a hashed password begins with.
const STORED_PREFIX: &str = "SCRAM-SHA-256$";
/// No message of the exchange is longer.
const MESSAGE_MAX_BYTES: usize = 2_048;
/// What a client takes at most, so that a server can't keep it busy for ever.
const ITERATIONS_MAX: u32 = 1_000_000;
/// RFC 7677 section 4.
const ITERATIONS_MIN: u32 = 4_096;
/// A longer password is none: preparing it would take as long as its sender likes.
const PASSWORD_MAX_BYTES: usize = 1_024;

/// What a server stores of a password: enough to check it, and not enough to be it (RFC 5802 section 3).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    salt: Vec<u8>,
    iterations: u32,
    stored_key: Key,
    server_key: Key,
}

/// A password can't be used, or an exchange did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScramError {
    /// The password or the name has characters that none may have (SASLprep, RFC 4013), is empty, or has more than 1,024 bytes
    /// (a name: 256).
    #[error("the password or the name is empty, too long or has characters that none may have")]
    Prohibited,
    /// A message is not what RFC 5802 section 7 says.
    #[error("the message is not one of SCRAM")]
    Malformed,
    /// Channel binding was asked for.
    #[error("channel binding is not supported")]
    ChannelBinding,
    /// The other side does not know the password.
    #[error("the proof is wrong")]
    InvalidProof,
    /// What should be a hashed password is none.
    #[error("a hashed password is SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY (RFC 5803)")]
    Stored,
    /// Fewer than 4,096 iterations, or more than a million.
    #[error("a password is hashed 4,096 to 1,000,000 times")]
    Iterations,
}

impl Credentials {
    /// What is stored of a password. The salt should be another for each password: [`salt`], so that those who ask can't tell
    /// users who exist from others, or 16 random bytes.
    ///
    /// More iterations make a stolen table harder to use. They cost each client that much, and a server that is told a password
    /// in a login dialogue too: 10,000 take some milliseconds.
    ///
    /// # Errors
    /// As [`check`].
    pub fn new(password: &str, salt: &[u8], iterations: u32) -> Result<Self, ScramError> {
        let salted = salted_password(password, salt, iterations)?;
        let (client_key, server_key) = (hmac(&salted, b"Client Key"), hmac(&salted, b"Server Key"));
        Ok(Self { salt: salt.to_owned(), iterations, stored_key: Sha256::digest(client_key).into(), server_key })
    }

    /// What is stored of a user's password, with the [`salt`] of that name. `secret` is that of
    /// [`Authentication::new`](super::Authentication::new).
    ///
    /// # Errors
    /// As [`check`], and if the name is no user's.
    pub fn of_user(secret: &[u8; 32], user: &str, password: &str, iterations: u32) -> Result<Self, ScramError> {
        let user = super::provider::prepared(user)?;
        Self::new(password, &salt(secret, &user), iterations)
    }

    /// As it stands in a file: `SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY` (RFC 5803). Whoever has it can try passwords
    /// without asking the server.
    #[must_use]
    pub fn to_stored(&self) -> String {
        let Self { salt, iterations, stored_key, server_key } = self;
        let [salt, stored_key, server_key] = [&salt[..], stored_key, server_key].map(|bytes| STANDARD.encode(bytes));
        format!("{STORED_PREFIX}{iterations}:{salt}${stored_key}:{server_key}")
    }

    /// Reads what [`to_stored`](Self::to_stored) wrote, or another server such as `PostgreSQL`.
    ///
    /// # Errors
    /// If it is not that, or iterations are not in 4,096 to 1,000,000.
    pub fn from_stored(text: &str) -> Result<Self, ScramError> {
        let malformed = ScramError::Stored;
        let (salted, keys) = text.strip_prefix(STORED_PREFIX).and_then(|rest| rest.split_once('$')).ok_or(malformed)?;
        let (iterations, salt) = salted.split_once(':').ok_or(malformed)?;
        let (stored_key, server_key) = keys.split_once(':').ok_or(malformed)?;
        let iterations = iterations.parse().map_err(|_| malformed)?;
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err(ScramError::Iterations);
        }
        let salt = STANDARD.decode(salt).ok().filter(|salt| !salt.is_empty()).ok_or(malformed)?;
        let key = |text: &str| STANDARD.decode(text).ok().and_then(|key| Key::try_from(key).ok()).ok_or(malformed);
        Ok(Self { salt, iterations, stored_key: key(stored_key)?, server_key: key(server_key)? })
    }

    /// Whether this is the password: for who has been told it in plain words.
    #[must_use]
    pub fn verify(&self, password: &str) -> bool {
        // The same work for every user: how much that is says nothing of them.
        let given = Self::new(password, &self.salt, self.iterations);
        given.is_ok_and(|given| bool::from(given.stored_key.ct_eq(&self.stored_key)))
    }

    /// What is told about a user who does not exist, so that it can't be told apart from one who does: the same salt for the
    /// same name, and nothing that any password matches.
    #[must_use]
    pub(super) fn of_nobody(secret: &Key, user: &str, iterations: u32) -> Self {
        let salt = salt(secret, user).to_vec();
        let (stored_key, server_key) = (hmac(secret, &salt), hmac(secret, b"nobody"));
        Self { salt, iterations, stored_key, server_key }
    }

    /// How often the password was hashed.
    #[must_use]
    pub const fn iterations(&self) -> u32 {
        self.iterations
    }
}

/// The salt of a user's password: the one that is told about this name if there is no such user, as long as `secret` is that of
/// [`Authentication::new`](super::Authentication::new). It stays the same when passwords are loaded anew.
#[must_use]
pub fn salt(secret: &[u8; 32], user: &str) -> [u8; 16] {
    let mut salt = [0; 16];
    salt.copy_from_slice(&hmac(secret, &[b"salt of ", user.as_bytes()].concat())[..16]);
    salt
}

/// Whether a password can be hashed, without doing so.
///
/// # Errors
/// If the password has characters that none may have, is empty or has more than 1,024 bytes, or iterations are not in 4,096 to
/// 1,000,000.
pub fn check(password: &str, iterations: u32) -> Result<(), ScramError> {
    prepared_password(password, iterations).map(drop)
}

/// Nothing of it is shown.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// What the first message of a client says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFirst {
    /// The user's name; empty if the client names none.
    pub user: String,
    gs2_header: String,
    bare: String,
    nonce: String,
}

impl ClientFirst {
    /// Reads the first message of a client: `n,,n=user,r=nonce`.
    ///
    /// # Errors
    /// If it is not one, or asks for channel binding.
    pub fn parse(message: &str) -> Result<Self, ScramError> {
        let malformed = ScramError::Malformed;
        if message.len() > MESSAGE_MAX_BYTES {
            return Err(malformed);
        }
        let (flag, rest) = message.split_once(',').ok_or(malformed)?;
        match flag {
            // `y`: the client would bind, but takes the server for one that can't, and is right.
            "n" | "y" => {}
            _ if flag.starts_with("p=") => return Err(ScramError::ChannelBinding),
            _ => return Err(malformed),
        }
        let (authzid, bare) = rest.split_once(',').ok_or(malformed)?;
        // Nobody acts for another here.
        if !authzid.is_empty() {
            return Err(malformed);
        }
        let (name, rest) = bare.split_once(',').ok_or(malformed)?;
        let user = unescape(name.strip_prefix("n=").ok_or(malformed)?)?;
        let nonce = rest.split(',').next().and_then(|first| first.strip_prefix("r=")).ok_or(malformed)?;
        if nonce.len() < 8 || !is_printable(nonce) {
            return Err(malformed);
        }
        let gs2_header = format!("{flag},,");
        Ok(Self { user, gs2_header, bare: bare.to_owned(), nonce: nonce.to_owned() })
    }

    /// Answers it, with a nonce of the server's own: printable ASCII without commas, never used before, and hard to guess.
    #[must_use]
    pub fn answer(self, credentials: &Credentials, nonce: &str) -> Server {
        let nonce = format!("{}{nonce}", self.nonce);
        let salt = STANDARD.encode(&credentials.salt);
        let first = format!("r={nonce},s={salt},i={}", credentials.iterations);
        let messages = format!("{},{first}", self.bare);
        Server { credentials: credentials.clone(), gs2_header: self.gs2_header, nonce, first, messages }
    }
}

/// The server's side, after it has answered the first message.
#[derive(Clone)]
pub struct Server {
    credentials: Credentials,
    gs2_header: String,
    nonce: String,
    first: String,
    messages: String,
}

impl Server {
    /// Its first message: `r=...,s=...,i=...`.
    #[must_use]
    pub fn first(&self) -> &str {
        &self.first
    }

    /// Whether this is what is stored of the password: it may have changed since the first message.
    #[must_use]
    pub fn is_for(&self, credentials: &Credentials) -> bool {
        self.credentials == *credentials
    }

    /// Reads the last message of the client, `c=...,r=...,p=...`, and proves in turn, with `v=...`, that the server knows the
    /// password too.
    ///
    /// # Errors
    /// If it is not one, or the client does not know the password.
    pub fn finish(self, message: &str) -> Result<String, ScramError> {
        let malformed = ScramError::Malformed;
        if message.len() > MESSAGE_MAX_BYTES {
            return Err(malformed);
        }
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(malformed)?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|first| first.strip_prefix("c=")).ok_or(malformed)?;
        let nonce = attributes.next().and_then(|second| second.strip_prefix("r=")).ok_or(malformed)?;
        let binding = STANDARD.decode(binding).map_err(|_| malformed)?;
        let proof: Key = STANDARD.decode(proof).ok().and_then(|proof| proof.try_into().ok()).ok_or(malformed)?;
        if binding != self.gs2_header.as_bytes() || nonce != self.nonce {
            return Err(ScramError::InvalidProof);
        }
        let auth_message = format!("{},{without_proof}", self.messages);
        let signature = hmac(&self.credentials.stored_key, auth_message.as_bytes());
        let client_key = xor(proof, signature);
        let stored_key: Key = Sha256::digest(client_key).into();
        if !bool::from(stored_key.ct_eq(&self.credentials.stored_key)) {
            return Err(ScramError::InvalidProof);
        }
        let signature = hmac(&self.credentials.server_key, auth_message.as_bytes());
        Ok(format!("v={}", STANDARD.encode(signature)))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

/// The client's side.
#[derive(Clone)]
pub struct Client {
    password: String,
    bare: String,
    nonce: String,
}

impl Client {
    /// A client that knows a password. The nonce is printable ASCII without commas, at least 8 characters, never used before,
    /// and hard to guess.
    ///
    /// # Errors
    /// If the name or the password has characters that none may have.
    pub fn new(user: &str, password: &str, nonce: &str) -> Result<Self, ScramError> {
        let user = stringprep::saslprep(user).map_err(|_| ScramError::Prohibited)?;
        let bare = format!("n={},r={nonce}", user.replace('=', "=3D").replace(',', "=2C"));
        Ok(Self { password: password.to_owned(), bare, nonce: nonce.to_owned() })
    }

    /// Its first message.
    #[must_use]
    pub fn first(&self) -> String {
        format!("n,,{}", self.bare)
    }

    /// Its last message, in answer to the server's first; and what the server must answer to that with.
    ///
    /// # Errors
    /// If that is not one, or wants an unreasonable number of iterations.
    pub fn answer(&self, server_first: &str) -> Result<(String, String), ScramError> {
        let malformed = ScramError::Malformed;
        let mut attributes = server_first.split(',');
        let mut attribute = |name: &str| attributes.next().and_then(|next| next.strip_prefix(name)).ok_or(malformed);
        let (nonce, salt, iterations) = (attribute("r=")?, attribute("s=")?, attribute("i=")?);
        let salt = STANDARD.decode(salt).map_err(|_| malformed)?;
        let iterations = iterations.parse().map_err(|_| malformed)?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(malformed);
        }
        let salted = salted_password(&self.password, &salt, iterations)?;
        let client_key = hmac(&salted, b"Client Key");
        let stored_key: Key = Sha256::digest(client_key).into();
        let without_proof = format!("c={},r={nonce}", STANDARD.encode("n,,"));
        let auth_message = format!("{},{server_first},{without_proof}", self.bare);
        let proof = xor(client_key, hmac(&stored_key, auth_message.as_bytes()));
        let signature = hmac(&hmac(&salted, b"Server Key"), auth_message.as_bytes());
        Ok((format!("{without_proof},p={}", STANDARD.encode(proof)), format!("v={}", STANDARD.encode(signature))))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// A user's name as it is stored and compared (SASLprep, RFC 4013): names that differ may be the same one.
///
/// # Errors
/// If it has characters that none may have (SASLprep, RFC 4013), is empty or has more than 256 bytes.
pub fn prepared_name(name: &str) -> Result<String, ScramError> {
    super::provider::prepared(name)
}

fn prepared_password(password: &str, iterations: u32) -> Result<Cow<'_, str>, ScramError> {
    if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
        return Err(ScramError::Iterations);
    }
    if password.len() > PASSWORD_MAX_BYTES {
        return Err(ScramError::Prohibited);
    }
    let password = stringprep::saslprep(password).map_err(|_| ScramError::Prohibited)?;
    if password.is_empty() { Err(ScramError::Prohibited) } else { Ok(password) }
}

fn salted_password(password: &str, salt: &[u8], iterations: u32) -> Result<Key, ScramError> {
    let password = prepared_password(password, iterations)?;
    #[cfg(test)]
    effort::count(iterations);
    Ok(pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt, iterations))
}

pub(super) fn hmac(key: &[u8], data: &[u8]) -> Key {
    #[cfg(test)]
    effort::count(1);
    // A key of any length will do.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(data);
    mac.finalize().into_bytes().into()
}

fn xor(one: Key, other: Key) -> Key {
    core::array::from_fn(|at| one[at] ^ other[at])
}

/// A name as it stands in a message (`saslname`).
fn unescape(name: &str) -> Result<String, ScramError> {
    let mut plain = String::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('=') {
        plain += before;
        rest = if let Some(after) = after.strip_prefix("2C") {
            plain.push(',');
            after
        } else if let Some(after) = after.strip_prefix("3D") {
            plain.push('=');
            after
        } else {
            return Err(ScramError::Malformed);
        };
    }
    plain += rest;
    Ok(plain)
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'!'..=b'+' | b'-'..=b'~'))
}

/// How much was hashed by this thread: how long something takes says nothing in a test, and this does.
#[cfg(test)]
pub(crate) mod effort {
    use core::cell::Cell;

    std::thread_local!(static HASHED: Cell<u64> = const { Cell::new(0) });

    pub(super) fn count(times: u32) {
        HASHED.with(|hashed| hashed.set(hashed.get() + u64::from(times)));
    }

    /// What was hashed while `act` ran.
    pub(crate) fn of(act: impl FnOnce()) -> u64 {
        let before = HASHED.with(Cell::get);
        act();
        HASHED.with(Cell::get) - before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";

    fn exchange(credentials: &Credentials, client: &Client) -> Result<(), ScramError> {
        let server = ClientFirst::parse(&client.first())?.answer(credentials, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
        let (last, expected) = client.answer(server.first())?;
        assert_eq!(server.finish(&last)?, expected);
        Ok(())
    }

    /// RFC 7677 section 3.
    #[test]
    fn the_exchange_of_the_specification() {
        let salt = STANDARD.decode(SALT).expect("base64");
        let credentials = Credentials::new("pencil", &salt, 4_096).expect("a password");
        let client = Client::new("user", "pencil", "rOprNGfwEbeRWgbNEkqO").expect("a password");
        assert_eq!(client.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let first = ClientFirst::parse(&client.first()).expect("good");
        assert_eq!(first.user, "user");
        let server = first.answer(&credentials, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
        let answer = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert_eq!(server.first(), answer);
        let (last, expected) = client.answer(answer).expect("good");
        assert_eq!(
            last,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(expected, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert_eq!(server.finish(&last), Ok(expected));
    }

    #[test]
    fn nobody_gets_in_with_another_password_or_an_old_proof() {
        let credentials = Credentials::new("pencil", b"0123456789abcdef", 4_096).expect("a password");
        let client = |password| Client::new("user", password, "abcdefgh12345678").expect("a password");
        assert_eq!(exchange(&credentials, &client("pencil")), Ok(()));
        assert_eq!(exchange(&credentials, &client("pencils")), Err(ScramError::InvalidProof));
        let nobody = Credentials::of_nobody(&[7; 32], "user", 4_096);
        assert_eq!(exchange(&nobody, &client("pencil")), Err(ScramError::InvalidProof));
        assert_eq!(nobody, Credentials::of_nobody(&[7; 32], "user", 4_096));
        // What was sent once is of no use against another nonce.
        let first = || ClientFirst::parse(&client("pencil").first()).expect("good");
        let (server, later) = (first().answer(&credentials, "one"), first().answer(&credentials, "two"));
        let (last, _) = client("pencil").answer(server.first()).expect("good");
        assert_eq!(later.finish(&last), Err(ScramError::InvalidProof));
        assert!(credentials.verify("pencil") && !credentials.verify("Pencil") && !credentials.verify(""));
        assert!(!credentials.verify(&"x".repeat(1_025)));
        assert_eq!(check(&"x".repeat(1_025), 4_096), Err(ScramError::Prohibited));
        assert_eq!((check(&"x".repeat(1_024), 4_096), check("x", 4_095)), (Ok(()), Err(ScramError::Iterations)));
        // SASLprep: a soft hyphen is nothing, a non-ASCII space is a space.
        let odd = Credentials::new("I\u{ad}X\u{a0}y", b"0123456789abcdef", 4_096).expect("a password");
        assert!(odd.verify("IX y"));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for (message, error) in [
            ("", ScramError::Malformed),
            ("n,,", ScramError::Malformed),
            ("n,,n=user", ScramError::Malformed),
            ("n,,n=user,r=", ScramError::Malformed),
            ("n,,n=user,r=short", ScramError::Malformed),
            ("n,,n=us=er,r=abcdefgh", ScramError::Malformed),
            ("n,,m=x,n=user,r=abcdefgh", ScramError::Malformed),
            ("n,a=root,n=user,r=abcdefgh", ScramError::Malformed),
            ("p=tls-unique,,n=user,r=abcdefgh", ScramError::ChannelBinding),
            ("x,,n=user,r=abcdefgh", ScramError::Malformed),
            ("n,,n=user,r=abcd\u{7f}efgh", ScramError::Malformed),
        ] {
            assert_eq!(ClientFirst::parse(message), Err(error), "{message}");
        }
        assert_eq!(ClientFirst::parse(&format!("n,,n={},r=abcdefgh", "x".repeat(3_000))), Err(ScramError::Malformed));
        let credentials = Credentials::new("pencil", b"salt", 4_096).expect("a password");
        let client = Client::new("user", "pencil", "abcdefgh").expect("a password");
        for last in [
            "",
            "c=biws",
            "c=biws,r=abcdefghxyz",
            "c=biws,r=abcdefghxyz,p=",
            "c=biws,r=abcdefghxyz,p=!",
            "c=biws,p=AAAA",
        ] {
            let server = ClientFirst::parse(&client.first()).expect("good").answer(&credentials, "xyz");
            assert_eq!(server.finish(last), Err(ScramError::Malformed), "{last}");
        }
        for first in
            ["", "r=abcdefgh", "r=abcdefgh,s=c2FsdA==,i=4096", "r=other,s=c2FsdA==,i=4096", "r=abcdefghx,s=!,i=4096"]
        {
            assert_eq!(client.answer(first), Err(ScramError::Malformed), "{first}");
        }
        for iterations in ["1", "4095", "1000001", "4000000000"] {
            let first = format!("r=abcdefghx,s=c2FsdA==,i={iterations}");
            assert_eq!(client.answer(&first), Err(ScramError::Iterations));
        }
        assert_eq!(Credentials::new("", b"salt", 4_096), Err(ScramError::Prohibited));
        assert_eq!(Credentials::new("be\u{7}ll", b"salt", 4_096), Err(ScramError::Prohibited));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

        #[test]
        fn any_name_comes_through(user in "[ -~]{1,20}") {
            let client = Client::new(&user, "pencil", "abcdefgh").expect("printable");
            prop_assert_eq!(ClientFirst::parse(&client.first()).map(|first| first.user), Ok(user));
        }

        #[test]
        fn no_message_makes_it_panic(message in "[nyp=,]{0,4}\\PC{0,40}") {
            let _ = ClientFirst::parse(&message);
        }
    }
}
