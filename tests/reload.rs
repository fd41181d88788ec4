//! The promise: the settings change while the proxy runs, all or nothing, and what is in flight is left alone.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

use rustix::process::Signal;
use serde_json::{Value, json};
use support::admin::{Admin, with_admin};
use support::{Client, Gate, Launch, Origin, PATIENCE, Proxy, Response, simulated, url};

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

/// A backend that answers with this text.
fn speaker(text: &str) -> Origin {
    Origin::answering(response(text))
}

/// One that does so when the gate is open.
fn held(gate: &Gate, text: &str) -> Origin {
    Origin::gated(gate, response(text))
}

fn response(text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len())
}

fn file(backends: &[&str], more: &str) -> String {
    format!("{more}\nbackend = {backends:?}\n")
}

fn start(text: &str) -> (Proxy, Admin) {
    with_admin(Launch::proxy(&[], &["--admin=127.0.0.1:0"]).file(text))
}

fn write(proxy: &Proxy, text: &str) {
    std::fs::write(proxy.file("tidegate.toml"), text).expect("written");
}

/// Has the file read again, in which this stands now.
fn reload(proxy: &Proxy, admin: &mut Admin, text: &str) -> Value {
    write(proxy, text);
    let response = admin.post("/api/v1/reload");
    assert_eq!(response.status, 200, "{}", response.text());
    serde_json::from_slice(&response.body).expect("JSON")
}

fn problem(response: &Response) -> Value {
    assert_eq!(response.field("Content-Type"), Some("application/problem+json"), "{}", response.head);
    serde_json::from_slice(&response.body).expect("JSON")
}

fn metric(admin: &mut Admin, name: &str) -> f64 {
    let metrics = admin.get("/metrics").text();
    let name = if name.ends_with('}') { name.to_owned() } else { format!("{name}{{}}") };
    let line = metrics.lines().find(|line| line.starts_with(&name)).expect(&name);
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
}

fn bodies(client: &mut Client, count: usize) -> Vec<String> {
    (0..count).map(|_| client.get("/").text()).collect()
}

#[test]
fn reloads_under_load_lose_no_request() {
    let servers = ['A', 'B', 'C'].map(|id| simulated(id, "1,5"));
    let urls = servers.each_ref().map(|server| url(server.address()));
    let [a, b, c] = urls.each_ref().map(String::as_str);
    let mut proxy = Launch::proxy(&[], &[]).file(&file(&[a, b], "")).start("the proxy");
    let over = Arc::new(AtomicBool::new(false));
    let (address, (answered, answers)) = (proxy.address, channel());
    let load: Vec<_> = (0..8)
        .map(|_| {
            let (over, answered) = (Arc::clone(&over), answered.clone());
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                while !over.load(Ordering::Relaxed) {
                    let response = client.get("/");
                    assert_eq!(response.status, 200, "{}", response.text());
                    answered.send(()).expect("somebody counts");
                }
            })
        })
        .collect();
    let mut told = 0;
    for i in 0..20 {
        let sets: [&[&str]; 4] = [&[c], &[b, c, a], &[a], &[a, b]];
        let mode = ["persistent", "non-persistent"][i / 4 % 2];
        write(&proxy, &file(sets[i % 4], &format!("connections = \"{mode}\"")));
        proxy.signal(Signal::HUP);
        proxy.says("the settings were read again");
        // In the middle of it: each client has had some answers since.
        (0..20).for_each(|_| answers.recv_timeout(PATIENCE).expect("load"));
        told += 20;
    }
    over.store(true, Ordering::Relaxed);
    load.into_iter().for_each(|client| client.join().expect("200 for all"));
    let answers = told + answers.try_iter().count();
    let ended = proxy.stop();
    assert_eq!((ended.code, ended.rows.len()), (0, answers));
    assert!(ended.statuses().iter().all(|&status| status == 200));
}

#[test]
fn a_removed_backend_ends_what_it_has_and_gets_no_more() {
    let gate = Gate::default();
    let (old, stays, new) = (held(&gate, "old"), speaker("stays"), speaker("new"));
    let (old_url, stays_url, new_url) = (old.url(), stays.url(), new.url());
    let (proxy, mut admin) = start(&file(&[&old_url, &stays_url], ""));
    let mut waiting = Client::connect(proxy.address);
    waiting.send(GET);
    old.next();
    let told = reload(&proxy, &mut admin, &file(&[&stays_url, &new_url], ""));
    assert_eq!(told["servers"], json!({ "added": [new_url], "removed": [old_url], "moved": [], "kept": 1 }));
    let mut client = Client::connect(proxy.address);
    assert_eq!(bodies(&mut client, 6), ["stays", "new", "stays", "new", "stays", "new"]);
    let listed = admin.wait_for("three servers", |live| live["backends"].as_array().unwrap().len() == 3);
    let states: Vec<_> = (0..3).map(|i| listed["backends"][i]["state"].clone()).collect();
    assert_eq!(states, ["usable", "usable", "removed"]);
    gate.open();
    assert_eq!(waiting.response().text(), "old");
    admin.wait_for("two servers", |live| live["backends"].as_array().unwrap().len() == 2);
    assert_eq!((old.requests().len(), old.connections()), (1, 1));
    // Its name is known no more.
    let name = old_url.trim_start_matches("http://");
    assert_eq!(admin.post(&format!("/api/v1/backends/{name}/drain")).status, 404);
    assert!(!admin.get("/metrics").text().contains(name));
    let ended = proxy.stop();
    assert_eq!((ended.share(&old_url), ended.share(&stays_url), ended.share(&new_url)), (1, 3, 3));
}

