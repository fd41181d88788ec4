//! `OsNet`: the real kernel, by mio and socket2.
//!
//! Here: epoll, sockets, both clocks, signals as readiness, the waker. The only file that reads a clock. Used by
//! whoever starts a reactor (`cli/`, tests). Floor 2.

use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mio::unix::SourceFd;
use mio::{Interest, Poll};
use rustix::io::writev;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook_mio::v1_0::Signals;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::sources::{Sources, connect_from};
use super::{Connect, EVENTS_PER_POLL, Event, LISTEN_BACKLOG, Net, Readiness, Stream, Token, Wake, Wakes};
use crate::time::{Instant, WallTime};

/// The first of the tokens that are not a handler's.
const OWN: usize = 14 << 60;
const WAKER: mio::Token = mio::Token(OWN);
const SIGNALS: mio::Token = mio::Token(15 << 60);
const FINE_TIMER: mio::Token = mio::Token(15 << 60 | 1);

/// The civil clock is read this often; in between, the monotonic one carries it on.
const WALL_REFRESH: Duration = Duration::from_secs(1);

/// The machine's own network, for one reactor.
pub struct OsNet {
    poll: Poll,
    ready: mio::Events,
    /// What the monotonic clock said when this one began.
    origin_ns: u64,
    wall_at_origin_ns: u64,
    wall_read: Instant,
    signals: Option<Signals>,
    fine_timer: Option<FineTimer>,
    sources: Sources,
}

/// A deadline finer than the whole milliseconds of epoll_wait.
struct FineTimer {
    fd: OwnedFd,
    armed: Instant,
}

/// Wakes an [`OsNet`] that waits in another thread. All clones wake the same.
#[derive(Clone, Debug)]
pub struct Waker(Arc<mio::Waker>);

impl Waker {
    /// Makes the reactor's poll return with [`Wake::Waker`].
    ///
    /// # Errors
    /// Those of writing to an eventfd.
    pub fn wake(&self) -> io::Result<()> {
        self.0.wake()
    }
}

impl Wakes for Waker {
    fn wake(&self) -> io::Result<()> {
        self.0.wake()
    }
}

impl OsNet {
    /// A network without sockets. Its clock begins now.
    ///
    /// # Errors
    /// When the kernel gives no epoll descriptor.
    pub fn new() -> io::Result<OsNet> {
        let mut net = OsNet {
            poll: Poll::new()?,
            ready: mio::Events::with_capacity(EVENTS_PER_POLL),
            origin_ns: monotonic_ns(),
            wall_at_origin_ns: 0,
            wall_read: Instant::ZERO,
            signals: None,
            fine_timer: None,
            sources: Sources::default(),
        };
        net.read_wall(Instant::ZERO);
        Ok(net)
    }

