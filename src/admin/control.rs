//! Changing what the proxy does.
//!
//! Here: from a request to a command, and from the proxy's answer to ours, which is sent when it has obeyed. Not here: the
//! way there and back (`remote.rs`), what a command does (`proxy/`). Floor 3.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Told;
use super::facts::Facts;
use super::problem::Problem;
use super::route::Steering;
use crate::balance::RoutingMode;
use crate::batch::StrategyName;
use crate::command::{Answer, Command, Standing};
use crate::net::Wakes;
use crate::remote::{Remote, Sent, Unheard};

/// A request that the proxy has been asked about.
pub struct Pending {
    sent: Sent,
    question: Question,
}

/// What was asked.
enum Question {
    /// Whether requests can be served.
    Ready,
    /// To be so from now on; the document says how.
    Change(Value),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Routing {
    mode: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Strategy {
    strategy: String,
}

/// Asks the proxy.
///
/// # Errors
/// The request cannot be understood, or the proxy is not to be had.
pub(super) fn begin<W: Wakes>(
    steering: Steering,
    body: &[u8],
    facts: &Facts,
    remote: &Remote<W>,
) -> Result<Pending, Problem> {
    let ready = steering == Steering::Ready;
    let (command, question) = match steering {
        Steering::Ready => (Command::Stand, Question::Ready),
        Steering::Routing => {
            let Routing { mode } = read(body, r#"{"mode":"adaptive_sma"}"#)?;
            let mode: RoutingMode = mode.parse().map_err(|e: String| Problem::new(422, e))?;
            (Command::SetRouting(mode), Question::Change(json!({ "mode": mode.name() })))
        }
        Steering::Strategy => {
            let Strategy { strategy } = read(body, r#"{"strategy":"fair"}"#)?;
            let name: StrategyName = strategy.parse().map_err(|e: String| Problem::new(422, e))?;
            (Command::SetStrategy(name), Question::Change(json!({ "strategy": name.name() })))
        }
        Steering::Drain(name, drained) => {
            let ids = facts.called(&name);
            if ids.is_empty() {
                let names: Vec<_> = facts.servers.iter().map(|server| server.name.as_str()).collect();
                let detail = format!("no backend is called `{name}`; there are {}", names.join(", "));
                return Err(Problem::new(404, detail));
            }
            let change = json!({ "name": name, "state": drained.name() });
            (Command::Drain(ids, drained), Question::Change(change))
        }
    };
    match remote.send(command) {
        Ok(sent) => Ok(Pending { sent, question }),
        Err(unheard) if ready => Err(not_ready(reason(unheard))),
        Err(unheard) => Err(unavailable(unheard)),
    }
}

/// Reads a body, of which `example` is one.
fn read<'de, T: Deserialize<'de>>(body: &'de [u8], example: &str) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|e| {
        let status = if e.is_data() { 422 } else { 400 };
        Problem::new(status, format!("{e}; send for instance {example}"))
    })
}

impl Pending {
    /// What to tell, if the proxy has answered.
    pub(super) fn told(&self) -> Option<Told> {
        let answer = match self.sent.answer() {
            Ok(answer) => answer?,
            Err(unheard) => return Some(self.failed(unheard).into()),
        };
        Some(match (&self.question, answer) {
            (Question::Ready, Answer::Standing(standing)) => tell_standing(standing),
            (Question::Change(change), Answer::Done) => Told::json(200, change.to_string()),
            (_, Answer::NoBatching) => {
                Problem::new(409, "there is no classifier, so there is no strategy to change").into()
            }
            (Question::Ready, Answer::Done) | (Question::Change(_), Answer::Standing(_)) => {
                Problem::new(500, "the proxy has answered something else").into()
            }
        })
    }

    /// What to tell when the proxy has not answered in time.
    pub(super) fn unanswered(&self) -> Told {
        match self.question {
            Question::Ready => not_ready("the proxy does not answer").into(),
            Question::Change(_) => Problem::new(504, "the proxy has not answered; it may obey yet").into(),
        }
    }

    fn failed(&self, unheard: Unheard) -> Problem {
        match self.question {
            Question::Ready => not_ready(reason(unheard)),
            Question::Change(_) => unavailable(unheard),
        }
    }
}

fn tell_standing(Standing { draining, backends, classifiers }: Standing) -> Told {
    match (draining, backends + classifiers) {
        (true, _) => not_ready("draining").into(),
        (false, 0) => not_ready("no-backend").into(),
        (false, _) => Told::json(200, json!({ "ready": true, "backends": backends }).to_string()),
    }
}

fn reason(unheard: Unheard) -> &'static str {
    match unheard {
        Unheard::Busy => "the proxy has too many commands to obey",
        Unheard::Gone => "the proxy has ended",
    }
}

fn unavailable(unheard: Unheard) -> Problem {
    Problem::new(503, reason(unheard)).with("Retry-After", "1")
}

fn not_ready(why: &str) -> Problem {
    Problem::new(503, format!("not ready: {why}"))
}