#[test]
fn the_idle_connections_of_a_removed_backend_are_closed() {
    let closed = Gate::default();
    let told = closed.clone();
    let old = Origin::start(move |conn| {
        conn.read_request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        conn.wait_for_end();
        told.open();
    });
    let new = speaker("new");
    let (proxy, mut admin) = start(&file(&[&old.url()], ""));
    assert_eq!(Client::connect(proxy.address).get("/").status, 200);
    reload(&proxy, &mut admin, &file(&[&new.url()], ""));
    closed.pass();
}

#[test]
fn a_tunnel_to_a_removed_backend_goes_on() {
    let old = Origin::start(|conn| {
        conn.read_request();
        conn.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        conn.echo();
    });
    let new = speaker("new");
    let (proxy, mut admin) = start(&file(&[&old.url()], ""));
    let mut tunnel = Client::connect(proxy.address);
    tunnel.send("GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert!(tunnel.head().starts_with("HTTP/1.1 101"));
    reload(&proxy, &mut admin, &file(&[&new.url()], ""));
    for text in ["one", "two"] {
        tunnel.send(text);
        assert_eq!(tunnel.exactly(3), text.as_bytes());
    }
    assert_eq!(Client::connect(proxy.address).get("/").text(), "new");
}

#[test]
fn a_backend_that_stays_keeps_its_averages_and_figures_and_a_newcomer_has_none() {
    let (a, b, c) = (speaker("a"), speaker("b"), speaker("c"));
    let (a, b, c) = (a.url(), b.url(), c.url());
    let (proxy, mut admin) = start(&file(&[&a, &b], "sma-window = 2"));
    bodies(&mut Client::connect(proxy.address), 4);
    let before = admin.wait_for_requests(4);
    let told = reload(&proxy, &mut admin, &file(&[&c, &b], "sma-window = 4\newma-alpha = 0.5"));
    let change = |key: &str, from: &str, to: &str| json!({ "key": key, "from": from, "to": to });
    let set = change("backend", &format!("[\"{a}\", \"{b}\"]"), &format!("[\"{c}\", \"{b}\"]"));
    let averages = [change("sma-window", "2", "4"), change("ewma-alpha", "0.2", "0.5")];
    assert_eq!(told["changed"], json!([set, averages[0], averages[1]]));
    let after = admin.wait_for("the new set", |live| {
        live["backends"][0]["url"] == json!(c) && live["backends"].as_array().unwrap().len() == 2
    });
    let known = |live: &Value, i: usize| {
        ["url", "requests", "sma_ms", "ewma_ms", "attempts_answered", "idle"]
            .map(|key| live["backends"][i][key].clone())
    };
    assert_eq!(known(&before, 1), known(&after, 1));
    assert_eq!(known(&after, 0)[1..], [json!(0), Value::Null, Value::Null, json!(0), json!(0)]);
    assert_eq!(admin.json("/api/v1/config")["sma-window"], json!({ "value": 4, "origin": "file" }));
}

/// Ids are given anew again and again; each row still has the URL of the backend that has answered.
#[test]
fn a_row_never_gets_the_url_of_another() {
    let origins = ["a", "b", "c", "d"].map(speaker);
    let urls = origins.each_ref().map(Origin::url);
    let (proxy, mut admin) = start(&file(&[&urls[0]], ""));
    let mut client = Client::connect(proxy.address);
    let mut expected = Vec::new();
    for i in 0..60 {
        let set = [&*urls[i % 4], &*urls[(i * 3 + 1) % 4]];
        reload(&proxy, &mut admin, &file(&set, ""));
        for body in bodies(&mut client, 3) {
            expected.push(urls[usize::from(body.as_bytes()[0] - b'a')].clone());
        }
        if i % 7 == 0 {
            // Those that were removed are gone then, and their ids free.
            admin.wait_for("two servers", |live| live["backends"].as_array().unwrap().len() == 2);
        }
    }
    let rows: Vec<_> = proxy.stop().rows.into_iter().map(|row| row.url).collect();
    assert_eq!(rows, expected);
}

#[test]
fn a_bad_file_changes_nothing_and_is_told_in_log_metric_and_answer() {
    let (a, b) = (speaker("a"), speaker("b"));
    let good = file(&[&a.url()], "idle-timeout = \"20s\"");
    let (mut proxy, mut admin) = start(&good);
    let since = metric(&mut admin, "tidegate_config_last_reload_success_timestamp_seconds");
    for (text, line, column, what) in [
        (file(&[&b.url()], "\nrouting = \"fast\""), 2, 11, "unknown routing mode `fast`"),
        (file(&[&b.url()], "routng = \"x\""), 1, 1, "did you mean `routing`?"),
        (
            file(&["http://no-such-name.invalid:1"], ""),
            0,
            0,
            "cannot find the address of `no-such-name.invalid`",
        ),
        (file(&[&b.url()], "[["), 1, 0, "not TOML"),
    ] {
        write(&proxy, &text);
        let document = problem(&admin.post("/api/v1/reload"));
        let detail = document["detail"].as_str().unwrap();
        assert_eq!(document["status"], 422, "{document}");
        assert!(detail.contains(what), "{detail}");
        if line > 0 {
            assert!(detail.starts_with(&format!("tidegate.toml:{line}:")), "{detail}");
            assert_eq!((&document["file"], &document["line"]), (&json!("tidegate.toml"), &json!(line)));
        }
        if column > 0 {
            assert_eq!(document["column"], column);
        }
        let said = proxy.says("the settings stay as they are: ");
        assert!(said.contains(" ERROR ") && said.contains(detail), "{said}");
        assert_eq!(metric(&mut admin, "tidegate_config_last_reload_successful"), 0.0);
    }
    std::fs::remove_file(proxy.file("tidegate.toml")).unwrap();
    proxy.signal(Signal::HUP);
    proxy.says("the settings stay as they are: cannot read the configuration file tidegate.toml");
    assert_eq!(Client::connect(proxy.address).get("/").text(), "a");
    assert_eq!(admin.json("/api/v1/config")["idle-timeout"]["value"], "20s");
    assert_eq!(metric(&mut admin, "tidegate_config_last_reload_success_timestamp_seconds"), since);
    reload(&proxy, &mut admin, &good);
    assert_eq!(metric(&mut admin, "tidegate_config_last_reload_successful"), 1.0);
    assert_eq!(metric(&mut admin, "tidegate_config_reloads_total{result=\"failure\"}"), 5.0);
    assert_eq!(metric(&mut admin, "tidegate_config_reloads_total{result=\"success\"}"), 1.0);
    assert!(metric(&mut admin, "tidegate_config_last_reload_success_timestamp_seconds") > since);
    assert!(b.requests().is_empty());
}

#[test]
fn what_cannot_change_is_named_with_its_place_and_nothing_else_changes() {
    let (a, b) = (speaker("a"), speaker("b"));
    let (proxy, mut admin) = start(&file(&[&a.url()], ""));
    for (line, key) in [
        ("csv = \"other.csv\"", None),
        ("trace = \"trace.jsonl\"", Some("trace")),
        ("explain = true", Some("explain")),
        ("request-id = true", Some("request-id")),
        ("classifier = \"127.0.0.1:1\"", Some("classifier")),
        ("backend-listen = \":0,:0,:0\"", Some("backend-listen")),
    ] {
        write(&proxy, &file(&[&b.url()], &format!("\n{line}")));
        let response = admin.post("/api/v1/reload");
        let Some(key) = key else {
            // A flag beats it, so nothing differs.
            assert_eq!(response.status, 200, "{}", response.text());
            reload(&proxy, &mut admin, &file(&[&a.url()], ""));
            continue;
        };
        let document = problem(&response);
        let detail = document["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("`{key}` cannot")), "{detail}");
        assert_eq!((&document["line"], &document["column"]), (&json!(2), &json!(1)), "{document}");
        assert_eq!(Client::connect(proxy.address).get("/").text(), "a");
    }
    let listen = format!("listen = \"{}\"", proxy.address);
    let told = reload(&proxy, &mut admin, &file(&[&a.url()], &listen));
    assert_eq!(told["changed"], json!([]));
}

#[test]
fn a_page_of_another_origin_reloads_nothing() {
    let (a, b) = (speaker("a"), speaker("b"));
    let (proxy, mut admin) = start(&file(&[&a.url()], ""));
    write(&proxy, &file(&[&b.url()], ""));
    for origin in ["http://evil.example", "null", "https://localhost"] {
        let response = admin.ask("POST", "/api/v1/reload", &format!("Origin: {origin}\r\n"), "");
        assert_eq!(problem(&response)["status"], 403, "{origin}");
    }
    assert_eq!(admin.get("/api/v1/reload").status, 405);
    assert_eq!(Client::connect(proxy.address).get("/").text(), "a");
    assert_eq!(admin.ask("POST", "/api/v1/reload", "Origin: http://localhost\r\n", "").status, 200);
    assert_eq!(Client::connect(proxy.address).get("/").text(), "b");
}

#[test]
fn a_mode_set_by_the_api_lasts_until_the_file_says_otherwise() {
    let a = speaker("a").url();
    let (proxy, mut admin) = start(&file(&[&a], ""));
    let mode = |admin: &mut Admin, mode: &str| {
        admin.wait_for(mode, |live| live["status"]["routing"] == mode);
    };
    admin.put("/api/v1/routing", &json!({ "mode": "adaptive_sma" }));
    reload(&proxy, &mut admin, &file(&[&a], "upstream-timeout = \"3s\""));
    mode(&mut admin, "adaptive_sma");
    reload(&proxy, &mut admin, &file(&[&a], "routing = \"adaptive_ewma\""));
    mode(&mut admin, "adaptive_ewma");
    reload(&proxy, &mut admin, &file(&[&a], ""));
    mode(&mut admin, "round-robin");
    // A drained backend that stays is drained.
    let drain = format!("/api/v1/backends/{}/drain", a.trim_start_matches("http://"));
    assert_eq!(admin.post(&drain).status, 200);
    reload(&proxy, &mut admin, &file(&[&a], "connections = \"non-persistent\""));
    let live = admin.wait_for("its mode", |live| live["status"]["connections"] == "non-persistent");
    assert_eq!(live["backends"][0]["state"], "draining");
}

#[test]
fn timeouts_limits_and_the_log_level_change() {
    let slow = Origin::start(|conn| {
        conn.read_request();
        conn.wait_for_end();
    });
    let a = slow.url();
    let (mut proxy, mut admin) = start(&file(&[&a], "upstream-timeout = \"60s\""));
    reload(&proxy, &mut admin, &file(&[&a], "upstream-timeout = \"100ms\"\nlog-level = \"debug\""));
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/").status, 504);
    proxy.says("[RR] chosen: ");
    reload(&proxy, &mut admin, &file(&[&a], "max-target-bytes = 10\nmax-connections-per-client = 1"));
    assert_eq!(client.get("/12345678901").status, 414);
    let mut second = Client::connect(proxy.address);
    assert!(client.is_closed(), "a request that is refused is its connection's last");
    // One of them was one too many when it came.
    assert!(second.is_closed() || Client::connect(proxy.address).is_closed());
}

#[test]
fn a_hundred_reloads_leak_no_descriptor() {
    let origins = ["a", "b", "c"].map(speaker);
    let urls = origins.each_ref().map(Origin::url);
    let (proxy, mut admin) = start(&file(&[&urls[0]], ""));
    let mut client = Client::connect(proxy.address);
    let mut open = Vec::new();
    for i in 0..100 {
        reload(&proxy, &mut admin, &file(&[&urls[i % 3], &urls[(i + 1) % 3]], ""));
        bodies(&mut client, 2);
        if i % 3 == 0 {
            open.push(metric(&mut admin, "process_open_fds"));
        }
    }
    // The pools of two backends hold a connection each.
    let (first, last) = (open[1], open[open.len() - 1]);
    assert!(last <= first + 1.0, "{open:?}");
}

#[test]
fn without_a_file_names_are_looked_up_again() {
    let a = speaker("a");
    let mut proxy = Proxy::start(&[&a.url().replace("127.0.0.1", "localhost")], &["--resolve-interval=off"]);
    proxy.signal(Signal::HUP);
    let said = proxy.says("there is no configuration file to read again; names were looked up");
    assert!(said.contains("nothing has changed; 1 servers stay"), "{said}");
    assert_eq!(Client::connect(proxy.address).get("/").text(), "a");
}

#[test]
fn each_address_of_a_name_is_a_backend_if_so_wanted() {
    let a = speaker("a").url();
    let port = a.rsplit(':').next().unwrap();
    let entry = format!("backend = [{{ url = \"http://localhost:{port}\", resolve = \"all\" }}]\n");
    let (proxy, mut admin) = start(&entry);
    let known = admin.json("/api/v1/backends");
    let urls: Vec<_> = known.as_array().unwrap().iter().map(|b| b["url"].clone()).collect();
    assert_eq!((&urls[0], &known[0]["name"]), (&json!(a), &json!(format!("127.0.0.1:{port}"))));
    let told = reload(&proxy, &mut admin, &entry.replace("all", "one"));
    assert_eq!(told["servers"]["added"], json!([format!("http://localhost:{port}")]));
    assert_eq!(told["servers"]["removed"], json!(urls));
    assert_eq!(Client::connect(proxy.address).get("/").text(), "a");
}
