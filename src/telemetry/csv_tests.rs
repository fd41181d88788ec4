//! Tests of the CSV file.

use std::cell::Cell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::*;
use crate::balance::{BackendId, RoutingMode};
use crate::record::{Averages, Mode};
use crate::telemetry::Output;
use crate::telemetry::pen::open;
use crate::time::WallTime;

fn record(latency_ns: u64, backend: Option<u16>) -> Record {
    Record {
        // 2025-05-09T20:04:04.679379 UTC
        ended: WallTime::from_nanos(1_746_821_044_679_379_999),
        latency_ns,
        backend: backend.map(BackendId),
        status: 200,
        mode: Mode::Routing(RoutingMode::AdaptiveSma),
        failed: false,
        reused: false,
        connect_us: 0,
        averages: Averages::UNMEASURED,
    }
}

/// Takes `room` bytes, then refuses until it gets more.
struct Disk {
    bytes: Vec<u8>,
    room: Rc<Cell<usize>>,
    writes: usize,
}

impl Disk {
    fn with_room(room: usize) -> Disk {
        Disk { bytes: Vec::new(), room: Rc::new(Cell::new(room)), writes: 0 }
    }
}

impl Write for &mut Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        let taken = bytes.len().min(self.room.get());
        if taken == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.room.set(self.room.get() - taken);
        self.bytes.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn sheet<'a>(disk: &'a mut Disk, url: &str, lines: &Arc<Lines>) -> Sheet<&'a mut Disk> {
    let roster = Arc::new(Roster::first(&[(url, "")], &[]));
    let open: fn(&Path, Output) -> io::Result<&'a mut Disk> = |_, _| Err(io::ErrorKind::Unsupported.into());
    let path = PathBuf::from("proxy_log.csv");
    let target = Target { kind: Output::Csv, path, out: disk, open };
    let mut sheet = Sheet::new(target, roster, Arc::clone(lines));
    sheet.clock = CivilClock::new(TimeZone::UTC);
    sheet
}

fn rows_of(records: &[Record]) -> String {
    let mut disk = Disk::with_room(usize::MAX);
    let mut sheet = sheet(&mut disk, "http://localhost:8081", &Arc::default());
    records.iter().for_each(|record| sheet.write(record));
    drop(sheet);
    String::from_utf8(disk.bytes).unwrap()
}

#[test]
fn a_row_is_as_the_contract_shows_it() {
    assert_eq!(
        rows_of(&[record(42_000_000, Some(0))]),
        "2025-05-09T20:04:04.679379,http://localhost:8081,42,200,adaptive_sma\n"
    );
}

#[test]
fn no_backend_is_a_dash() {
    let mut none = record(0, None);
    none.status = 503;
    none.mode = Mode::Routing(RoutingMode::RoundRobin);
    assert_eq!(rows_of(&[none]), "2025-05-09T20:04:04.679379,-,0,503,round-robin\n");
}

#[test]
fn latency_is_rounded_half_up() {
    let nanos = [0, 499_999, 500_000, 1_499_999, 1_500_000, 2_500_000, u64::MAX];
    let rows = rows_of(&nanos.map(|ns| record(ns, Some(0))));
    let millis: Vec<&str> = rows.lines().map(|row| row.split(',').nth(2).unwrap()).collect();
    assert_eq!(millis, ["0", "0", "1", "1", "2", "3", "18446744073709"]);
}

#[test]
fn timestamps_follow_the_second_and_the_daylight_saving_time() {
    let zone = TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap();
    let mut clock = CivilClock::new(zone);
    // 2025-11-02 05:59:59 UTC is the last second of summer time in this zone.
    let mut at = |nanos: u64| {
        let time = WallTime::from_nanos(1_762_063_199_000_000_000 + nanos);
        String::from_utf8(clock.format(time).to_vec()).unwrap()
    };
    assert_eq!(at(5_000), "2025-11-02T01:59:59.000005");
    assert_eq!(at(999_999_999), "2025-11-02T01:59:59.999999");
    assert_eq!(at(1_000_000_000), "2025-11-02T01:00:00.000000");
    assert_eq!(at(0), "2025-11-02T01:59:59.000000");
    assert_eq!(at(3_601_000_000_000), "2025-11-02T02:00:00.000000");
}

#[test]
fn a_new_or_empty_file_gets_the_header_and_an_existing_one_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.csv");
    open(&path, Output::Csv).unwrap();
    assert_eq!(fs::read(&path).unwrap(), HEADER);
    open(&path, Output::Csv).unwrap().write_all(b"row\n").unwrap();
    open(&path, Output::Csv).unwrap();
    assert_eq!(fs::read(&path).unwrap(), [HEADER, b"row\n"].concat());
}

#[test]
fn an_unfinished_last_line_is_finished_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.csv");
    fs::write(&path, "header\nhalf a ro").unwrap();
    open(&path, Output::Csv).unwrap().write_all(b"row\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "header\nhalf a ro\nrow\n");
}

#[test]
fn a_block_is_one_write_even_if_every_url_is_quoted() {
    let url = format!("http://localhost:8081/{}", "\",".repeat(100));
    let lines = Arc::default();
    let mut disk = Disk::with_room(usize::MAX);
    let mut sheet = sheet(&mut disk, &url, &lines);
    for _ in 0..2 * BATCH {
        sheet.write(&record(u64::MAX, Some(0)));
    }
    drop(sheet);
    assert_eq!(disk.writes, 2);
    assert_eq!(lines.written.get(), 2 * BATCH as u64);
    let row = ::csv::ReaderBuilder::new().has_headers(false).from_reader(&*disk.bytes).records().next();
    assert_eq!(&row.unwrap().unwrap()[1], url);
}

/// However many bytes the disk takes before it is full, and whenever it has room again: every line in the file is
/// a whole row, and the counts say how many.
#[test]
fn a_full_disk_costs_counted_rows_and_tears_none() {
    let row = rows_of(&[record(1_000_000, Some(0))]);
    for first in 0..=3 * row.len() {
        for second in [0, 1, row.len(), 4 * row.len()] {
            let lines = Arc::new(Lines::default());
            let mut disk = Disk::with_room(first);
            let room = Rc::clone(&disk.room);
            let mut sheet = sheet(&mut disk, "http://localhost:8081", &lines);
            for more in [0, second, 10 * row.len()] {
                room.set(room.get() + more);
                for _ in 0..3 {
                    sheet.write(&record(1_000_000, Some(0)));
                }
                sheet.flush();
            }
            drop(sheet);
            let text = String::from_utf8(disk.bytes).unwrap();
            assert!(text.split_inclusive('\n').all(|line| line == row), "{first} {second}:\n{text}");
            assert_eq!(lines.written.get(), text.lines().count() as u64, "{first} {second}");
            assert_eq!(lines.written.get() + lines.dropped.get(), 9, "{first} {second}");
        }
    }
}
