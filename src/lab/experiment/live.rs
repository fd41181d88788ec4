//! Runs over sockets.
//!
//! Here: [`Live`]: starts servers and proxy on threads of their own, on loopback and free ports, puts the load on, waits, and
//! stops them. Not here: the same in virtual time (`simulated.rs`), wrk (`wrk.rs`). Floor 4.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::demand::{Asker, part};
use super::outcome::{Load, Outcome, Rows};
use super::rows::{Observer, Recent, recent};
use super::switching::switch;
use super::watch::GLANCE;
use super::wrk;
use super::{Demand, ExperimentError, Run, Servers, Study, Watcher, cannot};
use crate::lab::log;
use crate::load::{self, Ended, RunningLoad, Summary, Tally};
use crate::net::OsNet;
use crate::proxy::{self, Backend, RunningProxy};
use crate::server::RunningServer;
use crate::telemetry::{Telemetry, TelemetryOptions};
use crate::testbed::{self, BackendOptions, ClassifierOptions, Meter};

/// Who puts the load on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Our own generator.
    Own,
    /// wrk, and what is known is what the proxy logs in this folder.
    Wrk(PathBuf),
}

/// How long the end of a run waits for its rows to be written.
const LAST_LINES: Duration = Duration::from_secs(60);

/// Plays runs.
pub struct Live<'a> {
    study: &'a Study,
    driver: Driver,
    /// With the run for which it was started; others may follow, if variants are switched.
    house: Option<(Run, House)>,
}

/// What is on the network besides the load.
struct House {
    servers: Vec<RunningServer>,
    proxy: RunningProxy,
    telemetry: Telemetry,
    csv: Option<PathBuf>,
    meters: Vec<Meter>,
}

impl<'a> Live<'a> {
    /// A player of the runs of `study`.
    pub fn new(study: &'a Study, driver: Driver) -> Live<'a> {
        Live { study, driver, house: None }
    }

    /// Plays a run.
    ///
    /// # Errors
    /// When the system refuses something.
    pub fn play(&mut self, run: Run, watcher: &mut Watcher<'_>) -> Result<Outcome, ExperimentError> {
        let house = self.house_of(run)?;
        watcher.begin();
        let began = watcher.wall();
        let address = house.proxy.address();
        let meters = house.meters.clone();
        if let Driver::Wrk(_) = self.driver {
            let (words, from_us, cut_short) = wrk::drive(self.study, run, address, watcher)?;
            let file = house.csv.clone().unwrap_or_default();
            self.house = Some((run, house));
            self.close()?;
            let log = log::read(&file).map_err(|e| ExperimentError::Wrk(e.to_string()))?;
            let rows = Rows::Logged { file, log, from_us };
            return Ok(Outcome { run, began, rows, load: Load::Wrk(words), meters, cut_short });
        }
        let start = watcher.now();
        let (rows, tally) = load(self.study, run, address, watcher)?;
        let cut_short = watcher.interrupted().then(|| watcher.now() - start);
        self.house = Some((run, house));
        if !self.study.is_switching() {
            self.close()?;
        }
        let load = Load::Own(Box::new(Summary::new(&tally)));
        Ok(Outcome { run, began, rows: Rows::Seen(rows), load, meters, cut_short })
    }

    /// The house for a run: that of the run before, if variants are switched and it is of the same repeat, else a new one.
    fn house_of(&mut self, run: Run) -> Result<House, ExperimentError> {
        if let Some((before, house)) = self.house.take() {
            if before.repeat == run.repeat {
                switch(house.proxy.address(), self.study.mode(run))?;
                return Ok(house);
            }
            house.close()?;
        }
        let csv = match &self.driver {
            Driver::Own => None,
            Driver::Wrk(folder) => Some(folder.join(format!("{}.csv", self.study.label(run)))),
        };
        House::open(self.study, run, csv)
    }

    /// Stops what is running.
    ///
    /// # Errors
    /// What ended a server before.
    pub fn close(&mut self) -> Result<(), ExperimentError> {
        self.house.take().map_or(Ok(()), |(_, house)| house.close())
    }
}

impl House {
    fn open(study: &Study, run: Run, csv: Option<PathBuf>) -> Result<House, ExperimentError> {
        let (servers, known, meters) = serve(study, run.seed)?;
        let mut options = study.variants[run.variant].options.clone();
        match &mut options.batching {
            Some(batching) => batching.classifiers = known,
            None => options.backends = known,
        }
        let roster = options.roster();
        let telemetry = Telemetry::start(TelemetryOptions { roster, csv: csv.clone(), trace: None });
        let (recorder, telemetry) =
            telemetry.map_err(|e| cannot("start the proxy's telemetry")(std::io::Error::other(e)))?;
        let listener = OsNet::listen(free_port()).map_err(cannot("listen"))?;
        let proxy = proxy::spawn(listener, options, recorder).map_err(cannot("start the proxy"))?;
        Ok(House { servers, proxy, telemetry, csv, meters })
    }

