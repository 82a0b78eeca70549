//! Sections of applications: checked, explained, shown in templates, and reloaded like the server's
//! own keys.

use drupe_core::settings::units::{Size, Span};
use drupe_core::settings::{Catalog, Profile, Secret, Section, SectionError, Sources};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The rules of the game.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
struct Game {
    /// Players in a round, at least 2.
    players: u8,
    /// How long a round lasts.
    round: Span,
    /// The largest map.
    map_max: Size,
    /// The maps, by name.
    maps: BTreeMap<String, Map>,
    /// The rules of scoring.
    score: Score,
    /// The password of the referee.
    referee: Secret,
    /// A file whose first line is the password of the referee.
    referee_file: String,
}

/// A map.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
struct Map {
    /// Its width.
    width: u16,
    /// The password of the map.
    #[serde(default)]
    word: Secret,
    /// A file with the password of the map.
    #[serde(default)]
    word_file: String,
}

/// The rules of scoring.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
struct Score {
    /// Points for a win.
    win: u32,
    /// Points for a draw.
    draw: u32,
}

impl Default for Game {
    fn default() -> Self {
        Self {
            players: 4,
            round: Span(Duration::from_secs(60)),
            map_max: Size(1 << 20),
            maps: BTreeMap::new(),
            score: Score { win: 3, draw: 1 },
            referee: Secret::default(),
            referee_file: String::new(),
        }
    }
}

impl Section for Game {
    const NAME: &'static str = "game";

    fn check(&self) -> Result<(), SectionError> {
        if self.score.draw > self.score.win {
            return Err(SectionError::new("score.draw", "a draw can't be worth more than a win"));
        }
        Ok(())
    }
}

fn catalog() -> Catalog {
    Catalog::new("my-game").app("game").app("lobby").one_worker().section::<Game>()
}

fn file(text: &str) -> Sources {
    Sources::of(catalog()).file("my.yaml", text).secrets_from(|name| match name {
        "good" => Ok("hush".into()),
        "empty" => Ok(String::new()),
        _ => Err("there is no such file".into()),
    })
}

fn game(sources: &Sources) -> Game {
    let plan = sources.resolve().expect("the configuration is valid").plan;
    Game::clone(&plan.config.sections.get::<Game>().expect("the section"))
}

#[test]
fn sections_have_the_layers_of_other_keys() {
    assert_eq!(game(&file("")), Game::default());
    let sources = file("game:\n  score: { win: 5 }\n  round: 90s\n  maps: { small: { width: 7 } }\n");
    let of_file = game(&sources);
    assert_eq!((of_file.score.win, of_file.score.draw), (5, 1), "a key that is not set keeps its default");
    assert_eq!(of_file.round.0, Duration::from_secs(90));
    assert_eq!(of_file.maps["small"].width, 7);
    let sources = sources.environment([("MY_GAME_GAME__SCORE__WIN", "6"), ("MY_GAME_GAME__ROUND", "2m")]);
    assert_eq!((game(&sources).score.win, game(&sources).round.0.as_secs()), (6, 120));
    let sources = sources.set("game.score.win", "8");
    assert_eq!(game(&sources).score.win, 8);
    let explained = sources.resolve().expect("valid").explain();
    for line in [
        "game.score.win: 8 # --set game.score.win",
        "game.round: \"2m\" # MY_GAME_GAME__ROUND",
        "game.maps.small.width: 7 # my.yaml:4",
        "game.players: 4 # default",
        "listeners.telnet.app: \"game\" # default",
    ] {
        assert!(explained.contains(line), "{line}\n{explained}");
    }
}

