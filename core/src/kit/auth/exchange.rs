//! The HTTP endpoint that exchanges a token for one that the server issues.

use super::Authentication;
use super::checks::CHANGED;
use super::proof::bearer;
use super::provider::{Lookup, Provider, Verdict};
use crate::base::ConnId;
use crate::handler::Hub;
use crate::wire::http::{HttpResponse, Request};
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use serde_json::json;

impl<P> Authentication<P> {
    /// Responds to a request for the token endpoint. Returns whether it was one.
    pub(super) fn exchange<N, C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, request: &Request) -> bool
    where
        P: Provider<N>,
    {
        if self.token_path.as_deref() != Some(request.path()) {
            return false;
        }
        let response = match request.method() {
            "GET" | "POST" => match self.exchanged(hub, conn, request) {
                Ok(body) => HttpResponse::new(JSON, body),
                Err((status, reason)) => {
                    hub.state.metrics.authentication_failures += u64::from(status == UNAUTHORIZED);
                    self.failed(conn, &reason);
                    HttpResponse::new(JSON, json!({ "error": reason }).to_string()).status(status)
                }
            },
            _ => HttpResponse::new(JSON, json!({ "error": "use GET or POST" }).to_string()).status(405),
        };
        // It is a response to a request, and well formed.
        let _ = hub.respond(response);
        true
    }

    /// Returns the body with a new token, or the status and the reason of the refusal.
    fn exchanged<N, C>(
        &mut self,
        hub: &Hub<'_, C>,
        conn: ConnId,
        request: &Request,
    ) -> Result<String, (u16, Cow<'static, str>)>
    where
        P: Provider<N>,
    {
        let Self { issuer, provider, secret, .. } = self;
        let issuer = issuer.as_ref().ok_or((UNAVAILABLE, "this server issues no tokens".into()))?;
        let now = hub.unix_time().ok_or((UNAVAILABLE, "the server has no clock".into()))?;
        let token = bearer(request).ok_or((UNAUTHORIZED, "a token is required (Authorization: Bearer)".into()))?;
        let later = || Err((UNAVAILABLE, "the token can't be checked at once; try again over a connection".into()));
        let (identity, basis) = match issuer.verify(token, Some(now)) {
            Some(Ok(verified)) if verified.basis.account.is_some() => {
                let account = match provider.account(conn, &verified.identity.user) {
                    Lookup::Found(account) => Some(*account),
                    Lookup::Unknown => None,
                    Lookup::Unavailable(reason) => return Err((UNAVAILABLE, reason)),
                    Lookup::Pending => return later(),
                };
                let account = account.and_then(|account| verified.of_account(secret, account));
                (account.ok_or((UNAUTHORIZED, CHANGED.into()))?.identity, Some(verified.basis))
            }
            Some(Ok(verified)) => (verified.identity, Some(verified.basis)),
            Some(Err(error)) => return Err((UNAUTHORIZED, error.to_string().into())),
            None => match provider.token(conn, token, Some(now)) {
                Verdict::Accepted(identity) => (identity, None),
                Verdict::Refused(reason) => return Err((UNAUTHORIZED, reason)),
                Verdict::AcceptedOnce(..) => {
                    return Err((UNAUTHORIZED, "a token that is valid only once can't be exchanged".into()));
                }
                Verdict::Pending => return later(),
            },
        };
        let token = issuer.issue(&identity, basis, now).map_err(|reason| (UNAUTHORIZED, reason.into()))?;
        let body = json!({ "token": token, "token_type": "Bearer", "expires_in": issuer.lifetime_secs() });
        Ok(body.to_string())
    }
}

const JSON: &str = "application/json";
const UNAUTHORIZED: u16 = 401;
const UNAVAILABLE: u16 = 503;
