//! The promise: small requests travel together, and each client gets its own results.

mod support;

use support::classifier::{asking, classify, echoing, gated, post, sequences};
use support::{Client, Gate, Launch, Origin, Proxy, Response, simulated};

fn results(response: &Response) -> Vec<String> {
    assert_eq!(response.status, 200, "{}", response.text());
    let body: serde_json::Value = serde_json::from_slice(&response.body).expect("JSON");
    let results = body["results"].as_array().expect("results");
    results.iter().map(|r| r.as_str().expect("a string").to_owned()).collect()
}

fn strategy(client: &mut Client, request: impl AsRef<[u8]>) -> (u16, String) {
    client.send(request);
    let response = client.response();
    (response.status, response.text())
}

#[test]
fn each_client_gets_its_own_results_in_its_own_order() {
    let gate = Gate::default();
    let classifier = gated(&gate);
    let proxy = Proxy::start_batching(&classifier.url(), &[]);
    let mut first = asking(proxy.address, "a", &["first"]);
    assert_eq!(sequences(&classifier.next().body), ["first"]);
    let mut long = asking(proxy.address, "a", &["long long long", "x"]);
    let mut short = asking(proxy.address, "b", &["s"]);
    // These two wait while the first is with the classifier, the shorter one in front once both are there.
    let mut switch = Client::connect(proxy.address);
    strategy(&mut switch, post("/strategy", "", "\"sjf\""));
    gate.open();
    assert_eq!(results(&first.response()), ["first!"]);
    assert_eq!(results(&long.response()), ["long long long!", "x!"]);
    assert_eq!(results(&short.response()), ["s!"]);
    let ended = proxy.stop();
    assert_eq!((ended.code, ended.statuses()), (0, vec![200; 3]));
    assert!(ended.rows.iter().all(|r| r.url == classifier.url() && r.mode == "sjf"), "{:?}", ended.rows);
    let sent: usize = classifier.requests().iter().map(|r| sequences(&r.body).len()).sum();
    assert_eq!(sent, 4);
}

#[test]
fn a_batch_is_full_at_its_cap_and_never_splits_a_request() {
    let gate = Gate::default();
    let classifier = gated(&gate);
    let proxy = Proxy::start_batching(&classifier.url(), &["--batch-size=3", "--strategy=fcfs"]);
    let mut waiting = vec![asking(proxy.address, "a", &["0", "0", "0"])];
    classifier.next();
    for _ in 0..3 {
        waiting.push(asking(proxy.address, "a", &["1", "2"]));
    }
    gate.open();
    for client in &mut waiting {
        assert!(results(&client.response()).len() >= 2);
    }
    let sizes: Vec<_> = classifier.requests().iter().map(|r| sequences(&r.body).len()).collect();
    assert_eq!(sizes, [3, 2, 2, 2]);
}

#[test]
fn sequences_travel_as_the_bytes_that_the_client_sent() {
    let classifier = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{\"results\":[ 1.0]}");
    let proxy = Proxy::start_batching(&classifier.url(), &[]);
    let mut client = Client::connect(proxy.address);
    client.send(classify("", "{ \"sequences\" : [ \"\\u00e9\\/ \\ud83d\\ude00\" ] }"));
    let response = client.response();
    let sent = classifier.next();
    assert_eq!(String::from_utf8_lossy(&sent.body), "{\"sequences\":[\"\\u00e9\\/ \\ud83d\\ude00\"]}");
    assert!(sent.head.starts_with("POST /classify HTTP/1.1\r\n"), "{}", sent.head);
    assert_eq!(sent.field("Content-Type"), Some("application/json"));
    assert_eq!(sent.field("Host"), Some(classifier.url().trim_start_matches("http://")));
    let text = response.text();
    assert!(text.starts_with("{\"results\":[1.0],\"proxy_latency_ms\":") && text.ends_with('}'), "{text}");
    assert_eq!(response.field("Content-Type"), Some("application/json"));
}

