use super::*;
use crate::block_on;
use std::sync::{Condvar, mpsc};
use std::task::Wake;

/// Lookups of a test, which return when the test opens the gate.
#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    /// The hosts whose lookups began, in order.
    begun: Vec<String>,
    in_progress: usize,
    in_progress_max: usize,
    is_open: bool,
}

impl Gate {
    fn pool(self: &Arc<Self>) -> Arc<Pool> {
        let gate = Arc::clone(self);
        Pool::new(move |host| {
            let mut state = lock(&gate.state);
            state.begun.push(host.to_owned());
            state.in_progress += 1;
            state.in_progress_max = state.in_progress_max.max(state.in_progress);
            gate.changed.notify_all();
            state = gate.changed.wait_while(state, |state| !state.is_open).expect("no panic");
            state.in_progress -= 1;
            drop(state);
            assert_ne!(host, "panics", "on purpose");
            let number = host.parse().map_err(|_| io::Error::other("no such name"))?;
            Ok(vec![SocketAddr::from(([192, 0, 2, number], 0))])
        })
    }

    fn names(self: &Arc<Self>) -> (Names, Arc<Pool>) {
        let names = Names::default();
        let pool = self.pool();
        assert!(names.own.set(Arc::clone(&pool)).is_ok());
        (names, pool)
    }

    fn until(&self, so: impl Fn(&GateState) -> bool) {
        drop(self.changed.wait_while(lock(&self.state), |state| !so(state)).expect("no panic"));
    }

    fn open(&self) {
        lock(&self.state).is_open = true;
        self.changed.notify_all();
    }
}

/// Waits until all threads have ended.
fn until_idle(pool: &Pool) {
    while lock(&pool.queue).threads > 0 {
        thread::yield_now();
    }
    let queue = lock(&pool.queue);
    assert!(queue.lookups.is_empty() && queue.waiting.is_empty());
}

#[test]
fn resolver_bounds_threads_and_skips_cancelled_names() {
    let gate = Arc::new(Gate::default());
    let (names, pool) = gate.names();
    let mut asked: Vec<_> = (0..200_u8).map(|number| names.resolve(&format!("{number}:{number}"))).collect();
    gate.until(|state| state.in_progress == RESOLVER_THREADS_MAX);
    assert_eq!(lock(&pool.queue).threads, RESOLVER_THREADS_MAX);
    assert_eq!(lock(&pool.queue).waiting.len(), 200 - RESOLVER_THREADS_MAX);
    drop(asked.split_off(100));
    assert_eq!(lock(&pool.queue).waiting.len(), 100 - RESOLVER_THREADS_MAX);
    gate.open();
    for (number, asked) in (0..).zip(asked) {
        let expected = SocketAddr::from(([192, 0, 2, number], number.into()));
        assert_eq!(block_on(asked).expect("found"), [expected]);
    }
    until_idle(&pool);
    let state = lock(&gate.state);
    assert_eq!((state.in_progress_max, state.begun.len()), (RESOLVER_THREADS_MAX, 100));
}

#[test]
fn equal_names_share_a_lookup_until_it_ends_and_no_longer() {
    let gate = Arc::new(Gate::default());
    let (names, pool) = gate.names();
    let first = names.resolve("1:7");
    gate.until(|state| state.in_progress == 1);
    // Later questions join the lookup in progress, each with its own port.
    let others: Vec<_> = (0..5_000).map(|port| names.resolve(&format!("1:{port}"))).collect();
    drop(first);
    gate.open();
    for (port, other) in (0..).zip(others) {
        assert_eq!(block_on(other).expect("found"), [SocketAddr::from(([192, 0, 2, 1], port))]);
    }
    assert_eq!(lock(&gate.state).begun, ["1"]);
    assert!(block_on(names.resolve("1:7")).is_ok());
    assert_eq!(lock(&gate.state).begun, ["1", "1"], "no answer is kept");
    until_idle(&pool);
}

#[test]
fn queued_lookup_is_cancelled_with_its_last_future() {
    let gate = Arc::new(Gate::default());
    let (names, pool) = gate.names();
    let busy: Vec<_> = (0..RESOLVER_THREADS_MAX).map(|number| names.resolve(&format!("{number}:1"))).collect();
    gate.until(|state| state.in_progress == RESOLVER_THREADS_MAX);
    let [one, two] = [names.resolve("100:1"), names.resolve("100:2")];
    drop(one);
    assert_eq!(lock(&pool.queue).waiting.len(), 1);
    drop(two);
    assert_eq!(lock(&pool.queue).waiting.len(), 0);
    let three = names.resolve("100:3");
    gate.open();
    assert_eq!(block_on(three).expect("found")[0].port(), 3);
    drop(busy);
    until_idle(&pool);
    assert_eq!(lock(&gate.state).begun.iter().filter(|host| *host == "100").count(), 1);
}

#[test]
fn panic_in_a_lookup_is_an_error_and_ends_no_thread() {
    let gate = Arc::new(Gate::default());
    gate.open();
    let (names, pool) = gate.names();
    for _ in 0..=RESOLVER_THREADS_MAX {
        let error = block_on(names.resolve("panics:1")).expect_err("it panics");
        assert!(error.to_string().contains("panicked"), "{error}");
    }
    assert!(block_on(names.resolve("7:1")).is_ok());
    until_idle(&pool);
}

/// A waker that panics.
struct Broken;

impl Wake for Broken {
    fn wake(self: Arc<Self>) {
        panic!("on purpose");
    }
}

#[test]
fn panic_of_a_waker_does_not_cost_others_their_answer() {
    let gate = Arc::new(Gate::default());
    let (names, pool) = gate.names();
    let [mut broken, sound] = [names.resolve("1:1"), names.resolve("1:2")];
    assert!(Pin::new(&mut broken).poll(&mut Context::from_waker(&Arc::new(Broken).into())).is_pending());
    let (send, found) = mpsc::channel();
    let waiting = thread::spawn(move || drop(send.send(block_on(sound))));
    gate.until(|state| state.in_progress == 1);
    gate.open();
    assert!(found.recv().expect("an answer").is_ok());
    waiting.join().expect("no panic");
    until_idle(&pool);
}

#[test]
fn errors_of_lookups_have_the_kind_not_found() {
    let gate = Arc::new(Gate::default());
    gate.open();
    let (names, _) = gate.names();
    let error = block_on(names.resolve("unknown:1")).expect_err("no such name");
    assert_eq!((Failure::from(&error), error.to_string()), (Failure::NotFound, "no such name".into()));
    for address in ["", "1", "1:", ":1", "1:99999"] {
        let error = block_on(names.resolve(address)).expect_err(address);
        assert_eq!(Failure::from(&error), Failure::InvalidAddress, "{address}");
    }
    // Addresses need no lookup.
    for address in ["192.0.2.1:7", "[2001:db8::1]:7"] {
        assert_eq!(block_on(names.resolve(address)).expect(address), [address.parse().expect(address)]);
    }
    assert_eq!(lock(&gate.state).begun, ["unknown"]);
}

#[test]
fn system_resolves_the_name_of_this_machine() {
    let found = block_on(Names::default().resolve("localhost:7")).expect("every system knows it");
    assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 7) && !found.is_empty());
}
