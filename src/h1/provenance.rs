//! What a request head tells of the way it came.
//!
//! Here: whether an intermediary passed it on, whether a page of another origin has sent it. Not here: what is refused for
//! that (`admin/guard.rs`, `proxy/batching/control.rs`). Floor 1.

use super::request::RequestHead;

/// How names of fields begin that intermediaries add: whom they speak for, and what they were asked.
const BEGINNINGS: [&[u8]; 7] =
    [b"x-forwarded", b"forwarded", b"x-original-", b"x-envoy-", b"x-proxy", b"x-arr-", b"cdn-loop"];

/// How names end that say at whose address the way began.
const ENDS: [&[u8]; 4] = [b"-ip", b"clientip", b"-addr", b"remote-address"];

impl RequestHead<'_, '_> {
    /// Whether a proxy, a cache or the like has passed it on: it carries `Via` (RFC 9110 §7.6.3), `Forwarded` (RFC 7239) or
    /// one of the private fields in their place, such as `X-Forwarded-For`, `X-Real-IP` and `X-Original-URI`. An
    /// underscore is as good as a hyphen, as many servers see it.
    pub fn was_forwarded(&self) -> bool {
        self.fields.iter().any(|field| is_forwarding(field.name))
    }

    /// Whether a page that came from elsewhere has sent it, as its browser tells (RFC 6454 §7.3, W3C Fetch Metadata). A link
    /// to here that somebody follows is no such thing.
    pub fn is_of_another_origin(&self) -> bool {
        let origin = self.field("origin").map(|origin| origin.strip_prefix(b"http://").unwrap_or(origin));
        let named = origin.is_some_and(|origin| Some(origin) != self.authority());
        let elsewhere = matches!(self.field("sec-fetch-site"), Some(b"cross-site" | b"same-site"))
            && !self.is_followed_link();
        named || elsewhere
    }

    fn is_followed_link(&self) -> bool {
        self.method == "GET"
            && self.field("sec-fetch-mode") == Some(b"navigate")
            && self.field("sec-fetch-dest") == Some(b"document")
    }
}

fn is_forwarding(name: &str) -> bool {
    let name: Vec<u8> = name.bytes().map(|b| if b == b'_' { b'-' } else { b.to_ascii_lowercase() }).collect();
    name == b"via"
        || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        || ENDS.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::super::request::field_space;
    use super::*;

    /// Whether a head with these fields was forwarded, and whether it is of another origin.
    fn told(method: &str, fields: &[&str]) -> (bool, bool) {
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let bytes = format!("{method} / HTTP/1.1\r\nHost: h:1\r\n{fields}\r\n").into_bytes();
        let mut space = field_space();
        let head = RequestHead::parse(&bytes, &mut space).expect("a head").expect("a whole one");
        (head.was_forwarded(), head.is_of_another_origin())
    }

    #[test]
    fn intermediaries_are_known_by_their_fields() {
        for field in [
            "Via: 1.1 x",
            "Forwarded: for=1.2.3.4",
            "X-Forwarded-For: 1.2.3.4",
            "x_forwarded_for: 1.2.3.4",
            "X-FORWARDED-PROTO: https",
            "X-Forwarded: x",
            "Forwarded-For: x",
            "X-Real-IP: 1.2.3.4",
            "x_real_ip: 1.2.3.4",
            "True-Client-IP: x",
            "Client-IP: x",
            "CF-Connecting-IP: x",
            "X-Azure-ClientIP: x",
            "X-Remote-Addr: x",
            "X-Original-URI: /",
            "X-Envoy-External-Address: x",
            "X-ProxyUser-Ip: x",
            "CDN-Loop: x",
        ] {
            assert!(told("POST", &[field]).0, "{field}");
        }
        for field in ["Accept: x", "X-Request-Id: via", "Vianna: x", "Content-Type: x", "X-Trip: x"] {
            assert!(!told("POST", &[field]).0, "{field}");
        }
    }

    #[test]
    fn a_page_of_another_origin_is_known_by_what_its_browser_says() {
        for fields in [
            &["Origin: http://evil"][..],
            &["Origin: null"],
            &["Origin: https://h:1"],
            &["Sec-Fetch-Site: cross-site"],
            &["Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"],
            &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"],
        ] {
            assert!(told("GET", fields).1, "{fields:?}");
        }
        for fields in [
            &[][..],
            &["Origin: http://h:1"],
            &["Sec-Fetch-Site: same-origin"],
            &["Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"],
            &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"],
        ] {
            assert!(!told("GET", fields).1, "{fields:?}");
        }
        let form = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"];
        assert!(told("POST", &form).1);
    }
}
