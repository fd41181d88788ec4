//! Bodies of requests: a client's cut into elements, and elements of several joined to the batch's.
//!
//! Here: [`parse`] and what it refuses, [`merge`]. Not here: answers (`answer.rs`). Floor 1.

use std::fmt;

use super::key::{BatchKey, HeadKey};
use super::length::{self, Length};
use super::shape::{ElementKind, Shape};
use super::slices::{self, Member, Sink, Span};

/// One element of a request's array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    /// Where it stands in the body.
    pub span: Span,
    /// Unicode characters: of a string those of the decoded one, of anything else those of its text.
    pub length: u32,
}

/// What a body holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The elements in their order; from 1 to the cap.
    pub elements: Vec<Element>,
    /// What another request must have in common with this one to share a batch with it.
    pub key: BatchKey,
}

/// Why a body is not accepted. The text is the `detail` that the client is told.
#[derive(Debug)]
pub enum BodyError {
    /// No element, or more than a batch holds.
    Count {
        /// The array's name.
        field: String,
        /// The most elements.
        cap: usize,
    },
    /// Not JSON that a strict reader accepts, or not an object with the array, with the place.
    Json(serde_json::Error),
    /// Not UTF-8 (RFC 8259 §8.1).
    NotUtf8 {
        /// Where the first bad byte is.
        place: Place,
    },
    /// A name occurs twice in the outer object, and readers differ in which one counts (RFC 8259 §4).
    Duplicate {
        /// The name, decoded.
        name: String,
        /// Where it occurs again.
        place: Place,
    },
    /// An element is not a string, and the shape wants strings.
    NotAString {
        /// The array's name.
        field: String,
        /// The element's position in it, from 0.
        index: usize,
        /// What it is.
        got: &'static str,
        /// Where it begins.
        place: Place,
    },
    /// More members beside the array than there may be.
    Members,
    /// Larger than [`Span::MOST_BYTES`].
    TooLarge {
        /// The body's size.
        bytes: usize,
    },
}

impl BodyError {
    /// The status that tells a client of it.
    pub const fn status(&self) -> u16 {
        match self {
            BodyError::Count { .. } | BodyError::Members => 400,
            BodyError::TooLarge { .. } => 413,
            BodyError::Json(_)
            | BodyError::NotUtf8 { .. }
            | BodyError::Duplicate { .. }
            | BodyError::NotAString { .. } => 422,
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyError::Count { field, cap } => write!(f, "Need 1–{cap} {field}"),
            BodyError::Json(e) if e.is_data() => write!(f, "wrong body: {e}"),
            BodyError::Json(e) => write!(f, "cannot read the body as JSON: {e}"),
            BodyError::NotUtf8 { place } => write!(f, "the body is not UTF-8 at {place}"),
            BodyError::Duplicate { name, place } => {
                let shown: String = name.chars().take(MOST_SHOWN).collect();
                write!(f, "wrong body: duplicate field `{shown}` at {place}")
            }
            BodyError::NotAString { field, index, got, place } => {
                write!(f, "wrong body: `{field}[{index}]` is {got}, not a string, at {place}")
            }
            BodyError::Members => write!(f, "more than {MOST_MEMBERS} members beside the array"),
            BodyError::TooLarge { bytes } => {
                write!(f, "the body has {bytes} bytes; the most is {}", Span::MOST_BYTES)
            }
        }
    }
}

impl std::error::Error for BodyError {}

/// How much of a client's own text an error repeats, in characters.
const MOST_SHOWN: usize = 64;

/// How many members a body may have beside the array: each takes ten times the memory of its shortest text.
const MOST_MEMBERS: usize = 1024;

/// Line and column from 1, the column in bytes, as serde_json tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The byte in the line.
    pub column: usize,
}

impl Place {
    fn of(offset: usize, body: &[u8]) -> Place {
        let before = &body[..offset];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        Place { line: 1 + memchr::memchr_iter(b'\n', before).count(), column: offset - line_start + 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} column {}", self.line, self.column)
    }
}

