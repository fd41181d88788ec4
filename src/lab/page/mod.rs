//! The page: a report as one HTML file that needs nothing else, with charts that its reader can handle.
//!
//! Here: [`page`], its head and its sections. Beside: charts for Plotly.js (`figure.rs`, `percentiles.rs`), their numbers
//! (`numbers.rs`), verdicts (`verdicts.rs`), what runs and looks in the browser (`page.js`, `page.css`). Not here: figures
//! (`lab/report.rs`, `lab/charts.rs`), files. Values in, text out; called by `cli/report.rs` and experiments. Floor 4.
//!
//! Nothing is loaded: the page forbids it to itself by a Content-Security-Policy. All text passes through `maud`, which
//! escapes it; charts' data stand in a JSON block without any `<`.

mod figure;
mod numbers;
mod percentiles;
mod verdicts;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::figure::Figure;
use super::charts::{drawings, left_out};
use super::plot::{Drawing, Picture};
use super::report::{Report, SEED, Variant};
use super::table::Table;
use super::verdict::{CONFIDENCE, Metric};

/// The page may run and show what is in it, and fetch nothing. Downloads are made as `blob:`.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; \
                      base-uri 'none'; form-action 'none'";

/// What a page says besides its report.
#[derive(Clone, Debug, Default)]
pub struct PageExtra {
    /// Its title.
    pub title: String,
    /// What a reader must know first, such as `simulated in virtual time`; shown as a banner.
    pub subtitle: Option<String>,
    /// What was run and on what: labels with values.
    pub intro: Vec<(String, String)>,
    /// The study as it was used.
    pub study_text: Option<String>,
    /// What follows the report's own sections.
    pub sections: Vec<Section>,
}

/// A section of the page.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// From top to bottom.
    pub contents: Vec<Content>,
}

/// What stands in a section.
#[derive(Clone, Debug)]
pub enum Content {
    /// A paragraph.
    Text(String),
    /// A table.
    Table(Table),
    /// An interactive chart, and what its downloads are called, without the ending.
    Chart(String, Drawing),
    /// A picture, and what it shows, for those who do not see it.
    Picture(String, Picture),
}

/// The page, as an HTML document in UTF-8.
pub fn page(report: &Report, extra: &PageExtra) -> String {
    let mut charts = Charts::default();
    // In the order that they stand in, as each chart is numbered.
    let own = report_charts(report, &mut charts);
    let further: Vec<(&str, Markup)> = extra
        .sections
        .iter()
        .map(|section| (section.title.as_str(), contents(section, &mut charts)))
        .collect();
    let mut sections = vec![
        ("Verdicts", verdicts::verdicts(report.verdicts())),
        ("Figures", figures(report)),
        ("Charts", own),
        ("Share of each backend", table(&report.shares(), "Share of requests by log and backend")),
        ("Errors", errors(report)),
    ];
    sections.extend(further);
    sections.push(("Logs", logs(report)));
    if let Some(study) = &extra.study_text {
        sections.push((
            "Study",
            html! { details { summary { "The study as it was used" } pre tabindex="0" { (study) } } },
        ));
    }
    document(extra, &sections, &charts.json())
}

fn document(extra: &PageExtra, sections: &[(&str, Markup)], data: &str) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ "tidegate " (env!("CARGO_PKG_VERSION")) };
                title { (extra.title) }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                header {
                    h1 { (extra.title) }
                    @if let Some(subtitle) = &extra.subtitle {
                        p.banner role="note" { (subtitle) }
                    }
                    @if !extra.intro.is_empty() {
                        dl.intro {
                            @for (label, value) in &extra.intro { div { dt { (label) } dd { (value) } } }
                        }
                    }
                    nav aria-label="Sections" {
                        @for (n, (title, _)) in sections.iter().enumerate() { a href={ "#section-" (n) } { (title) } " " }
                    }
                }
                main {
                    @for (n, (title, content)) in sections.iter().enumerate() {
                        section id={ "section-" (n) } { h2 { (title) } (content) }
                    }
                }
                footer { "Written by tidegate " (env!("CARGO_PKG_VERSION")) ". This file is complete: it loads nothing." }
                script type="application/json" id="figures" { (PreEscaped(data)) }
                script { (PreEscaped(crate::plotly::script())) }
                script { (PreEscaped(include_str!("page.js"))) }
            }
        }
    };
    markup.into_string()
}

/// The charts of a page, in its order.
#[derive(Default)]
struct Charts(Vec<Figure>);

