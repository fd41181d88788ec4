//! A head as it is forwarded (RFC 9110 §7.6).
//!
//! Here: hop-by-hop fields out, `Via`, `X-Forwarded-*`, `Host`, `Date`, `Connection` and what we were given in. What stays is copied in
//! runs of whole lines, as it came: the parser has made sure that they are well-formed. Not here: heads that cannot be copied so
//! (`rewrite/anew.rs`), heads of our own (`reply.rs`). Floor 1.

mod anew;

use std::ops::Range;

use super::coding::Coding;
use super::fields::{FieldSet, named};
use super::persistence::Persistence;
use super::request::RequestHead;
use super::response::{ResponseHead, UPGRADE_REQUIRED};
use super::via::Via;
use super::{BodyLength, Version, offset};

/// What the forwarded request needs beside the request itself.
#[derive(Clone, Copy, Debug)]
pub struct RequestContext<'a> {
    /// The client's address, without port.
    pub client: &'a [u8],
    /// The backend's `host:port`, for a request without `Host`.
    pub authority: &'a str,
    /// Whether the upstream connection ends with this exchange.
    pub close: bool,
    /// What we call ourselves.
    pub via: &'a Via,
    /// The line that takes the place of these fields, every `X-Request-Id`; without one they stay as they came.
    pub request_id: Option<(FieldSet, &'a [u8])>,
}

/// Appends the request head to be sent upstream to `out`.
#[inline]
pub fn request(head: &RequestHead<'_, '_>, context: &RequestContext<'_>, out: &mut Vec<u8>) {
    match head.scan.anew {
        false => write_request::<false>(head, context, out),
        true => anew::request(head, context, out),
    }
}

/// The same for heads of which something is written `ANEW`, and for all others.
#[inline(always)]
fn write_request<const ANEW: bool>(
    head: &RequestHead<'_, '_>,
    context: &RequestContext<'_>,
    out: &mut Vec<u8>,
) {
    let scan = &head.scan;
    let value = |position: Option<u8>| position.map(|i| head.fields[usize::from(i)].value);
    let mut skipped = scan.dropped;
    skip(&mut skipped, scan.via);
    skip(&mut skipped, scan.forwarded_for);
    if head.version == Version::Http10 && scan.expect {
        // An HTTP/1.0 client cannot wait for a 100 (RFC 9110 §10.1.1).
        skipped = skipped.union(head.expectations());
    }
    if let Some((replaced, _)) = context.request_id {
        skipped = skipped.union(replaced);
    }
    let from = request_line::<ANEW>(head, out);
    let host = match head.target.authority() {
        None => value(scan.host),
        Some(authority) => {
            skip(&mut skipped, scan.host);
            put(out, &[b"Host: ", authority.as_bytes(), b"\r\n"]);
            Some(authority.as_bytes())
        }
    };
    if host.is_none() {
        put(out, &[b"Host: ", context.authority.as_bytes(), b"\r\n"]);
    }
    if ANEW {
        anew::request_fields(head, context.via, skipped, out);
    } else {
        copy_fields(head.bytes, from, head.len - 2, head.fields, skipped, out);
        // Our element of `Via` is the received version and a pseudonym (RFC 9110 §7.6.3).
        put_via(value(scan.via), context.via.lines(head.version), out);
        if let Some(received) = value(scan.forwarded_for).filter(|received| !received.is_empty()) {
            put(out, &[received, b", "]);
        }
    }
    out.extend_from_slice(context.client);
    match host {
        Some(host) => {
            out.extend_from_slice(b"\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: ");
            out.extend_from_slice(host);
            out.extend_from_slice(b"\r\n");
        }
        None => out.extend_from_slice(b"\r\nX-Forwarded-Proto: http\r\n"),
    }
    if let Some((_, line)) = context.request_id {
        out.extend_from_slice(line);
    }
    match (context.close, head.asks_for_websocket()) {
        (false, false) => out.extend_from_slice(b"\r\n"),
        (true, false) => out.extend_from_slice(b"Connection: close\r\n\r\n"),
        (false, true) => out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
        (true, true) => out.extend_from_slice(b"Connection: close, Upgrade\r\nUpgrade: websocket\r\n\r\n"),
    }
}

