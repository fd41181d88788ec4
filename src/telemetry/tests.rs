//! Tests of the recorder, the figures and the thread.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::balance::{Availability, BackendId, RoutingMode};
use crate::record::trace::Trace;
use crate::record::{Averages, Mode};
use crate::time::{Instant, WallTime};

/// More than any of these tests takes; only a hang reaches it.
const LIMIT: Duration = Duration::from_secs(60);
/// So small that a few thousand records fill everything.
const SMALL: Limits =
    Limits { batches: 2, recorder_blocks: 2, csv_batches: 2, csv_blocks: 2, trace_blocks: 2 };

fn roster() -> Roster {
    let urls = ["http://localhost:8081", "http://localhost:8082", "http://localhost:8083"];
    Roster::first(&urls.map(|url| (url, "")), &[])
}

fn options(csv: Option<&Path>) -> TelemetryOptions {
    TelemetryOptions { roster: roster(), csv: csv.map(Path::to_owned), trace: None }
}

/// The `i`-th of a varied but fixed sequence of records.
fn record(i: u64) -> Record {
    let hash = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let backend = (!hash.is_multiple_of(7)).then_some(BackendId((hash % 3) as u16));
    Record {
        ended: WallTime::from_nanos(1_746_821_044_000_000_000 + i * 1_000_000),
        latency_ns: backend.map_or(0, |_| 1_000_000 + hash % 400_000_000),
        backend,
        status: if backend.is_some() { [200, 404, 502][(hash % 5 % 3) as usize] } else { 503 },
        mode: Mode::Routing(RoutingMode::AdaptiveSma),
        failed: hash % 5 % 3 == 2,
        reused: true,
        connect_us: 0,
        averages: Averages::UNMEASURED,
    }
}

fn flush(recorder: &mut Recorder) {
    recorder.flush(std::iter::empty(), Counters::default());
}

/// A disk that stalls in every write until its other end is dropped.
struct Stalled(Receiver<()>);

impl Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn stalled(until: Receiver<()>) -> Target<Stalled> {
    let open = |_: &Path, _| Err(io::ErrorKind::Unsupported.into());
    Target { kind: Output::Csv, path: PathBuf::new(), out: Stalled(until), open }
}

#[test]
fn an_unwritable_path_is_one_clear_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("missing").join("log.csv");
    let error = Telemetry::start(options(Some(&path))).err().expect("no such folder").to_string();
    assert!(error.starts_with(&format!("cannot write the CSV file {}: ", path.display())), "{error}");
    assert!(error.contains("No such file") && error.lines().count() == 1, "{error}");
}

#[test]
fn everything_pushed_is_in_the_file_after_stop() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.csv");
    for run in 1..=2 {
        let (mut recorder, telemetry) = Telemetry::start(options(Some(&path))).unwrap();
        // Fewer than the recorder alone may keep, so nothing can be dropped; the last ones are never flushed.
        for i in 0..50_000 {
            recorder.push(record(i));
            if recorder.is_full() && i < 40_000 {
                flush(&mut recorder);
            }
        }
        assert!(recorder.pending());
        drop(recorder);
        assert_eq!(
            telemetry.stop(LIMIT),
            Summary {
                rows_written: 50_000,
                rows_dropped: 0,
                traces_written: 0,
                traces_dropped: 0,
                records_dropped: 0
            }
        );

        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 1 + run * 50_000);
        assert_eq!(text.matches("timestamp").count(), 1);
        let rows = text.lines().skip(1 + (run - 1) * 50_000);
        for (i, row) in rows.enumerate() {
            let millis = (record(i as u64).latency_ns + 500_000) / 1_000_000;
            assert_eq!(row.split(',').nth(2).unwrap(), millis.to_string(), "row {i}");
        }
    }
}

#[test]
fn a_stalled_disk_stops_neither_pushes_nor_figures_and_every_row_is_accounted_for() {
    let (release, stall) = bounded(0);
    let (mut recorder, telemetry) =
        Telemetry::start_with(roster(), Some(stalled(stall)), None, SMALL).unwrap();
    let snapshots = telemetry.snapshots();
    let mut pushed = 0;
    // Queue, backlog and the block in the writer's hands hold six batches at the most.
    while snapshots.latest().rows_dropped == 0 {
        for _ in 0..BATCH {
            recorder.push(record(pushed));
            pushed += 1;
        }
        flush(&mut recorder);
        let seen = snapshots.wait_for(LIMIT, |s| s.requests == pushed);
        assert_eq!((seen.requests, seen.rows_written), (pushed, 0));
        assert!(pushed < 20 * BATCH as u64, "nothing is dropped");
    }
    drop(release);
    drop(recorder);
    let summary = telemetry.stop(LIMIT);
    assert_eq!(summary.records_dropped, 0);
    assert!(summary.rows_written >= 4 * BATCH as u64, "{summary:?}");
    assert_eq!(summary.rows_written + summary.rows_dropped, pushed);
    let last = snapshots.latest();
    assert_eq!((last.rows_written, last.rows_dropped), (summary.rows_written, summary.rows_dropped));
}

