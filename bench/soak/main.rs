//! A long run of mixed traffic against servers that misbehave, outside the usual envelope: nothing may be lost, and nothing may be
//! left.
//!
//! `MINUTES=10 cargo bench --bench soak`. Two proxies, one for each connection mode, share three backends and a classifier that
//! stall, slow down, fail, reset and refuse on a schedule. GETs, uploads and batched requests go through both, from more users than
//! there are places, while clients leave at every stage or dawdle, modes and strategies are switched, backends are drained, settings
//! are read again (200 times at least), and the process itself is stopped for a while now and then. Of one proxy the log's reader is
//! gone, of the other one it sleeps; a file of rows has no room for all. First a minute of the same warms both up. At the end of each
//! part all comes to rest, and then: each request was answered, or its client was told of an error; the proxies have counted as many,
//! and each has a row, or is counted as one without; descriptors and memory are back to what they were after the warm-up.

mod servers;
mod trouble;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use servers::{Log, Proxy, wait};
use tidegate::load::{AtEnd, Failure, FixedRequest, Pace, Plan, Tally, spawn};

/// By how much memory may exceed that after the warm-up: what the allocator keeps in other places.
const SPARE_KIB: u64 = 4 * 1024;

/// So often settings are read again in the part that counts.
const RELOADS: u64 = 200;

fn main() -> ExitCode {
    let minutes: f64 =
        std::env::var("MINUTES").ok().map_or(10.0, |m| m.parse().expect("MINUTES is a number"));
    let warmup = Duration::from_secs_f64((minutes * 60.0).min(60.0));
    let servers = servers::start();
    let proxies = [("persistent", Log::Gone), ("non-persistent", Log::Unread)]
        .map(|(mode, log)| Proxy::start(mode, log, &servers));
    play(&proxies, warmup, 0);
    let before = proxies.each_ref().map(Proxy::footprint);
    let parts = play(&proxies, Duration::from_secs_f64(minutes * 60.0), RELOADS);
    let mut sound = true;
    for ((proxy, part), before) in proxies.iter().zip(parts).zip(before) {
        let after = proxy.footprint();
        println!("{}: {}", proxy.mode, part.told());
        println!(
            "  descriptors {} before, {} after; resident {} KiB before, {} after, {} at its peak",
            before.descriptors, after.descriptors, before.resident_kib, after.resident_kib, after.peak_kib
        );
        let (written, dropped) = proxy.rows();
        let all = proxy.requests();
        println!("  {written} rows written, {dropped} without room, of {all}; {} reloads", part.reloads);
        sound &= written + dropped == all;
        let back =
            after.descriptors == before.descriptors && after.resident_kib <= before.resident_kib + SPARE_KIB;
        sound &= part.adds_up() && back;
    }
    println!("{}", if sound { "sound" } else { "NOT SOUND" });
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What came of one part at one proxy.
struct Part {
    tally: Tally,
    left: u64,
    counted: u64,
    reloads: u64,
}

impl Part {
    /// Each request is in the proxy's count once. Of clients that left, the proxy may have seen no request.
    fn adds_up(&self) -> bool {
        let told = self.tally.answered() + self.tally.failures();
        let silent = self.tally.failed(Failure::Timeout);
        silent == 0 && (told..=told + self.left).contains(&self.counted)
    }

    fn told(&self) -> String {
        let statuses: Vec<_> =
            self.tally.statuses().map(|(status, count)| format!("{count} with {status}")).collect();
        let failures: Vec<_> = Failure::ALL
            .into_iter()
            .filter(|&failure| self.tally.failed(failure) > 0)
            .map(|failure| format!("{} {}", self.tally.failed(failure), failure.name()))
            .collect();
        format!(
            "{} answered ({}), {} cut off ({}), {} left by their clients; the proxy counted {}{}",
            self.tally.answered(),
            statuses.join(", "),
            self.tally.failures(),
            failures.join(", "),
            self.left,
            self.counted,
            if self.adds_up() { "" } else { ": THIS DOES NOT ADD UP" }
        )
    }
}

/// Drives both proxies for so long, and waits until all is at rest.
fn play(proxies: &[Proxy; 2], duration: Duration, reloads: u64) -> [Part; 2] {
    let counted = proxies.each_ref().map(Proxy::requests);
    let loads = proxies.each_ref().map(|proxy| loads(proxy.address, duration));
    let trouble = proxies
        .each_ref()
        .map(|proxy| trouble::begin(proxy.address, proxy.admin, proxy.handle(), (duration, reloads)));
    let mut parts =
        proxies.iter().zip(loads).zip(trouble).zip(counted).map(|(((proxy, loads), trouble), before)| {
            let mut tally = Tally::default();
            for load in loads {
                tally.add(&load.join().expect("a generator ends").0);
            }
            let (left, reloads) = trouble.join().expect("trouble ends");
            wait("all is at rest", || proxy.is_at_rest());
            Part { tally, left, counted: proxy.requests() - before, reloads }
        });
    let mut next = || parts.next().expect("two proxies");
    [next(), next()]
}

type Load = tidegate::load::RunningLoad<FixedRequest>;

/// GETs in a closed loop, GETs at a rate, uploads of 20 KiB, and batched requests.
fn loads(proxy: SocketAddr, duration: Duration) -> Vec<Load> {
    let authority = proxy.to_string();
    let body = vec![b'x'; 20 * 1024];
    let texts = br#"{"sequences": ["a", "bb", "ccc"]}"#.to_vec();
    let field = |name: &str, value: &str| [(name.to_owned(), value.to_owned())];
    let json = field("Content-Type", "application/json");
    let closed = |users| Pace::Closed { users, pause: Duration::from_millis(2) };
    let requests = [
        (closed(20), FixedRequest::new("GET", "/", &authority, &[], None)),
        (closed(4), FixedRequest::new("GET", "/", &authority, &field("Connection", "close"), None)),
        (closed(6), FixedRequest::new("POST", "/upload", &authority, &[], Some(&body))),
        (closed(4), FixedRequest::new("PUT", "/upload", &authority, &[], Some(&body[..4_000]))),
        (closed(8), FixedRequest::new("POST", "/proxy_classify", &authority, &json, Some(&texts))),
    ];
    let load = |(pace, request)| {
        let plan = Plan {
            address: proxy,
            sources: vec![pace],
            timeout: Duration::from_secs(60),
            duration,
            at_end: AtEnd::Drain,
        };
        spawn("load", plan, request, ()).expect("a generator starts")
    };
    requests.map(load).into()
}