/// Appends the last `Via` that was received with our element, and the name of the next field.
#[inline(always)]
fn put_via(received: Option<&[u8]>, lines: &[u8; 53], out: &mut Vec<u8>) {
    match received.filter(|received| !received.is_empty()) {
        None => out.extend_from_slice(lines),
        Some(received) => put(out, &[b"Via: ", received, b", ", &lines[b"Via: ".len()..]]),
    }
}

fn skip(skipped: &mut FieldSet, position: Option<u8>) {
    if let Some(position) = position {
        skipped.insert(usize::from(position));
    }
}

/// Writes the request line if it must change; returns from where the head can be copied as it came.
#[inline]
fn request_line<const ANEW: bool>(head: &RequestHead<'_, '_>, out: &mut Vec<u8>) -> usize {
    match head.target.authority() {
        None if head.version == Version::Http11 && !ANEW => head.start,
        _ => changed_request_line(head, out),
    }
}

fn changed_request_line(head: &RequestHead<'_, '_>, out: &mut Vec<u8>) -> usize {
    let target = match head.target.path() {
        // RFC 9112 §3.2.4: OPTIONS for a server as a whole.
        b"" if head.method == "OPTIONS" => b"*",
        path => path,
    };
    put(out, &[head.method.as_bytes(), b" "]);
    if !target.starts_with(b"/") && target != b"*" {
        out.push(b'/');
    }
    put(out, &[target, b" HTTP/1.1\r\n"]);
    fields_start(head.bytes, head.len, head.fields)
}

/// What the forwarded response needs beside the response itself.
#[derive(Clone, Copy, Debug)]
pub struct ResponseContext<'a> {
    /// The client's version.
    pub version: Version,
    /// How the body is written to the client.
    pub coding: Coding,
    /// Whether the client's connection is kept after this exchange.
    pub persistence: Persistence,
    /// The time of receipt, in case the backend gave none (RFC 9110 §6.6.1).
    pub date: &'a str,
    /// What we say of the exchange; without it what the backend says of it stays as it came.
    pub told: Option<Told<'a>>,
}

/// What a response says of its exchange.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The line that takes the place of every `X-Request-Id`; without one they stay as they came.
    pub request_id: Option<&'a [u8]>,
    /// Lines that explain it; with them none says `X-Tidegate-Backend` but we.
    pub explanation: Option<&'a [u8]>,
}

impl Told<'_> {
    /// The fields whose place it takes.
    #[inline(never)]
    fn replaces(&self, fields: &[httparse::Header<'_>]) -> FieldSet {
        let ids = self.request_id.map(|_| named(fields, b"x-request-id"));
        let backends = self.explanation.map(|_| named(fields, b"x-tidegate-backend"));
        ids.unwrap_or_default().union(backends.unwrap_or_default())
    }

    #[inline(never)]
    fn write(&self, out: &mut Vec<u8>) {
        put(out, &[self.request_id.unwrap_or_default(), self.explanation.unwrap_or_default()]);
    }
}

/// Appends the final response head to be sent to the client to `out`.
#[inline]
pub fn response(head: &ResponseHead<'_, '_>, context: &ResponseContext<'_>, out: &mut Vec<u8>) {
    match head.scan.anew {
        false => write_response::<false>(head, context, out),
        true => anew::response(head, context, out),
    }
}

/// The same for heads of which something is written `ANEW`, and for all others.
#[inline(always)]
fn write_response<const ANEW: bool>(
    head: &ResponseHead<'_, '_>,
    context: &ResponseContext<'_>,
    out: &mut Vec<u8>,
) {
    let scan = &head.scan;
    let mut skipped = scan.dropped;
    if context.coding == Coding::Identity || head.body != BodyLength::Chunked {
        skip(&mut skipped, scan.transfer_encoding);
    }
    if head.status == 204 {
        skip(&mut skipped, scan.content_length);
    }
    if let Some(told) = &context.told {
        skipped = skipped.union(told.replaces(head.fields));
    }
    if ANEW {
        anew::response_fields(head, skipped, out);
    } else {
        let from = status_line(head, out);
        copy_fields(head.bytes, from, head.len - 2, head.fields, skipped, out);
    }
    if context.coding == Coding::Chunked && head.body != BodyLength::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    if !scan.date {
        put(out, &[b"Date: ", context.date.as_bytes(), b"\r\n"]);
    }
    if let Some(told) = &context.told {
        told.write(out);
    }
    if !(ANEW && head.status == UPGRADE_REQUIRED && anew::upgrade_required(head, context, out)) {
        end(context, out);
    }
}

