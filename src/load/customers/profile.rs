//! What a customer asks for, and how often.
//!
//! Here: [`Customer`], with A and B of the contract, and the drawing of its requests. Pure: a request depends on the seed, the
//! customer's name and the request's number, never on time or on other customers. Not here: sending (`generator.rs`), reading
//! a customer from the command line (`config/`). Floor 3.

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// One who has texts classified.
#[derive(Clone, Debug, PartialEq)]
pub struct Customer {
    /// What `X-Customer-Id` says.
    pub name: String,
    /// How many sequences a request has, at least 1.
    pub sequences: RangeInclusive<u32>,
    /// How long each is.
    pub lengths: Lengths,
    /// How long it rests after an answer, in a closed loop.
    pub pause: Duration,
}

/// The lengths of sequences, in characters.
#[derive(Clone, Debug, PartialEq)]
pub enum Lengths {
    /// Any of these, all alike.
    Uniform(RangeInclusive<u32>),
    /// One of these, each with its share; the shares add up to 1.
    Mixed(Vec<(u32, f64)>),
}

/// What texts are made of; JSON needs no escapes for it.
const PROSE: &[u8] = b"abcdefghijklmnopqrstuvwxyz      ";
const CODE: &[u8] = b"abcdefghijklmnopqrstuvwxyz  (){};=";

impl Customer {
    /// Customer A: 1 to 3 snippets of 5 to 15 characters, 0.33 s after each answer.
    pub fn a() -> Customer {
        Customer {
            name: "A".to_owned(),
            sequences: 1..=3,
            lengths: Lengths::Uniform(5..=15),
            pause: Duration::from_millis(330),
        }
    }

    /// Customer B: 2 to 5 blocks, each 558 characters with probability 0.3, else 116; 0.67 s after each answer.
    pub fn b() -> Customer {
        Customer {
            name: "B".to_owned(),
            sequences: 2..=5,
            lengths: Lengths::Mixed(vec![(558, 0.3), (116, 0.7)]),
            pause: Duration::from_millis(670),
        }
    }

    /// The same under another name, with draws of its own.
    pub fn named(&self, name: String) -> Customer {
        Customer { name, ..self.clone() }
    }

    /// How many sequences request number `index` has.
    pub fn count(&self, seed: u64, index: u64) -> usize {
        self.draw_count(&mut self.rng(seed, index)) as usize
    }

    /// Appends the body of request number `index`: `{"sequences": ["...", ...]}`.
    pub fn write_body(&self, seed: u64, index: u64, out: &mut Vec<u8>) {
        let mut rng = self.rng(seed, index);
        let count = self.draw_count(&mut rng);
        out.extend_from_slice(b"{\"sequences\": [");
        for n in 0..count {
            out.extend_from_slice(if n == 0 { b"\"" } else { b", \"" });
            let length = self.lengths.draw(&mut rng);
            write_text(&mut rng, length, out);
            out.push(b'"');
        }
        out.extend_from_slice(b"]}");
    }

    fn draw_count(&self, rng: &mut Pcg64Mcg) -> u32 {
        rng.random_range(self.sequences.clone())
    }

    /// The seed of this customer's arrivals in an open loop.
    pub(super) fn seed_of_arrivals(&self, seed: u64) -> u64 {
        self.rng(seed, u64::MAX).random()
    }

    /// The generator of one request's draws: FNV-1a over seed, name and number.
    fn rng(&self, seed: u64, index: u64) -> Pcg64Mcg {
        let (seed, index) = (seed.to_le_bytes(), index.to_le_bytes());
        let bytes = seed.iter().chain(self.name.as_bytes()).chain(&index);
        let mixed = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Pcg64Mcg::seed_from_u64(mixed)
    }
}

impl Lengths {
    fn draw(&self, rng: &mut Pcg64Mcg) -> u32 {
        match self {
            Lengths::Uniform(range) => rng.random_range(range.clone()),
            Lengths::Mixed(shares) => {
                let mut left: f64 = rng.random();
                let chosen = shares.iter().find(|(_, share)| {
                    left -= share;
                    left < 0.0
                });
                // Rounding may leave a trifle beyond the last share.
                chosen.or(shares.last()).map_or(0, |&(length, _)| length)
            }
        }
    }
}

/// Every other text looks like code: it ends in a semicolon, at least.
fn write_text(rng: &mut Pcg64Mcg, length: u32, out: &mut Vec<u8>) {
    let is_code: bool = rng.random();
    let letters = if is_code { CODE } else { PROSE };
    out.extend((0..length).map(|_| letters[rng.random_range(0..letters.len() as u32) as usize]));
    if let Some(last) = out.last_mut().filter(|_| is_code && length > 0) {
        *last = b';';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(customer: &Customer, seed: u64, index: u64) -> Vec<String> {
        let mut body = Vec::new();
        customer.write_body(seed, index, &mut body);
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let texts: Vec<String> = serde_json::from_value(body["sequences"].clone()).unwrap();
        assert_eq!(texts.len(), customer.count(seed, index));
        texts
    }

    #[test]
    fn a_sends_one_to_three_snippets_of_5_to_15_characters() {
        let all: Vec<_> = (0..3000).map(|index| texts(&Customer::a(), 1, index)).collect();
        for count in 1..=3 {
            let share = all.iter().filter(|texts| texts.len() == count).count();
            assert!((850..1150).contains(&share), "{share} of 3000 have {count}");
        }
        let lengths = all.iter().flatten().map(String::len);
        assert_eq!((lengths.clone().min(), lengths.max()), (Some(5), Some(15)));
        let code = all.iter().flatten().filter(|text| text.contains(';')).count();
        let texts = all.iter().flatten().count();
        assert!((texts * 45 / 100..texts * 55 / 100).contains(&code), "{code} of {texts} are code");
    }

    #[test]
    fn b_sends_two_to_five_blocks_three_in_ten_of_them_long() {
        let all: Vec<_> = (0..3000).map(|index| texts(&Customer::b(), 1, index)).collect();
        assert!(all.iter().all(|texts| (2..=5).contains(&texts.len())));
        let (long, short): (Vec<_>, Vec<_>) = all.iter().flatten().partition(|text| text.len() == 558);
        assert!(short.iter().all(|text| text.len() == 116));
        let share = long.len() as f64 / (long.len() + short.len()) as f64;
        assert!((share - 0.3).abs() < 0.015, "{share}");
    }

    #[test]
    fn a_request_depends_on_seed_name_and_number_alone() {
        let a = Customer::a();
        assert_eq!(texts(&a, 1, 7), texts(&a, 1, 7));
        let others = [texts(&a, 2, 7), texts(&a, 1, 8), texts(&a.named("A2".to_owned()), 1, 7)];
        assert!(others.iter().all(|other| *other != texts(&a, 1, 7)));
    }
}
