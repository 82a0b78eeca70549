use super::*;
use proptest::prelude::*;
use std::vec;

#[test]
fn command_is_an_array_of_bulk_strings() {
    for (parts, expected) in [
        (&[&b"PING"[..]][..], &b"*1\r\n$4\r\nPING\r\n"[..]),
        (&[b"SET", b"", b"a\r\nb"], b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\na\r\nb\r\n"),
        (&[b"0123456789"], b"*1\r\n$10\r\n0123456789\r\n"),
        (&[], b"*0\r\n"),
    ] {
        let mut out = vec![b'!'];
        write_command(&mut out, parts);
        assert_eq!(&out[1..], expected);
        assert_eq!(command_len(parts), expected.len());
    }
}

proptest! {
    #[test]
    fn command_len_is_exact_and_the_command_can_be_decoded(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 1..12),
    ) {
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let mut out = Vec::new();
        write_command(&mut out, &parts);
        prop_assert_eq!(out.len(), command_len(&parts));
        let texts = parts.iter().map(|part| Reply::Text(part.to_vec().into())).collect();
        prop_assert_eq!(decode(1 << 16, &[&out]), (vec![Reply::List(texts)], None));
    }
}
