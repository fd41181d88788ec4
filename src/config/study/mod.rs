//! Studies: what an experiment compares, from a file.
//!
//! Here: TOML text to a [`Study`]; each error has its place. Not here: playing it (`lab/experiment/`), which studies the program
//! brings along (`builtin.rs`, `bench/studies/`). Floor 5.

mod builtin;
mod form;
#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use clap::ArgMatches;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::bounded;
use super::diagnose::{ConfigError, Place};
use super::effective::Effective;
use super::errors::ConfigErrors;
use super::judge::judge;
use super::values::{Period, Value};
use super::{Audience, Settings, Spacing, crowd, file};
use crate::lab::experiment::{Demand, Pace, Servers, Study, Variant};
use crate::proxy::{Backend, Options};
use crate::testbed::{BackendOptions, ClassifierOptions};

use form::{BackendForm, ClassifierForm, CustomerForm, LoadForm, StudyForm};

pub use builtin::{BATCHING_VARIANTS, ROUTING_VARIANTS, batching_study, routing_study, selection_study};

/// The most servers of a study.
const MOST_BACKENDS: usize = 1_000;

/// How many connections, unless a study says so: as many as the contract's wrk has.
const CONNECTIONS: usize = 100;
/// The most connections of an open loop, unless a study says so.
const OPEN_CONNECTIONS: usize = 10_000;
const THREADS: usize = 4;

/// What takes the place of what a file says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Of [`Study::duration`].
    pub duration: Option<Duration>,
    /// Of [`Study::repeats`].
    pub repeats: Option<usize>,
    /// Of [`Study::seed`].
    pub seed: Option<u64>,
}

impl Overrides {
    /// The text of a study with these in it: keys that stand before the first table give way to new ones at the beginning.
    fn apply(&self, text: &str) -> String {
        let new = [
            ("seed", self.seed.map(|seed| seed.to_string())),
            ("repeats", self.repeats.map(|repeats| repeats.to_string())),
            ("duration", self.duration.map(|duration| format!("\"{}\"", Period(duration).show()))),
        ];
        let new: Vec<_> = new.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        let gives_way = |line: &str| {
            let key = line.split_once('=').map(|(key, _)| key.trim());
            key.is_some_and(|key| new.iter().any(|(name, _)| *name == key))
        };
        let mut out: String = new.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        let mut in_tables = false;
        for line in text.lines() {
            in_tables |= line.trim_start().starts_with('[');
            if in_tables || !gives_way(line) {
                out.push_str(line);
                out.push('\n');
            }
        }
        out
    }
}

/// Reads a study from a file.
///
/// # Errors
/// All that is wrong, with places.
pub fn read_study(path: &Path, overrides: &Overrides, descriptors: u64) -> Result<Study, ConfigErrors> {
    let name = path.display().to_string();
    let text = bounded::text(path, "the study")?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let study = parse_study(&name, &stem, &text, descriptors)?;
    match *overrides == Overrides::default() {
        true => Ok(study),
        false => parse_study(&name, &stem, &overrides.apply(&text), descriptors),
    }
}

