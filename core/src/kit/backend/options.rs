//! The options of a backend, and the bytes of its requests.

use crate::config::Dial;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::time::Duration;

/// The server, and the limits of requests to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kit) struct BackendOptions {
    /// The address, the proxy and TLS. The other fields of the dial have no effect.
    pub(in crate::kit) dial: Dial,
    /// The prefix of the paths of all requests, such as `/hooks`.
    pub(in crate::kit) prefix: String,
    /// Fields of all requests, such as `Authorization`.
    pub(in crate::kit) fields: Vec<(String, String)>,
    /// Time limit for an answer, for a connection attempt, and for each attempt of a notice.
    pub(in crate::kit) timeout: Duration,
    /// Maximum number of connections of this worker. 0 counts as 1.
    pub(in crate::kit) connections_max: u16,
}

impl BackendOptions {
    /// Returns the bytes of a request. Control characters become spaces, so that a value cannot add a field.
    pub(super) fn request(&self, path: &str, fields: &[(String, String)], body: &str) -> Vec<u8> {
        let mut head = format!("POST {}{path} HTTP/1.1\r\nHost: {}\r\n", clean(&self.prefix), clean(self.host()));
        for (name, value) in self.fields.iter().chain(fields) {
            let _ = write!(head, "{}: {}\r\n", clean(name), clean(value));
        }
        let _ = write!(head, "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut request = head.into_bytes();
        request.extend_from_slice(body.as_bytes());
        request
    }

    /// Returns the value of `Host`: the address, without the default port of its scheme.
    fn host(&self) -> &str {
        let address = &*self.dial.address;
        let default = if self.dial.tls.is_some() { ":443" } else { ":80" };
        if Dial::socket_path(address).is_some() {
            "localhost"
        } else {
            address.strip_suffix(default).unwrap_or(address)
        }
    }
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_name_the_host_and_take_no_fields_from_values() {
        let options = |address: &str| BackendOptions {
            dial: address.parse().expect("an address"),
            prefix: "/hooks".into(),
            fields: Vec::from([("X-Key".into(), "a\r\nB: c".into())]),
            timeout: Duration::from_secs(1),
            connections_max: 1,
        };
        let text = |address: &str| String::from_utf8(options(address).request("/rpc", &[], "{}")).expect("text");
        let expected = "POST /hooks/rpc HTTP/1.1\r\nHost: a.example:3000\r\nX-Key: a  B: c\r\n\
                        Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(text("tcp://a.example:3000"), expected);
        assert!(text("tcp://a.example:80").contains("Host: a.example\r\n"));
        assert!(text("unix:///tmp/x").contains("Host: localhost\r\n"));
    }
}
