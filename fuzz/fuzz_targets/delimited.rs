//! Fuzzes [`drupe_fuzz::delimited`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drupe_fuzz::delimited(data));
