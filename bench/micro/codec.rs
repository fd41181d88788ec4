//! Time to cut a request into elements, to merge a batch, and to cut and share out its answer.
//!
//! The requests have five sequences, as large as a batch may be: short lines as customer A's, blocks of 558
//! characters as customer B's, and the same blocks with every line end escaped, as code has it. The last request has
//! members beside, so that all of it is read twice.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidegate::codec::{HeadKey, Shape, Span, merge, parse, split, write_answer};

const ANSWER: &[u8] = br#"{"results":["code","not code","code","code","not code"]}"#;

fn request(sequence: &str, members: &str) -> String {
    format!("{{{members}\"sequences\": [{}]}}", vec![format!("\"{sequence}\""); 5].join(", "))
}

fn bodies() -> [(&'static str, String); 4] {
    let block = "let total = rows.iter().sum(); ".repeat(18);
    [
        ("short", request("x = 1;", "")),
        ("long", request(&block, "")),
        ("long, escaped", request(&block.replace("; ", ";\\n"), "")),
        ("long, members", request(&block, "\"model\": \"bert\", \"top_k\": 3, ")),
    ]
}

fn codec(c: &mut Criterion) {
    let shape = Shape::classify();
    let mut out = Vec::with_capacity(16 * 1024);
    let mut spans: Vec<Span> = Vec::with_capacity(5);
    for (name, body) in bodies() {
        let body = body.as_bytes();
        let read = |body| {
            parse(body, &shape, 5, HeadKey::new(&shape, "/proxy_classify", &[])).expect("a good request")
        };
        let mut group = c.benchmark_group(format!("codec {name}"));
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function("parse", |b| b.iter(|| read(black_box(body))));
        group.bench_function("parse, merge, split, answer", |b| {
            b.iter(|| {
                let parsed = read(black_box(body));
                out.clear();
                merge(&shape, &parsed.key, parsed.elements.iter().map(|e| e.span.of_body(body)), &mut out);
                black_box(out.len());
                spans.clear();
                split(black_box(ANSWER), &shape, 5, &mut spans).expect("a good answer");
                out.clear();
                write_answer(&shape, spans.iter().map(|span| span.of_body(ANSWER)), 12, &mut out);
                black_box(out.len())
            });
        });
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);
