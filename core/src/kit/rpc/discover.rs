//! Descriptions of the methods that a caller may call.

use super::method::{Method, Methods};
use crate::kit::constraints::{remove_unenforced, remove_unenforced_of_all};
use crate::kit::service::app::App;
use crate::kit::service::cx::Cx;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

/// Returns an OpenRPC 1.3.2 document of the methods that the caller may call, as JSON.
pub(super) fn open_rpc<A: App>(title: &str, version: &str, methods: &Methods<A>, cx: &Cx<'_, A>) -> String {
    let settings = SchemaSettings::draft07().with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let mut weak = BTreeSet::new();
    let methods: Vec<Value> =
        visible(methods, cx).map(|(name, method)| described(name, method, &mut generator, &mut weak)).collect();
    let mut definitions = generator.take_definitions(true);
    remove_unenforced_of_all(&mut definitions, &mut weak);
    let document = json!({
        "openrpc": "1.3.2",
        "info": { "title": title, "version": version },
        "methods": methods,
        "components": { "schemas": definitions },
    });
    document.to_string()
}

/// Returns the result of `listall`, as JSON. Each schema is self-contained.
pub(super) fn list<A: App>(methods: &Methods<A>, cx: &Cx<'_, A>) -> String {
    let inlined = || SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true).into_generator();
    let entry = |(name, method): (&String, &Method<A>)| {
        json!({
            "name": name,
            "description": method.about,
            "parameters": enforced_params(method, &mut inlined(), &mut BTreeSet::new()),
            "result": (method.result)(&mut inlined()),
            "requires": method.scope,
        })
    };
    let methods: Vec<Value> = visible(methods, cx).map(entry).collect();
    json!({ "count": methods.len(), "methods": methods }).to_string()
}

fn visible<'a, A: App>(
    methods: &'a Methods<A>,
    cx: &'a Cx<'_, A>,
) -> impl Iterator<Item = (&'a String, &'a Method<A>)> {
    methods.iter().filter(|(_, method)| method.scope.as_deref().is_none_or(|scope| cx.may(scope)))
}

/// Returns the schema of a method's parameters with only the constraints that are enforced.
fn enforced_params<A: App>(method: &Method<A>, generator: &mut SchemaGenerator, weak: &mut BTreeSet<String>) -> Value {
    let mut params = (method.params)(generator).to_value();
    remove_unenforced(&mut params, weak);
    params
}

fn described<A: App>(
    name: &str,
    method: &Method<A>,
    generator: &mut SchemaGenerator,
    weak: &mut BTreeSet<String>,
) -> Value {
    let params = enforced_params(method, generator, weak);
    let member = |name| params.get(name).cloned();
    let required = member("required").and_then(|names| serde_json::from_value(names).ok()).unwrap_or_default();
    let required: Vec<String> = required;
    let mut listed = Vec::new();
    if let Some(Value::Object(properties)) = member("properties") {
        listed.extend(properties.into_iter().map(|(name, schema)| {
            let is_required = required.contains(&name);
            json!({ "name": name, "required": is_required, "schema": schema })
        }));
    } else if let Some(items) = member("prefixItems").or_else(|| member("items")) {
        // Draft 7 uses `items` both for one schema per position and for one schema for all.
        let count = member("minItems").and_then(|count| count.as_u64()).unwrap_or(1);
        let schemas = match items {
            Value::Array(schemas) => schemas,
            schema => alloc::vec![schema; usize::try_from(count).unwrap_or(1).min(16)],
        };
        listed.extend(schemas.into_iter().zip(1..).map(|(schema, place): (Value, u32)| {
            json!({ "name": alloc::format!("p{place}"), "required": true, "schema": schema })
        }));
    }
    if member("type")
        .is_some_and(|kind| ["integer", "number", "string", "boolean"].iter().any(|scalar| kind == *scalar))
    {
        listed.push(json!({ "name": "p1", "required": true, "schema": params }));
    }
    let mut object = Map::new();
    object.insert("name".into(), name.into());
    if !method.about.is_empty() {
        object.insert("description".into(), method.about.as_str().into());
    }
    // JSON objects have no order, so callers cannot learn the order of declaration from the schema.
    let by = match member("properties") {
        Some(_) if listed.len() > 1 => "by-name",
        None if !listed.is_empty() => "by-position",
        _ => "either",
    };
    object.insert("paramStructure".into(), by.into());
    object.insert("params".into(), listed.into());
    object.insert("result".into(), json!({ "name": "result", "schema": (method.result)(generator) }));
    Value::Object(object)
}
