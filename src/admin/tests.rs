//! The admin listener in virtual time: what waits for the proxy, and what is told when it does not answer.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::balance::RoutingMode;
use crate::command::{Answer as Obeyed, Command, Standing};
use crate::net::{Fabric, VirtualNet, VirtualWaker, Wake, Weather};
use crate::remote::{Orders, remote};
use crate::server::rig::{Rig, received};
use crate::telemetry::{Conduct, Counters, Gauge, Recorder, Roster, Telemetry, TelemetryOptions};

struct House {
    rig: Rig<Admin<VirtualWaker>>,
    orders: Orders<VirtualWaker>,
    recorder: Recorder,
    telemetry: Telemetry,
}

fn house() -> House {
    let facts = Facts {
        admin: "127.0.0.1:5002".parse().unwrap(),
        listen: "127.0.0.1:9090".parse().unwrap(),
        csv: None,
        trace: None,
        configuration: Configuration::default(),
        started: WallTime::default(),
    };
    let roster = Roster::first(&[("http://localhost:8081", "localhost:8081")], &[]);
    let options = TelemetryOptions { roster, csv: None, trace: None };
    let (recorder, telemetry) = Telemetry::start(options).unwrap();
    // The proxy is played by the test, which rings by hand.
    let elsewhere = Fabric::new(1, Weather::CALM).net();
    let (remote, orders) = remote(elsewhere.waker(), elsewhere.waker());
    let (reloads, _) = crate::remote::remote(crate::remote::Bell::new().0, elsewhere.waker());
    let admin = Admin::new(facts, telemetry.snapshots(), remote, reloads);
    let rig = Rig::new(Weather::CALM, |listener, control| {
        AdminServer::<VirtualNet>::serving(admin, LIMITS, listener, control)
    });
    House { rig, orders, recorder, telemetry }
}

impl House {
    /// Lets the proxy obey, and its answers arrive.
    fn obey(&mut self, obey: impl FnMut(Command) -> Obeyed) {
        self.orders.each(obey);
        self.rig.reactor.net().wake(Wake::Waker);
        self.rig.run(5);
    }
}

fn put(mode: &str) -> Vec<u8> {
    let body = json!({ "mode": mode }).to_string();
    let length = body.len();
    let head = "PUT /api/v1/routing HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    format!("{head}Content-Length: {length}\r\n\r\n{body}").into_bytes()
}

const READY: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn status(text: &str) -> &str {
    text.get(9..12).unwrap_or("none")
}

#[test]
fn a_change_is_told_when_the_proxy_has_obeyed_and_not_before() {
    let mut house = house();
    let mut client = house.rig.client(&put("adaptive_ewma"));
    house.rig.run(1_000);
    assert_eq!(received(&mut client).0, "");
    let mut obeyed = Vec::new();
    house.obey(|command| {
        obeyed.push(command);
        Obeyed::Done
    });
    assert_eq!(obeyed, [Command::SetRouting(RoutingMode::AdaptiveEwma)]);
    let told = received(&mut client).0;
    assert!(status(&told) == "200" && told.ends_with(r#"{"mode":"adaptive_ewma"}"#), "{told}");
}

#[test]
fn a_proxy_that_hangs_is_not_ready_and_changes_time_out() {
    let mut house = house();
    let (mut change, mut ready) = (house.rig.client(&put("adaptive_sma")), house.rig.client(READY));
    house.rig.run(5_100);
    let (change, ready) = (received(&mut change).0, received(&mut ready).0);
    assert_eq!((status(&change), status(&ready)), ("504", "503"));
    assert!(ready.contains("the proxy does not answer"), "{ready}");
}

#[test]
fn a_proxy_that_has_ended_is_told_at_once() {
    let mut house = house();
    let mut ready = house.rig.client(READY);
    house.rig.run(5);
    let House { mut rig, orders, .. } = house;
    drop(orders);
    rig.reactor.net().wake(Wake::Waker);
    rig.run(5);
    let told = received(&mut ready).0;
    assert!(status(&told) == "503" && told.contains("the proxy has ended"), "{told}");
    ready.write_all(&put("adaptive_sma")).unwrap();
    rig.run(5);
    assert_eq!(status(&received(&mut ready).0), "503");
}

#[test]
fn readiness_is_what_the_proxy_says() {
    let mut house = house();
    let mut client = house.rig.client(b"");
    for (draining, backends, classifiers, expected) in
        [(false, 1, 0, "200"), (false, 0, 1, "200"), (false, 0, 0, "503"), (true, 3, 1, "503")]
    {
        client.write_all(READY).unwrap();
        house.rig.run(5);
        house.obey(|_| Obeyed::Standing(Standing { draining, backends, classifiers }));
        assert_eq!(status(&received(&mut client).0), expected, "{draining} {backends} {classifiers}");
    }
}

#[test]
fn a_feed_tells_of_each_snapshot_and_ticks_without_one() {
    let mut house = house();
    let mut client = house.rig.client(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    house.rig.run(1_100);
    house.recorder.note_conduct(Conduct {
        routing: RoutingMode::AdaptiveSma,
        connections: "persistent",
        draining: true,
    });
    let gauge = Gauge { in_flight: 7, ..Gauge::default() };
    house.recorder.flush([gauge].into_iter(), Counters::default());
    let limit = Duration::from_secs(60);
    house.telemetry.snapshots().wait_for(limit, |snapshot| snapshot.conduct.draining);
    house.rig.run(500);
    let (text, _) = received(&mut client);
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events: Vec<Value> = data.map(|data| serde_json::from_str(data).unwrap()).collect();
    let told: Vec<_> = events.iter().map(|event| event["status"]["draining"].as_bool().unwrap()).collect();
    assert_eq!(told, [false, false, false, true]);
    assert_eq!(
        (&events[3]["status"]["in_flight"], &events[3]["status"]["routing"]),
        (&json!(7), &json!("adaptive_sma"))
    );
    assert_ne!(events[0]["time"], events[1]["time"]);
}