#[test]
fn section_errors_name_place_key_and_remedy() {
    for (text, words) in [
        ("game:\n  playerz: 3\n", "my.yaml:2: game.playerz: there is no such key; did you mean players?"),
        (
            "game:\n  score:\n    lose: 3\n",
            "my.yaml:3: game.score.lose: there is no such key; the keys here are draw, win",
        ),
        ("game:\n  maps:\n    a: { width: 1, depth: 2 }\n", "my.yaml:3: game.maps.a.depth: there is no such key"),
        (
            "game:\n  players: many\n",
            "my.yaml:2: game.players: invalid type: string \"many\", expected a number from 0 to 255",
        ),
        (
            "game:\n  players: 300\n",
            "my.yaml:2: game.players: invalid value: integer `300`, expected a number from 0 to 255",
        ),
        ("game:\n  round: 60\n", "my.yaml:2: game.round: "),
        ("game:\n  maps:\n    a: {}\n", "my.yaml:3: game.maps.a: missing field `width`"),
        ("game: [1]\n", "my.yaml:1: game: it takes keys with values"),
        ("game: 7\n", "my.yaml:1: game: it takes keys with values"),
        ("game:\n  score: [1, 2]\n", "my.yaml:2: game.score: it takes keys with values"),
        ("game:\n  score: { win: 1, draw: 2 }\n", "my.yaml:2: game.score.draw: a draw can't be worth more than a win"),
        ("game:\n  referee: 1234\n", "my.yaml:2: game.referee: a secret is text: put it in quotes"),
        (
            "game:\n  maps:\n    a: { width: 1, word_file: lost }\n",
            "my.yaml:3: game.maps.a.word_file: can't read lost: there is no such file",
        ),
        ("game:\n  referee_file: lost\n", "my.yaml:2: game.referee_file: can't read lost: there is no such file"),
        ("game:\n  referee_file: empty\n", "my.yaml:2: game.referee_file: the first line of empty is empty"),
        ("game:\n  referee: x\n  referee_file: good\n", "my.yaml:3: game.referee_file: game.referee is set as well"),
        ("gaem: {}\n", "my.yaml:1: gaem: there is no such key; did you mean game?"),
        ("relay: {}\n", "my.yaml:1: relay: there is no such key"),
        (
            "listeners: { a: { address: '127.0.0.1:1', app: chat } }\n",
            "listeners.a.app: there is no application \"chat\"; the applications are game, lobby",
        ),
        (
            "workers: 2\nlisteners: { a: { address: '127.0.0.1:1', app: lobby } }\n",
            "my.yaml:1: workers: the application lobby needs workers: 1",
        ),
    ] {
        let problems = file(text).resolve().map(drop).expect_err(text).to_string();
        assert!(problems.contains(words), "{text}\n{words}\n{problems}");
        assert!(problems.matches("it takes keys with values").count() <= 1, "once: {problems}");
    }
    // A secret of a map is read from its file.
    let plan = file("game:\n  maps:\n    a: { width: 1, word_file: good }\n").resolve().expect("valid").plan;
    assert_eq!(plan.config.sections.get::<Game>().expect("the section").maps["a"].word.reveal(), "hush");
    // An unknown key hides no other error, and what was wrong is not missing.
    let text = "game:\n  playerz: 3\n  players: x\n  maps:\n    a: { width: x }\n    b: { depth: 1, width: 2 }\n";
    let problems = file(text).resolve().map(drop).expect_err("four").to_string();
    assert_eq!(problems.lines().count(), 4, "{problems}");
    for key in ["game.playerz: ", "game.players: ", "game.maps.a.width: ", "game.maps.b.depth: "] {
        assert!(problems.contains(key), "{key}: {problems}");
    }
    // All errors are reported at once, those of the server and those of sections.
    let problems = file("workers: x\ngame:\n  players: x\n  score: { win: y, draw: z }\n").resolve().expect_err("four");
    let keys: Vec<_> = problems.0.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys.len(), 4, "{problems}");
    for key in ["workers", "game.players", "game.score.win", "game.score.draw"] {
        assert!(keys.contains(&key), "{key}: {problems}");
    }
}

