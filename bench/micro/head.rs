//! Time to parse a head and to write the head that is forwarded.
//!
//! A small request is what wrk sends; a large one is a browser's. The response is that of a simulated backend.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidegate::h1::Version;
use tidegate::h1::coding::Coding;
use tidegate::h1::persistence::Persistence;
use tidegate::h1::request::{RequestHead, field_space};
use tidegate::h1::response::ResponseHead;
use tidegate::h1::rewrite::{self, RequestContext, ResponseContext};
use tidegate::h1::via::Via;

const SMALL: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost:9090\r\n\r\n";

const LARGE: &[u8] = b"GET /shop/items?category=17&sort=price&page=3 HTTP/1.1\r\nHost: shop.example.com\r\n\
Connection: keep-alive\r\nCache-Control: max-age=0\r\nsec-ch-ua-mobile: ?0\r\nUpgrade-Insecure-Requests: 1\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\
Referer: https://shop.example.com/shop/items?category=17\r\nAccept-Encoding: gzip, deflate, br\r\n\
Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=1\r\n\
If-None-Match: W/\"5f-1889f8d3b70\"\r\n\r\n";

const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 32\r\n\
Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";

fn head(c: &mut Criterion) {
    let mut out = Vec::with_capacity(64 * 1024);
    for (name, bytes) in [("small", SMALL), ("browser", LARGE)] {
        let mut group = c.benchmark_group(format!("request {name}"));
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("parse", |b| {
            b.iter(|| {
                let mut space = field_space();
                let head =
                    RequestHead::parse(black_box(bytes), &mut space).expect("valid").expect("complete");
                black_box(head.len)
            });
        });
        group.bench_function("parse and rewrite", |b| {
            let via = Via::new(1);
            let context = RequestContext {
                client: b"127.0.0.1",
                authority: "localhost:8081",
                close: false,
                via: &via,
                request_id: None,
            };
            b.iter(|| {
                let mut space = field_space();
                let head =
                    RequestHead::parse(black_box(bytes), &mut space).expect("valid").expect("complete");
                out.clear();
                rewrite::request(&head, &context, &mut out);
                black_box(out.len())
            });
        });
    }
    let mut group = c.benchmark_group("response");
    group.throughput(Throughput::Bytes(RESPONSE.len() as u64));
    group.bench_function("parse and rewrite", |b| {
        let context = ResponseContext {
            version: Version::Http11,
            coding: Coding::Identity,
            persistence: Persistence::KeepAlive,
            date: "Sun, 06 Nov 1994 08:49:37 GMT",
            told: None,
        };
        b.iter(|| {
            let mut space = field_space();
            let head = ResponseHead::parse(black_box(RESPONSE), false, &mut space)
                .expect("valid")
                .expect("complete");
            out.clear();
            rewrite::response(&head, &context, &mut out);
            black_box(out.len())
        });
    });
}

criterion_group!(benches, head);
criterion_main!(benches);
