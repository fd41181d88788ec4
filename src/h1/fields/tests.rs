//! Names of fields, schemes of logins, and sets of positions.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const KNOWN: [(&str, Field); 19] = [
    ("te", Field::Te),
    ("via", Field::Via),
    ("host", Field::Host),
    ("date", Field::Date),
    ("expect", Field::Expect),
    ("upgrade", Field::Upgrade),
    ("trailer", Field::Trailer),
    ("connection", Field::Connection),
    ("keep-alive", Field::KeepAlive),
    ("content-length", Field::ContentLength),
    ("x-forwarded-for", Field::XForwardedFor),
    ("proxy-connection", Field::ProxyConnection),
    ("x-forwarded-host", Field::XForwardedHost),
    ("transfer-encoding", Field::TransferEncoding),
    ("x-forwarded-proto", Field::XForwardedProto),
    ("authorization", Field::Credentials),
    ("proxy-authorization", Field::Credentials),
    ("www-authenticate", Field::Challenge),
    ("proxy-authenticate", Field::Challenge),
];

/// Each byte is compared, whatever word it is in: another letter anywhere makes another name.
#[test]
fn a_name_is_known_in_any_case_and_not_with_a_letter_changed() {
    for (name, known) in KNOWN {
        assert_eq!((field(name), field(&name.to_uppercase())), (known, known), "{name}");
        for at in 0..name.len() {
            let mut capital = name.to_owned();
            capital[at..=at].make_ascii_uppercase();
            assert_eq!(field(&capital), known);
            capital.replace_range(at..=at, "q");
            assert_eq!(field(&capital), Field::Other, "{capital}");
        }
    }
}

#[test]
fn schemes_of_connections_are_known_in_any_case_and_place() {
    let offered = |value: &str| has_connection_scheme(value.as_bytes(), usize::MAX);
    for value in ["NTLM", "Negotiate", "negotiate oYG", "Basic realm=\"x\", ntlm", "Basic realm=\"x\",NTLM"] {
        assert!(offered(value), "{value}");
    }
    for value in ["", "Basic realm=\"NTLM\"", "Digest realm=\"a\", nonce=\"b\"", "NTLMv9", "Nego"] {
        assert!(!offered(value), "{value}");
    }
    assert!(has_connection_scheme(b"NEGOTIATE YII", 1) && !has_connection_scheme(b"Bearer ntlm", 1));
}

proptest! {
    #[test]
    fn a_set_is_a_set(
        positions in prop::collection::btree_set(0..128usize, 0..20),
        others in prop::collection::btree_set(0..128usize, 0..20),
    ) {
        let set = |positions: &BTreeSet<usize>| {
            let mut set = FieldSet::default();
            positions.iter().for_each(|&position| set.insert(position));
            set
        };
        let union = set(&positions).union(set(&others));
        let model: Vec<usize> = positions.union(&others).copied().collect();
        let mut each = Vec::new();
        union.for_each(|position| each.push(position));
        prop_assert_eq!(&each, &model);
        prop_assert_eq!(union.positions().collect::<Vec<_>>(), model.clone());
        prop_assert_eq!(union.is_empty(), model.is_empty());
        prop_assert!((0..128).all(|position| union.contains(position) == model.contains(&position)));
    }
}
