//! Constraints on the values that peers send, from the JSON Schemas of their types.
//!
//! [`Router::on_validated`](super::Router::on_validated) and [`Rpc`](super::rpc::Rpc) check each
//! value while they parse it, from programs and from people alike. The schema is compiled once,
//! when the function is added. The attributes of `schemars` set the constraints:
//!
//! | keyword | attribute | applies to |
//! |---|---|---|
//! | `minimum`, `maximum` | `range(min = 1, max = 20)` | numbers |
//! | `exclusiveMinimum`, `exclusiveMaximum`, whole `multipleOf` | `extend("multipleOf" = 5)` | numbers |
//! | `minLength`, `maxLength` | `length(min = 1, max = 20)` | strings, in characters |
//! | `minItems`, `maxItems` | `length(...)` | arrays |
//! | `minProperties`, `maxProperties` | `extend("maxProperties" = 5)` | objects |
//!
//! `inner(...)` sets the constraints of an array's items. An error names the position, the value
//! and the constraint: `number: 12 is above the maximum 10`.
//!
//! `rpc.discover` and `listall` publish only constraints that are enforced. They omit other
//! keywords, such as `pattern`, and the constraints within enums that are untagged or tagged
//! internally or adjacently. A `format` describes a value and is not checked (JSON Schema 2020-12
//! validation, section 7.2.1). Fields that a constrained struct accepts under a name that its
//! schema lacks, such as a serde `alias`, are refused.

mod check;
mod compile;
mod publish;
#[cfg(test)]
mod tests;

pub(crate) use publish::{remove_unenforced, remove_unenforced_of_all};

use check::Checked;
use compile::Node;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::{DeserializeOwned, Deserializer};

use alloc::vec::Vec;

/// The constraints of a type, compiled from its schema.
#[derive(Debug)]
pub(crate) struct Constraints {
    /// The nodes. The first one constrains the whole value. Empty if there are no constraints.
    nodes: Vec<Node>,
    is_scalar: bool,
}

impl Constraints {
    /// Returns constraints that every value meets.
    pub(crate) const fn none() -> Self {
        Self { nodes: Vec::new(), is_scalar: false }
    }

    /// Compiles the constraints of a type.
    pub(crate) fn of<T: JsonSchema>() -> Self {
        let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value();
        Self { nodes: compile::nodes(&schema), is_scalar: compile::is_scalar(&schema) }
    }

    /// Returns whether the type has constraints and is a number, a string or a Boolean.
    pub(crate) fn is_scalar(&self) -> bool {
        self.is_scalar && !self.nodes.is_empty()
    }

    /// Deserializes a value and checks it against the constraints.
    ///
    /// # Errors
    /// The first mistake of the value, with its position.
    pub(crate) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        &self,
        deserializer: D,
    ) -> Result<T, serde_path_to_error::Error<D::Error>> {
        if self.nodes.is_empty() {
            return serde_path_to_error::deserialize(deserializer);
        }
        serde_path_to_error::deserialize(Checked::new(deserializer, &self.nodes))
    }
}
