//! Fuzzes [`drupe_fuzz::listen`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drupe_fuzz::listen(data));
