//! A listener and what is known of it.
//!
//! Here: [`Door`], accepting under edge-triggered readiness. Not here: how many are let in and what becomes of them
//! (the handlers). Floor 2.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;

use super::{Net, Token};

/// How many connections may wait to be accepted; the kernel lowers it to `net.core.somaxconn`.
pub const LISTEN_BACKLOG: usize = 16_384;

/// How many connections to accept before other events get their turn.
pub const ACCEPT_BATCH: usize = 64;

/// How long accepting rests when the process has no descriptor left; the backlog holds who waits.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listening socket; or none, once no more are let in.
pub struct Door<L> {
    listener: Option<L>,
    /// Connections may be waiting in the backlog.
    waiting: bool,
    paused: bool,
}

/// What [`Door::accept`] found.
pub enum Accepted<S> {
    /// A client and its address.
    Client(S, SocketAddr),
    /// Who waited has left, or the network has lost it; the next one is not affected.
    Lost,
    /// Nobody waits, or the door is shut or paused.
    Nobody,
    /// The system gives no socket, and this is why; see [`is_exhaustion`]. The door is paused: call [`Door::resume`] after
    /// [`ACCEPT_PAUSE`], or when something has been closed.
    Exhausted(io::Error),
    /// The listener does not work, and this is why. The door is paused as well, so that nobody asks it without end.
    Failed(io::Error),
}

/// Whether the error says that the process or the machine has no descriptors or no memory left for a socket.
pub fn is_exhaustion(error: &io::Error) -> bool {
    is_one_of(error, &[Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM])
}

/// Errors of accept(2) that are of the connection that would have been accepted: Linux passes what the network has told
/// of it, a firewall may forbid it.
const OF_ONE_CONNECTION: [Errno; 11] = [
    Errno::CONNABORTED,
    Errno::PERM,
    Errno::PROTO,
    Errno::NOPROTOOPT,
    Errno::OPNOTSUPP,
    Errno::NETDOWN,
    Errno::NETUNREACH,
    Errno::HOSTDOWN,
    Errno::HOSTUNREACH,
    Errno::NONET,
    Errno::TIMEDOUT,
];

fn is_one_of(error: &io::Error, errors: &[Errno]) -> bool {
    error.raw_os_error().is_some_and(|code| errors.iter().any(|e| e.raw_os_error() == code))
}

impl<L> Door<L> {
    /// A door that nobody has knocked at yet.
    pub fn new(listener: L) -> Door<L> {
        Door { listener: Some(listener), waiting: false, paused: false }
    }

    /// Registers the listener.
    ///
    /// # Errors
    /// Those of the registration.
    pub fn register<N: Net<Listener = L>>(&mut self, net: &mut N, token: Token) -> io::Result<()> {
        match &mut self.listener {
            Some(listener) => net.register_listener(listener, token),
            None => Ok(()),
        }
    }

    /// The listener was reported readable.
    pub fn knocked(&mut self) {
        self.waiting = true;
    }

    /// Whether a call of [`Door::accept`] may find somebody.
    pub fn may_accept(&self) -> bool {
        self.waiting && !self.paused && self.listener.is_some()
    }

    /// Whether somebody may wait who is not let in for now.
    pub fn has_waiting(&self) -> bool {
        self.waiting && self.listener.is_some()
    }

    /// Whether no more are let in.
    pub fn is_shut(&self) -> bool {
        self.listener.is_none()
    }

    /// Whether a pause is on.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Takes one connection from the backlog.
    pub fn accept<N: Net<Listener = L>>(&mut self, net: &mut N) -> Accepted<N::Stream> {
        while self.may_accept() {
            let Some(listener) = &self.listener else { break };
            match net.accept(listener) {
                Ok((stream, address)) => return Accepted::Client(stream, address),
                Err(e) => match e.kind() {
                    io::ErrorKind::WouldBlock => self.waiting = false,
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::ConnectionAborted => return Accepted::Lost,
                    _ if is_one_of(&e, &OF_ONE_CONNECTION) => return Accepted::Lost,
                    _ => {
                        self.paused = true;
                        let exhausted = is_exhaustion(&e);
                        return if exhausted { Accepted::Exhausted(e) } else { Accepted::Failed(e) };
                    }
                },
            }
        }
        Accepted::Nobody
    }

    /// The pause is over.
    pub fn resume(&mut self) {
        self.paused = false;
    }

    /// Lets no more in; those in the backlog are refused by the kernel.
    pub fn shut(&mut self) {
        self.listener = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Connect, Event, VirtualStream, Wakes};
    use crate::time::{Instant, WallTime};

    /// A network whose accepts fail as told, and then find nobody.
    struct Failing(Vec<Errno>);

    struct Mute;

    impl Wakes for Mute {
        fn wake(&self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Net for Failing {
        type Stream = VirtualStream;
        type Listener = ();
        type Waker = Mute;

        fn accept(&mut self, _: &()) -> io::Result<(VirtualStream, SocketAddr)> {
            Err(self.0.pop().unwrap_or(Errno::WOULDBLOCK).into())
        }

        fn now(&self) -> Instant {
            Instant::ZERO
        }

        fn wall(&self, _: Instant) -> WallTime {
            WallTime::from_nanos(0)
        }

        fn poll(&mut self, _: &mut Vec<Event>, _: Instant, _: Option<Instant>) -> io::Result<()> {
            Ok(())
        }

        fn listen_at(&mut self, _: SocketAddr) -> io::Result<()> {
            Ok(())
        }

        fn connect(&mut self, _: SocketAddr) -> io::Result<(VirtualStream, Connect)> {
            Err(Errno::CONNREFUSED.into())
        }

        fn register(&mut self, _: &mut VirtualStream, _: Token) -> io::Result<()> {
            Ok(())
        }

        fn register_listener(&mut self, _: &mut (), _: Token) -> io::Result<()> {
            Ok(())
        }
    }

    fn found(error: Errno) -> (&'static str, bool) {
        let (mut net, mut door) = (Failing(vec![error]), Door::new(()));
        door.knocked();
        let found = match door.accept(&mut net) {
            Accepted::Client(..) => "client",
            Accepted::Lost => "lost",
            Accepted::Nobody => "nobody",
            Accepted::Exhausted(_) => "exhausted",
            Accepted::Failed(_) => "failed",
        };
        (found, door.may_accept())
    }

    #[test]
    fn errors_of_one_connection_are_passed_over_and_others_pause_the_door() {
        for error in OF_ONE_CONNECTION {
            assert_eq!(found(error), ("lost", true), "{error:?}");
        }
        for error in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert_eq!(found(error), ("exhausted", false), "{error:?}");
        }
        for error in [Errno::BADF, Errno::INVAL, Errno::NOTSOCK] {
            assert_eq!(found(error), ("failed", false), "{error:?}");
        }
        assert_eq!(found(Errno::INTR), ("nobody", false), "the next one is asked for at once");
        assert_eq!(found(Errno::WOULDBLOCK), ("nobody", false));
    }
}
