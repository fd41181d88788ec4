//! What a simulated classifier answers.
//!
//! Here: [`Classifications`]: routes, which texts are code, the faults that options ask for. Not here: how long it takes
//! (`service_time.rs`, `workers.rs`), connections (`connection.rs`). Floor 3.

use std::borrow::Cow;
use std::num::NonZeroUsize;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde::Deserialize;

use super::ServiceTime;
use super::workers::Workers;
use crate::h1::request::RequestHead;
use crate::server::{Response, Service};
use crate::time::{Instant, WallTime};

/// The page at `/docs`.
const DOCS: &str = include_str!("classifier_docs.html");

const JSON: &str = "application/json";

/// What a classifier is like. The default is that of the testbed: no bound, no fault.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassifierOptions {
    /// How many requests are worked on at once; the others wait in order of arrival. `None`: all of them.
    pub concurrency: Option<NonZeroUsize>,
    /// How long a request takes once it is worked on.
    pub service_time: ServiceTime,
    /// Share of the requests that are answered 500 after their time, from 0 to 1.
    pub error_rate: f64,
    /// Share of the other answers that have one result too few, from 0 to 1.
    pub drop_results: f64,
    /// The most sequences of a request.
    pub max_sequences: usize,
    /// Decides which requests fail; equal seeds fail the same ones in order of arrival.
    pub seed: u64,
}

impl Default for ClassifierOptions {
    fn default() -> ClassifierOptions {
        ClassifierOptions {
            concurrency: None,
            service_time: ServiceTime::default(),
            error_rate: 0.0,
            drop_results: 0.0,
            max_sequences: 5,
            seed: 0,
        }
    }
}

/// Tells which texts are code.
pub struct Classifications {
    options: ClassifierOptions,
    workers: Workers,
    random: Pcg64Mcg,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `POST /classify`
    Classify,
    /// `GET /docs`
    Docs,
    /// To another path.
    Unknown,
    /// A method that the path does not have, with the line of the head that names those it has.
    Method(&'static str),
}

/// An answer that is ready.
#[derive(Debug)]
pub struct Ready {
    status: u16,
    content_type: &'static str,
    fields: &'static str,
    body: Cow<'static, str>,
}

impl Ready {
    fn json(status: u16, body: String) -> Ready {
        Ready { status, content_type: JSON, fields: "", body: body.into() }
    }

    fn refusal(status: u16, detail: &str) -> Ready {
        Ready::json(status, serde_json::json!({ "detail": detail }).to_string())
    }
}

/// The body of a request; other members are passed over.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    sequences: Vec<Text<'a>>,
}

/// A string, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Classifications {
    pub(super) fn new(options: ClassifierOptions) -> Classifications {
        let workers = Workers::new(options.concurrency);
        let random = Pcg64Mcg::seed_from_u64(options.seed);
        Classifications { options, workers, random }
    }

    /// The answer to a request for classification, and when its time is over.
    ///
    /// # Errors
    /// What is wrong with the body, to be answered at once.
    fn classify(&mut self, body: &[u8], now: Instant) -> Result<(Ready, Instant), Ready> {
        let sequences = read(body)?;
        let most = self.options.max_sequences;
        if sequences.is_empty() || sequences.len() > most {
            return Err(Ready::refusal(400, &format!("Need 1 - {most} sequences per request")));
        }
        let time = self.options.service_time.of(sequences.iter().map(|text| text.0.chars().count()));
        let due = self.workers.take(now, time);
        // Both are drawn for each request, so that neither rate changes whom the other one hits.
        let [fails, drops] =
            [self.options.error_rate, self.options.drop_results].map(|share| self.random.random_bool(share));
        if fails {
            return Ok((Ready::refusal(500, "simulated failure (--error-rate)"), due));
        }
        let told = sequences.len() - usize::from(drops);
        let results: Vec<_> = sequences[..told].iter().map(|text| label(&text.0)).collect();
        Ok((Ready::json(200, serde_json::json!({ "results": results }).to_string()), due))
    }
}

