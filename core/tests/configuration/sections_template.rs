//! Templates of sections: examples of maps whose values have mandatory keys are valid.

use drupe_core::settings::units::{RateText, Size, Span};
use drupe_core::settings::{Catalog, Profile, Secret, Section, Sources};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The maps of a game.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
struct Atlas {
    /// The maps, by name.
    maps: BTreeMap<String, Map>,
    /// The points of each team.
    points: BTreeMap<String, u32>,
    /// The words of each team.
    words: BTreeMap<String, String>,
    /// How long each team may wait.
    waits: BTreeMap<String, Span>,
    /// The grounds that each team likes.
    likes: BTreeMap<String, Vec<Ground>>,
    /// The ground of each team.
    grounds: BTreeMap<String, Ground>,
}

/// A map.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
struct Map {
    /// Its width.
    width: u16,
    /// The scale of the map.
    scale: f64,
    /// Its name in the menu.
    title: String,
    /// Where it begins.
    begin: Place,
    /// When it opens.
    opens: Span,
    /// Its largest size.
    size: Size,
    /// How often it may be entered.
    enters: RateText,
    /// What lies on it.
    ground: Ground,
    /// What may be found on it.
    finds: Vec<Place>,
    /// Where it ends.
    end: Option<Place>,
    /// The names of its places.
    places: BTreeMap<String, Place>,
    /// The password of the map.
    #[serde(default)]
    word: Secret,
    /// Whether it is shown.
    #[serde(default = "yes")]
    is_shown: bool,
}

/// A place on a map.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
struct Place {
    /// Steps to the right.
    x: u8,
    /// Whether it is lit.
    is_lit: bool,
}

/// What lies on a map.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Ground {
    Grass,
    Stone,
}

const fn yes() -> bool {
    true
}

impl Section for Atlas {
    const NAME: &'static str = "atlas";
}

#[test]
fn template_examples_of_maps_are_valid() {
    let catalog = Catalog::new("atlas").app("game").section::<Atlas>();
    for profile in [Profile::Development, Profile::Production, Profile::Testing] {
        let template = catalog.template(profile);
        let (before, section) = template.split_once("#atlas:\n").expect("the section");
        // The section, with its examples in place of its defaults.
        let lines = section.lines().take_while(|line| line.is_empty() || line.starts_with("  "));
        let examples: Vec<_> = lines.filter_map(|line| line.strip_prefix("  #   ")).collect();
        let text = format!("{before}atlas:\n{}", examples.iter().map(|line| format!("  {line}\n")).collect::<String>());
        let resolved = Sources::of(&catalog).file("atlas.yaml", &text).resolve();
        let plan = resolved.unwrap_or_else(|problems| panic!("{problems}\n{text}")).plan;
        let atlas = plan.config.sections.get::<Atlas>().expect("the section");
        let map = Map {
            width: 1,
            scale: 1.0,
            title: "value".into(),
            begin: Place { x: 1, is_lit: false },
            opens: "30s".parse().expect("a time"),
            size: "64KiB".parse().expect("a size"),
            enters: "100/s".parse().expect("a rate"),
            ground: Ground::Grass,
            finds: Vec::new(),
            end: None,
            places: BTreeMap::new(),
            word: Secret::default(),
            is_shown: true,
        };
        assert_eq!(atlas.maps, [("name".into(), map)].into());
        assert_eq!(atlas.points, [("name".into(), 1)].into());
        assert_eq!(atlas.words, [("name".into(), "value".into())].into());
        assert_eq!(atlas.waits, [("name".into(), "30s".parse().expect("a time"))].into());
        assert_eq!(atlas.likes, [("name".into(), Vec::new())].into());
        assert_eq!(atlas.grounds, [("name".into(), Ground::Grass)].into());
    }
}
