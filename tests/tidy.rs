//! The guard rails of the house, as a test: floors, sizes, headers, dead files, leftovers.
//!
//! Here: the map of rooms, and checks that read the sources as text. Each check is tried on a small violation
//! below, so that a check that finds nothing is known to look.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The rooms by floor. A room may use its own floor and those below.
const FLOORS: [(u8, &[&str]); 6] = [
    (0, &["time", "wheel", "deadline", "buffer", "slots"]),
    (1, &["h1", "balance", "batch", "codec", "record", "command", "plotly"]),
    (2, &["reactor", "net", "server", "remote", "telemetry"]),
    (3, HANDLERS),
    (4, &["lab", "world"]),
    (5, &["config", "cli", "main", "lib"]),
];

/// Rooms that must not know each other.
const HANDLERS: &[&str] = &["proxy", "testbed", "load", "admin"];

/// The most lines of a file.
const MOST_LINES: usize = 400;

/// Files that may be longer, and how long they are. An entry may only shrink; none may be added.
const EXCUSED: [(&str, usize); 0] = [];

/// What must not stay behind. Split, so that this file does not contain them.
const LEFTOVERS: [&str; 3] = [concat!("to", "do!("), concat!("db", "g!("), concat!("TO", "DO")];

/// What writes to a standard stream and panics when it cannot, or holds its lock while it waits. Split, as those above.
const PRINTING: [&str; 4] =
    [concat!("print", "!("), concat!("println", "!("), concat!("stdout", "()"), concat!("stderr", "()")];

/// The one file that has the standard streams.
const STREAMS: &str = "src/telemetry/standard.rs";

struct Source {
    /// From the repository's root, with `/`.
    path: String,
    text: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    /// `src/proxy/pool.rs` is in the room `proxy`, `src/wheel.rs` in `wheel`; what is not in `src` in none.
    fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        Some(inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs"))
    }

