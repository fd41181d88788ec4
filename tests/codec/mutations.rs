//! Mutations of the corpus, each checked with the model; bounded by count, or by `SECONDS`.
//!
//! The stable stand-in for the coverage-guided targets in `tests/fuzz`: instead of coverage, a body whose outcome was
//! not seen before joins the corpus. `SEED` begins another series.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::SeedableRng;
use rand_pcg::Pcg64;

use super::oracle::{check_answer, check_request};

/// Without `SECONDS`.
const MUTATIONS: u32 = 20_000;

/// Larger bodies are cut.
const MOST_BYTES: usize = 4096;

/// Pieces that matter to a reader of JSON.
const TOKENS: [&str; 32] = [
    "\"",
    "\\",
    "\\u",
    "\\ud83d",
    "\\ude00",
    "\\u0000",
    "\\n",
    "\\\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    " ",
    "\n",
    "\t",
    "0",
    "-",
    "1e999",
    "-0.0",
    "18446744073709551616",
    "null",
    "true",
    "\"sequences\":[",
    "\"instances\":",
    "\"results\":[",
    "\"predictions\":",
    "\u{FEFF}",
    "\u{1F600}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
];

fn corpus(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(folder);
    let mut files: Vec<_> =
        folder.read_dir().expect("a corpus").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() >= 10, "only {} bodies in {}", files.len(), folder.display());
    files.iter().map(|file| std::fs::read(file).expect("a body")).collect()
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a whole number")))
}

#[allow(clippy::disallowed_methods, reason = "the time that a person gave the search")]
fn now() -> Instant {
    Instant::now()
}

/// Says which body it was if a check panics.
struct Witness<'a>(&'a [u8]);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the body: b\"{}\"", self.0.escape_ascii());
        }
    }
}

fn mutate(body: &mut Vec<u8>, pool: &[Vec<u8>], random: &mut Pcg64) {
    let at = random.random_range(0..=body.len());
    let end = (at + random.random_range(0..16)).min(body.len());
    match random.random_range(0..8) {
        0 if at < body.len() => body[at] ^= 1 << random.random_range(0..8),
        1 if at < body.len() => body[at] = random.random(),
        2 => drop(body.drain(at..end)),
        3 => body.truncate(at),
        4 => {
            let piece = body[at..end].to_vec();
            body.splice(at..at, piece);
        }
        5 => {
            let other = &pool[random.random_range(0..pool.len())];
            let from = random.random_range(0..=other.len());
            let piece = other[from..].to_vec();
            body.splice(at.., piece);
        }
        _ => {
            let token = TOKENS[random.random_range(0..TOKENS.len())];
            body.splice(at..end.min(at + random.random_range(0..3)), token.bytes());
        }
    }
    body.truncate(MOST_BYTES);
}

fn search(folder: &str, check: fn(&[u8]) -> String) {
    let mut pool = corpus(folder);
    let mut outcomes: BTreeSet<String> = BTreeSet::new();
    for body in &pool {
        let _witness = Witness(body);
        outcomes.insert(check(body));
    }
    let seeds = pool.len();
    let seed = number("SEED").unwrap_or(0);
    let deadline = number("SECONDS").map(|seconds| now() + Duration::from_secs(seconds));
    let mut random = Pcg64::seed_from_u64(seed);
    let mut tried = 0_u64;
    while deadline
        .map_or(tried < u64::from(MUTATIONS), |deadline| !tried.is_multiple_of(1024) || now() < deadline)
    {
        let mut body = pool[random.random_range(0..pool.len())].clone();
        for _ in 0..random.random_range(1..6) {
            mutate(&mut body, &pool, &mut random);
        }
        let _witness = Witness(&body);
        if outcomes.insert(check(&body)) {
            pool.push(body.clone());
        }
        tried += 1;
    }
    println!(
        "{folder}: {tried} bodies, seed {seed}, {} outcomes, {} joined",
        outcomes.len(),
        pool.len() - seeds
    );
    // A search that only ever sees refusals finds nothing.
    assert!(outcomes.len() > seeds, "{outcomes:?}");
}

#[test]
fn no_mutation_of_a_request_is_read_otherwise_than_the_model_does() {
    search("request", check_request);
}

#[test]
fn no_mutation_of_an_answer_is_read_otherwise_than_the_model_does() {
    search("answer", check_answer);
}
