use drupe_core::limit::Budget;
use drupe_core::work::steps_of;

/// What `work` returns: a call that looks at `bytes` bytes, and takes no more steps than that allows.
pub(crate) fn bounded<T>(bytes: usize, budget: &Budget, work: impl FnOnce() -> T) -> T {
    let (result, steps) = steps_of(work);
    let most = budget.steps_max(bytes);
    assert!(steps <= most, "{steps} steps for {bytes} bytes, of which {most} are allowed");
    result
}
