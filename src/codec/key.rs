//! What the requests of a batch have in common.
//!
//! Here: [`BatchKey`], made of a head and then of a body. It is compared byte by byte: requests that mean the same
//! but say it differently (`1` and `1.0`) travel apart, and never are unlike ones mixed. It holds what the batch's
//! own request says once for all. Not here: which headers are chosen (`shape.rs`). Floor 1.

use super::Shape;

/// The head's share of a [`BatchKey`]: all of it until the body has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadKey(BatchKey);

/// What two requests must have in common to share a batch: target, chosen headers, members beside the array.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchKey {
    /// The target, CR LF, the header lines, the members. No target or value contains CR LF, and no header's name
    /// begins with a quote, so that equal bytes are equal parts.
    bytes: Vec<u8>,
    /// Length of the target.
    target: usize,
    /// Where the members begin.
    members: usize,
}

impl HeadKey {
    /// The key of a request for `target` (path and query, as the client sent it) with these header fields, as far
    /// as `shape` tells them apart.
    pub fn new(shape: &Shape, target: &str, fields: &[httparse::Header<'_>]) -> HeadKey {
        let mut bytes = Vec::with_capacity(target.len() + 2);
        bytes.extend_from_slice(target.as_bytes());
        bytes.extend_from_slice(b"\r\n");
        for name in shape.headers() {
            for field in fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name)) {
                for part in [name.as_bytes(), b": ", field.value, b"\r\n"] {
                    bytes.extend_from_slice(part);
                }
            }
        }
        HeadKey(BatchKey { target: target.len(), members: bytes.len(), bytes })
    }

    /// The same of a request that came by way of others of our kind, as the value of their `Via`; of none if that is empty.
    /// What came by other ways travels apart, so that a batch can say which.
    pub fn come_by(mut self, via: &[u8]) -> HeadKey {
        if !via.is_empty() {
            let key = &mut self.0;
            [&b"Via: "[..], via, b"\r\n"].iter().for_each(|part| key.bytes.extend_from_slice(part));
            key.members = key.bytes.len();
        }
        self
    }

    pub(super) fn with_members(self, write: impl FnOnce(&mut Vec<u8>)) -> BatchKey {
        let mut key = self.0;
        write(&mut key.bytes);
        key
    }
}

impl BatchKey {
    /// How much memory it takes.
    pub fn bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Path and query as the client sent them; [`Shape::upstream_target`] says where they lead.
    pub fn target(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.target]).expect("a target came as text")
    }

    /// The chosen headers as lines of a head, each with its CR LF; in the shape's order, then in that of the request; and
    /// last, if it came by way of others of our kind, `Via`.
    pub fn header_lines(&self) -> &[u8] {
        &self.bytes[self.target + 2..self.members]
    }

    /// The members beside the array, by name, each `"name":value,`; names and values as the client wrote them.
    pub fn members(&self) -> &[u8] {
        &self.bytes[self.members..]
    }
}
