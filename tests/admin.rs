//! The promise: what the proxy does can be seen and steered from this machine, and from nowhere else.

mod support;

use rustix::process::Signal;
use serde_json::{Value, json};
use support::admin::{Feed, administered, with_admin};
use support::{Client, Gate, Launch, Origin, Response, simulated, url};

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn problem(response: &Response) -> (u16, Value) {
    assert_eq!(response.field("Content-Type"), Some("application/problem+json"), "{}", response.head);
    let document: Value = serde_json::from_slice(&response.body).expect("JSON");
    assert_eq!(document["status"], response.status);
    assert!(document["title"].as_str().is_some_and(|title| response.head.contains(title)), "{document}");
    (response.status, document["detail"].clone())
}

#[test]
fn everything_is_read_from_this_machine_by_its_own_names_only() {
    let backend = simulated('A', "1");
    let (proxy, mut admin) = administered(&[&url(backend.address())], &[]);
    let port = admin.address.port();
    let asked = |host: &str| {
        let mut client = Client::connect(admin.address);
        client.send(format!("GET /api/v1/status HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        client.response()
    };
    for host in ["localhost", &format!("localhost:{port}"), "127.0.0.1:1", "[::1]:5002", "127.0.0.9"] {
        assert_eq!(asked(host).status, 200, "{host}");
    }
    for host in ["evil.example", &format!("evil.example:{port}"), "localhost.evil.example", "192.0.2.1", ""] {
        assert_eq!(problem(&asked(host)).0, 403, "{host}");
    }
    // The target's authority counts before that of Host.
    let mut client = Client::connect(admin.address);
    client.send("GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.response().status, 403);
    client.send("GET /healthz HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().status, 403);
    assert_eq!(admin.get("/healthz").status, 200);
    assert_eq!(proxy.stop().code, 0);
}

#[test]
fn a_page_of_another_origin_changes_nothing() {
    let backend = simulated('A', "1");
    let backend = url(backend.address());
    let (_proxy, mut admin) = administered(&[&backend], &[]);
    let name = backend.trim_start_matches("http://");
    let json = "Content-Type: application/json\r\n";
    for origin in ["http://evil.example", "null", "https://localhost", "http://localhost:1"] {
        let fields = format!("Origin: {origin}\r\n{json}");
        let routing = admin.ask("PUT", "/api/v1/routing", &fields, r#"{"mode":"adaptive_sma"}"#);
        let drain = admin.ask("POST", &format!("/api/v1/backends/{name}/drain"), &fields, "");
        assert_eq!((problem(&routing).0, problem(&drain).0), (403, 403), "{origin}");
    }
    let status = admin.json("/api/v1/status");
    assert_eq!(
        (&status["routing"], admin.json("/api/v1/backends")[0]["state"].as_str()),
        (&json!("round-robin"), Some("usable"))
    );
    let own = format!("Origin: http://localhost\r\n{json}");
    assert_eq!(admin.ask("PUT", "/api/v1/routing", &own, r#"{"mode":"adaptive_sma"}"#).status, 200);
}

#[test]
fn what_cannot_be_served_is_told_as_a_problem() {
    let backend = simulated('A', "1");
    let (_proxy, mut admin) = administered(&[&url(backend.address())], &[]);
    let json = "Content-Type: application/json\r\n";
    for (method, path, fields, body, status, part) in [
        ("GET", "/nothing", "", "", 404, "there is no /nothing"),
        ("GET", "/api/v1/routing", "", "", 405, "is for PUT"),
        ("DELETE", "/data", "", "", 405, "is for GET, HEAD"),
        ("PUT", "/api/v1/routing", "", "{\"mode\":\"adaptive_sma\"}", 415, "send JSON"),
        ("PUT", "/api/v1/routing", json, "{\"mode\":", 400, "send for instance"),
        ("PUT", "/api/v1/routing", json, "{\"mode\":7}", 422, "expected a string"),
        ("PUT", "/api/v1/routing", json, "{\"mode\":\"fastest\"}", 422, "unknown routing mode `fastest`"),
        ("PUT", "/api/v1/routing", json, "{\"made\":\"fair\"}", 422, "unknown field `made`"),
        ("PUT", "/api/v1/strategy", json, "{\"strategy\":\"best\"}", 422, "best"),
        ("PUT", "/api/v1/strategy", json, "{\"strategy\":\"fair\"}", 409, "no classifier"),
        ("POST", "/api/v1/backends/elsewhere:1/drain", "", "", 404, "no backend is called `elsewhere:1`"),
        ("POST", "/api/v1/backends/%zz/drain", "", "", 404, "there is no"),
    ] {
        let response = admin.ask(method, path, fields, body);
        let (found, detail) = problem(&response);
        assert_eq!(found, status, "{method} {path} {body}: {detail}");
        assert!(
            detail.as_str().is_some_and(|detail| detail.contains(part)),
            "{method} {path} {body}: {detail}"
        );
        let allow = response.field("Allow");
        assert_eq!(allow.is_some(), status == 405, "{method} {path}: {allow:?}");
    }
    let large = admin.ask("PUT", "/api/v1/routing", json, &"x".repeat(65 * 1024));
    assert_eq!(problem(&large).0, 413);
}

#[test]
fn connections_are_kept_requests_pipelined_and_heads_alone_told() {
    let backend = simulated('A', "1");
    let (_proxy, admin) = administered(&[&url(backend.address())], &[]);
    let mut client = Client::connect(admin.address);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.send(get("/healthz") + &get("/readyz") + &get("/api/v1/config") + &get("/healthz"));
    let all = [0; 4].map(|_| client.response());
    assert_eq!(all.each_ref().map(|response| response.status), [200; 4]);
    assert!(all[1].text().contains("\"ready\":true") && all[2].text().contains("\"routing\""));
    client.send("HEAD /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let head = client.response_to_head();
    assert!(head.field("Content-Length").is_some_and(|length| length != "0"), "{}", head.head);
    client.send(get("/"));
    let index = client.response();
    assert_eq!(index.field("Content-Type"), Some("text/html; charset=utf-8"));
    client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!(client.response().status, 200);
    assert!(client.is_closed());
}

#[test]
fn no_more_than_64_connections_are_held_and_the_longest_idle_gives_way() {
    let backend = simulated('A', "1");
    let (_proxy, mut admin) = administered(&[&url(backend.address())], &[]);
    let mut held: Vec<_> = (0..63).map(|_| Client::connect(admin.address)).collect();
    let health = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for client in &mut held {
        client.send(health);
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(admin.get("/healthz").status, 200);
    let mut newcomer = Client::connect(admin.address);
    newcomer.send(health);
    assert_eq!(newcomer.response().status, 200);
    assert!(held[0].is_closed());
    for client in held[1..].iter_mut().chain([&mut newcomer]) {
        client.send(health);
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(admin.get("/healthz").status, 200);
}

#[test]
fn data_says_so_while_nothing_has_come() {
    let backends = [simulated('A', "1"), simulated('B', "1")];
    let urls = backends.each_ref().map(|backend| url(backend.address()));
    let (_proxy, mut admin) = administered(&[&urls[0], &urls[1]], &["--routing=adaptive_ewma"]);
    admin.wait_for("a mode", |live| live["status"]["routing"] == "adaptive_ewma");
    let expected = json!({
        "plotly_latency_data": [],
        "request_distribution": { "labels": [], "data": [] },
        "sma_table": [],
        "explanation": "No requests processed yet.",
        "current_mode": "adaptive_ewma",
        "avg_recent_latency": "N/A",
    });
    assert_eq!(admin.json("/data"), expected);
}

/// Whether `text` has the form of `pattern`, in which 0 stands for any digit.
fn has_form(text: &Value, pattern: &str) -> bool {
    let text = text.as_str().unwrap_or_default();
    let digits: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    digits == pattern
}

#[test]
fn data_has_every_key_with_its_meaning() {
    let backends = ["5", "40", "60", "80"].map(|profile| simulated('A', profile));
    let urls = backends.each_ref().map(|backend| url(backend.address()));
    let ports = backends.each_ref().map(|backend| backend.address().port().to_string());
    let (proxy, mut admin) = administered(&urls.each_ref().map(String::as_str), &["--routing=adaptive_sma"]);
    let mut client = Client::connect(proxy.address);
    for _ in 0..6 {
        assert_eq!(client.get("/").status, 200);
    }
    admin.wait_for_requests(6);
    let data = admin.json("/data");

    // Each is probed once; then the fastest is chosen.
    assert_eq!(data["request_distribution"], json!({ "labels": ports, "data": [3, 1, 1, 1] }));
    let traces = data["plotly_latency_data"].as_array().expect("traces");
    assert_eq!(traces.len(), 4);
    for ((trace, port), (ms, count)) in traces.iter().zip(&ports).zip([(5, 3), (40, 1), (60, 1), (80, 1)]) {
        assert_eq!(trace["name"], format!("Backend {port} (ms)"));
        let (x, y) = (trace["x"].as_array().unwrap(), trace["y"].as_array().unwrap());
        assert_eq!((x.len(), y.len()), (count, count));
        assert!(x.iter().all(|x| has_form(x, "0000-00-00 00:00:00.000000")), "{x:?}");
        assert!(y.iter().all(|y| y.as_u64().is_some_and(|y| y >= ms)), "{y:?}");
    }

    let table = data["sma_table"].as_array().expect("rows");
    let column = |key: &str| table.iter().map(|row| row[key].clone()).collect::<Vec<_>>();
    assert_eq!(column("chosen"), [0, 1, 2, 3, 0, 0].map(|i| json!(ports[i])));
    assert!(column("timestamp").iter().all(|time| has_form(time, "00:00:00.000")));
    // What the choice was made on: a backend has no average before its own first request has ended.
    let known = |key: &str| column(key).iter().map(Value::is_f64).collect::<Vec<_>>();
    assert_eq!(known("smaA"), [false, true, true, true, true, true]);
    assert_eq!(known("smaB"), [false, false, true, true, true, true]);
    assert_eq!(known("smaC"), [false, false, false, true, true, true]);
    assert_eq!(table[0]["smaA"], "N/A");
    let fourth = column("scores").iter().map(|scores| scores[&ports[3]].is_f64()).collect::<Vec<_>>();
    assert_eq!(fourth, [false, false, false, false, true, true]);
    let latency = |row: usize| table[row]["latency_ms"].as_f64().expect("whole milliseconds");
    let sma = table[5]["smaA"].as_f64().expect("an average");
    assert!((sma - (latency(0) + latency(4)) / 2.0).abs() <= 0.6, "{sma}: {table:?}");

    let last = table[5]["latency_ms"].as_u64().expect("whole milliseconds");
    assert_eq!(
        data["explanation"],
        format!("Last: Mode 'adaptive_sma' chose {}, Latency: {last}ms.", ports[0])
    );
    assert_eq!(data["current_mode"], "adaptive_sma");
    let mean = (0..6).map(latency).sum::<f64>() / 6.0;
    let told = data["avg_recent_latency"].as_f64().expect("an average");
    assert!((told - mean).abs() <= 0.6, "{told} instead of {mean}");
}

#[test]
fn a_switch_of_the_routing_mode_shows_in_the_rows_that_follow() {
    let backends = [simulated('A', "1"), simulated('B', "2")];
    let urls = backends.each_ref().map(|backend| url(backend.address()));
    let (proxy, mut admin) = administered(&[&urls[0], &urls[1]], &[]);
    let mut client = Client::connect(proxy.address);
    client.get("/");
    for mode in ["adaptive_ewma", "adaptive_sma", "round-robin"] {
        let response = admin.put("/api/v1/routing", &json!({ "mode": mode }));
        assert_eq!((response.status, response.text()), (200, json!({ "mode": mode }).to_string()));
        client.get("/");
        admin.wait_for(mode, |live| live["status"]["routing"] == mode);
    }
    let modes: Vec<_> = proxy.stop().rows.into_iter().map(|row| row.mode).collect();
    assert_eq!(modes, ["round-robin", "adaptive_ewma", "adaptive_sma", "round-robin"]);
}

#[test]
fn a_switch_of_the_strategy_is_the_proxys_own() {
    let classifier = support::classifier::echoing();
    let launch = Launch::batching(&classifier.url(), &["--admin=127.0.0.1:0"]);
    let (proxy, mut admin) = with_admin(launch);
    let response = admin.put("/api/v1/strategy", &json!({ "strategy": "fair" }));
    assert_eq!((response.status, response.text().as_str()), (200, r#"{"strategy":"fair"}"#));
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/strategy").text(), r#"{"active_strategy":"fair"}"#);
    admin.wait_for("fair", |live| live["batching"]["strategy"] == "fair");
}

/// A backend that answers `name`, once the gate is open.
fn held(name: &str, gate: &Gate) -> Origin {
    Origin::gated(gate, format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len()))
}

#[test]
fn a_drained_backend_gets_nothing_new_and_finishes_what_it_has() {
    let gates = [Gate::default(), Gate::default()];
    gates[1].open();
    let origins = [held("A", &gates[0]), held("B", &gates[1])];
    let urls = origins.each_ref().map(Origin::url);
    let (proxy, mut admin) = administered(&[&urls[0], &urls[1]], &[]);
    let name = |i: usize| urls[i].trim_start_matches("http://").replace(':', "%3A");

    let mut in_flight = Client::connect(proxy.address);
    in_flight.send(GET);
    origins[0].next();
    let drained = admin.post(&format!("/api/v1/backends/{}/drain", name(0)));
    let expected = json!({ "name": urls[0].trim_start_matches("http://"), "state": "draining" });
    assert_eq!((drained.status, drained.text()), (200, expected.to_string()));

    let mut client = Client::connect(proxy.address);
    assert_eq!([0; 4].map(|_| client.get("/").text()), ["B"; 4]);
    gates[0].open();
    assert_eq!(in_flight.response().text(), "A");
    let live = admin.wait_for_requests(5);
    // Its connection is not kept, that of the other is.
    assert_eq!(
        (&live["backends"][0]["state"], &live["backends"][0]["idle"]),
        (&json!("draining"), &json!(0))
    );
    assert_eq!((&live["backends"][1]["state"], &live["backends"][1]["idle"]), (&json!("usable"), &json!(1)));

    assert_eq!(admin.get("/readyz").status, 200);
    assert_eq!(admin.post(&format!("/api/v1/backends/{}/drain", name(1))).status, 200);
    let refused = client.get("/");
    assert_eq!((refused.status, refused.reason()), (503, Some("no-backend")));
    let (status, detail) = problem(&admin.get("/readyz"));
    assert_eq!((status, detail), (503, json!("not ready: no-backend")));
    let live = admin.wait_for("no idle connection", |live| live["status"]["pool"]["open"] == 0);
    assert_eq!(live["backends"][1]["idle"], 0);

    assert_eq!(admin.post(&format!("/api/v1/backends/{}/undrain", name(0))).status, 200);
    assert_eq!(admin.get("/readyz").status, 200);
    assert_eq!([0; 2].map(|_| client.get("/").text()), ["A"; 2]);
    let statuses = proxy.stop().statuses();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 503, 200, 200]);
}

#[test]
fn readiness_ends_with_the_stop_signal_and_health_does_not() {
    let gate = Gate::default();
    let origin = held("A", &gate);
    let (mut proxy, mut admin) = administered(&[&origin.url()], &[]);
    assert_eq!((admin.get("/readyz").status, admin.get("/healthz").status), (200, 200));
    let mut client = Client::connect(proxy.address);
    client.send(GET);
    origin.next();
    proxy.signal(Signal::TERM);
    proxy.says("stopping: 1 requests in flight");
    assert_eq!(problem(&admin.get("/readyz")), (503, json!("not ready: draining")));
    assert_eq!(admin.get("/healthz").status, 200);
    admin.wait_for("draining", |live| live["status"]["draining"] == true);
    gate.open();
    assert_eq!(client.response().text(), "A");
    assert_eq!(proxy.end().code, 0);
}

#[test]
fn events_come_by_themselves_and_end_with_the_program() {
    let origin = Origin::start(|conn| {
        while conn.read_request().is_some() {
            conn.send(HELLO);
        }
    });
    let (proxy, mut admin) = administered(&[&origin.url()], &[]);
    let mut feed = Feed::open(admin.address);
    assert!(feed.head.contains("Content-Type: text/event-stream"), "{}", feed.head);
    assert_eq!(feed.block(), "retry: 2000");
    let ids = [feed.block(), feed.block()].map(|event| event.lines().next().unwrap_or_default().to_owned());
    assert_eq!(ids, ["id: 1", "id: 2"]);
    Client::connect(proxy.address).get("/");
    let event = (0..20).map(|_| feed.next()).find(|event| event["status"]["requests"] == 1);
    let event = event.expect("an event that tells of the request");
    // Polling tells the same.
    let mut live = admin.json("/api/v1/live");
    live["time"] = event["time"].clone();
    let same = |document: &Value| {
        (document["backends"].clone(), document["latest"].clone(), document["trend"].clone())
    };
    assert_eq!(same(&event), same(&live));
    assert_eq!(event["latest"][0]["status"], 200);
    assert_eq!(proxy.stop().code, 0);
    assert!(feed.ends());
}

#[test]
fn status_backends_and_config_tell_what_is() {
    let origin = Origin::answering("HTTP/1.1 418 I\r\nContent-Length: 0\r\n\r\n");
    let (proxy, mut admin) =
        administered(&[&origin.url()], &["--connections=non-persistent", "--sma-window=5"]);
    let mut client = Client::connect(proxy.address);
    client.get("/");
    client.get("/");
    admin.wait_for_requests(2);
    let status = admin.json("/api/v1/status");
    for (key, value) in [
        ("listen", json!(proxy.address.to_string())),
        ("connections", json!("non-persistent")),
        ("routing", json!("round-robin")),
        ("strategy", json!(null)),
        ("statuses", json!({ "418": 2 })),
        ("failed", json!(0)),
        ("draining", json!(false)),
        ("clients", json!({ "accepted": 1, "refused": 0, "evicted": 0, "open": 1 })),
    ] {
        assert_eq!(status[key], value, "{key}");
    }
    assert_eq!((&status["pool"]["opened"], &status["pool"]["reused"]), (&json!(2), &json!(0)));
    assert!(status["pool"]["connect_ms"]["max"].as_f64().is_some_and(|ms| ms > 0.0), "{status}");
    let backend = &admin.json("/api/v1/backends")[0];
    assert_eq!(
        (&backend["url"], &backend["requests"], &backend["kind"]),
        (&json!(origin.url()), &json!(2), &json!("backend"))
    );
    assert!(backend["sma_ms"].is_f64() && backend["score_ms"].is_null(), "{backend}");
    let p50 = backend["latency_ms"]["p50"].as_f64().expect("a median");
    assert!(p50 > 0.0 && p50 <= backend["latency_ms"]["max"].as_f64().expect("a maximum"));
    let config = admin.json("/api/v1/config");
    assert_eq!(config["sma-window"], json!({ "value": 5, "origin": "flag" }));
    assert_eq!(config["upstream-timeout"], json!({ "value": "10s", "origin": "default" }));
    assert_eq!(config["backend"]["value"], json!([origin.url()]));
}
