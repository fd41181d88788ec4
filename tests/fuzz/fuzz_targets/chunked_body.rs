//! The chunked coding beside a naive model.
#![no_main]

#[path = "../chunked_body.rs"]
mod chunked_body;
#[allow(dead_code, reason = "other targets use the rest")]
#[path = "../strict.rs"]
mod strict;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    chunked_body::check(bytes);
});