#[test]
fn the_end_waits_a_while_only_for_files_that_take_nothing() {
    let (_release, stall) = bounded(0);
    let (mut recorder, telemetry) =
        Telemetry::start_with(roster(), Some(stalled(stall.clone())), Some(stalled(stall)), SMALL).unwrap();
    let pushed = 40 * BATCH as u64;
    for i in 0..pushed {
        recorder.push(record(i));
        recorder.push_trace(record(i), &Trace::arrived(Instant::ZERO));
        if i % 64 == 0 {
            flush(&mut recorder);
        }
    }
    drop(recorder);
    let Summary { rows_written, rows_dropped, records_dropped, traces_written, traces_dropped } =
        telemetry.stop(Duration::from_millis(20));
    assert_eq!((rows_written, rows_dropped + records_dropped), (0, pushed));
    assert_eq!((traces_written, traces_dropped), (0, pushed));
}

#[test]
fn small_batches_do_not_exhaust_the_rows_that_may_wait() {
    let (release, stall) = bounded(0);
    let (mut recorder, telemetry) =
        Telemetry::start_with(roster(), Some(stalled(stall)), None, SMALL).unwrap();
    let snapshots = telemetry.snapshots();
    for pushed in 1..=20 {
        recorder.push(record(pushed));
        flush(&mut recorder);
        snapshots.wait_for(LIMIT, |s| s.requests == pushed);
    }
    drop(release);
    drop(recorder);
    assert_eq!(
        telemetry.stop(LIMIT),
        Summary {
            rows_written: 20,
            rows_dropped: 0,
            traces_written: 0,
            traces_dropped: 0,
            records_dropped: 0
        }
    );
}

#[test]
fn rows_that_are_late_are_counted_without_another_request() {
    let (release, stall) = bounded(0);
    let (mut recorder, telemetry) =
        Telemetry::start_with(roster(), Some(stalled(stall)), None, SMALL).unwrap();
    recorder.push(record(0));
    flush(&mut recorder);
    assert_eq!(telemetry.snapshots().wait_for(LIMIT, |s| s.requests == 1).rows_written, 0);
    // The figures come to rest meanwhile, as far as they do while a row is on its way.
    telemetry.snapshots().wait_for(Duration::from_millis(300), |_| false);
    drop(release);
    assert_eq!(
        telemetry.snapshots().wait_for(Duration::from_secs(10), |s| s.rows_written == 1).rows_written,
        1
    );
    drop(recorder);
    telemetry.stop(LIMIT);
}

#[test]
fn figures_equal_a_naive_computation() {
    let (mut recorder, telemetry) = Telemetry::start(options(None)).unwrap();
    let records: Vec<Record> = (0..20_000).map(record).collect();
    for record in &records {
        recorder.push(*record);
    }
    let gauge = |i: u32| Gauge {
        in_flight: i,
        score_ns: Some(f64::from(i) * 1e6),
        availability: Availability::Draining,
        idle: 10 + i,
        answered: 7,
        failed: 2,
        ..Gauge::default()
    };
    let counters = Counters { clients_open: 5, connections_reused: 9, ..Counters::default() };
    recorder.flush((0..3).map(gauge), counters);
    let snapshots = telemetry.snapshots();
    drop(recorder);
    assert_eq!(
        telemetry.stop(LIMIT),
        Summary {
            rows_written: 0,
            rows_dropped: 0,
            traces_written: 0,
            traces_dropped: 0,
            records_dropped: 0
        }
    );

    let s = snapshots.latest();
    let by_status = |of: &[&Record]| {
        of.iter().fold(BTreeMap::new(), |mut map, r| {
            *map.entry(r.status).or_insert(0u64) += 1;
            map
        })
    };
    assert_eq!((s.requests, s.counters), (20_000, counters));
    assert_eq!(s.failed, records.iter().filter(|r| r.failed).count() as u64);
    assert_eq!(s.statuses, by_status(&records.iter().collect::<Vec<_>>()));
    assert_eq!(s.recent, records[19_000..]);
    for (i, backend) in s.backends.iter().enumerate() {
        let own: Vec<&Record> = records.iter().filter(|r| r.backend == Some(BackendId(i as u16))).collect();
        assert_eq!(
            (backend.requests, &*backend.url),
            (own.len() as u64, &*format!("http://localhost:{}", 8081 + i))
        );
        assert_eq!(backend.failed, own.iter().filter(|r| r.failed).count() as u64);
        assert_eq!(backend.statuses, by_status(&own));
        assert_eq!((backend.in_flight, backend.score_ns), (i as u32, Some(i as f64 * 1e6)));
        assert_eq!((backend.attempts_answered, backend.attempts_failed), (7, 2));
        let mut sorted: Vec<u64> = own.iter().map(|r| r.latency_ns).collect();
        sorted.sort_unstable();
        let sum: u64 = sorted.iter().sum();
        let latencies = backend.latencies.histogram();
        assert_eq!(latencies.mean_ns(), sum / sorted.len() as u64);
        assert_eq!(latencies.max_ns(), *sorted.last().unwrap());
        for (q, seen) in [0.5, 0.95, 0.99].map(|q| (q, latencies.quantile_ns(q))) {
            let naive = sorted[(q * sorted.len() as f64).ceil() as usize - 1] as f64;
            assert!((seen as f64 / naive - 1.0).abs() < 0.001, "{q}: {seen} {naive}");
        }
    }
}

