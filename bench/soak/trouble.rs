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
use socket2::SockRef;

use super::servers::ask;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n";
const POST: &[u8] = b"POST /upload HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\nsome of it";
const ASK: &[u8] = b"POST /proxy_classify HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n\
                     Content-Length: 22\r\n\r\n{\"sequences\": [\"abcd\"]}";

const MODES: [&str; 3] = ["round-robin", "adaptive_sma", "adaptive_ewma"];
const STRATEGIES: [&str; 4] = ["sjf", "fair", "fcfs", "adaptive"];

/// Troubles the proxy for so long; returns how many requests its clients have left behind.
#[allow(clippy::disallowed_methods, reason = "a pause is what is wanted")]
pub(crate) fn begin(proxy: SocketAddr, admin: SocketAddr, duration: Duration) -> JoinHandle<u64> {
    const PAUSE: Duration = Duration::from_millis(20);
    std::thread::spawn(move || {
        let mut rng = Pcg64::seed_from_u64(1);
        let rounds = duration.as_millis() / PAUSE.as_millis();
        let mut left = 0;
        for round in 0..rounds {
            left += u64::from(leave(proxy, &mut rng));
            if round % 50 == 0 {
                operate(admin, proxy, &mut rng);
            }
            std::thread::sleep(PAUSE);
        }
        left
    })
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
