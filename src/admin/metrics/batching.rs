//! The metrics of batching.
//!
//! Here: names, helps, labels. Customers are told apart as far as `telemetry` does, all others together. Floor 3.

use std::fmt;

use super::families::one;
use super::series::{Distribution, Labels, Series};
use crate::batch::{self, CustomerFigures, Figures, FlushReason, StrategyName};
use crate::telemetry::BatchingState;

/// How many customers have series of their own.
const CUSTOMERS: usize = 20;

pub(super) fn encode(state: &BatchingState, series: &mut Series<'_>) -> fmt::Result {
    queue(state, series)?;
    batches(&state.figures, series)?;
    ends(state, series)?;
    customers(state, series)
}

fn queue(state: &BatchingState, series: &mut Series<'_>) -> fmt::Result {
    let oldest = state.oldest_age.map_or(0.0, |age| age.as_secs_f64());
    series.gauge("tidegate_queue_depth", "Requests that wait to be batched.", one(state.depth as u64))?;
    series.gauge("tidegate_queue_oldest_seconds", "How long the oldest of them has waited.", one(oldest))?;
    series.gauge(
        "tidegate_queue_bytes",
        "Bytes set aside for bodies that come, wait or are in flight.",
        one(state.bytes as u64),
    )?;
    series.gauge("tidegate_queue_bytes_limit", "How many that may be.", one(state.bytes_limit as u64))?;
    series.gauge(
        "tidegate_queue_made_bytes",
        "Bytes set aside for messages to classifiers, their answers, and answers that clients do not read.",
        one(state.bytes_made as u64),
    )?;
    series.gauge("tidegate_batches_in_flight", "Batches in flight.", one(state.in_flight as u64))?;
    series.gauge(
        "tidegate_batches_in_flight_limit",
        "How many may be in flight.",
        one(state.most_in_flight as u64),
    )?;
    series.gauge(
        "tidegate_batch_strategy",
        "1 for the strategy in force.",
        StrategyName::ALL
            .map(|name| (vec![("strategy", name.name())], f64::from(u8::from(name == state.strategy)))),
    )
}

fn batches(figures: &Figures, series: &mut Series<'_>) -> fmt::Result {
    let by_flush = |of: fn(&batch::FlushFigures) -> &batch::Histogram, unit: f64| {
        FlushReason::ALL.map(|reason| {
            let labels: Labels<'_> = vec![("reason", reason.name())];
            (labels, distribution(of(figures.by_flush(reason)), unit))
        })
    };
    series.histogram(
        "tidegate_batch_size",
        "Sequences of a batch, by why it was sent.",
        by_flush(|of| &of.sequences, 1.0),
    )?;
    series.histogram(
        "tidegate_queue_seconds",
        "From the arrival of a request to the sending of its batch, by why that was sent.",
        by_flush(|of| &of.wait_us, 1e-6),
    )?;
    series.histogram(
        "tidegate_batch_duration_seconds",
        "From sending a batch to the end of its answer, by why it was sent.",
        by_flush(|of| &of.service_us, 1e-6),
    )?;
    let all = figures.characters + figures.wasted_characters;
    let waste = if all > 0 { figures.wasted_characters as f64 / all as f64 } else { 0.0 };
    series.gauge(
        "tidegate_batch_padding_waste_ratio",
        "Characters that padding to the longest of each batch adds, of all characters then.",
        one(waste),
    )
}

fn ends(state: &BatchingState, series: &mut Series<'_>) -> fmt::Result {
    let figures = &state.figures;
    for (name, help, value) in [
        ("tidegate_queue_accepted", "Requests that were queued.", figures.queued),
        (
            "tidegate_queue_cancelled",
            "Queued requests that ended before they were answered.",
            figures.cancelled,
        ),
        ("tidegate_batches_failed", "Batches that failed and were not sent again.", figures.failed),
        ("tidegate_batches_halved", "Batches that failed and were sent again in halves.", figures.halved),
    ] {
        series.counter(name, help, one(value))?;
    }
    series.counter(
        "tidegate_queue_rejected",
        "Requests that got no result, by the reason that their client was told.",
        state.rejections.iter().map(|(reason, &count)| (vec![("reason", *reason)], count as f64)),
    )?;
    let Some(estimate) = state.service else { return Ok(()) };
    let size: Labels<'_> = vec![("size", estimate.size)];
    for (name, help, value) in [
        (
            "tidegate_service_estimate_base_seconds",
            "What a batch of no size is expected to take.",
            estimate.base_s,
        ),
        (
            "tidegate_service_estimate_per_size_seconds",
            "What a batch is expected to take more for each unit of its size; the label tells what that is.",
            estimate.per_size_s,
        ),
        (
            "tidegate_service_estimate_error_seconds",
            "By how much predictions of batches have been wrong on average.",
            estimate.error_s,
        ),
    ] {
        series.gauge(name, help, [(size.clone(), value)])?;
    }
    Ok(())
}

fn customers(state: &BatchingState, series: &mut Series<'_>) -> fmt::Result {
    let (told, rest) = state.customers.split_at(state.customers.len().min(CUSTOMERS));
    let mut others = state.other_customers;
    rest.iter().for_each(|(_, figures)| others.add(*figures));
    // A customer may call itself anything, `other` too; the second label tells them apart.
    let by_customer = |value: fn(&CustomerFigures) -> f64| {
        let own = told
            .iter()
            .map(move |(name, figures)| (vec![("customer", name.as_str()), ("kind", "one")], value(figures)));
        own.chain([(vec![("customer", "other"), ("kind", "others")], value(&others))])
    };
    series.counter(
        "tidegate_customer_sequences",
        "Sequences sent to the classifier, of the customers with most work, and of all others together.",
        by_customer(|figures| figures.sequences as f64),
    )?;
    series.counter(
        "tidegate_customer_work_seconds",
        "Its share of the time of the batches that it was in.",
        by_customer(|figures| figures.work.as_secs_f64()),
    )
}

fn distribution(histogram: &batch::Histogram, unit: f64) -> Distribution {
    let bound =
        |bound: Option<u64>| bound.map_or(f64::INFINITY, |bound| (bound as f64 * unit * 1e9).round() / 1e9);
    let buckets = histogram.buckets();
    Distribution {
        sum: histogram.sum() as f64 * unit,
        buckets: buckets.map(|(upper, count)| (bound(upper), count)).collect(),
    }
}
