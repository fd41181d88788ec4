//! Tables.
//!
//! Here: Markdown tables of analyses, and how numbers are written. Not here: figures (`analyze.rs`), the report that they
//! stand in (`cli/report/`), which calls this. Floor 4.

use super::analyze::{Figures, Part, backend_labels};

/// What stands for a figure that there is not.
const NONE: &str = "–";

/// A table; as Markdown (GitHub's), in columns that are also straight to the eye.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Columns from this one on are numbers, to the right.
    numbers_from: usize,
}

impl Table {
    /// A table whose first `words` columns are text, the others numbers.
    pub fn new(words: usize, header: &[&str]) -> Table {
        let header = header.iter().map(|&name| name.to_owned()).collect();
        Table { header, rows: Vec::new(), numbers_from: words }
    }

    /// Adds a row; missing cells are empty.
    pub fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// Names of its columns.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// Its rows.
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// Whether a column is of numbers.
    pub fn is_number(&self, column: usize) -> bool {
        column >= self.numbers_from
    }

    /// The table as text; nothing without rows.
    pub fn markdown(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let escaped = |row: &Vec<String>| -> Vec<String> {
            (0..self.header.len()).map(|n| row.get(n).map_or(String::new(), |cell| escape(cell))).collect()
        };
        let lines: Vec<Vec<String>> = std::iter::once(&self.header).chain(&self.rows).map(escaped).collect();
        let width = |n: usize| lines.iter().map(|line| line[n].chars().count()).max().unwrap_or(0).max(3);
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        let mut out = String::new();
        for (n, line) in lines.iter().enumerate() {
            out.push_str(&self.line(line, &widths));
            if n == 0 {
                let rules: Vec<String> =
                    widths.iter().enumerate().map(|(n, &width)| self.rule(n, width)).collect();
                out.push_str(&format!("|{}|\n", rules.join("|")));
            }
        }
        out
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let padded = cells.iter().zip(widths).enumerate().map(|(n, (cell, &width))| {
            if n < self.numbers_from { format!(" {cell:<width$} ") } else { format!(" {cell:>width$} ") }
        });
        format!("|{}|\n", padded.collect::<Vec<_>>().join("|"))
    }

    fn rule(&self, column: usize, width: usize) -> String {
        let dashes = "-".repeat(width);
        if column < self.numbers_from { format!(" {dashes} ") } else { format!(" {dashes}:") }
    }
}

/// A name with a bar or a line break in it would end its cell.
fn escape(cell: &str) -> String {
    cell.replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// Thousands apart: `59,492`.
pub fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let mut out = sign.to_owned();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number with so many decimals.
pub fn number(value: f64, decimals: usize) -> String {
    format!("{value:.decimals$}")
}

fn or_none(value: Option<f64>, decimals: usize) -> String {
    value.map_or(NONE.to_owned(), |value| number(value, decimals))
}

/// The names of the columns that [`cells`] fills.
pub const FIGURES: [&str; 8] =
    ["requests", "req/s", "mean ms", "p50 ms", "p95 ms", "p99 ms", "std ms", "errors"];

/// A row of figures.
pub fn cells(figures: &Figures) -> Vec<String> {
    let latency = figures.latency;
    vec![
        figures.requests.to_string(),
        or_none(figures.requests_per_s, 2),
        or_none(latency.map(|latency| latency.mean_ms), 2),
        or_none(latency.map(|latency| latency.p50_ms), 1),
        or_none(latency.map(|latency| latency.p95_ms), 1),
        or_none(latency.map(|latency| latency.p99_ms), 1),
        or_none(latency.and_then(|latency| latency.deviation_ms), 2),
        figures.errors.to_string(),
    ]
}

/// Shares of backends, a row for each named set of parts, a column for each backend of any of them.
pub fn shares(words: &[&str], sets: &[(Vec<String>, &[Part])]) -> Table {
    let mut urls: Vec<&str> = Vec::new();
    for part in sets.iter().flat_map(|(_, parts)| *parts) {
        if !urls.contains(&part.name.as_str()) {
            urls.push(&part.name);
        }
    }
    let labels: Vec<String> = backend_labels(&urls).into_iter().map(|label| format!("{label} %")).collect();
    let header: Vec<&str> = words.iter().copied().chain(labels.iter().map(String::as_str)).collect();
    let mut table = Table::new(words.len(), &header);
    for (names, parts) in sets {
        let share = |url: &&str| parts.iter().find(|part| part.name == **url).map(|part| part.share_percent);
        let row = names.iter().cloned().chain(urls.iter().map(|url| or_none(share(url), 2)));
        table.push(row.collect());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_straight_and_survives_strange_names() {
        let mut table = Table::new(1, &["log", "req/s"]);
        table.push(vec!["a|b\nc".to_owned(), "495.77".to_owned()]);
        table.push(vec!["–é".to_owned()]);
        assert_eq!(
            table.markdown(),
            "| log    |  req/s |\n\
             | ------ | ------:|\n\
             | a\\|b c | 495.77 |\n\
             | –é     |        |\n"
        );
        assert_eq!(Table::new(1, &["log"]).markdown(), "");
    }

    #[test]
    fn thousands_are_set_apart() {
        let grouped = ["1", "999", "1000", "59492", "-1234567"].map(grouped);
        assert_eq!(grouped, ["1", "999", "1,000", "59,492", "-1,234,567"]);
    }

    #[test]
    fn figures_that_are_not_there_are_dashes() {
        let none = crate::lab::analyze::analyze(&crate::lab::log::Log::default(), None);
        assert_eq!(cells(&none.figures).join(" "), "0 – – – – – – 0");
    }

    #[test]
    fn shares_have_a_column_for_each_backend_of_any_set() {
        let part = |url: &str, share_percent| Part {
            name: url.to_owned(),
            share_percent,
            figures: crate::lab::analyze::analyze(&crate::lab::log::Log::default(), None).figures,
        };
        let one = [part("http://a:1", 25.0), part("http://a:2", 75.0)];
        let two = [part("http://a:1", 100.0), part("-", 0.0)];
        let sets = [(vec!["x".to_owned()], one.as_slice()), (vec!["y".to_owned()], two.as_slice())];
        let text = shares(&["log"], &sets).markdown();
        let cells: Vec<Vec<&str>> =
            text.lines().map(|line| line.split('|').map(str::trim).collect()).collect();
        assert_eq!(cells[0], ["", "log", "1 %", "2 %", "none %", ""]);
        assert_eq!(cells[2], ["", "x", "25.00", "75.00", "–", ""]);
        assert_eq!(cells[3], ["", "y", "100.00", "–", "0.00", ""]);
    }
}
