//! `tidegate clients`: customers of the batching proxy.
//!
//! Here: their options, a line for each answer, a summary. Not here: the customers (`load/customers/`). Floor 5.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;

use super::load::reach;
use super::output::{OutputLines, say};
use super::start::{network_with_signals_and_hangup, next_signal_ends_at_once, start_log};
use super::{CliError, Exit};
use crate::config::{ConfigError, Count, Period, Rate, TargetUrl, crowd, parse};
use crate::load::customers::{Customer, CustomerSample, Customers, Told, closed_loop, open_loop};
use crate::load::{AtEnd, Control, Generator, Plan, TICK_SHIFT};
use crate::net::{OsNet, Waker, raise_descriptor_limit};
use crate::reactor::Reactor;

pub(super) const EXAMPLE: &str = "\
Examples:
  tidegate clients --proxy http://localhost:9090 --duration 30s
  tidegate clients --customer A --copies 10 --open 0.5 --seed 7
  tidegate clients --customer A --customer C=1..5x200|2000@0.1,50ms

A sends 1 to 3 snippets of 5 to 15 characters, 0.33 s after each answer; B 2 to 5 blocks, each of 558 characters
with probability 0.3, else 116, 0.67 s after each answer. One of your own is NAME=SEQUENCESxCHARACTERS,PAUSE, where
SEQUENCES and CHARACTERS are a number or FROM..TO, and CHARACTERS may be several with their shares: 558@0.3|116.
What is sent depends on seed, customer and number of the request, never on timing.
Exit codes: 0 done, or nobody reads on, 1 failed, 2 usage, 130 ended early by a signal, with the summary.";

/// Where the batching proxy takes requests.
const PATH: &str = "/proxy_classify";

/// What `clients` takes.
#[derive(Args)]
pub(super) struct ClientsArgs {
    /// The batching proxy; without a path /proxy_classify is asked for
    #[arg(long, value_name = "URL", default_value = "http://localhost:9090", value_parser = parse::<TargetUrl>)]
    proxy: TargetUrl,

    /// A customer, repeatable: A, B or NAME=SEQUENCESxCHARACTERS,PAUSE [default: A and B]
    #[arg(long, value_name = "CUSTOMER", value_parser = parse::<Customer>)]
    customer: Vec<Customer>,

    /// How many there are of each customer, called NAME-1, NAME-2 and so on
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse::<Count>)]
    copies: Count,

    /// Open loop: so many requests a second of each customer, as Poisson processes, in place of its pauses
    #[arg(long, value_name = "RATE", value_parser = parse::<Rate>)]
    open: Option<Rate>,

    /// The most connections of each customer in an open loop
    #[arg(long, value_name = "N", requires = "open", default_value = "100", value_parser = parse::<Count>)]
    connections: Count,

    /// How long requests are begun; those under way are waited for
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse::<Period>)]
    duration: Period,

    /// How long a request may take before its customer gives it up
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse::<Period>)]
    timeout: Period,

    /// Equal seeds send equal requests
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// Runs the command.
pub(super) fn run(args: ClientsArgs) -> Result<Exit, CliError> {
    start_log(log::LevelFilter::Warn)?;
    let proxy = args.proxy.or_path(PATH);
    let known = if args.customer.is_empty() { vec![Customer::a(), Customer::b()] } else { args.customer };
    let customers = crowd(&known, args.copies.0).map_err(ConfigError::new)?;
    let sources = match args.open {
        None => closed_loop(&customers),
        Some(Rate(rate)) => open_loop(&customers, rate, args.seed, args.connections.0),
    };
    raise_descriptor_limit();
    let plan = Plan {
        address: reach(&proxy)?,
        sources,
        timeout: args.timeout.0,
        duration: args.duration.0,
        at_end: AtEnd::Drain,
    };
    let net = network_with_signals_and_hangup()?;
    let control = Arc::new(Control::default());
    let stop = Stop { control: Arc::clone(&control), waker: net.waker().map_err(not_played)? };
    let output = OutputLines::start()?;
    let lines = output.clone();
    let report = move |customer: &Customer, sample: &CustomerSample| {
        if !lines.say(format!("{}\n", Told(customer, sample))) {
            stop.now();
        }
    };
    let workload = Customers::new(customers, args.seed, &proxy.target, &proxy.authority(), report);
    let (workload, interrupted) = play(net, plan, workload, control)?;
    let (customers, samples) = workload.finish();
    // Whoever reads may let us wait, and nothing reads signals as readiness any more.
    next_signal_ends_at_once()?;
    output.finish()?;
    say(&summary(&customers, &samples))?;
    Ok(if interrupted { Exit::SecondSignal } else { Exit::Clean })
}

