use crate::cut::cut;
use crate::memory::peak_of;
use drupe_core::sim::OperationStream;
use drupe_core::work::steps_of;

/// Decodes any bytes as operations of a NATS server, in any pieces, and as JSON of one.
///
/// The first byte is the length of the pieces.
///
/// # Panics
/// If the split changes the operations or the fault, or a bound on memory or steps is exceeded.
pub fn nats(data: &[u8]) {
    let Some((&piece, stream)) = data.split_first() else { return };
    let pieces = [stream.len().max(1), 1, usize::from(piece).max(1)];
    let [whole, single, split] = pieces.map(|piece| decoded(stream, piece));
    assert!(whole == single && whole == split, "the split changes the result: {whole:?}, {single:?}, {split:?}");
    let most = isize::try_from(2_000 + 200 * stream.len()).expect("small");
    let peak = peak_of(|| drop(OperationStream::json(stream)));
    assert!(peak <= most, "{peak} bytes for JSON of {} bytes", stream.len());
}

/// Returns the operations as text, and the fault that ended them, if any.
fn decoded(stream: &[u8], piece: usize) -> Vec<String> {
    let (mut operations, mut outcome, mut steps) = (OperationStream::default(), Vec::new(), 0);
    'pieces: for piece in cut(stream, &[piece]) {
        let ((), more) = steps_of(|| operations.push(&piece));
        steps += more;
        loop {
            let (next, more) = steps_of(|| operations.next_operation());
            steps += more;
            match next {
                Ok(Some(operation)) => outcome.push(format!("{operation:?}")),
                Ok(None) => break,
                Err(fault) => {
                    assert_eq!(operations.next_operation().err().as_ref(), Some(&fault), "a fault is final");
                    assert_eq!(operations.held(), 0, "nothing is held after a fault");
                    outcome.push(fault);
                    break 'pieces;
                }
            }
        }
        assert!(operations.held() <= OperationStream::HELD_MAX, "{} bytes are held", operations.held());
    }
    let most = 100 + 4 * u64::try_from(stream.len()).expect("small");
    assert!(steps <= most, "{steps} steps for {} bytes; the maximum is {most}", stream.len());
    outcome
}
