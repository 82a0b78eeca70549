//! Fuzzes [`drupe_fuzz::http`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drupe_fuzz::http(data));
