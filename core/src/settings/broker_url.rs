//! URLs of brokers, which may contain passwords.

use super::formats::SECRET;
use super::secret::Secret;
use super::words::quoted;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The URL of a broker. `Debug` and serialization mask its password, and errors omit it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BrokerUrl(Secret);

/// The kind of a broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum BrokerKind {
    #[default]
    Redis,
    Nats,
}

/// The parts of the URL of a broker.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct BrokerParts {
    pub(super) kind: BrokerKind,
    pub(super) is_tls: bool,
    /// The addresses, each `HOST:PORT`. There is at least one.
    pub(super) addresses: Vec<String>,
    /// The user; empty if the URL has none.
    pub(super) user: String,
    pub(super) password: Option<String>,
    /// The name of the master, if the addresses are those of Sentinels.
    pub(super) master: Option<String>,
}

impl BrokerUrl {
    /// Creates a URL from its text, which is checked later.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Secret::new(text))
    }

    /// Returns the URL with its password.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }

    /// Returns the URL as a secret, for comparisons.
    pub(super) const fn secret(&self) -> &Secret {
        &self.0
    }

    /// Returns the URL with a mask in place of its password.
    fn masked(&self) -> Cow<'_, str> {
        let text = self.reveal();
        // The last `@` ends the password even if another one in it is not encoded.
        let Some((login, hosts)) = text.rsplit_once('@') else { return text.into() };
        let (scheme, login) = login.split_once("://").unwrap_or(("", login));
        let user = login.split_once(':').map_or("", |(user, _)| user);
        format!("{scheme}://{user}:(secret)@{hosts}").into()
    }

    /// Splits the URL into its parts.
    ///
    /// # Errors
    /// What is wrong, without any part that could be a password.
    pub(super) fn parts(&self) -> Result<BrokerParts, String> {
        let text = self.reveal();
        if text.is_empty() {
            return Err("it needs the address of the broker, such as redis://127.0.0.1:6379".into());
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let (kind, is_tls, is_sentinel) = match scheme {
            "redis" | "valkey" => (BrokerKind::Redis, false, false),
            "rediss" | "valkeys" => (BrokerKind::Redis, true, false),
            "redis+sentinel" | "valkey+sentinel" => (BrokerKind::Redis, false, true),
            "rediss+sentinel" | "valkeys+sentinel" => (BrokerKind::Redis, true, true),
            "nats" => (BrokerKind::Nats, false, false),
            "tls" => (BrokerKind::Nats, true, false),
            _ => return Err(no_such_scheme(scheme)),
        };
        if rest.contains(['?', '#']) {
            return Err("a URL of a broker has no part after ? or #; write these as %3F and %23 in a password".into());
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if path.contains('@') {
            return Err("write / as %2F, and @ as %40, in the user and the password".into());
        }
        let (login, hosts) =
            authority.rsplit_once('@').map_or((None, authority), |(login, hosts)| (Some(login), hosts));
        let (user, password) = match login {
            None => (String::new(), None),
            Some(login) => read_login(login)?,
        };
        let default_port = match kind {
            BrokerKind::Redis if is_sentinel => 26_379,
            BrokerKind::Redis => 6_379,
            BrokerKind::Nats => 4_222,
        };
        let addresses = hosts.split(',').zip(1..).map(|(host, number)| read_address(host, number, default_port));
        let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
        let master = if is_sentinel { Some(read_master(path)?) } else { None };
        if kind == BrokerKind::Nats && !path.is_empty() {
            return Err("a URL of NATS has nothing after its addresses".into());
        }
        if !is_sentinel && !matches!(path, "" | "0") {
            return Err("only the database 0 is used; give each cluster a prefix of its own instead".into());
        }
        Ok(BrokerParts { kind, is_tls, addresses, user, password, master })
    }
}

fn no_such_scheme(scheme: &str) -> String {
    let known = "a URL of a broker begins with redis://, rediss:// (TLS), valkey://, valkeys://, redis+sentinel://, \
                 rediss+sentinel://, nats:// or tls:// (NATS with TLS)";
    // Other text could be a password.
    let is_scheme =
        scheme.len() <= 20 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if is_scheme && !scheme.is_empty() { format!("{} is unknown; {known}", quoted(scheme)) } else { known.into() }
}

/// Reads `USER:PASSWORD`. A user without a password has its password elsewhere.
fn read_login(login: &str) -> Result<(String, Option<String>), String> {
    let (user, password) = login.split_once(':').map_or((login, None), |(user, password)| (user, Some(password)));
    if user.is_empty() && password.is_none_or(str::is_empty) {
        return Err("there is neither a user nor a password before the @".into());
    }
    if password.is_some_and(str::is_empty) {
        return Err("the password after the user is empty".into());
    }
    let wrong = || String::from("in the user or the password, a % is not followed by two hexadecimal digits of UTF-8");
    let password = password.map(|password| decoded(password).ok_or_else(wrong)).transpose()?;
    Ok((decoded(user).ok_or_else(wrong)?, password))
}

/// Reads `HOST` or `HOST:PORT`. Its text could be a part of a password, so errors name only its number.
fn read_address(text: &str, number: u32, default_port: u16) -> Result<String, String> {
    let no_host = || format!("address {number} has no host");
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, port) =
            rest.split_once(']').ok_or_else(|| format!("address {number} has no ] after its IPv6 address"))?;
        if host.parse::<core::net::Ipv6Addr>().is_err() {
            return Err(format!("address {number} has no IPv6 address between [ and ]"));
        }
        (format!("[{host}]"), port)
    } else {
        let end = text.find(':').unwrap_or(text.len());
        let (host, port) = text.split_at(end);
        if port.matches(':').count() > 1 {
            return Err(format!("address {number} has several colons; write an IPv6 address in brackets"));
        }
        if host.is_empty() {
            return Err(no_host());
        }
        if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
            return Err(format!(
                "address {number} has a host with a character that is not a letter, a digit, -, . or _"
            ));
        }
        (host.to_string(), port)
    };
    if port.is_empty() {
        return Ok(format!("{host}:{default_port}"));
    }
    let port = port.strip_prefix(':').filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    match port.and_then(|port| port.parse::<u16>().ok()).filter(|port| *port > 0) {
        Some(port) => Ok(format!("{host}:{port}")),
        None => Err(format!("address {number} has no port from 1 to 65535 after its host")),
    }
}

/// Reads the name of the master that Sentinels watch.
fn read_master(path: &str) -> Result<String, String> {
    if path.is_empty() {
        return Err("it needs the name of the master after the addresses, as in redis+sentinel://HOST/MASTER".into());
    }
    match decoded(path) {
        Some(name) if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) => Ok(name),
        _ => Err("the name of the master consists of letters, digits, -, . and _".into()),
    }
}

/// Decodes percent-encoding (RFC 3986 section 2.1).
fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let digit = |bytes: &mut core::str::Bytes<'_>| char::from(bytes.next()?).to_digit(16);
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => u8::try_from(digit(&mut bytes)? * 16 + digit(&mut bytes)?).ok()?,
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.masked())
    }
}

impl Serialize for BrokerUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.masked())
    }
}

impl<'de> Deserialize<'de> for BrokerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // An error of serde for a value of another type would contain the value.
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Ok(Self::new(text)),
            _ => Err(D::Error::custom("the URL of a broker is text, such as redis://127.0.0.1:6379")),
        }
    }
}

impl JsonSchema for BrokerUrl {
    fn schema_name() -> Cow<'static, str> {
        "BrokerUrl".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": SECRET })
    }
}
