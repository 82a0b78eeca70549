//! Source files import each other in no circle, so that each can be read after those below it.
//!
//! A file imports another if its code names something that the other defines: through any number of
//! exports, which are not imports themselves. Tests may import whatever they like.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails where its assumption does")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The folders of the crates that have many files.
const CRATES: [&str; 4] = ["core/src", "core/shell/src", "shell-tokio/ssh/src", "core/shell/program/src"];

#[test]
fn source_files_import_each_other_in_no_circle() {
    for folder in CRATES {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
        let circles = Sources::read(&root).circles();
        assert!(circles.is_empty(), "files of {folder} import each other in a circle:\n{}", circles.join("\n"));
    }
}

#[test]
fn circle_is_found_through_exports_and_inline_paths_but_not_through_tests() {
    let sources = |code: &str| {
        let files = [
            ("lib.rs", "mod above;\nmod below;"),
            (
                "below/mod.rs",
                "//! Of crate::above::Name.\nmod within;\npub(crate) use within::{\n    Name as Kind,\n};",
            ),
            ("below/within.rs", code),
            ("above.rs", "use crate::below::Kind;\npub(crate) fn act(_: Kind) {}"),
        ];
        Sources::of(files.map(|(place, text)| (place.to_owned(), text.to_owned()))).circles()
    };
    let circle = ["above.rs -> below/within.rs: Name", "below/within.rs -> above.rs: act", ""];
    assert_eq!(sources("use crate::above::act;\npub(crate) struct Name;"), circle);
    assert_eq!(sources("pub(crate) struct Name;\nfn all() {\n    super::super::above::act(Name);\n}"), circle);
    let none: [&str; 0] = [];
    assert_eq!(sources("pub(crate) struct Name;\n\n#[cfg(test)]\nmod tests {\n    use crate::above::act;\n}"), none);
    assert_eq!(sources("pub(crate) struct Name;\nconst TEXT: &str = r#\"crate::above::act\"#;"), none);
}

/// The path of a module from the crate's root, such as `kit::auth`, or of a name in it.
type Names = Vec<String>;

/// One file without its tests.
#[derive(Default)]
struct Source {
    place: String,
    /// Modules with files of their own.
    children: BTreeSet<String>,
    /// Names that it imports, with their paths as written.
    imports: Vec<Import>,
    /// Modules all of whose names it exports.
    globs: Vec<Names>,
    /// Names that it defines.
    defined: BTreeSet<String>,
    /// Names and paths in its code, except in imports.
    used: BTreeSet<Names>,
}

struct Import {
    name: String,
    path: Names,
    is_exported: bool,
}

/// The files of one crate, by module.
struct Sources(BTreeMap<Names, Source>);

/// What a path leads to.
enum Target {
    Module(Names),
    /// A name, and the module whose file defines it.
    Item(Names, String),
}

impl Sources {
    fn read(root: &Path) -> Self {
        let read = |path: PathBuf| {
            let place = path.strip_prefix(root).expect("below").to_str().expect("text").to_owned();
            (place, fs::read_to_string(&path).expect("text"))
        };
        Self::of(files(root).into_iter().map(read))
    }

    /// Parses files: the place of each below the crate's root, and its text.
    fn of(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let parse = |(place, text): (String, String)| {
            let names = place.trim_end_matches(".rs").split('/').filter(|name| !["lib", "main", "mod"].contains(name));
            let module: Names = names.map(str::to_owned).collect();
            (module, Source::parse(place, &text))
        };
        Self(files.into_iter().map(parse).collect())
    }

    /// Describes each set of files of which every one leads to every other.
    fn circles(&self) -> Vec<String> {
        let edges = self.edges();
        let reached: BTreeMap<&Names, BTreeSet<&Names>> =
            edges.keys().map(|from| (from, reach(&edges, from))).collect();
        let mut told = BTreeSet::new();
        let mut circles = Vec::new();
        for (from, to) in &reached {
            let circle: Vec<&Names> =
                to.iter().copied().filter(|other| reached.get(other).is_some_and(|back| back.contains(from))).collect();
            if circle.is_empty() || !told.insert(circle.clone()) {
                continue;
            }
            let within = |other: &Names| circle.contains(&other);
            for from in &circle {
                for (to, names) in edges[*from].iter().filter(|(to, _)| within(to)) {
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    circles.push(format!("{} -> {}: {}", self.0[*from].place, self.0[to].place, names.join(", ")));
                }
            }
            circles.push(String::new());
        }
        circles
    }

