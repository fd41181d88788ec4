//! Callgrind's files (valgrind's manual, "Callgrind Format Specification"): totals, and costs by function and line.

use std::collections::BTreeMap;
use std::fmt::Write;

/// What one thread executed.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    /// All instructions.
    pub(crate) total: u64,
    /// By function; functions that were inlined count to where they were.
    pub(crate) functions: BTreeMap<String, Cost>,
    /// By file and line, wherever they were inlined.
    pub(crate) lines: BTreeMap<(String, u64), u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Without what it called.
    pub(crate) own: u64,
    /// With the functions that it called. Recursion counts more than once.
    pub(crate) inclusive: u64,
}

/// Names that are written once and then referred to by number.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    /// The name in `(12) name` or, once that has been read, `(12)`.
    fn resolve(&mut self, text: &str) -> String {
        match text.split_once(' ') {
            Some((number, name)) if number.starts_with('(') => {
                self.0.insert(number.to_owned(), name.to_owned());
                name.to_owned()
            }
            _ => self.0.get(text).cloned().unwrap_or_else(|| text.to_owned()),
        }
    }
}

/// Reads one thread's file, as `--separate-threads=yes` with only instructions counted leaves it.
pub(crate) fn parse(text: &str) -> Result<Profile, String> {
    let (mut profile, mut total) = (Profile::default(), None);
    let (mut files, mut functions) = (Names::default(), Names::default());
    let (mut file, mut function, mut line, mut is_call) = (String::new(), String::new(), 0, false);
    for (n, said) in text.lines().enumerate() {
        if let Some((key, value)) = said.split_once('=') {
            match key {
                "fl" | "fi" | "fe" => file = files.resolve(value),
                "fn" => function = functions.resolve(value),
                // What is called is told of elsewhere; its name may be written here first.
                "cfi" | "cfl" => drop(files.resolve(value)),
                "cfn" => drop(functions.resolve(value)),
                "calls" => is_call = true,
                _ => {}
            }
        } else if let Some(sum) = said.strip_prefix("totals: ") {
            total = sum.trim().parse().ok();
        } else if said.starts_with(['+', '-', '*']) || said.starts_with(|c: char| c.is_ascii_digit()) {
            let cost;
            (line, cost) =
                cost_line(said, line).ok_or_else(|| format!("callgrind's line {}: {said}", n + 1))?;
            let of_function = profile.functions.entry(function.clone()).or_default();
            of_function.inclusive += cost;
            if !std::mem::take(&mut is_call) {
                of_function.own += cost;
                *profile.lines.entry((file.clone(), line)).or_default() += cost;
            }
        }
    }
    profile.total = total.ok_or("callgrind's file has no totals: it was cut off")?;
    Ok(profile)
}

/// The line and the cost in `16 400`, `+3 400`, `-3 400` or `* 400`.
fn cost_line(text: &str, before: u64) -> Option<(u64, u64)> {
    let (position, cost) = text.split_once(' ')?;
    let line = match position.as_bytes()[0] {
        b'*' => before,
        b'+' => before.checked_add(position[1..].parse().ok()?)?,
        b'-' => before.checked_sub(position[1..].parse().ok()?)?,
        _ => position.parse().ok()?,
    };
    // Trailing zeros are left out, all of them too.
    Some((line, if cost.is_empty() { 0 } else { cost.parse().ok()? }))
}

/// The `top` functions and lines by their own instructions per exchange: what `many` has more than `few`, over
/// `exchanges`.
pub(crate) fn report(name: &str, few: &Profile, many: &Profile, exchanges: u32, top: usize) -> String {
    let each = |few: u64, many: u64| (many as f64 - few as f64) / f64::from(exchanges);
    let cost = |profile: &Profile, name: &String| profile.functions.get(name).copied().unwrap_or_default();
    let mut functions: Vec<(f64, f64, &String)> = many
        .functions
        .keys()
        .map(|name| {
            let (few, many) = (cost(few, name), cost(many, name));
            (each(few.own, many.own), each(few.inclusive, many.inclusive), name)
        })
        .collect();
    functions.sort_by(|a, b| b.0.total_cmp(&a.0));
    let line = |profile: &Profile, at: &(String, u64)| profile.lines.get(at).copied().unwrap_or_default();
    let mut lines: Vec<(f64, &(String, u64))> =
        many.lines.keys().map(|at| (each(line(few, at), line(many, at)), at)).collect();
    lines.sort_by(|a, b| b.0.total_cmp(&a.0));

    let mut out = format!("`{name}`: {:.0} instructions per exchange\n\n", each(few.total, many.total));
    // Writing to a String cannot fail.
    let _ = writeln!(out, "| own | with calls | function |\n| ---: | ---: | --- |");
    for (own, inclusive, name) in functions.iter().take(top) {
        let _ = writeln!(out, "| {own:.0} | {inclusive:.0} | {name} |");
    }
    let _ = writeln!(out, "\n| own | line, wherever it was inlined |\n| ---: | --- |");
    for (own, (file, line)) in lines.iter().take(top) {
        let _ = writeln!(out, "| {own:.0} | {}:{line} |", short(file));
    }
    out
}

/// A path from the place that says whose it is: the repository's, a crate's, the standard library's.
fn short(path: &str) -> &str {
    let own = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/"));
    let after = |mark: &str| Some(path.split_once(mark)?.1.split_once('/')?.1);
    own.or_else(|| after("/registry/src/")).or_else(|| after("/rustc/")).unwrap_or(path)
}
