//! Fuzzes [`drupe_fuzz::kit`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drupe_fuzz::kit(data));
