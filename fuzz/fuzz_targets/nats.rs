//! Fuzzes [`drupe_fuzz::nats`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drupe_fuzz::nats(data));
