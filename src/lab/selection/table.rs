//! What came out, as a table.
//!
//! Here: [`table`], of all that was played. Not here: the figures (`figures.rs`). Floor 4.

use super::figures::Figures;
use crate::lab::table::Table;

/// Of so many backends the shares are told: more would fill the page.
const SHARES_TOLD: usize = 3;

/// A row for each contender in each scenario. Extra work is beyond that of whoever caused the least in the scenario.
pub fn table(played: &[(&str, Vec<(String, Figures)>)]) -> Table {
    let header = [
        "scenario",
        "routing",
        "mean ms",
        "p50",
        "p95",
        "p99",
        "req/s",
        "copies",
        "extra work",
        "errors",
        "share of the first",
    ];
    let mut table = Table::new(2, &header);
    for (scenario, rows) in played {
        let least_work = rows.iter().map(|(_, figures)| figures.work_ms).fold(f64::INFINITY, f64::min);
        rows.iter().for_each(|(name, figures)| table.push(row([scenario, name], figures, least_work)));
    }
    table
}

fn row(names: [&str; 2], figures: &Figures, least_work_ms: f64) -> Vec<String> {
    let told = figures.shares.iter().take(SHARES_TOLD).map(|share| format!("{:.1}", share * 100.0));
    let cells = [
        format!("{:.2}", figures.mean_ms),
        format!("{:.1}", figures.p50_ms),
        format!("{:.1}", figures.p95_ms),
        format!("{:.1}", figures.p99_ms),
        format!("{:.1}", figures.per_second),
        format!("{:.2}", figures.copies),
        format!("{:.0} %", (figures.work_ms / least_work_ms - 1.0) * 100.0),
        format!("{:.2} %", figures.errors * 100.0),
        format!("{} %", told.collect::<Vec<_>>().join("/")),
    ];
    names.into_iter().map(str::to_owned).chain(cells).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_work_is_beyond_the_least_of_the_scenario() {
        let figures = |work_ms: f64| Figures {
            mean_ms: 1.234,
            p50_ms: 1.0,
            p95_ms: 2.0,
            p99_ms: 3.0,
            per_second: 10.0,
            copies: 1.0,
            work_ms,
            errors: 0.005,
            shares: vec![0.1, 0.2, 0.3, 0.4],
        };
        let table = table(&[("one", vec![("a".to_owned(), figures(20.0)), ("b".to_owned(), figures(25.0))])]);
        let expected =
            ["one", "b", "1.23", "1.0", "2.0", "3.0", "10.0", "1.00", "25 %", "0.50 %", "10.0/20.0/30.0 %"];
        assert_eq!(table.rows()[1], expected);
        assert_eq!(table.rows()[0][8], "0 %");
    }
}
