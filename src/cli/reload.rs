//! The settings while the proxy runs: read again when asked, their names looked up again now and then.
//!
//! Here: [`Keeper`], on a thread of its own, because looking up a name may take seconds; it hears SIGHUP and the admin
//! listener, and brings what it has read to the proxy. Not here: reading (`config/`), what the proxy does with it
//! (`proxy/reload.rs`). `cli/proxy.rs` starts it. Floor 5.

use std::fmt;
use std::io;
use std::thread::Builder;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, never, select, tick};
use signal_hook::consts::SIGHUP;
use signal_hook::iterator::Signals;

use super::admin;
use crate::admin::{Configuration, InForce};
use crate::command::{Reload, ReloadError, ReloadFailure, Reloaded, SettingChange};
use crate::config::{ConfigError, ConfigErrors, Effective, Names, ResolveError, Source};
use crate::net::Waker;
use crate::proxy::{Backend, Changed, Options, Refused};
use crate::remote::{Bell, Orders, Remote, Unheard};

/// How long the proxy may take over other options: it does so within one turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Brings options to the proxy.
pub(super) type Bringer = Remote<Waker, Box<Options>, Result<Changed, Refused>>;

/// Who the admin listener asks to read the settings again.
pub(super) type Askers = Orders<Waker, Reload, Result<Reloaded, ReloadFailure>>;

/// The settings in force and what it takes to read them again.
pub(super) struct Settings {
    pub(super) source: Source,
    pub(super) effective: Effective,
    pub(super) names: Names,
    /// Backends and classifiers that are no settings: those of the testbed.
    pub(super) own_servers: Option<(Vec<Backend>, Vec<Backend>)>,
}

/// Keeps the settings in force.
pub(super) struct Keeper {
    settings: Settings,
    proxy: Bringer,
    shared: Configuration,
    state: InForce,
}

/// Why a reload came to nothing.
enum Failed {
    Config(ConfigErrors),
    Resolve(ResolveError),
    Refused(String),
}

impl From<ConfigErrors> for Failed {
    fn from(e: ConfigErrors) -> Failed {
        Failed::Config(e)
    }
}

impl From<ResolveError> for Failed {
    fn from(e: ResolveError) -> Failed {
        Failed::Resolve(e)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failed::Config(e) => e.fmt(f),
            Failed::Resolve(e) => e.fmt(f),
            Failed::Refused(why) => f.write_str(why),
        }
    }
}

impl From<Failed> for ReloadFailure {
    fn from(failed: Failed) -> ReloadFailure {
        let errors = match &failed {
            Failed::Config(errors) => errors.iter().map(reload_error).collect(),
            Failed::Resolve(_) | Failed::Refused(_) => Vec::new(),
        };
        ReloadFailure { errors, detail: failed.to_string(), conflict: matches!(failed, Failed::Refused(_)) }
    }
}

fn reload_error(error: &ConfigError) -> ReloadError {
    let place = error.place.clone().map(|place| (place.file, place.line, place.column));
    ReloadError { place, detail: error.to_string() }
}

/// Hears of SIGHUP from now on, which would end the process otherwise.
///
/// # Errors
/// When the handler cannot be installed or the system gives no thread.
pub(super) fn hear_hangups() -> io::Result<Receiver<()>> {
    let mut signals = Signals::new([SIGHUP])?;
    let (heard, hangups): (Sender<()>, _) = bounded(1);
    let hear = move || {
        for _ in signals.forever() {
            // One that is full has been told already.
            let _ = heard.try_send(());
        }
    };
    Builder::new().name("hangups".to_owned()).spawn(hear)?;
    Ok(hangups)
}

impl Keeper {
    /// Keeps `settings`, which are in force, tells of them in `shared`, and brings what changes to `proxy`.
    pub(super) fn new(settings: Settings, proxy: Bringer, shared: Configuration) -> Keeper {
        let state = InForce { since: shared.get().since, ..InForce::default() };
        let mut keeper = Keeper { settings, proxy, shared, state };
        keeper.publish();
        keeper
    }