/// What is found in a request's body.
struct Found<'a> {
    text: &'a str,
    kind: ElementKind,
    /// Elements beyond it are only counted.
    cap: usize,
    elements: Vec<Element>,
    count: usize,
    /// The first element that is not the string it should be, with its position.
    not_a_string: Option<(usize, &'a str)>,
    members: Vec<Member<'a>>,
    too_many_members: bool,
    /// Whether there is more than strings without surrogates, so that the grammar alone does not tell whether a
    /// strict reader accepts it.
    intricate: bool,
}

impl<'a> Sink<'a> for Found<'a> {
    fn element(&mut self, raw: &'a str) {
        let is_string = raw.starts_with('"');
        if !is_string && self.kind == ElementKind::Strings && self.not_a_string.is_none() {
            self.not_a_string = Some((self.count, raw));
        }
        if self.count < self.cap {
            let Length { characters, surrogates } = length::of_element(raw);
            self.elements.push(Element { span: Span::of(raw, self.text), length: characters });
            self.intricate |= surrogates || !is_string;
        }
        self.count += 1;
    }

    fn member(&mut self, member: Member<'a>) {
        match self.members.len() < MOST_MEMBERS {
            true => self.members.push(member),
            false => self.too_many_members = true,
        }
        self.intricate = true;
    }
}

/// Cuts a client's body into elements, of which there must be 1 to `cap`, and completes its key.
///
/// Takes time linear in the body, but for sorting its members by name; keeps no more than `cap` elements.
///
/// # Errors
/// What is wrong with the body. Of several faults the wrong grammar or shape is told first, then a wrong count, then
/// what a strict reader refuses although the grammar allows it.
pub fn parse(body: &[u8], shape: &Shape, cap: usize, head: HeadKey) -> Result<Parsed, BodyError> {
    if body.len() > Span::MOST_BYTES {
        return Err(BodyError::TooLarge { bytes: body.len() });
    }
    let text = std::str::from_utf8(body)
        .map_err(|e| BodyError::NotUtf8 { place: Place::of(e.valid_up_to(), body) })?;
    let field = shape.request_field();
    let mut found = Found {
        text,
        kind: shape.elements(),
        cap,
        elements: Vec::new(),
        count: 0,
        not_a_string: None,
        members: Vec::new(),
        too_many_members: false,
        intricate: false,
    };
    slices::read(text, field, &mut found).map_err(BodyError::Json)?;

    let place = |part| Place::of(Span::of(part, text).start as usize, body);
    if let Some((index, raw)) = found.not_a_string {
        let (got, place) = (json_type(raw), place(raw));
        return Err(BodyError::NotAString { field: field.to_owned(), index, got, place });
    }
    if found.too_many_members {
        return Err(BodyError::Members);
    }
    found.members.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(pair) = found.members.windows(2).find(|pair| pair[0].name == pair[1].name) {
        let name = pair[1].name.clone().into_owned();
        return Err(BodyError::Duplicate { name, place: place(pair[1].raw_name) });
    }
    if found.count == 0 || found.count > cap {
        return Err(BodyError::Count { field: field.to_owned(), cap });
    }
    if found.intricate {
        slices::read_strictly(text).map_err(BodyError::Json)?;
    }
    let key = head.with_members(|out| write_members(&found.members, out));
    Ok(Parsed { elements: found.elements, key })
}

fn write_members(members: &[Member<'_>], out: &mut Vec<u8>) {
    for member in members {
        for part in [member.raw_name, ":", member.value, ","] {
            out.extend_from_slice(part.as_bytes());
        }
    }
}

/// What the value that begins `raw` is.
fn json_type(raw: &str) -> &'static str {
    match raw.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// Appends the body of a batch to `out`: the members that all its requests have in common, by their `key`, and the
/// elements of all of them as they came.
pub fn merge<'a>(
    shape: &Shape,
    key: &BatchKey,
    elements: impl IntoIterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
) {
    out.push(b'{');
    out.extend_from_slice(key.members());
    write_array(shape.request_opening(), elements, out);
    out.push(b'}');
}

/// Appends `"name":[` and the elements and `]`.
pub(super) fn write_array<'a>(
    opening: &str,
    elements: impl IntoIterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(opening.as_bytes());
    for (i, element) in elements.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(element);
    }
    out.push(b']');
}
