//! Tests of the kinds of values.

use std::fmt::Debug;

use proptest::prelude::*;

use super::*;
use crate::time::LONGEST_SPAN;

fn refused<T: Value + Debug>(text: &str) -> String {
    T::parse(text).expect_err(text)
}

#[test]
fn durations_carry_a_unit() {
    for (text, expected_ms) in
        [("250ms", 250.0), ("10s", 1e4), ("2m", 1.2e5), ("1h", 3.6e6), ("1.5s", 1500.0)]
    {
        assert_eq!(Period::parse(text).unwrap().0.as_secs_f64() * 1e3, expected_ms, "{text}");
    }
    assert_eq!(Period::parse("0.5us").unwrap().0, Duration::from_nanos(500));
}

#[test]
fn a_bare_number_is_refused_with_the_unit_it_lacks() {
    assert_eq!(refused::<Period>("10"), "`10` needs a unit: 10s or 10ms, for instance");
    assert!(refused::<Grace>("0").contains("needs a unit"));
}

#[test]
fn what_is_no_duration_is_refused() {
    for text in ["", "s", "-1s", "1,5s", "1..5s", ".5s", "5.s", "10 s", "10d", "1m30s", "0s", "1e3s"] {
        refused::<Period>(text);
    }
    for text in ["9000h", "99999999999999999999s", "999999999999999999h"] {
        assert!(Period::parse(text).is_err(), "{text}");
    }
    assert_eq!(Grace::parse("0s"), Ok(Grace(Duration::ZERO)));
}

proptest! {
    #[test]
    fn a_shown_duration_reads_back(nanos in 1..LONGEST_SPAN.as_nanos() as u64) {
        let period = Period(Duration::from_nanos(nanos));
        prop_assert_eq!(Period::parse(&period.show()), Ok(period));
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC{0,12}") {
        let _ = (Period::parse(&text), SocketAddr::parse(&text), Weight::parse(&text));
        let _ = (BackendListen::parse(&text), Count::parse(&text), Share::parse(&text));
    }
}

#[test]
fn addresses_may_be_short() {
    assert_eq!(SocketAddr::parse(":8000").unwrap().to_string(), "0.0.0.0:8000");
    assert_eq!(SocketAddr::parse("localhost:8000").unwrap().to_string(), "127.0.0.1:8000");
    assert_eq!(SocketAddr::parse("[::1]:0").unwrap().to_string(), "[::1]:0");
    for text in ["", "8000", "localhost", ":", ":99999", "example.com:80", "::1:80:"] {
        refused::<SocketAddr>(text);
    }
}

#[test]
fn three_backends_have_three_addresses() {
    assert_eq!(BackendListen::parse(":1,:2,:3").unwrap().show(), "0.0.0.0:1,0.0.0.0:2,0.0.0.0:3");
    assert!(refused::<BackendListen>(":1,:2").contains("here are 2"));
    assert!(refused::<BackendListen>(":1,:2,x").contains("`x`"));
}

#[test]
fn weights_and_counts_have_bounds() {
    assert_eq!(Weight::parse("1"), Ok(Weight(1.0)));
    for text in ["0", "-0.1", "1.01", "nan", "inf", ""] {
        refused::<Weight>(text);
    }
    assert_eq!(Count::parse("1"), Ok(Count(1)));
    for text in ["0", "-1", "1.5", "1000001", ""] {
        refused::<Count>(text);
    }
}

#[test]
fn names_are_exact() {
    assert_eq!(LevelFilter::parse("warn"), Ok(LevelFilter::Warn));
    assert!(refused::<LevelFilter>("WARN").contains("expected error, warn"));
    assert!(refused::<RoutingMode>("adaptive-sma").contains("adaptive_sma"));
    assert!(refused::<RoutingGoal>("p99").contains("p95 or mean"));
    assert!(refused::<Switch>("yes").contains("neither on nor off"));
    assert_eq!(FileTarget::parse("off"), Ok(FileTarget::Off));
    assert_eq!(FileTarget::parse("./off"), Ok(FileTarget::Path("./off".into())));
    refused::<FileTarget>("");
}

#[test]
fn a_share_is_between_none_and_all() {
    for (text, share) in [("0", 0.0), ("0.25", 0.25), ("1", 1.0), ("1e-3", 0.001)] {
        assert_eq!(Share::parse(text), Ok(Share(share)));
    }
    for text in ["", "-0.1", "1.1", "5%", "NaN", "inf"] {
        assert!(refused::<Share>(text).contains("is not a number from 0 to 1"), "{text}");
    }
}
