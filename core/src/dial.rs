use crate::http::OpeningHandshake;
use crate::wire::Wire;
use crate::{INTERVAL_MIN, Listen, ListenError, Random};
use alloc::string::String;
use alloc::sync::Arc;
use core::str::FromStr;
use core::time::Duration;

/// How long to wait between attempts: exponential back-off with jitter.
///
/// After `n` failures in a row (from 1) the wait is `min(cap, initial * factor^(n - 1))`, less a random part of up to `jitter_percent`
/// of it, so that many clients of one server do not come back at one moment. No wait is shorter than 10 ms, whatever is
/// configured. A connection that was up for `stable_after` starts the count anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure. Zero counts as 10 ms.
    pub initial: Duration,
    /// What each further wait is multiplied by; 0 counts as 1.
    pub factor: u8,
    /// The longest wait. Zero counts as 10 ms.
    pub cap: Duration,
    /// How much of a wait is left to chance: 0 to 100; more counts as 100.
    pub jitter_percent: u8,
    /// How long a connection must have been up for its end to count as a first failure. With zero, every one was up for long
    /// enough.
    pub stable_after: Duration,
    /// How many attempts are made in a row, the first included; 0 counts as 1, and `None` is for ever.
    pub attempts_max: Option<u32>,
}

impl Default for Backoff {
    /// 1 s, doubling up to 60 s, half of it left to chance, stable after 30 s, for ever.
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(1),
            factor: 2,
            cap: Duration::from_secs(60),
            jitter_percent: 50,
            stable_after: Duration::from_secs(30),
            attempts_max: None,
        }
    }
}

impl Backoff {
    /// The wait after `failures` failures in a row (at least 1), or `None` if there is no further attempt.
    #[must_use]
    pub fn wait(&self, failures: u32, random: &mut Random) -> Option<Duration> {
        if self.attempts_max.is_some_and(|max| failures >= max) {
            return None;
        }
        let factor = u32::from(self.factor.max(1)).saturating_pow(failures.saturating_sub(1));
        let wait = self.initial.checked_mul(factor).unwrap_or(Duration::MAX).min(self.cap);
        let jitter = wait / 100 * u32::from(self.jitter_percent.min(100));
        Some(wait.saturating_sub(random.within(jitter)).max(INTERVAL_MIN))
    }
}

/// A connection that the application wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Where to: what the shell can resolve, `HOST:PORT`.
    pub address: String,
    /// What is spoken there.
    pub protocol: DialProtocol,
    /// When to try again; `None` is one attempt.
    pub backoff: Option<Backoff>,
    /// How long an attempt may take, and a handshake after it again. With zero none succeeds.
    pub timeout: Duration,
}

/// What is spoken on a connection that is dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DialProtocol {
    /// This, from the first byte on.
    Spoken(Wire),
    /// WebSocket, after a handshake as its client.
    WebSocket(Arc<OpeningHandshake>),
}

impl From<Wire> for DialProtocol {
    fn from(wire: Wire) -> Self {
        Self::Spoken(wire)
    }
}

impl Dial {
    /// One attempt of at most 30 s to reach `address`, `HOST:PORT`, and lines if it goes well.
    #[must_use]
    pub fn lines(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            protocol: Wire::default().into(),
            backoff: None,
            timeout: Duration::from_secs(30),
        }
    }

    /// As [`lines`](Self::lines), for the WebSocket at `target`: a path such as `/`, and a query if it has one.
    #[must_use]
    pub fn websocket(address: impl Into<String>, target: impl Into<String>) -> Self {
        let protocol = DialProtocol::WebSocket(Arc::new(OpeningHandshake::new(target)));
        Self { protocol, ..Self::lines(address) }
    }
}

/// As an address: `tcp://HOST:PORT`, `length://HOST:PORT` or `ws://HOST:PORT/PATH`. The first two take the options of
/// [`Listen`](crate::Listen) for their wires, such as `?ending=crlf` and `?prefix=u16be`; the query of the third is the server's.
/// One attempt of at most 30 s.
impl FromStr for Dial {
    type Err = DialError;

