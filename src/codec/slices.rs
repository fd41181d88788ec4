//! An object with one array that matters, as slices of its text.
//!
//! Here: the walk that finds them, and the strict reading of a whole text. Not here: what they mean
//! (`request.rs`, `answer.rs`). Floor 1.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer as _, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

/// Where a slice stands in its body, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Its first byte.
    pub start: u32,
    /// The byte behind its last.
    pub end: u32,
}

impl Span {
    /// The largest body that a span can point into, in bytes.
    pub const MOST_BYTES: usize = u32::MAX as usize;

    /// Where `part` stands in `whole`, of which it is a slice, and which is not longer than [`Span::MOST_BYTES`].
    pub(super) fn of(part: &str, whole: &str) -> Span {
        let start = part.as_ptr() as usize - whole.as_ptr() as usize;
        Span { start: start as u32, end: (start + part.len()) as u32 }
    }

    /// The slice of the body that it was made of.
    ///
    /// # Panics
    /// If `body` is shorter than that body was.
    pub fn of_body(self, body: &[u8]) -> &[u8] {
        &body[self.start as usize..self.end as usize]
    }
}

/// A member of the outer object other than the array.
pub(super) struct Member<'a> {
    /// The decoded name.
    pub(super) name: Cow<'a, str>,
    /// The name as it stands, with its quotes.
    pub(super) raw_name: &'a str,
    /// The value as it stands.
    pub(super) value: &'a str,
}

/// What is told of the pieces, in their order.
pub(super) trait Sink<'a> {
    /// An element of the array, as it stands.
    fn element(&mut self, raw: &'a str);
    /// Another member.
    fn member(&mut self, member: Member<'a>);
}

/// Finds the pieces of `text`, which must be an object with one array named `field`. Checks the grammar of all of
/// it, in time linear in its length whatever its nesting.
pub(super) fn read<'a>(text: &'a str, field: &str, sink: &mut impl Sink<'a>) -> serde_json::Result<()> {
    let mut deserializer = Deserializer::from_str(text);
    // Not `deserialize_map`: it would repeat a string that stands in the object's place in its error.
    deserializer.deserialize_any(Outer { field, sink })?;
    deserializer.end()
}

struct Outer<'s, S> {
    field: &'s str,
    sink: &'s mut S,
}

impl<'a, S: Sink<'a>> Visitor<'a> for Outer<'_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with the array `{}`", self.field)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(raw_name) = map.next_key::<&RawValue>()?.map(RawValue::get) {
            let name = decode(raw_name).map_err(|e| A::Error::custom(without_place(&e)))?;
            if name != self.field {
                let value = map.next_value::<&RawValue>()?.get();
                self.sink.member(Member { name, raw_name, value });
            } else if found {
                return Err(A::Error::custom(format_args!("duplicate field `{}`", self.field)));
            } else {
                found = true;
                map.next_value_seed(Elements { field: self.field, sink: self.sink })?;
            }
        }
        if found { Ok(()) } else { Err(A::Error::custom(format_args!("missing field `{}`", self.field))) }
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Err(E::invalid_type(Unexpected::Other("a string"), &self))
    }
}

/// The name that a quoted one stands for.
fn decode(quoted: &str) -> serde_json::Result<Cow<'_, str>> {
    let inner = &quoted[1..quoted.len() - 1];
    if inner.contains('\\') { serde_json::from_str(quoted).map(Cow::Owned) } else { Ok(Cow::Borrowed(inner)) }
}

/// The sentence of an error without its place, which serde_json can only show behind it.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

struct Elements<'s, S> {
    field: &'s str,
    sink: &'s mut S,
}

impl<'a, S: Sink<'a>> DeserializeSeed<'a> for Elements<'_, S> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a, S: Sink<'a>> Visitor<'a> for Elements<'_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array as `{}`", self.field)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut array: A) -> Result<(), A::Error> {
        while let Some(raw) = array.next_element::<&RawValue>()? {
            self.sink.element(raw.get());
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Err(E::invalid_type(Unexpected::Other("a string"), &self))
    }
}

/// Reads all of `text` as `serde_json::Value` would, and keeps nothing.
pub(super) fn read_strictly(text: &str) -> serde_json::Result<()> {
    serde_json::from_str::<Strict>(text).map(|Strict| ())
}

struct Strict;

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Strict, D::Error> {
        deserializer.deserialize_any(Strict)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_str<E>(self, _: &str) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Strict, A::Error> {
        while let Some(Strict) = array.next_element()? {}
        Ok(Strict)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Strict, A::Error> {
        while let Some((Strict, Strict)) = map.next_entry()? {}
        Ok(Strict)
    }
}
