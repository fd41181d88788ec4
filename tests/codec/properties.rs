//! Requests made of pieces: written with any spacing and escapes, merged, answered, shared out.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value};
use tidegate::codec::{Parsed, Shape, split, write_answer};

use super::oracle::{CAP, check_answer, check_request, merged, parse_body};

/// Text between tokens.
fn space() -> impl Strategy<Value = String> {
    prop_oneof![3 => Just(String::new()), 1 => "[ \t\r\n]{1,3}"]
}

/// A string as it may stand in JSON, with its quotes.
fn string() -> impl Strategy<Value = String> {
    let escape = prop::sample::select(vec![
        "\\\"",
        "\\\\",
        "\\/",
        "\\b",
        "\\f",
        "\\n",
        "\\r",
        "\\t",
        "\\u0000",
        "\\u00E9",
        "\\ud7ff",
        "\\uE000",
        "\\uFFFF",
        "\\ud83d\\ude00",
        "\\uDBFF\\uDFFF",
        "\\\\ud83d",
    ]);
    let plain = any::<char>().prop_filter("not escaped", |&c| c >= ' ' && c != '"' && c != '\\');
    let piece = prop_oneof![2 => "[a-z ]{0,4}", 1 => plain.prop_map(String::from), 2 => escape.prop_map(str::to_owned)];
    vec(piece, 0..6).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

/// Any value as it may stand in JSON.
fn json() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec!["null", "true", "false", "0", "-0", "1.0", "1.50e+3", "1e-400"]);
    let big = prop::sample::select(vec![
        "9007199254740993",
        "18446744073709551616",
        "-1e308",
        "0.1000000000000000055",
    ]);
    let leaf = prop_oneof![word.prop_map(str::to_owned), big.prop_map(str::to_owned), string()];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let item = (space(), inner.clone(), space()).prop_map(|(a, value, b)| a + &value + &b);
        let member = (space(), string(), space(), inner, space());
        let member = member.prop_map(|(a, name, b, value, c)| format!("{a}{name}{b}:{c}{value}"));
        prop_oneof![
            (vec(item, 0..4), space()).prop_map(|(items, s)| format!("[{}{s}]", items.join(","))),
            (vec(member, 0..4), space()).prop_map(|(members, s)| format!("{{{}{s}}}", members.join(","))),
        ]
    })
}

/// Several requests that may share a batch: their elements, in their texts, with a result for each element.
#[derive(Clone, Debug)]
struct Requests {
    kserve: bool,
    bodies: Vec<String>,
    elements: Vec<Vec<String>>,
    results: Vec<Vec<String>>,
}

impl Requests {
    fn shape(&self) -> Shape {
        if self.kserve { Shape::kserve_v1() } else { Shape::classify() }
    }
}

/// A request's elements with a result for each, where the array stands among the members, and spaces.
type Draft = (Vec<(String, String)>, prop::sample::Index, Vec<String>);

fn write_body(field: &str, members: &[(String, String)], (elements, index, spaces): &Draft) -> String {
    let mut spaces = spaces.iter().cycle();
    let mut space = || spaces.next().map_or("", String::as_str);
    let mut array = String::new();
    for (i, (element, _)) in elements.iter().enumerate() {
        array += &format!("{}{}{element}{}", if i > 0 { "," } else { "" }, space(), space());
    }
    let mut parts: Vec<_> = members
        .iter()
        .map(|(name, value)| format!("{}{name}{}:{}{value}{}", space(), space(), space(), space()))
        .collect();
    let turn = index.index(parts.len() + 1);
    parts.rotate_left(turn);
    parts.insert(turn, format!("{}\"{field}\"{}:{}[{array}]", space(), space(), space()));
    format!("{}{{{}{}}}{}", space(), parts.join(","), space(), space())
}

fn requests() -> impl Strategy<Value = Requests> {
    any::<bool>().prop_flat_map(|kserve| {
        let element = if kserve { json().boxed() } else { string().boxed() };
        let draft = (vec((element, json()), 1..=CAP), any::<prop::sample::Index>(), vec(space(), 5));
        let members = vec(json(), 0..3).prop_map(|values| {
            let names = ["\"model\"", "\"\\u0061\\\"\"", "\"z z\""].map(str::to_owned);
            names.into_iter().zip(values).collect::<Vec<_>>()
        });
        (members, vec(draft, 1..4)).prop_map(move |(members, drafts): (_, Vec<Draft>)| {
            let field = if kserve { "instances" } else { "sequences" };
            Requests {
                kserve,
                bodies: drafts.iter().map(|draft| write_body(field, &members, draft)).collect(),
                elements: drafts
                    .iter()
                    .map(|(pairs, ..)| pairs.iter().map(|(e, _)| e.clone()).collect())
                    .collect(),
                results: drafts
                    .iter()
                    .map(|(pairs, ..)| pairs.iter().map(|(_, r)| r.clone()).collect())
                    .collect(),
            }
        })
    })
}

