//! Single-use tokens on several hosts: the broker decides which host accepts one.

use super::Authentication;
use super::provider::Provider;
use super::refusal::TokenError;
use super::registry::{Question, Rules};
use crate::facts::{Claim, ClusterAnswer};
use crate::handler::{Handler, Hub};
use crate::state::ClusterRequest;
use core::time::Duration;

/// For how much longer than its token a claim lasts, because the clocks of hosts differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

impl<P> Authentication<P> {
    /// Claims the single-use token of a right proof at the broker, on the first shard of a host of a cluster.
    ///
    /// Returns the question if there is nothing to claim, or if this host refuses the proof anyway.
    pub(super) fn claim_token<C>(
        &mut self,
        hub: &mut Hub<'_, C>,
        rules: Rules,
        question: Question,
    ) -> Option<Question> {
        let Question::Tried { claim, right: Some(user), single_use: Some(token), is_renewal } = &question else {
            return Some(question);
        };
        let unix = rules.unix.filter(|_| hub.has_cluster());
        let may_redeem = self.registry.may_redeem(rules, (claim, user), token, *is_renewal);
        let Some(unix) = unix.filter(|_| may_redeem) else { return Some(question) };
        let (conn, request) = (claim.conn, hub.claim(&token.key(), token.time_left(unix) + CLOCKS_DIFFER));
        self.delayed.add_claim(request, conn, question);
        None
    }

    /// Goes on with a proof whose token was claimed, or refuses it.
    pub(super) fn token_claimed<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        request: ClusterRequest,
        answer: &ClusterAnswer,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        let Some(question) = self.delayed.take_claim(request) else { return };
        let rules = self.rules(hub);
        let error = match answer {
            ClusterAnswer::Claimed(Claim::Free) => return self.answer_here(hub, question, within),
            ClusterAnswer::Claimed(Claim::Taken) => TokenError::Used,
            _ => TokenError::NoBroker,
        };
        if let Question::Tried { claim, .. } = question {
            let answer = self.registry.token_refused(rules, &claim, error);
            self.pass_on(hub, (claim.conn, answer), within);
        }
    }
}
