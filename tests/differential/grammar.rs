//! Request heads as attackers, old clients and odd libraries write them: made from a grammar, some then damaged.
//!
//! Equal seed and serial give equal heads.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

const METHODS: [&str; 14] = [
    "GET",
    "GET",
    "GET",
    "POST",
    "PUT",
    "HEAD",
    "OPTIONS",
    "OPTIONS",
    "TRACE",
    "DELETE",
    "get",
    "M-SEARCH",
    "X!#$%&'*+.^_`|~",
    "CONNECT",
];

const TARGETS: [&str; 30] = [
    "/",
    "/",
    "/a/b?c=d&e",
    "/%2e%2e/%00",
    "//double",
    "/a;b=c,d",
    "/\"<>\\^`{|}",
    "/caf\u{e9}",
    "/a#fragment",
    "*",
    "/*",
    "?q",
    "a",
    "http://h/x",
    "http://h",
    "http://h?q",
    "HTTP://H:80/y?z",
    "http://[::1]:8080/",
    "http://u@h/",
    "http:///x",
    "http://h:x/",
    "https://h/",
    "HTTPS://h?q",
    "/\u{a0}\u{ad}",
    "h:80",
    "/a b",
    "/\t",
    "",
    "http://h/\u{e9}",
    "/very/long/",
];

const VERSIONS: [&str; 18] = [
    "HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/1.0",
    "HTTP/2.0",
    "HTTP/1.2",
    "HTTP/1.9",
    "HTTP/1.10",
    "HTTP/11.1",
    "HTTP/1",
    "http/1.1",
    "HTTP/1.1 ",
    "HTTP/01.1",
    "",
];

const NAMES: [&str; 29] = [
    "Host",
    "Content-Length",
    "Content-Length",
    "Transfer-Encoding",
    "Transfer-Encoding",
    "Connection",
    "Connection",
    "Upgrade",
    "Expect",
    "TE",
    "Trailer",
    "Keep-Alive",
    "Proxy-Connection",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-For",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Request-Id",
    "Cookie",
    "Authorization",
    "Accept",
    "Max-Forwards",
    "X-A",
    "X_A",
    "Content_Length",
    "Content-Type",
    "!#$%&'*+-.^_`|~",
];

const LENGTHS: [&str; 23] = [
    "0",
    "5",
    "5",
    "5",
    "12",
    "007",
    "05",
    "010",
    "00000000000000000000000000000005",
    "+5",
    "-5",
    "5,5",
    "5, 5",
    "0x5",
    "5 5",
    "",
    "1e3",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999",
    "5;",
    "\u{665}",
    "5\t",
];

const CODINGS: [&str; 22] = [
    "chunked",
    "chunked",
    "chunked",
    "Chunked",
    "CHUNKED",
    "gzip, chunked",
    "chunked, chunked",
    "chunked, gzip",
    "identity",
    "xchunked",
    "chunked;q=1",
    "\"chunked\"",
    ",chunked",
    "chunked,",
    "chunked ,",
    "chunk",
    "",
    "\u{b}chunked",
    "chunked\u{b}",
    "identity, chunked",
    "chunked\t",
    "cow",
];

const CONNECTIONS: [&str; 18] = [
    "close",
    "keep-alive",
    "Close, Upgrade",
    "upgrade",
    "Upgrade",
    "keep-alive, Upgrade",
    "content-length",
    "transfer-encoding",
    "host",
    "x-a",
    "X-A, cookie",
    "via, x-forwarded-for",
    "x-request-id",
    "expect",
    ",,",
    "",
    "close close",
    "content-length, host, transfer-encoding, connection",
];

const VALUES: [&str; 18] = [
    "v",
    "",
    "a, b",
    "\"quoted, \\\" text\"",
    "websocket",
    "WebSocket, h2c",
    "100-continue",
    "100-Continue, x",
    "trailers",
    "1.1 other",
    "10.0.0.1",
    "caf\u{e9}",
    "a\tb",
    "a  b",
    "h",
    "GET / HTTP/1.1",
    "a: b",
    "0",
];

const HOSTS: [&str; 16] = [
    "h",
    "h",
    "h",
    "h:80",
    "example.com",
    "[::1]:80",
    "",
    "u@h",
    "h/x",
    "h:x",
    "a b",
    "h,h",
    "h?",
    "h#",
    "\u{e9}",
    "%41",
];

/// The head `serial` of the series `seed`, and sometimes something behind it.
pub(crate) fn head(seed: u64, serial: u64) -> Vec<u8> {
    let mut make = Maker(Pcg64::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ serial));
    let Made(mut out) = make.head();
    if make.one_in(8) {
        make.damage(&mut out);
    }
    out
}

