//! Bodies by example; `tests/codec.rs` compares them with a naive model.

use httparse::Header;

use super::*;

const CAP: usize = 5;

fn parse_with(body: &[u8], shape: &Shape) -> Result<Parsed, BodyError> {
    parse(body, shape, CAP, HeadKey::new(shape, "/proxy_classify", &[]))
}

fn classify(body: &str) -> Parsed {
    parse_with(body.as_bytes(), &Shape::classify()).unwrap_or_else(|e| panic!("{body}: {e}"))
}

fn refusal(body: &[u8], shape: &Shape) -> (u16, String) {
    let error = parse_with(body, shape).expect_err("a refusal");
    (error.status(), error.to_string())
}

fn slices<'b>(parsed: &Parsed, body: &'b str) -> Vec<&'b str> {
    let slice = |element: &Element| std::str::from_utf8(element.span.of_body(body.as_bytes())).unwrap();
    parsed.elements.iter().map(slice).collect()
}

/// The batch's body of these requests, which must have the key of the first.
fn merged(bodies: &[&str], shape: &Shape) -> String {
    let all: Vec<_> = bodies.iter().map(|body| parse_with(body.as_bytes(), shape).unwrap()).collect();
    assert!(all.iter().all(|parsed| parsed.key == all[0].key));
    let elements = all
        .iter()
        .zip(bodies)
        .flat_map(|(parsed, body)| parsed.elements.iter().map(|e| e.span.of_body(body.as_bytes())));
    let mut out = Vec::new();
    merge(shape, &all[0].key, elements, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn elements_are_the_bytes_that_came_and_lengths_are_decoded_characters() {
    let body = " {\n\"sequences\" : [ \"a\\u00e9\\/\" ,\"日本\",\"\", \"\\ud83d\\ude00\\n\"\t] }\r\n";
    let parsed = classify(body);
    assert_eq!(slices(&parsed, body), ["\"a\\u00e9\\/\"", "\"日本\"", "\"\"", "\"\\ud83d\\ude00\\n\""]);
    assert_eq!(parsed.elements.iter().map(|e| e.length).collect::<Vec<_>>(), [3, 2, 0, 2]);
    assert_eq!(parsed.key.members(), b"");
}

#[test]
fn a_batch_has_the_elements_of_all_in_order_and_as_they_came() {
    let shape = Shape::kserve_v1();
    let one = r#"{"instances":[9007199254740993, {"x" :1.0,"x":2}], "signature_name": "s" }"#;
    let two = r#"{ "signature_name":"s","instances" : [ "\u00e9" , 1e300 ]}"#;
    let expected = r#"{"signature_name":"s","instances":[9007199254740993,{"x" :1.0,"x":2},"\u00e9",1e300]}"#;
    assert_eq!(merged(&[one, two], &shape), expected);
}

#[test]
fn the_name_of_an_array_may_be_escaped_and_need_escapes() {
    assert_eq!(merged(&[r#"{"\u0073equences":["a"]}"#], &Shape::classify()), r#"{"sequences":["a"]}"#);
    let odd = "path = \"/x\"\nrequest-field = 'a\"b\\'\nresponse-field = \"ü\\n\"";
    let odd: Shape = toml::from_str(odd).unwrap();
    assert_eq!(merged(&[r#"{"a\"b\\":[1]}"#], &odd), r#"{"a\"b\\":[1]}"#);
    let mut out = Vec::new();
    write_answer(&odd, [b"1".as_slice()], 0, &mut out);
    assert_eq!(out, "{\"ü\\n\":[1]}".as_bytes());
}

#[test]
fn the_number_of_elements_is_from_one_to_the_cap() {
    let shape = Shape::classify();
    let need = (400, "Need 1–5 sequences".to_owned());
    assert_eq!(refusal(br#"{"sequences":[]}"#, &shape), need);
    assert_eq!(refusal(br#"{"sequences":["","","","","",""]}"#, &shape), need);
    assert_eq!(classify(r#"{"sequences":["","","","",""]}"#).elements.len(), 5);
    assert_eq!(refusal(b"{\"instances\":[]}", &Shape::kserve_v1()).1, "Need 1–5 instances");
}

#[test]
fn the_number_of_members_beside_the_array_is_bounded() {
    let body = |members: usize| {
        let members: String = (0..members).map(|i| format!("\"{i}\":1,")).collect();
        format!("{{{members}\"sequences\":[\"a\"]}}")
    };
    assert_eq!(classify(&body(1024)).elements.len(), 1);
    let many = (400, "more than 1024 members beside the array".to_owned());
    assert_eq!(refusal(body(1025).as_bytes(), &Shape::classify()), many);
}

#[test]
fn a_body_of_the_wrong_shape_is_told_what_and_where() {
    for (body, expected) in [
        ("", "cannot read the body as JSON: EOF while parsing a value at line 1 column 0"),
        (
            "{\"sequences\":[\"a\"]",
            "cannot read the body as JSON: EOF while parsing an object at line 1 column 18",
        ),
        (
            "{\"sequences\":[\"a\"]} x",
            "cannot read the body as JSON: trailing characters at line 1 column 21",
        ),
        ("{\"sequences\":[\"a\",]}", "cannot read the body as JSON: trailing comma at line 1 column 19"),
        ("{\"sequences\":[\"\\x\"]}", "cannot read the body as JSON: invalid escape at line 1 column 17"),
        ("{\"sequences\":[\"a\nb\"]}", "control character"),
        (
            "[\"a\"]",
            "wrong body: invalid type: sequence, expected an object with the array `sequences` at line 1 column 1",
        ),
        ("\"secret\"", "wrong body: invalid type: a string, expected an object with the array"),
        ("{}", "wrong body: missing field `sequences` at line 1 column 2"),
        ("{\"Sequences\":[]}", "wrong body: missing field `sequences`"),
        (
            "{\"sequences\":\"secret\"}",
            "wrong body: invalid type: a string, expected an array as `sequences` at line 1",
        ),
        ("{\"sequences\":null}", "wrong body: invalid type: null, expected an array as `sequences`"),
        ("{\"sequences\":{}}", "wrong body: invalid type: map, expected an array as `sequences`"),
        (
            "{\"sequences\":[\"a\"],\"sequences\":[\"b\"]}",
            "wrong body: duplicate field `sequences` at line 1",
        ),
        (
            "{\"sequences\":[\"a\"],\n\"s\\u0065quences\":[]}",
            "wrong body: duplicate field `sequences` at line 2",
        ),
        (
            "{\"sequences\":[\n\n\"a\", 1]}",
            "wrong body: `sequences[1]` is a number, not a string, at line 3 column 6",
        ),
        ("{\"sequences\":[null]}", "`sequences[0]` is null, not a string, at line 1 column 15"),
        ("{\"sequences\":[[]]}", "`sequences[0]` is an array"),
        ("{\"sequences\":[{}]}", "`sequences[0]` is an object"),
        ("{\"sequences\":[true]}", "`sequences[0]` is a boolean"),
        ("{\"sequences\":[\"\",\"\",\"\",\"\",\"\",\"\",2]}", "`sequences[6]` is a number"),
        ("{\"sequences\":[\"\\ud83d\"]}", "cannot read the body as JSON: "),
        ("{\"sequences\":[\"\\ude00\\ud83d\"]}", "lone "),
        ("{\"\\ud83d\":1,\"sequences\":[\"\"]}", "wrong body: "),
        ("{\"a\":\"\\ud83d\",\"sequences\":[\"\"]}", "cannot read the body as JSON: "),
        ("{\"a\":1e999,\"sequences\":[\"\"]}", "cannot read the body as JSON: number out of range at line 1"),
    ] {
        let (status, detail) = refusal(body.as_bytes(), &Shape::classify());
        assert!(status == 422 && detail.contains(expected) && !detail.contains("secret"), "{body}\n{detail}");
    }
    let (status, detail) = refusal(b"{\"sequences\":\n[\"a\xff\"]}", &Shape::classify());
    assert_eq!((status, detail.as_str()), (422, "the body is not UTF-8 at line 2 column 4"));
}

#[test]
fn no_name_may_occur_twice() {
    let (status, detail) = refusal(br#"{"a":1,"sequences":[""],"b":2, "\u0061":1}"#, &Shape::classify());
    assert_eq!((status, detail.as_str()), (422, "wrong body: duplicate field `a` at line 1 column 32"));
    let long = format!("{{\"{0}\":1,\"{0}\":1,\"sequences\":[\"\"]}}", "ä".repeat(1000));
    assert!(refusal(long.as_bytes(), &Shape::classify()).1.chars().count() < 200);
}

#[test]
fn nesting_is_bounded_by_what_a_strict_reader_takes_and_costs_no_stack() {
    let shape = Shape::kserve_v1();
    // The object and the array around the elements are two levels of 127.
    let nested = |depth: usize| format!("{{\"instances\":[{}{}]}}", "[".repeat(depth), "]".repeat(depth));
    let deepest = nested(125);
    assert_eq!(
        merged(&[&deepest, &deepest], &shape).len(),
        2 * deepest.len() - "{\"instances\":[]}".len() + 1
    );
    assert!(serde_json::from_str::<serde_json::Value>(&merged(&[&deepest], &shape)).is_ok());
    for bomb in [nested(126), nested(5_000_000)] {
        assert!(refusal(bomb.as_bytes(), &shape).1.contains("recursion limit exceeded"));
    }
    let open = format!("{{\"instances\":[{}", "[{\"a\":".repeat(1_000_000));
    assert!(refusal(open.as_bytes(), &shape).1.contains("EOF"));
    let extra = format!("{{\"sequences\":[\"\"],\"x\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    assert!(refusal(extra.as_bytes(), &Shape::classify()).1.contains("recursion limit exceeded"));
}

#[test]
fn many_elements_are_only_counted_and_a_body_too_large_for_spans_is_not_read() {
    let many = format!("{{\"instances\":[0{}]}}", ",0".repeat(1_000_000));
    assert_eq!(refusal(many.as_bytes(), &Shape::kserve_v1()).0, 400);
    // The zeros are never touched, so they take no memory.
    let huge = vec![0; Span::MOST_BYTES + 1];
    let expected = (413, "the body has 4294967296 bytes; the most is 4294967295".to_owned());
    assert_eq!(refusal(&huge, &Shape::classify()), expected);
    let error = split(&huge, &Shape::classify(), 1, &mut Vec::new()).unwrap_err().to_string();
    assert_eq!(error, "the classifier's answer cannot be read: 4294967296 bytes; the most is 4294967295");
}

#[test]
fn unlike_requests_have_unlike_keys() {
    let headers: Shape =
        toml::from_str("path='/x'\nrequest-field='sequences'\nresponse-field='r'\nheaders=['X-B','X-A']")
            .unwrap();
    let field = |name, value| Header { name, value };
    let key = |target: &str, fields: &[Header<'_>], members: &str| {
        let body = format!("{{{members} \"sequences\":[\"\"]}}");
        parse(body.as_bytes(), &headers, CAP, HeadKey::new(&headers, target, fields)).unwrap().key
    };
    let plain = key("/x", &[], "");
    assert_eq!(key("/x", &[field("X-Other", b"1")], ""), plain);
    let a = field("X-A", b"1");
    let both = key("/x", &[a, field("x-b", b"\xff"), field("x-a", b"2")], "\"k\" : [1, 2] ,");
    assert_eq!(both.target(), "/x");
    assert_eq!(both.header_lines(), b"X-B: \xff\r\nX-A: 1\r\nX-A: 2\r\n");
    assert_eq!(both.members(), b"\"k\":[1, 2],");
    let unlike = [
        plain,
        key("/x?y", &[], ""),
        key("/y", &[], ""),
        key("/x", &[a], ""),
        key("/x", &[field("X-B", b"1")], ""),
        key("/x", &[field("X-A", b"")], ""),
        key("/x", &[field("X-A", b"1, 2")], ""),
        key("/x", &[a, field("X-A", b"2")], ""),
        key("/x", &[field("X-A", b"2"), a], ""),
        key("/x", &[], "\"k\":1,"),
        key("/x", &[], "\"k\":1.0,"),
        key("/x", &[], "\"k\":\"1\","),
        key("/x", &[], "\"k\":1,\"l\":2,"),
        key("/x", &[a], "\"k\":1,"),
    ];
    for (i, one) in unlike.iter().enumerate() {
        assert!(unlike[..i].iter().all(|other| other != one), "{i}");
    }
    let like = ["\"l\":[1],\"k\":2,", "\n\"k\" : 2 ,\t\"l\" :[1],"];
    assert_eq!(key("/x", &[], like[0]), key("/x", &[], like[1]));
}

fn results(body: &str, shape: &Shape, expected: usize) -> Result<Vec<String>, AnswerError> {
    let mut spans = Vec::new();
    split(body.as_bytes(), shape, expected, &mut spans)?;
    let slice = |span: Span| String::from_utf8(span.of_body(body.as_bytes()).to_vec()).unwrap();
    Ok(spans.into_iter().map(slice).collect())
}

#[test]
fn an_answer_is_cut_into_results_and_other_members_are_passed_over() {
    let body = " {\"model\": {\"results\": []}, \"results\" : [ \"code\" ,[1, 2.50],null ], \"n\": 1e999}\n";
    assert_eq!(results(body, &Shape::classify(), 3).unwrap(), ["\"code\"", "[1, 2.50]", "null"]);
    assert_eq!(results("{\"predictions\":[0.5]}", &Shape::kserve_v1(), 1).unwrap(), ["0.5"]);
}

#[test]
fn an_answer_with_a_wrong_number_of_results_is_told_from_one_that_cannot_be_read() {
    let shape = Shape::classify();
    for (body, got) in [("{\"results\":[]}", 0), ("{\"results\":[1]}", 1), ("{\"results\":[1,2,3]}", 3)] {
        let mut spans = Vec::new();
        let error = split(body.as_bytes(), &shape, 2, &mut spans).unwrap_err();
        assert!(spans.len() <= 2, "{body}: kept {}", spans.len());
        assert!(
            matches!(error, AnswerError::WrongCount { expected: 2, got: g } if g == got),
            "{body}: {error}"
        );
        assert_eq!(error.to_string(), format!("the classifier gave {got} results for 2"));
    }
    for (body, expected) in [
        ("", "EOF while parsing a value"),
        ("{\"results\":[1,2]", "EOF while parsing an object"),
        ("{\"results\":[1,2]}{}", "trailing characters"),
        ("{\"results\":[1,2],\"results\":[3,4]}", "duplicate field `results`"),
        ("{\"predictions\":[1,2]}", "missing field `results`"),
        ("{\"results\":\"code\"}", "invalid type: a string, expected an array as `results`"),
        ("[\"code\",\"code\"]", "invalid type: sequence, expected an object with the array `results`"),
        ("<html>", "expected value at line 1 column 1"),
    ] {
        let error = results(body, &shape, 2).unwrap_err();
        let AnswerError::Malformed(what) = &error else { panic!("{body}: {error}") };
        assert!(what.starts_with(expected), "{body}: {error}");
    }
    let error = split(b"{\"results\":[\"\xff\",1]}", &shape, 2, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, AnswerError::Malformed(what) if what.contains("utf-8")));
}

#[test]
fn a_client_gets_its_results_as_the_classifier_wrote_them() {
    let answer = |shape: &Shape, results: &[&str]| {
        let mut out = Vec::new();
        write_answer(shape, results.iter().map(|r| r.as_bytes()), 12, &mut out);
        String::from_utf8(out).unwrap()
    };
    let expected = r#"{"results":["code","\u00e9"],"proxy_latency_ms":12}"#;
    assert_eq!(answer(&Shape::classify(), &["\"code\"", r#""\u00e9""#]), expected);
    assert_eq!(answer(&Shape::kserve_v1(), &["[1, 2.50]"]), r#"{"predictions":[[1, 2.50]]}"#);
}

#[test]
fn a_detail_is_json_whatever_it_says() {
    for detail in ["Need 1–5 sequences", "a \"quoted\" \\ word", "line\nand\ttab \u{0} \u{1F600}", ""] {
        let mut out = Vec::new();
        write_detail(detail, &mut out);
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value, serde_json::json!({ "detail": detail }));
    }
    let mut out = Vec::new();
    write_detail("Need 1–5 sequences", &mut out);
    assert_eq!(out, "{\"detail\":\"Need 1–5 sequences\"}".as_bytes());
}
