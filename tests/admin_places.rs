//! The promise: whoever asks the admin listener for health or metrics is answered, whatever others do there.

mod support;

use support::admin::{Feed, administered};
use support::{Client, simulated, url};

/// More than there are places.
const CROWD: usize = 100;

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

#[test]
fn health_and_metrics_are_answered_in_any_crowd() {
    let backend = simulated('A', "1");
    let (_proxy, admin) = administered(&[&url(backend.address())], &[]);
    let half_body = "PUT /api/v1/routing HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                     Content-Length: 99\r\n\r\n{";
    let pipelined = get("/metrics").repeat(50);
    for sends in ["", "GET /metr", half_body, &get("/api/v1/events"), &pipelined, &get("/healthz")] {
        let crowd: Vec<_> = (0..CROWD)
            .map(|_| {
                let mut client = Client::connect(admin.address);
                client.send(sends);
                client
            })
            .collect();
        for path in ["/healthz", "/readyz", "/metrics", "/data"] {
            for _ in 0..3 {
                let mut newcomer = Client::connect(admin.address);
                newcomer.send(get(path));
                assert_eq!(newcomer.response().status, 200, "{path} beside {CROWD} of {sends:?}");
            }
        }
        drop(crowd);
    }
}

#[test]
fn event_streams_have_half_of_the_places_and_keep_them() {
    let backend = simulated('A', "1");
    let (_proxy, admin) = administered(&[&url(backend.address())], &[]);
    let mut feeds: Vec<_> = (0..32).map(|_| Feed::open(admin.address)).collect();
    let refused = Feed::open(admin.address);
    assert!(
        refused.head.starts_with("HTTP/1.1 503 ") && refused.head.contains("problem+json"),
        "{}",
        refused.head
    );
    let silent: Vec<_> = (0..CROWD).map(|_| Client::connect(admin.address)).collect();
    for feed in &mut feeds {
        assert_eq!(feed.next()["status"]["requests"], 0);
        assert_eq!(feed.next()["status"]["requests"], 0);
    }
    drop(silent);
}

#[test]
fn a_page_of_another_origin_reads_nothing_and_takes_no_place() {
    let backend = simulated('A', "1");
    let (_proxy, mut admin) = administered(&[&url(backend.address())], &[]);
    let image = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n";
    for fields in ["Origin: http://evil.example\r\n", "Origin: null\r\n", image] {
        for path in ["/api/v1/events", "/api/v1/live", "/data", "/metrics", "/healthz"] {
            let response = admin.ask("GET", path, fields, "");
            assert_eq!(response.status, 403, "{path} {fields}");
        }
    }
    let link = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
    for fields in ["", "Origin: http://localhost\r\n", "Sec-Fetch-Site: same-origin\r\n", link] {
        assert_eq!(admin.ask("GET", "/", fields, "").status, 200, "{fields}");
    }
}
