//! Shapes: which paths they take, what a file may say, what is refused.

use super::*;

fn read(toml: &str) -> Result<Shape, String> {
    toml::from_str(toml).map_err(|e| e.message().to_owned())
}

const KSERVE: &str = r#"
path = "/v1/models/{name}:predict"
request-field = "instances"
response-field = "predictions"
"#;

/// A shape with one line more.
fn with(line: &str) -> Result<Shape, String> {
    read(&format!("{KSERVE}{line}\n"))
}

#[test]
fn the_built_in_shapes_are_what_a_file_would_say() {
    assert_eq!(read(KSERVE).unwrap(), Shape::kserve_v1());
    let classify = r#"
        path = "/proxy_classify"
        upstream = "/classify"
        request-field = "sequences"
        response-field = "results"
        elements = "strings"
        latency = true
    "#;
    assert_eq!(read(classify).unwrap(), Shape::classify());
}

#[test]
fn a_pattern_takes_one_name_and_an_exact_path_itself() {
    let shapes = Shapes::new(vec![Shape::classify(), Shape::kserve_v1()]).unwrap();
    for (path, found) in [
        ("/proxy_classify", Some("sequences")),
        ("/proxy_classify/", None),
        ("/proxy_classif", None),
        ("/v1/models/bert:predict", Some("instances")),
        ("/v1/models/a%3Ab.1:predict", Some("instances")),
        ("/v1/models/a:explain:predict", Some("instances")),
        ("/v1/models/:predict", None),
        ("/v1/models/a/b:predict", None),
        ("/v1/models/bert:explain", None),
        ("/v1/models/bert:predict/", None),
        ("/v1/models/:predic", None),
        ("", None),
    ] {
        assert_eq!(shapes.find(path).map(|shape| shape.request_field()), found, "{path}");
    }
}

#[test]
fn an_exact_path_goes_before_a_pattern() {
    let own = read(&KSERVE.replace("{name}", "bert").replace("instances", "own")).unwrap();
    let shapes = Shapes::new(vec![Shape::kserve_v1(), own]).unwrap();
    assert_eq!(shapes.find("/v1/models/bert:predict").unwrap().request_field(), "own");
    assert_eq!(shapes.find("/v1/models/gpt:predict").unwrap().request_field(), "instances");
}

#[test]
fn two_shapes_of_a_path_are_refused() {
    let error = Shapes::new(vec![Shape::kserve_v1(), Shape::classify(), Shape::kserve_v1()]).unwrap_err();
    assert_eq!(error.to_string(), "two shapes have the path `/v1/models/{name}:predict`; remove one");
}

#[test]
fn the_query_goes_upstream() {
    let (classify, kserve) = (Shape::classify(), Shape::kserve_v1());
    assert_eq!(classify.upstream_target("/proxy_classify"), "/classify");
    assert_eq!(classify.upstream_target("/proxy_classify?a=b?c"), "/classify?a=b?c");
    assert_eq!(kserve.upstream_target("/v1/models/m:predict?a=b"), "/v1/models/m:predict?a=b");
}

#[test]
fn what_is_not_usable_is_refused_with_a_reason() {
    for (toml, expected) in [
        (KSERVE.replace("/v1", "v1"), "bad `path` `v1/models/{name}:predict`: it must begin with `/`"),
        (KSERVE.replace("predict\"", "predict?x\""), "it is compared without the query"),
        (KSERVE.replace("models", "m ls"), "must be written as %XX"),
        (KSERVE.replace("models", "möls"), "must be written as %XX"),
        (KSERVE.replace("models", "{name}"), "`{name}` may stand in it once, and no other braces"),
        (KSERVE.replace("{name}", "{model}"), "`{name}` may stand in it once, and no other braces"),
        (KSERVE.replace("{name}", "a}"), "`{name}` may stand in it once, and no other braces"),
        (KSERVE.replace("instances", ""), "`request-field` is empty; name the array"),
        (KSERVE.replace("predictions", ""), "`response-field` is empty; name the array"),
        (KSERVE.replace("path =", "route ="), "unknown field `route`"),
        (KSERVE.replace("request-field = \"instances\"", ""), "missing field `request-field`"),
    ] {
        let error = read(&toml).expect_err(&toml);
        assert!(error.contains(expected), "{toml}\n{error}");
    }
    for (line, expected) in [
        ("upstream = \"classify\"", "bad `upstream` `classify`: it must begin with `/`"),
        ("upstream = \"/{name}\"", "leave `upstream` out to keep the client's"),
        ("elements = \"numbers\"", "unknown variant `numbers`, expected `strings` or `any`"),
        ("headers = [\"\"]", "bad header ``: that is no header name"),
        ("headers = [\"X Model\"]", "bad header `X Model`: that is no header name"),
        ("headers = [\"Content-Type\"]", "a batch is a request with its own"),
        ("headers = [\"X-Model\", \"x-model\"]", "bad header `x-model`: it stands there twice"),
        ("paths = []", "unknown field `paths`"),
    ] {
        let error = with(line).expect_err(line);
        assert!(error.contains(expected), "{line}\n{error}");
    }
    let taken = format!("{}latency = true", KSERVE.replace("predictions", LATENCY));
    assert!(read(&taken).unwrap_err().contains("with `latency` on"), "{taken}");
    assert!(read(&KSERVE.replace("predictions", LATENCY)).is_ok());
}

#[test]
fn every_key_of_a_file_counts() {
    let shape =
        with("upstream = \"/x\"\nelements = \"strings\"\nheaders = [\"X-A\", \"X-B\"]\nlatency = true")
            .unwrap();
    assert_eq!(shape.upstream_target("/v1/models/m:predict"), "/x");
    assert_eq!(shape.elements(), ElementKind::Strings);
    assert_eq!(shape.headers(), ["X-A", "X-B"]);
    assert!(shape.reports_latency() && !Shape::kserve_v1().reports_latency());
}
