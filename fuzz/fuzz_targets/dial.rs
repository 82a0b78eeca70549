//! Fuzzes [`drupe_fuzz::dial`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drupe_fuzz::dial(data));
