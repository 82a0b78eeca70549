use alloc::string::String;
use alloc::vec::Vec;

/// A character set that telnet text may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Charset {
    /// UTF-8 (RFC 3629).
    #[default]
    Utf8,
    /// ISO 8859-1, in which each byte encodes the code point of the same number.
    Latin1,
    /// IBM code page 437, used by BBS clients. Bytes below 0x80 are ASCII.
    Cp437,
    /// US-ASCII.
    Ascii,
}

/// The characters of bytes 0x80 to 0xff in code page 437 (Unicode Consortium's `CP437.TXT`).
const CP437: [char; 128] = [
    'Ç', 'ü', 'é', 'â', 'ä', 'à', 'å', 'ç', 'ê', 'ë', 'è', 'ï', 'î', 'ì', 'Ä', 'Å', 'É', 'æ', 'Æ', 'ô', 'ö', 'ò', 'û',
    'ù', 'ÿ', 'Ö', 'Ü', '¢', '£', '¥', '₧', 'ƒ', 'á', 'í', 'ó', 'ú', 'ñ', 'Ñ', 'ª', 'º', '¿', '⌐', '¬', '½', '¼', '¡',
    '«', '»', '░', '▒', '▓', '│', '┤', '╡', '╢', '╖', '╕', '╣', '║', '╗', '╝', '╜', '╛', '┐', '└', '┴', '┬', '├', '─',
    '┼', '╞', '╟', '╚', '╔', '╩', '╦', '╠', '═', '╬', '╧', '╨', '╤', '╥', '╙', '╘', '╒', '╓', '╫', '╪', '┘', '┌', '█',
    '▄', '▌', '▐', '▀', 'α', 'ß', 'Γ', 'π', 'Σ', 'σ', 'µ', 'τ', 'Φ', 'Θ', 'Ω', 'δ', '∞', 'φ', 'ε', '∩', '≡', '±', '≥',
    '≤', '⌠', '⌡', '÷', '≈', '°', '∙', '·', '√', 'ⁿ', '²', '■', '\u{a0}',
];

/// The characters of `CP437` with their bytes, sorted by character.
const CP437_SORTED: [(char, u8); 128] = sorted();

const fn sorted() -> [(char, u8); 128] {
    let mut table = [('\0', 0); 128];
    let (mut count, mut byte) = (0, 128_u8);
    while count < table.len() {
        let mut place = count;
        while place > 0 && table[place - 1].0 as u32 > CP437[count] as u32 {
            table[place] = table[place - 1];
            place -= 1;
        }
        table[place] = (CP437[count], byte);
        count += 1;
        byte = byte.wrapping_add(1);
    }
    table
}

impl Charset {
    /// All character sets, in the order in which they are offered (RFC 2066).
    pub const ALL: [Self; 4] = [Self::Utf8, Self::Latin1, Self::Cp437, Self::Ascii];

    /// Returns the preferred name of the character set in the IANA registry, such as `UTF-8`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Latin1 => "ISO-8859-1",
            Self::Cp437 => "IBM437",
            Self::Ascii => "US-ASCII",
        }
    }

    /// Returns the character set with this name or common alias, ignoring case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        const NAMES: [(&str, Charset); 10] = [
            ("UTF-8", Charset::Utf8),
            ("UTF8", Charset::Utf8),
            ("ISO-8859-1", Charset::Latin1),
            ("ISO8859-1", Charset::Latin1),
            ("LATIN1", Charset::Latin1),
            ("LATIN-1", Charset::Latin1),
            ("IBM437", Charset::Cp437),
            ("CP437", Charset::Cp437),
            ("US-ASCII", Charset::Ascii),
            ("ASCII", Charset::Ascii),
        ];
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|&(_, charset)| charset)
    }

    /// Returns the character that a single byte encodes, if any.
    ///
    /// In UTF-8 and US-ASCII, only bytes below 0x80 encode a character by themselves.
    #[must_use]
    pub fn decode(self, byte: u8) -> Option<char> {
        match self {
            _ if byte.is_ascii() => Some(char::from(byte)),
            Self::Latin1 => Some(char::from(byte)),
            Self::Cp437 => CP437.get(usize::from(byte) - CP437.len()).copied(),
            Self::Utf8 | Self::Ascii => None,
        }
    }

    /// Encodes `text` and appends it to `out`. Characters that the character set lacks become `?`.
    pub fn encode(self, text: &str, out: &mut Vec<u8>) {
        if self == Self::Utf8 || text.is_ascii() {
            return out.extend_from_slice(text.as_bytes());
        }
        out.extend(text.chars().map(|c| self.byte(c).unwrap_or(b'?')));
    }

    fn byte(self, c: char) -> Option<u8> {
        match self {
            _ if c.is_ascii() => u8::try_from(c).ok(),
            Self::Latin1 => u8::try_from(c).ok(),
            Self::Cp437 => {
                let place = CP437_SORTED.binary_search_by_key(&c, |&(known, _)| known).ok()?;
                Some(CP437_SORTED[place].1)
            }
            Self::Utf8 | Self::Ascii => None,
        }
    }

    /// Returns the offset of the first byte that encodes no character, if any.
    pub(super) fn first_invalid(self, bytes: &[u8]) -> Option<usize> {
        if self == Self::Utf8 {
            return core::str::from_utf8(bytes).err().map(|error| error.valid_up_to());
        }
        bytes.iter().position(|&byte| self.decode(byte).is_none())
    }

    /// Decodes `bytes` and appends the text to `out`. Each invalid sequence becomes U+FFFD.
    pub(crate) fn decode_all(self, bytes: &[u8], out: &mut String) {
        if self == Self::Utf8 {
            for chunk in bytes.utf8_chunks() {
                out.push_str(chunk.valid());
                if !chunk.invalid().is_empty() {
                    out.push(char::REPLACEMENT_CHARACTER);
                }
            }
        } else {
            out.extend(bytes.iter().map(|&byte| self.decode(byte).unwrap_or(char::REPLACEMENT_CHARACTER)));
        }
    }
}

