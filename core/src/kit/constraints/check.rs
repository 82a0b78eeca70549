//! A deserializer that checks values against the constraints of a JSON Schema while parsing.

use super::compile::{Bound, Node, Number, Span};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};

/// Maximum number of leading characters of a refused text that an error quotes.
const SHOWN_MAX: usize = 32;

/// The compiled nodes, and the indices of those that constrain one value.
#[derive(Clone)]
struct Active<'n> {
    nodes: &'n [Node],
    indices: Vec<usize>,
    /// The names of the fields, if the value is parsed as a struct.
    fields: Option<&'static [&'static str]>,
}

/// A deserializer whose values must meet constraints.
pub(super) struct Checked<'n, D> {
    inner: D,
    active: Active<'n>,
}

impl<'n, D> Checked<'n, D> {
    pub(super) fn new(inner: D, nodes: &'n [Node]) -> Self {
        Self { inner, active: Active::of(nodes, [0]) }
    }
}

impl<'n> Active<'n> {
    fn of(nodes: &'n [Node], roots: impl IntoIterator<Item = usize>) -> Self {
        let mut indices = Vec::new();
        let mut next: Vec<usize> = roots.into_iter().collect();
        while let Some(index) = next.pop() {
            if let Some(node) = nodes.get(index).filter(|_| !indices.contains(&index)) {
                indices.push(index);
                next.extend(&node.also);
            }
        }
        Self { nodes, indices, fields: None }
    }

    fn nodes(&self) -> impl Iterator<Item = &'n Node> {
        self.indices.iter().filter_map(|&index| self.nodes.get(index))
    }

    fn parts(&self, part: impl Fn(&Node) -> Option<usize>) -> Self {
        Self::of(self.nodes, self.nodes().filter_map(part))
    }

    fn member(&self, name: &str) -> Self {
        self.parts(|node| node.properties.get(name).copied().or(node.additional))
    }

    /// Returns the constraints of a sequence's element, or of a struct's field, at an index.
    ///
    /// Fields that the schema does not list are not counted.
    fn element(&self, index: usize) -> Self {
        if let Some(fields) = self.fields {
            let is_listed = |name: &&&str| self.nodes().any(|node| node.properties.contains_key(**name));
            return fields
                .iter()
                .filter(is_listed)
                .nth(index)
                .map_or_else(|| self.parts(|_| None), |name| self.member(name));
        }
        self.parts(|node| node.prefix.get(index).copied().or(node.item))
    }

    /// Returns whether a name is a field of the struct, but missing from the struct's schema.
    fn is_unlisted(&self, name: &str) -> bool {
        let is_field = self.fields.is_some_and(|fields| fields.contains(&name));
        is_field && !self.nodes().any(|node| node.properties.contains_key(name))
    }

    fn check_number<E: Error>(&self, number: Number) -> Result<(), E> {
        let exceeds = |bound: Bound, side: Ordering| match number.compare(bound.value) {
            Some(Ordering::Equal) => bound.is_exclusive,
            order => order == Some(side),
        };
        for node in self.nodes() {
            for (bound, side, words) in [
                (node.minimum, Ordering::Less, ["below the minimum", "not above"]),
                (node.maximum, Ordering::Greater, ["above the maximum", "not below"]),
            ] {
                if let Some(bound) = bound.filter(|&bound| exceeds(bound, side)) {
                    let words = words[usize::from(bound.is_exclusive)];
                    return Err(E::custom(format!("{number} is {words} {}", bound.value)));
                }
            }
            if let Some(multiple) = node.multiple_of.filter(|&multiple| !is_multiple(number, multiple)) {
                return Err(E::custom(format!("{number} is not a multiple of {multiple}")));
            }
        }
        Ok(())
    }

    fn check_text<E: Error>(&self, text: &str) -> Result<(), E> {
        if self.nodes().all(|node| node.length == Span::default()) {
            return Ok(());
        }
        let shown = || {
            let start: String = text.chars().take(SHOWN_MAX).collect();
            if start.len() < text.len() { format!("{start:?}...") } else { format!("{start:?}") }
        };
        self.check_count(
            |node| node.length,
            text.chars().count(),
            |count| format!("{} has {count} character{}", shown(), if count == 1 { "" } else { "s" }),
        )
    }

    fn check_count<E: Error>(
        &self,
        span: impl Fn(&Node) -> Span,
        count: usize,
        words: impl Fn(usize) -> String,
    ) -> Result<(), E> {
        let found = u64::try_from(count).unwrap_or(u64::MAX);
        for Span { least, most } in self.nodes().map(span) {
            if let Some(least) = least.filter(|&least| found < least) {
                return Err(E::custom(format!("{}; the minimum is {least}", words(count))));
            }
            if let Some(most) = most.filter(|&most| found > most) {
                return Err(E::custom(format!("{}; the maximum is {most}", words(count))));
            }
        }
        Ok(())
    }

    /// Checks a count that may still grow, against the maximum only.
    fn check_growing<E: Error>(&self, span: impl Fn(&Node) -> Span, count: usize, what: &str) -> Result<(), E> {
        let most = |node: &Node| Span { least: None, ..span(node) };
        self.check_count(most, count, |count| format!("there are at least {count} {what}"))
    }
}