    /// Starts it. It ends with the process: nothing of it needs an end.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(
        self,
        asked: Receiver<()>,
        askers: Option<Askers>,
        hangups: Receiver<()>,
    ) -> io::Result<()> {
        Builder::new().name("settings".to_owned()).spawn(move || self.run(&asked, askers, &hangups))?;
        Ok(())
    }

    fn run(mut self, asked: &Receiver<()>, askers: Option<Askers>, hangups: &Receiver<()>) {
        let mut ticks = self.ticks();
        loop {
            select! {
                recv(hangups) -> heard => {
                    if heard.is_err() {
                        return;
                    }
                    // The log says what came of it.
                    let _ = self.reload();
                    ticks = self.ticks();
                }
                recv(asked) -> heard => {
                    let (Ok(()), Some(askers)) = (heard, &askers) else { return };
                    askers.each(|Reload| self.reload().map_err(ReloadFailure::from));
                    ticks = self.ticks();
                }
                recv(ticks) -> _ => self.look_up_again(),
            }
        }
    }

    /// When names are to be looked up again.
    fn ticks(&self) -> Receiver<std::time::Instant> {
        match self.settings.effective.resolve_interval.value.0 {
            Some(interval) if !self.settings.names.is_empty() => tick(interval),
            _ => never(),
        }
    }

    /// Reads the settings again and brings them into force, all or nothing.
    fn reload(&mut self) -> Result<Reloaded, Failed> {
        let came = self.read_again();
        match &came {
            Ok((_, reloaded)) => {
                log::info!("{}", tell(self.settings.source.file.is_some(), reloaded));
                self.state.succeeded += 1;
            }
            Err(e) => {
                for line in e.to_string().lines() {
                    log::error!("the settings stay as they are: {line}");
                }
                self.state.failed += 1;
            }
        }
        self.state.last_failed = came.is_err();
        let reloaded = came.map(|(effective, reloaded)| {
            self.settings.effective = effective;
            reloaded
        });
        self.publish();
        reloaded
    }

    fn read_again(&mut self) -> Result<(Effective, Reloaded), Failed> {
        let then = self.settings.source.load()?;
        let changed = self.settings.source.differences(&self.settings.effective, &then)?;
        let Changed { at, added, removed, moved, kept } = self.bring(&then)?;
        self.settings.names.end_round();
        self.state.since = at;
        then.remarks().iter().for_each(|remark| log::warn!("{remark}"));
        // What is logged is judged by this level alone.
        log::set_max_level(then.log_level.value);
        Ok((then, Reloaded { changed, added, removed, moved, kept }))
    }

    /// Looks up the names, and brings these settings to the proxy.
    fn bring(&mut self, effective: &Effective) -> Result<Changed, Failed> {
        let (backends, classifiers) = match &self.settings.own_servers {
            Some(own) => own.clone(),
            None => {
                self.settings.names.begin_round();
                effective.look_up(&mut self.settings.names)?
            }
        };
        let options = effective.clone().into_options(backends, classifiers)?.options;
        let unheard = |unheard| match unheard {
            Unheard::Busy => Failed::Refused("the proxy has not taken over the last settings yet".to_owned()),
            Unheard::Gone => Failed::Refused("the proxy has ended".to_owned()),
        };
        let sent = self.proxy.send(Box::new(options)).map_err(unheard)?;
        match sent.wait(PATIENCE).map_err(unheard)? {
            Some(Ok(changed)) => Ok(changed),
            Some(Err(Refused::Fixed(keys))) => Err(self.settings.source.all_fixed(&keys).into()),
            Some(Err(refused)) => Err(Failed::Refused(refused.to_string())),
            None => Err(Failed::Refused("the proxy does not answer".to_owned())),
        }
    }

    /// The same settings, with the addresses that their names have now.
    fn look_up_again(&mut self) {
        let effective = self.settings.effective.clone();
        match self.bring(&effective) {
            Ok(Changed { added, removed, moved, .. }) => {
                self.settings.names.end_round();
                let lists = [("new", added), ("removed", removed), ("with other addresses", moved)];
                for (what, urls) in lists.into_iter().filter(|(_, urls)| !urls.is_empty()) {
                    log::info!("names were looked up, {what}: {}", urls.join(", "));
                }
            }
            Err(e) => log::warn!("names were looked up in vain: {e}"),
        }
        self.publish();
    }

    fn publish(&mut self) {
        let names = &self.settings.names;
        (self.state.names_found, self.state.lookups_failed) = (names.found, names.failed);
        self.state.names_failing = names.failing();
        self.state.settings = admin::settings(&self.settings.effective);
        self.shared.set(self.state.clone());
    }
}

/// What came of a reload, as one line.
fn tell(has_file: bool, reloaded: &Reloaded) -> String {
    let Reloaded { changed, added, removed, moved, kept } = reloaded;
    let mut line = match has_file {
        true => "the settings were read again".to_owned(),
        false => "there is no configuration file to read again; names were looked up".to_owned(),
    };
    for SettingChange { key, from, to } in changed {
        line.push_str(&format!("; {key}: {from} until now, {to} from now on"));
    }
    for (what, urls) in [("new", added), ("removed", removed), ("with other addresses", moved)] {
        if !urls.is_empty() {
            line.push_str(&format!("; {what}: {}", urls.join(", ")));
        }
    }
    if changed.is_empty() && added.is_empty() && removed.is_empty() && moved.is_empty() {
        line.push_str("; nothing has changed");
    }
    line.push_str(&format!("; {kept} servers stay"));
    line
}

/// The ways between the keeper and the admin listener, which `admin` wakes.
pub(super) fn reload_desk(admin: Waker) -> (crate::admin::Reloads, Receiver<()>, Askers) {
    let (bell, asked) = Bell::new();
    let (reloads, askers) = crate::remote::remote(bell, admin);
    (reloads, asked, askers)
}

#[cfg(test)]
#[path = "reload_tests.rs"]
mod tests;