/// Decoder of characters that arrive byte by byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CharDecoder {
    /// The first bytes of an incomplete UTF-8 sequence.
    begun: [u8; 4],
    count: u8,
}

impl CharDecoder {
    /// Decodes one byte and passes the completed characters, at most two, to `tell`.
    ///
    /// There are two if the byte ends a broken sequence.
    pub(crate) fn push(&mut self, byte: u8, charset: Charset, mut tell: impl FnMut(char)) {
        if charset != Charset::Utf8 || byte.is_ascii() {
            self.give_up(&mut tell);
            return tell(charset.decode(byte).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        self.begun[usize::from(self.count & 3)] = byte;
        self.count += 1;
        match core::str::from_utf8(&self.begun[..usize::from(self.count)]) {
            Ok(text) => {
                text.chars().for_each(&mut tell);
                self.count = 0;
            }
            Err(error) if error.error_len().is_none() => {}
            // The byte breaks the sequence, and begins a new one.
            Err(_) if self.count > 1 => {
                self.give_up(&mut tell);
                self.push(byte, charset, tell);
            }
            Err(_) => self.give_up(&mut tell),
        }
    }

    /// Returns the bytes of the incomplete UTF-8 sequence, or none if no sequence is pending.
    pub(crate) fn begun(&self) -> &[u8] {
        &self.begun[..usize::from(self.count & 3)]
    }

    fn give_up(&mut self, tell: &mut impl FnMut(char)) {
        if core::mem::take(&mut self.count) > 0 {
            tell(char::REPLACEMENT_CHARACTER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn charset_has_a_name_and_encodes_text() {
        for charset in Charset::ALL {
            assert_eq!(Charset::named(&charset.name().to_lowercase()), Some(charset));
        }
        assert_eq!(Charset::named("EBCDIC"), None);
        for (charset, text, bytes) in [
            (Charset::Latin1, "Grüße ÿ €", &b"Gr\xfc\xdfe \xff ?"[..]),
            (Charset::Cp437, "Grüße ░ €", b"Gr\x81\xe1e \xb0 ?"),
            (Charset::Ascii, "Grüße", b"Gr??e"),
            (Charset::Utf8, "ü", b"\xc3\xbc"),
        ] {
            let mut out = vec![];
            charset.encode(text, &mut out);
            assert_eq!(out, bytes, "{charset:?}");
        }
    }

    #[test]
    fn code_page_bytes_round_trip() {
        for charset in [Charset::Latin1, Charset::Cp437] {
            for byte in 0..=u8::MAX {
                let c = charset.decode(byte).expect("a complete code page");
                assert_eq!(charset.byte(c), Some(byte), "{charset:?} {byte}");
            }
        }
    }

    proptest! {
        #[test]
        fn decoding_byte_by_byte_agrees_with_decoding_at_once(bytes in prop::collection::vec(any::<u8>(), 0..40), utf8 in any::<bool>()) {
            let charset = if utf8 { Charset::Utf8 } else { Charset::Latin1 };
            let (mut at_once, mut one_by_one) = (String::new(), String::new());
            charset.decode_all(&bytes, &mut at_once);
            let mut decoder = CharDecoder::default();
            for &byte in &bytes {
                decoder.push(byte, charset, |c| one_by_one.push(c));
            }
            decoder.give_up(&mut |c| one_by_one.push(c));
            prop_assert_eq!(one_by_one, at_once);
        }
    }
}
