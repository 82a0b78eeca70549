use drupe_core::limit::Budget;
use drupe_core::work::steps_of;

/// Runs `work`, and checks that it takes no more steps than the budget allows for `bytes` bytes.
pub(crate) fn bounded<T>(bytes: usize, budget: &Budget, work: impl FnOnce() -> T) -> T {
    let (result, steps) = steps_of(work);
    let most = budget.steps_max(bytes);
    assert!(steps <= most, "{steps} steps for {bytes} bytes; the maximum is {most}");
    result
}
