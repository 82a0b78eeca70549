//! Outgoing connections in an application's section: checks, and conversion to dials.

use super::formats::PATH;
use super::proxies::proxy;
use super::secret::Secret;
use super::tree::{ClientTlsSettings, OrderChoice};
use super::units::{Maybe, Span, Timeout};
use crate::base::Backoff;
use crate::config::{AddressOrder, Dial, DialError};
use crate::tls::{ClientTls, fingerprint};
use crate::wire::outgoing_proxy::OutgoingProxy;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::time::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An outgoing connection, as a value in an application's [`Section`](super::Section).
///
/// The section returns it from [`Section::dials`](super::Section::dials), so that it is checked and its
/// files are loaded with the configuration. The handler then dials what [`dial`](Self::dial) returns.
///
/// ```
/// use drupe_core::settings::{Catalog, DialSettings, Section, Sources};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// /// The game.
/// #[derive(Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
/// #[serde(default)]
/// struct Game {
///     /// The server with the scores.
///     scores: DialSettings,
/// }
///
/// impl Section for Game {
///     const NAME: &'static str = "game";
///
///     fn dials(&mut self) -> Vec<(&'static str, &mut DialSettings)> {
///         vec![("scores", &mut self.scores)]
///     }
/// }
///
/// let catalog = Catalog::new("mygame").app("game").section::<Game>();
/// let sources = Sources::of(&catalog).file("mygame.yaml", "game:\n  scores: { address: 'length://127.0.0.1:7001' }\n");
/// let plan = sources.resolve()?.plan;
/// let dial = plan.config.sections.get::<Game>().unwrap().scores.dial().unwrap();
/// assert_eq!(dial.address, "127.0.0.1:7001");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct DialSettings {
    /// The address, such as `tls://example.org:7000`; if empty, there is no connection.
    pub address: String,
    /// Further addresses of the same service, each `HOST:PORT` or `unix:///PATH`, at most 63.
    pub others: Vec<String>,
    /// The order in which the addresses are tried.
    pub order: OrderChoice,
    /// Time limit for each attempt, and again for each handshake after it.
    pub timeout: Timeout,
    /// Whether to try again after a failed attempt, and to reconnect.
    pub reconnect: bool,
    /// Wait after all addresses have failed once. Each further wait is twice as long.
    pub wait: Timeout,
    /// Upper limit of the growing wait, at least `wait`.
    pub wait_max: Span,
    /// Number of failed rounds in a row after which the dial ends.
    pub rounds_max: Maybe<NonZeroU32>,
    /// The proxy that connects to the addresses: `http://HOST:PORT` (CONNECT) or `socks5://HOST:PORT`;
    /// if empty, none.
    pub proxy: String,
    /// The user for the proxy.
    pub proxy_user: String,
    /// The password for the proxy.
    pub proxy_password: Secret,
    /// A file whose first line is the password for the proxy.
    #[schemars(extend("format" = PATH))]
    pub proxy_password_file: String,
    /// TLS, if the address has it.
    pub tls: ClientTlsSettings,
    /// The loaded TLS settings.
    #[serde(skip)]
    loaded: Option<ClientTls>,
}

impl Default for DialSettings {
    fn default() -> Self {
        Self {
            address: String::new(),
            others: Vec::new(),
            order: OrderChoice::InOrder,
            timeout: Timeout(Duration::from_secs(30)),
            reconnect: true,
            wait: Timeout(Duration::from_secs(1)),
            wait_max: Span(Duration::from_secs(60)),
            rounds_max: Maybe(None),
            proxy: String::new(),
            proxy_user: String::new(),
            proxy_password: Secret::default(),
            proxy_password_file: String::new(),
            tls: ClientTlsSettings::default(),
            loaded: None,
        }
    }
}

/// A function that loads the TLS settings of an outgoing connection from its files.
pub(super) type LoadClientTls = fn(&ClientTlsSettings) -> Result<ClientTls, String>;

impl DialSettings {
    /// Returns the dial, or `None` if there is no address, or if the address or the proxy is
    /// invalid.
    #[must_use]
    pub fn dial(&self) -> Option<Dial> {
        let mut dial: Dial = self.address.parse().ok()?;
        dial.others.clone_from(&self.others);
        dial.order = match self.order {
            OrderChoice::InOrder => AddressOrder::InOrder,
            OrderChoice::Random => AddressOrder::Random,
        };
        dial.timeout = self.timeout.0;
        let backoff = Backoff { initial: self.wait.0, cap: self.wait_max.0, ..Backoff::default() };
        let attempts_max = self.rounds_max.0.map(NonZeroU32::get);
        dial.backoff = self.reconnect.then_some(Backoff { attempts_max, ..backoff });
        dial.proxy = self.read_proxy().ok()?;
        if let (Some(tls), Some(loaded)) = (&mut dial.tls, &self.loaded) {
            tls.clone_from(loaded);
        }
        Some(dial)
    }

