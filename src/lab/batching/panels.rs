//! The picture of an experiment with strategies: four panels.
//!
//! Here: what stands in them. Not here: how they are drawn (`plot/`). Floor 4.

use super::{Conditions, Served, Strategy};
use crate::lab::plot::{
    Axis, Bar, BarChart, BoxFigures, BoxPlot, Cell, Grid, Group, Histogram, Lane, Lanes, Picture, PlotError,
    Scale, shares,
};
use crate::lab::report::in_order;
use crate::lab::statistics::{Interval, deviation, mean};
use crate::lab::table::grouped;

/// Bars of a histogram that a panel has room for, and how many bins that may make.
const BARS: usize = 96;
const BINS: std::ops::RangeInclusive<usize> = 8..=24;

/// The picture of `…_latency_comparison.png`: histogram of latency per strategy; mean with standard deviation per customer
/// and strategy; latency over time per customer and strategy; box plot per strategy.
///
/// # Errors
/// Those of drawing.
pub fn picture(strategies: &[Strategy], conditions: &Conditions) -> Result<Picture, PlotError> {
    let latencies: Vec<Vec<f64>> = strategies.iter().map(Strategy::latencies_ms).collect();
    let mut all = latencies.concat();
    all.sort_unstable_by(f64::total_cmp);
    let axis = Axis::suiting(&all);
    let latency = match axis.scale() {
        Scale::Linear => "latency (ms)",
        Scale::Log => "latency (ms, logarithmic)",
    };
    let customers = customers(strategies);
    let title = |letter: char, words: &str| format!("({letter}) {words}");
    let cells = vec![
        (title('a', "Histogram of latency"), histogram(&latencies, axis, latency)),
        (
            title('b', "Mean latency of each customer (whiskers: ± standard deviation, cut at 0)"),
            means(strategies, &customers),
        ),
        (title('c', "Latency over time"), over_time(strategies, &customers, axis, latency)),
        (
            title('d', "Box plot of latency (box: quartiles, whiskers: within 1.5 × IQR)"),
            boxes(strategies, &latencies, axis, latency),
        ),
    ];
    let counted = |(strategy, latencies): (&Strategy, &Vec<f64>)| {
        format!("{} (n = {})", strategy.name, grouped(&latencies.len().to_string()))
    };
    let grid = Grid {
        title: "Latency by batching strategy".to_owned(),
        note: note(strategies, conditions),
        colors: strategies.iter().zip(&latencies).map(counted).collect(),
        marks: customers.iter().map(|name| format!("customer {name}")).collect(),
        cells,
    };
    grid.draw()
}

/// The names of all customers, in the order in which they first occur.
fn customers(strategies: &[Strategy]) -> Vec<&str> {
    in_order(
        strategies.iter().flat_map(|strategy| &strategy.customers).map(|customer| customer.name.as_str()),
    )
}

fn note(strategies: &[Strategy], conditions: &Conditions) -> String {
    let mut parts = vec![format!("{} s of each strategy", conditions.length.as_secs_f64())];
    if conditions.repeats > 1 {
        parts.push(format!("{} repeats taken together", conditions.repeats));
    }
    if conditions.simulated {
        parts.push("simulated, in virtual time".to_owned());
    }
    let errors = strategies.iter().filter(|strategy| strategy.errors() > 0);
    let errors: Vec<_> = errors.map(|strategy| format!("{} {}", strategy.name, strategy.errors())).collect();
    if !errors.is_empty() {
        parts.push(format!("requests without results, not shown: {}", errors.join(", ")));
    }
    parts.join("; ")
}

fn histogram(latencies: &[Vec<f64>], axis: Axis, latency: &str) -> Cell {
    let bins = (BARS / latencies.len().max(1)).clamp(*BINS.start(), *BINS.end());
    Cell::Histogram(Histogram {
        axis,
        x_axis: latency.to_owned(),
        y_axis: "share of the strategy's requests (%)".to_owned(),
        shares: latencies.iter().map(|latencies| shares(latencies, &axis, bins)).collect(),
    })
}

