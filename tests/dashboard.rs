//! The promise: a browser shows live what the proxy does, changes it, asks nobody else, and says when it hears nothing.

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use support::admin::{Admin, with_admin};
use support::browser::Browser;
use support::{Launch, Proxy};
use tidegate::load::{AtEnd, FixedRequest, Pace, Plan, spawn};

/// The testbed with its dashboard there.
fn testbed(admin: &str) -> (Proxy, Admin) {
    let free = "127.0.0.1:0";
    with_admin(Launch::command(&[
        "testbed",
        "--csv=rows.csv",
        &format!("--listen={free}"),
        &format!("--backend-listen={free},{free},{free}"),
        &format!("--classifier-listen={free}"),
        &format!("--admin={admin}"),
    ]))
}

/// Sends `request` for so long, waits for every answer, and returns how many there were.
fn load(proxy: SocketAddr, request: FixedRequest, users: usize, millis: u64) -> u64 {
    let plan = Plan {
        address: proxy,
        sources: vec![Pace::Closed { users, pause: Duration::ZERO }],
        timeout: Duration::from_secs(10),
        duration: Duration::from_millis(millis),
        at_end: AtEnd::Drain,
    };
    let (tally, _) = spawn("load", plan, request, ()).expect("a generator").join().expect("its end");
    assert_eq!((tally.failures(), tally.not_successful()), (0, 0));
    tally.answered()
}

/// A number as the page writes it: 1,081.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

fn get() -> FixedRequest {
    FixedRequest::new("GET", "/", "test", &[], None)
}

/// Texts to be batched.
fn classify(customer: &str) -> FixedRequest {
    let fields = [("X-Customer-Id".to_owned(), customer.to_owned())];
    let body = br#"{"sequences": ["a = 1;", "two plain words"]}"#;
    FixedRequest::new("POST", "/proxy_classify", "test", &fields, Some(body))
}

/// A button by its name, as an expression.
fn button(name: &str) -> String {
    format!("[...document.querySelectorAll('button')].find((button) => button.textContent === '{name}')")
}

/// Notes in the page each length that the lines of the trend have.
const WATCH_LINES: &str = "window.lengths = {}; setInterval(() => {
    for (const trace of document.getElementById('trend').data ?? []) {
        if (trace.showlegend !== false) (lengths[trace.name] ??= new Set()).add(trace.x.length);
    }
}, 50)";

const BARS: &str = "document.getElementById('bars').data[0].y.reduce((sum, bar) => sum + bar, 0)";

const FEED: &str = "document.getElementById('feed').dataset.state";

const FITS: &str = "document.documentElement.scrollWidth <= innerWidth";

fn pictures() -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dashboard");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

#[test]
fn a_browser_shows_what_the_proxy_does_and_changes_it() {
    let Some(mut browser) = Browser::start() else { return };
    let (proxy, admin) = testbed("127.0.0.1:0");
    let page = format!("http://{}/", admin.address);
    browser.look(1400, "light");
    browser.open(&page);
    browser.wait_for("a feed", &format!("{FEED} === 'live'"));
    assert_eq!(browser.text("#explanation"), "No requests processed yet.");
    let empty = "document.querySelector('#trend').hidden && document.querySelector('#bars').hidden";
    assert_eq!(browser.evaluate(empty), true);

    // Lines move and bars add up.
    browser.evaluate(WATCH_LINES);
    let requests = load(proxy.address, get(), 20, 5_000);
    browser.wait_for("all requests in bars", &format!("{BARS} === {requests}"));
    browser.wait_for(
        "three lines that moved",
        "Object.values(lengths).filter((of) => of.size > 1).length === 3 && Object.keys(lengths).length === 3",
    );
    assert_eq!(browser.text("#connections"), "persistent");
    assert!(browser.text("#average").ends_with(" ms"));
    assert!(browser.text("#explanation").starts_with("Last: Mode 'round-robin' chose "));

    // A mode that is switched here shows in the rows that follow.
    browser.click(&button("adaptive_sma"));
    browser.wait_for("the mode", "document.getElementById('routing').textContent === 'adaptive_sma'");
    assert_eq!(browser.text("#told"), "The routing mode is adaptive_sma now.");
    let pressed = browser.evaluate(&format!("{}.ariaPressed", button("adaptive_sma")));
    assert_eq!(pressed, "true");
    let more = load(proxy.address, get(), 20, 300);
    browser.wait_for("more requests", &format!("{BARS} === {}", requests + more));
    let newest = "[...document.querySelectorAll('#latest tbody tr')].slice(0, 3)";
    browser.wait_for(
        "rows of the new mode with the score that was chosen",
        &format!("{newest}.every((row) => row.cells[4].textContent === 'adaptive_sma' && row.querySelectorAll('.chosen').length === 1)"),
    );
    assert!(browser.text("#explanation").starts_with("Last: Mode 'adaptive_sma' chose "));

    drains_by_keyboard(&mut browser);
    let batched = batches(&mut browser, proxy.address);
    take_pictures(&mut browser);

    assert_eq!(browser.complaints(), [""; 0]);
    let elsewhere: Vec<_> = browser.requested().into_iter().filter(|url| !url.starts_with(&page)).collect();
    assert!(elsewhere.iter().all(|url| url.starts_with("data:") || *url == "about:blank"), "{elsewhere:?}");
    assert!(browser.requested().contains(&format!("{page}plotly.js").as_str()));

    // The file knows the same.
    let modes: Vec<_> = proxy.stop().rows.into_iter().map(|row| row.mode).collect();
    let of = |name: &str| modes.iter().filter(|mode| *mode == name).count() as u64;
    assert_eq!((of("round-robin"), of("adaptive_sma"), of("fair")), (requests, more, batched));
}