    /// By module: the modules whose files define names that it uses, and these names.
    fn edges(&self) -> BTreeMap<Names, BTreeMap<Names, BTreeSet<String>>> {
        let edges = self.0.iter().map(|(module, source)| {
            let mut to = BTreeMap::<Names, BTreeSet<String>>::new();
            let exported = |import: &&Import| !import.is_exported || source.mentions(&import.name);
            let imported = source.imports.iter().filter(exported).map(|import| import.path.clone());
            let inline = source.used.iter().filter(|path| path.len() > 1).filter_map(|path| source.written(path));
            for path in imported.chain(inline) {
                if let Some(Target::Item(target, name)) = self.resolve(module, &path, 0)
                    && target != *module
                {
                    to.entry(target).or_default().insert(name);
                }
            }
            (module.clone(), to)
        });
        edges.collect()
    }

    /// Follows a path, and the exports on the way.
    fn resolve(&self, module: &Names, path: &[String], depth: u32) -> Option<Target> {
        assert!(depth < 20, "exports go round: {}", path.join("::"));
        let mut at = module.clone();
        let mut rest = path;
        while let Some((name, after)) = rest.split_first() {
            let source = self.0.get(&at)?;
            let is_here = source.defined.contains(name);
            let import = source.imports.iter().find(|import| import.name == *name && import.path != path);
            match name.as_str() {
                "crate" => at.clear(),
                "self" => {}
                "super" => drop(at.pop()),
                _ if source.children.contains(name) && (!after.is_empty() || (import.is_none() && !is_here)) => {
                    at.push(name.clone());
                }
                _ if is_here => return Some(Target::Item(at, name.clone())),
                _ => match import {
                    Some(import) => match self.resolve(&at, &import.path, depth + 1)? {
                        Target::Module(found) => at = found,
                        item @ Target::Item(..) => return Some(item),
                    },
                    None if depth == 0 && at == *module && rest.len() == path.len() => return None,
                    None => return Some(Target::Item(self.glob(&at, name, depth).unwrap_or(at), name.clone())),
                },
            }
            rest = after;
        }
        Some(Target::Module(at))
    }

    /// The module that defines a name which another exports with all others of that module.
    fn glob(&self, at: &Names, name: &str, depth: u32) -> Option<Names> {
        self.0[at].globs.iter().find_map(|glob| {
            let Some(Target::Module(found)) = self.resolve(at, glob, depth + 1) else { return None };
            if self.0[&found].defined.contains(name) {
                return Some(found);
            }
            self.glob(&found, name, depth + 1)
        })
    }
}

impl Source {
    fn parse(place: String, text: &str) -> Self {
        let mut source = Self { place, ..Self::default() };
        let tokens = without_tests(tokens(text));
        let mut at = 0;
        // The depths of braces at which modules within the file begin, and the last call of a macro.
        let (mut depth, mut inner, mut call) = (0_u32, Vec::new(), None);
        while let Some(token) = tokens.get(at) {
            let next = |ahead: usize| tokens.get(at + ahead).map_or("", String::as_str);
            match token.as_str() {
                // What a return type captures (`+ use<'a>`) is no import.
                "use" if next(1) == "<" => {}
                "use" => {
                    let is_exported = at > 0 && (tokens[at - 1] == "pub" || tokens[at - 1] == ")");
                    let end = at + tokens[at..].iter().position(|token| token == ";").expect("the end of an import");
                    let from = source.imports.len();
                    source.import(&mut tokens[at + 1..end].iter().map(String::as_str).peekable(), &[], is_exported);
                    source.imports[from..].iter_mut().for_each(|import| leave_modules(&mut import.path, inner.len()));
                    at = end;
                }
                "mod" if next(2) == ";" => {
                    source.children.insert(next(1).to_owned());
                    at += 1;
                }
                "mod" if next(2) == "{" => {
                    source.defined.insert(next(1).to_owned());
                    inner.push(depth);
                    at += 1;
                }
                "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union" => {
                    source.defined.insert(next(1).to_owned());
                }
                "macro_rules" => drop(source.defined.insert(next(2).to_owned())),
                "!" if next(1) == "{" => call = Some(depth + 1),
                // A macro of ours defines types from their names and contents.
                name if is_name(name) && next(1) == "{" && call == Some(depth) => {
                    source.defined.insert(name.to_owned());
                }
                "{" => depth += 1,
                "}" => {
                    depth = depth.saturating_sub(1);
                    inner.pop_if(|begin| *begin == depth);
                    call = call.filter(|inside| *inside <= depth);
                }
                name if is_name(name) && (at == 0 || !["::", "."].contains(&tokens[at - 1].as_str())) => {
                    let mut path = vec![name.to_owned()];
                    while next(2 * path.len() - 1) == "::" && is_name(next(2 * path.len())) {
                        path.push(next(2 * path.len()).to_owned());
                    }
                    leave_modules(&mut path, inner.len());
                    source.used.insert(path);
                }
                _ => {}
            }
            at += 1;
        }
        source
    }

