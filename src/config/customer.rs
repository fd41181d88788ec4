//! Customers on the command line.
//!
//! Here: reading and showing them as `NAME=2..5x558@0.3|116,0.67s`. Not here: what a customer does (`load/customers/`). Floor 5.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::values::{Grace, Value};
use crate::load::customers::{Customer, Lengths};

/// The most sequences of a request and characters of a sequence: a slip of the pen must not fill the memory.
const MOST_SEQUENCES: u32 = 1_000;
const LONGEST: u32 = 100_000;

impl Value for Customer {
    const EXPECTED: &'static str =
        "A, B, or NAME=SEQUENCESxCHARACTERS,PAUSE such as C=1..3x5..15,0.33s or D=2..5x558@0.3|116,0.67s";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "A" => return Ok(Customer::a()),
            "B" => return Ok(Customer::b()),
            _ => {}
        }
        let bad = |why: String| format!("bad customer `{text}`: {why}");
        let parts = text.split_once('=').and_then(|(name, rest)| Some((name, rest.split_once(',')?)));
        let Some((name, (requests, pause))) = parts else {
            return Err(bad(format!("expected {}", Customer::EXPECTED)));
        };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
            return Err(bad(format!("the name `{name}` must be of letters, digits, `-`, `.` and `_`")));
        }
        let Some((sequences, lengths)) = requests.split_once('x') else {
            return Err(bad(format!("`{requests}` is not SEQUENCESxCHARACTERS, such as 1..3x5..15")));
        };
        let sequences = range(sequences, "sequences", MOST_SEQUENCES).map_err(bad)?;
        let lengths = lengths_of(lengths).map_err(bad)?;
        let pause = Grace::parse(pause).map_err(bad)?.0;
        Ok(Customer { name: name.to_owned(), sequences, lengths, pause })
    }

    fn show(&self) -> String {
        let lengths = match &self.lengths {
            Lengths::Uniform(range) => show_range(range),
            Lengths::Mixed(shares) => {
                let shown: Vec<_> =
                    shares.iter().map(|(length, share)| format!("{length}@{share}")).collect();
                shown.join("|")
            }
        };
        let Customer { name, sequences, pause, .. } = self;
        format!("{name}={}x{lengths},{}", show_range(sequences), Grace(*pause).show())
    }
}

fn show_range(range: &RangeInclusive<u32>) -> String {
    format!("{}..{}", range.start(), range.end())
}

fn number<T: FromStr + PartialOrd + Display>(text: &str, what: &str, least: T, most: T) -> Result<T, String> {
    let number = text.parse().ok().filter(|number| (&least..=&most).contains(&number));
    number.ok_or_else(|| format!("`{text}` is not a number of {what} from {least} to {most}"))
}

/// `3` or `1..3`.
fn range(text: &str, what: &str, most: u32) -> Result<RangeInclusive<u32>, String> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let (from, to) = (number(from, what, 1, most)?, number(to, what, 1, most)?);
    if from > to {
        return Err(format!("`{text}` ends before it begins"));
    }
    Ok(from..=to)
}

/// `5..15`, or `558@0.3|116`: those without a share of their own have what is left, in equal parts.
fn lengths_of(text: &str) -> Result<Lengths, String> {
    if !text.contains(['|', '@']) {
        return range(text, "characters", LONGEST).map(Lengths::Uniform);
    }
    let mut shares = Vec::new();
    for part in text.split('|') {
        let (length, share) = match part.split_once('@') {
            Some((length, share)) => (length, Some(number(share, "parts of one", 0.0, 1.0)?)),
            None => (part, None),
        };
        shares.push((number(length, "characters", 1, LONGEST)?, share));
    }
    let left = 1.0 - shares.iter().filter_map(|(_, share)| *share).sum::<f64>();
    let open = shares.iter().filter(|(_, share)| share.is_none()).count();
    if left < -1e-9 || (open == 0 && left > 1e-9) {
        return Err(format!("the shares of `{text}` do not add up to 1"));
    }
    let each = left.max(0.0) / open.max(1) as f64;
    Ok(Lengths::Mixed(shares.into_iter().map(|(length, share)| (length, share.unwrap_or(each))).collect()))
}

