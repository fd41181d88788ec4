//! How an experiment goes, on the standard error.
//!
//! Here: a bar on a terminal, else a line at the beginning and every 10 s. Not here: who knows how it goes (`lab/experiment/watch.rs`). Floor 5.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal::Terminal;
use crate::lab::experiment::{Glimpse, Study, Watch};
use crate::telemetry::logger;
use crate::telemetry::standard::StandardStream;

/// Between two lines, where there is no terminal.
const LINE: Duration = Duration::from_secs(10);

/// How often a bar is drawn at most.
const DRAWN_A_SECOND: u8 = 20;

/// Parts of a bar.
const PARTS: f64 = 10_000.0;

/// Tells how it goes.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    variants: Vec<String>,
    next_line: Duration,
}

impl Progress {
    pub(super) fn new(study: &Study) -> Progress {
        let bar = StandardStream::Error.is_terminal().then(|| {
            let style = ProgressStyle::with_template("{wide_msg}\n[{bar:40}] {percent} %")
                .expect("a template that the crate knows");
            let terminal = ProgressDrawTarget::term_like_with_hz(Box::<Terminal>::default(), DRAWN_A_SECOND);
            ProgressBar::with_draw_target(Some(PARTS as u64), terminal)
                .with_style(style.progress_chars("=> "))
        });
        let variants = study.variants.iter().map(|variant| variant.name.clone()).collect();
        Progress { bar, variants, next_line: Duration::ZERO }
    }

    /// Takes the bar away.
    pub(super) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Watch for Progress {
    fn glimpse(&mut self, glimpse: &Glimpse) {
        let variant = &self.variants[glimpse.run.variant];
        match &self.bar {
            Some(bar) => {
                bar.set_message(line(glimpse, variant));
                bar.set_position((share(glimpse) * PARTS) as u64);
            }
            None if glimpse.elapsed >= self.next_line => {
                self.next_line = glimpse.elapsed + LINE;
                logger::complain(&line(glimpse, variant));
            }
            None => {}
        }
    }
}

/// How much of the whole experiment is over.
fn share(glimpse: &Glimpse) -> f64 {
    let (passed, whole) = glimpse.time;
    let this = passed.as_secs_f64() / whole.as_secs_f64().max(1e-9);
    let (over, all) = glimpse.runs;
    (over as f64 + this.min(1.0)) / all.max(1) as f64
}

fn line(glimpse: &Glimpse, variant: &str) -> String {
    let (over, all) = glimpse.runs;
    let (passed, whole) = glimpse.time;
    let share = share(glimpse);
    let left =
        if share > 0.0 { clock(glimpse.elapsed.mul_f64((1.0 - share) / share)) } else { "?".to_owned() };
    let p99 = glimpse.p99.map_or("-".to_owned(), |p99| format!("{:.1} ms", p99.as_secs_f64() * 1e3));
    format!(
        "run {} of {all}, {variant}, repeat {}: {:.0} of {:.0} s, {:.1} req/s, p99 {p99}; {} gone, {left} left",
        over + 1,
        glimpse.run.repeat,
        passed.as_secs_f64(),
        whole.as_secs_f64(),
        glimpse.rate,
        clock(glimpse.elapsed),
    )
}

/// As 1:05, or 1:00:05.
fn clock(span: Duration) -> String {
    let seconds = span.as_secs_f64().round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::experiment::Run;

    #[test]
    fn a_line_tells_run_rate_p99_and_what_is_left() {
        let glimpse = Glimpse {
            run: Run { variant: 0, repeat: 2, seed: 9 },
            runs: (3, 12),
            time: (Duration::from_secs(5), Duration::from_secs(10)),
            elapsed: Duration::from_secs(35),
            rate: 499.96,
            p99: Some(Duration::from_micros(201_340)),
        };
        assert_eq!(
            line(&glimpse, "adaptive_sma"),
            "run 4 of 12, adaptive_sma, repeat 2: 5 of 10 s, 500.0 req/s, p99 201.3 ms; 0:35 gone, 1:25 left"
        );
        assert_eq!(clock(Duration::from_secs(3605)), "1:00:05");
        let begun =
            Glimpse { time: (Duration::ZERO, Duration::from_secs(1)), runs: (0, 1), p99: None, ..glimpse };
        assert!(line(&begun, "a").ends_with("p99 -; 0:35 gone, ? left"));
    }
}
