//! The promise: each routing mode chooses as it says, and the CSV and the console tell of every choice.

mod support;

use support::{Client, Launch, Origin, Proxy, Row, simulated, url};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Sends `requests` one after another and stops.
fn rows_of(backends: &[&str], routing: &str, requests: usize) -> Vec<Row> {
    let proxy = Proxy::start(backends, &[&format!("--routing={routing}")]);
    let mut client = Client::connect(proxy.address);
    for _ in 0..requests {
        assert_eq!(client.get("/").status, 200);
    }
    let ended = proxy.stop();
    assert_eq!((ended.code, ended.rows.len()), (0, requests));
    ended.rows
}

fn shares(rows: &[Row], backends: &[&str]) -> Vec<usize> {
    backends.iter().map(|url| rows.iter().filter(|row| row.url == *url).count()).collect()
}

#[test]
fn round_robin_goes_around_in_order() {
    let origins: Vec<_> = (0..3).map(|_| Origin::answering(HELLO)).collect();
    let urls: Vec<_> = origins.iter().map(Origin::url).collect();
    let backends: Vec<_> = urls.iter().map(String::as_str).collect();
    let rows = rows_of(&backends, "round-robin", 100);
    for (at, row) in rows.iter().enumerate() {
        assert_eq!((row.url.as_str(), row.mode.as_str()), (backends[at % 3], "round-robin"), "row {at}");
    }
}

