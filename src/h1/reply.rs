//! Responses that we ourselves originate.
//!
//! Here: status, a small text body, and why (`X-Tidegate-Reason`). Not here: when they are sent (`proxy/`). Floor 1.

use super::Version;
use super::persistence::Persistence;

/// A response of our own.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The status code.
    pub status: u16,
    /// A word for programs, sent as `X-Tidegate-Reason`.
    pub reason: Option<&'a str>,
    /// A sentence for people; the body is `status phrase: detail`.
    pub detail: &'a str,
    /// Whether the request was HEAD: the body is only described.
    pub to_head: bool,
    /// The client's version.
    pub version: Version,
    /// Whether the client's connection is kept.
    pub persistence: Persistence,
}

impl Reply<'_> {
    /// Appends head and body to `out`.
    pub fn write(&self, date: &str, out: &mut Vec<u8>) {
        let phrase = phrase(self.status);
        let status = self.status.to_string();
        let length = status.len() + 1 + phrase.len() + 2 + self.detail.len() + 1;
        let mut put = |part: &str| out.extend_from_slice(part.as_bytes());
        [
            "HTTP/1.1 ",
            &status,
            " ",
            phrase,
            "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ",
        ]
        .into_iter()
        .for_each(&mut put);
        put(&length.to_string());
        ["\r\nDate: ", date, "\r\n"].into_iter().for_each(&mut put);
        if let Some(reason) = self.reason {
            ["X-Tidegate-Reason: ", reason, "\r\n"].into_iter().for_each(&mut put);
        }
        put(match (self.persistence, self.version) {
            (Persistence::Close, _) => "Connection: close\r\n\r\n",
            (Persistence::KeepAlive, Version::Http10) => "Connection: keep-alive\r\n\r\n",
            (Persistence::KeepAlive, Version::Http11) => "\r\n",
        });
        if !self.to_head {
            [status.as_str(), " ", phrase, ": ", self.detail, "\n"].into_iter().for_each(&mut put);
        }
    }
}

/// The reason phrase of a status that we send (RFC 9110 §15, RFC 6585).
pub const fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        408 => "Request Timeout",
        414 => "URI Too Long",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}

/// The interim response that lets a client send its body (RFC 9110 §15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::BodyLength;
    use crate::h1::request::field_space;
    use crate::h1::response::ResponseHead;

    #[test]
    fn a_reply_is_a_response_of_the_length_it_says() {
        let mut reply = Reply {
            status: 504,
            reason: Some("upstream-timeout"),
            detail: "no answer within 10s",
            to_head: false,
            version: Version::Http11,
            persistence: Persistence::KeepAlive,
        };
        let mut out = Vec::new();
        reply.write("Sun, 06 Nov 1994 08:49:37 GMT", &mut out);
        let mut space = field_space();
        let head = ResponseHead::parse(&out, false, &mut space).unwrap().unwrap();
        let body = &out[head.len..];
        assert_eq!(body, b"504 Gateway Timeout: no answer within 10s\n");
        assert_eq!((head.status, head.body), (504, BodyLength::Exact(body.len() as u64)));
        assert_eq!(head.persistence, Persistence::KeepAlive);
        assert!(head.fields.iter().any(|f| f.name == "X-Tidegate-Reason" && f.value == b"upstream-timeout"));

        (reply.to_head, reply.persistence) = (true, Persistence::Close);
        out.clear();
        reply.write("Sun, 06 Nov 1994 08:49:37 GMT", &mut out);
        let mut space = field_space();
        let head = ResponseHead::parse(&out, true, &mut space).unwrap().unwrap();
        assert_eq!((head.len, head.persistence), (out.len(), Persistence::Close));
    }
}
