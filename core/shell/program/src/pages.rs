//! The addresses of pages, in a form that a terminal makes clickable.

use drupe_core::Config;
use drupe_core::wire::Protocol;
use std::net::SocketAddr;

/// Returns a line for each page and monitor that a browser on this machine can open.
///
/// `addresses` are those of the configured listeners, in their order, with the ports that the system chose.
pub(crate) fn pages(config: &Config, addresses: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    for (listen, address) in config.listeners.iter().zip(addresses) {
        let Protocol::Http(http) = &listen.protocol else { continue };
        // The port of a tunnel's far end is not on this machine.
        let bound = address.split_once("://").filter(|_| listen.address.forward().is_none());
        let bound = bound.and_then(|(_, rest)| rest.split('/').next()?.parse::<SocketAddr>().ok());
        let Some(bound) = bound else { continue };
        // A listener on all addresses is reached at any name, unless the configuration lists its names.
        let host = match http.hosts.first() {
            Some(host) if bound.ip().is_unspecified() => host.to_string(),
            None if bound.ip().is_unspecified() => "localhost".into(),
            _ => String::new(),
        };
        let port = bound.port();
        let place = match host.as_str() {
            "" => bound.to_string(),
            host if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) => host.into(),
            host => format!("{host}:{port}"),
        };
        let scheme = if listen.tls.is_some() { "https" } else { "http" };
        if http.page || http.files.is_some() {
            lines.push(format!("page at {scheme}://{place}/"));
        }
        if http.monitor.is_some() {
            lines.push(format!("monitor at {scheme}://{place}/monitor"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails where its assumption does")]

    use super::*;
    use drupe_core::settings::Sources;

    fn lines(listener: &str, bound: &str) -> Vec<String> {
        let credential = if listener.contains("monitor") { "monitor: { credential: 0123456789abcdef }\n" } else { "" };
        let text = format!("{credential}listeners: {{ a: {{ {listener} }} }}\n");
        let resolved = Sources::new().file("drupe.yaml", &text).resolve().expect(listener);
        pages(&resolved.plan.config, &[bound.to_owned()])
    }

    #[test]
    fn pages_are_printed_as_addresses_that_a_browser_opens() {
        let web =
            |address: &str, more: &str| format!("address: '{address}', protocol: websocket, websocket: {{ {more} }}");
        let local = web("127.0.0.1:0", "path: /chat, monitor: true");
        let expected = ["page at http://127.0.0.1:8025/", "monitor at http://127.0.0.1:8025/monitor"];
        assert_eq!(lines(&local, "ws://127.0.0.1:8025/chat"), expected);
        assert_eq!(lines(&web("[::]:0", "page: true"), "ws://[::]:8025"), ["page at http://localhost:8025/"]);
        let named = web("0.0.0.0:0", "hosts: [chat.example.org]");
        assert_eq!(lines(&named, "ws://0.0.0.0:8025"), ["page at http://chat.example.org:8025/"]);
        let ported = web("0.0.0.0:0", "hosts: ['chat.example.org:80']");
        assert_eq!(lines(&ported, "ws://0.0.0.0:8025"), ["page at http://chat.example.org:80/"]);
        assert_eq!(lines(&web("127.0.0.1:0", "page: false"), "ws://127.0.0.1:8025"), [""; 0]);
        assert_eq!(lines("address: '127.0.0.1:0', protocol: telnet", "telnet://127.0.0.1:8023"), [""; 0]);
        assert_eq!(lines(&web("unix:/x", "page: true"), "ws:///x"), [""; 0]);
    }
}
