//! Requests that are ours to answer, as their heads tell.
//!
//! Here: which they are, and what of their heads matters. Not here: their bodies (`gathering.rs`). Floor 3.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::{Ask, Classify};
use crate::codec::HeadKey;
use crate::h1::persistence::Persistence;
use crate::h1::request::RequestHead;
use crate::h1::request_id::IdField;
use crate::h1::via;
use crate::h1::{BodyLength, Version};
use crate::net::Net;
use crate::proxy::{ClientId, Proxy, Turn};
use crate::record::trace::Trace;

/// The longest patience that a client may state.
const MAX_PATIENCE_MS: u64 = 24 * 3600 * 1000;

/// The longest body of a request that is not to be classified: a strategy's name at most.
const MOST_OTHER_BYTES: usize = 64 * 1024;

/// The longest name of a customer, in bytes: thousands of them are kept.
const MOST_NAME_BYTES: usize = 256;

/// How much of a client's own text an answer repeats, in characters.
const MOST_SHOWN: usize = 64;

/// A request that is ours to answer, as its head tells.
pub(in crate::proxy) struct Intake {
    /// Length of the head.
    pub(in crate::proxy) len: usize,
    pub(super) ask: Ask,
    pub(super) body: BodyLength,
    pub(super) expects_continue: bool,
    pub(super) version: Version,
    pub(super) to_head: bool,
    pub(super) keep: bool,
    pub(super) id: Option<IdField>,
    pub(super) trace: Option<Box<Trace>>,
}

impl Ask {
    /// How long the body may be, if that of a request to be classified may have `most` bytes.
    pub(super) fn most_body(&self, most: usize) -> usize {
        match self {
            Ask::Classify(_) => most,
            Ask::SetStrategy(_) | Ask::GetStrategy | Ask::Docs | Ask::Refused(..) => {
                most.min(MOST_OTHER_BYTES)
            }
        }
    }
}

impl<N: Net> Proxy<N> {
    /// Whether the request is ours to answer; then what it asks for.
    pub(in crate::proxy) fn take_in(
        &mut self,
        turn: &Turn<'_, N>,
        id: ClientId,
        head: &RequestHead<'_, '_>,
    ) -> Option<Box<Intake>> {
        let batching = self.batching.as_ref()?;
        let target = head.target.text()?;
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let ask = match (path, head.method) {
            ("/strategy", "GET" | "HEAD") => Ask::GetStrategy,
            ("/strategy", "POST") => self.ask_for_strategy(id, head, query),
            ("/strategy", _) => Ask::Refused(405, "use GET or POST".to_owned(), "Allow: GET, HEAD, POST\r\n"),
            ("/docs", "GET" | "HEAD") => Ask::Docs,
            ("/docs", _) => Ask::Refused(405, "use GET".to_owned(), "Allow: GET, HEAD\r\n"),
            (_, method) => {
                let shape = batching.options.shapes.find(path)?;
                match (method, patience(head), customer(head)) {
                    ("POST", Ok(patience), Ok(customer)) => Ask::Classify(Classify {
                        head: HeadKey::new(shape, target, head.fields).come_by(&via::others(head)),
                        shape: Arc::clone(shape),
                        customer,
                        patience,
                    }),
                    ("POST", Err(detail), _) => Ask::Refused(400, detail, ""),
                    ("POST", _, Err(detail)) => Ask::Refused(431, detail, ""),
                    _ => Ask::Refused(405, "use POST".to_owned(), "Allow: POST\r\n"),
                }
            }
        };
        self.tracer.identify(head);
        let trace = self.clients.get(id).filter(|_| self.tracer.is_on());
        let trace = trace.map(|client| Box::new(*self.tracer.head_read(id, client, head, turn.now())));
        let keep = head.persistence == Persistence::KeepAlive && self.serves_another(id, turn.now());
        Some(Box::new(Intake {
            id: self.tracer.id(),
            trace,
            len: head.len,
            ask,
            body: head.body,
            expects_continue: head.expects_continue(),
            version: head.version,
            to_head: head.is_head(),
            keep,
        }))
    }
}

/// The contract: any case, trimmed and lower-cased; absent or empty is `default`. The limit is on the name as it is kept:
/// what is no UTF-8 grows when it is replaced.
fn customer(head: &RequestHead<'_, '_>) -> Result<Cow<'static, str>, String> {
    let field = head.fields.iter().find(|f| f.name.eq_ignore_ascii_case("x-customer-id"));
    let name = field.map(|f| String::from_utf8_lossy(f.value).trim().to_lowercase()).unwrap_or_default();
    match name.len() {
        0 => Ok(Cow::Borrowed("default")),
        1..=MOST_NAME_BYTES => Ok(Cow::Owned(name)),
        n => Err(format!("the name in X-Customer-Id has {n} bytes, more than {MOST_NAME_BYTES}")),
    }
}

/// `X-Request-Timeout-Ms`.
fn patience(head: &RequestHead<'_, '_>) -> Result<Option<Duration>, String> {
    let Some(field) = head.fields.iter().find(|f| f.name.eq_ignore_ascii_case("x-request-timeout-ms")) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(field.value);
    match text.parse() {
        Ok(ms @ 1..=MAX_PATIENCE_MS) => Ok(Some(Duration::from_millis(ms))),
        _ => Err(format!(
            "X-Request-Timeout-Ms: `{}` is not a whole number of milliseconds from 1 to {MAX_PATIENCE_MS}",
            excerpt(&text)
        )),
    }
}

/// The beginning of a client's text, as an answer may repeat it.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(MOST_SHOWN).collect::<String>().escape_default().to_string()
}
