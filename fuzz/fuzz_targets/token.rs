//! Fuzzes [`drupe_fuzz::token`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drupe_fuzz::token(data));
