//! `tidegate classifier`: one simulated classifier.
//!
//! Here: its options, from flags and environment. Not here: the classifier (`testbed/`). Floor 5.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use clap::Args;
use log::LevelFilter;

use super::start::start_log;
use super::{CliError, Exit, simulated};
use crate::config::{CLASSIFIER_PORT, Count, Share, parse};
use crate::testbed::{ClassifierOptions, ServiceTime, SimulatedClassifier};

pub(super) const EXAMPLE: &str = "\
Examples:
  tidegate classifier
  tidegate classifier --listen :8001 --concurrency 1
  tidegate classifier --service-time affine:20,0.05 --max-sequences 32 --concurrency 4
  tidegate classifier --error-rate 0.01 --drop-results 0.01 --seed 7

Service times, of a request that has been read whole:
  maxlen^2      the square of its longest sequence in characters, in microseconds
  affine:C0,C1  C0 ms, and C1 ms for each character of all its sequences
  padded:C0,C1  C0 ms, and C1 ms for each character, all its sequences padded to the longest
What is refused is answered at once. Exit codes: 0 clean stop, 1 failed, 2 usage or configuration, 130 second signal.";

/// What `classifier` takes.
#[derive(Args)]
pub(super) struct ClassifierArgs {
    /// Where clients connect; the environment variable PORT sets the port alone [default: 0.0.0.0:8001]
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse::<SocketAddr>)]
    listen: Option<SocketAddr>,

    /// How many requests are worked on at once, the others waiting in order of arrival [default: no bound]
    #[arg(long, value_name = "K", value_parser = parse::<Count>)]
    concurrency: Option<Count>,

    /// How long a request takes: maxlen^2, affine:C0,C1 or padded:C0,C1 (see below)
    #[arg(long, value_name = "MODEL", default_value = "maxlen^2", value_parser = parse::<ServiceTime>)]
    service_time: ServiceTime,

    /// Share of the requests that are answered 500, after their time
    #[arg(long, value_name = "P", default_value = "0", value_parser = parse::<Share>)]
    error_rate: Share,

    /// Share of the other answers that have one result too few
    #[arg(long, value_name = "P", default_value = "0", value_parser = parse::<Share>)]
    drop_results: Share,

    /// The most sequences of a request
    #[arg(long, value_name = "N", default_value = "5", value_parser = parse::<Count>)]
    max_sequences: Count,

    /// Decides which requests the two shares hit; the same ones again with the same seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// What is told on stderr: error, warn, info, debug, trace, off [default: info]
    #[arg(long, value_name = "LEVEL", env = "TIDEGATE_LOG_LEVEL", value_parser = parse::<LevelFilter>)]
    log_level: Option<LevelFilter>,
}

/// Runs the command.
pub(super) fn run(args: ClassifierArgs) -> Result<Exit, CliError> {
    start_log(args.log_level.unwrap_or(LevelFilter::Info))?;
    let listen = simulated::listen_address(args.listen, simulated::port().as_deref(), CLASSIFIER_PORT)?;
    let options = args.options();
    simulated::serve("the classifier", listen, |listener, _, control| {
        SimulatedClassifier::new(options, listener, control)
    })
}

impl ClassifierArgs {
    fn options(&self) -> ClassifierOptions {
        ClassifierOptions {
            concurrency: self.concurrency.and_then(|count| NonZeroUsize::new(count.0)),
            service_time: self.service_time,
            error_rate: self.error_rate.0,
            drop_results: self.drop_results.0,
            max_sequences: self.max_sequences.0,
            seed: self.seed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Command, FromArgMatches};

    fn options(flags: &[&str]) -> ClassifierOptions {
        let command = ClassifierArgs::augment_args(Command::new("classifier").no_binary_name(true));
        let matches = command.try_get_matches_from(flags).expect("flags");
        ClassifierArgs::from_arg_matches(&matches).expect("flags").options()
    }

    #[test]
    fn each_flag_sets_its_option_and_the_defaults_are_the_testbeds() {
        assert_eq!(options(&[]), ClassifierOptions::default());
        let flags = [
            "--concurrency=3",
            "--service-time=padded:1,2",
            "--error-rate=0.5",
            "--drop-results=0.25",
            "--max-sequences=32",
            "--seed=9",
        ];
        let expected = ClassifierOptions {
            concurrency: NonZeroUsize::new(3),
            service_time: "padded:1,2".parse().unwrap(),
            error_rate: 0.5,
            drop_results: 0.25,
            max_sequences: 32,
            seed: 9,
        };
        assert_eq!(options(&flags), expected);
    }
}
