//! The reader of chunked bodies beside a naive model, whole and in pieces.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use tidegate::h1::BodyLength;
use tidegate::h1::body::BodyReader;

use super::strict::{self, Body};

/// Checks the chunked coding of a body and what follows it; says what became of it.
pub(crate) fn check(wire: &[u8]) -> String {
    let whole = read(wire, &[wire.len()]);
    let singly: Vec<_> = (1..=wire.len()).collect();
    assert_eq!(read(wire, &singly), whole, "byte by byte");
    // Equal bytes give equal cuts, so that a finding is its own replay.
    let seed = wire.iter().fold(0, |hash: u64, &b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let mut random = Pcg64::seed_from_u64(seed);
    let mut cuts: Vec<_> = (0..4).map(|_| random.random_range(0..=wire.len())).collect();
    cuts.push(wire.len());
    cuts.sort_unstable();
    assert_eq!(read(wire, &cuts), whole, "cut at {cuts:?}");

    match (strict::chunked(wire), whole) {
        (Ok(model), Some(body)) => {
            assert_eq!(body, model);
            format!(
                "done {}, {} bytes, {} behind",
                body.done,
                body.data.len().min(9),
                body.consumed < wire.len()
            )
        }
        (Err(what), None) => what.split('"').next().unwrap_or_default().to_owned(),
        (model, body) => panic!("model: {model:?}, reader: {body:?}"),
    }
}

/// Reads in pieces that end at `cuts`; none if it is refused.
fn read(wire: &[u8], cuts: &[usize]) -> Option<Body> {
    let mut reader = BodyReader::new(BodyLength::Chunked);
    let mut body = Body { data: Vec::new(), consumed: 0, done: false };
    let mut from = 0;
    for &to in cuts {
        let mut piece = wire[from..to].to_vec();
        let taken = reader.read(&mut piece).ok()?;
        body.data.extend_from_slice(&piece[taken.data]);
        body.consumed += taken.consumed;
        from = to;
        if reader.is_done() {
            break;
        }
        assert_eq!(body.consumed, to, "bytes are left of a body that goes on");
    }
    body.done = reader.is_done();
    Some(body)
}