#[test]
fn secrets_of_sections_are_masked_everywhere() {
    let with = |secret: &str| file(&format!("game:\n  referee: {secret}\n")).resolve().expect("valid");
    let (one, other) = (with("hush-hush"), with("other-word"));
    let game = one.plan.config.sections.get::<Game>().expect("the section");
    assert_eq!(game.referee.reveal(), "hush-hush");
    assert!(one.explain().contains("game.referee: (secret) # my.yaml:2"));
    assert_eq!(one.changes(&other), ["a secret of a section: (secret) -> (secret)"]);
    assert_eq!(one.changes(&one), Vec::<String>::new());
    for text in [format!("{one:?}"), one.explain(), one.changes(&other).join("\n")] {
        assert!(!text.contains("hush-hush"), "{text}");
    }
    let problems = file("game:\n  referee: [hush-hush]\n").resolve().expect_err("a list").to_string();
    assert!(!problems.contains("hush-hush"), "{problems}");
    let of_file = file("game:\n  referee_file: good\n").resolve().expect("valid");
    assert_eq!(of_file.plan.config.sections.get::<Game>().expect("the section").referee.reveal(), "hush");
    assert!(of_file.explain().contains("game.referee: (secret) # my.yaml:2"), "{}", of_file.explain());
}

#[test]
fn reload_reports_changes_of_sections() {
    let (before, after) =
        (file("").resolve().expect("valid"), file("game: { players: 6 }\n").resolve().expect("valid"));
    assert_eq!(before.changes(&after), ["game.players: 4 -> 6"]);
}

#[test]
fn templates_and_schema_have_sections_and_applications() {
    let catalog = catalog();
    for profile in [Profile::Development, Profile::Production, Profile::Testing] {
        let template = catalog.template(profile);
        for line in [
            "# The rules of the game.",
            "#game:",
            "  # Players in a round, at least 2.",
            "  #players: 4",
            "    #win: 3",
        ] {
            assert!(template.lines().any(|found| found == line), "{line}\n{template}");
        }
        assert!(template.contains("# One of game, lobby.") && template.contains("`my-game check FILE`"), "{template}");
        let uncommented = template.replace("#game:", "game:").replace("  #players: 4", "  players: 5");
        let sources = Sources::of(&catalog).file("my.yaml", &uncommented);
        assert_eq!(game(&sources).players, 5);
        let environment = catalog.environment_template(profile);
        assert!(environment.contains("#MY_GAME_GAME__SCORE__WIN=3\n"), "{environment}");
        let lines = environment.lines().filter_map(|line| line.trim_start_matches('#').split_once('='));
        let variables =
            lines.filter(|(name, value)| name.starts_with("MY_GAME_") && !value.is_empty() && *value != "null");
        Sources::of(&catalog).environment(variables).resolve().expect("the template is valid");
    }
    let schema: serde_json::Value = serde_json::from_str(&catalog.schema()).expect("JSON");
    assert_eq!(schema["properties"]["game"]["default"]["players"], 4);
    assert_eq!(schema["properties"]["game"]["description"], "The rules of the game.");
    assert_eq!(schema["$defs"]["ListenerSettings"]["properties"]["app"]["oneOf"][1]["const"], "lobby");
}

/// A section with a name that is taken, invalid, or given twice.
macro_rules! named {
    ($type:ident, $name:literal) => {
        #[derive(Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
        struct $type {}

        impl Section for $type {
            const NAME: &'static str = $name;
        }
    };
}

named!(Limits, "limits");
named!(Capital, "Game");
named!(Two, "a__b");

/// A section whose secret has a default.
#[derive(Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
struct Open {
    /// A password.
    password: Secret,
}

impl Default for Open {
    fn default() -> Self {
        Self { password: Secret::new("default") }
    }
}

impl Section for Open {
    const NAME: &'static str = "open";
}

#[test]
fn faults_of_a_catalog_are_errors_that_name_the_program() {
    for (catalog, words) in [
        (catalog().section::<Limits>(), "my-game: section \"limits\": the server has a key of this name"),
        (catalog().section::<Capital>(), "my-game: section \"Game\": a name consists of small letters"),
        (catalog().section::<Two>(), "my-game: section \"a__b\": a name consists of small letters"),
        (catalog().section::<Game>(), "my-game: section \"game\": there are two of this name"),
        (catalog().section::<Open>(), "my-game: section key \"open.password\": a secret can't have a default"),
        (catalog().app("game"), "my-game: application \"game\": the name is empty, or there are two of this name"),
    ] {
        let problems = Sources::of(&catalog).resolve().map(drop).expect_err(words).to_string();
        assert!(problems.starts_with(words), "{words}\n{problems}");
    }
}
