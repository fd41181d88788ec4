//! What the codec must make of a body, found the naive way: all of it decoded to `serde_json::Value`.
//!
//! Each check panics where the codec differs, and tells in a word or two what became of the body.

use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::{Map, Value};
use tidegate::codec::{
    AnswerError, BatchKey, ElementKind, HeadKey, Parsed, Shape, Span, merge, parse, split, write_answer,
};

pub(crate) const CAP: usize = 5;

/// A name that serde_json's own types use among themselves, and that `Value` therefore reads in its own way.
const PRIVATE: &[u8] = b"$serde_json::";

/// An object with its names in order, also those that occur twice.
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Object, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Why the model has nothing to compare with.
enum Refused {
    /// Whatever the codec looks at first, it must refuse.
    Surely,
    /// Grammatical, but refused by a strict reader; what follows behind it is not known.
    Strictly,
}

/// The array of this name and the other members, none of which occurs twice if `unique`.
fn decode(body: &[u8], field: &str, unique: bool) -> Result<(Vec<Value>, Map<String, Value>), Refused> {
    let Object(members) = serde_json::from_slice(body).map_err(|e| {
        let strict = ["hex escape", "out of range", "recursion limit"];
        let said = e.to_string();
        if strict.iter().any(|word| said.contains(word)) { Refused::Strictly } else { Refused::Surely }
    })?;
    let total = members.len();
    let (mut arrays, others): (Vec<_>, Vec<_>) = members.into_iter().partition(|(name, _)| name == field);
    let others: Map<_, _> = others.into_iter().collect();
    let array = arrays.pop().map(|(_, value)| value);
    match array {
        Some(Value::Array(elements)) if arrays.is_empty() && (!unique || others.len() + 1 == total) => {
            Ok((elements, others))
        }
        _ => Err(Refused::Surely),
    }
}

fn value(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap_or_else(|e| panic!("{e}: {}", text.escape_ascii()))
}

pub(crate) fn parse_body(body: &[u8], shape: &Shape, cap: usize) -> Result<Parsed, (u16, String)> {
    parse(body, shape, cap, HeadKey::new(shape, "/a", &[])).map_err(|e| (e.status(), e.to_string()))
}

pub(crate) fn merged(shape: &Shape, key: &BatchKey, requests: &[(&[u8], &Parsed)]) -> Vec<u8> {
    let elements =
        requests.iter().flat_map(|(body, parsed)| parsed.elements.iter().map(|e| e.span.of_body(body)));
    let mut out = Vec::new();
    merge(shape, key, elements, &mut out);
    out
}

/// Checks a request's body with the built-in shapes.
pub(crate) fn check_request(body: &[u8]) -> String {
    check_request_of(body, &Shape::classify()) + " | " + &check_request_of(body, &Shape::kserve_v1())
}

fn check_request_of(body: &[u8], shape: &Shape) -> String {
    let parsed = parse_body(body, shape, CAP);
    if memchr::memmem::find(body, PRIVATE).is_some() {
        return "private".to_owned();
    }
    let strings = shape.elements() == ElementKind::Strings;
    let (elements, others) = match decode(body, shape.request_field(), true) {
        Ok((elements, _)) if strings && !elements.iter().all(Value::is_string) => {
            return refused(parsed, &[422]);
        }
        Ok((elements, _)) if !(1..=CAP).contains(&elements.len()) => return refused(parsed, &[400]),
        Ok(pieces) => pieces,
        Err(Refused::Surely) => return refused(parsed, &[422]),
        Err(Refused::Strictly) => return refused(parsed, &[422, 400]),
    };
    let parsed = parsed.unwrap_or_else(|(_, detail)| panic!("refused a good body: {detail}"));

    assert_eq!(parsed.elements.len(), elements.len());
    let mut end = 0;
    for (found, element) in parsed.elements.iter().zip(&elements) {
        let raw = found.span.of_body(body);
        assert!(found.span.start > end && raw == raw.trim_ascii(), "{:?}", found.span);
        end = found.span.end;
        assert_eq!(&value(raw), element);
        let text = element.as_str().unwrap_or_else(|| std::str::from_utf8(raw).expect("text"));
        assert_eq!(found.length as usize, text.chars().count(), "{}", raw.escape_ascii());
    }

    let twice = merged(shape, &parsed.key, &[(body, &parsed), (body, &parsed)]);
    let beside = others.len().min(3);
    let mut expected = others;
    expected.insert(shape.request_field().to_owned(), Value::Array([elements.clone(), elements].concat()));
    assert_eq!(value(&twice), Value::Object(expected));
    let again = parse_body(&twice, shape, 2 * CAP).expect("a merged body is a body");
    assert_eq!(again.key, parsed.key);
    let lengths = |parsed: &Parsed| parsed.elements.iter().map(|e| e.length).collect::<Vec<_>>();
    assert_eq!(lengths(&again), [lengths(&parsed), lengths(&parsed)].concat());
    format!("{} beside {beside} members", parsed.elements.len())
}

fn refused(parsed: Result<Parsed, (u16, String)>, statuses: &[u16]) -> String {
    let (status, detail) = parsed.expect_err("a refusal");
    assert!(statuses.contains(&status), "{status} {detail}");
    assert!(detail.chars().count() < 300, "{detail}");
    kind(&detail)
}

/// A refusal without the places, names and numbers in it.
fn kind(detail: &str) -> String {
    let sentence = detail.split(" at line").next().unwrap_or_default();
    sentence.split('`').step_by(2).flat_map(str::chars).filter(|c| !c.is_ascii_digit()).collect()
}

/// Checks a classifier's answer with the built-in shapes.
pub(crate) fn check_answer(body: &[u8]) -> String {
    check_answer_of(body, &Shape::classify()) + " | " + &check_answer_of(body, &Shape::kserve_v1())
}

fn check_answer_of(body: &[u8], shape: &Shape) -> String {
    let mut spans = vec![Span::default()];
    let cut = split(body, shape, 3, &mut spans);
    if memchr::memmem::find(body, PRIVATE).is_some() {
        return "private".to_owned();
    }
    let results = match (decode(body, shape.response_field(), false), cut) {
        (Ok((results, _)), Ok(())) if results.len() == 3 => results,
        (Ok((results, _)), Err(AnswerError::WrongCount { expected: 3, got }))
            if got == results.len() && got != 3 =>
        {
            results
        }
        (Err(Refused::Surely), Err(AnswerError::Malformed(what))) => {
            return kind(&what);
        }
        (Err(Refused::Strictly), _) => return "not for a strict reader".to_owned(),
        (model, cut) => panic!("model: {:?}, codec: {cut:?}", model.map(|(results, _)| results).ok()),
    };
    spans.truncate(1);
    split(body, shape, results.len(), &mut spans).expect("the right number");
    assert_eq!(spans.remove(0), Span::default(), "what was there stays");

    for share in 0..=results.len().min(2 * CAP) {
        let (mine, others) = spans.split_at(share);
        for (spans, results) in [(mine, &results[..share]), (others, &results[share..])] {
            let mut out = Vec::new();
            write_answer(shape, spans.iter().map(|span| span.of_body(body)), 12, &mut out);
            let mut expected = Map::new();
            expected.insert(shape.response_field().to_owned(), results.into());
            if shape.reports_latency() {
                expected.insert("proxy_latency_ms".to_owned(), 12.into());
            }
            assert_eq!(value(&out), Value::Object(expected));
        }
    }
    format!("{} results", results.len().min(9))
}
