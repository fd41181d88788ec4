//! What a request asks for, as far as its head says.
//!
//! Here: host, method, path, origin and media types, judged in this order. Not here: what is served (`route.rs`), the body
//! (`control.rs`). Floor 3.

use std::net::SocketAddr;

use super::guard;
use super::metrics::Format;
use super::problem::Problem;
use super::route::{Call, route};
use crate::h1::request::RequestHead;

/// A request that may be served.
#[derive(Debug)]
pub struct Asked {
    pub(super) call: Call,
    /// Whether the asker has this part of the page already.
    pub(super) known: bool,
}

impl Asked {
    /// What the listener at `admin` is asked.
    ///
    /// # Errors
    /// Why it does not answer.
    pub(super) fn read(head: &RequestHead<'_, '_>, admin: SocketAddr) -> Result<Asked, Problem> {
        guard::check_host(head, admin)?;
        let target = head.target.text().unwrap_or_default();
        let path = target.split('?').next().unwrap_or(target);
        let format = Format::accepted(head.fields.iter().filter(|f| f.name.eq_ignore_ascii_case("accept")));
        let call = route(head.method, if path.is_empty() { "/" } else { path }, format)?;
        guard::check_origin(head)?;
        if call.wants_body() && !is_json(head.field("content-type").unwrap_or_default()) {
            let detail = "send JSON, with Content-Type: application/json";
            return Err(Problem::new(415, detail).with("Accept", "application/json"));
        }
        let known = match call {
            Call::Load(file) => head.field("if-none-match").is_some_and(|tags| file.is_known(tags)),
            Call::Show(_) | Call::Steer(_) => false,
        };
        Ok(Asked { call, known })
    }
}

fn is_json(content_type: &[u8]) -> bool {
    let essence = content_type.split(|&b| b == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
}