fn drains_by_keyboard(browser: &mut Browser) {
    let first = "document.querySelector('#servers tbody tr')";
    browser.evaluate(&format!("{first}.querySelector('button').focus()"));
    for state in ["draining", "usable"] {
        browser.press("Enter", 13);
        browser.wait_for(state, &format!("{first}.cells[1].textContent === '{state}'"));
    }
    assert!(browser.text("#told").ends_with(" gets requests again."));
    // It is still where the keyboard is.
    assert_eq!(
        browser.evaluate(&format!("document.activeElement === {first}.querySelector('button')")),
        true
    );
}

fn batches(browser: &mut Browser, proxy: SocketAddr) -> u64 {
    browser.click(&button("fair"));
    browser.wait_for("fair", "document.querySelector('#queue dd').textContent === 'fair'");
    let requests = load(proxy, classify("C"), 8, 200);
    browser.wait_for(
        "each request of the customer",
        &format!("document.querySelector('#customers td')?.textContent === '{}'", grouped(requests)),
    );
    assert_eq!(browser.text("#customers tbody th"), "c");
    browser.wait_for("batches by size", "document.getElementById('sizes').data?.length > 0");
    requests
}

/// Opens all tables and looks at the page in two widths and both schemes.
fn take_pictures(browser: &mut Browser) {
    browser.evaluate("window.scrollTo(0, 0)");
    for (width, scheme) in [(1400, "light"), (400, "dark"), (1400, "dark"), (400, "light")] {
        browser.look(width, scheme);
        let ground = if scheme == "dark" { "rgb(25, 33, 42)" } else { "rgb(255, 255, 255)" };
        browser.wait_for(
            "charts as wide as there is room, in the scheme's colours",
            &format!(
                "[...document.querySelectorAll('.chart')].every((chart) => {{
                    const drawn = chart.querySelector('.main-svg');
                    return drawn.style.backgroundColor === '{ground}'
                        && Math.abs(drawn.clientWidth - chart.clientWidth) <= 1;
                }})"
            ),
        );
        // Nothing but tables scrolls sideways.
        browser.wait_for("a page as wide as the window", FITS);
        browser.screenshot(&pictures().join(format!("{width}-{scheme}.png")));
    }
    browser.evaluate("document.querySelectorAll('details').forEach((details) => details.open = true)");
    for table in ["trend", "bars", "sizes"] {
        let rows = format!("document.querySelectorAll('#{table}-table tbody tr').length > 0");
        browser.wait_for(&format!("the numbers of {table}"), &rows);
    }
    assert_eq!(browser.evaluate(FITS), true);
    browser.screenshot(&pictures().join("400-numbers.png"));
}

