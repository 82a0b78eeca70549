//! A person is asked for name and password.

use crate::{ConnId, Hub};
use alloc::borrow::ToOwned;
use alloc::string::String;

/// How far it has gone.
#[derive(Default)]
pub(super) struct Dialogue {
    user: Option<String>,
}

/// What a line made of it.
pub(super) enum Said {
    More(Dialogue),
    Password { user: String, password: String },
}

impl Dialogue {
    pub(super) fn begin<C: Default>(hub: &mut Hub<'_, C>, conn: ConnId) {
        hub.prompt(conn, "user: ");
    }

    pub(super) fn wants_password(&self) -> bool {
        self.user.is_some()
    }

    pub(super) fn said<C: Default>(self, hub: &mut Hub<'_, C>, conn: ConnId, line: &str) -> Said {
        match self.user {
            Some(user) => Said::Password { user, password: line.to_owned() },
            None if line.trim().is_empty() => {
                Self::begin(hub, conn);
                Said::More(Self::default())
            }
            None => {
                hub.prompt_hidden(conn, "password: ");
                Said::More(Self { user: Some(line.trim().to_owned()) })
            }
        }
    }
}