fn means(strategies: &[Strategy], customers: &[&str]) -> Cell {
    let bar = |strategy: &Strategy, name: &str| {
        let latencies = strategy.of_customer(name).map(Served::latency_ms).collect::<Vec<_>>();
        let value = mean(&latencies)?;
        Some(Bar { value, interval: deviation(&latencies).map(|reach| Interval::around(value, reach)) })
    };
    let group = |&name: &&str| Group {
        name: name.to_owned(),
        bars: strategies.iter().map(|strategy| bar(strategy, name)).collect(),
    };
    Cell::Bars(BarChart {
        title: String::new(),
        note: String::new(),
        axis: "mean latency (ms)".to_owned(),
        decimals: 1,
        series: strategies.iter().map(|strategy| strategy.name.clone()).collect(),
        groups_axis: Some("customer".to_owned()),
        groups: customers.iter().map(group).collect(),
    })
}

fn over_time(strategies: &[Strategy], customers: &[&str], axis: Axis, latency: &str) -> Cell {
    let ends =
        strategies.iter().flat_map(|strategy| &strategy.customers).flat_map(|customer| &customer.requests);
    let last_s = ends.map(|served| served.at.as_secs_f64()).fold(0.0, f64::max);
    let point = |served: &Served| (served.at.as_secs_f64(), served.latency_ms());
    let lane = |strategy: &Strategy| Lane {
        name: strategy.name.clone(),
        points: customers.iter().map(|name| strategy.of_customer(name).map(point).collect()).collect(),
    };
    Cell::Lanes(Lanes {
        x: Axis::from_zero(last_s),
        x_axis: "end of the request, since the start of its strategy (s)".to_owned(),
        y: axis,
        y_axis: latency.to_owned(),
        lanes: strategies.iter().map(lane).collect(),
    })
}