fn not_played(source: io::Error) -> CliError {
    CliError::System { what: "run the customers".to_owned(), source }
}

/// Ends the play early.
struct Stop {
    control: Arc<Control>,
    waker: Waker,
}

impl Stop {
    fn now(&self) {
        if !self.control.stop.swap(true, Ordering::AcqRel)
            && let Err(e) = self.waker.wake()
        {
            log::warn!("nobody reads the answers, and the customers go on: {e}");
        }
    }
}

/// Plays the plan to its end; tells whether a signal cut it short.
fn play<F: FnMut(&Customer, &CustomerSample)>(
    net: OsNet,
    plan: Plan,
    workload: Customers<F>,
    control: Arc<Control>,
) -> Result<(Customers<F>, bool), CliError> {
    let net = net.with_fine_timer().map_err(not_played)?;
    let mut reactor = Reactor::new(net, TICK_SHIFT);
    let mut generator = Generator::new(plan, workload, control);
    reactor.begin(|turn| generator.open(turn));
    reactor.run(&mut generator).map_err(not_played)?;
    let interrupted = generator.interrupted();
    Ok((generator.finish().1, interrupted))
}

/// A row for each customer, and one for all if there are several. Latencies are in milliseconds, of those that were served;
/// `sd` is the standard deviation of a sample.
fn summary(customers: &[Customer], samples: &[CustomerSample]) -> String {
    let width = customers.iter().map(|customer| customer.name.len()).max().unwrap_or(0).max("customer".len());
    let heads = ["count", "mean ms", "median", "sd", "min", "max", "errors"].map(|head| format!("{head:>9}"));
    let mut out = format!("\n{:<width$}{}\n", "customer", heads.concat());
    let mut row = |name: &str, of: &dyn Fn(&CustomerSample) -> bool| {
        let of_name = samples.iter().filter(|sample| of(sample));
        let (served, failed): (Vec<_>, Vec<_>) = of_name.partition(|sample| sample.verdict.is_served());
        let mut ms: Vec<f64> = served.iter().map(|sample| millis(sample.latency)).collect();
        let figures = figures(&mut ms).map(|figure| figure.map_or("-".to_owned(), |ms| format!("{ms:.2}")));
        let figures = figures.map(|figure| format!("{figure:>9}")).concat();
        out += &format!("{name:<width$}{:>9}{figures}{:>9}\n", ms.len(), failed.len());
    };
    for (n, customer) in customers.iter().enumerate() {
        row(&customer.name, &|sample| sample.request.source == n);
    }
    if customers.len() > 1 {
        row("all", &|_| true);
    }
    out
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

/// Mean, median, standard deviation, least and most, where there are any.
fn figures(values: &mut [f64]) -> [Option<f64>; 5] {
    values.sort_unstable_by(f64::total_cmp);
    let (Some(&least), Some(&most)) = (values.first(), values.last()) else { return [None; 5] };
    let n = values.len();
    let mean = values.iter().sum::<f64>() / n as f64;
    let median = (values[(n - 1) / 2] + values[n / 2]) / 2.0;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let deviation = (n > 1).then(|| (squares / (n - 1) as f64).sqrt());
    [Some(mean), Some(median), deviation, Some(least), Some(most)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::customers::Verdict;
    use crate::load::{Failure, RequestId};
    use crate::time::Instant;

    fn sample(source: usize, ms: u64, verdict: Verdict) -> CustomerSample {
        let request = RequestId { source, index: 0 };
        CustomerSample {
            request,
            sequences: 1,
            due: Instant::ZERO,
            latency: Duration::from_millis(ms),
            verdict,
        }
    }

    #[test]
    fn the_summary_has_a_row_for_each_customer_and_errors_have_no_latency() {
        let served = || Verdict::Served { proxy_ms: None };
        let samples = [
            sample(0, 10, served()),
            sample(1, 500, Verdict::Failed(Failure::Reset)),
            sample(0, 20, served()),
            sample(0, 60, served()),
            sample(0, 900, Verdict::WrongCount { results: 0 }),
        ];
        let expected = "
customer    count  mean ms   median       sd      min      max   errors
A               3    30.00    20.00    26.46    10.00    60.00        1
B               0        -        -        -        -        -        1
all             3    30.00    20.00    26.46    10.00    60.00        2
";
        assert_eq!(summary(&[Customer::a(), Customer::b()], &samples), expected);
        assert_eq!(figures(&mut [1.0, 2.0, 3.0, 10.0])[1], Some(2.5));
        assert_eq!(figures(&mut [1.0])[2], None);
    }
}
