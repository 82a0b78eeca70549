//! Keys that only one host gets.

use super::answers::{ApiErrorKind, Unusable, kept};
use super::headers::HeadersBuf;
use super::link::NatsLink;
use super::streams::CLAIMS;
use super::task::{Asked, Next, Task};
use crate::base::Time;
use crate::cluster::broker::{Answer, Request};
use crate::cluster::fault::{LinkFault, Refused};

impl<P> NatsLink<P> {
    /// Claims a key, by a message that the server keeps only if there is none of that key.
    pub(super) fn claim(&mut self, now: Time, asked: Asked<P>) {
        let Request::Once { key, time } = &asked.request else { return };
        if *time > CLAIMS {
            let why = Refused("a key can be claimed for 30 days at most".into());
            return self.finish(now, asked, Answer::Refused(why));
        }
        let subject = self.subjects.claim(Some(key));
        let headers = HeadersBuf::new().expects(0).end();
        self.call(now, subject, &headers, b"1", Task::Asked(asked, Next::Claimed));
    }

    pub(super) fn claimed(&mut self, now: Time, asked: Asked<P>, payload: &[u8]) -> Result<(), LinkFault> {
        let is_free = match kept(payload) {
            Ok(_) => true,
            Err(Unusable::Error(error)) if error.kind == ApiErrorKind::WrongLastSequence => false,
            Err(why) => return self.refuse_after(now, asked, why, "a claim"),
        };
        self.finish(now, asked, Answer::Taken(is_free));
        Ok(())
    }
}