#[test]
fn a_request_that_is_not_of_the_shape_is_told_why() {
    let classifier = echoing();
    let proxy = Proxy::start_batching(&classifier.url(), &[]);
    let mut client = Client::connect(proxy.address);
    for (body, status, detail) in [
        ("{\"sequences\":[]}", 400, "{\"detail\":\"Need 1–5 sequences\"}"),
        ("{\"sequences\":[\"\",\"\",\"\",\"\",\"\",\"\"]}", 400, "{\"detail\":\"Need 1–5 sequences\"}"),
        ("{\"sequences\":[1]}", 422, "{\"detail\":"),
        ("{\"texts\":[]}", 422, "{\"detail\":"),
        ("[", 422, "{\"detail\":"),
        ("", 422, "{\"detail\":"),
    ] {
        client.send(classify("", body));
        let response = client.response();
        assert_eq!(response.status, status, "{body}: {}", response.text());
        assert!(response.text().starts_with(detail), "{body}: {}", response.text());
    }
    client.send("GET /proxy_classify HTTP/1.1\r\nHost: test\r\n\r\n");
    let response = client.response();
    assert_eq!((response.status, response.field("Allow")), (405, Some("POST")));
    assert_eq!(proxy.stop().rows, [], "what we refuse ourselves has no row");
    assert_eq!(classifier.connections(), 0);
}

