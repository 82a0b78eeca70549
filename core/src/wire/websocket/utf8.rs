/// Validator of UTF-8 text in pieces, which fails at the first invalid byte (RFC 3629).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Utf8Check {
    /// The beginning of an incomplete character.
    begun: [u8; 4],
    count: u8,
}

impl Utf8Check {
    /// Checks the next piece. Returns `false` if the text is invalid.
    pub(super) fn push(&mut self, mut piece: &[u8]) -> bool {
        while self.count > 0 {
            let Some((&byte, rest)) = piece.split_first() else { return true };
            piece = rest;
            self.begun[usize::from(self.count & 3)] = byte;
            self.count += 1;
            match core::str::from_utf8(&self.begun[..usize::from(self.count)]) {
                Ok(_) => self.count = 0,
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return false,
            }
        }
        let Err(error) = core::str::from_utf8(piece) else { return true };
        if error.error_len().is_some() {
            return false;
        }
        // At most three bytes: the fourth would have completed the character.
        for (place, byte) in self.begun.iter_mut().zip(&piece[error.valid_up_to()..]) {
            *place = *byte;
            self.count += 1;
        }
        true
    }

    /// Returns `true` if the text does not end inside a character.
    pub(super) const fn is_whole(self) -> bool {
        self.count == 0
    }
}
