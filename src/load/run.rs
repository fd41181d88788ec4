//! A generator on a thread of its own.
//!
//! Here: starting it, ending it early, taking its counts. Not here: what it does (`generator.rs`). Floor 3.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
