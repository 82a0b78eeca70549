//! Fuzzes [`drupe_fuzz::scram`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drupe_fuzz::scram(data));
