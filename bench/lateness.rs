//! How late a simulated backend answers, against what it says it simulated.
//!
//! `SECONDS=5 RATE=500 cargo bench --bench lateness`. Threads with blocking sockets send at an even rate over 300
//! connections and measure from just before the write to just after the read.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use tidegate::net::OsNet;
use tidegate::testbed::{BackendOptions, Profile, spawn};

/// So many that a connection is free again, even after the longest step, when its turn comes.
const CONNECTIONS: u32 = 300;

fn main() {
    let setting = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (seconds, rate) = (setting("SECONDS", 5), setting("RATE", 500));
    let listener = OsNet::listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let backend = spawn(listener, BackendOptions::plain('A', Profile::of('A'))).expect("a backend");
    let late_us = Mutex::new(Vec::new());
    // Each connection has its turn so often that all together make the rate; a cycle's longest step must fit.
    let gap = Duration::from_secs(u64::from(CONNECTIONS)) / u32::try_from(rate).expect("a rate");
    let (address, start) = (backend.address(), now());
    thread::scope(|scope| {
        for i in 0..CONNECTIONS {
            let late_us = &late_us;
            scope.spawn(move || {
                let first = start + gap * i / CONNECTIONS;
                let measured = client(address, first, gap, start + Duration::from_secs(seconds));
                late_us.lock().expect("no panic before").extend(measured);
            });
        }
    });
    backend.stop().expect("a clean stop");
    let mut late_us = late_us.into_inner().expect("no panic before");
    late_us.sort_by(f64::total_cmp);
    let at = |q: f64| late_us[((late_us.len() - 1) as f64 * q) as usize];
    println!("{} requests at {rate}/s over {CONNECTIONS} connections, {seconds} s", late_us.len());
    println!("late by, µs: min {:.0}  p50 {:.0}  p99 {:.0}  max {:.0}", at(0.0), at(0.5), at(0.99), at(1.0));
    println!("early: {}", late_us.iter().filter(|&&us| us < 0.0).count());
}

#[allow(clippy::disallowed_methods, reason = "an outside judge has a clock of its own")]
fn now() -> Instant {
    Instant::now()
}

/// One connection's measurements, in microseconds past what the backend says it simulated.
fn client(address: SocketAddr, first: Instant, gap: Duration, end: Instant) -> Vec<f64> {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    let (mut late, mut turn, mut answer) = (Vec::new(), first, [0; 1024]);
    while turn < end {
        thread::park_timeout(turn.saturating_duration_since(now()));
        let sent = now();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: b\r\n\r\n").expect("a request sent");
        let n = stream.read(&mut answer).expect("an answer");
        let took = sent.elapsed();
        let text = String::from_utf8_lossy(&answer[..n]);
        let simulated = text.rsplit_once("simulated ").and_then(|(_, ms)| ms.trim().strip_suffix("ms"));
        let simulated: f64 = simulated.and_then(|ms| ms.parse().ok()).expect("the latency it simulated");
        late.push(took.as_secs_f64() * 1e6 - simulated * 1e3);
        turn += gap;
        // A slow step may have taken this connection's next turn.
        while turn < now() {
            turn += gap;
        }
    }
    late
}