    /// Keeps deadlines to some 50 µs instead of epoll's millisecond, for one more system call per changed deadline.
    ///
    /// # Errors
    /// When the kernel gives no timer descriptor.
    pub fn with_fine_timer(mut self) -> io::Result<OsNet> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        self.poll.registry().register(&mut SourceFd(&fd.as_raw_fd()), FINE_TIMER, Interest::READABLE)?;
        self.fine_timer = Some(FineTimer { fd, armed: Instant::NEVER });
        Ok(self)
    }

    /// Connects from these addresses of this machine from now on, in turn, as far as they lead where it connects to. Each
    /// has its own ephemeral ports to a server.
    ///
    /// # Errors
    /// The first address that is none of this machine's, and what the kernel says of it.
    pub fn connect_from(&mut self, addresses: &[IpAddr]) -> Result<(), (IpAddr, io::Error)> {
        self.sources = Sources::new(addresses)?;
        Ok(())
    }

    /// Reports SIGINT, SIGTERM, SIGQUIT and these further ones as [`Wake::StopSignal`], SIGUSR1 as [`Wake::ReopenSignal`] from
    /// now on instead of ending the process.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub fn watch_signals(&mut self, further: &[i32]) -> io::Result<()> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGQUIT, SIGUSR1].iter().chain(further))?;
        self.poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        self.signals = Some(signals);
        Ok(())
    }

    /// A handle that wakes this network's poll from another thread. To be called once; the handle can be cloned.
    ///
    /// # Errors
    /// When the kernel gives no event descriptor.
    pub fn waker(&self) -> io::Result<Waker> {
        mio::Waker::new(self.poll.registry(), WAKER).map(|waker| Waker(Arc::new(waker)))
    }

    /// A listening socket; port 0 takes a free one. What it accepts has TCP_NODELAY set (inherited).
    ///
    /// # Errors
    /// Those of socket, bind and listen, such as `AddrInUse`.
    pub fn listen(addr: SocketAddr) -> io::Result<mio::net::TcpListener> {
        listen_on(tcp_socket(addr)?, addr)
    }

    /// The same on a port that other processes of this user may listen on as well, if they all say so: the kernel gives each
    /// connection to one of them (socket(7), SO_REUSEPORT).
    ///
    /// # Errors
    /// Those of [`OsNet::listen`]; `Unsupported` where the system has no such ports.
    pub fn listen_shared(addr: SocketAddr) -> io::Result<mio::net::TcpListener> {
        let socket = tcp_socket(addr)?;
        let unsupported =
            |e| io::Error::new(io::ErrorKind::Unsupported, format!("no SO_REUSEPORT here: {e}"));
        socket.set_reuse_port(true).map_err(unsupported)?;
        listen_on(socket, addr)
    }

    fn read_wall(&mut self, now: Instant) {
        self.wall_at_origin_ns = wall_clock().as_nanos().saturating_sub(now.as_nanos());
        self.wall_read = now;
    }

    /// How long epoll_wait may sleep; `None` is for ever. With a fine timer the deadline is left to that.
    fn sleep(&mut self, until: Option<Instant>, now: Instant) -> io::Result<Option<Duration>> {
        let Some(until) = until else { return Ok(None) };
        let left = until - now;
        match &mut self.fine_timer {
            Some(timer) if !left.is_zero() => {
                timer.arm(until, self.origin_ns)?;
                Ok(None)
            }
            _ => Ok(Some(left)),
        }
    }
}

fn tcp_socket(addr: SocketAddr) -> io::Result<Socket> {
    Socket::new(Domain::for_address(addr), Type::STREAM.nonblocking(), Some(Protocol::TCP))
}

fn listen_on(socket: Socket, addr: SocketAddr) -> io::Result<mio::net::TcpListener> {
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&addr.into())?;
    socket.listen(LISTEN_BACKLOG as i32)?;
    Ok(mio::net::TcpListener::from_std(socket.into()))
}

impl FineTimer {
    /// Lets it fire at `until`, counted from `origin_ns` of the kernel's clock: not after what was left when the clock was
    /// read last.
    fn arm(&mut self, until: Instant, origin_ns: u64) -> io::Result<()> {
        if self.armed == until {
            return Ok(());
        }
        let at = Duration::from_nanos(origin_ns.saturating_add(until.as_nanos()));
        let value = Timespec { tv_sec: at.as_secs() as i64, tv_nsec: i64::from(at.subsec_nanos()) };
        let once = Itimerspec { it_interval: Timespec::default(), it_value: value };
        timerfd_settime(&self.fd, TimerfdTimerFlags::ABSTIME, &once)?;
        self.armed = until;
        Ok(())
    }
}

/// A TCP stream of the kernel's, read and written without libc: each of its calls prepares for the thread's being
/// cancelled meanwhile, which takes more instructions than all the rest of it.
pub struct OsStream(mio::net::TcpStream);

impl Read for OsStream {
    #[inline]
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (read, _) = recv(&self.0, into, RecvFlags::empty())?;
        Ok(read)
    }
}

