//! What must hold whatever the bytes are: a corpus that is replayed, and a search around it.
//!
//! Here: the targets, one body of code each, which libFuzzer shares (`fuzz_targets`), and the naive models that they are held to
//! (`strict.rs`). `make fuzz` searches longer; `make libfuzzer` does so guided by coverage. An input that once showed a fault
//! stays in `corpus`.

mod chunked_body;
mod config;
mod connection;
mod origin_form;
mod request_head;
mod response_head;
mod search;
mod splits;
mod strict;

#[allow(dead_code, reason = "the properties of tests/codec use the rest")]
#[path = "../codec/oracle.rs"]
mod codec;
#[path = "../differential/grammar.rs"]
mod grammar;

use search::{Target, Witness, replay, search};

const REQUEST_HEAD: Target = Target { name: "request_head", check: request_head::check, mutations: 10_000 };
const RESPONSE_HEAD: Target =
    Target { name: "response_head", check: response_head::check, mutations: 10_000 };
const CHUNKED_BODY: Target = Target { name: "chunked_body", check: chunked_body::check, mutations: 20_000 };
const CONNECTION: Target = Target { name: "connection", check: connection::check, mutations: 2_000 };
const CONFIG: Target = Target { name: "config", check: config::check, mutations: 1_000 };
const CODEC_REQUEST: Target =
    Target { name: "codec_request", check: codec::check_request, mutations: 20_000 };
const CODEC_ANSWER: Target = Target { name: "codec_answer", check: codec::check_answer, mutations: 20_000 };

#[test]
fn what_once_showed_a_fault_shows_none() {
    let targets =
        [REQUEST_HEAD, RESPONSE_HEAD, CHUNKED_BODY, CONNECTION, CONFIG, CODEC_REQUEST, CODEC_ANSWER];
    for target in targets {
        let (inputs, outcomes) = replay(&target);
        assert!(outcomes.len() > 4, "{}: {} inputs, {outcomes:?}", target.name, inputs.len());
    }
}

#[test]
fn mutations_of_request_head() {
    search(&REQUEST_HEAD);
}

#[test]
fn mutations_of_response_head() {
    search(&RESPONSE_HEAD);
}

#[test]
fn mutations_of_chunked_body() {
    search(&CHUNKED_BODY);
}

#[test]
fn mutations_of_connection() {
    search(&CONNECTION);
}

#[test]
fn mutations_of_config() {
    search(&CONFIG);
}

#[test]
fn mutations_of_codec_request() {
    search(&CODEC_REQUEST);
}

#[test]
fn mutations_of_codec_answer() {
    search(&CODEC_ANSWER);
}

/// The heads that `make differential` shows to h11, a fixed part of them to our own readers.
#[test]
fn generated_heads_are_forwarded_as_one_request_or_refused() {
    let (mut accepted, mut refused) = (0, 0);
    for serial in 0..20_000 {
        let head = grammar::head(0, serial);
        let _witness = Witness(&head);
        match request_head::check(&head).starts_with("Http1") {
            true => accepted += 1,
            false => refused += 1,
        }
    }
    assert!(accepted > 5_000 && refused > 5_000, "{accepted} accepted, {refused} refused");
}
