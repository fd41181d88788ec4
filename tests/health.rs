//! The promise: a backend that fails costs its clients nothing that another can give, is left alone, and is taken back.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use support::admin::{Admin, administered};
use support::{Client, Origin, Proxy, Refusing};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

const GET: &str = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc";

/// Reads a request and resets the connection.
fn resetting() -> Origin {
    Origin::start(|conn| {
        conn.read_request();
        conn.reset();
    })
}

fn ask(proxy: &Proxy, request: &str) -> u16 {
    let mut client = Client::connect(proxy.address);
    client.send(request);
    client.response().status
}

#[test]
fn what_a_dead_backend_refuses_another_one_answers_and_the_row_names_that() {
    let (nobody, origin) = (Refusing::new(), Origin::answering(HELLO));
    let proxy = Proxy::start(&[&nobody.url(), &origin.url()], &["--eject-after=off"]);
    assert_eq!([GET, POST, GET, POST].map(|request| ask(&proxy, request)), [200; 4]);
    assert_eq!(origin.requests().iter().filter(|request| request.body == b"abc").count(), 2);
    let ended = proxy.stop();
    assert_eq!((ended.statuses(), ended.share(&origin.url())), (vec![200; 4], 4));
}

#[test]
fn what_was_sent_goes_to_another_only_if_it_may_be_repeated() {
    for (request, status) in [(GET, 200), (POST, 502)] {
        let (bad, good) = (resetting(), Origin::answering(HELLO));
        let proxy = Proxy::start(&[&bad.url(), &good.url()], &[]);
        assert_eq!(ask(&proxy, request), status, "{request}");
        assert_eq!((bad.requests().len(), good.requests().len()), (1, usize::from(status == 200)));
    }
}

#[test]
fn a_request_goes_to_one_other_backend_and_no_further() {
    let bad = [(); 3].map(|()| resetting());
    let urls = bad.each_ref().map(Origin::url);
    let proxy = Proxy::start(&urls.each_ref().map(String::as_str), &[]);
    assert_eq!(ask(&proxy, GET), 502);
    assert_eq!(bad.iter().map(|origin| origin.requests().len()).sum::<usize>(), 2);
}