/// The sequences of a body.
fn read(body: &[u8]) -> Result<Vec<Text<'_>>, Ready> {
    let refusal = |why: &str| {
        let detail =
            format!("the body must be {{\"sequences\": [\"...\", ...]}}, all of them strings: {why}");
        Ready::refusal(422, &detail)
    };
    // serde would take an array for the members in their order.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(refusal("it is an array"));
    }
    let body: Body<'_> = serde_json::from_slice(body).map_err(|e| refusal(&e.to_string()))?;
    Ok(body.sequences)
}

fn label(text: &str) -> &'static str {
    let is_code = text.contains([';', '{', '}']) || text.contains("def ") || text.contains("class ");
    if is_code { "code" } else { "not code" }
}

impl Service for Classifications {
    type Asked = Route;
    type Answer = Ready;

    fn name(&self) -> String {
        "classifier".to_owned()
    }

    fn head(&mut self, head: &RequestHead<'_, '_>, _now: Instant) -> Route {
        let target = head.target.text().unwrap_or_default();
        match (target.split('?').next().unwrap_or(target), head.method) {
            ("/classify", "POST") => Route::Classify,
            ("/docs", "GET" | "HEAD") => Route::Docs,
            ("/classify", _) => Route::Method("Allow: POST\r\n"),
            ("/docs", _) => Route::Method("Allow: GET, HEAD\r\n"),
            _ => Route::Unknown,
        }
    }

    fn wants_body(asked: &Route) -> bool {
        *asked == Route::Classify
    }

    fn request(&mut self, asked: Route, body: &[u8], now: Instant) -> (Ready, Instant) {
        match asked {
            Route::Classify => self.classify(body, now).unwrap_or_else(|refusal| (refusal, now)),
            Route::Docs => {
                let content_type = "text/html; charset=utf-8";
                (Ready { status: 200, content_type, fields: "", body: DOCS.into() }, now)
            }
            Route::Unknown => (Ready::refusal(404, "there is only POST /classify and GET /docs"), now),
            Route::Method(fields) => {
                let detail = "POST /classify and GET /docs are the calls that there are";
                (Ready { fields, ..Ready::refusal(405, detail) }, now)
            }
        }
    }