    /// Checks the values, and loads the TLS settings if the address has TLS.
    ///
    /// # Errors
    /// The invalid key, and why it is invalid.
    pub(super) fn prepare(&mut self, load: Option<LoadClientTls>) -> Result<(), (&'static str, String)> {
        if self.address.is_empty() {
            return if *self == Self::default() {
                Ok(())
            } else {
                Err(("address", "it needs the server's address".into()))
            };
        }
        let dial: Dial = self.address.parse().map_err(|error: DialError| ("address", error.to_string()))?;
        if self.others.len() > Dial::OTHERS_MAX {
            return Err((
                "others",
                format!("there are {} addresses; at most {} are allowed", self.others.len(), Dial::OTHERS_MAX),
            ));
        }
        for (other, number) in self.others.iter().zip(1..) {
            let is_host = !other.contains(['/', '?']) && format!("tcp://{other}").parse::<Dial>().is_ok();
            if !is_host && Dial::socket_path(other).is_none_or(str::is_empty) {
                return Err(("others", format!("address {number} of the list is neither HOST:PORT nor unix:///PATH")));
            }
        }
        if self.wait.0 > self.wait_max.0 {
            return Err(("wait", format!("it must be at most wait_max ({})", self.wait_max)));
        }
        if self.read_proxy()?.is_some() && Dial::socket_path(&dial.address).is_some() {
            return Err(("proxy", "the address is a Unix socket, to which no proxy connects".into()));
        }
        if dial.tls.is_none() {
            let has_tls = self.tls != ClientTlsSettings::default();
            let words = "the address has no TLS; use an address such as tls:// or wss://";
            return if has_tls { Err(("tls", words.into())) } else { Ok(()) };
        }
        check_tls(&self.tls)?;
        let load = load.ok_or_else(|| {
            ("address", String::from("this program does not load TLS files for outgoing connections"))
        })?;
        self.loaded = Some(load(&self.tls).map_err(|words| ("tls", words))?);
        Ok(())
    }

    /// Returns the proxy, or the invalid key and why it is invalid.
    fn read_proxy(&self) -> Result<Option<OutgoingProxy>, (&'static str, String)> {
        let mut problem = None;
        let found = proxy(&self.proxy, &self.proxy_user, &self.proxy_password, |key, words| {
            problem.get_or_insert((key, words));
        });
        problem.map_or(Ok(found), Err)
    }
}

/// Checks the settings of TLS. An error has the invalid key and why it is invalid.
pub(super) fn check_tls(tls: &ClientTlsSettings) -> Result<(), (&'static str, String)> {
    let roots = usize::from(!tls.ca.is_empty()) + usize::from(!tls.pins.is_empty()) + usize::from(tls.insecure);
    if roots > 1 {
        return Err(("tls", "ca, pins and insecure exclude each other; set only one of them".into()));
    }
    if let Some(number) = tls.pins.iter().position(|pin| fingerprint(pin).is_none()) {
        return Err(("tls.pins", format!("pin {} is not a SHA-256 fingerprint of 64 hexadecimal digits", number + 1)));
    }
    match (tls.certificate.is_empty(), tls.key.is_empty()) {
        (true, false) => Err(("tls.key", "it needs a certificate: set tls.certificate".into())),
        (false, true) => Err(("tls.certificate", "it needs a private key: set tls.key".into())),
        _ => Ok(()),
    }
}

#[cfg(feature = "tls")]
impl ClientTlsSettings {
    /// Returns the files to load. Without `ca`, `pins` and `insecure`, the roots are those of `system`.
    ///
    /// Invalid pins are ignored; [`Sources::resolve`](super::Sources::resolve) refuses them.
    ///
    /// # Errors
    /// That of `system`.
    pub fn files<E>(
        &self,
        system: impl FnOnce() -> Result<crate::tls::Roots, E>,
    ) -> Result<crate::tls::ClientTlsFiles, E> {
        use crate::tls::{CertificateFiles, ClientTlsFiles, Roots};
        let roots = if self.insecure {
            Roots::Unverified
        } else if !self.ca.is_empty() {
            Roots::File(self.ca.clone().into())
        } else if self.pins.is_empty() {
            system()?
        } else {
            Roots::Pinned(self.pins.iter().filter_map(|pin| fingerprint(pin)).collect())
        };
        let has_certificate = !self.certificate.is_empty();
        let certificate = has_certificate.then(|| CertificateFiles::new(&self.certificate, &self.key));
        Ok(ClientTlsFiles::new(roots).certificate(certificate).protocols(self.protocols.clone()))
    }
}
