//! Settings of the application `relay`.

use super::choices::EnvelopeChoice;
use super::declare::settings;
use crate::app::Envelope;
use crate::settings::section::Section;

settings! {
    /// Settings of the application `relay`.
    RelaySettings {
        /// The envelope in which the relay puts each message.
        envelope: EnvelopeChoice = EnvelopeChoice::None;
    }
}

impl Section for RelaySettings {
    const NAME: &'static str = "relay";
}

impl From<EnvelopeChoice> for Envelope {
    fn from(choice: EnvelopeChoice) -> Self {
        match choice {
            EnvelopeChoice::None => Self::None,
            EnvelopeChoice::Json => Self::Json,
        }
    }
}