/// A recorder whose other side is played by the test.
struct Bench {
    recorder: Recorder,
    batches: Receiver<recorder::Batch>,
    records_back: Sender<Vec<Record>>,
    gauges_back: Sender<Vec<Gauge>>,
    counts: Arc<Counts>,
}

fn bench(queue: usize, blocks: usize) -> Bench {
    let counts = Arc::new(Counts::default());
    let (sender, batches) = bounded(queue);
    let (records_back, spare_records) = bounded(8);
    let (gauges_back, spare_gauges) = bounded(8);
    let recorder =
        Recorder::new(sender, spare_records, spare_gauges, Arc::new(roster()), blocks, Arc::clone(&counts));
    Bench { recorder, batches, records_back, gauges_back, counts }
}

#[test]
fn flushes_reuse_the_vecs_that_come_back() {
    let Bench { mut recorder, batches, records_back, gauges_back, .. } = bench(2, 2);
    records_back.send(Vec::with_capacity(BATCH)).unwrap();
    gauges_back.send(Vec::with_capacity(3)).unwrap();
    let mut blocks = std::collections::BTreeSet::new();
    for i in 0..100 {
        recorder.push(record(i));
        recorder.flush([Gauge::default(); 3].into_iter(), Counters::default());
        let mut batch = batches.try_recv().unwrap();
        assert_eq!((batch.records.as_slice(), batch.gauges.len()), ([record(i)].as_slice(), 3));
        blocks.insert(batch.records.as_ptr());
        batch.gauges.clear();
        gauges_back.try_send(batch.gauges).unwrap();
        give_back(&records_back, batch.records);
    }
    assert_eq!((recorder.pool_misses(), blocks.len()), (0, 2));
}

#[test]
fn a_full_queue_keeps_records_up_to_the_bound_and_counts_the_rest() {
    let Bench { mut recorder, batches, counts, .. } = bench(1, 3);
    flush(&mut recorder);
    assert!(batches.is_full() && !recorder.pending());
    let bound = 3 * BATCH as u64;
    for i in 0..bound + 10 {
        recorder.push(record(i));
        recorder.flush(std::iter::once_with(|| panic!("taken in vain")), Counters::default());
    }
    assert!(recorder.pending() && recorder.is_full());
    assert_eq!(counts.records_dropped.get(), 10);

    let mut seen = Vec::new();
    while recorder.pending() || !batches.is_empty() {
        seen.extend(batches.try_recv().unwrap().records);
        flush(&mut recorder);
        if seen.len() as u64 == bound {
            break;
        }
    }
    assert_eq!(seen, (0..bound).map(record).collect::<Vec<_>>());
}

#[test]
fn without_the_other_side_records_are_counted_as_dropped() {
    let Bench { mut recorder, batches, counts, .. } = bench(1, 3);
    drop(batches);
    recorder.push(record(0));
    flush(&mut recorder);
    recorder.push(record(1));
    drop(recorder);
    assert_eq!(counts.records_dropped.get(), 2);
}

/// The table of the README holds what the limits are.
#[test]
fn what_waits_for_a_slow_disk_takes_what_is_promised() {
    let mib = |bytes: usize| bytes as f64 / (1 << 20) as f64;
    let promised = |row: &str| -> f64 {
        let begins = format!("| {row} |");
        let row = include_str!("../../README.md").lines().find_map(|line| line.strip_prefix(&begins));
        let cell = row.and_then(|row| row.split('|').next()).expect("a row of the table");
        cell.trim().parse().expect("a figure")
    };
    let blocks =
        LIMITS.batches + LIMITS.recorder_blocks + LIMITS.csv_batches + LIMITS.csv_blocks + SPARE_BLOCKS;
    // One more is being filled, one written.
    let rows = mib((blocks + 2) * BATCH * size_of::<Record>());
    let traces = mib((LIMITS.trace_blocks + 2) * lane::BLOCK * size_of::<lane::Entry>());
    for (row, most) in [("rows that wait for a slow disk", rows), ("traces that wait for it", traces)] {
        let promised = promised(row);
        assert!((most..most + 1.0).contains(&promised), "{row}: {most} MiB, {promised} promised");
    }
}
