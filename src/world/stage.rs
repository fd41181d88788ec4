//! A system for an experiment in virtual time.
//!
//! Here: [`Stage`]: any load in front of the proxy, or of several that do not know of each other, with the servers of one kind
//! behind, on one virtual network, until the load has its answers; the very code that production runs. Not here: a proxy with
//! its load (`front.rs`), the servers (`backyard.rs`), clients that misbehave (`mod.rs`). `batching.rs` and the laboratory
//! (`lab/`) use it. Floor 4.

use std::time::Duration;

use super::actor::{Acts, nothing_left, stop, wait};
use super::backyard::Backyard;
use super::front::{Front, Played};
use crate::load::{self, Workload};
use crate::net::{Fabric, Net, Weather};
use crate::proxy;
use crate::testbed::{BackendOptions, ClassifierOptions};
use crate::time::{Instant, WallTime};

/// What is behind the proxies.
#[derive(Clone, Debug)]
pub enum Servers {
    /// Backends, each with its name in rows.
    Backends(Vec<(String, BackendOptions)>),
    /// Classifiers, for which the proxies batch.
    Classifiers(Vec<ClassifierOptions>),
}

/// What a stage is made of.
#[derive(Clone, Debug)]
pub struct StagePlan {
    /// The seed of the network; equal plans give equal runs.
    pub seed: u64,
    /// How the links behave.
    pub weather: Weather,
    /// What each proxy is told; the stage puts its servers in the place of those in it, and draws of its own for each.
    pub proxy: proxy::Options,
    /// What is behind.
    pub servers: Servers,
    /// Whether somebody drains servers and changes strategies meanwhile, and proxies are judged after each turn.
    pub steered: bool,
}

/// What came of it.
pub struct StageOutcome<W> {
    /// The civil time at its beginning.
    pub began: WallTime,
    /// Of each proxy with its load, in order.
    pub played: Vec<Played<W>>,
    /// Equal for equal runs.
    pub digest: u64,
    /// Whether it was ended before its time.
    pub interrupted: bool,
}

/// A system under way.
pub struct Stage<W: Workload> {
    fabric: Fabric,
    fronts: Vec<Front<W>>,
    servers: Backyard,
    limit: Instant,
}

/// Where the first proxy is; the others are on the ports before.
const PROXY_PORT: u16 = 80;

/// Steps between two questions whether to go on.
const STEPS_A_QUESTION: u64 = 10_000;

impl<W: Workload> Stage<W> {
    /// Builds the system of `plan`, with a proxy for each of the `loads`, at most 80, whose address it becomes; nothing has happened
    /// yet.
    pub fn new(plan: StagePlan, loads: Vec<(load::Plan, W)>) -> Stage<W> {
        let fabric = Fabric::new(plan.seed, plan.weather);
        let (servers, known) = Backyard::open(&fabric, plan.servers);
        let mut options = plan.proxy;
        match &mut options.batching {
            Some(batching) => batching.classifiers = known,
            None => options.backends = known,
        }
        let longest =
            loads.iter().map(|(load, _)| load.duration + load.timeout * 2).max().unwrap_or_default();
        let limit = Instant::ZERO + longest + options.drain_timeout * 2;
        let open = |(number, (load, workload)): (u16, (load::Plan, W))| {
            let options = proxy::Options { run: options.run ^ u64::from(number) << 32, ..options.clone() };
            Front::open(&fabric, PROXY_PORT - number, options, plan.steered, load, workload)
        };
        let fronts = (0..).zip(loads).map(open).collect();
        Stage { fronts, servers, limit, fabric }
    }

    /// Runs until the load is over; then everything stops, and nothing may be left. `go_on` is asked now and then, with the
    /// virtual time that has passed, whether to.
    ///
    /// # Errors
    /// The first violation, with the virtual time.
    pub fn run(mut self, mut go_on: impl FnMut(Duration) -> bool) -> Result<StageOutcome<W>, String> {
        let mut steps = 0;
        while !self.fronts.iter().all(Front::is_over) {
            self.step().map_err(|what| self.place(&what))?;
            steps += 1;
            if steps % STEPS_A_QUESTION == 0 && !go_on(self.fabric.now() - Instant::ZERO) {
                self.fronts.iter_mut().for_each(Front::interrupt);
            }
        }
        let (fronts, interrupted): (_, Vec<_>) = self.fronts.into_iter().map(Front::take_off).unzip();
        let mut stage = Stage { fronts, ..self };
        stage.drain().map_err(|what| stage.place(&what))?;
        let Stage { fabric, fronts, mut servers, .. } = stage;
        let played = fronts.into_iter().map(Front::finish).collect::<Result<_, _>>()?;
        stop(&fabric, vec![&mut servers])?;
        // Those that were overloaded stop with work undone.
        drop(servers);
        nothing_left(&fabric)?;
        let (began, interrupted) = (fabric.net().wall(Instant::ZERO), interrupted.contains(&true));
        Ok(StageOutcome { began, played, digest: fabric.digest(), interrupted })
    }

    fn place(&self, what: &str) -> String {
        format!("{:?} of virtual time: {what}", self.fabric.now() - Instant::ZERO)
    }

    /// Lets everyone act who has something to do now; if nobody has, moves on to when somebody will.
    fn step(&mut self) -> Result<(), String> {
        let now = self.fabric.now();
        if now > self.limit {
            return Err("it does not end".to_owned());
        }
        let mut acted = false;
        for front in &mut self.fronts {
            acted |= front.act(now)?;
        }
        acted |= self.servers.act(now)?;
        if acted {
            return Ok(());
        }
        self.fronts.iter().try_for_each(Front::check_quiet)?;
        let fronts = self.fronts.iter().map(|front| front as &dyn Acts);
        wait(&self.fabric, fronts.chain([&self.servers as &dyn Acts]))
    }

    /// Stops the proxies, and lets them come to their end.
    fn drain(&mut self) -> Result<(), String> {
        self.fronts.iter_mut().for_each(Acts::stop);
        while !self.fronts.iter().all(Acts::has_stopped) {
            self.step()?;
        }
        Ok(())
    }
}

impl<W> StageOutcome<W> {
    /// Of a stage with one proxy.
    ///
    /// # Panics
    /// If there was none.
    pub fn only(self) -> Played<W> {
        self.played.into_iter().next().expect("a stage has a proxy for each load")
    }
}
