//! The promise: the program stops when it is told to, with everything answered, written and said.

mod support;

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};

use rustix::process::{Pid, Signal, kill_process};
use support::{Client, Gate, Launch, Origin, Proxy, end_of};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

/// So many clients with a request in flight each.
fn in_flight(proxy: &Proxy, origin: &Origin, clients: usize) -> Vec<Client> {
    let mut all: Vec<_> = (0..clients).map(|_| Client::connect(proxy.address)).collect();
    for client in &mut all {
        client.send(GET);
        origin.next();
    }
    all
}

#[test]
fn a_stop_answers_what_is_in_flight_and_lets_nobody_in() {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        let gate = Gate::default();
        let origin = Origin::gated(&gate, HELLO);
        let mut proxy = Proxy::start(&[&origin.url()], &[]);
        let mut idle = Client::connect(proxy.address);
        let mut clients = in_flight(&proxy, &origin, 30);
        proxy.signal(signal);
        proxy.says("stopping: 30 requests in flight");
        assert!(idle.is_closed(), "an idle client is closed at once");
        assert!(TcpStream::connect(proxy.address).is_err(), "somebody was let in");
        gate.open();
        for client in &mut clients {
            let response = client.response();
            assert_eq!((response.text().as_str(), response.field("Connection")), ("hello", Some("close")));
            assert!(client.is_closed());
        }
        drop(clients);
        let ended = proxy.end();
        assert_eq!((ended.code, ended.statuses()), (0, vec![200; 30]));
    }
}

#[test]
fn a_stop_under_load_loses_no_answer_and_no_row() {
    let backends = [support::simulated('A', "1,30"), support::simulated('B', "7")];
    let urls = backends.each_ref().map(|backend| support::url(backend.address()));
    for mode in ["persistent", "non-persistent"] {
        let backends = urls.each_ref().map(String::as_str);
        let proxy = Proxy::start(&backends, &[&format!("--connections={mode}")]);
        let address = proxy.address;
        let (first, began) = channel();
        let load: Vec<_> = (0..16)
            .map(|_| {
                let first = first.clone();
                std::thread::spawn(move || answers_until_closed(address, &first))
            })
            .collect();
        // In the middle of it: some have had answers, all go on.
        for _ in 0..100 {
            began.recv_timeout(support::PATIENCE).expect("load");
        }
        let ended = proxy.stop();
        let answers: usize = load.into_iter().map(|client| client.join().expect("no complaint")).sum();
        assert_eq!((ended.code, ended.rows.len()), (0, answers), "{mode}");
        assert!(ended.statuses().iter().all(|&status| status == 200));
    }
}

/// Asks again and again until the connection ends; a request that got no answer must not have been answered in part.
fn answers_until_closed(address: std::net::SocketAddr, each: &Sender<()>) -> usize {
    let mut client = Client::connect(address);
    for answers in 0.. {
        if !client.try_send(GET) {
            return answers;
        }
        let Some(response) = client.response_or_end() else { return answers };
        assert_eq!((response.status, response.complete), (200, true));
        each.send(()).expect("the test counts");
        if response.field("Connection") == Some("close") {
            assert!(client.is_closed());
            return answers + 1;
        }
    }
    0
}

#[test]
fn a_body_under_way_is_finished_before_the_end() {
    let gate = Gate::default();
    let wait = gate.clone();
    let origin = Origin::start(move |conn| {
        conn.read_request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        wait.pass();
        conn.send("world");
    });
    let mut proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send(GET);
    let head = client.head();
    proxy.signal(Signal::TERM);
    proxy.says("stopping: 1 requests in flight");
    gate.open();
    assert!(head.contains("Content-Length: 10"), "{head}");
    assert_eq!(String::from_utf8_lossy(&client.rest()), "helloworld");
    assert_eq!((proxy.end()).statuses(), [200]);
}

#[test]
fn an_upload_under_way_is_finished_before_the_end() {
    let origin = Origin::answering(HELLO);
    let mut proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\nabc");
    // It is in flight once another request on another connection has been answered.
    assert_eq!(Client::connect(proxy.address).get("/").status, 200);
    proxy.signal(Signal::TERM);
    proxy.says("stopping: 1 requests in flight");
    client.send("def");
    assert_eq!(client.response().text(), "hello");
    let ended = proxy.end();
    assert_eq!((ended.code, ended.statuses()), (0, vec![200, 200]));
    assert!(origin.requests().iter().any(|request| request.body == b"abcdef"));
}

#[test]
fn signals_that_mean_nothing_here_change_nothing() {
    let gate = Gate::default();
    let origin = Origin::gated(&gate, HELLO);
    let mut proxy = Proxy::start(&[&origin.url()], &[]);
    let mut clients = in_flight(&proxy, &origin, 3);
    for signal in [Signal::USR2, Signal::PIPE, Signal::XFSZ, Signal::USR1, Signal::HUP] {
        proxy.signal(signal);
    }
    proxy.says("there is no configuration file to read again");
    gate.open();
    clients.iter_mut().for_each(|client| assert_eq!(client.response().text(), "hello"));
    assert_eq!(proxy.stop().statuses(), [200; 3]);
}