#[test]
fn bodies_come_in_every_way_that_http_allows() {
    let classifier = echoing();
    let proxy = Proxy::start_batching(&classifier.url(), &[]);
    let mut client = Client::connect(proxy.address);
    let head = "POST /proxy_classify HTTP/1.1\r\nHost: test\r\n";
    client.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n"));
    client.send(support::chunked(&[b"{\"sequences\"", b":[\"a\"]}"]));
    assert_eq!(results(&client.response()), ["a!"]);
    client.send(format!("{head}Expect: 100-continue\r\nContent-Length: 19\r\n\r\n"));
    assert!(client.head().starts_with("HTTP/1.1 100 "));
    client.send("{\"sequences\":[\"b\"]}");
    assert_eq!(results(&client.response()), ["b!"]);
    // Pipelined with a request for a backend: in order, on the same connection.
    client.send(classify("", "{\"sequences\":[\"c\"]}") + "GET /strategy HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(results(&client.response()), ["c!"]);
    assert_eq!(client.response().text(), "{\"active_strategy\":\"sjf\"}");
    client.send(format!("{head}Content-Length: 999999999\r\n\r\n"));
    assert_eq!(client.response().status, 413);
    assert!(client.is_closed());
    let mut client = Client::connect(proxy.address);
    client.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\n{{\"s"));
    client.send("XYZ");
    assert_eq!(client.response().status, 400);
}

#[test]
fn the_strategy_is_told_and_changed() {
    let classifier = echoing();
    let proxy = Proxy::start_batching(&classifier.url(), &["--strategy=fair"]);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/strategy").text(), "{\"active_strategy\":\"fair\"}");
    for (request, active) in [
        (post("/strategy", "", "\"fcfs\""), "fcfs"),
        (post("/strategy?new_strategy=sjf", "", ""), "sjf"),
        (post("/strategy", "", "{\"strategy\":\"fair\"}"), "fair"),
        (post("/strategy", "Origin: http://test\r\n", "\"sjf\""), "sjf"),
    ] {
        let told = strategy(&mut client, request);
        assert_eq!(told, (200, format!("{{\"active_strategy\":\"{active}\"}}")));
    }
    for (request, status) in [
        (post("/strategy", "", "\"lifo\""), 422),
        (post("/strategy?new_strategy=", "", ""), 422),
        (post("/strategy", "", "fair"), 422),
        (post("/strategy", "Origin: http://elsewhere\r\n", "\"fair\""), 403),
        ("DELETE /strategy HTTP/1.1\r\nHost: test\r\n\r\n".to_owned(), 405),
    ] {
        let (seen, text) = strategy(&mut client, &request);
        assert!(seen == status && text.starts_with("{\"detail\":\""), "{request}\n{seen} {text}");
    }
    assert_eq!(client.get("/strategy").text(), "{\"active_strategy\":\"sjf\"}");
    assert_eq!(client.get("/docs").field("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(proxy.stop().rows, []);
}

#[test]
fn a_switch_keeps_every_request_that_waits() {
    let gate = Gate::default();
    let classifier = gated(&gate);
    let proxy = Proxy::start_batching(&classifier.url(), &["--batch-size=1"]);
    let mut first = asking(proxy.address, "a", &["0"]);
    classifier.next();
    let texts = ["333", "22", "1", "4444"];
    let mut waiting: Vec<_> = texts.iter().map(|text| asking(proxy.address, "a", &[text])).collect();
    let mut switch = Client::connect(proxy.address);
    for name in ["fair", "fcfs", "sjf"] {
        strategy(&mut switch, post("/strategy", "", &format!("\"{name}\"")));
    }
    gate.open();
    assert_eq!(results(&first.response()), ["0!"]);
    for (client, text) in waiting.iter_mut().zip(texts) {
        assert_eq!(results(&client.response()), [format!("{text}!")]);
    }
    assert_eq!(proxy.stop().rows.len(), 5);
}

#[test]
fn unlike_requests_never_share_a_batch() {
    let gate = Gate::default();
    let held = gate.clone();
    let classifier = Origin::start(move |conn| {
        while let Some(request) = conn.read_request() {
            held.pass();
            let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
            let answer = serde_json::json!({ "predictions": body["instances"] }).to_string();
            conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}", answer.len()));
        }
    });
    let shape = "[[shape]]\npath = \"/m\"\nrequest-field = \"instances\"\nresponse-field = \"predictions\"\nheaders = [\"X-Model\"]\n";
    let proxy = Launch::batching(&classifier.url(), &[]).file(shape).start("the proxy");
    let ask = |target: &str, fields: &str, body: &str| {
        let mut client = Client::connect(proxy.address);
        client.send(post(target, fields, body));
        client
    };
    let mut clients = vec![ask("/v1/models/a:predict", "", "{\"instances\":[0]}")];
    classifier.next();
    clients.extend([
        ask("/v1/models/a:predict", "", "{\"instances\":[1]}"),
        ask("/v1/models/b:predict", "", "{\"instances\":[2]}"),
        ask("/v1/models/a:predict", "", "{\"instances\":[3],\"signature\":\"s\"}"),
        ask("/m", "X-Model: 1\r\n", "{\"instances\":[4]}"),
        ask("/m", "X-Model: 2\r\n", "{\"instances\":[5]}"),
        ask("/v1/models/a:predict?v=/2", "", "{\"instances\":[6]}"),
        ask("/v2?/v1/models/a:predict", "", "{\"instances\":[7]}"),
    ]);
    gate.open();
    for (i, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.response().text(), format!("{{\"predictions\":[{i}]}}"));
    }
    let mut sent: Vec<_> =
        classifier.requests().iter().map(|r| String::from_utf8_lossy(&r.body).into_owned()).collect();
    sent.sort();
    assert_eq!(sent.len(), 8, "{sent:?}");
    assert!(sent.contains(&"{\"signature\":\"s\",\"instances\":[3]}".to_owned()), "{sent:?}");
    assert!(classifier.requests().iter().any(|r| r.field("X-Model") == Some("2")));
    let batched = |target: &str| {
        let requests = classifier.requests();
        let request = requests.iter().find(|r| r.head.starts_with(&format!("POST {target} ")));
        request.expect("it was sent").field("X-Forwarded-For").is_none()
    };
    assert!(batched("/v1/models/a:predict?v=/2"));
    assert!(!batched("/v2?/v1/models/a:predict"), "a query makes no path");
}

#[test]
fn without_a_classifier_the_paths_are_proxied_like_any_other() {
    let backend = simulated('A', "0");
    let proxy = Proxy::start(&[&support::url(backend.address())], &[]);
    let mut client = Client::connect(proxy.address);
    for path in ["/proxy_classify", "/strategy", "/docs"] {
        assert!(client.get(path).text().starts_with("Hello from A"), "{path}");
    }
    assert_eq!(proxy.stop().rows.len(), 3);
}

#[test]
fn a_connection_that_the_classifier_has_closed_costs_nobody_an_answer() {
    let classifier = Origin::start(|conn| {
        let Some(request) = conn.read_request() else { return };
        let answer = support::classifier::echo(&sequences(&request.body));
        conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}", answer.len()));
    });
    let proxy = Proxy::start_batching(&classifier.url(), &[]);
    let mut client = Client::connect(proxy.address);
    for i in 0..20 {
        client.send(classify("", &format!("{{\"sequences\":[\"{i}\"]}}")));
        assert_eq!(results(&client.response()), [format!("{i}!")]);
    }
    assert_eq!(classifier.connections(), 20);
}