/// Reads a study from the text of the file called `name`; the study is called `default` unless the text says otherwise.
///
/// # Errors
/// All that is wrong, with places.
pub fn parse_study(name: &str, default: &str, text: &str, descriptors: u64) -> Result<Study, ConfigErrors> {
    let reader = Reader { name, text, descriptors };
    let mut document = file::document(name, text)?;
    let mut errors = ConfigErrors::default();
    let base = errors.note(reader.take_table(document.get_mut(), "proxy"));
    let variants = errors.note(reader.take_tables(document.get_mut(), "variant"));
    let form = errors.note(file::typed::<StudyForm>(name, text, &document));
    // Of servers and demand nothing is known if the rest cannot be read.
    let servers = form.as_ref().and_then(|form| errors.note(reader.servers(form)));
    let demand = form.as_ref().zip(servers.as_ref()).map(|(form, servers)| reader.demand(form, servers));
    let demand = demand.and_then(|demand| errors.note(demand));
    let batches = matches!(servers, Some(Servers::Classifier(_)));
    let variants = base.zip(variants).map(|(base, tables)| reader.variants(base, tables, batches));
    let variants = variants.and_then(|variants| errors.note(variants));
    let study_name = form.as_ref().and_then(|form| form.name.clone()).unwrap_or_else(|| default.to_owned());
    let sane = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if study_name.is_empty() || study_name.starts_with('.') || !study_name.chars().all(sane) {
        let what = format!("`name`: `{study_name}` is part of a folder's name");
        errors.add(|| reader.error(what).hint("it takes letters, digits, `-`, `_` and `.`"));
    }
    let (Some(form), Some(servers), Some(demand), Some(variants)) = (form, servers, demand, variants) else {
        return Err(errors.in_order());
    };
    let study = Study {
        name: study_name,
        title: form.title.unwrap_or_else(|| default.to_owned()),
        seed: form.seed.unwrap_or(1),
        repeats: form.repeats.map_or(1, |count| count.0 as u32),
        duration: form.duration.map_or(Duration::from_secs(120), |period| period.0),
        warm_up: form.warm_up.map_or(Duration::ZERO, |grace| grace.0),
        servers,
        demand,
        variants,
        text: text.to_owned(),
    };
    errors.note(reader.check_switching(&study));
    errors.in_order().or(study)
}

struct Reader<'r> {
    name: &'r str,
    text: &'r str,
    descriptors: u64,
}

type Table<'t> = Spanned<DeTable<'t>>;