    fn close(self) -> Result<(), ExperimentError> {
        self.proxy.stop().map_err(cannot("keep the proxy running"))?;
        self.telemetry.stop(LAST_LINES);
        self.servers.into_iter().try_for_each(RunningServer::stop).map_err(cannot("keep a server running"))
    }
}

fn free_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// Servers that run, how the proxy knows them, and their meters.
type Served = (Vec<RunningServer>, Vec<Backend>, Vec<Meter>);

/// Starts the servers.
fn serve(study: &Study, seed: u64) -> Result<Served, ExperimentError> {
    let known = |name: String, server: RunningServer| {
        let address = server.address();
        let authority = address.to_string();
        (server, Backend { url: name, authority, addresses: vec![address] })
    };
    match &study.servers {
        Servers::Backends(_) => {
            let all = study.servers.backends(seed, study.warm_up);
            let meters = all.iter().filter_map(|(_, options)| options.meter.clone()).collect();
            let start = |(name, options): (String, BackendOptions)| {
                let listener = OsNet::listen(free_port())?;
                Ok(known(name, testbed::spawn(listener, options)?))
            };
            let started = all.into_iter().map(start).collect::<std::io::Result<Vec<_>>>();
            let (running, known) = started.map_err(cannot("start the backends"))?.into_iter().unzip();
            Ok((running, known, meters))
        }
        Servers::Classifier(options) => {
            let listener = OsNet::listen(free_port()).map_err(cannot("listen"))?;
            let options = ClassifierOptions { seed, ..options.clone() };
            let server = testbed::spawn_classifier(listener, options);
            let server = server.map_err(cannot("start the classifier"))?;
            let (server, backend) = known("classifier".to_owned(), server);
            Ok((vec![server], vec![backend], Vec::new()))
        }
    }
}

type Generator = RunningLoad<Observer<Asker>>;

/// Puts the load on, and waits until it is over.
fn load(
    study: &Study,
    run: Run,
    address: SocketAddr,
    watcher: &mut Watcher<'_>,
) -> Result<(Vec<super::Observed>, Tally), ExperimentError> {
    let ended = Arc::new(AtomicUsize::new(0));
    let threads = study.demand.threads();
    let mut glances: Vec<Recent> = Vec::new();
    let mut start = |n| {
        let (plan, asker) = part(study, run, n, threads, address);
        let recent = recent();
        glances.push(recent.clone());
        let backends = study.servers.names().len() - 1;
        let observer = Observer::new(asker, study.is_batching(), backends, recent);
        let held = Ended { count: Arc::clone(&ended), waker: watcher.waker() };
        load::spawn(&format!("load {n}"), plan, observer, held)
    };
    let running = (0..threads).map(&mut start).collect::<std::io::Result<Vec<Generator>>>();
    let running = running.map_err(cannot("start the load"))?;
    let began = watcher.now();
    let mut told = false;
    while ended.load(Ordering::Acquire) < threads {
        watcher.wait(GLANCE)?;
        watcher.tell(run, watcher.now() - began, study.run_time(), &glances);
        if watcher.interrupted() && !told {
            told = true;
            running.iter().try_for_each(RunningLoad::stop).map_err(cannot("stop the load"))?;
        }
    }
    let (mut rows, mut tally) = (Vec::new(), Tally::default());
    for one in running {
        let (counted, observer) = one.join().map_err(cannot("keep the load running"))?;
        tally.add(&counted);
        rows.append(&mut observer.finish());
    }
    Ok((rows, tally))
}

impl Study {
    /// Whether requests are batched.
    pub fn is_batching(&self) -> bool {
        matches!(self.servers, Servers::Classifier(_))
    }

    fn is_switching(&self) -> bool {
        matches!(self.demand, Demand::Customers { switching: true, .. })
    }
}
