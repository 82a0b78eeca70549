//! Compilation of a JSON Schema into nodes, each of which constrains one value.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use serde_json::{Map, Value};

/// The constraints on one value. It refers to those on its members and items by index.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Node {
    pub(super) length: Span,
    pub(super) items: Span,
    pub(super) members: Span,
    pub(super) minimum: Option<Bound>,
    pub(super) maximum: Option<Bound>,
    pub(super) multiple_of: Option<u64>,
    pub(super) properties: BTreeMap<String, usize>,
    pub(super) additional: Option<usize>,
    pub(super) prefix: Vec<usize>,
    pub(super) item: Option<usize>,
    /// The indices of further nodes that constrain the same value.
    pub(super) also: Vec<usize>,
}

/// The minimum and the maximum of a count, each if there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) least: Option<u64>,
    pub(super) most: Option<u64>,
}

/// The minimum or maximum of a number, inclusive or exclusive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bound {
    pub(super) value: Number,
    pub(super) is_exclusive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Whole(i128),
    Real(f64),
}

impl Number {
    #[expect(clippy::cast_precision_loss, reason = "a fraction is compared with the nearest one")]
    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        let real = |number| match number {
            Self::Whole(whole) => whole as f64,
            Self::Real(real) => real,
        };
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => Some(one.cmp(&other)),
            _ => real(self).partial_cmp(&real(other)),
        }
    }

    fn of(value: &Value) -> Option<Self> {
        let whole = value.as_i64().map(i128::from).or(value.as_u64().map(i128::from));
        whole.map(Self::Whole).or(value.as_f64().map(Self::Real))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(whole) => whole.fmt(f),
            Self::Real(real) => real.fmt(f),
        }
    }
}

/// Compiles a schema and its definitions. Returns an empty list if they constrain nothing.
pub(super) fn nodes(schema: &Value) -> Vec<Node> {
    let mut compiler = Compiler { root: schema, nodes: Vec::new(), named: BTreeMap::new() };
    compiler.node(schema);
    let mut nodes = compiler.nodes;
    // A node matters if it, or a node that it leads to, constrains something.
    let mut matters = alloc::vec![false; nodes.len()];
    loop {
        let more = (0..nodes.len()).find(|&index| {
            !matters[index] && (nodes[index].constrains() || nodes[index].parts().any(|part| matters[part]))
        });
        let Some(index) = more else { break };
        matters[index] = true;
    }
    if matters.first() != Some(&true) {
        return Vec::new();
    }
    for node in &mut nodes {
        // All names stay, because a name that is not there gets `additional`.
        node.also.retain(|&part| matters[part]);
        node.item = node.item.filter(|&part| matters[part]);
        node.additional = node.additional.filter(|&part| matters[part]);
    }
    nodes
}

/// Returns whether the `type` of a schema is or includes a number, a string or a Boolean.
pub(super) fn is_scalar(schema: &Value) -> bool {
    let is_scalar = |kind: &Value| ["integer", "number", "string", "boolean"].iter().any(|scalar| kind == *scalar);
    match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(is_scalar),
        kind => kind.is_some_and(is_scalar),
    }
}

/// Returns whether the alternatives of `anyOf` or `oneOf` can be checked while a value is parsed.
///
/// They can if at most one of them is not null, or if the first name in the value selects one of
/// them: the variants of an externally tagged enum.
pub(super) fn are_checkable(alternatives: &[Value]) -> bool {
    let others = || alternatives.iter().filter(|one| one.get("type").and_then(Value::as_str) != Some("null"));
    let is_unit = |one: &Value| one.get("enum").is_some() || one.get("const").is_some();
    let is_variant = |one: &Value| {
        let name = one.get("properties").and_then(Value::as_object).filter(|names| names.len() == 1);
        let required = one.get("required").and_then(Value::as_array);
        let is_required = required.is_some_and(|names| names.len() == 1);
        name.is_some() && is_required && one.get("additionalProperties") == Some(&Value::Bool(false))
    };
    let mut names: Vec<&String> =
        others().filter_map(|one| one.get("properties")?.as_object()?.keys().next()).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    others().count() <= 1 || names.len() == count && others().all(|one| is_unit(one) || is_variant(one))
}

/// Returns the schema of a map's values, if one pattern applies to all keys of the map.
pub(super) fn only_pattern(schema: &Map<String, Value>) -> Option<&Value> {
    let patterns = schema.get("patternProperties")?.as_object()?;
    let is_only = patterns.len() == 1 && schema.get("additionalProperties") == Some(&Value::Bool(false));
    patterns.values().next().filter(|_| is_only)
}

