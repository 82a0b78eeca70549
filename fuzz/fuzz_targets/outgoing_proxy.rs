//! Fuzzes [`drupe_fuzz::outgoing_proxy`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drupe_fuzz::outgoing_proxy(data));