    fn from_str(text: &str) -> Result<Self, DialError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (address, target) = rest.split_at(end);
        let has_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
        if !address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && has_port(port)) {
            return Err(DialError::Address);
        }
        match scheme {
            "ws" if target.starts_with('/') => Ok(Self::websocket(address, target)),
            "ws" => Ok(Self::websocket(address, ["/", target].concat())),
            "tcp" | "length" if target.starts_with('/') => Err(DialError::Address),
            "tcp" | "length" => {
                let listen: Listen = ["tcp://127.0.0.1:1", "length://127.0.0.1:1"][usize::from(scheme == "length")]
                    .chars()
                    .chain(target.chars())
                    .collect::<String>()
                    .parse()
                    .map_err(DialError::Option)?;
                Ok(Self { protocol: listen.protocol.wire().into(), ..Self::lines(address) })
            }
            _ => Err(DialError::Scheme),
        }
    }
}

/// Not an address to dial.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The scheme is unknown.
    #[error("an address begins with tcp://, length:// or ws://")]
    Scheme,
    /// It is not HOST:PORT, or has a path where there is none.
    #[error("an address is SCHEME://HOST:PORT, with a path for ws:// only, and a port from 1 to 65535")]
    Address,
    /// An option of the wire is wrong.
    #[error(transparent)]
    Option(ListenError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn waits_agree_with_repeated_multiplication(
            initial in 1..5000u64, factor in 1..6u8, cap in 1..100_000u64, jitter in 0..=100u8, seed: u64, failures in 1..40u32
        ) {
            let backoff = Backoff {
                initial: Duration::from_millis(initial),
                factor,
                cap: Duration::from_millis(cap),
                jitter_percent: jitter,
                ..Backoff::default()
            };
            let mut longest = u128::from(initial) * 1_000_000;
            for _ in 1..failures {
                longest = (longest * u128::from(factor)).min(u128::from(cap) * 1_000_000);
            }
            let longest = longest.min(u128::from(cap) * 1_000_000);
            let least = INTERVAL_MIN.as_nanos();
            let (shortest, longest) = ((longest - longest * u128::from(jitter) / 100).max(least), longest.max(least));
            let waited = backoff.wait(failures, &mut Random::new(seed)).expect("for ever");
            let wait = waited.as_nanos();
            prop_assert!((shortest.saturating_sub(100)..=longest).contains(&wait), "{} not in {}..={}", wait, shortest, longest);
            prop_assert_eq!(Some(waited), backoff.wait(failures, &mut Random::new(seed)));
        }
    }

    #[test]
    fn addresses_to_dial_are_read_and_bad_ones_named() {
        let dial = |text: &str| text.parse::<Dial>();
        assert_eq!(dial("example.org:7"), Ok(Dial::lines("example.org:7")));
        assert_eq!(dial("tcp://[::1]:7"), Ok(Dial::lines("[::1]:7")));
        assert_eq!(dial("ws://h:80"), Ok(Dial::websocket("h:80", "/")));
        assert_eq!(dial("ws://h:80/chat?x=1"), Ok(Dial::websocket("h:80", "/chat?x=1")));
        assert_eq!(dial("ws://h:80?x=1"), Ok(Dial::websocket("h:80", "/?x=1")));
        let framed = dial("length://h:1?prefix=u16be").expect("good");
        assert_ne!(framed.protocol, dial("length://h:1").expect("good").protocol);
        for (text, error) in [
            ("", DialError::Address),
            ("h", DialError::Address),
            ("h:0", DialError::Address),
            (":7", DialError::Address),
            ("tcp://h:99999", DialError::Address),
            ("tcp://h:7/x", DialError::Address),
            ("wss://h:7", DialError::Scheme),
        ] {
            assert_eq!(dial(text), Err(error), "{text}");
        }
        assert!(matches!(dial("tcp://h:7?colour=red"), Err(DialError::Option(_))));
    }
}
