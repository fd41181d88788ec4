//! A classifier's answer against the naive model of `tests/codec`.
#![no_main]

#[allow(dead_code, reason = "the other target uses the rest")]
#[path = "../../codec/oracle.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    oracle::check_answer(body);
});
