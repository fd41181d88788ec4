//! The promise: when the program itself was stopped, nobody else is blamed for it.

mod support;

use std::sync::mpsc::channel;
use std::time::Duration;

use support::admin::administered;
use support::{Client, Gate, Origin, PATIENCE, Proxy};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Time passes.
fn a_long_time(client: &mut Client, time: Duration) {
    assert!(client.hears_nothing_for(time));
}

#[test]
fn answers_that_came_while_it_was_stopped_are_answers() {
    let gate = Gate::default();
    let (answered, answers) = channel();
    let passing = gate.clone();
    let origins = [0; 3].map(|_| {
        let (passing, answered) = (passing.clone(), answered.clone());
        Origin::start(move |conn| {
            while conn.read_request().is_some() {
                passing.pass();
                conn.send(HELLO);
                answered.send(()).expect("the test waits");
            }
        })
    });
    let urls = origins.each_ref().map(Origin::url);
    let options = ["--upstream-timeout=300ms"];
    let (proxy, mut admin) = administered(&urls.each_ref().map(String::as_str), &options);
    let mut clients: Vec<_> = (0..24).map(|_| Client::connect(proxy.address)).collect();
    clients.iter_mut().for_each(|client| client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n"));
    origins.iter().for_each(|origin| (0..8).for_each(|_| drop(origin.next())));
    proxy.held(|| {
        gate.open();
        (0..24).for_each(|_| answers.recv_timeout(PATIENCE).expect("an answer"));
        a_long_time(&mut clients[0], Duration::from_millis(900));
    });
    clients.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    let metrics = (0..100).find_map(|_| {
        assert_eq!(clients[0].get("/").status, 200);
        a_long_time(&mut clients[0], Duration::from_millis(20));
        Some(admin.get("/metrics").text()).filter(|text| text.contains("tidegate_stalls_total{} 1.0"))
    });
    let metrics = metrics.unwrap_or_else(|| panic!("{}", admin.get("/metrics").text()));
    assert!(metrics.contains("tidegate_turn_seconds_bucket{le=\"+Inf\"}"), "{metrics}");
    let ended = proxy.stop();
    assert!(ended.statuses().iter().all(|&status| status == 200), "{:?}", ended.statuses());
    assert!(!ended.log.iter().any(|line| line.contains("eject")), "{:?}", ended.log);
}

#[test]
fn a_backend_has_its_time_also_if_the_program_was_stopped_meanwhile() {
    let gate = Gate::default();
    let origin = Origin::gated(&gate, HELLO);
    let mut proxy = Proxy::start(&[&origin.url()], &["--upstream-timeout=500ms", "--log-level=debug"]);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    origin.next();
    proxy.held(|| a_long_time(&mut client, Duration::from_millis(900)));
    proxy.says("the event loop was not there");
    gate.open();
    assert_eq!(client.response().status, 200, "it was given what the stop took");
    assert_eq!(proxy.stop().statuses(), [200]);
}