#[inline(always)]
fn end(context: &ResponseContext<'_>, out: &mut Vec<u8>) {
    match (context.persistence, context.version) {
        (Persistence::KeepAlive, Version::Http11) => out.extend_from_slice(b"\r\n"),
        (Persistence::KeepAlive, Version::Http10) => {
            out.extend_from_slice(b"Connection: keep-alive\r\n\r\n");
        }
        (Persistence::Close, _) => out.extend_from_slice(b"Connection: close\r\n\r\n"),
    }
}

/// Appends an interim response head (1xx) to be sent to the client to `out` (RFC 9110 §15.2).
pub fn interim(head: &ResponseHead<'_, '_>, out: &mut Vec<u8>) {
    one_hundred(head, None, out);
    out.extend_from_slice(b"\r\n");
}

/// Appends a head to be sent to the client to `out`, after which its connection speaks WebSocket: the exception to the
/// rule that hop-by-hop fields go (RFC 9110 §7.8).
pub fn switching(head: &ResponseHead<'_, '_>, told: Option<&Told<'_>>, out: &mut Vec<u8>) {
    one_hundred(head, told, out);
    if let Some(told) = told {
        told.write(out);
    }
    out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
}

/// Appends an interim head without its end. It has no body, whatever its fields say.
fn one_hundred(head: &ResponseHead<'_, '_>, told: Option<&Told<'_>>, out: &mut Vec<u8>) {
    let mut skipped = head.scan.dropped;
    skip(&mut skipped, head.scan.transfer_encoding);
    skip(&mut skipped, head.scan.content_length);
    if let Some(told) = told {
        skipped = skipped.union(told.replaces(head.fields));
    }
    if head.scan.anew {
        return anew::response_fields(head, skipped, out);
    }
    let from = status_line(head, out);
    copy_fields(head.bytes, from, head.len - 2, head.fields, skipped, out);
}

/// Writes the status line if it must change: we answer under our own version (RFC 9110 §6.2).
#[inline]
fn status_line(head: &ResponseHead<'_, '_>, out: &mut Vec<u8>) -> usize {
    let well_formed = head.version == Version::Http11 && head.bytes.get(12) == Some(&b' ');
    if well_formed { 0 } else { changed_status_line(head, out) }
}

fn changed_status_line(head: &ResponseHead<'_, '_>, out: &mut Vec<u8>) -> usize {
    let status = [
        b'0' + (head.status / 100) as u8,
        b'0' + (head.status / 10 % 10) as u8,
        b'0' + (head.status % 10) as u8,
    ];
    put(out, &[b"HTTP/1.1 ", &status, b" ", head.reason.as_bytes(), b"\r\n"]);
    fields_start(head.bytes, head.len, head.fields)
}

fn fields_start(bytes: &[u8], len: usize, fields: &[httparse::Header<'_>]) -> usize {
    fields.first().map_or(len - 2, |f| offset(bytes, f.name.as_bytes()))
}

/// Copies the lines from `from` to `end` except those of `skipped` fields.
#[inline(always)]
fn copy_fields(
    bytes: &[u8],
    from: usize,
    end: usize,
    fields: &[httparse::Header<'_>],
    skipped: FieldSet,
    out: &mut Vec<u8>,
) {
    if skipped.is_empty() {
        return out.extend_from_slice(&bytes[from..end]);
    }
    copy_runs(bytes, from..end, fields, skipped, out);
}

fn copy_runs(
    bytes: &[u8],
    Range { start, end }: Range<usize>,
    fields: &[httparse::Header<'_>],
    skipped: FieldSet,
    out: &mut Vec<u8>,
) {
    let mut run = start;
    skipped.for_each(|i| {
        out.extend_from_slice(&bytes[run..offset(bytes, fields[i].name.as_bytes())]);
        run = fields.get(i + 1).map_or(end, |f| offset(bytes, f.name.as_bytes()));
    });
    out.extend_from_slice(&bytes[run..end]);
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

#[cfg(test)]
mod tests;
