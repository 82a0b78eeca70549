//! Fuzzes [`drupe_fuzz::codec`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drupe_fuzz::codec(data));
