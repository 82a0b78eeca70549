//! Fuzzes [`drupe_fuzz::traces`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drupe_fuzz::traces(data));
