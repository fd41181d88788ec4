//! Response heads: parsed and passed on.
#![no_main]

#[path = "../response_head.rs"]
mod response_head;
#[allow(dead_code, reason = "other targets use the rest")]
#[path = "../splits.rs"]
mod splits;
#[allow(dead_code, reason = "other targets use the rest")]
#[path = "../strict.rs"]
mod strict;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    response_head::check(bytes);
});
