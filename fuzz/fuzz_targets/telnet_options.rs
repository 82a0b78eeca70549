//! Fuzzes [`drupe_fuzz::telnet_options`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drupe_fuzz::telnet_options(data));
