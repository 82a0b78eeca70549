//! Messages of the server itself to a peer: text for people, JSON for programs.

use crate::base::text::json_escape;
use crate::base::{Reason, Representation};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

/// A message of the server itself, on listeners with [`notices`](crate::Listen::notices).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Notice<'a> {
    /// A warning that the peer should change its behaviour.
    Warning(&'a str),
    /// Information for the peer.
    News(&'a str),
    /// An announcement that the connection ends, with the reason.
    Closing(Reason),
}

impl<'a> Notice<'a> {
    /// Formats the notice as text or JSON.
    ///
    /// As JSON it is `{"type":"warning","reason":"..."}`, `{"type":"notice","reason":"..."}` or
    /// `{"type":"closing","code":"idle","reason":"..."}`.
    pub(crate) fn write(self, representation: Representation) -> String {
        match (representation, self) {
            (Representation::Text, Self::Closing(reason)) => format!("closing ({reason}): {}", reason.sentence()),
            (Representation::Text, Self::Warning(_) | Self::News(_)) => format!("{}: {}", self.kind(), self.words()),
            (Representation::Json, _) => self.json(),
        }
    }

    fn json(self) -> String {
        let mut json = format!("{{\"type\":\"{}\",", self.kind());
        if let Self::Closing(reason) = self {
            json.push_str("\"code\":\"");
            json.push_str(reason.name());
            json.push_str("\",");
        }
        json.push_str("\"reason\":\"");
        json_escape(&self.words(), &mut json);
        json.push_str("\"}");
        json
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Warning(_) => "warning",
            Self::News(_) => "notice",
            Self::Closing(_) => "closing",
        }
    }

    fn words(self) -> Cow<'a, str> {
        match self {
            Self::Warning(words) | Self::News(words) => words.into(),
            Self::Closing(reason) => reason.sentence().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_written_as_text_or_json() {
        for (notice, text, json) in [
            (
                Notice::Warning("slow \"down\""),
                "warning: slow \"down\"",
                r#"{"type":"warning","reason":"slow \"down\""}"#,
            ),
            (Notice::News("it is late"), "notice: it is late", r#"{"type":"notice","reason":"it is late"}"#),
            (
                Notice::Closing(Reason::Silent),
                "closing (silent): nothing was received for too long",
                r#"{"type":"closing","code":"silent","reason":"nothing was received for too long"}"#,
            ),
        ] {
            assert_eq!(notice.write(Representation::Text), text);
            assert_eq!(notice.write(Representation::Json), json);
        }
    }
}