#[test]
fn round_robin_shares_differ_by_at_most_one_under_concurrent_clients() {
    let simulated = [simulated('A', "1,9"), simulated('B', "3"), simulated('C', "1")];
    let urls = simulated.each_ref().map(|backend| url(backend.address()));
    let backends = urls.each_ref().map(String::as_str);
    let proxy = Proxy::start(&backends, &[]);
    let address = proxy.address;
    let clients: Vec<_> = (0..8)
        .map(|_| {
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                (0..50).for_each(|_| assert_eq!(client.get("/").status, 200));
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().expect("a client without complaint"));
    let ended = proxy.stop();
    let mut shares = shares(&ended.rows, &backends);
    shares.sort_unstable();
    assert_eq!(shares, [133, 133, 134]);
}

#[test]
fn adaptive_modes_try_each_backend_once_and_stay_with_the_fastest() {
    for mode in ["adaptive_sma", "adaptive_ewma"] {
        let simulated = [simulated('A', "150"), simulated('B', "2"), simulated('C', "200")];
        let urls = simulated.each_ref().map(|backend| url(backend.address()));
        let [a, b, c] = urls.each_ref().map(String::as_str);
        let rows = rows_of(&[a, b, c], mode, 30);
        let chosen: Vec<_> = rows.iter().map(|row| row.url.as_str()).collect();
        assert_eq!(chosen[..3], [a, b, c], "{mode}: unmeasured ones first, in configuration order");
        assert!(chosen[3..].iter().all(|&url| url == b), "{mode}: {chosen:?}");
        assert!(rows.iter().all(|row| row.mode == mode));
        assert!(rows[0].latency_ms >= 150 && rows[2].latency_ms >= 200, "{rows:?}");
    }
}

#[test]
fn adaptive_sma_leaves_a_backend_whose_mean_rises() {
    // Means of A after each of its answers: 5, 5, 5, (5+5+400)/3 = 137: then B with 90 is the better one.
    let simulated = [simulated('A', "5,5,5,400,400,400,400"), simulated('B', "90")];
    let urls = simulated.each_ref().map(|backend| url(backend.address()));
    let [a, b] = urls.each_ref().map(String::as_str);
    let rows = rows_of(&[a, b], "adaptive_sma", 9);
    let chosen: Vec<_> = rows.iter().map(|row| row.url.as_str()).collect();
    assert_eq!(chosen, [a, b, a, a, a, b, b, b, b]);
}

#[test]
fn a_row_is_as_the_contract_writes_it() {
    let backend = simulated('A', "30");
    let port = backend.address().port();
    let proxy = Proxy::start(&[&format!("http://localhost:{port}")], &["--routing=adaptive_sma"]);
    assert_eq!(Client::connect(proxy.address).get("/").text(), "Hello from A – simulated 30ms\n");
    let ended = proxy.stop();
    let lines: Vec<_> = ended.csv.split('\n').collect();
    let [header, line, ""] = lines[..] else { panic!("not a header and a row: {:?}", ended.csv) };
    assert_eq!(header, "timestamp,backend_url,latency_ms,status_code,routing_mode");
    let row = &ended.rows[0];
    let shape: String = row.timestamp.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000000");
    assert!((30..5_000).contains(&row.latency_ms), "{line}");
    let expected = format!("{},http://localhost:{port},{},200,adaptive_sma", row.timestamp, row.latency_ms);
    assert_eq!(line, expected);
}

#[test]
fn an_existing_file_is_appended_to_under_its_one_header() {
    let origin = Origin::answering(HELLO);
    let before = "timestamp,backend_url,latency_ms,status_code,routing_mode\n\
                  2025-05-09T20:04:04.679379,http://localhost:8081,42,200,adaptive_sma\n";
    let proxy = Launch::proxy(&[&origin.url()], &[]).rows(before).start("the proxy");
    Client::connect(proxy.address).get("/");
    let ended = proxy.stop();
    assert!(ended.csv.starts_with(before), "{}", ended.csv);
    assert_eq!((ended.csv.matches("timestamp").count(), ended.rows.len()), (1, 2));
    assert_eq!(ended.rows[1].url, origin.url());
}

#[test]
fn an_answer_of_5xx_is_an_answer_and_passes_as_it_is() {
    let origin = Origin::answering("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let response = Client::connect(proxy.address).get("/");
    assert_eq!((response.status, response.text().as_str(), response.reason()), (503, "busy", None));
    assert_eq!(proxy.stop().statuses(), [503]);
}

/// What is said of choices and connections, without the ports, which differ from run to run.
fn told(routing: &str, connections: &str) -> Vec<String> {
    let origins = [Origin::answering(HELLO), Origin::answering(HELLO)];
    let urls = origins.each_ref().map(Origin::url);
    let backends = urls.each_ref().map(String::as_str);
    let options = [
        format!("--routing={routing}"),
        format!("--connections={connections}"),
        "--log-level=debug".to_owned(),
    ];
    let proxy = Proxy::start(&backends, &options.each_ref().map(String::as_str));
    let mut client = Client::connect(proxy.address);
    (0..3).for_each(|_| assert_eq!(client.get("/").status, 200));
    let ended = proxy.stop();
    assert!(ended.log.iter().filter(|line| line.contains("chosen")).all(|line| line.contains(" DEBUG ")));
    let named = |said: &str| {
        let ports = urls.each_ref().map(|url| url.rsplit(':').next().expect("a port").to_owned());
        said.replace(backends[0], "URL-A")
            .replace(backends[1], "URL-B")
            .replace(&format!("{}=", ports[0]), "A=")
            .replace(&format!("{}=", ports[1]), "B=")
    };
    let messages = ended.messages().into_iter().map(named);
    messages.filter(|said| said.starts_with('[') || said.starts_with("connection ")).collect()
}

#[test]
fn the_console_tells_of_rotation_and_reuse() {
    assert_eq!(
        told("round-robin", "persistent"),
        [
            "[RR] chosen: URL-A",
            "connection opened: URL-A",
            "[RR] chosen: URL-B",
            "connection opened: URL-B",
            "[RR] chosen: URL-A",
            "connection reused: URL-A",
        ]
    );
}

#[test]
fn the_console_tells_of_closed_connections() {
    let one = |name| {
        [
            format!("[RR] chosen: URL-{name}"),
            format!("connection opened: URL-{name}"),
            format!("connection closed: URL-{name}"),
        ]
    };
    assert_eq!(told("round-robin", "non-persistent"), [one("A"), one("B"), one("A")].concat());
}

#[test]
fn the_console_tells_of_averages() {
    for (mode, tag) in [("adaptive_sma", "SMA"), ("adaptive_ewma", "EWMA")] {
        let said = told(mode, "persistent");
        assert_eq!(said[0], format!("[{tag}] probing unmeasured: URL-A"));
        assert_eq!(said[2], format!("[{tag}] probing unmeasured: URL-B"));
        let averages = said[4].strip_prefix(&format!("[{tag}] {tag}s: A=")).expect("a line of averages");
        let (a, b) = averages.strip_suffix("ms").and_then(|rest| rest.split_once("ms, B=")).expect(averages);
        for mean in [a, b] {
            assert!(mean.parse::<f64>().is_ok() && mean.rsplit('.').next().is_some_and(|d| d.len() == 1));
        }
        assert!(said[5].starts_with(&format!("[{tag}] chosen: URL-")), "{said:?}");
    }
}

#[test]
fn the_console_says_nothing_of_requests_at_the_default_level() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &[]);
    Client::connect(proxy.address).get("/");
    let ended = proxy.stop();
    let messages = ended.messages();
    assert!(
        messages.iter().all(|said| !said.contains("chosen") && !said.contains("connection")),
        "{messages:?}"
    );
}
