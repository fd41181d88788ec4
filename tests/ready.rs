//! The promise: `/readyz` says 200 while some request can be served, and 503 while none can, by all that is known.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use support::admin::{Admin, with_admin};
use support::classifier::{asking, echo, echoing, sequences};
use support::{Client, Launch, Origin, PATIENCE, Proxy, Refusing};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A proxy with nothing but what these options say, and its dashboard.
fn proxy(options: &[&str]) -> (Proxy, Admin) {
    let options = [&["--admin=127.0.0.1:0", "--listen=127.0.0.1:0"], options].concat();
    with_admin(Launch::proxy(&[], &options))
}

/// Asks until it is so.
#[allow(clippy::disallowed_methods, reason = "only an upper bound, so that a failure does not hang")]
fn becomes(admin: &mut Admin, status: u16) {
    let limit = crossbeam_channel::after(PATIENCE);
    while admin.get("/readyz").status != status {
        assert!(limit.is_empty(), "readiness stays other than {status}");
    }
}

/// A classifier that passes its checks and answers while it is told to; else it closes.
fn classifier(works: &Arc<AtomicBool>) -> Origin {
    let works = Arc::clone(works);
    Origin::start(move |conn| {
        while let Some(request) = conn.read_request() {
            if !works.load(Ordering::SeqCst) {
                return conn.reset();
            }
            let body =
                if request.head.starts_with("GET") { String::new() } else { echo(&sequences(&request.body)) };
            conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        }
    })
}

fn classify(proxy: &Proxy) -> u16 {
    asking(proxy.address, "A", &["a"]).response().status
}

#[test]
fn beside_a_classifier_there_is_nothing_unless_backends_are_named() {
    let (classifier, named) = (echoing(), Origin::answering(HELLO));
    let option = format!("--classifier={}", classifier.url());
    let (proxy, mut admin) = proxy(&[&option]);
    let mut client = Client::connect(proxy.address);
    let other = client.get("/other");
    assert_eq!((other.status, other.reason()), (404, Some("no-route")), "{}", other.text());
    assert_eq!([client.get("/docs").status, client.get("/strategy").status], [200, 200]);
    assert_eq!(classify(&proxy), 200);
    let ready = admin.get("/readyz");
    assert_eq!(
        (ready.status, ready.text().as_str()),
        (200, r#"{"backends":0,"classifiers":1,"ready":true}"#)
    );
    let config = admin.get("/api/v1/config").text();
    assert!(config.contains(r#""backend":{"origin":"default","value":[]}"#), "{config}");
    let ended = proxy.stop();
    assert_eq!((ended.statuses(), ended.share("-")), (vec![404, 200], 1));

    let backend = format!("--backend={}", named.url());
    let both = self::proxy(&[&option, &backend]).0;
    assert_eq!(Client::connect(both.address).get("/other").text(), "hello");
}

#[test]
fn a_proxy_whose_only_classifier_is_down_is_not_ready() {
    let works = Arc::new(AtomicBool::new(true));
    let classifier = classifier(&works);
    let options =
        ["--classifier-health-check=/up", "--health-interval=20ms", "--health-fall=2", "--health-rise=1"];
    let (_proxy, mut admin) =
        proxy(&[&options[..], &[&format!("--classifier={}", classifier.url())]].concat());
    becomes(&mut admin, 200);
    works.store(false, Ordering::SeqCst);
    becomes(&mut admin, 503);
    let detail = admin.get("/readyz").text();
    assert!(detail.contains("not ready: no-backend"), "{detail}");
    works.store(true, Ordering::SeqCst);
    becomes(&mut admin, 200);
}

#[test]
fn a_proxy_whose_only_classifier_fails_unchecked_is_not_ready_until_it_answers_or_time_has_passed() {
    let works = Arc::new(AtomicBool::new(false));
    let classifier = classifier(&works);
    let option = format!("--classifier={}", classifier.url());
    let (patient, mut admin) = proxy(&["--eject-for=60s", &option]);
    // A failure alone tells nothing.
    assert_eq!((classify(&patient), admin.get("/readyz").status), (502, 200));
    (0..4).for_each(|_| assert_eq!(classify(&patient), 502));
    assert_eq!(admin.get("/readyz").status, 503);
    works.store(true, Ordering::SeqCst);
    assert_eq!((classify(&patient), admin.get("/readyz").status), (200, 200));

    // Nobody asks any more: what is known grows old.
    works.store(false, Ordering::SeqCst);
    let (hasty, mut admin) = proxy(&["--eject-for=200ms", &option]);
    (0..5).for_each(|_| assert_eq!(classify(&hasty), 502));
    becomes(&mut admin, 200);
}

#[test]
fn a_proxy_all_of_whose_backends_refuse_unchecked_is_not_ready() {
    for ejecting in ["--eject-after=5", "--eject-after=off", "--eject-most=100%"] {
        let dead = [(); 3].map(|()| Refusing::new());
        let backends = dead.each_ref().map(|dead| format!("--backend={}", dead.url()));
        let options = [&[ejecting, "--eject-for=60s"], &backends.each_ref().map(String::as_str)[..]].concat();
        let (proxy, mut admin) = proxy(&options);
        let mut client = Client::connect(proxy.address);
        // Whose turn it is, and who gets the one retry, is not ours to say.
        let asked = (1..=30).find(|_| client.get("/").status == 200 || admin.get("/readyz").status == 503);
        assert!(asked.is_some_and(|asked| asked > 1), "{ejecting}: {asked:?}");
        drop(dead);
    }
}

#[test]
fn one_backend_that_answers_is_enough() {
    let (dead, lives) = ([(); 2].map(|()| Refusing::new()), Origin::answering(HELLO));
    let backends = [dead[0].url(), lives.url(), dead[1].url()].map(|url| format!("--backend={url}"));
    let options = [&["--eject-after=off"], &backends.each_ref().map(String::as_str)[..]].concat();
    let (proxy, mut admin) = proxy(&options);
    let mut client = Client::connect(proxy.address);
    (0..30).for_each(|_| drop(client.get("/")));
    let ready = admin.get("/readyz");
    assert_eq!(
        (ready.status, ready.text().as_str()),
        (200, r#"{"backends":1,"classifiers":0,"ready":true}"#)
    );
}
