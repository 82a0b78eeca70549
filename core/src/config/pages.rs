use crate::base::setters;
use alloc::string::String;

/// The title of the built-in pages, and how the page with the WebSocket client logs its user in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageOptions {
    /// The title of the pages, and the realm of credentials (RFC 9110 section 11.5).
    ///
    /// Default: `Drupe`. A program uses its own name.
    pub title: String,
    /// How the page with the WebSocket client logs its user in. Default: not at all.
    ///
    /// It must fit the [`Authentication`](crate::kit) of the server, which alone protects it. A peer
    /// whose client certificate names a user gets the page without a login.
    pub login: PageLogin,
}

setters!(PageOptions { title: String, login: PageLogin });

impl Default for PageOptions {
    /// Returns the title `Drupe`, and a page without a login.
    fn default() -> Self {
        Self { title: "Drupe".into(), login: PageLogin::None }
    }
}

/// How the page with the WebSocket client logs its user in, before it sends anything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PageLogin {
    /// Not at all.
    #[default]
    None,
    /// With a user name and a password (SCRAM, RFC 5802).
    Password,
    /// With a user name and a password, or as a new user who registers.
    PasswordOrNewUser,
    /// With a token.
    Token,
}

impl PageLogin {
    /// Returns the value of the attribute that tells the page.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Password => "password",
            Self::PasswordOrNewUser => "register",
            Self::Token => "token",
        }
    }
}
