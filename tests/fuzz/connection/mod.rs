//! The proxy between a client and servers that say anything, in pieces cut anywhere.
//!
//! Here: what must hold of it. The input is a script (`script.rs`), played on a network in memory (`stage.rs`).

mod script;
mod stage;

use tidegate::h1::BodyLength;
use tidegate::h1::persistence::Persistence;
use tidegate::h1::request::{RequestHead, RequestLimits, field_space};

use super::origin_form::origin_form;
use super::strict;
use stage::{Peer, Stage};

/// Plays a script; says what came of it.
pub(crate) fn check(bytes: &[u8]) -> String {
    let played = Stage::play(bytes);
    let clients: Vec<_> =
        played.clients.iter().map(|client| Asked::of(&client.sent, &played.limits)).collect();
    let switched = played
        .clients
        .iter()
        .any(|client| memchr::memmem::find(&client.received, b"HTTP/1.1 101 ").is_some());
    forwarded(&played.backends, &clients, switched);
    let mut outcome = Vec::new();
    for (client, asked) in played.clients.iter().zip(&clients) {
        let statuses = answered(client, asked);
        outcome.extend(statuses.iter().take(4).map(u16::to_string));
        outcome.push(";".to_owned());
    }
    let batches = strict_requests(&played.classifiers, false);
    outcome.push(format!("{} batches", batches.len().min(3)));
    outcome.join(" ")
}

/// What a client has asked for.
#[derive(Default)]
struct Asked {
    /// The whole requests: method, target as it is forwarded, body.
    requests: Vec<Request>,
    /// The one behind them whose body has not come whole, or is malformed.
    begun: Option<Request>,
    /// Behind them, something is malformed, and must be told so.
    bad: bool,
    /// Behind them, part of a request.
    partial: bool,
    /// The method of what comes behind them is HEAD.
    rest_to_head: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Request {
    method: Vec<u8>,
    target: Vec<u8>,
    body: Vec<u8>,
    /// The connection goes on.
    keeps: bool,
    upgrade: bool,
}

impl Asked {
    /// Reads what a client has sent, with the accepted heads as the proxy reads them and the naive models for the rest.
    fn of(mut bytes: &[u8], limits: &RequestLimits) -> Asked {
        let mut asked = Asked::default();
        loop {
            while let Some(rest) = bytes.strip_prefix(b"\r\n") {
                bytes = rest;
            }
            let mut space = field_space();
            let head = match RequestHead::parse_within(limits, bytes, &mut space) {
                Ok(Some(head)) if head.max_forwards().is_err() => {
                    asked.bad = true;
                    return asked;
                }
                Ok(Some(head)) => head,
                Ok(None) => {
                    asked.rest_to_head = bytes.starts_with(b"HEAD ");
                    asked.partial = !bytes.is_empty();
                    return asked;
                }
                Err(_) => {
                    asked.rest_to_head = bytes.trim_ascii_start().starts_with(b"HEAD ");
                    asked.bad = true;
                    return asked;
                }
            };
            let framing = match head.body {
                BodyLength::None | BodyLength::UntilClose => strict::Framing::Nothing,
                BodyLength::Exact(n) => strict::Framing::Length(n),
                BodyLength::Chunked => strict::Framing::Chunked,
            };
            asked.rest_to_head = head.is_head();
            let body = strict::body(framing, head.rest());
            let fits = |body: &strict::Body| body.data.len() as u64 <= limits.body_bytes;
            let whole = body.as_ref().is_ok_and(|body| body.done && fits(body));
            asked.bad = !body.as_ref().is_ok_and(fits);
            asked.partial = !whole && !asked.bad;
            let body = body.unwrap_or_else(|_| well_formed_part(framing, head.rest()));
            let request = Request {
                method: head.method.as_bytes().to_vec(),
                target: origin_form(&head),
                body: body.data,
                keeps: head.persistence == Persistence::KeepAlive,
                upgrade: head.asks_for_websocket(),
            };
            if !whole {
                asked.begun = Some(request);
                return asked;
            }
            asked.requests.push(request);
            asked.rest_to_head = false;
            bytes = &bytes[head.len + body.consumed..];
        }
    }
}

/// What of a malformed body was right.
fn well_formed_part(framing: strict::Framing, bytes: &[u8]) -> strict::Body {
    let (mut right, mut wrong) = (0, bytes.len());
    while wrong - right > 1 {
        let cut = right.midpoint(wrong);
        match strict::body(framing, &bytes[..cut]) {
            Ok(_) => right = cut,
            Err(_) => wrong = cut,
        }
    }
    strict::body(framing, &bytes[..right]).expect("nothing is always right")
}

/// All requests in what servers have got.
fn strict_requests<'a>(peers: &'a [Peer], switched: bool) -> Vec<strict::Message<'a>> {
    let requests = |Peer { received, .. }: &'a Peer| -> Vec<_> {
        strict::requests(received, switched)
            .unwrap_or_else(|e| panic!("{e}: \"{}\"", received.escape_ascii()))
    };
    peers.iter().flat_map(requests).collect()
}

/// What backends get are well-formed requests, and each is one that a client has sent, or its beginning.
fn forwarded(backends: &[Peer], clients: &[Asked], switched: bool) {
    for message in strict_requests(backends, switched) {
        let (method, target) = message.head.request_line(false).expect("read before");
        let strict::Body { data, done, .. } = &message.body;
        let is_that = |request: &Request| request.method == method && request.target == target;
        let whole = |asked: &Asked| asked.requests.iter().any(|r| is_that(r) && r.body == *data);
        let part = |r: &Request| !done && is_that(r) && r.body.starts_with(data);
        let known = |asked: &Asked| whole(asked) || asked.requests.iter().chain(&asked.begun).any(part);
        assert!(
            clients.iter().any(known),
            "nobody has sent {} {} with the body \"{}\"",
            method.escape_ascii(),
            target.escape_ascii(),
            data.escape_ascii()
        );
    }
}

/// What the client has got are well-formed responses, one for each of its requests, until one says that it is the last.
fn answered(client: &Peer, asked: &Asked) -> Vec<u16> {
    let requests = &asked.requests;
    // Behind one after which the proxy closes nothing is read.
    let read = requests.iter().position(|r| !r.keeps).map_or(requests.len(), |last| last + 1);
    let goes_on = read == requests.len() && requests.last().is_none_or(|r| r.keeps);
    let mut to_head: Vec<_> = requests[..read].iter().map(|r| r.method == b"HEAD").collect();
    if goes_on && (asked.bad || asked.partial) {
        to_head.push(asked.rest_to_head);
    }
    let got = strict::responses(&client.received, &to_head)
        .unwrap_or_else(|e| panic!("{e} in \"{}\"", client.received.escape_ascii()));
    let due = read + usize::from(goes_on && asked.bad);
    let ends = client.left || got.closing || requests.iter().any(|r| r.upgrade);
    assert!(
        ends || got.statuses.len() >= due,
        "{} responses to {due} requests: {:?}",
        got.statuses.len(),
        got.statuses
    );
    got.statuses
}
