use crate::cut::cut;
use crate::memory::peak_of;
use arbitrary::{Arbitrary, Unstructured};
use drupe_core::sim::ReplyStream;
use drupe_core::work::steps_of;

#[derive(Arbitrary, Debug)]
struct Setting {
    bound: u16,
    pieces: [u8; 4],
}

/// Decodes any bytes as replies of a Redis broker, with any bound and in any pieces.
///
/// # Panics
/// If the split changes the replies or the fault, or a bound on memory or steps is exceeded.
pub fn resp(data: &[u8]) {
    let mut rest = Unstructured::new(data);
    let Ok(setting) = Setting::arbitrary(&mut rest) else { return };
    let (stream, bound) = (rest.take_rest(), usize::from(setting.bound));
    let pieces: Vec<usize> = setting.pieces.iter().map(|&piece| usize::from(piece).max(1)).collect();
    let [whole, single, split] =
        [&[stream.len().max(1)][..], &[1], &pieces].map(|pieces| decoded(bound, stream, pieces));
    assert!(whole == single && whole == split, "the split changes the result: {whole:?}, {single:?}, {split:?}");
}

/// Returns the replies as text, and the fault that ended them, if any.
fn decoded(bound: usize, stream: &[u8], pieces: &[usize]) -> Vec<String> {
    let (mut replies, mut outcome, mut steps) = (ReplyStream::new(bound), Vec::new(), 0);
    'pieces: for piece in cut(stream, pieces) {
        checked(bound, piece.len(), &mut steps, || replies.push(&piece));
        loop {
            match checked(bound, piece.len(), &mut steps, || replies.next_reply()) {
                Ok(Some(reply)) => outcome.push(format!("{reply:?}")),
                Ok(None) => break,
                Err(fault) => {
                    assert_eq!(replies.next_reply().err().as_ref(), Some(&fault), "a fault is final");
                    assert_eq!(replies.held(), 0, "nothing is held after a fault");
                    outcome.push(fault);
                    break 'pieces;
                }
            }
        }
        assert!(replies.held() <= bound, "{} bytes are held, the bound is {bound}", replies.held());
    }
    let most = 100 + 4 * u64::try_from(stream.len()).expect("small");
    assert!(steps <= most, "{steps} steps for {} bytes; the maximum is {most}", stream.len());
    outcome
}

/// Runs `work`, adds its steps, and checks its memory.
fn checked<T>(bound: usize, piece: usize, steps: &mut u64, work: impl FnOnce() -> T) -> T {
    let mut result = None;
    let peak = peak_of(|| result = Some(steps_of(work)));
    // An element of three bytes takes 40 bytes, in lists that grow by doubling. One push is held twice while it is moved.
    let most = isize::try_from(1_000 + 64 * bound + 4 * piece).expect("small");
    assert!(peak <= most, "{peak} bytes for a bound of {bound}, in pieces of {piece}");
    let (result, more) = result.expect("it ran");
    *steps += more;
    result
}
