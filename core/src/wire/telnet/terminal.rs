use super::Charset;
use alloc::string::String;
use alloc::vec::Vec;

/// The properties of a telnet peer's terminal, as the peer reported or negotiated them.
///
/// All of it is bounded, and none of it is authenticated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terminal {
    /// Whether the peer has sent a telnet command.
    ///
    /// Before that, it may be any program that sends lines.
    pub is_telnet: bool,
    /// Window width in characters, 1 to [`SIZE_MAX`](Self::SIZE_MAX). `None` if unknown.
    pub columns: Option<u16>,
    /// Window height in rows, 1 to [`SIZE_MAX`](Self::SIZE_MAX). `None` if unknown.
    pub rows: Option<u16>,
    /// The terminal types, in the peer's order of preference (RFC 1091).
    ///
    /// At most [`TYPES_MAX`](Self::TYPES_MAX) of at most 40 characters. The first type of a MUD
    /// client is its own name.
    pub types: Vec<String>,
    /// The client's capabilities, as numbered by the MUD Terminal Type Standard; see [`Mtts`].
    pub mtts: Option<Mtts>,
    /// The character set of text in both directions.
    pub charset: Charset,
    /// Environment variables and their values, at most [`VARIABLES_MAX`](Self::VARIABLES_MAX).
    pub environment: Vec<(String, String)>,
    /// Line speed to the terminal and from it, in bits per second.
    pub speed: Option<(u32, u32)>,
    /// The X display, as `host:display.screen`.
    pub display_location: Option<String>,
    /// The location of the terminal, as free text (RFC 779).
    pub location: Option<String>,
}

/// Capability bits of the MUD Terminal Type Standard (MTTS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a bit set is all that it is")]
pub struct Mtts(pub u32);

impl Mtts {
    /// Support for ANSI colours.
    pub const ANSI: u32 = 1;
    /// Support for VT100 control sequences.
    pub const VT100: u32 = 2;
    /// Support for UTF-8.
    pub const UTF_8: u32 = 4;
    /// Support for 256 colours.
    pub const COLORS_256: u32 = 8;
    /// Support for mouse tracking.
    pub const MOUSE_TRACKING: u32 = 16;
    /// Support for changing the colour palette.
    pub const OSC_COLOR_PALETTE: u32 = 32;
    /// A screen reader is in use.
    pub const SCREEN_READER: u32 = 64;
    /// The client is a proxy, so the other bits may not apply to its user.
    pub const PROXY: u32 = 128;
    /// Support for 24-bit colours.
    pub const TRUECOLOR: u32 = 256;

    /// Returns `true` if all of `bits` are set.
    #[must_use]
    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits == bits
    }
}

impl Terminal {
    /// Largest width and height of a window, in characters.
    pub const SIZE_MAX: u16 = 1_000;
    /// Largest number of terminal types that are requested.
    pub const TYPES_MAX: usize = 10;
    /// Largest number of environment variables that are kept.
    pub const VARIABLES_MAX: usize = 32;
    /// Longest variable name, variable value or location that is kept, in bytes.
    pub const TEXT_MAX_BYTES: usize = 256;
    /// Longest terminal type, in characters. The rest is cut off.
    const TYPE_MAX_CHARS: usize = 40;

    /// Returns the value of the environment variable `name`, if it is set.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns `true` if `name` is one of the terminal types, ignoring case.
    #[must_use]
    pub fn is_type(&self, name: &str) -> bool {
        self.types.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Returns `true` if one of the terminal types is `dumb`, which cannot move the cursor back.
    pub(crate) fn is_dumb(&self) -> bool {
        self.is_type("dumb")
    }

    /// Sets the window size, up to `SIZE_MAX`. Returns `true` if it changed.
    ///
    /// A width or height of 0 is unspecified (RFC 1073), and keeps the previous value.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) -> bool {
        let clamp = |given: u16, before: Option<u16>| if given == 0 { before } else { Some(given.min(Self::SIZE_MAX)) };
        let (columns, rows) = (clamp(columns, self.columns), clamp(rows, self.rows));
        let changed = (columns, rows) != (self.columns, self.rows);
        (self.columns, self.rows) = (columns, rows);
        changed
    }

