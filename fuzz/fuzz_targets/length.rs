//! Fuzzes [`drupe_fuzz::length`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drupe_fuzz::length(data));
