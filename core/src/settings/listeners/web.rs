//! HTTP and WebSocket options of a listener.

use super::View;
use crate::config::Address;
use crate::settings::plan::limits::networks;
use crate::settings::plan::problems::Problems;
use crate::settings::tree::{AccessChoice, FieldChoice, Profile};
use crate::settings::units::Size;
use crate::settings::words::quoted;
use crate::tunnel::RemoteBind;
use crate::wire::http::{
    Access, Authority, AuthorityError, Files, Forwarded, ForwardedField, Http, OriginError, Origins, WebOrigin,
};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Default maximum size of the body of a request, in bytes, on a listener with an API.
const API_BODY: u64 = 1 << 20;

impl View<'_> {
    pub(super) fn http(&self, address: &Address, problems: &mut Problems<'_>) -> Http {
        let web = self.listener.websocket.clone().unwrap_or_default();
        if let (false, Err(problem)) = (web.path.is_empty(), Http::check_path(&web.path)) {
            self.add("websocket.path", problem, problems);
        }
        let monitor = &self.settings.monitor;
        if web.monitor && monitor.credential.is_empty() {
            self.add("websocket.monitor", "it needs monitor.credential (or monitor.credential_file)", problems);
        }
        if web.metrics == Some(AccessChoice::Credential)
            && monitor.credential.is_empty()
            && monitor.metrics_credential.is_empty()
        {
            self.add("websocket.metrics", "it needs monitor.metrics_credential, or monitor.credential", problems);
        }
        if web.api && self.settings.api.key.is_empty() {
            self.add("websocket.api", "it needs api.key (or api.key_file)", problems);
        }
        let is_token = |text: &String| !text.is_empty() && text.bytes().all(is_of_token);
        for subprotocol in web.subprotocols.iter().filter(|subprotocol| !is_token(subprotocol)) {
            let words = format!(
                "{} is not a subprotocol: a name has no blanks, commas or similar characters",
                quoted(subprotocol)
            );
            self.add("websocket.subprotocols", words, problems);
        }
        let forwarded = self.listener.forwarded.as_ref().map(|forwarded| Forwarded {
            field: match forwarded.field {
                FieldChoice::XForwardedFor => ForwardedField::XForwardedFor,
                FieldChoice::Forwarded => ForwardedField::Forwarded,
            },
            trusted: self.trusted("forwarded.trusted", &networks(&forwarded.trusted), problems),
        });
        let hosts = match &web.hosts {
            Some(hosts) => {
                let parse = |host: &String| match host.parse() {
                    Ok(host) => Some(host),
                    Err(AuthorityError { problem, .. }) => {
                        let words = format!("{} is not the name or address of a server: {problem}", quoted(host));
                        self.add("websocket.hosts", words, problems);
                        None
                    }
                };
                hosts.iter().filter_map(parse).collect()
            }
            None => own_hosts(address),
        };
        Http {
            path: (!web.path.is_empty()).then(|| web.path.clone()),
            origins: self.origins(&web.origins, problems),
            subprotocols: web.subprotocols,
            deflate: web.deflate,
            ping: web.ping.0.map(|ping| ping.0),
            hosts,
            forwarded,
            monitor: self.credentials.monitor.filter(|_| web.monitor).cloned(),
            api: self.credentials.api.filter(|_| web.api).cloned(),
            metrics: match (web.metrics, self.credentials.metrics) {
                (Some(AccessChoice::Open), _) => Access::Open,
                (Some(AccessChoice::Credential), Some(credential)) => Access::Credential(credential.clone()),
                // Without a credential, there is already an error, and access is off. `None` is
                // replaced by the listener's default afterwards.
                (Some(AccessChoice::Credential), None) | (Some(AccessChoice::Off) | None, _) => Access::Off,
            },
            page: web.page,
            files: (!web.files.is_empty()).then(|| Files::pending(web.files)),
            telnet: None,
            timeout: web.timeout.0,
            body_max_bytes: self.body_max(web.body_max.unwrap_or(Size(if web.api { API_BODY } else { 0 })), problems),
        }
    }

    fn body_max(&self, size: Size, problems: &mut Problems<'_>) -> u32 {
        let most = Http::BODY_MAX_BYTES;
        u32::try_from(size.0).ok().filter(|size| *size <= most).unwrap_or_else(|| {
            self.add("websocket.body_max", format!("it must be at most {}", Size(most.into())), problems);
            most
        })
    }

    fn origins(&self, origins: &[String], problems: &mut Problems<'_>) -> Origins {
        match origins {
            [same] if same == "same" => Origins::Same,
            [any] if any == "*" => {
                if self.settings.profile == Profile::Production {
                    let words = "any page could connect in its visitor's name; in production, list the allowed origins";
                    self.add("websocket.origins", words, problems);
                }
                Origins::Any
            }
            list => {
                let parse = |origin: &String| match origin.parse::<WebOrigin>() {
                    Ok(origin) => Some(origin),
                    Err(OriginError { problem, .. }) => {
                        let words = format!("{} is not an origin: {problem}", quoted(origin));
                        self.add("websocket.origins", words, problems);
                        None
                    }
                };
                Origins::List(list.iter().filter_map(parse).collect())
            }
        }
    }
}

/// Returns `true` if a byte may be in an HTTP token (RFC 9110 section 5.6.2).
fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Returns the host names that browsers send for a loopback address; none for other addresses.
fn own_hosts(address: &Address) -> Vec<Authority> {
    let is_loopback = match address {
        Address::Tcp(address) => address.ip().to_canonical().is_loopback(),
        Address::Forwarded(forward) => matches!(forward.bind, RemoteBind::Tcp { .. }) && forward.bind.is_local(),
        Address::Unix(_) | Address::Inherited(_) | Address::Mounted(_) => false,
    };
    let names = if is_loopback { &["localhost", "127.0.0.1", "[::1]"][..] } else { &[] };
    names.iter().filter_map(|name| name.parse().ok()).collect()
}
