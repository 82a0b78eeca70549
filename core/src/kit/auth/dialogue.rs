//! The login dialogue: prompts for a user name and a password, and for those of a new user.

use super::proof::refuse_registration;
use super::registration::{CREATE, RegistrationRules, check_name};
use crate::base::{ConnId, Peer, Representation};
use crate::config::Address;
use crate::handler::Hub;
use crate::kit::MessageError;
use crate::wire::Protocol;
use alloc::borrow::ToOwned;
use alloc::string::String;

/// Settings of password logins: whether the dialogue is enabled, and plaintext is allowed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asks {
    pub(super) is_enabled: bool,
    pub(super) allows_plaintext: bool,
}

impl Asks {
    /// Returns `true` if the login dialogue may run on this connection.
    ///
    /// The dialogue needs a wire with prompts. Input must stay on this machine or be encrypted,
    /// unless plaintext is allowed.
    pub(super) fn may_ask<C>(self, hub: &Hub<'_, C>, conn: ConnId) -> bool {
        let has_lines = matches!(hub.wire_name(conn), Some("lines" | "telnet" | "ws+telnet" | "ssh"));
        self.is_enabled
            && hub.is_open(conn)
            && has_lines
            && hub.representation(conn) == Representation::Text
            && self.may_send_password(hub, conn)
    }

    /// Returns `true` if a plaintext password may be sent on this connection, prompted or not.
    pub(super) fn may_send_password<C>(self, hub: &Hub<'_, C>, conn: ConnId) -> bool {
        let is_encrypted = hub.secured(conn).is_some() || hub.wire_name(conn) == Some("ssh");
        self.allows_plaintext || is_encrypted || is_local(hub, conn)
    }
}

/// Returns `true` if the socket of a connection, to its peer or to a proxy, crosses no network.
fn is_local<C>(hub: &Hub<'_, C>, conn: ConnId) -> bool {
    let Some(listen) = hub.listen(conn) else { return false };
    let is_local = match &listen.address {
        Address::Tcp(address) => address.ip().to_canonical().is_loopback(),
        Address::Unix(_) => true,
        Address::Forwarded(forward) => forward.bind.is_local(),
        Address::Inherited(_) | Address::Mounted(_) => false,
    };
    // Behind a proxy, the peer is not the other end of this socket.
    let has_proxies =
        listen.proxies.is_some() || matches!(&listen.protocol, Protocol::Http(http) if http.forwarded.is_some());
    let is_peer_local = || match hub.peer(conn) {
        Some(Peer::Address(address)) => address.ip().to_canonical().is_loopback(),
        Some(Peer::Local) => true,
        None => false,
    };
    is_local || !has_proxies && is_peer_local()
}

/// The state of a dialogue: a login, or the registration of a user.
#[derive(Default)]
pub(super) enum Dialogue {
    /// The peer is asked for the name of its user.
    #[default]
    User,
    Password {
        user: String,
    },
    /// The peer is asked for a name to register.
    NewUser,
    NewPassword {
        user: String,
    },
    /// The peer is asked for the new password again.
    Again {
        user: String,
        password: String,
    },
}

/// The result of a line in the dialogue: its next state, or the entered user and password.
pub(super) enum Step {
    More(Dialogue),
    Password {
        user: String,
        password: String,
    },
    Registration {
        user: String,
        password: String,
    },
    /// A name that nobody may register.
    BadName(MessageError),
}

impl Dialogue {
    pub(super) fn begin<C>(hub: &mut Hub<'_, C>, conn: ConnId, registration: Option<RegistrationRules>) {
        hub.prompt(conn, if registration.is_some() { "user (or create): " } else { "user: " });
    }

    pub(super) const fn wants_password(&self) -> bool {
        matches!(self, Self::Password { .. } | Self::NewPassword { .. } | Self::Again { .. })
    }

    pub(super) fn next<C>(
        self,
        hub: &mut Hub<'_, C>,
        conn: ConnId,
        line: &str,
        registration: Option<RegistrationRules>,
    ) -> Step {
        match (self, registration) {
            (Self::Password { user }, _) => Step::Password { user, password: line.to_owned() },
            (Self::User, Some(_)) if line.trim() == CREATE => {
                hub.prompt(conn, "new user: ");
                Step::More(Self::NewUser)
            }
            (Self::User | Self::NewUser, _) if line.trim().is_empty() => {
                Self::begin(hub, conn, registration);
                Step::More(Self::User)
            }
            (Self::NewUser, Some(_)) => match check_name(line.trim()) {
                Ok(user) => {
                    hub.prompt_hidden(conn, "new password: ");
                    Step::More(Self::NewPassword { user })
                }
                Err(error) => Step::BadName(error),
            },
            (Self::NewPassword { user }, rules) => {
                if let Some(Err(error)) = rules.map(|rules| rules.check_password(&user, line)) {
                    refuse_registration(hub, conn, &error);
                    hub.prompt_hidden(conn, "new password: ");
                    return Step::More(Self::NewPassword { user });
                }
                hub.prompt_hidden(conn, "the same password again: ");
                Step::More(Self::Again { user, password: line.to_owned() })
            }
            (Self::Again { user, password }, _) if password == line => Step::Registration { user, password },
            (Self::Again { user, .. }, _) => {
                hub.send(conn, "the passwords differ");
                hub.prompt_hidden(conn, "new password: ");
                Step::More(Self::NewPassword { user })
            }
            (Self::User | Self::NewUser, _) => {
                hub.prompt_hidden(conn, "password: ");
                Step::More(Self::Password { user: line.trim().to_owned() })
            }
        }
    }
}