/// As many copies of each customer, called NAME-1, NAME-2 and so on; one alone keeps its name.
///
/// # Errors
/// When two would have one name.
pub fn crowd(customers: &[Customer], copies: usize) -> Result<Vec<Customer>, String> {
    let named = |customer: &Customer, n: usize| match copies {
        1 => customer.clone(),
        _ => customer.named(format!("{}-{}", customer.name, n + 1)),
    };
    let all: Vec<_> = customers.iter().flat_map(|c| (0..copies).map(move |n| named(c, n))).collect();
    let mut names: Vec<_> = all.iter().map(|customer| customer.name.to_lowercase()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("two customers are called `{}` (case does not count)", pair[0])),
        None => Ok(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn a_and_b_can_be_written_out() {
        let unnamed = |text: &str, name: &str| Customer::parse(text).unwrap().named(name.to_owned());
        assert_eq!(unnamed("C=1..3x5..15,0.33s", "A"), Customer::a());
        assert_eq!(unnamed("D=2..5x558@0.3|116,670ms", "B"), Customer::b());
        assert_eq!((Customer::parse("A"), Customer::parse("B")), (Ok(Customer::a()), Ok(Customer::b())));
        let plain = Customer::parse("x-1=4x100,0s").unwrap();
        assert_eq!(
            (plain.sequences, plain.lengths, plain.pause),
            (4..=4, Lengths::Uniform(100..=100), Duration::ZERO)
        );
        let thirds = Customer::parse("t=1x5|6|7@0.5,1s").unwrap().lengths;
        assert_eq!(thirds, Lengths::Mixed(vec![(5, 0.25), (6, 0.25), (7, 0.5)]));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, why) in [
            ("C", "expected A, B, or NAME="),
            ("C=1x5", "expected A, B, or NAME="),
            ("=1x5,1s", "the name `` must be"),
            ("C\r=1x5,1s", "the name `C\r` must be"),
            ("C=3,1s", "`3` is not SEQUENCESxCHARACTERS"),
            ("C=0x5,1s", "`0` is not a number of sequences from 1 to 1000"),
            ("C=3..1x5,1s", "`3..1` ends before it begins"),
            ("C=1x5..,1s", "`` is not a number of characters"),
            ("C=1x9999999,1s", "from 1 to 100000"),
            ("C=1x5@0.5|6@0.4,1s", "do not add up to 1"),
            ("C=1x5@0.8|6@0.4|7,1s", "do not add up to 1"),
            ("C=1x5@2|6,1s", "`2` is not a number of parts of one from 0 to 1"),
            ("C=1x5,1", "needs a unit"),
        ] {
            let error = Customer::parse(text).expect_err(text);
            assert!(error.contains(&format!("`{text}`")) && error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn copies_are_numbered_and_names_differ() {
        let names = |customers: &[Customer], copies| {
            crowd(customers, copies).map(|all| all.into_iter().map(|c| c.name).collect::<Vec<_>>())
        };
        let two = [Customer::a(), Customer::b()];
        assert_eq!(names(&two, 1).unwrap(), ["A", "B"]);
        assert_eq!(names(&two, 2).unwrap(), ["A-1", "A-2", "B-1", "B-2"]);
        let same = [Customer::a(), Customer::a().named("a".to_owned())];
        assert!(names(&same, 3).unwrap_err().contains("called `a-1`"));
    }

    proptest! {
        #[test]
        fn a_shown_customer_reads_back(n in 1..9u32, m in 0..9u32, length in 1..999u32, share in 0.0..1.0f64, ms in 0..5000u64) {
            for lengths in [Lengths::Uniform(length..=length + m), Lengths::Mixed(vec![(length, share), (7, 1.0 - share)])] {
                let pause = Duration::from_millis(ms);
                let customer = Customer { name: "n".to_owned(), sequences: n..=n + m, lengths, pause };
                prop_assert_eq!(Customer::parse(&customer.show()), Ok(customer));
            }
        }
    }
}
