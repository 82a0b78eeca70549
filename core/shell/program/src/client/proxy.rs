//! The proxy of `drupe client`: its flags, and the variables of the environment.

use clap::Args;
use clap::error::ErrorKind;
use drupe_core::Dial;
use drupe_core::limit::Network;
use drupe_core::wire::outgoing_proxy::{OutgoingProxy, ProxyHandshake};
use std::net::IpAddr;

/// The flags of `drupe client` for proxies.
///
/// `--proxy` applies to every address, including those of this machine and of `NO_PROXY`. Without
/// it, `HTTPS_PROXY` applies to addresses with TLS, and `ALL_PROXY` to all others, and to those
/// with TLS if `HTTPS_PROXY` is not set. `NO_PROXY` lists exceptions.
#[derive(Args)]
#[command(next_help_heading = "Proxy")]
#[expect(clippy::doc_markdown, reason = "the text is for --help, not for rustdoc")]
pub(crate) struct ProxyArguments {
    /// Connect through this proxy, such as http://[USER:PASSWORD@]HOST:PORT (CONNECT) or socks5://HOST:PORT; without it,
    /// HTTPS_PROXY, ALL_PROXY and NO_PROXY of the environment decide, except for addresses of this machine
    #[arg(long, value_name = "URL", conflicts_with = "no_proxy")]
    proxy: Option<String>,
    /// Connect directly, whatever the environment says
    #[arg(long)]
    no_proxy: bool,
}

