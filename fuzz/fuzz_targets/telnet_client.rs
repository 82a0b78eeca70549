//! Fuzzes [`drupe_fuzz::telnet_client`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drupe_fuzz::telnet_client(data));
