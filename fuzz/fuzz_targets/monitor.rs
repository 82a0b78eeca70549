//! Fuzzes [`drupe_fuzz::monitor`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drupe_fuzz::monitor(data));
