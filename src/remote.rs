//! The way of commands from one reactor to another, and of the answers back.
//!
//! Here: [`Remote`], the end of who asks; [`Orders`], the end of who obeys. Each wakes the other's reactor; nobody
//! waits, and what waits is bounded. Not here: what is asked (`command.rs`). Between `admin/` and `proxy/`. Floor 2.

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use crate::command::{Answer, Command};
use crate::net::Wakes;

/// How many commands may wait to be obeyed.
const WAITING: usize = 64;

struct Order {
    command: Command,
    reply: Sender<Answer>,
}

/// Sends commands.
pub struct Remote<W> {
    orders: Sender<Order>,
    other: W,
}

/// Receives commands.
pub struct Orders<W> {
    orders: Receiver<Order>,
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
pub struct Sent(Receiver<Answer>);

/// Both ends. `obeying` wakes the reactor of who obeys, `asking` that of who asks.
pub fn remote<W: Wakes>(obeying: W, asking: W) -> (Remote<W>, Orders<W>) {
    let (sender, receiver) = bounded(WAITING);
    (Remote { orders: sender, other: obeying }, Orders { orders: receiver, other: asking })
}

impl<W: Wakes> Remote<W> {
    /// Sends a command; when it is answered, the reactor of who asks is woken.
    ///
    /// # Errors
    /// The command is not sent.
    pub fn send(&self, command: Command) -> Result<Sent, Unheard> {
        let (reply, answer) = bounded(1);
        self.orders
            .try_send(Order { command, reply })
            .map_err(|e| if e.is_full() { Unheard::Busy } else { Unheard::Gone })?;
        call(&self.other);
        Ok(Sent(answer))
    }
}

impl Sent {
    /// The answer, if it has come.
    ///
    /// # Errors
    /// It never will.
    pub fn answer(&self) -> Result<Option<Answer>, Unheard> {
        match self.0.try_recv() {
            Ok(answer) => Ok(Some(answer)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(Unheard::Gone),
        }
    }
}

impl<W: Wakes> Orders<W> {
    /// Calls `obey` with every command that waits, and sends its answers back.
    pub fn each(&self, mut obey: impl FnMut(Command) -> Answer) {
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

impl<W> Drop for Orders<W> {
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
    struct Bell(Rc<Cell<u32>>);

    impl Wakes for Bell {
        fn wake(&self) -> std::io::Result<()> {
            self.0.set(self.0.get() + 1);
            Ok(())
        }
    }

    #[test]
    fn a_command_is_obeyed_once_and_its_answer_comes_back() {
        let (proxy, admin) = (Bell::default(), Bell::default());
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
        let (remote, orders) = remote(Bell::default(), Bell::default());
        let all: Vec<_> = (0..WAITING).map(|_| remote.send(Command::Stand).unwrap()).collect();
        assert_eq!(remote.send(Command::Stand).unwrap_err(), Unheard::Busy);
        drop(orders);
        assert_eq!(all[0].answer(), Err(Unheard::Gone));
        assert_eq!(remote.send(Command::Stand).unwrap_err(), Unheard::Gone);
    }
}
