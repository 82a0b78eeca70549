/// Splits a stream into pieces of these lengths, repeated in a cycle.
pub(crate) fn cut<'a>(stream: &'a [u8], lengths: &'a [usize]) -> impl Iterator<Item = Vec<u8>> + 'a {
    let mut rest = stream;
    lengths.iter().cycle().map_while(move |&length| {
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        rest = behind;
        (!piece.is_empty()).then(|| piece.to_vec())
    })
}