impl Charts {
    /// Adds a chart; returns its place on the page, which `page.js` fills.
    fn place(&mut self, figure: Figure) -> Markup {
        let id = format!("chart-{}", self.0.len());
        let markup = html! {
            figure.chart.wide[figure.wide] id=(id) {
                figcaption { h3 { (figure.title) } p.note { (figure.note) } }
                div.legend {}
                div.scroll tabindex="0" role="img" aria-label={ (figure.title) "; its numbers are in the table below" } {
                    div.plot style={ "min-width:" (figure.least_width) "px;height:" (figure.height) "px" } {
                        noscript { "The chart needs JavaScript; its numbers are in the table below." }
                    }
                }
                div.actions {}
                details.numbers { summary { "Numbers" } (table(&figure.numbers, &figure.caption)) }
            }
        };
        self.0.push(figure);
        markup
    }

    /// For a script element: a `<` would begin a tag there, even in a string.
    fn json(&self) -> String {
        serde_json::to_string(&self.0).expect("figures and strings are JSON").replace('<', "\\u003c")
    }
}

fn report_charts(report: &Report, charts: &mut Charts) -> Markup {
    let mut figures: Vec<Figure> =
        drawings(report).iter().map(|(name, drawing)| Figure::of(name, drawing)).collect();
    // Beside the distribution, whose upper end it shows.
    let before_last = figures.len() - 1;
    figures.insert(before_last, percentiles::percentiles(&report.variants()));
    html! { div.charts { @for figure in figures { (charts.place(figure)) } } }
}

fn contents(section: &Section, charts: &mut Charts) -> Markup {
    html! {
        @for content in &section.contents {
            @match content {
                Content::Text(text) => p { (text) },
                Content::Table(content) => (table(content, &section.title)),
                Content::Chart(name, drawing) => (charts.place(Figure::of(name, drawing))),
                Content::Picture(shows, picture) => img.picture alt=(shows) src=(data_url(picture));
            }
        }
    }
}

fn data_url(picture: &Picture) -> String {
    let escaped = picture.svg().replace('%', "%25").replace('#', "%23");
    format!("data:image/svg+xml;charset=utf-8,{escaped}")
}

/// Over the repeats of each variant, if there are any, and of each log.
fn figures(report: &Report) -> Markup {
    let variants = report.variants();
    let of_logs = table(&report.figures(), "Figures of each log; latency in milliseconds");
    let by_backend = table(&report.by_backend(), "Figures of each log by backend; latency in milliseconds");
    html! {
        @if variants.iter().any(|variant| variant.runs.len() > 1) {
            (table(&of_repeats(&variants), "Means over repeats, with their intervals"))
            p.note { "In brackets: the interval of the mean over repeats, " (100.0 * CONFIDENCE) " % confidence." }
            details { summary { "Figures of each log" } (of_logs) }
        } @else {
            (of_logs)
        }
        details { summary { "Figures by backend" } (by_backend) }
    }
}

fn of_repeats(variants: &[Variant<'_>]) -> Table {
    let mut table = Table::new(1, &["variant", "repeats", "requests/s", "mean ms", "p95 ms"]);
    for variant in variants {
        let repeats = variant.repeats();
        let cell = |metric| {
            repeats
                .estimate(metric, SEED)
                .map_or("–".to_owned(), |(value, interval)| numbers::value(value, interval, 2))
        };
        let figures = [Metric::RequestsPerS, Metric::MeanMs, Metric::P95Ms].map(cell);
        table.push([vec![variant.label(), variant.runs.len().to_string()], figures.into()].concat());
    }
    table
}

fn errors(report: &Report) -> Markup {
    let errors = report.errors();
    html! {
        @if errors.rows().is_empty() { p { "None: no status of 400 or above." } }
        @else { (table(&errors, "Statuses of 400 and above by log and backend")) }
    }
}

fn logs(report: &Report) -> Markup {
    html! {
        (table(&report.sources(), "Where the rows are from"))
        @if !report.remarks().is_empty() {
            ul.remarks {
                @for (file, remark) in report.remarks() { li { strong { "Remark: " } code { (file) } ": " (remark) "." } }
            }
        }
    }
}

/// A table that scrolls by itself where it is too wide.
fn table(table: &Table, caption: &str) -> Markup {
    let class = |column| table.is_number(column).then_some("number");
    html! {
        @if !table.rows().is_empty() {
            div.scroll tabindex="0" role="region" aria-label=(caption) {
                table {
                    caption { (caption) }
                    thead { tr {
                        @for (n, name) in table.header().iter().enumerate() { th scope="col" class=[class(n)] { (name) } }
                    } }
                    tbody {
                        @for row in table.rows() {
                            tr { @for (n, cell) in row.iter().enumerate() { td class=[class(n)] { (cell) } } }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
