//! Fuzzes [`drupe_fuzz::ssh_course`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drupe_fuzz::ssh_course(data));
