#![no_main]

#[path = "../gate.rs"]
mod gate;

libfuzzer_sys::fuzz_target!(|input: &[u8]| gate::request(input));