#[test]
fn a_stop_answers_what_waits() {
    let gate = Gate::default();
    let classifier = gated(&gate);
    let mut proxy = Proxy::start_batching(&classifier.url(), &["--strategy=fcfs"]);
    let mut clients = vec![asking(proxy.address, "a", &["0"])];
    classifier.next();
    clients.push(asking(proxy.address, "a", &["1", "2", "3", "4"]));
    clients.push(asking(proxy.address, "a", &["5", "6"]));
    // Answered behind the two, so they are queued.
    Client::connect(proxy.address).get("/strategy");
    proxy.signal(rustix::process::Signal::TERM);
    proxy.says("stopping");
    gate.open();
    for client in &mut clients {
        let response = client.response();
        assert_eq!(response.field("Connection"), Some("close"));
        results(&response);
    }
    let ended = proxy.end();
    assert_eq!((ended.code, ended.statuses()), (0, vec![200; 3]));
}

/// An address of this machine that is not loopback, if it has one. Nothing is sent.
fn address_of_this_machine() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

#[test]
fn only_this_machine_changes_the_strategy_unless_all_may() {
    let Some(ip) = address_of_this_machine() else {
        println!("not tried: this machine has no address but loopback");
        return;
    };
    let classifier = echoing();
    let listen = "--listen=0.0.0.0:0";
    for (from, status) in [("loopback", 403), ("any", 200)] {
        let proxy = Proxy::start_batching(&classifier.url(), &[listen, &format!("--strategy-from={from}")]);
        let mut client = Client::connect((ip, proxy.address.port()).into());
        let (seen, text) = strategy(&mut client, post("/strategy", "", "\"fair\""));
        assert_eq!(seen, status, "{text}");
        assert_eq!(client.get("/strategy").status, 200, "everyone may ask");
        let mut near = Client::connect(([127, 0, 0, 1], proxy.address.port()).into());
        assert_eq!(strategy(&mut near, post("/strategy", "", "\"fcfs\"")).0, 200);
    }
}

#[test]
fn what_a_proxy_on_this_machine_passes_on_is_not_from_this_machine() {
    let classifier = echoing();
    for (from, status) in [("loopback", 403), ("any", 200)] {
        let proxy = Proxy::start_batching(&classifier.url(), &[&format!("--strategy-from={from}")]);
        let mut client = Client::connect(proxy.address);
        for field in ["Via: 1.1 a\r\n", "X-Forwarded-For: 192.0.2.1\r\n", "x_real_ip: 192.0.2.1\r\n"] {
            let (seen, text) = strategy(&mut client, post("/strategy", field, "\"fair\""));
            assert_eq!(seen, status, "{field}: {text}");
        }
        // Another proxy of ours says so of itself.
        let front = Proxy::start(&[&support::url(proxy.address)], &[]);
        let mut far = Client::connect(front.address);
        assert_eq!(strategy(&mut far, post("/strategy", "", "\"fair\"")).0, status);
        assert_eq!(strategy(&mut client, post("/strategy", "", "\"fcfs\"")).0, 200);
    }
}