    /// The text without comments, in which a link may point upwards.
    fn code(&self) -> String {
        self.text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = ["src", "tests", "bench"].map(|folder| root.join(folder)).into();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push(Source::new(path.strip_prefix(root).unwrap().to_str().unwrap(), &text));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn floor(room: &str) -> Option<u8> {
    FLOORS.into_iter().find(|(_, rooms)| rooms.contains(&room)).map(|(floor, _)| floor)
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The first names of the paths at the beginning of `rest`: `a` of `a::b`, `a` and `c` of `{a::b, c::{d, e}}`.
fn first_names(rest: &str) -> Vec<String> {
    let Some(group) = rest.trim_start().strip_prefix('{') else {
        return vec![rest.chars().take_while(|&c| is_name(c)).collect()];
    };
    let (mut depth, mut names, mut name) = (1, Vec::new(), String::new());
    let mut in_first = true;
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => {
                names.push(std::mem::take(&mut name));
                in_first = true;
            }
            c if depth == 1 && in_first && is_name(c) => name.push(c),
            c if depth == 1 && !c.is_whitespace() => in_first = false,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names.push(name);
    names.retain(|name| !name.is_empty() && name != "self");
    names
}

/// The rooms that a source refers to, by `crate::` or by climbing out with `super::`.
fn rooms_used(source: &Source) -> BTreeSet<String> {
    let code = source.code();
    let mut used = BTreeSet::new();
    for (at, start) in code.match_indices("crate::") {
        if !code[..at].ends_with(is_name) {
            used.extend(first_names(&code[at + start.len()..]));
        }
    }
    for (at, start) in code.match_indices("super::") {
        let rooms = first_names(&code[at + start.len()..]).into_iter();
        used.extend(rooms.filter(|name| floor(name).is_some()));
    }
    used
}

fn floor_violations(source: &Source) -> Vec<String> {
    let Some(room) = source.room() else { return Vec::new() };
    let path = &source.path;
    let Some(own) = floor(room) else {
        return vec![format!("{path}: the room `{room}` is not on the map of tests/tidy.rs and src/lib.rs")];
    };
    let complaint = |used: &String| match floor(used) {
        // A macro or a type at the crate's root is no room; there are none, and there should be none.
        None => Some(format!("{path}: `crate::{used}` is not a room on the map")),
        Some(other) if other > own => {
            Some(format!("{path}: floor {own} must not use `{used}` on floor {other}"))
        }
        Some(_) if used != room && HANDLERS.contains(&room) && HANDLERS.contains(&used.as_str()) => {
            Some(format!("{path}: the handlers `{room}` and `{used}` must not know each other"))
        }
        Some(_) => None,
    };
    rooms_used(source).iter().filter_map(complaint).collect()
}

fn size_violation(source: &Source, excused: &[(&str, usize)]) -> Option<String> {
    let path = &source.path;
    let lines = source.text.lines().count();
    let excuse = excused.iter().find(|(excused, _)| excused == path).map(|&(_, lines)| lines);
    match excuse {
        None if lines > MOST_LINES => Some(format!("{path}: {lines} lines; the most is {MOST_LINES}")),
        Some(most) if lines > most => Some(format!("{path}: {lines} lines; it was excused for {most}")),
        Some(_) if lines <= MOST_LINES => Some(format!("{path}: no longer too long; remove its excuse")),
        Some(most) if lines < most => Some(format!("{path}: shrunk; lower its excuse to {lines}")),
        _ => None,
    }
}

fn header_violation(source: &Source) -> Option<String> {
    let missing = source.room().is_some() && !source.text.starts_with("//! ");
    missing.then(|| format!("{}: does not begin with `//!` and what lives there", source.path))
}

fn leftovers(source: &Source) -> Vec<String> {
    let found = LEFTOVERS.into_iter().filter(|leftover| source.text.contains(leftover));
    found.map(|leftover| format!("{}: `{leftover}` was left behind", source.path)).collect()
}

/// Prints in the program itself: a stream that is gone must not end it, one that nobody reads must not hold it up.
fn prints(source: &Source) -> Vec<String> {
    let path = &source.path;
    let is_test = path.ends_with("tests.rs") || path.contains("/tests/");
    if source.room().is_none() || is_test || path == STREAMS {
        return Vec::new();
    }
    let code = source.code();
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let called = |printing: &str| code.match_indices(printing).any(|(at, _)| !code[..at].ends_with('_'));
    let found = PRINTING.into_iter().filter(|printing| called(printing));
    found
        .map(|printing| format!("{path}: `{printing}`; use `logger::complain`, or `say` of cli/output.rs"))
        .collect()
}

/// The files that the `mod name;` of this source may mean.
fn declared(source: &Source) -> Vec<String> {
    let folder = match source.path.rsplit_once('/') {
        Some((folder, "lib.rs" | "main.rs" | "mod.rs")) => folder.to_owned(),
        _ => source.path.trim_end_matches(".rs").to_owned(),
    };
    let mut files = Vec::new();
    let mut named: Option<&str> = None;
    for line in source.text.lines().map(str::trim) {
        if let Some(path) = line.strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]")) {
            named = Some(path);
        } else if let Some(name) = declared_name(line) {
            match (named.take(), source.path.rsplit_once('/')) {
                (Some(path), Some((beside, _))) => files.push(format!("{beside}/{path}")),
                _ => files.extend([format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]),
            }
        }
    }
    files
}

/// The name in `mod name;`.
fn declared_name(line: &str) -> Option<&str> {
    let (before, name) = line.strip_suffix(';')?.rsplit_once("mod ")?;
    let declares = before.is_empty() || before.starts_with("pub");
    (declares && name.chars().all(is_name)).then_some(name)
}

/// Files below `src` that no `mod` leads to, so that the compiler never sees them.
fn unreachable(sources: &[Source]) -> Vec<String> {
    let mut reached = BTreeSet::new();
    let mut next = vec!["src/lib.rs".to_owned(), "src/main.rs".to_owned()];
    while let Some(path) = next.pop() {
        if let Some(source) = sources.iter().find(|source| source.path == path)
            && reached.insert(path)
        {
            next.extend(declared(source));
        }
    }
    let dead = sources.iter().filter(|source| source.room().is_some() && !reached.contains(&source.path));
    dead.map(|source| format!("{}: no `mod` leads here", source.path)).collect()
}

fn assert_none(violations: Vec<String>) {
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn rooms_use_only_what_is_below() {
    assert_none(sources().iter().flat_map(floor_violations).collect());
}

#[test]
fn files_are_short() {
    let sources = sources();
    let gone = EXCUSED.iter().filter(|(path, _)| sources.iter().all(|source| source.path != *path));
    let mut violations: Vec<_> = gone.map(|(path, _)| format!("{path}: gone; remove its excuse")).collect();
    violations.extend(sources.iter().filter_map(|source| size_violation(source, &EXCUSED)));
    assert_none(violations);
}

#[test]
fn files_say_what_lives_there() {
    assert_none(sources().iter().filter_map(header_violation).collect());
}

#[test]
fn nothing_is_left_behind() {
    assert_none(sources().iter().flat_map(leftovers).collect());
}

#[test]
fn nothing_prints_past_the_helpers() {
    assert_none(sources().iter().flat_map(prints).collect());
}

#[test]
fn no_file_is_dead() {
    assert_none(unreachable(&sources()));
}

#[test]
fn the_floor_check_finds_violations() {
    for (path, code, found) in [
        ("src/wheel.rs", "use crate::net::Net;", "floor 0 must not use `net` on floor 2"),
        (
            "src/h1/mod.rs",
            "use crate::{time::Instant, proxy::{self, Options}};",
            "floor 1 must not use `proxy`",
        ),
        ("src/net/os.rs", "fn f() { crate::cli::main(); }", "floor 2 must not use `cli`"),
        ("src/balance/mod.rs", "use super::config::Settings;", "floor 1 must not use `config`"),
        (
            "src/proxy/pool.rs",
            "use crate::testbed::Profile;",
            "`proxy` and `testbed` must not know each other",
        ),
        (
            "src/testbed/mod.rs",
            "use crate::{\n    net::Net,\n    proxy,\n};",
            "`testbed` and `proxy` must not",
        ),
        ("src/attic/mod.rs", "", "the room `attic` is not on the map"),
        ("src/proxy/mod.rs", "use crate::attic::Box;", "`crate::attic` is not a room"),
    ] {
        let violations = floor_violations(&Source::new(path, code));
        assert!(violations.len() == 1 && violations[0].contains(found), "{path}: {violations:?}");
    }
    for (path, code) in [
        ("src/wheel.rs", "use crate::time::Instant; // not crate::net::Net"),
        ("src/wheel.rs", "/// Lent by [`crate::reactor`].\npub(crate) struct Wheel;"),
        ("src/proxy/pool.rs", "use crate::proxy::Options;\nuse super::upstream::Upstream;"),
        ("src/cli/mod.rs", "use crate::{proxy::{Options, testbed}, net::{self, os::cli}};"),
        ("tests/cli.rs", "use crate::support::Scenario;"),
    ] {
        assert_none(floor_violations(&Source::new(path, code)));
    }
}

#[test]
fn the_size_check_finds_violations() {
    let file = |lines| Source::new("src/a.rs", &"x\n".repeat(lines));
    let found = |lines, excused: &[_]| size_violation(&file(lines), excused).unwrap_or_default();
    assert_eq!(found(400, &[]), "");
    assert_eq!(found(450, &[("src/a.rs", 450)]), "");
    assert!(found(401, &[]).contains("401 lines; the most is 400"));
    assert!(found(451, &[("src/a.rs", 450)]).contains("excused for 450"));
    assert!(found(449, &[("src/a.rs", 450)]).contains("lower its excuse to 449"));
    assert!(found(400, &[("src/a.rs", 450)]).contains("remove its excuse"));
}

#[test]
fn the_other_checks_find_violations() {
    assert!(header_violation(&Source::new("src/a.rs", "use std::io;")).is_some());
    assert!(header_violation(&Source::new("src/a.rs", "//! What.")).is_none());
    for leftover in LEFTOVERS {
        assert_eq!(leftovers(&Source::new("src/a.rs", &format!("fn f() {{ {leftover}"))).len(), 1);
    }
    for printing in ["println!(\"x\");", "eprint!(\"x\");", "io::stdout().lock();", "std::io::stderr()"] {
        let code = format!("fn f() {{ {printing} }}");
        assert_eq!(prints(&Source::new("src/cli/a.rs", &code)).len(), 1, "{printing}");
        let in_test = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{ {code} }}");
        for (path, code) in [("src/a.rs", &in_test), ("src/a/tests.rs", &code), (STREAMS, &code)] {
            assert_none(prints(&Source::new(path, code)));
        }
    }
    let sources = [
        Source::new("src/lib.rs", "pub mod a;\nmod b;\n// mod dead;"),
        Source::new("src/a/mod.rs", "pub(crate) mod inner;"),
        Source::new("src/a/inner.rs", ""),
        Source::new("src/b.rs", "#[cfg(test)]\nmod tests;"),
        Source::new("src/b/tests.rs", "#[path = \"beside.rs\"]\nmod other;"),
        Source::new("src/b/beside.rs", ""),
        Source::new("src/dead.rs", ""),
        Source::new("src/a/dead.rs", ""),
        Source::new("tests/free.rs", ""),
    ];
    let dead = "no `mod` leads here";
    assert_eq!(unreachable(&sources), [format!("src/dead.rs: {dead}"), format!("src/a/dead.rs: {dead}")]);
}