fn is_multiple(number: Number, multiple: u64) -> bool {
    match number {
        Number::Whole(whole) => whole % i128::from(multiple) == 0,
        #[expect(clippy::cast_precision_loss, reason = "a fraction is no multiple either way")]
        Number::Real(real) => real % (multiple as f64) == 0.0,
    }
}

macro_rules! forwarded {
    ($($method:ident($($name:ident: $type:ty),*) $fields:expr;)*) => {
        $(fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            let Self { inner, mut active } = self;
            active.fields = $fields;
            inner.$method($($name,)* CheckedVisitor { inner: visitor, active })
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Checked<'_, D> {
    type Error = D::Error;

    forwarded! {
        deserialize_any() None;
        deserialize_bool() None;
        deserialize_i8() None;
        deserialize_i16() None;
        deserialize_i32() None;
        deserialize_i64() None;
        deserialize_i128() None;
        deserialize_u8() None;
        deserialize_u16() None;
        deserialize_u32() None;
        deserialize_u64() None;
        deserialize_u128() None;
        deserialize_f32() None;
        deserialize_f64() None;
        deserialize_char() None;
        deserialize_str() None;
        deserialize_string() None;
        deserialize_bytes() None;
        deserialize_byte_buf() None;
        deserialize_option() None;
        deserialize_unit() None;
        deserialize_unit_struct(name: &'static str) None;
        deserialize_newtype_struct(name: &'static str) None;
        deserialize_seq() None;
        deserialize_tuple(length: usize) None;
        deserialize_tuple_struct(name: &'static str, length: usize) None;
        deserialize_map() None;
        deserialize_struct(name: &'static str, fields: &'static [&'static str]) Some(fields);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]) None;
        deserialize_identifier() None;
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_ignored_any(visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

struct CheckedVisitor<'n, V> {
    inner: V,
    active: Active<'n>,
}

macro_rules! whole {
    ($($method:ident $type:ty;)*) => {
        $(fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            // A number above the greatest `i128` is above every bound as well.
            self.active.check_number(Number::Whole(i128::try_from(value).unwrap_or(i128::MAX)))?;
            self.inner.$method(value)
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for CheckedVisitor<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    whole! {
        visit_i8 i8;
        visit_i16 i16;
        visit_i32 i32;
        visit_i64 i64;
        visit_i128 i128;
        visit_u8 u8;
        visit_u16 u16;
        visit_u32 u32;
        visit_u64 u64;
        visit_u128 u128;
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<V::Value, E> {
        self.inner.visit_bool(value)
    }

    fn visit_f32<E: Error>(self, value: f32) -> Result<V::Value, E> {
        self.active.check_number(Number::Real(value.into()))?;
        self.inner.visit_f32(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<V::Value, E> {
        self.active.check_number(Number::Real(value))?;
        self.inner.visit_f64(value)
    }

    fn visit_char<E: Error>(self, value: char) -> Result<V::Value, E> {
        self.active.check_text(&value.to_string())?;
        self.inner.visit_char(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<V::Value, E> {
        self.active.check_text(value)?;
        self.inner.visit_str(value)
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<V::Value, E> {
        self.active.check_text(value)?;
        self.inner.visit_borrowed_str(value)
    }

    fn visit_string<E: Error>(self, value: String) -> Result<V::Value, E> {
        self.active.check_text(&value)?;
        self.inner.visit_string(value)
    }

    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<V::Value, E> {
        self.inner.visit_bytes(value)
    }

    fn visit_borrowed_bytes<E: Error>(self, value: &'de [u8]) -> Result<V::Value, E> {
        self.inner.visit_borrowed_bytes(value)
    }

    fn visit_byte_buf<E: Error>(self, value: Vec<u8>) -> Result<V::Value, E> {
        self.inner.visit_byte_buf(value)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Checked { inner, active: self.active })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Checked { inner, active: self.active })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(Elements { inner, active: self.active, count: 0 })
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Members { inner, active: self.active, name: String::new(), count: 0 })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(Variants { inner, active: self.active })
    }
}

/// A seed whose value must meet constraints.
struct CheckedSeed<'n, S> {
    seed: S,
    active: Active<'n>,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for CheckedSeed<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        let Self { seed, active } = self;
        if active.indices.is_empty() { seed.deserialize(inner) } else { seed.deserialize(Checked { inner, active }) }
    }
}

struct Elements<'n, A> {
    inner: A,
    active: Active<'n>,
    count: usize,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Elements<'_, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        let active = self.active.element(self.count);
        let element = self.inner.next_element_seed(CheckedSeed { seed, active })?;
        if self.active.fields.is_some() {
            self.count += usize::from(element.is_some());
        } else if element.is_some() {
            self.count += 1;
            self.active.check_growing(|node| node.items, self.count, "items")?;
        } else {
            self.active.check_count(
                |node| node.items,
                self.count,
                |count| match count {
                    1 => "there is 1 item".to_owned(),
                    count => format!("there are {count} items"),
                },
            )?;
        }
        Ok(element)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

struct Members<'n, A> {
    inner: A,
    active: Active<'n>,
    /// The name of the current member.
    name: String,
    count: usize,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Members<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.name.clear();
        let key = self.inner.next_key_seed(Named { seed, name: &mut self.name })?;
        if key.is_none() {
            self.active.check_count(
                |node| node.members,
                self.count,
                |count| format!("the number of members is {count}"),
            )?;
            return Ok(None);
        }
        self.count += 1;
        self.active.check_growing(|node| node.members, self.count, "members")?;
        if self.active.is_unlisted(&self.name) {
            let name = &self.name;
            return Err(A::Error::custom(format!("`{name}` is not in the schema, so it cannot be checked")));
        }
        Ok(key)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        let active = self.active.member(&self.name);
        self.inner.next_value_seed(CheckedSeed { seed, active })
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

struct Variants<'n, A> {
    inner: A,
    active: Active<'n>,
}

impl<'de, 'n, A: EnumAccess<'de>> EnumAccess<'de> for Variants<'n, A> {
    type Error = A::Error;
    type Variant = Content<'n, A::Variant>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self::Variant), A::Error> {
        let mut name = String::new();
        let (value, inner) = self.inner.variant_seed(Named { seed, name: &mut name })?;
        Ok((value, Content { inner, active: self.active.member(&name) }))
    }
}

/// Access to the content of an enum variant, whose values must meet constraints.
struct Content<'n, A> {
    inner: A,
    active: Active<'n>,
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Content<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.newtype_variant_seed(CheckedSeed { seed, active: self.active })
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(length, CheckedVisitor { inner: visitor, active: self.active })
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let active = Active { fields: Some(fields), ..self.active };
        self.inner.struct_variant(fields, CheckedVisitor { inner: visitor, active })
    }
}

mod name;

use name::Named;
