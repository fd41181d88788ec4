//! A request as an unruly backend reads it.
//!
//! Here: its head, and what is known of it until it is over. Not here: its body and its answer (`unruly.rs`). Floor 4.

use super::Manner;
use crate::h1::body::BodyReader;
use crate::h1::request::{RequestHead, Target, field_space};
use crate::world::{CHECK_PATH, serial_of};

/// The request being read.
pub(super) struct Asked {
    pub(super) body: BodyReader,
    pub(super) serial: u64,
    pub(super) idempotent: bool,
    pub(super) is_check: bool,
    pub(super) manner: Manner,
    pub(super) to_head: bool,
    /// How many bytes will come through the tunnel that it asks for.
    pub(super) tunnel: Option<usize>,
    pub(super) answered: bool,
}

/// A request head and its length, if it is whole.
pub(super) fn parse(bytes: &[u8], manner: Manner) -> Result<Option<(usize, Asked)>, String> {
    let mut space = field_space();
    let head = RequestHead::parse(bytes, &mut space);
    let Some(head) = head.map_err(|e| format!("the proxy sent a malformed head: {e}"))? else {
        return Ok(None);
    };
    let is_check = head.target == Target::Origin(CHECK_PATH);
    let serial = if is_check { Some(0) } else { serial_of(head.target) };
    let serial = serial.ok_or_else(|| format!("a request for {:?}", head.target))?;
    let idempotent = head.is_idempotent();
    let body = BodyReader::new(head.body);
    let total = head.fields.iter().find(|f| f.name == "X-Total").map(|f| String::from_utf8_lossy(f.value));
    let tunnel = total.filter(|_| head.asks_for_websocket()).and_then(|total| total.parse().ok());
    let to_head = head.is_head();
    let asked = Asked { body, serial, idempotent, is_check, manner, to_head, tunnel, answered: false };
    Ok(Some((head.len, asked)))
}