struct Made(Vec<u8>);

impl Made {
    fn put(&mut self, text: &str) {
        // Characters above 127 as single bytes, which no reader takes for UTF-8.
        self.0.extend(text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(0xd9)));
    }
}

struct Maker(Pcg64);

impl Maker {
    fn below(&mut self, n: usize) -> usize {
        self.0.random_range(0..n)
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    /// Mostly one that all readers take.
    fn mostly<'a>(&mut self, plain: &'a str, choices: &[&'a str]) -> &'a str {
        if self.one_in(9) { self.of(choices) } else { plain }
    }

    fn head(&mut self) -> Made {
        let mut out = Made(Vec::new());
        if self.one_in(30) {
            out.put(self.of(&["\r\n", "\n", "\r\n\r\n", " ", "\r"]));
        }
        let (method, target) = (self.mostly("GET", &METHODS), self.mostly("/t", &TARGETS));
        let version = self.mostly("HTTP/1.1", &VERSIONS);
        out.put(method);
        out.put(self.space());
        out.put(target);
        out.put(self.space());
        out.put(version);
        self.end_line(&mut out);
        let host_at = self.below(3);
        let fields = self.below(6);
        for i in 0..=fields.max(host_at) {
            if i == host_at && !self.one_in(20) {
                let host = self.mostly("h", &HOSTS);
                self.field("Host", host, &mut out);
            }
            if i < fields {
                let name = self.of(&NAMES);
                let value = self.value(name);
                self.field(name, value, &mut out);
            }
        }
        self.end_line(&mut out);
        if self.one_in(4) {
            out.put(self.of(&[
                "hello",
                "0\r\n\r\n",
                "5\r\nhello\r\n0\r\n\r\n",
                "GET /next HTTP/1.1\r\nHost: h\r\n\r\n",
            ]));
        }
        out
    }

    fn value(&mut self, name: &str) -> &'static str {
        match name {
            "Content-Length" | "Content_Length" => self.mostly("5", &LENGTHS),
            "Transfer-Encoding" => self.mostly("chunked", &CODINGS),
            "Connection" | "Proxy-Connection" => self.of(&CONNECTIONS),
            "Host" => self.of(&HOSTS),
            "Upgrade" => self.mostly("websocket", &VALUES),
            "Max-Forwards" => self.mostly("10", &LENGTHS),
            "Expect" => self.mostly("100-continue", &VALUES),
            _ => self.of(&VALUES),
        }
    }

    fn field(&mut self, name: &str, value: &str, out: &mut Made) {
        if self.one_in(200) {
            out.put(self.of(&[" ", "\t", "\0", ":"]));
        }
        match self.below(8) {
            0 => out.put(&name.to_ascii_lowercase()),
            1 => out.put(&name.to_ascii_uppercase()),
            _ => out.put(name),
        }
        out.put(if self.one_in(150) { self.of(&[" :", "\t:", "", "::", "\u{b}:"]) } else { ":" });
        out.put(if self.one_in(4) { self.of(&["", "  ", "\t", " \t ", "\r\n ", "\u{b}"]) } else { " " });
        out.put(value);
        out.put(if self.one_in(20) {
            self.of(&[" ", "\t", " \t", "\0", "\u{7f}", "\u{a0}", "\u{85}"])
        } else {
            ""
        });
        self.end_line(out);
    }

    fn space(&mut self) -> &'static str {
        if self.one_in(200) { self.of(&["  ", "\t", "", "\u{b}", "\u{a0}", "\r"]) } else { " " }
    }

    fn end_line(&mut self, out: &mut Made) {
        out.put(if self.one_in(250) {
            self.of(&["\n", "\r", "\r\r\n", "\n\r", "\r\n ", " \r\n"])
        } else {
            "\r\n"
        });
    }

    /// Changes a few bytes.
    fn damage(&mut self, out: &mut Vec<u8>) {
        for _ in 0..=self.below(2) {
            let at = self.below(out.len());
            match self.below(5) {
                0 => out[at] ^= 1 << self.below(8),
                1 => out[at] = self.0.random(),
                2 => drop(out.remove(at)),
                3 => out.insert(at, b"\r\n\0 \t:,;\x7f\xa0"[self.below(10)]),
                _ => {
                    let end = (at + self.below(12)).min(out.len());
                    let piece = out[at..end].to_vec();
                    out.splice(at..at, piece);
                }
            }
        }
    }
}