impl ProxyArguments {
    /// Sets the proxy of a dial. Returns the source of its address if it has one.
    ///
    /// `variable` returns a variable of the environment.
    ///
    /// # Errors
    /// If the proxy cannot be parsed, or cannot connect to the dialled address: see
    /// [`ProxyFault::BadTarget`](drupe_core::ProxyFault::BadTarget).
    pub(crate) fn apply(
        &self,
        dial: &mut Dial,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<String>, clap::Error> {
        let found = match &self.proxy {
            Some(text) => Some(("--proxy".to_owned(), text.clone())),
            None if self.no_proxy => None,
            None => of_environment(dial, variable),
        };
        let Some((source, text)) = found else { return Ok(None) };
        // Errors of clap contain the value, and with it the password.
        let wrong = |words: String| clap::Error::raw(ErrorKind::ValueValidation, format!("{source}: {words}\n"));
        let proxy: OutgoingProxy = text.parse().map_err(|error| wrong(format!("{error}")))?;
        if let Err(fault) = ProxyHandshake::new(&proxy, &dial.address) {
            return Err(wrong(format!("{}: {}", dial.address, fault.advice())));
        }
        dial.proxy = Some(proxy);
        Ok(Some(source))
    }
}

/// Returns the proxy that the environment names for a dial, and the name of the variable.
fn of_environment(dial: &Dial, variable: impl Fn(&str) -> Option<String>) -> Option<(String, String)> {
    // A lower-case name takes precedence, as in curl. An empty variable counts as unset.
    let value = |name: &str| {
        let names = [name.to_lowercase(), name.to_owned()];
        names.into_iter().find_map(|name| Some((variable(&name).filter(|value| !value.is_empty())?, name)))
    };
    let host = host_of(&dial.address)?;
    if is_local(host) || value("NO_PROXY").is_some_and(|(list, _)| is_excepted(host, &list)) {
        return None;
    }
    let of_tls = dial.tls.is_some().then(|| value("HTTPS_PROXY")).flatten();
    let (text, name) = of_tls.or_else(|| value("ALL_PROXY"))?;
    Some((name, text))
}

/// Returns the host of `HOST:PORT` without brackets and the final dot, or `None` for a Unix socket.
fn host_of(address: &str) -> Option<&str> {
    let (host, _) = address.rsplit_once(':').filter(|_| !address.starts_with("unix:"))?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some(host.strip_suffix('.').unwrap_or(host))
}

fn is_local(host: &str) -> bool {
    let is_loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
    let is_below = |host: &str| host.to_ascii_lowercase().ends_with(".localhost");
    host.eq_ignore_ascii_case("localhost") || is_below(host) || host.parse().is_ok_and(is_loopback)
}

/// Returns `true` if a host is in a list of exceptions.
fn is_excepted(host: &str, list: &str) -> bool {
    let ip: Option<IpAddr> = host.parse().ok();
    list.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        let bare = entry.strip_prefix('[').and_then(|entry| entry.strip_suffix(']')).unwrap_or(entry);
        if let Some(ip) = ip {
            return bare.parse().is_ok_and(|network: Network| network.contains(ip));
        }
        let name = bare.trim_start_matches('.').trim_end_matches('.').to_ascii_lowercase();
        let host = host.to_ascii_lowercase();
        let is_below = || host.strip_suffix(&name).is_some_and(|rest| rest.ends_with('.'));
        !name.is_empty() && (host == name || is_below())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dial(address: &str) -> Dial {
        address.parse().expect(address)
    }

    /// Applies flags and an environment. Returns the text of the proxy and its source.
    fn applied(
        proxy: Option<&str>,
        address: &str,
        environment: &[(&str, &str)],
    ) -> Result<Option<(String, String)>, String> {
        let arguments = ProxyArguments { proxy: proxy.map(ToOwned::to_owned), no_proxy: false };
        let variable = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let mut dial = dial(address);
        let source = arguments.apply(&mut dial, variable).map_err(|error| error.to_string())?;
        Ok(dial.proxy.map(|proxy| proxy.to_string()).zip(source))
    }

    #[test]
    fn variables_apply_by_scheme_and_lower_case_comes_first() {
        let both = &[("HTTPS_PROXY", "http://s:1"), ("ALL_PROXY", "socks5://a:1")];
        let lower = &[("https_proxy", "http://l:1"), ("HTTPS_PROXY", "http://u:1"), ("all_proxy", "b")];
        let empty = &[("https_proxy", ""), ("HTTPS_PROXY", ""), ("ALL_PROXY", "socks5h://a")];
        for (address, environment, expected) in [
            ("tls://h:1", &both[..], Some(("http://s:1", "HTTPS_PROXY"))),
            ("wss://h:1/", both, Some(("http://s:1", "HTTPS_PROXY"))),
            ("tcp://h:1", both, Some(("socks5://a:1", "ALL_PROXY"))),
            ("ws://h:1/", both, Some(("socks5://a:1", "ALL_PROXY"))),
            ("tls://h:1", lower, Some(("http://l:1", "https_proxy"))),
            ("tcp://h:1", lower, Some(("http://b:1080", "all_proxy"))),
            ("tls://h:1", empty, Some(("socks5://a:1080", "ALL_PROXY"))),
            ("tcp://h:1", &[("HTTPS_PROXY", "http://s:1"), ("http_proxy", "http://p:1")], None),
            ("tcp://127.0.0.1:1", both, None),
            ("tls://[::1]:1", both, None),
            ("tls://[::ffff:127.0.0.1]:1", both, None),
            ("wss://LocalHost.:1/", both, None),
            ("wss://a.localhost:1/", both, None),
        ] {
            let expected = expected.map(|(proxy, source): (&str, &str)| (proxy.to_owned(), source.to_owned()));
            assert_eq!(applied(None, address, environment), Ok(expected), "{address} {environment:?}");
        }
    }

    #[test]
    fn flag_overrides_the_environment_and_is_for_local_addresses_too() {
        let environment = &[("ALL_PROXY", "http://a:1"), ("NO_PROXY", "*")];
        let given = |address| applied(Some("socks5://ann:pw@p:9"), address, environment);
        let expected = Some(("socks5://p:9".to_owned(), "--proxy".to_owned()));
        assert_eq!((given("tcp://h:1"), given("tls://127.0.0.1:1")), (Ok(expected.clone()), Ok(expected)));
        let none = ProxyArguments { proxy: None, no_proxy: true };
        let mut direct = dial("tcp://h:1");
        let source = none.apply(&mut direct, |_| Some("http://a:1".into())).expect("no proxy");
        assert_eq!((source, direct.proxy), (None, None));
    }

    #[test]
    fn errors_name_the_source_and_never_the_password() {
        for (flag, environment, words) in [
            (Some("https://ann:hush@p"), &[][..], "--proxy: TLS to the proxy (https://) is not supported"),
            (Some("http://ann:hush%@p"), &[], "--proxy: the user and the password of a proxy are percent-encoded"),
            (None, &[("all_proxy", "socks4://ann:hush@p")], "all_proxy: a proxy begins with http://"),
        ] {
            let error = applied(flag, "tcp://h:1", environment).expect_err(words);
            assert!(error.contains(words) && !error.contains("hush"), "{error}");
        }
        let error = applied(Some("p"), "tcp://a b:1", &[]).expect_err("no name");
        assert!(error.contains("--proxy: a b:1: a proxy connects to HOST:PORT only"), "{error}");
    }

    #[test]
    fn unix_sockets_have_no_proxy_of_the_environment_and_refuse_the_flag() {
        let socket = || Dial::lines("unix:/run/drupe.sock");
        let arguments = |proxy: Option<&str>| ProxyArguments { proxy: proxy.map(ToOwned::to_owned), no_proxy: false };
        let mut dial = socket();
        let source = arguments(None).apply(&mut dial, |_| Some("http://a:1".into())).expect("no proxy");
        assert_eq!((source, dial), (None, socket()));
        let error = arguments(Some("p:1")).apply(&mut socket(), |_| None).expect_err("it has no host");
        assert!(error.to_string().contains("a proxy connects to HOST:PORT only"), "{error}");
    }

    #[test]
    fn exceptions_are_names_with_subdomains_addresses_and_networks() {
        for (host, list, expected) in [
            ("example.org", "example.org", true),
            ("EXAMPLE.org", "a.test,Example.ORG.", true),
            ("a.example.org", "example.org", true),
            ("a.example.org", ".example.org", true),
            ("example.org", ".example.org", true),
            ("badexample.org", "example.org", false),
            ("example.org", "a.example.org", false),
            ("example.org", "", false),
            ("example.org", ". , ,", false),
            ("example.org", "a b example.org", true),
            ("example.org", "*", true),
            ("example.org", "*.org", false),
            ("10.1.2.3", "10.0.0.0/8", true),
            ("11.1.2.3", "10.0.0.0/8", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "3", false),
            ("2001:db8::7", "[2001:db8:0:0::7]", true),
            ("2001:db8::7", "2001:db8::/32", true),
            ("2001:db8::7", "2001:db8::8", false),
        ] {
            assert_eq!(is_excepted(host, list), expected, "{host} {list}");
        }
    }
}
