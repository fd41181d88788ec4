//! Verdicts on the page: a word and a colour for each, then the sentence.
//!
//! Here: [`verdicts`]. Not here: what is found (`lab/verdict.rs`). Called by `page/mod.rs`. Floor 4.

use maud::{Markup, html};

use crate::lab::verdict::{Finding, Verdict};

/// Pairs that are shown without being asked for.
const OPEN: usize = 4;

/// The verdicts by pair; where there are many pairs their sentences are folded, and what is found stands in one line.
pub(super) fn verdicts(verdicts: &[Verdict]) -> Markup {
    let pair = |verdict: &Verdict| (verdict.baseline.clone(), verdict.variant.clone());
    let pairs: Vec<&[Verdict]> = verdicts.chunk_by(|a, b| pair(a) == pair(b)).collect();
    html! {
        @if pairs.is_empty() {
            p { "None: verdicts need repeats, two logs or more of a name, of two names or more." }
        }
        @for pair in &pairs {
            details.pair open[pairs.len() <= OPEN] {
                summary {
                    code { (pair[0].variant) } " against " code { (pair[0].baseline) } ": "
                    @for verdict in *pair { span.found { (verdict.metric.name()) " " (badge(verdict.finding)) } " " }
                }
                ul { @for verdict in *pair { li { (badge(verdict.finding)) " " (sentence(&verdict.to_string())) } } }
            }
        }
    }
}

fn badge(finding: Finding) -> Markup {
    let (class, words) = match finding {
        Finding::Better => ("better", "▲ better"),
        Finding::Worse => ("worse", "▼ worse"),
        Finding::NotShown => ("unknown", "○ not shown"),
        Finding::TooFewRepeats => ("unknown", "○ too few repeats"),
    };
    html! { span.badge.(class) { (words) } }
}

/// Names stand in backticks; one that has some itself is left as it is.
fn sentence(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    html! {
        @if parts.len() == 5 {
            @for (n, part) in parts.into_iter().enumerate() {
                @if n % 2 == 1 { code { (part) } } @else { (part) }
            }
        } @else { (text) }
    }
}
