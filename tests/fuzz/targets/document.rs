#![no_main]

#[path = "../oracle.rs"]
#[allow(dead_code, reason = "each target looks at its own half")]
mod oracle;

libfuzzer_sys::fuzz_target!(|input: &[u8]| oracle::document(input));
