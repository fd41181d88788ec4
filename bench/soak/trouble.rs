//! What happens to a proxy while it is under load.
//!
//! Here: clients that leave at every stage, slow ones, and an operator with an uneasy hand. Not here: the load (`main.rs`), the
//! faults of the servers (`servers.rs`).

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;
use rustix::process::Signal;
use socket2::SockRef;

use super::servers::{Handle, ask};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n";
const POST: &[u8] = b"POST /upload HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\nsome of it";
const ASK: &[u8] = b"POST /proxy_classify HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n\
                     Content-Length: 22\r\n\r\n{\"sequences\": [\"abcd\"]}";

const MODES: [&str; 3] = ["round-robin", "adaptive_sma", "adaptive_ewma"];
const STRATEGIES: [&str; 4] = ["sjf", "fair", "fcfs", "adaptive"];

/// For so long the process is stopped: more than a stall, less than any timeout.
const STOPPED: Duration = Duration::from_millis(300);

/// How many clients dawdle at once, and for how many rounds each.
const SLOW: usize = 8;
const SLOW_ROUNDS: u128 = 150;

/// Troubles the proxy for so long, with so many reloads; returns how many requests its clients have left behind, and how many reloads
/// there were.
#[allow(clippy::disallowed_methods, reason = "a pause is what is wanted")]
pub(crate) fn begin(
    proxy: SocketAddr,
    admin: SocketAddr,
    handle: Handle,
    (duration, reloads): (Duration, u64),
) -> JoinHandle<(u64, u64)> {
    const PAUSE: Duration = Duration::from_millis(20);
    std::thread::spawn(move || {
        let mut rng = Pcg64::seed_from_u64(1);
        let rounds = duration.as_millis() / PAUSE.as_millis();
        let each_reload = (rounds / u128::from(reloads.max(1))).max(1);
        let (mut left, mut reloaded, mut slow) = (0, 0, Vec::new());
        for round in 0..rounds {
            left += u64::from(leave(proxy, &mut rng));
            if round % 50 == 0 {
                operate(admin, proxy, &mut rng);
            }
            if round % SLOW_ROUNDS == 0 {
                // Who dawdled until now leaves.
                left += slow.len() as u64;
                slow = (0..SLOW).filter_map(|n| dawdler(proxy, n)).collect();
            }
            // It may have been closed for it.
            slow.iter_mut().for_each(|stream| drop(stream.write(b"x")));
            if round % 400 == 200 {
                handle.signal(Signal::STOP);
                std::thread::sleep(STOPPED);
                handle.signal(Signal::CONT);
            }
            if round % 300 == 100 {
                handle.signal(Signal::USR1);
            }
            if reloaded < reloads && round % each_reload == 0 {
                reloaded += 1;
                handle.reload(reloaded);
            }
            std::thread::sleep(PAUSE);
        }
        (left + slow.len() as u64, reloaded)
    })
}

/// A client that begins a request and says little more: half of them are within a head, half within a body.
fn dawdler(proxy: SocketAddr, number: usize) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(proxy).ok()?;
    stream.write_all(if number.is_multiple_of(2) { &GET[..20] } else { POST }).ok()?;
    stream.set_nonblocking(true).ok()?;
    Some(stream)
}

/// One client that does not stay. Returns whether it may have asked for something.
fn leave(proxy: SocketAddr, rng: &mut impl Rng) -> bool {
    let Ok(mut stream) = TcpStream::connect(proxy) else { return false };
    let request = [GET, POST, ASK][rng.random_range(0..3)];
    let part = rng.random_range(0..=request.len());
    // It may be refused while it speaks; it leaves in any case.
    let _ = stream.write_all(&request[..part]);
    match rng.random_range(0..3) {
        0 => {
            let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
        1 => {
            let _ = stream.shutdown(Shutdown::Write);
        }
        _ => {
            let _ = stream.set_read_timeout(Some(Duration::from_millis(5)));
            let _ = stream.read(&mut [0; 10]);
        }
    }
    true
}

fn operate(admin: SocketAddr, proxy: SocketAddr, rng: &mut impl Rng) {
    match rng.random_range(0..4) {
        0 => {
            let mode = MODES[rng.random_range(0..MODES.len())];
            ask(admin, "PUT", "/api/v1/routing", &format!(r#"{{"mode":"{mode}"}}"#));
        }
        1 => {
            let strategy = STRATEGIES[rng.random_range(0..STRATEGIES.len())];
            ask(proxy, "POST", "/strategy", &format!(r#"{{"strategy":"{strategy}"}}"#));
        }
        _ => {
            let backends: serde_json::Value =
                serde_json::from_str(&ask(admin, "GET", "/api/v1/backends", "")).expect("JSON");
            let name = backends[rng.random_range(0..3)]["name"].as_str().expect("a name").to_owned();
            for verb in ["drain", "undrain"] {
                ask(admin, "POST", &format!("/api/v1/backends/{name}/{verb}"), "");
            }
        }
    }
}
