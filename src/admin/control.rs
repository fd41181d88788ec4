//! Changing what the proxy does.
//!
//! Here: from a request to a command, and from the proxy's answer to ours, which is sent when it has obeyed. Not here: the
//! way there and back (`remote.rs`), what a command does (`proxy/`). Floor 3.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Reloads;
use super::Told;
use super::problem::Problem;
use super::route::Steering;
use crate::balance::RoutingMode;
use crate::batch::StrategyName;
use crate::command::{Answer, Command, Reload, ReloadFailure, Reloaded, SettingChange, Standing};
use crate::net::Wakes;
use crate::remote::{Remote, Sent, Unheard};
use crate::telemetry::Snapshots;

/// A request that another has been asked about.
pub struct Pending(Asked);

enum Asked {
    /// The proxy.
    Proxy(Sent, Question),
    /// Who reads the settings.
    Reload(Sent<Result<Reloaded, ReloadFailure>>),
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
    snapshots: &Snapshots,
    (remote, reloads): (&Remote<W>, &Reloads),
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
        Steering::Reload => {
            let sent = reloads.send(Reload).map_err(unavailable)?;
            return Ok(Pending(Asked::Reload(sent)));
        }
        Steering::Drain(name, drained) => {
            let known = snapshots.latest();
            let names: Vec<_> = known.backends.iter().filter(|b| !b.removed).map(|b| &*b.name).collect();
            if !names.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
                let detail = format!("no backend is called `{name}`; there are {}", names.join(", "));
                return Err(Problem::new(404, detail));
            }
            let change = json!({ "name": name, "state": drained.name() });
            (Command::Drain(name.into(), drained), Question::Change(change))
        }
    };
    match remote.send(command) {
        Ok(sent) => Ok(Pending(Asked::Proxy(sent, question))),
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
    /// Whether the settings are being read.
    pub(super) fn is_reload(&self) -> bool {
        matches!(self.0, Asked::Reload(_))
    }

    /// What to tell, if there is an answer.
    pub(super) fn told(&self) -> Option<Told> {
        match &self.0 {
            Asked::Proxy(sent, question) => match sent.answer() {
                Ok(answer) => Some(tell(question, answer?)),
                Err(unheard) => Some(failed(question, unheard).into()),
            },
            Asked::Reload(sent) => match sent.answer() {
                Ok(answer) => Some(tell_reloaded(answer?)),
                Err(unheard) => Some(unavailable(unheard).into()),
            },
        }
    }

    /// What to tell when there was none in time.
    pub(super) fn unanswered(&self) -> Told {
        match &self.0 {
            Asked::Proxy(_, Question::Ready) => not_ready("the proxy does not answer").into(),
            Asked::Proxy(_, Question::Change(_)) => {
                Problem::new(504, "the proxy has not answered; it may obey yet").into()
            }
            Asked::Reload(_) => Problem::new(
                504,
                "the settings are still being read, or names looked up; the log will tell what came of it",
            )
            .into(),
        }
    }
}

fn tell(question: &Question, answer: Answer) -> Told {
    match (question, answer) {
        (Question::Ready, Answer::Standing(standing)) => tell_standing(standing),
        (Question::Change(change), Answer::Done) => Told::json(200, change.to_string()),
        (_, Answer::NoBatching) => {
            Problem::new(409, "there is no classifier, so there is no strategy to change").into()
        }
        (_, Answer::NoSuchServer) => Problem::new(404, "no backend is called so any more").into(),
        (Question::Ready, Answer::Done) | (Question::Change(_), Answer::Standing(_)) => {
            Problem::new(500, "the proxy has answered something else").into()
        }
    }
}

fn failed(question: &Question, unheard: Unheard) -> Problem {
    match question {
        Question::Ready => not_ready(reason(unheard)),
        Question::Change(_) => unavailable(unheard),
    }
}

fn tell_reloaded(answer: Result<Reloaded, ReloadFailure>) -> Told {
    match answer {
        Ok(Reloaded { changed, added, removed, moved, kept }) => {
            let change = |SettingChange { key, from, to }: SettingChange| json!({ "key": key, "from": from, "to": to });
            let changed: Vec<_> = changed.into_iter().map(change).collect();
            let servers = json!({ "added": added, "removed": removed, "moved": moved, "kept": kept });
            Told::json(200, json!({ "changed": changed, "servers": servers }).to_string())
        }
        Err(ReloadFailure { errors, detail, conflict }) => {
            Problem::new(if conflict { 409 } else { 422 }, detail).about(errors).into()
        }
    }
}

fn tell_standing(Standing { draining, backends, classifiers }: Standing) -> Told {
    match (draining, backends + classifiers) {
        (true, _) => not_ready("draining").into(),
        (false, 0) => not_ready("no-backend").into(),
        (false, _) => {
            let told = json!({ "ready": true, "backends": backends, "classifiers": classifiers });
            Told::json(200, told.to_string())
        }
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
