//! Responses to HTTP requests.

use crate::handler::Hub;
use crate::state::RequestState;
use crate::wire::http::{HttpResponse, RespondError};

/// # HTTP requests
impl<C> Hub<'_, C> {
    /// Responds to the request of an [`Event::Request`](crate::Event::Request).
    ///
    /// # Errors
    /// If there is no request, or its response cannot be sent. Then the request gets the status
    /// 404 or 405, unless another response follows.
    pub fn respond(&mut self, response: HttpResponse) -> Result<(), RespondError> {
        if !matches!(self.state.request, RequestState::Waits) {
            return Err(RespondError::NoRequest);
        }
        response.check()?;
        self.state.request = RequestState::Answered(response);
        Ok(())
    }
}
