//! What a peer heard, split into messages, gap notices and memberships.

use drupe_core::history::{Gap, Position};

/// One message that a peer received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard<'t> {
    /// The membership with this number begins.
    Asked(usize),
    Left(usize),
    /// The peer is live at this position.
    Joined {
        room: &'t str,
        position: Option<Position>,
    },
    /// A message of a room: its name, and the position if the peer receives JSON.
    Message {
        room: &'t str,
        name: &'t str,
        position: Option<Position>,
    },
    Gap {
        room: &'t str,
        why: Gap,
        position: Option<Position>,
    },
    Other,
}

impl<'t> Heard<'t> {
    pub(crate) fn parse(text: &'t str) -> Self {
        Self::of_message(text).or_else(|| Self::of_gap(text)).or_else(|| Self::of_desk(text)).unwrap_or(Self::Other)
    }

    fn of_message(text: &'t str) -> Option<Self> {
        let position = match text.starts_with("{\"type\":\"message\"") {
            true => Some(field(text, "position")?.parse().ok()?),
            false => None,
        };
        let text = if position.is_some() { field(text, "data")? } else { text.trim_matches('"') };
        let mut words = text.strip_prefix("m ")?.split(' ');
        let (room, name, end) = (words.next()?, words.next()?, words.next()?);
        assert!(end.ends_with(';'), "a message is whole: {text}");
        Some(Self::Message { room, name, position })
    }

    fn of_gap(text: &'t str) -> Option<Self> {
        let named = |name: &str| Gap::ALL.into_iter().find(|gap| gap.name() == name);
        if text.starts_with("{\"type\":\"gap\"") {
            let position = field(text, "position").and_then(|position| position.parse().ok());
            return Some(Self::Gap { room: field(text, "room")?, why: named(field(text, "why")?)?, position });
        }
        let (room, rest) = text.strip_prefix("notice: messages in ")?.split_once(" may be missing (")?;
        Some(Self::Gap { room, why: named(rest.strip_suffix(')')?)?, position: None })
    }

    fn of_desk(text: &'t str) -> Option<Self> {
        let mut words = text.split(' ');
        let (verb, room, last) = (words.next()?, words.next()?, words.next()?);
        Some(match verb {
            "asked" => Self::Asked(last.parse().ok()?),
            "left" => Self::Left(last.parse().ok()?),
            "joined" => Self::Joined { room, position: last.parse().ok() },
            _ => return None,
        })
    }
}

/// Returns the text of a field of a JSON object whose texts need no escapes.
fn field<'t>(json: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = json.split_once(&format!("\"{name}\":\""))?;
    rest.split_once('"').map(|(value, _)| value)
}