fn boxes(strategies: &[Strategy], latencies: &[Vec<f64>], axis: Axis, latency: &str) -> Cell {
    let figures = latencies.iter().map(|latencies| BoxFigures::of(latencies));
    Cell::Boxes(BoxPlot {
        axis,
        x_axis: "strategy".to_owned(),
        y_axis: latency.to_owned(),
        boxes: strategies.iter().map(|strategy| strategy.name.clone()).zip(figures).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::civil::date;
    use proptest::prelude::{Strategy as _, *};

    use super::*;
    use crate::lab::batching::{CustomerSeries, Strategy, picture as draw};

    fn conditions() -> Conditions {
        Conditions {
            generated: date(2025, 6, 14).at(16, 47, 55, 0),
            length: Duration::from_secs(30),
            repeats: 1,
            simulated: false,
        }
    }

    fn strategy(name: &str, customers: &[(&str, &[f64], u64)]) -> Strategy {
        let served = |(n, &ms): (usize, &f64)| Served {
            at: Duration::from_secs(n as u64),
            latency: Duration::from_secs_f64(ms / 1e3),
        };
        let series = |&(name, latencies, errors): &(&str, &[f64], u64)| CustomerSeries {
            name: name.to_owned(),
            requests: latencies.iter().enumerate().map(served).collect(),
            errors,
        };
        Strategy { name: name.to_owned(), customers: customers.iter().map(series).collect() }
    }

    #[test]
    fn the_picture_tells_who_what_and_in_which_units() {
        let strategies = [
            strategy("sjf", &[("A", &[0.3, 0.4, 90.0], 0), ("B", &[311.0], 2)]),
            strategy("fair", &[("A", &[], 0), ("B", &[], 0)]),
        ];
        let together = Conditions { repeats: 3, simulated: true, ..conditions() };
        let picture = draw(&strategies, &together).unwrap();
        for text in [
            "30 s of each strategy; 3 repeats taken together; simulated, in virtual time; requests without results, not shown: sjf 2",
            "sjf (n = 4)",
            "fair (n = 0)",
            "customer A",
            "customer B",
            "(a) Histogram",
            "(b) Mean",
            "(c) Latency over time",
            "(d) Box plot",
            "latency (ms, logarithmic)",
            "share of the strategy's requests (%)",
            "mean latency (ms)",
            "since the start of its strategy (s)",
            ">\n311.0\n<",
            "nothing measured",
        ] {
            let escaped = text.replace('\'', "&apos;");
            assert!(picture.svg().contains(text) || picture.svg().contains(&escaped), "{text} is missing");
        }
        let plain = draw(&strategies[1..], &conditions()).unwrap();
        assert!(plain.svg().contains(">\n30 s of each strategy\n<"));
    }

    #[test]
    fn a_mean_without_deviation_has_no_whisker() {
        let one = [strategy("sjf", &[("A", &[5.0], 0), ("B", &[5.0, 7.0], 0)])];
        let Cell::Bars(chart) = means(&one, &["A", "B"]) else { panic!("no bars") };
        let bars: Vec<Bar> = chart.groups.iter().map(|group| group.bars[0].unwrap()).collect();
        assert_eq!(bars[0], Bar { value: 5.0, interval: None });
        assert_eq!(bars[1].value, 6.0);
        assert!((bars[1].interval.unwrap().high - (6.0 + 2f64.sqrt())).abs() < 1e-9);
    }

    /// Everyone at the same moment: two points for each customer, in any number of requests.
    #[test]
    fn long_runs_make_no_large_pictures() {
        let latencies: Vec<f64> = (0..20_000).map(|n| if n % 2 == 0 { 0.5 } else { 300.0 }).collect();
        let mut many = strategy("sjf", &[("A", &latencies, 0)]);
        many.customers[0].requests.iter_mut().for_each(|served| served.at = Duration::from_secs(1));
        let size = draw(&[many], &conditions()).unwrap().svg().len();
        assert!(size < 50_000, "{size} bytes");
    }

    fn duration() -> impl proptest::strategy::Strategy<Value = Duration> {
        prop_oneof![
            Just(Duration::ZERO),
            Just(Duration::MAX),
            Just(Duration::from_nanos(1)),
            any::<u64>().prop_map(Duration::from_nanos),
            (0..400_000_000u64).prop_map(Duration::from_nanos),
        ]
    }

    fn any_customer() -> impl proptest::strategy::Strategy<Value = CustomerSeries> {
        let served = (duration(), duration()).prop_map(|(at, latency)| Served { at, latency });
        let name = prop_oneof!["[A-L]", "\\PC{0,30}"];
        (name, prop::collection::vec(served, 0..6), 0..3u64)
            .prop_map(|(name, requests, errors)| CustomerSeries { name, requests, errors })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn anything_can_be_drawn(
            strategies in prop::collection::vec(
                ("\\PC{0,30}", prop::collection::vec(any_customer(), 0..13))
                    .prop_map(|(name, customers)| Strategy { name, customers }),
                0..7,
            ),
        ) {
            let picture = draw(&strategies, &conditions()).unwrap();
            prop_assert!(!picture.svg().contains("NaN") && !picture.svg().contains("inf"));
        }
    }

    #[test]
    fn more_than_there_are_colours_and_marks_can_be_drawn() {
        let names: Vec<String> = (0..20).map(|n| format!("customer-{n}")).collect();
        let customers: Vec<(&str, &[f64], u64)> =
            names.iter().map(|name| (name.as_str(), &[1.0, 99.0][..], 0)).collect();
        let strategies: Vec<Strategy> = (0..10).map(|n| strategy(&format!("s{n}"), &customers)).collect();
        draw(&strategies, &conditions()).unwrap().png().unwrap();
        draw(&[], &conditions()).unwrap().png().unwrap();
    }
}
