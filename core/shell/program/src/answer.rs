//! Answers of other threads to the workers.

use drupe_core::ConnId;
use drupe_core::kit::auth::LateAnswer;

/// A note with an answer about a connection, for the authentication layer.
pub(crate) struct AnswerNote(pub(crate) ConnId, pub(crate) LateAnswer);
