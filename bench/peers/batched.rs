//! What a batched request costs beside one that is forwarded.
//!
//! Here: Tidegate with a classifier that takes no time, under wrk on both of its ways in turn, for each number of batches in
//! flight. Not here: other proxies, which do not batch; how well batches are put together (`make batching`).

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::common::sample::{Effort, Sample, median, remarks, spread};
use super::common::server::{Backend, Running, ask, free_ports, local, tidegate, without_settings};
use super::common::wrk::{self, Wanted};
use super::post;

const TARGET: &str = "/proxy_classify";
const BODY: &str = r#"{"sequences":["def f(): pass"]}"#;

/// On both ways; enough to fill batches.
const CLIENTS: usize = 200;

/// What `--batches-in-flight` is given.
const IN_FLIGHT: [&str; 4] = ["1", "4", "8", "auto"];

/// All rounds of one number of batches in flight.
#[derive(Default)]
struct Rounds {
    forwarded: Vec<Sample>,
    batched: Vec<Sample>,
    batch_sizes: Vec<f64>,
}

/// Plays all rounds and prints their table.
pub(crate) fn compare(effort: &Effort, backend: &Backend, folder: &Path) -> Result<(), String> {
    let classifier = classifier()?;
    let mut all = IN_FLIGHT.map(|_| Rounds::default());
    for round in 0..effort.rounds {
        for index in 0..IN_FLIGHT.len() {
            let index = if round.is_multiple_of(2) { index } else { IN_FLIGHT.len() - 1 - index };
            let in_flight = IN_FLIGHT[index];
            let rounds = &mut all[index];
            play(in_flight, round, rounds, effort, (backend, classifier.address), folder)?;
            let (forwarded, batched) = (&rounds.forwarded[round], &rounds.batched[round]);
            eprintln!(
                "batched, round {}, {in_flight} in flight: {batched}; forwarded: {forwarded}",
                round + 1
            );
        }
    }
    println!(
        "\n### Requests in batches of up to 5 beside forwarded ones, a classifier that takes no time, {CLIENTS} clients\n"
    );
    println!(
        "| batches in flight | requests of a batch | processor time a batched request, µs | of it user | of a forwarded one | \
         batched ÷ forwarded | batched requests/s | remarks |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |");
    IN_FLIGHT.iter().zip(&all).for_each(|(in_flight, rounds)| rounds.print(in_flight));
    println!("\nMedians of {} rounds, and the least and the most; strategy adaptive.", effort.rounds);
    Ok(())
}

/// The simulated classifier, where backends are.
fn classifier() -> Result<Running, String> {
    let address = local(free_ports(1)?[0]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.arg("classifier").arg(format!("--listen={address}"));
    command.args(["--service-time=affine:0,0", "--log-level=warn"]);
    Running::start(without_settings(command), address)
}

/// One round: a fresh proxy, both of its ways, the one or the other first.
fn play(
    in_flight: &str,
    round: usize,
    rounds: &mut Rounds,
    effort: &Effort,
    (backend, classifier): (&Backend, SocketAddr),
    folder: &Path,
) -> Result<(), String> {
    let admin = local(free_ports(1)?[0]);
    let options = [
        format!("--admin={admin}"),
        format!("--classifier={classifier}"),
        "--strategy=adaptive".to_owned(),
        format!("--batches-in-flight={in_flight}"),
    ];
    let proxy = tidegate(backend.addresses(), &options)?;
    check(&proxy)?;
    let forwarded = Wanted { target: "/tiny".to_owned(), clients: CLIENTS, ..Wanted::default() };
    let batched = Wanted { target: TARGET.to_owned(), clients: CLIENTS, options: post(BODY, folder)? };
    let sample =
        |wanted| Sample::take(proxy.id(), effort, |seconds| wrk::run(wanted, proxy.address, seconds));
    if round.is_multiple_of(2) {
        rounds.forwarded.push(sample(&forwarded)?);
    }
    rounds.batched.push(sample(&batched)?);
    rounds.batch_sizes.push(mean_batch_size(admin)?);
    if !round.is_multiple_of(2) {
        rounds.forwarded.push(sample(&forwarded)?);
    }
    Ok(())
}

/// That requests are batched, and answered.
fn check(proxy: &Running) -> Result<(), String> {
    let request = format!(
        "POST {TARGET} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let answer = ask(proxy.address, &request)?;
    match answer.starts_with("HTTP/1.1 200 ") && answer.contains(r#"{"results":["code"],"#) {
        true => Ok(()),
        false => Err(format!("not the answer to one of a batch: {answer}")),
    }
}

/// How many requests a batch has had on average, by the proxy's own account.
fn mean_batch_size(admin: SocketAddr) -> Result<f64, String> {
    let text = ask(admin, &format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n"))?;
    let total = |name: &str| -> f64 {
        let values =
            text.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit_once(' '));
        values.filter_map(|(_, value)| value.parse::<f64>().ok()).sum()
    };
    let batches = total("tidegate_batch_size_count{");
    if batches > 0.0 {
        Ok(total("tidegate_batch_size_sum{") / batches)
    } else {
        Err(format!("no batch was sent, by these metrics: {text}"))
    }
}

impl Rounds {
    fn print(&self, in_flight: &str) {
        let cpu = |samples: &[Sample]| samples.iter().map(Sample::cpu_us).collect::<Vec<_>>();
        let (batched, forwarded) = (cpu(&self.batched), cpu(&self.forwarded));
        let of_forwarded = remarks(&self.forwarded).into_iter().map(|remark| format!("forwarded: {remark}"));
        let remarks: Vec<String> = remarks(&self.batched).into_iter().chain(of_forwarded).collect();
        let ratios: Vec<f64> = batched.iter().zip(&forwarded).map(|(a, b)| a / b).collect();
        println!(
            "| {in_flight} | {:.1} | {} | {:.1} | {} | {} | {} | {} |",
            median(self.batch_sizes.clone()),
            spread(&batched, 1),
            median(self.batched.iter().map(|sample| sample.user_us).collect()),
            spread(&forwarded, 1),
            spread(&ratios, 2),
            spread(&self.batched.iter().map(Sample::rate).collect::<Vec<_>>(), 0),
            remarks.join("; ")
        );
    }
}
