use super::{Constraints, remove_unenforced, remove_unenforced_of_all};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only parsed")]
struct Order {
    #[schemars(range(min = 1, max = 10))]
    count: Option<i64>,
    #[schemars(length(min = 2, max = 4))]
    name: Option<String>,
    #[schemars(length(max = 2), inner(range(max = 5)))]
    marks: Option<Vec<u8>>,
    #[schemars(extend("multipleOf" = 5, "exclusiveMaximum" = 20, "maximum" = 50))]
    step: Option<i32>,
    #[schemars(range(min = 0.5))]
    share: Option<f64>,
    how: Option<How>,
    next: Option<alloc::boxed::Box<Order>>,
    #[schemars(extend("maxProperties" = 1))]
    more: Option<BTreeMap<u8, Small>>,
    pair: Option<(Small, bool)>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only parsed")]
struct Small(#[schemars(range(max = 3))] u8);

#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only parsed")]
enum How {
    Now,
    After(#[schemars(range(max = 9))] u32),
    At {
        #[schemars(range(max = 23))]
        hour: u8,
    },
}

fn error<T: serde::de::DeserializeOwned + JsonSchema>(text: &str) -> Option<String> {
    let parsed = Constraints::of::<T>().deserialize::<T, _>(&mut serde_json::Deserializer::from_str(text));
    parsed.err().map(|error| {
        let path = error.path().to_string();
        format!("{path}: {}", crate::kit::service::json::reason_of(&error.into_inner()))
    })
}

#[test]
fn constraint_errors_name_position_value_and_limit() {
    for (text, expected) in [
        (r#"{"count":10,"name":"four","marks":[5,0],"step":15,"share":0.5}"#, None),
        (r#"{"count":12}"#, Some("count: 12 is above the maximum 10")),
        (r#"{"count":0}"#, Some("count: 0 is below the minimum 1")),
        (r#"{"name":"a"}"#, Some("name: \"a\" has 1 character; the minimum is 2")),
        (r#"{"name":"ÄÖÜß!"}"#, Some("name: \"ÄÖÜß!\" has 5 characters; the maximum is 4")),
        (r#"{"name":"ÄÖÜß"}"#, None),
        (r#"{"marks":[1,2,3]}"#, Some("marks: there are at least 3 items; the maximum is 2")),
        (r#"{"marks":[1,6]}"#, Some("marks[1]: 6 is above the maximum 5")),
        (r#"{"step":7}"#, Some("step: 7 is not a multiple of 5")),
        (r#"{"step":20}"#, Some("step: 20 is not below 20")),
        (r#"{"share":0.25}"#, Some("share: 0.25 is below the minimum 0.5")),
        (r#"{"how":"Now"}"#, None),
        (r#"{"how":{"After":10}}"#, Some("how.After: 10 is above the maximum 9")),
        (r#"{"how":{"At":{"hour":24}}}"#, Some("how.At.hour: 24 is above the maximum 23")),
        (r#"{"next":{"next":{"count":11}}}"#, Some("next.next.count: 11 is above the maximum 10")),
        (r#"{"more":{"7":4}}"#, Some("more.7: 4 is above the maximum 3")),
        (r#"{"more":{"7":3,"8":3}}"#, Some("more.8: there are at least 2 members; the maximum is 1")),
        (r#"{"pair":[4,true]}"#, Some("pair[0]: 4 is above the maximum 3")),
        (r#"{"marks":[256]}"#, Some("marks[0]: 256 is above the maximum 5")),
        ("[12]", Some("[0]: 12 is above the maximum 10")),
        (r#"[1,"long name"]"#, Some("[1]: \"long name\" has 9 characters; the maximum is 4")),
    ] {
        assert_eq!(error::<Order>(text).as_deref(), expected, "{text}");
    }
    let long = "x".repeat(100_000);
    let shown = error::<Order>(&format!(r#"{{"name":"{long}"}}"#)).expect("too long");
    assert!(shown.len() < 120 && shown.contains("has 100000 characters"), "{shown}");
}

#[test]
fn scalar_and_flattened_values_are_checked() {
    #[derive(Debug, Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only parsed")]
    struct Outer {
        #[serde(flatten)]
        inner: Inner,
    }
    #[derive(Debug, Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only parsed")]
    struct Inner {
        #[schemars(range(max = 3))]
        level: u8,
    }
    assert_eq!(error::<Small>("4").as_deref(), Some(".: 4 is above the maximum 3"));
    let flattened = error::<Outer>(r#"{"level":4}"#).expect("too large");
    assert!(flattened.ends_with("4 is above the maximum 3"), "{flattened}");
    assert_eq!(error::<Outer>(r#"{"level":3}"#), None);
}

#[test]
fn alias_of_a_constrained_field_is_refused() {
    #[derive(Debug, Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only parsed")]
    struct Aliased {
        #[serde(alias = "amount")]
        #[schemars(range(max = 3))]
        number: u8,
        other: Option<u8>,
    }
    assert_eq!(error::<Aliased>(r#"{"number":3,"unknown":9}"#), None);
    let refused = error::<Aliased>(r#"{"amount":9}"#).expect("a name that the schema lacks");
    assert!(refused.ends_with("`amount` is not in the schema, so it cannot be checked"), "{refused}");
    // By position, names play no part.
    assert_eq!(error::<Aliased>("[4]").as_deref(), Some("[0]: 4 is above the maximum 3"));
    assert_eq!(error::<Aliased>("[3,9]"), None);
}

#[test]
fn type_without_constraints_compiles_to_nothing() {
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only described")]
    struct Free {
        number: u64,
        small: u8,
        list: Vec<String>,
        next: Option<alloc::boxed::Box<Free>>,
    }
    assert!(Constraints::of::<Free>().nodes.is_empty());
    assert!(Constraints::of::<()>().nodes.is_empty());
    assert!(Constraints::of::<Value>().nodes.is_empty());
}

#[test]
fn published_schema_has_only_enforced_constraints() {
    #[derive(JsonSchema)]
    #[serde(tag = "kind")]
    #[expect(dead_code, reason = "only described")]
    enum Tagged {
        One {
            #[schemars(range(max = 3))]
            number: u32,
            small: Shared,
        },
    }
    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only described")]
    enum Untagged {
        One {
            #[schemars(range(max = 3))]
            number: u32,
        },
        Two(#[schemars(length(max = 3))] String),
    }
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only described")]
    struct Shared {
        #[schemars(range(max = 4))]
        size: u32,
    }
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only described")]
    struct All {
        #[schemars(regex(pattern = "^a+$"), length(max = 9))]
        text: String,
        set: BTreeSet<u8>,
        how: How,
        untagged: Untagged,
        tagged: Option<Tagged>,
        other: Option<Tagged>,
        shared: Shared,
    }
    let mut generator = schemars::generate::SchemaSettings::draft07().into_generator();
    let mut schema = All::json_schema(&mut generator).to_value();
    let mut weak = BTreeSet::new();
    remove_unenforced(&mut schema, &mut weak);
    let mut definitions = generator.take_definitions(true);
    remove_unenforced_of_all(&mut definitions, &mut weak);
    let text = json!([schema, definitions]).to_string();
    assert_eq!(schema["properties"]["text"], json!({"type": "string", "maxLength": 9}));
    assert!(!text.contains("uniqueItems"), "{text}");
    let at = |path: &str| Value::Object(definitions.clone()).pointer(path).cloned();
    assert!(definitions["How"].to_string().contains(r#""maximum":23"#), "{text}");
    assert!(!definitions["Untagged"].to_string().contains("max"), "{text}");
    // One variant with an internal tag is checked like a struct.
    assert_eq!(at("/Tagged/oneOf/0/properties/number/maximum"), Some(json!(3)), "{text}");
    assert_eq!(at("/Shared/properties/size/maximum"), Some(json!(4)), "{text}");
}

proptest! {
    /// Compares the deserializer with a model that checks the generated values directly.
    #[test]
    fn constraints_agree_with_a_model(
        count in prop::option::of(-2..14_i64),
        name in prop::option::of("[aÄ]{0,6}"),
        marks in prop::option::of(prop::collection::vec(0..8_u8, 0..4)),
        step in prop::option::of(0..30_i32),
        after in prop::option::of(0..20_u32),
        depth in 0..3_u8,
    ) {
        let how = after.map(|after| json!({ "After": after }));
        let mut value = json!({ "count": count, "name": name, "marks": marks, "step": step, "how": how });
        for _ in 0..depth {
            value = json!({ "next": value });
        }
        let is_good = count.is_none_or(|count| (1..=10).contains(&count))
            && name.as_ref().is_none_or(|name| (2..=4).contains(&name.chars().count()))
            && marks.as_ref().is_none_or(|marks| marks.len() <= 2 && marks.iter().all(|&mark| mark <= 5))
            && step.is_none_or(|step| step % 5 == 0 && step < 20)
            && after.is_none_or(|after| after <= 9);
        prop_assert_eq!(error::<Order>(&value.to_string()).is_none(), is_good, "{}", value);
    }
}
