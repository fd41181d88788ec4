//! The way of commands from one reactor to another, and of the answers back.
//!
//! Here: [`Remote`], the end of who asks; [`Orders`], the end of who obeys. Each wakes the other's reactor; nobody
//! waits, and what waits is bounded. Not here: what is asked (`command.rs`). Between `admin/` and `proxy/`. Floor 2.

use std::io;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};

use crate::command::{Answer, Command};
use crate::net::Wakes;

/// How many commands may wait to be obeyed.
const WAITING: usize = 64;

struct Order<C, A> {
    command: C,
    reply: Sender<A>,
}

/// Sends commands.
pub struct Remote<W, C = Command, A = Answer> {
    orders: Sender<Order<C, A>>,
    other: W,
}

/// Receives commands.
pub struct Orders<W, C = Command, A = Answer> {
    orders: Receiver<Order<C, A>>,
    other: W,
}

/// Why a command was not sent, or will not be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unheard {
    /// Too many wait already.
    Busy,
    /// The other side has ended.
    Gone,
}

/// A command that was sent.
#[derive(Debug)]
pub struct Sent<A = Answer>(Receiver<A>);

/// Calls a thread that waits on a channel, and has no reactor.
#[derive(Clone, Debug)]
pub struct Bell(Sender<()>);

impl Bell {
    /// A bell, and where it is heard. Rung again before it was heard, it is heard once.
    pub fn new() -> (Bell, Receiver<()>) {
        let (ring, heard) = bounded(1);
        (Bell(ring), heard)
    }
}

impl Wakes for Bell {
    fn wake(&self) -> io::Result<()> {
        // One that is full rings already; where nobody hears it, nobody is to be called.
        let _ = self.0.try_send(());
        Ok(())
    }
}

/// Both ends. `obeying` wakes the reactor of who obeys, `asking` that of who asks.
pub fn remote<O: Wakes, W: Wakes, C, A>(obeying: O, asking: W) -> (Remote<O, C, A>, Orders<W, C, A>) {
    let (sender, receiver) = bounded(WAITING);
    (Remote { orders: sender, other: obeying }, Orders { orders: receiver, other: asking })
}

impl<W: Wakes, C, A> Remote<W, C, A> {
    /// Sends a command; when it is answered, the reactor of who asks is woken.
    ///
    /// # Errors
    /// The command is not sent.
    pub fn send(&self, command: C) -> Result<Sent<A>, Unheard> {
        let (reply, answer) = bounded(1);
        self.orders
            .try_send(Order { command, reply })
            .map_err(|e| if e.is_full() { Unheard::Busy } else { Unheard::Gone })?;
        call(&self.other);
        Ok(Sent(answer))
    }
}

impl<A> Sent<A> {
    /// The answer, for which a thread waits that has nothing else to do; none if it has not come in time.
    ///
    /// # Errors
    /// It never will.
    pub fn wait(&self, limit: Duration) -> Result<Option<A>, Unheard> {
        match self.0.recv_timeout(limit) {
            Ok(answer) => Ok(Some(answer)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Unheard::Gone),
        }
    }

    /// The answer, if it has come.
    ///
    /// # Errors
    /// It never will.
    pub fn answer(&self) -> Result<Option<A>, Unheard> {
        match self.0.try_recv() {
            Ok(answer) => Ok(Some(answer)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(Unheard::Gone),
        }
    }
}

impl<W: Wakes, C, A> Orders<W, C, A> {
    /// Calls `obey` with every command that waits, and sends its answers back.
    pub fn each(&self, mut obey: impl FnMut(C) -> A) {
        let mut answered = false;
        for Order { command, reply } in self.orders.try_iter() {
            // Who asked may have tired of waiting.
            answered |= reply.try_send(obey(command)).is_ok();
        }
        if answered {
            call(&self.other);
        }
    }
}

impl<W, C, A> Drop for Orders<W, C, A> {
    /// Who waits for an answer is not to wait on.
    fn drop(&mut self) {
        self.orders.try_iter().for_each(drop);
    }
}

/// What cannot be woken finds what waits at its next turn.
fn call(other: &impl Wakes) {
    if let Err(e) = other.wake() {
        log::error!("cannot wake an event loop: {e}");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;
    use crate::balance::RoutingMode;

    #[derive(Clone, Default)]
    struct Count(Rc<Cell<u32>>);

    impl Wakes for Count {
        fn wake(&self) -> std::io::Result<()> {
            self.0.set(self.0.get() + 1);
            Ok(())
        }
    }

    #[test]
    fn a_command_is_obeyed_once_and_its_answer_comes_back() {
        let (proxy, admin) = (Count::default(), Count::default());
        let (remote, orders) = remote(proxy.clone(), admin.clone());
        let sent = remote.send(Command::SetRouting(RoutingMode::AdaptiveSma)).unwrap();
        assert_eq!((proxy.0.get(), sent.answer()), (1, Ok(None)));
        let mut obeyed = Vec::new();
        for _ in 0..2 {
            orders.each(|command| {
                obeyed.push(command);
                Answer::Done
            });
        }
        assert_eq!(obeyed, [Command::SetRouting(RoutingMode::AdaptiveSma)]);
        assert_eq!((admin.0.get(), sent.answer()), (1, Ok(Some(Answer::Done))));
    }

    #[test]
    fn who_cannot_be_heard_is_told() {
        let (remote, orders) = remote::<_, _, _, Answer>(Count::default(), Count::default());
        let all: Vec<_> = (0..WAITING).map(|_| remote.send(Command::Stand).unwrap()).collect();
        assert_eq!(remote.send(Command::Stand).unwrap_err(), Unheard::Busy);
        drop(orders);
        assert_eq!(all[0].answer(), Err(Unheard::Gone));
        assert_eq!(remote.send(Command::Stand).unwrap_err(), Unheard::Gone);
    }
}
