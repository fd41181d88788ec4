//! The proxy between scripted peers.
#![no_main]

#[path = "../connection/mod.rs"]
mod connection;
#[path = "../origin_form.rs"]
mod origin_form;
#[allow(dead_code, reason = "other targets use the rest")]
#[path = "../strict.rs"]
mod strict;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    connection::check(bytes);
});