impl Write for OsStream {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(&self.0, bytes, SendFlags::NOSIGNAL)?)
    }

    #[inline]
    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(writev(&self.0, parts)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Net for OsNet {
    type Stream = OsStream;
    type Listener = mio::net::TcpListener;
    type Waker = Waker;

    fn now(&self) -> Instant {
        Instant::from_nanos(monotonic_ns() - self.origin_ns)
    }

    fn wall(&self, now: Instant) -> WallTime {
        WallTime::from_nanos(self.wall_at_origin_ns.saturating_add(now.as_nanos()))
    }

    // There is one loop that calls it, twice an exchange.
    #[inline(always)]
    fn poll(&mut self, events: &mut Vec<Event>, now: Instant, until: Option<Instant>) -> io::Result<()> {
        if now - self.wall_read > WALL_REFRESH {
            self.read_wall(now);
        }
        let sleep = self.sleep(until, now)?;
        match self.poll.poll(&mut self.ready, sleep) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        let OsNet { ready, signals, fine_timer, .. } = self;
        for event in &*ready {
            let mio::Token(bits) = event.token();
            if bits >= OWN {
                told(event.token(), signals, fine_timer, events);
                continue;
            }
            let readiness = Readiness {
                readable: event.is_readable(),
                writable: event.is_writable(),
                read_closed: event.is_read_closed(),
                broken: event.is_error() || event.is_write_closed(),
            };
            events.push(Event::Ready(Token::unpack(bits as u64), readiness));
        }
        Ok(())
    }

    fn listen_at(&mut self, address: SocketAddr) -> io::Result<Self::Listener> {
        OsNet::listen(address)
    }

    fn accept(&mut self, listener: &Self::Listener) -> io::Result<(Self::Stream, SocketAddr)> {
        listener.accept().map(|(stream, address)| (OsStream(stream), address))
    }

    fn connect(&mut self, to: SocketAddr) -> io::Result<(Self::Stream, Connect)> {
        let stream = match self.sources.next(to.ip()) {
            None => mio::net::TcpStream::connect(to)?,
            Some(from) => connect_from(from, to)?,
        };
        stream.set_nodelay(true)?;
        Ok((OsStream(stream), if to.ip().is_loopback() { Connect::TryNow } else { Connect::Wait }))
    }

    fn register(&mut self, stream: &mut Self::Stream, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream.0, mio::Token(token.pack() as usize), both)
    }

    fn register_listener(&mut self, listener: &mut Self::Listener, token: Token) -> io::Result<()> {
        self.poll.registry().register(listener, mio::Token(token.pack() as usize), Interest::READABLE)
    }
}

/// Something has happened to a descriptor of the network's own.
#[cold]
fn told(
    token: mio::Token,
    signals: &mut Option<Signals>,
    fine_timer: &mut Option<FineTimer>,
    events: &mut Vec<Event>,
) {
    match token {
        WAKER => events.push(Event::Woken(Wake::Waker)),
        SIGNALS => {
            let pending = signals.iter_mut().flat_map(|s| s.pending());
            events.extend(pending.map(|signal| {
                Event::Woken(if signal == SIGUSR1 { Wake::ReopenSignal } else { Wake::StopSignal })
            }));
        }
        // There is no other.
        _ => fine_timer.iter_mut().for_each(|t| t.armed = Instant::NEVER),
    }
}

impl Stream for OsStream {
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }

    fn is_lost(&self) -> bool {
        !matches!(self.0.take_error(), Ok(None))
    }

    fn has_unread(&self) -> bool {
        matches!(self.0.peek(&mut [0]), Ok(1))
    }

    fn acknowledge(&self) {
        // Only Linux has it. A connection that is lost is told of otherwise.
        #[cfg(target_os = "linux")]
        let _ = SockRef::from(&self.0).set_tcp_quickack(true);
    }

    fn reset_on_close(&self) {
        if let Err(e) = SockRef::from(&self.0).set_linger(Some(Duration::ZERO)) {
            log::debug!("cannot set SO_LINGER: {e}");
        }
    }
}

/// The civil clock, for who has no network at hand.
#[allow(clippy::disallowed_methods, reason = "the one reading of the civil clock")]
pub fn wall_clock() -> WallTime {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    WallTime::from_nanos(u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX))
}

/// The monotonic clock, without the checks of `std`'s subtraction: it is read several times an exchange.
fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Raises the soft limit of open descriptors to the hard one; returns the limit in force (`u64::MAX`: none).
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(e) => {
            log::warn!("cannot raise the limit of open descriptors: {e}");
            limit.current.unwrap_or(u64::MAX)
        }
    }
}
