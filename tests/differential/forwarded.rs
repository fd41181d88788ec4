//! What the proxy forwards of generated heads, for another parser to read: `h11_judge.py` runs this, and reads its output.
//!
//! `forwarded SEED HEADS` writes a record for each accepted head: method, target and framing as this proxy understands
//! them, and the head that it would send, each with its length before it as 4 bytes, the highest first. Framing is `none`,
//! `length N` or `chunked`. A last record of empty parts holds the number of refused heads in the place of the framing.

mod grammar;
#[path = "../fuzz/origin_form.rs"]
mod origin_form;

use std::io::{self, BufWriter, Write};

use tidegate::h1::BodyLength;
use tidegate::h1::request::{RequestHead, field_space};
use tidegate::h1::rewrite::{self, RequestContext};
use tidegate::h1::via::Via;

use origin_form::origin_form;

fn main() -> io::Result<()> {
    let mut arguments =
        std::env::args().skip(1).map(|text| text.parse().expect("usage: forwarded SEED HEADS"));
    let (seed, heads) = (arguments.next().unwrap_or(0), arguments.next().unwrap_or(1_000));
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    let mut refused = 0_u64;
    for serial in 0..heads {
        let came = grammar::head(seed, serial);
        let mut space = field_space();
        let head = match RequestHead::parse(&came, &mut space) {
            Ok(Some(head)) if head.max_forwards().is_ok() => head,
            _ => {
                refused += 1;
                continue;
            }
        };
        let mut sent = Vec::new();
        let context = RequestContext {
            client: b"192.0.2.7",
            authority: "backend:81",
            close: serial % 2 == 0,
            via: &Via::new(0),
            request_id: None,
        };
        rewrite::request(&head, &context, &mut sent);
        let framing = match head.body {
            BodyLength::None | BodyLength::UntilClose => "none".to_owned(),
            BodyLength::Exact(n) => format!("length {n}"),
            BodyLength::Chunked => "chunked".to_owned(),
        };
        record(&mut out, [head.method.as_bytes(), &origin_form(&head), framing.as_bytes(), &sent])?;
    }
    record(&mut out, [b"", b"", refused.to_string().as_bytes(), b""])?;
    out.flush()
}

fn record(out: &mut impl Write, parts: [&[u8]; 4]) -> io::Result<()> {
    parts.into_iter().try_for_each(|part| {
        out.write_all(&u32::try_from(part.len()).expect("a head").to_be_bytes())?;
        out.write_all(part)
    })
}
