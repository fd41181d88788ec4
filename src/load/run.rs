//! A generator on a thread of its own.
//!
//! Here: starting it, ending it early, taking its counts. Not here: what it does (`generator.rs`). Floor 3.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use super::{Generator, Plan, TICK_SHIFT, Tally, Workload};
use crate::net::{OsNet, Waker};
use crate::reactor::Reactor;

/// What others may ask of a generator in another thread.
#[derive(Debug, Default)]
pub struct Control {
    /// Set, and the reactor woken: end now.
    pub stop: AtomicBool,
}

/// A generator that runs until its time is over.
#[derive(Debug)]
pub struct RunningLoad<W> {
    control: Arc<Control>,
    waker: Waker,
    thread: JoinHandle<io::Result<(Tally, W)>>,
}

impl<W> RunningLoad<W> {
    /// Ends it now, with what it has counted.
    ///
    /// # Errors
    /// When the thread cannot be woken.
    pub fn stop(&self) -> io::Result<()> {
        self.control.stop.store(true, Ordering::Release);
        self.waker.wake()
    }

    /// Waits for its end; returns its counts and the workload.
    ///
    /// # Errors
    /// What ended its loop.
    pub fn join(self) -> io::Result<(Tally, W)> {
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the generator's thread panicked")))
    }
}

/// Dropped at the end of a generator, tells a thread that waits: counts one more, and wakes it.
#[derive(Debug)]
pub struct Ended {
    /// How many have ended.
    pub count: Arc<AtomicUsize>,
    /// Of the thread that waits.
    pub waker: Arc<Waker>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.count.fetch_add(1, Ordering::Release);
        if let Err(e) = self.waker.wake() {
            log::error!("cannot tell that a generator has ended: {e}");
        }
    }
}

/// The share of `all` that the `n`-th of `parts` gets: equal but for one.
pub fn share(all: usize, n: usize, parts: usize) -> usize {
    all / parts + usize::from(n < all % parts)
}

/// Plays `plan` on a thread called `name`, which drops `held` at its end: how others learn of it.
///
/// # Errors
/// When the system gives no event loop or no thread.
pub fn spawn<W: Workload + Send + 'static>(
    name: &str,
    plan: Plan,
    workload: W,
    held: impl Send + 'static,
) -> io::Result<RunningLoad<W>> {
    let control = Arc::new(Control::default());
    let net = OsNet::new()?;
    let net = if plan.needs_fine_timer() { net.with_fine_timer()? } else { net };
    let waker = net.waker()?;
    let mut generator = Generator::new(plan, workload, Arc::clone(&control));
    let run = move || {
        let _held = held;
        let mut reactor = Reactor::new(net, TICK_SHIFT);
        reactor.begin(|turn| generator.open(turn));
        reactor.run(&mut generator)?;
        Ok(generator.finish())
    };
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
    Ok(RunningLoad { control, waker, thread })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_make_the_whole_and_differ_by_one() {
        for (all, parts) in [(100, 4), (10, 3), (3, 3), (7, 2), (2, 5)] {
            let shares: Vec<_> = (0..parts).map(|n| share(all, n, parts)).collect();
            assert_eq!(shares.iter().sum::<usize>(), all);
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
        }
    }
}