    /// Adds a terminal type or sets the MTTS bits. Returns `true` if another type should follow.
    pub(crate) fn add_type(&mut self, name: &[u8]) -> bool {
        let name: String = name
            .iter()
            .filter(|byte| byte.is_ascii_graphic() || **byte == b' ')
            .map(|&byte| char::from(byte))
            .collect();
        let name = name.get(..Self::TYPE_MAX_CHARS).unwrap_or(&name);
        if let Some(bits) = name.get(..5).filter(|prefix| prefix.eq_ignore_ascii_case("MTTS ")) {
            self.mtts = name[bits.len()..].trim().parse().ok().map(Mtts);
            return false;
        }
        // The peer repeats the last type to mark the end of the list (RFC 1091).
        if name.is_empty() || self.types.iter().any(|known| known == name) || self.types.len() >= Self::TYPES_MAX {
            return false;
        }
        // Most terminals have one or two.
        self.types.reserve_exact(1);
        self.types.push(name.into());
        self.types.len() < Self::TYPES_MAX
    }

    /// Sets or removes an environment variable. Returns `true` if that changed anything.
    ///
    /// A value that is too long or contains control characters counts as none.
    pub(crate) fn set_variable(&mut self, name: &[u8], value: Option<&[u8]>) -> bool {
        let text = |bytes: &[u8]| {
            let short = (bytes.len() <= Self::TEXT_MAX_BYTES).then(|| String::from_utf8_lossy(bytes).into_owned());
            short.filter(|text| !text.chars().any(char::is_control))
        };
        let Some(name) = text(name).filter(|name| !name.is_empty()) else { return false };
        let place = self.environment.iter().position(|(known, _)| *known == name);
        match (place, value.and_then(text)) {
            (Some(place), None) => drop(self.environment.remove(place)),
            (Some(place), Some(value)) if self.environment[place].1 == value => return false,
            (Some(place), Some(value)) => self.environment[place].1 = value,
            (None, Some(value)) if self.environment.len() < Self::VARIABLES_MAX => self.environment.push((name, value)),
            (None, _) => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_size_is_clamped_and_zero_is_ignored() {
        let mut terminal = Terminal::default();
        assert!(!terminal.resize(0, 0));
        assert!(terminal.resize(65_535, 24));
        assert_eq!((terminal.columns, terminal.rows), (Some(1_000), Some(24)));
        assert!(!terminal.resize(0, 24));
    }

    #[test]
    fn terminal_types_end_at_repetition_mtts_or_limit() {
        let mut terminal = Terminal::default();
        assert!(terminal.add_type(b"TINTIN++") && terminal.add_type(b"XTERM"));
        assert!(!terminal.add_type(b"MTTS 2061"));
        assert_eq!(terminal.types, ["TINTIN++", "XTERM"]);
        assert!(terminal.mtts.is_some_and(|mtts| mtts.has(Mtts::ANSI | Mtts::COLORS_256) && !mtts.has(Mtts::VT100)));
        assert!(!terminal.add_type(b"XTERM"));
        for number in 0..20 {
            terminal.add_type(alloc::format!("T{number}\x1b").as_bytes());
        }
        assert_eq!(terminal.types.len(), Terminal::TYPES_MAX);
        assert!(terminal.types.contains(&"T0".into()));
    }

    #[test]
    fn terminal_variables_are_bounded_without_control_characters() {
        let mut terminal = Terminal::default();
        for number in 0..100 {
            terminal.set_variable(alloc::format!("N{number}").as_bytes(), Some(b"x"));
        }
        assert_eq!(terminal.environment.len(), Terminal::VARIABLES_MAX);
        assert!(terminal.set_variable(b"N0", None) && !terminal.set_variable(b"N0", None));
        assert!(!terminal.set_variable(b"N1", Some(b"x")) && terminal.set_variable(b"N1", Some(b"y")));
        assert!(!terminal.set_variable(b"LONG", Some(&[b'x'; 257])) && !terminal.set_variable(b"E", Some(b"\x1b[2J")));
        assert_eq!(terminal.variable("N1"), Some("y"));
    }
}