#[test]
fn a_body_that_is_still_coming_goes_along_to_the_other_backend() {
    let (nobody, origin) = (Refusing::new(), Origin::answering(HELLO));
    let proxy = Proxy::start(&[&nobody.url(), &origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send("PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nabc");
    client.send("defghi");
    assert_eq!(client.response().status, 200);
    assert_eq!(origin.next().body, b"abcdefghi");
}

#[test]
fn the_budget_of_retries_is_kept() {
    let (nobody, origin) = (Refusing::new(), Origin::answering(HELLO));
    let backends = [&*nobody.url(), &*origin.url()];
    let (proxy, admin) = administered(&backends, &["--eject-after=off", "--retry-budget=20%"]);
    let mut client = Client::connect(proxy.address);
    let statuses: Vec<_> = (0..100).map(|_| client.get("/").status).collect();
    let failed = statuses.iter().filter(|&&status| status == 502).count();
    // A retry is a turn of its own, so each request meets the dead one while there are retries: ten, and a fifth of all.
    // Then every other one does.
    assert!((33..=37).contains(&failed), "{failed} of 100");
    let status = &admin.wait_for_requests(100)["status"];
    assert_eq!(status["retries"]["denied"], failed);
    let retried = status["retries"]["another_backend"].as_u64().expect("a number");
    assert!((26..=30).contains(&retried), "{retried}");
    let proxy = Proxy::start(&backends, &["--eject-after=off", "--retry-budget=0%"]);
    assert_eq!([GET, GET, GET].map(|request| ask(&proxy, request)), [502, 200, 502]);
}

fn backend(status: &Value, url: &str) -> Value {
    let all = status.as_array().expect("backends");
    all.iter().find(|backend| backend["url"] == url).expect("it is there").clone()
}

fn wait_for_state(admin: &Admin, url: &str, state: &str) {
    admin.wait_for(state, |live| backend(&live["backends"], url)["state"] == state);
}

#[test]
fn who_fails_in_a_row_is_left_alone_and_taken_back() {
    let broken = Arc::new(AtomicBool::new(true));
    let is_broken = broken.clone();
    let bad = Origin::start(move |conn| {
        while conn.read_request().is_some() {
            match is_broken.load(Ordering::SeqCst) {
                true => return conn.reset(),
                false => conn.send(HELLO),
            };
        }
    });
    let good = Origin::answering(HELLO);
    let options = ["--eject-after=3", "--eject-for=300ms", "--slow-start=0s", "--connections=non-persistent"];
    let (mut proxy, mut admin) = administered(&[&bad.url(), &good.url()], &options);
    let mut client = Client::connect(proxy.address);
    (0..20).for_each(|_| assert_eq!(client.get("/").status, 200));
    proxy.says("ejected: it failed too often in a row");
    assert!(bad.requests().len() <= 5, "{} requests", bad.requests().len());
    broken.store(false, Ordering::SeqCst);
    let before = bad.requests().len();
    while bad.requests().len() < before + 3 {
        assert_eq!(client.get("/").status, 200);
    }
    wait_for_state(&admin, &bad.url(), "usable");
    let told = backend(&admin.json("/api/v1/backends"), &bad.url());
    assert!(told["ejected"].as_u64().is_some_and(|times| times >= 1), "{told}");
    let metrics = admin.get("/metrics").text();
    assert!(metrics.contains("tidegate_backend_ejections_total{"), "{metrics}");
}

/// A backend that serves requests, and whose check says what the switch says.
fn checked(passes: &Arc<AtomicBool>) -> Origin {
    let passes = passes.clone();
    Origin::start(move |conn| {
        while let Some(request) = conn.read_request() {
            let healthy = !request.head.starts_with("GET /up ") || passes.load(Ordering::SeqCst);
            conn.send(match healthy {
                true => HELLO,
                false => "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
            });
        }
    })
}

const CHECKS: [&str; 5] =
    ["--health-check=/up", "--health-interval=20ms", "--health-fall=2", "--health-rise=2", "--slow-start=0s"];

fn served(origin: &Origin) -> usize {
    origin.requests().iter().filter(|request| !request.head.starts_with("GET /up ")).count()
}

#[test]
fn who_fails_its_checks_gets_no_requests_until_it_passes_them() {
    let passes = [(); 2].map(|()| Arc::new(AtomicBool::new(true)));
    let origins = passes.each_ref().map(checked);
    let (mut proxy, mut admin) = administered(&[&origins[0].url(), &origins[1].url()], &CHECKS);
    let mut client = Client::connect(proxy.address);
    (0..4).for_each(|_| assert_eq!(client.get("/").status, 200));
    assert_eq!([served(&origins[0]), served(&origins[1])], [2, 2]);
    passes[0].store(false, Ordering::SeqCst);
    proxy.says("down: it fails its checks");
    wait_for_state(&admin, &origins[0].url(), "down");
    (0..4).for_each(|_| assert_eq!(client.get("/").status, 200));
    assert_eq!([served(&origins[0]), served(&origins[1])], [2, 6]);
    assert_eq!(admin.get("/readyz").status, 200);
    passes[0].store(true, Ordering::SeqCst);
    wait_for_state(&admin, &origins[0].url(), "usable");
    (0..4).for_each(|_| assert_eq!(client.get("/").status, 200));
    assert_eq!([served(&origins[0]), served(&origins[1])], [4, 8]);
    let check =
        origins[0].requests().into_iter().find(|request| request.head.starts_with("GET /up ")).unwrap();
    assert_eq!(check.field("Host"), origins[0].url().strip_prefix("http://"));
    assert_eq!(check.field("Connection"), Some("close"));
    assert_eq!(proxy.stop().rows.len(), 12, "checks have no rows");
}

#[test]
fn a_backend_that_does_not_answer_its_checks_is_down() {
    let silent = Origin::start(|conn| {
        conn.read_request();
        conn.wait_for_end();
    });
    let options = [&CHECKS[..], &["--health-timeout=50ms"]].concat();
    let (_proxy, admin) = administered(&[&silent.url(), &Refusing::new().url()], &options);
    wait_for_state(&admin, &silent.url(), "down");
}

#[test]
fn when_all_are_down_requests_fail_or_are_tried() {
    for (rule, status) in [("fail", 503), ("any", 200)] {
        let passes = Arc::new(AtomicBool::new(false));
        let origin = checked(&passes);
        let all_out = format!("--all-out={rule}");
        let options = [&CHECKS[..], &[&*all_out]].concat();
        let (proxy, mut admin) = administered(&[&origin.url()], &options);
        wait_for_state(&admin, &origin.url(), "down");
        assert_eq!(ask(&proxy, GET), status, "{rule}");
        assert_eq!(admin.get("/readyz").status, 503, "it is not ready in either case");
    }
}
