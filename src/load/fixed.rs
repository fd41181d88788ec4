//! The same request again and again.
//!
//! Here: [`FixedRequest`], the workload of `tidegate load`. Not here: who sends it and when (`generator.rs`). Floor 3.

use super::{RequestId, Sample, Workload};

/// One request for all.
#[derive(Clone, Debug)]
pub struct FixedRequest {
    bytes: Vec<u8>,
    to_head: bool,
}

impl FixedRequest {
    /// The request `method target` to `authority`, with the `fields` in order and the `body` if there is one. All parts must
    /// be fit for a head; a field of the name `Host` takes the place of the authority.
    pub fn new(
        method: &str,
        target: &str,
        authority: &str,
        fields: &[(String, String)],
        body: Option<&[u8]>,
    ) -> FixedRequest {
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head += &format!("Host: {authority}\r\n");
        }
        for (name, value) in fields {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(body) = body {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        head += "\r\n";
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body.unwrap_or_default());
        FixedRequest { bytes, to_head: method == "HEAD" }
    }

    /// The request as it is sent, for people.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl Workload for FixedRequest {
    const KEEPS_BODIES: bool = false;

    fn write(&mut self, _request: RequestId, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(&self.bytes);
        self.to_head
    }

    fn finished(&mut self, _sample: &Sample, _body: &[u8]) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_field_takes_the_place_of_the_authority_and_a_body_is_counted() {
        let plain = FixedRequest::new("GET", "/a?b", "h:1", &[], None);
        assert_eq!(plain.text(), "GET /a?b HTTP/1.1\r\nHost: h:1\r\n\r\n");
        let fields = [("hOst".to_owned(), "v".to_owned()), ("X".to_owned(), "y".to_owned())];
        let post = FixedRequest::new("POST", "/", "h:1", &fields, Some("é".as_bytes()));
        assert_eq!(post.text(), "POST / HTTP/1.1\r\nhOst: v\r\nX: y\r\nContent-Length: 2\r\n\r\né");
        assert!(!post.to_head && FixedRequest::new("HEAD", "/", "h", &[], None).to_head);
    }
}
