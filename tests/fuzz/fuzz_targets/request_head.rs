//! Request heads: parsed and forwarded.
#![no_main]

#[path = "../origin_form.rs"]
mod origin_form;
#[path = "../request_head.rs"]
mod request_head;
#[allow(dead_code, reason = "other targets use the rest")]
#[path = "../splits.rs"]
mod splits;
#[allow(dead_code, reason = "other targets use the rest")]
#[path = "../strict.rs"]
mod strict;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    request_head::check(bytes);
});