/// Returns whether a schema's minimum or maximum is that of its integer type.
///
/// Parsing enforces such a bound without a check.
pub(super) fn is_of_type(schema: &Map<String, Value>, keyword: &str) -> bool {
    let range = match schema.get("format").and_then(Value::as_str) {
        Some("int8") => (i8::MIN.into(), Some(i8::MAX.into())),
        Some("int16") => (i16::MIN.into(), Some(i16::MAX.into())),
        Some("uint8") => (0, Some(u8::MAX.into())),
        Some("uint16") => (0, Some(u16::MAX.into())),
        Some("uint32" | "uint64" | "uint128" | "uint") => (0, None),
        _ => return false,
    };
    let bound = schema.get(keyword).and_then(Value::as_i64);
    match keyword {
        "minimum" => bound == Some(range.0),
        "maximum" => bound.is_some() && bound == range.1,
        _ => false,
    }
}

struct Compiler<'s> {
    root: &'s Value,
    nodes: Vec<Node>,
    /// The index of each definition's node, by the `$ref` that names the definition.
    named: BTreeMap<&'s str, usize>,
}

impl<'s> Compiler<'s> {
    /// Compiles a schema, and returns the index of its node.
    fn node(&mut self, schema: &'s Value) -> usize {
        let index = self.nodes.len();
        self.nodes.push(Node::default());
        let Some(members) = schema.as_object() else { return index };
        let count = |name: &str| members.get(name).and_then(Value::as_u64);
        let span = |least: &str, most: &str| Span { least: count(least), most: count(most) };
        let of = |keyword: &str| members.get(keyword).filter(|_| !is_of_type(members, keyword)).and_then(Number::of);
        let inclusive = |keyword: &str| of(keyword).map(|value| Bound { value, is_exclusive: false });
        let exclusive = |keyword: &str| of(keyword).map(|value| Bound { value, is_exclusive: true });
        let mut node = Node {
            length: span("minLength", "maxLength"),
            items: span("minItems", "maxItems"),
            members: span("minProperties", "maxProperties"),
            minimum: inclusive("minimum"),
            maximum: inclusive("maximum"),
            multiple_of: count("multipleOf").filter(|&number| number > 0),
            ..Node::default()
        };
        let (minimum, maximum) = (exclusive("exclusiveMinimum"), exclusive("exclusiveMaximum"));
        if minimum.is_some() || maximum.is_some() {
            // They hold beside the inclusive bounds.
            node.also.push(self.nodes.len());
            self.nodes.push(Node { minimum, maximum, ..Node::default() });
        }
        if let Some(Value::Object(properties)) = members.get("properties") {
            node.properties = properties.iter().map(|(name, schema)| (name.clone(), self.node(schema))).collect();
        }
        if let Some(Value::Array(schemas)) = members.get("prefixItems") {
            node.prefix = schemas.iter().map(|schema| self.node(schema)).collect();
        }
        let additional = only_pattern(members).or(members.get("additionalProperties"));
        node.additional = additional.map(|schema| self.node(schema));
        node.item = members.get("items").map(|schema| self.node(schema));
        if let Some(Value::Array(schemas)) = members.get("allOf") {
            node.also.extend(schemas.iter().map(|schema| self.node(schema)));
        }
        for alternatives in ["anyOf", "oneOf"].iter().filter_map(|keyword| members.get(*keyword)?.as_array()) {
            if are_checkable(alternatives) {
                node.also.extend(alternatives.iter().map(|schema| self.node(schema)));
            }
        }
        if let Some(named) = members.get("$ref").and_then(Value::as_str).and_then(|name| self.named(name)) {
            node.also.push(named);
        }
        self.nodes[index] = node;
        index
    }

    fn named(&mut self, name: &'s str) -> Option<usize> {
        if let Some(&known) = self.named.get(name) {
            return Some(known);
        }
        let schema = if name == "#" { self.root } else { self.root.pointer(name.strip_prefix('#')?)? };
        // The name is known before the definition is compiled, because it may contain itself.
        let index = self.nodes.len();
        self.named.insert(name, index);
        Some(self.node(schema))
    }
}

impl Node {
    /// Returns whether the node itself constrains its value.
    fn constrains(&self) -> bool {
        let has_bound = self.minimum.is_some() || self.maximum.is_some() || self.multiple_of.is_some();
        has_bound || [self.length, self.items, self.members].iter().any(|span| *span != Span::default())
    }

    fn parts(&self) -> impl Iterator<Item = usize> + '_ {
        let lists = self.properties.values().chain(&self.prefix).chain(&self.also);
        lists.chain(&self.additional).chain(&self.item).copied()
    }
}
