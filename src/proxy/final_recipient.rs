//! Requests that may go no further (RFC 9110 §7.6.2).
//!
//! Here: the answers to OPTIONS and TRACE with `Max-Forwards: 0`, of which we are the final recipient. Not here: reading and
//! lowering the number (`h1/`). Floor 3.

use super::client::After;
use super::{ClientId, Proxy, Turn};
use crate::h1::BodyLength;
use crate::h1::persistence::Persistence;
use crate::h1::reply::Content;
use crate::h1::request::RequestHead;
use crate::net::Net;

/// What is forwarded; CONNECT alone is not.
const ALLOW: &str = "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE\r\n";

/// What the names of fields contain that TRACE does not show, so that no script reads with it what it may not
/// (RFC 9110 §9.3.8).
const SECRET: [&str; 9] =
    ["auth", "cookie", "credential", "key", "password", "secret", "session", "signature", "token"];

impl<N: Net> Proxy<N> {
    /// Answers a request that may go no further. Returns how many bytes from the beginning of its head are done with; none
    /// if it may be forwarded.
    #[cold]
    #[inline(never)]
    pub(super) fn answer_as_recipient(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ClientId,
        head: &RequestHead<'_, '_>,
    ) -> Option<usize> {
        let whole = head.len + head.rest().len();
        match head.max_forwards() {
            Ok(Some(0)) => {}
            Ok(_) => return None,
            Err(violation) => {
                self.refuse(turn, id, violation, false);
                return Some(whole);
            }
        }
        let now = turn.now();
        let keep = head.body == BodyLength::None
            && head.persistence == Persistence::KeepAlive
            && self.serves_another(id, now);
        self.tracer.identify(head);
        let request_id = self.tracer.id();
        let mut fields = self.tracer.reply_lines(request_id.as_ref(), None, None, now);
        let (content_type, body) = match head.method {
            "TRACE" => ("message/http", reflected(head)),
            _ => {
                fields += ALLOW;
                ("text/plain; charset=utf-8", Vec::new())
            }
        };
        let persistence = if keep { Persistence::KeepAlive } else { Persistence::Close };
        let (body, fields, version) = (&body[..], &fields[..], head.version);
        let content =
            Content { status: 200, content_type, body, fields, to_head: false, version, persistence };
        let wall = turn.net.wall(now);
        self.head.clear();
        content.write(self.date.at(wall), &mut self.head);
        self.send_reply(turn, id, if keep { After::KeepAlive } else { After::Linger });
        Some(if keep { head.len } else { whole })
    }
}

/// The request as it came, without what must not be shown.
fn reflected(head: &RequestHead<'_, '_>) -> Vec<u8> {
    let is_secret = |name: &str| {
        let name = name.to_ascii_lowercase();
        SECRET.iter().any(|part| name.contains(part))
    };
    let mut out = [head.first_line(), b"\r\n"].concat();
    for field in head.fields.iter().filter(|field| !is_secret(field.name)) {
        for part in [field.name.as_bytes(), b": ", field.value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}
