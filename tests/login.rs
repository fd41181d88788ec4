//! The promise: a connection to a backend on which somebody has logged in belongs to that client (NTLM, Negotiate).

mod support;

use std::time::Duration;

use support::admin::administered;
use support::{Client, Origin, Proxy, Response};

const CHALLENGE: &str = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n";

/// A server that knows who a connection is by what was said on it, as those with NTLM do.
fn knows_by_connection() -> Origin {
    Origin::start(|conn| {
        let (mut user, mut is_asked) = (None, false);
        while let Some(request) = conn.read_request() {
            let said = request.field("Authorization").map(str::to_owned);
            let login =
                said.as_deref().and_then(|said| said.split_once(' ')).map(|(_, token)| token.to_owned());
            match login.as_deref() {
                Some("hello") => is_asked = true,
                Some(name) if is_asked => user = Some(name.to_owned()),
                _ => {}
            }
            let answer = match &user {
                Some(user) => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{user}", user.len()),
                None => CHALLENGE.to_owned(),
            };
            if !conn.send(answer) {
                return;
            }
        }
    })
}

fn get(client: &mut Client, scheme: &str, token: &str) -> Response {
    client.send(format!("GET / HTTP/1.1\r\nHost: t\r\nAuthorization: {scheme} {token}\r\n\r\n"));
    client.response()
}

fn log_in(client: &mut Client, name: &str) {
    assert_eq!(client.get("/").status, 401);
    assert_eq!(get(client, "NTLM", "hello").status, 401);
    assert_eq!(get(client, "NTLM", name).text(), name);
}

#[test]
fn nobody_gets_the_page_of_another() {
    let origins = [knows_by_connection(), knows_by_connection()];
    let urls = origins.each_ref().map(Origin::url);
    for options in [&[][..], &["--reuse=safe"], &["--reuse=never"], &["--routing=adaptive", "--hedge=auto"]] {
        let (proxy, admin) = administered(&urls.each_ref().map(String::as_str), options);
        let [mut alice, mut bob] = [0; 2].map(|_| Client::connect(proxy.address));
        log_in(&mut alice, "alice");
        for _ in 0..4 {
            // Without a word of who she is: it is all on her connection, to the one of two backends where she is known.
            assert_eq!(alice.get("/").text(), "alice", "{options:?}");
            assert_eq!(bob.get("/").status, 401, "{options:?}");
        }
        log_in(&mut bob, "bob");
        assert_eq!((alice.get("/").text().as_str(), bob.get("/").text().as_str()), ("alice", "bob"));
        drop((alice, bob));
        admin.wait_for("their connections go with them", |live| live["status"]["pool"]["open"] == 0);
    }
}

#[test]
fn credentials_make_a_connection_their_clients_and_are_sent_once_and_on_a_new_one() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut others = Client::connect(proxy.address);
    assert_eq!((others.get("/").status, origin.next().connection), (200, 0));
    for (n, field) in (1..).zip([
        "Authorization: Negotiate YII",
        "AUTHORIZATION: negotiate YII",
        "authorization: NTLM TlRM",
        "Proxy-Authorization: NTLM TlRM",
    ]) {
        let mut client = Client::connect(proxy.address);
        client.send(format!("GET / HTTP/1.1\r\nHost: t\r\n{field}\r\n\r\n"));
        assert_eq!((client.response().status, origin.next().connection), (200, n), "{field}");
        // A large upload too: it would else go on a connection of its own.
        let body = "x".repeat(20_000);
        client.send(format!("PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        assert_eq!((client.response().status, origin.next().connection), (200, n), "{field}");
        assert_eq!((others.get("/").status, origin.next().connection), (200, 0), "{field}");
    }
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: t\r\nAuthorization: Basic YTpi\r\n\r\n");
    assert_eq!(
        (client.response().status, origin.next().connection),
        (200, 0),
        "those hold for the request alone"
    );
}

#[test]
fn an_offer_among_others_makes_a_connection_its_clients() {
    for (status, fields) in [
        (401, "WWW-Authenticate: Basic realm=\"x\", Negotiate"),
        (401, "WWW-Authenticate: Basic realm=\"x\"\r\nwww-authenticate: ntlm"),
        (407, "Proxy-Authenticate: NTLM"),
    ] {
        let origin =
            Origin::answering(format!("HTTP/1.1 {status} No\r\n{fields}\r\nContent-Length: 0\r\n\r\n"));
        let proxy = Proxy::start(&[&origin.url()], &[]);
        let mut clients = [0; 2].map(|_| Client::connect(proxy.address));
        let used = [0, 1, 1, 0].map(|n: usize| {
            assert_eq!(clients[n].get("/").status, status);
            origin.next().connection
        });
        assert_eq!(used, [0, 1, 1, 0], "{fields}");
    }
}

/// On a connection that was closed just then, the server would take credentials for something else.
#[test]
fn credentials_are_not_sent_again_and_what_comes_after_them_is() {
    let origin = Origin::start(|conn| {
        conn.read_request();
        conn.send(CHALLENGE);
        conn.read_request();
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/").status, 401);
    assert_eq!(get(&mut client, "NTLM", "hello").status, 502);
    assert_eq!(origin.requests().len(), 2, "once");
    assert_eq!(client.get("/").status, 401);
    assert_eq!(client.get("/").status, 401, "on a new connection, where it is asked to log in");
    assert_eq!(origin.requests().len(), 5);
}

#[test]
fn a_backend_that_is_drained_sees_no_more_of_it() {
    let origins = [knows_by_connection(), knows_by_connection()];
    let urls = origins.each_ref().map(Origin::url);
    let (proxy, mut admin) = administered(&urls.each_ref().map(String::as_str), &[]);
    let mut alice = Client::connect(proxy.address);
    log_in(&mut alice, "alice");
    let there = usize::from(!origins[1].requests().is_empty());
    let name = urls[there].strip_prefix("http://").expect("a URL");
    assert_eq!(admin.post(&format!("/api/v1/backends/{name}/drain")).status, 200);
    assert_eq!(alice.get("/").status, 401, "the other one does not know her");
    assert_eq!(origins[1 - there].requests().len(), 1);
}

#[test]
fn a_login_is_not_hedged() {
    let answers = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    let origins = [0; 2].map(|_| {
        Origin::start(move |conn| {
            while let Some(request) = conn.read_request() {
                if request.field("Authorization").is_some() {
                    conn.quiet(Duration::from_millis(50));
                }
                conn.send(answers);
            }
        })
    });
    let urls = origins.each_ref().map(Origin::url);
    let options = ["--routing=adaptive", "--hedge=auto", "--hedge-budget=100%"];
    let (proxy, admin) = administered(&urls.each_ref().map(String::as_str), &options);
    let mut client = Client::connect(proxy.address);
    (0..200).for_each(|_| assert_eq!(client.get("/").status, 200));
    admin.wait_for_requests(200);
    for _ in 0..20 {
        let mut user = Client::connect(proxy.address);
        assert_eq!(get(&mut user, "NTLM", "x").status, 200);
    }
    let came =
        |origin: &Origin| origin.requests().iter().filter(|r| r.field("Authorization").is_some()).count();
    assert_eq!(came(&origins[0]) + came(&origins[1]), 20);
}