    fn response<'a>(&'a mut self, answer: &'a Ready, _wall: WallTime) -> Option<Response<'a>> {
        let Ready { status, content_type, fields, ref body } = *answer;
        Some(Response { status, content_type, fields, body: body.as_bytes(), every: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn refusal(body: impl AsRef<[u8]>) -> (u16, String) {
        let mut classifier = Classifications::new(ClassifierOptions::default());
        let refusal = classifier.classify(body.as_ref(), Instant::ZERO).expect_err("a refusal");
        assert_eq!((refusal.content_type, refusal.fields), (JSON, ""));
        let body: Value = serde_json::from_str(&refusal.body).unwrap();
        (refusal.status, body["detail"].as_str().unwrap().to_owned())
    }

    /// The statuses, and how many results there are, of `number` requests with two sequences each.
    fn fates(options: ClassifierOptions, number: usize) -> Vec<(u16, usize)> {
        let mut classifier = Classifications::new(options);
        let mut fate = || {
            let (answer, _) = classifier.classify(br#"{"sequences":["a","b"]}"#, Instant::ZERO).unwrap();
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            (answer.status, body["results"].as_array().map_or(0, Vec::len))
        };
        (0..number).map(|_| fate()).collect()
    }

    #[test]
    fn code_is_what_holds_one_of_five_marks() {
        for text in ["a;", "{", "x}", "def f", "class A", "undef x", "\n;\n"] {
            assert_eq!(label(text), "code", "{text}");
        }
        for text in ["", "def", "class", "def\tf", "Class A", "plain words (with) [brackets]"] {
            assert_eq!(label(text), "not code", "{text}");
        }
    }

    #[test]
    fn each_sequence_gets_its_result_and_the_longest_sets_the_time() {
        let body = json!({ "sequences": ["a;", "äöü\u{1F600}x", "class A"], "model": 7 });
        let mut classifier = Classifications::new(ClassifierOptions::default());
        let (answer, due) = classifier.classify(body.to_string().as_bytes(), Instant::ZERO).unwrap();
        assert_eq!((answer.status, &*answer.body), (200, r#"{"results":["code","not code","code"]}"#));
        assert_eq!(due.as_nanos(), 7 * 7 * 1000);
        let escaped = br#"{"sequences":["\u007b\ud83d\ude00"]}"#;
        let (answer, due) = classifier.classify(escaped, Instant::ZERO).unwrap();
        assert_eq!((&*answer.body, due.as_nanos()), (r#"{"results":["code"]}"#, 4000));
    }

    #[test]
    fn one_to_five_sequences_are_needed() {
        let need = (400, "Need 1 - 5 sequences per request".to_owned());
        assert_eq!(refusal(r#"{"sequences":[]}"#), need);
        assert_eq!(refusal(json!({ "sequences": vec!["a"; 6] }).to_string()), need);
        let mut large = Classifications::new(ClassifierOptions { max_sequences: 32, ..Default::default() });
        let mut status = |number| {
            let body = json!({ "sequences": vec!["a"; number] }).to_string();
            large
                .classify(body.as_bytes(), Instant::ZERO)
                .map_or_else(|refusal| refusal.status, |(a, _)| a.status)
        };
        assert_eq!((status(32), status(33)), (200, 400));
    }

    #[test]
    fn another_shape_is_told_what_is_wrong() {
        for (body, why) in [
            ("", "EOF"),
            ("{", "EOF"),
            ("17", "invalid type"),
            (r#"["a"]"#, "it is an array"),
            (r#" [["a"]]"#, "it is an array"),
            ("{}", "missing field `sequences`"),
            (r#"{"sequences":"a"}"#, "expected a sequence at line 1 column 16"),
            (r#"{"sequences":["a",7]}"#, "invalid type: integer `7`"),
            (r#"{"sequences":[null]}"#, "invalid type: null"),
            (r#"{"sequences":["a"]} x"#, "trailing characters"),
            (r#"{"sequences":["a"],"sequences":["b"]}"#, "duplicate field"),
            (r#"{"sequences":["\ud800"]}"#, "unexpected end of hex escape"),
        ] {
            let (status, detail) = refusal(body);
            assert_eq!(status, 422, "{body}");
            assert!(detail.contains(why), "{body}: {detail}");
        }
        assert_eq!(refusal(b"{\"sequences\":[\"\xff\"]}").0, 422);
    }

    #[test]
    fn faults_come_at_their_rates_and_again_with_the_same_seed() {
        let both = ClassifierOptions { error_rate: 0.25, drop_results: 0.5, seed: 7, ..Default::default() };
        let all = fates(both.clone(), 4000);
        let share = |fate| all.iter().filter(|&&f| f == fate).count() as f64 / 4000.0;
        for (fate, expected) in [((500, 0), 0.25), ((200, 1), 0.375), ((200, 2), 0.375)] {
            // Five standard deviations.
            assert!((share(fate) - expected).abs() < 0.04, "{fate:?}: {}", share(fate));
        }
        assert_eq!(fates(both.clone(), 4000), all);
        assert_ne!(fates(ClassifierOptions { seed: 8, ..both.clone() }, 4000), all);
        let errors_only = fates(ClassifierOptions { drop_results: 0.0, ..both }, 4000);
        assert!(
            all.iter().zip(&errors_only).all(|(a, b)| a.0 == b.0),
            "the other rate changes whom this one hits"
        );
        let always = ClassifierOptions { error_rate: 1.0, ..Default::default() };
        assert!(fates(always, 100).iter().all(|&(status, _)| status == 500));
        assert!(fates(ClassifierOptions::default(), 100).iter().all(|&fate| fate == (200, 2)));
    }
}
