//! Fuzzes [`drupe_fuzz::line`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drupe_fuzz::line(data));
