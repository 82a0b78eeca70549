//! Methods: their functions, descriptions, scopes and schemas.

use super::RpcError;
use crate::kit::service::app::App;
use crate::kit::service::cx::Cx;
use crate::state::Ticket;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use schemars::{Schema, SchemaGenerator};
use serde_json::value::RawValue;

/// The methods of an application, by name.
pub(super) type Methods<A> = BTreeMap<String, Method<A>>;

/// A method: its function, description, scope and schemas.
pub(super) struct Method<A: App> {
    pub(super) call: Call<A>,
    pub(super) about: String,
    pub(super) scope: Option<String>,
    pub(super) params: fn(&mut SchemaGenerator) -> Schema,
    pub(super) result: fn(&mut SchemaGenerator) -> Schema,
}

type Answering<A> = dyn FnMut(&mut A, &mut Cx<'_, A>, Option<&RawValue>) -> Result<String, RpcError> + Send;
type Deferring<A> = dyn FnMut(&mut A, &mut Cx<'_, A>, Option<&RawValue>, Ticket) -> Result<(), RpcError> + Send;

/// The function of a method, which answers at once or later.
pub(super) enum Call<A: App> {
    Now(Box<Answering<A>>),
    Later(Box<Deferring<A>>),
}
