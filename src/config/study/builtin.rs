//! The two original studies, as the program's commands play them.
//!
//! Here: their text, for the settings that the commands take; with the usual ones it is that of the files in `bench/studies/`,
//! which a test compares. Not here: playing them. Floor 5.

use std::time::Duration;

use super::super::health::Percent;
use super::super::values::{Period, Value};
use crate::balance::{RoutingGoal, RoutingMode};
use crate::batch::StrategyName;
use crate::lab::selection::Contender;
use crate::proxy::ConnectionMode;

/// The routing modes of the contract.
pub const ROUTING_VARIANTS: [RoutingMode; 3] =
    [RoutingMode::RoundRobin, RoutingMode::AdaptiveSma, RoutingMode::AdaptiveEwma];

/// The strategies of the contract.
pub const BATCHING_VARIANTS: [StrategyName; 3] = [StrategyName::Sjf, StrategyName::Fair, StrategyName::Fcfs];

/// What the two systems of the contract were measured with.
const BEFORE_A_B_C: &str = "\
[[backend]]  # A
profile = \"10,15,20,400x3,10,15,20\"

[[backend]]  # B
profile = \"200\"

[[backend]]  # C
profile = \"250\"

[load]
connections = 100
threads = 4
";

/// All combinations of connection mode and routing mode, as a study's text.
pub fn routing_study(modes: &[RoutingMode], duration: Duration, repeats: usize, seed: u64) -> String {
    let mut text = format!(
        "\
# Every connection mode with every routing mode, under the load that wrk -t4 -c100 puts on.
name = \"routing\"
title = \"Routing and connection modes\"
seed = {seed}
repeats = {repeats}
duration = \"{}\"
warm-up = \"5s\"

{BEFORE_A_B_C}",
        Period(duration).show()
    );
    for connections in ConnectionMode::ALL {
        for mode in modes {
            let name = format!("{mode} {connections}");
            text += &format!(
                "\n[[variant]]\nname = \"{name}\"\nconnections = \"{connections}\"\nrouting = \"{mode}\"\n"
            );
        }
    }
    text
}

/// The scenario `seed` with each contender, as a study's text.
pub fn selection_study(contenders: &[Contender], duration: Duration, seed: u64) -> String {
    let mut text = format!(
        "\
# Every routing mode, with its options, under the load that wrk -t4 -c100 puts on.
name = \"selection\"
title = \"Which routing mode\"
seed = {seed}
duration = \"{}\"
warm-up = \"5s\"

{BEFORE_A_B_C}",
        Period(duration).show()
    );
    for Contender { name, mode, options } in contenders {
        text += &format!("\n[[variant]]\nname = \"{name}\"\nrouting = \"{mode}\"\n");
        if options.goal != RoutingGoal::default() {
            text += &format!("routing-goal = \"{}\"\n", options.goal.name());
        }
        if options.hedge_budget > 0.0 {
            let budget = Percent(options.hedge_budget * 100.0).show();
            text += &format!("hedge = \"auto\"\nhedge-budget = \"{budget}\"\n");
        }
        if let Some(after) = options.reprobe_after {
            text += &format!("reprobe-after = \"{}\"\n", Period(after).show());
        }
    }
    text
}

/// The contract's two customers with each strategy, as a study's text.
pub fn batching_study(strategies: &[StrategyName], duration: Duration, repeats: usize, seed: u64) -> String {
    let mut text = format!(
        "\
# The two customers of the earlier system with each strategy, which is switched while the proxy runs.
name = \"batching\"
title = \"Batching strategies\"
seed = {seed}
repeats = {repeats}
duration = \"{}\"

[classifier]
service-time = \"maxlen^2\"

[[customer]]
customer = \"A\"  # 1 to 3 snippets of 5 to 15 characters, 0.33 s after each answer

[[customer]]
customer = \"B\"  # 2 to 5 blocks of 116 or 558 characters, 0.67 s after each answer

[load]
switching = true
",
        Period(duration).show()
    );
    for strategy in strategies {
        text += &format!("\n[[variant]]\nname = \"{strategy}\"\nstrategy = \"{strategy}\"\n");
    }
    text
}