#[test]
fn a_browser_says_when_it_hears_nothing_and_recovers() {
    let Some(mut browser) = Browser::start() else { return };
    let (mut proxy, admin) = testbed("127.0.0.1:0");
    let address = admin.address.to_string();
    browser.look(1400, "light");
    browser.open(&format!("http://{address}/"));
    browser.wait_for("a feed", &format!("{FEED} === 'live'"));
    assert_eq!(browser.complaints(), [""; 0]);
    for signal in [Signal::KILL, Signal::TERM] {
        proxy.signal(signal);
        browser.wait_for("the banner", "!document.getElementById('lost').hidden");
        assert!(browser.text("#lost").starts_with("Feed lost since "));
        // What is tried now is told to have failed.
        browser.click(&button("adaptive_ewma"));
        browser.wait_for("a failure", "document.getElementById('told').classList.contains('wrong')");
        browser.screenshot(&pictures().join("lost.png"));
        drop(proxy);
        proxy = testbed(&address).0;
        browser
            .wait_for("no banner", &format!("document.getElementById('lost').hidden && {FEED} === 'live'"));
        assert_eq!(browser.text("#routing"), "round-robin");
    }
}

/// A page whose browser gets no events, and a proxy that could not keep up.
const NO_EVENTS: &str = "
    window.EventSource = class {
        static OPEN = 1; static CLOSED = 2; readyState = 2;
        constructor() { setTimeout(() => this.onerror()); }
        close() {}
    };
    const asked = window.fetch;
    window.asks = 0;
    window.fetch = async (...what) => {
        const live = await (await asked(...what)).json();
        live.status.csv = { path: '<b>rows.csv</b>', rows_dropped: 1234 };
        live.status.records_dropped = 5;
        asks += 1;
        return Response.json(live);
    };";

#[test]
fn without_events_it_asks_and_what_was_dropped_is_told() {
    let Some(mut browser) = Browser::start() else { return };
    let (proxy, admin) = testbed("127.0.0.1:0");
    browser.prepare(NO_EVENTS);
    browser.open(&format!("http://{}/", admin.address));
    browser.wait_for("figures without events", &format!("{FEED} === 'polled'"));
    assert_eq!(browser.evaluate("document.getElementById('lost').hidden"), true);
    let requests = load(proxy.address, get(), 5, 100);
    browser.wait_for(
        "newer figures",
        &format!("document.getElementById('requests').textContent === '{}'", grouped(requests)),
    );
    let dropped = browser.text("#dropped");
    assert!(dropped.contains("1,234 rows are missing in <b>rows.csv</b>"), "{dropped}");
    assert!(dropped.contains("5 requests are missing in all figures"), "{dropped}");
    assert_eq!(browser.evaluate("document.getElementById('dropped').hidden"), false);

    // Held still, it hears and shows nothing new.
    browser.click(&button("Pause"));
    browser.wait_for("a pause", "document.getElementById('feed').textContent.startsWith('paused')");
    let more = load(proxy.address, get(), 5, 100);
    admin.wait_for_requests(requests + more);
    browser.evaluate("asks = 0");
    browser.wait_for("newer figures", "asks >= 2");
    assert_eq!(browser.text("#requests"), grouped(requests));
    browser.click(&button("Pause"));
    let all = format!("document.getElementById('requests').textContent === '{}'", grouped(requests + more));
    browser.wait_for("the figures of now", &all);
}

#[test]
fn what_a_browser_has_is_not_sent_again() {
    let (_proxy, mut admin) = testbed("127.0.0.1:0");
    for (path, kind) in [("/", "text/html"), ("/page.css", "text/css"), ("/plotly.js", "text/javascript")] {
        let first = admin.get(path);
        assert_eq!(first.status, 200, "{path}");
        assert!(first.field("Content-Type").is_some_and(|found| found.starts_with(kind)), "{}", first.head);
        let policy = first.field("Content-Security-Policy").expect("a policy");
        assert!(policy.starts_with("default-src 'self';") && !policy.contains("script-src"), "{policy}");
        let tag = first.field("ETag").expect("a tag");
        let known = admin.not_modified(path, tag);
        assert!(known.contains(&format!("Content-Length: {}\r\n", first.body.len())), "{known}");
        assert_eq!(admin.ask("GET", path, "If-None-Match: \"other\"\r\n", "").status, 200);
    }
}