impl Reader<'_> {
    /// An error about the file as a whole.
    fn error(&self, what: impl Into<String>) -> ConfigError {
        let mut error = ConfigError::new(format!("{}: {}", self.name, what.into()));
        error.place = None;
        error
    }

    fn at(&self, offset: usize) -> Place {
        Place::of(self.name, self.text, offset)
    }

    /// Takes the table called `key` out; an empty one if it is not there.
    fn take_table<'t>(&self, table: &mut DeTable<'t>, key: &str) -> Result<Table<'t>, ConfigError> {
        match table.remove(key) {
            None => Ok(Spanned::new(0..0, DeTable::default())),
            Some(value) => self.table(key, value),
        }
    }

    fn table<'t>(&self, key: &str, value: Spanned<DeValue<'t>>) -> Result<Table<'t>, ConfigError> {
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(inner) => Ok(Spanned::new(span, inner)),
            _ => Err(ConfigError::new(format!("`{key}` is not a table")).at(self.at(span.start))),
        }
    }

    /// Takes the tables `[[key]]` out.
    fn take_tables<'t>(&self, table: &mut DeTable<'t>, key: &str) -> Result<Vec<Table<'t>>, ConfigError> {
        let Some(value) = table.remove(key) else { return Ok(Vec::new()) };
        let start = value.span().start;
        match value.into_inner() {
            DeValue::Array(all) => all.into_iter().map(|one| self.table(key, one)).collect(),
            _ => {
                let error = ConfigError::new(format!("`{key}` is not a list of tables")).at(self.at(start));
                Err(error.hint(format!("write [[{key}]] above each")))
            }
        }
    }

    fn servers(&self, form: &StudyForm) -> Result<Servers, ConfigError> {
        match (form.backend.as_slice(), &form.classifier) {
            ([], None) => Err(self.error("no [[backend]] and no [classifier]").hint("a study needs servers")),
            ([_, ..], Some(_)) => {
                let error = self.error("[[backend]] and [classifier] exclude each other");
                Err(error.hint("a study is of routing or of batching"))
            }
            ([], Some(classifier)) => Ok(Servers::Classifier(classifier_options(classifier, form.seed))),
            (backends, None) => {
                let copies = |backend: &BackendForm| backend.copies.map_or(1, |count| count.0);
                if backends.iter().map(copies).sum::<usize>() > MOST_BACKENDS {
                    return Err(self.error(format!("more than {MOST_BACKENDS} backends")));
                }
                let all = backends.iter().flat_map(|b| std::iter::repeat_n(backend_options(b), copies(b)));
                Ok(Servers::Backends(all.collect()))
            }
        }
    }

    fn demand(&self, form: &StudyForm, servers: &Servers) -> Result<Demand, ConfigError> {
        let load = form.load.as_ref();
        match servers {
            Servers::Backends(_) if !form.customer.is_empty() => Err(self
                .error("[[customer]] needs a [classifier]")
                .hint("requests for backends are a [load]")),
            Servers::Backends(_) => self.requests(load.unwrap_or(&LoadForm::default())),
            Servers::Classifier(_) => self.customers(form, load),
        }
    }

    fn requests(&self, load: &LoadForm) -> Result<Demand, ConfigError> {
        if load.switching.is_some() {
            return Err(self.error("`switching` is for batching: it needs a [classifier]"));
        }
        let connections = |usual| load.connections.map_or(usual, |count| count.0);
        let pace = match (load.rate, load.pause, load.arrivals) {
            (Some(_), Some(_), _) => {
                let error = self.error("[load] has a `rate` and a `pause`");
                return Err(error.hint("a rate is of an open loop, a pause of a closed one"));
            }
            (None, _, Some(_)) => return Err(self.error("`arrivals` needs a `rate`")),
            (Some(rate), None, arrivals) => Pace::Open {
                rate: rate.0,
                poisson: arrivals != Some(Spacing::Even),
                connections: connections(OPEN_CONNECTIONS),
            },
            (None, pause, None) => Pace::Closed {
                connections: connections(CONNECTIONS),
                pause: pause.map_or(Duration::ZERO, |grace| grace.0),
            },
        };
        Ok(Demand::Requests {
            pace,
            threads: load.threads.map_or(THREADS, |count| count.0),
            body_bytes: load.request_bytes.map_or(0, |bytes| bytes.0),
            timeout: load.timeout.map_or(Duration::from_secs(10), |period| period.0),
        })
    }

    fn customers(&self, form: &StudyForm, load: Option<&LoadForm>) -> Result<Demand, ConfigError> {
        let other = |load: &LoadForm| {
            let LoadForm { connections, threads, pause, rate, arrivals, request_bytes, .. } = load;
            let named = [
                ("connections", connections.is_some()),
                ("threads", threads.is_some()),
                ("pause", pause.is_some()),
                ("rate", rate.is_some()),
                ("arrivals", arrivals.is_some()),
                ("request-bytes", request_bytes.is_some()),
            ];
            named.into_iter().find(|(_, given)| *given).map(|(key, _)| key)
        };
        if let Some(key) = load.and_then(other) {
            let error = self.error(format!("`{key}` is of requests for backends"));
            return Err(error.hint("what asks a classifier is a [[customer]]"));
        }
        let mut customers = Vec::new();
        for CustomerForm { customer, copies, rate } in &form.customer {
            let all = crowd(std::slice::from_ref(customer), copies.map_or(1, |count| count.0));
            let all = all.map_err(|e| self.error(e))?;
            customers.extend(all.into_iter().map(|customer| (customer, rate.map(|rate| rate.0))));
        }
        let names: Vec<_> = customers.iter().map(|(customer, _)| customer.clone()).collect();
        crowd(&names, 1).map_err(|e| self.error(e))?;
        if customers.is_empty() {
            return Err(self.error("no [[customer]]").hint("someone must ask the classifier"));
        }
        Ok(Demand::Customers {
            customers,
            timeout: load.and_then(|load| load.timeout).map_or(Duration::from_secs(60), |period| period.0),
            switching: load.and_then(|load| load.switching).is_some_and(|switch| switch.0),
        })
    }

    /// `batches`: the servers are classifiers.
    fn variants(
        &self,
        base: Table<'_>,
        tables: Vec<Table<'_>>,
        batches: bool,
    ) -> Result<Vec<Variant>, ConfigErrors> {
        if tables.is_empty() {
            let error = self.error("no [[variant]]");
            return Err(error
                .hint("each has a name and settings of the proxy, such as routing = \"round-robin\"")
                .into());
        }
        let mut errors = ConfigErrors::default();
        let mut variants: Vec<Variant> = Vec::new();
        for table in tables {
            let Some((name, start, own)) = errors.note(self.named(table)) else { continue };
            if variants.iter().any(|variant| variant.name == name) {
                let what = || ConfigError::new(format!("two variants are called `{name}`"));
                errors.add(|| what().at(self.at(start)));
            }
            let mut merged = base.get_ref().clone();
            merged.extend(own);
            let merged = Spanned::new(start..start, merged);
            if let Some(options) = errors.note(self.options(merged, start, batches)) {
                variants.push(Variant { name, options });
            }
        }
        errors.or(variants)
    }

    /// A variant's name, its place, and its settings.
    fn named<'t>(&self, table: Table<'t>) -> Result<(String, usize, DeTable<'t>), ConfigError> {
        let start = table.span().start;
        let mut table = table.into_inner();
        let (at, name) = match table.remove("name") {
            Some(value) => (value.span().start, value.into_inner()),
            None => return Err(ConfigError::new("a variant without a name").at(self.at(start))),
        };
        match name {
            DeValue::String(name) if is_fit(&name) => Ok((name.into_owned(), start, table)),
            _ => {
                let error =
                    ConfigError::new("the name of a variant is a text of 1 to 60 characters on one line");
                Err(error.at(self.at(at)))
            }
        }
    }

    /// The options of a variant that begins at `start`.
    fn options(&self, table: Table<'_>, start: usize, batches: bool) -> Result<Options, ConfigErrors> {
        let written = file::settings(self.name, self.text, table, Audience::Study);
        let mut errors = written.errors;
        let none = ArgMatches::default();
        let effective =
            Effective::merge(Settings::default(), &none, written.settings, Audience::Study, self.descriptors);
        let mut together = ConfigErrors::default();
        judge(&effective, &written.places, &written.unusable, &mut together);
        errors.absorb(together.placed(&self.at(start)));
        errors.or(())?;
        // Those that play the study know the real ones.
        let classifier = Backend { url: String::new(), authority: String::new(), addresses: Vec::new() };
        let classifiers = if batches { vec![classifier] } else { Vec::new() };
        Ok(effective.into_options(Vec::new(), classifiers)?.options)
    }

    /// Variants that are switched differ in nothing but the strategy.
    fn check_switching(&self, study: &Study) -> Result<(), ConfigError> {
        let Demand::Customers { switching: true, .. } = &study.demand else { return Ok(()) };
        let all_but_strategy = |variant: &Variant| {
            let mut options = variant.options.clone();
            let mut queue = options.batching.as_mut().map(|batching| &mut batching.queue);
            if let Some(queue) = &mut queue {
                queue.strategy = crate::batch::StrategyName::Sjf;
            }
            options
        };
        let differ =
            study.variants.windows(2).find(|two| all_but_strategy(&two[0]) != all_but_strategy(&two[1]));
        match differ {
            None => Ok(()),
            Some(two) => {
                let (one, other) = (&two[0].name, &two[1].name);
                let what = format!("`{one}` and `{other}` differ in more than their strategy");
                Err(self.error(what).hint("only that can be switched; leave `switching` out"))
            }
        }
    }
}

fn is_fit(name: &str) -> bool {
    (1..=60).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}

/// Which one it is, a run says.
fn backend_options(form: &BackendForm) -> BackendOptions {
    BackendOptions {
        capacity: form.capacity.and_then(|count| NonZeroUsize::new(count.0)),
        faults: form.fault.clone().unwrap_or_default(),
        ..BackendOptions::plain('A', form.profile.clone())
    }
}

fn classifier_options(form: &ClassifierForm, seed: Option<u64>) -> ClassifierOptions {
    let usual = ClassifierOptions::default();
    ClassifierOptions {
        concurrency: form.concurrency.and_then(|count| NonZeroUsize::new(count.0)),
        service_time: form.service_time.unwrap_or(usual.service_time),
        error_rate: form.error_rate.map_or(usual.error_rate, |share| share.0),
        drop_results: form.drop_results.map_or(usual.drop_results, |share| share.0),
        max_sequences: form.max_sequences.map_or(usual.max_sequences, |count| count.0),
        seed: seed.unwrap_or(1),
    }
}
