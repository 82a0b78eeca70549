//! Fuzzes [`drupe_fuzz::pubsub`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drupe_fuzz::pubsub(data));
