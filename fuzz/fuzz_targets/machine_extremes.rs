//! Fuzzes [`drupe_fuzz::machine_extremes`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drupe_fuzz::machine_extremes(data));
