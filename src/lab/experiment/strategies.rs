//! What an experiment with strategies shows besides the report: the contract's picture and summary.
//!
//! Here: from what was seen of each customer to `lab/batching/`. Not here: files (`conduct.rs`). Floor 4.

use std::time::Duration;

use super::outcome::{Outcome, Rows};
use super::rows::Observed;
use super::{Demand, Study};
use crate::lab::batching::{CustomerSeries, Served, Strategy};

/// What each customer got with each variant, all repeats together; of one that was cut short, what it got by then.
pub(super) fn strategies(study: &Study, played: &[(Outcome, String)]) -> Vec<Strategy> {
    let Demand::Customers { customers, .. } = &study.demand else { return Vec::new() };
    let strategy = |(n, variant): (usize, &super::Variant)| {
        let of_variant = played.iter().map(|(outcome, _)| outcome).filter(|outcome| outcome.run.variant == n);
        let rows: Vec<&Observed> = of_variant.flat_map(|outcome| seen(study, outcome)).collect();
        let series = |(source, (customer, _)): (usize, &(_, _))| {
            let customer: &crate::load::customers::Customer = customer;
            series(
                study.warm_up,
                &customer.name,
                rows.iter().copied().filter(|row| row.request.source == source),
            )
        };
        Strategy { name: variant.name.clone(), customers: customers.iter().enumerate().map(series).collect() }
    };
    study.variants.iter().enumerate().map(strategy).collect()
}

/// The rows that figures are taken of.
fn seen<'a>(study: &'a Study, outcome: &'a Outcome) -> impl Iterator<Item = &'a Observed> {
    let rows = match &outcome.rows {
        Rows::Seen(rows) => rows.as_slice(),
        Rows::Logged { .. } => &[],
    };
    rows.iter().filter(|row| outcome.counts(study, row))
}

fn series<'a>(from: Duration, name: &str, rows: impl Iterator<Item = &'a Observed>) -> CustomerSeries {
    let mut series = CustomerSeries { name: name.to_owned(), ..CustomerSeries::default() };
    for row in rows {
        match row.outcome {
            Ok(200) => {
                let at = row.ended.saturating_sub(from);
                series.requests.push(Served { at, latency: row.corrected() });
            }
            _ => series.errors += 1,
        }
    }
    series
}