#[test]
fn servers_without_settings_stop_on_a_hangup_too() {
    for signal in [Signal::QUIT, Signal::HUP] {
        for (command, who) in [("backend", "the backend A"), ("classifier", "the classifier")] {
            let server = Launch::command(&[command, "--listen=127.0.0.1:0"]).start(who);
            server.signal(signal);
            assert_eq!(server.end().code, 0, "{command}: {signal:?}");
        }
    }
}

#[test]
fn measurements_end_early_on_any_stop_signal_with_what_was_measured() {
    let backend = support::simulated('A', "1");
    let server = support::url(backend.address());
    for signal in [Signal::TERM, Signal::QUIT, Signal::HUP] {
        let mut load = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["load", &server, "-c1", "-d1h"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(load.stdout.take().expect("its stdout")).lines().map_while(Result::ok);
        assert!(lines.next().is_some_and(|line| line.starts_with("Running ")));
        let pid = Pid::from_raw(load.id() as i32).expect("a process");
        kill_process(pid, Signal::USR2).expect("it takes the signal");
        kill_process(pid, signal).expect("it takes the signal");
        assert!(lines.any(|line| line.starts_with("Requests/sec:")), "{signal:?}");
        assert_eq!(end_of(&mut load).code(), Some(130), "{signal:?}");
    }
}

#[test]
fn a_second_signal_ends_at_once_with_130() {
    let gate = Gate::default();
    let origin = Origin::gated(&gate, HELLO);
    let mut proxy = Proxy::start(&[&origin.url()], &[]);
    let mut clients = in_flight(&proxy, &origin, 2);
    proxy.signal(Signal::TERM);
    proxy.says("stopping");
    proxy.signal(Signal::INT);
    let ended = proxy.end();
    assert_eq!(ended.code, 130);
    assert!(clients.iter_mut().all(Client::is_closed));
    gate.open();
}

#[test]
fn the_drain_limit_cuts_off_and_says_so() {
    let gate = Gate::default();
    let origin = Origin::gated(&gate, HELLO);
    let proxy = Proxy::start(&[&origin.url()], &["--drain-timeout=200ms"]);
    let mut clients = in_flight(&proxy, &origin, 3);
    proxy.signal(Signal::TERM);
    for client in &mut clients {
        let response = client.response();
        assert_eq!((response.status, response.reason()), (503, Some("draining")));
        assert!(client.is_closed());
    }
    drop(clients);
    let ended = proxy.end();
    assert_eq!((ended.code, ended.statuses()), (0, vec![503; 3]));
    let cut = "the drain limit has passed: cutting off 3 requests in flight";
    assert!(ended.messages().contains(&cut), "{:?}", ended.log);
    gate.open();
}

#[test]
fn with_nothing_in_flight_it_ends_without_a_word_too_many() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/").status, 200);
    let ended = proxy.stop();
    assert_eq!((ended.code, ended.log.len()), (0, 2), "{:?}", ended.log);
    assert!(client.is_closed());
}

#[test]
fn a_backend_stops_clean() {
    let backend = Launch::command(&["backend", "--id=B", "--listen=127.0.0.1:0", "--profile=100"])
        .start("the backend B");
    let mut client = Client::connect(backend.address);
    client.send(GET);
    let mut other = Client::connect(backend.address);
    assert_eq!(other.get("/").text(), "Hello from B – simulated 100ms\n");
    client.response();
    client.send(GET);
    let ended = backend.stop();
    assert_eq!(ended.code, 0, "{:?}", ended.log);
}

#[test]
fn a_testbed_stops_clean_and_its_rows_name_its_backends() {
    let arguments = [
        "testbed",
        "--listen=127.0.0.1:0",
        "--backend-listen=127.0.0.1:0,127.0.0.1:0,127.0.0.1:0",
        "--classifier-listen=127.0.0.1:0",
        "--admin=127.0.0.1:0",
        "--csv=rows.csv",
    ];
    let testbed = Launch::command(&arguments).start("the proxy");
    let backends: Vec<_> = testbed.log.iter().filter(|line| line.contains("the backend ")).collect();
    let urls: Vec<_> = backends
        .iter()
        .filter_map(|line| Some(format!("http://localhost:{}", line.rsplit(':').next()?)))
        .collect();
    let mut client = Client::connect(testbed.address);
    let texts = [0; 3].map(|_| client.get("/").text());
    assert_eq!(
        texts,
        ["A – simulated 10", "B – simulated 200", "C – simulated 250"]
            .map(|who| format!("Hello from {who}ms\n"))
    );
    let ended = testbed.stop();
    assert_eq!((ended.code, ended.statuses()), (0, vec![200; 3]));
    assert_eq!(ended.rows.iter().map(|row| row.url.clone()).collect::<Vec<_>>(), urls);
}

#[test]
fn an_unwritable_csv_path_is_one_line_and_exit_code_1() {
    let own = [
        "--backend-listen=127.0.0.1:0,127.0.0.1:0,127.0.0.1:0",
        "--classifier-listen=127.0.0.1:0",
        "--admin=127.0.0.1:0",
    ];
    for (command, own) in [("proxy", &own[..0]), ("testbed", &own)] {
        let folder = tempfile::tempdir().expect("a folder");
        let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args([command, "--listen=127.0.0.1:0", "--csv=none/rows.csv"])
            .args(own)
            .current_dir(folder.path())
            .output()
            .expect("it ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
        assert!(stderr.contains("none/rows.csv") && stderr.starts_with("tidegate: "), "{stderr}");
    }
}
