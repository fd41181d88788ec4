//! The search on stable Rust: mutations of a target's corpus, each checked; bounded by count, or by `SECONDS`.
//!
//! The stand-in for libFuzzer, which the targets in `fuzz_targets` are for: instead of coverage, an input whose outcome was
//! not seen before joins the corpus. `SEED` begins another series.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::SeedableRng;
use rand_pcg::Pcg64;

/// What is searched.
pub(crate) struct Target {
    /// Of its corpus, its dictionary and its libFuzzer target.
    pub(crate) name: &'static str,
    /// Panics where something is wrong, else tells in a few words what became of the input.
    pub(crate) check: fn(&[u8]) -> String,
    /// How many mutations are tried without `SECONDS`.
    pub(crate) mutations: u64,
}

/// Larger inputs are cut.
const MOST_BYTES: usize = 4096;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

/// The inputs that are kept, with their names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder().join("corpus").join(target);
    let mut files: Vec<_> =
        folder.read_dir().expect("a corpus").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() >= 10, "only {} inputs in {}", files.len(), folder.display());
    files.iter().map(|file| (file.display().to_string(), std::fs::read(file).expect("an input"))).collect()
}

/// Pieces that matter to who reads the input, as libFuzzer's dictionaries have them: a line each, in quotes, with
/// `\\`, `\"` and `\x0d`.
fn dictionary(target: &str) -> Vec<Vec<u8>> {
    let path = folder().join("dictionaries").join(format!("{target}.dict"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let words = text.lines().filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    let words: Vec<_> = words.map(unescape).collect();
    assert!(!words.is_empty(), "no words in {}", path.display());
    words
}

fn unescape(word: &str) -> Vec<u8> {
    let mut bytes = word.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'x') => {
                    let digits: String = bytes.by_ref().take(2).map(char::from).collect();
                    u8::from_str_radix(&digits, 16).unwrap_or_else(|e| panic!("\\x{digits} in {word}: {e}"))
                }
                Some(quoted @ (b'\\' | b'"')) => quoted,
                other => panic!("\\{other:?} in {word}"),
            },
            plain => plain,
        });
    }
    out
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a whole number")))
}

#[allow(clippy::disallowed_methods, reason = "the time that a person gave the search")]
fn now() -> Instant {
    Instant::now()
}

/// Says which input it was if a check panics.
pub(crate) struct Witness<'a>(pub(crate) &'a [u8]);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input: b\"{}\"", self.0.escape_ascii());
        }
    }
}

fn mutate(input: &mut Vec<u8>, pool: &[Vec<u8>], words: &[Vec<u8>], random: &mut Pcg64) {
    let at = random.random_range(0..=input.len());
    let end = (at + random.random_range(0..16)).min(input.len());
    match random.random_range(0..9) {
        0 if at < input.len() => input[at] ^= 1 << random.random_range(0..8),
        1 if at < input.len() => input[at] = random.random(),
        2 => drop(input.drain(at..end)),
        3 => input.truncate(at),
        4 => {
            let piece = input[at..end].to_vec();
            input.splice(at..at, piece);
        }
        5 => {
            let other = &pool[random.random_range(0..pool.len())];
            let from = random.random_range(0..=other.len());
            let piece = other[from..].to_vec();
            input.splice(at.., piece);
        }
        _ => {
            let word = &words[random.random_range(0..words.len())];
            input.splice(at..end.min(at + random.random_range(0..3)), word.iter().copied());
        }
    }
    input.truncate(MOST_BYTES);
}

/// Checks what is kept; returns it, and what became of it.
pub(crate) fn replay(target: &Target) -> (Vec<Vec<u8>>, BTreeSet<String>) {
    let mut outcomes = BTreeSet::new();
    let inputs = corpus(target.name).into_iter().map(|(_, input)| {
        let witness = Witness(&input);
        outcomes.insert((target.check)(&input));
        drop(witness);
        input
    });
    (inputs.collect(), outcomes)
}

/// Checks mutations of what is kept.
pub(crate) fn search(target: &Target) {
    let Target { name, check, mutations } = *target;
    let words = dictionary(name);
    let (mut pool, mut outcomes) = replay(target);
    let (seeds, known) = (pool.len(), outcomes.len());
    let seed = number("SEED").unwrap_or(0);
    let deadline = number("SECONDS").map(|seconds| now() + Duration::from_secs(seconds));
    let mut random = Pcg64::seed_from_u64(seed);
    let mut tried = 0_u64;
    while deadline.map_or(tried < mutations, |deadline| !tried.is_multiple_of(256) || now() < deadline) {
        let mut input = pool[random.random_range(0..pool.len())].clone();
        for _ in 0..random.random_range(1..6) {
            mutate(&mut input, &pool, &words, &mut random);
        }
        let _witness = Witness(&input);
        if outcomes.insert(check(&input)) {
            pool.push(input.clone());
        }
        tried += 1;
    }
    println!(
        "{name}: {tried} inputs, seed {seed}, {} outcomes, {} joined",
        outcomes.len(),
        pool.len() - seeds
    );
    // A search that only ever sees refusals finds nothing.
    assert!(outcomes.len() > known, "{outcomes:?}");
}