fn value(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap_or_else(|e| panic!("{e}: {}", text.escape_ascii()))
}

fn parsed(requests: &Requests) -> Vec<Parsed> {
    let parse = |body: &String| parse_body(body.as_bytes(), &requests.shape(), CAP);
    requests.bodies.iter().map(|body| parse(body).unwrap_or_else(|(_, e)| panic!("{body}: {e}"))).collect()
}

proptest! {
    #[test]
    fn requests_that_say_the_same_share_a_batch_and_merge_as_if_encoded_again(requests in requests()) {
        let shape = requests.shape();
        let all = parsed(&requests);
        for (one, (body, elements)) in all.iter().zip(requests.bodies.iter().zip(&requests.elements)) {
            prop_assert_eq!(&one.key, &all[0].key);
            let slices: Vec<_> = one.elements.iter().map(|e| e.span.of_body(body.as_bytes())).collect();
            prop_assert_eq!(slices, elements.iter().map(String::as_bytes).collect::<Vec<_>>());
        }
        let pairs: Vec<_> = requests.bodies.iter().map(String::as_bytes).zip(&all).collect();
        let whole = value(&merged(&shape, &all[0].key, &pairs));

        let mut naive: Map<String, Value> = serde_json::from_str(&requests.bodies[0]).unwrap();
        let elements = requests.elements.iter().flatten().map(|element| value(element.as_bytes()));
        naive.insert(shape.request_field().to_owned(), elements.collect());
        prop_assert_eq!(whole, Value::Object(naive));
    }

    #[test]
    fn each_request_gets_its_own_results_in_order(requests in requests(), spaces in vec(space(), 3)) {
        let shape = requests.shape();
        let results: Vec<_> = requests.results.iter().flatten().map(String::as_str).collect();
        let (a, b, c) = (&spaces[0], &spaces[1], &spaces[2]);
        let array = results.join(&format!("{a},{b}"));
        let answer = format!("{a}{{\"model\":{{}},\"{}\"{b}:{c}[{a}{array}{b}]{c}}}", shape.response_field());
        let mut spans = Vec::new();
        split(answer.as_bytes(), &shape, results.len(), &mut spans).unwrap();

        let mut rest = spans.iter().map(|span| span.of_body(answer.as_bytes()));
        for own in &requests.results {
            let mut out = Vec::new();
            write_answer(&shape, rest.by_ref().take(own.len()), 7, &mut out);
            let latency = if requests.kserve { "" } else { ",\"proxy_latency_ms\":7" };
            let expected = format!("{{\"{}\":[{}]{latency}}}", shape.response_field(), own.join(","));
            prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        prop_assert_eq!(rest.next(), None);
    }

    #[test]
    fn every_truncation_is_refused(requests in requests()) {
        let body = requests.bodies[0].as_bytes();
        for end in 0..body.trim_ascii_end().len() {
            let refused = parse_body(&body[..end], &requests.shape(), CAP);
            prop_assert_eq!(refused.expect_err("a part of a body").0, 422);
            check_request(&body[..end]);
        }
        let field = requests.shape();
        let answer = format!("{{\"{}\":[{}]}}", field.response_field(), requests.results[0].join(","));
        for end in 0..answer.len() {
            split(&answer.as_bytes()[..end], &field, requests.results[0].len(), &mut Vec::new()).unwrap_err();
        }
    }

    #[test]
    fn requests_that_share_a_key_have_equal_members(
        one in vec((string(), json()), 0..3),
        two in vec((string(), json()), 0..3),
        same in any::<bool>(),
    ) {
        let two = if same { one.iter().rev().cloned().collect() } else { two };
        let body = |members: &[(String, String)]| {
            let members: String = members.iter().map(|(name, value)| format!("{name}: {value} ,")).collect();
            format!("{{{members}\"sequences\":[\"\"]}}")
        };
        let (one, two) = (body(&one), body(&two));
        let key = |body: &str| parse_body(body.as_bytes(), &Shape::classify(), CAP).map(|parsed| parsed.key);
        if let (Ok(a), Ok(b)) = (key(&one), key(&two)) {
            prop_assert!(a != b || value(one.as_bytes()) == value(two.as_bytes()));
            prop_assert!(a == b || !same);
        }
    }

    #[test]
    fn any_bytes_are_read_as_the_model_reads_them(
        body in prop_oneof![vec(any::<u8>(), 0..64), "[\\[\\]{}\",:a1\\\\ ]{0,24}".prop_map(String::into_bytes)],
        value in json(),
    ) {
        check_request(&body);
        check_answer(&body);
        let wrapped = ["sequences", "instances", "results", "predictions"].map(|field| format!("{{\"{field}\":{value}}}"));
        for body in wrapped {
            check_request(body.as_bytes());
            check_answer(body.as_bytes());
        }
    }
}