    /// Adds the imports of one `use`.
    fn import<'t>(
        &mut self,
        tokens: &mut std::iter::Peekable<impl Iterator<Item = &'t str>>,
        before: &[String],
        is_exported: bool,
    ) {
        let mut path = before.to_vec();
        let mut name = None;
        while let Some(token) = tokens.next() {
            match token {
                "::" => {}
                "{" => {
                    loop {
                        self.import(tokens, &path, is_exported);
                        if tokens.next_if_eq(&",").is_none() || tokens.peek() == Some(&"}") {
                            break;
                        }
                    }
                    assert_eq!(tokens.next(), Some("}"), "imports that end in {}", self.place);
                    return;
                }
                "*" => return self.globs.push(path),
                "as" => name = tokens.next(),
                "self" if !path.is_empty() => {}
                part => path.push(part.to_owned()),
            }
            if tokens.peek().is_none_or(|next| [",", "}"].contains(next)) {
                break;
            }
        }
        if !path.is_empty() {
            let name = name.map_or_else(|| path.last().cloned().unwrap_or_default(), str::to_owned);
            self.imports.push(Import { name, path, is_exported });
        }
    }

    /// Whether the code contains a name.
    fn mentions(&self, name: &str) -> bool {
        self.used.iter().any(|path| path[0] == name)
    }

    /// The path in full of one in the code. `None` if it does not begin with a module or an import.
    fn written(&self, path: &Names) -> Option<Names> {
        let first = path[0].as_str();
        if ["crate", "super", "self"].contains(&first) || self.children.contains(first) {
            return Some(path.clone());
        }
        let import = self.imports.iter().find(|import| import.name == first)?;
        Some(import.path.iter().chain(&path[1..]).cloned().collect())
    }
}

fn reach<'e>(edges: &'e BTreeMap<Names, BTreeMap<Names, BTreeSet<String>>>, from: &Names) -> BTreeSet<&'e Names> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&Names> = edges[from].keys().collect();
    while let Some(next) = open.pop() {
        if reached.insert(next) {
            open.extend(edges[next].keys());
        }
    }
    reached
}

/// Converts a path within a module inside a file, which is `depth` modules deep, to one of the file.
fn leave_modules(path: &mut [String], depth: usize) {
    path.iter_mut().take(depth).take_while(|name| *name == "super").for_each(|name| "self".clone_into(name));
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Omits modules of tests.
fn without_tests(tokens: Vec<String>) -> Vec<String> {
    const TESTS: [&str; 10] = ["#", "[", "cfg", "(", "test", ")", "]", "mod", "tests", "{"];
    let begin = tokens.windows(TESTS.len()).position(|window| window == TESTS);
    match begin {
        // They are the last item of a file.
        Some(begin) => tokens[..begin].to_vec(),
        None => tokens,
    }
}

/// The names and signs of code, without comments and literals.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").expect("the end of a comment") + 2
        } else if let Some(raw) = raw_string(rest) {
            raw
        } else if rest.starts_with('"') {
            quoted(rest, '"')
        } else if first == '\'' {
            // A character, or a lifetime.
            let is_char = rest[1..].starts_with('\\') || rest.chars().nth(2) == Some('\'');
            if is_char { quoted(rest, '\'') } else { 1 }
        } else if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        let is_literal = token.len() > 1 && token.contains(['"', '\'']);
        if !token.starts_with("//") && !token.starts_with("/*") && !is_literal && !first.is_whitespace() {
            tokens.push(token.to_owned());
        }
        rest = after;
    }
    tokens
}

/// The length of a raw string at the beginning of a text.
fn raw_string(text: &str) -> Option<usize> {
    let text_after = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = text_after.len() - text_after.trim_start_matches('#').len();
    let inner = text_after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = inner.find(&end).expect("the end of a raw string") + end.len();
    Some(text.len() - inner.len() + length)
}

/// The length of a string or character at the beginning of a text.
fn quoted(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    panic!("a literal without an end: {text}")
}

/// All source files in a folder and those below it, except tests.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    let is_source =
        |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs");
    entries.flat_map(below).filter(is_source).collect()
}
