//! Fuzzes [`drupe_fuzz::ssh_keys`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drupe_fuzz::ssh_keys(data));
