//! Streams that are slow, refuse, tear, stop and go on again.

use std::sync::{Mutex, MutexGuard};

use super::*;

/// A stream as a test wants it.
#[derive(Clone, Default)]
struct Stream(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    text: String,
    /// How many bytes it takes until it refuses; none: all.
    room: Option<usize>,
    refusal: Option<io::ErrorKind>,
    writes: usize,
}

impl Stream {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn refuse(&self, room: usize, refusal: io::ErrorKind) {
        let mut state = self.state();
        (state.room, state.refusal) = (Some(room), Some(refusal));
    }

    fn accept(&self) {
        self.state().room = None;
    }

    fn text(&self) -> String {
        self.state().text.clone()
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        state.writes += 1;
        let n = match &mut state.room {
            None => bytes.len(),
            Some(0) => return Err(state.refusal.unwrap_or(io::ErrorKind::Other).into()),
            Some(room) => {
                let n = bytes.len().min(*room);
                *room -= n;
                n
            }
        };
        state.text.push_str(std::str::from_utf8(&bytes[..n]).unwrap());
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn notice(lost: u64) -> Vec<u8> {
    format!("{lost} lost\n").into_bytes()
}

fn line(n: usize) -> Vec<u8> {
    format!("line {n}\n").into_bytes()
}

/// Long enough for all that will happen, and never waited for.
const PATIENCE: Duration = Duration::from_secs(60);

fn started(stream: &Stream) -> LineQueue {
    LineQueue::start("lines", stream.clone(), notice).unwrap()
}

#[test]
fn lines_arrive_in_order_and_many_in_one_write() {
    let stream = Stream::default();
    let (queue, writer) = LineQueue::new(LINES, stream.clone(), notice);
    (0..1000).for_each(|n| queue.push(line(n)));
    drop(queue);
    writer.run();
    assert_eq!(stream.text(), (0..1000).map(|n| format!("line {n}\n")).collect::<String>());
    assert_eq!(stream.state().writes, 1);
}

#[test]
fn what_has_no_room_is_lost_counted_and_told_behind_what_had() {
    let stream = Stream::default();
    let (queue, writer) = LineQueue::new(2, stream.clone(), notice);
    (0..5).for_each(|n| queue.push(line(n)));
    assert_eq!(queue.lost(), 3);
    drop(queue);
    writer.run();
    assert_eq!(stream.text(), "line 0\nline 1\n3 lost\n");
}

#[test]
fn bytes_are_bounded_too_and_room_comes_back() {
    let stream = Stream::default();
    let (queue, writer) = LineQueue::new(LINES, stream.clone(), notice);
    let large = || vec![b'\n'; BYTES / 4];
    (0..6).for_each(|_| queue.push(large()));
    assert_eq!((queue.lost(), queue.messages.len()), (2, 4));
    let running = std::thread::spawn(move || writer.run());
    assert!(queue.flush(PATIENCE));
    (0..4).for_each(|_| queue.push(large()));
    assert_eq!(queue.lost(), 2);
    drop(queue);
    running.join().unwrap();
    assert_eq!(stream.text().lines().count(), 8 * BYTES / 4 + 1);
}

#[test]
fn a_stream_that_refuses_costs_its_lines_and_they_are_told_when_it_takes_some_again() {
    let stream = Stream::default();
    let queue = started(&stream);
    // `line 1` has its beginning in the stream.
    stream.refuse(10, io::ErrorKind::StorageFull);
    for n in 0..4 {
        queue.push(line(n));
        assert!(queue.flush(PATIENCE));
    }
    assert_eq!((queue.lost(), stream.text().as_str()), (3, "line 0\nlin"));
    assert!(!queue.is_closed());
    stream.accept();
    queue.push(line(4));
    assert!(queue.flush(PATIENCE));
    assert_eq!((queue.lost(), stream.text().as_str()), (3, "line 0\nlin\nline 4\n3 lost\n"));
}

#[test]
fn what_was_lost_is_told_without_a_further_line() {
    let stream = Stream::default();
    let queue = started(&stream);
    stream.refuse(0, io::ErrorKind::StorageFull);
    queue.push(line(0));
    assert!(queue.flush(PATIENCE));
    stream.accept();
    while stream.text().is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(stream.text(), "1 lost\n");
}

#[test]
fn a_stream_that_nobody_reads_is_known_as_closed() {
    let stream = Stream::default();
    let queue = started(&stream);
    stream.refuse(0, io::ErrorKind::BrokenPipe);
    queue.push(line(0));
    assert!(queue.flush(PATIENCE) && queue.is_closed());
}

/// Takes nothing, and does not say so, as long as the other end is held.
struct Stuck(Receiver<()>);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn who_pushes_or_flushes_is_not_held_up_by_a_stuck_stream() {
    let (held, stuck) = bounded(0);
    let queue = LineQueue::start("lines", Stuck(stuck), notice).unwrap();
    (0..3 * LINES).for_each(|n| queue.push(line(n)));
    let lost = queue.lost();
    // At most a chunk and a full queue have found room.
    assert!(lost as usize >= 2 * LINES - CHUNK / line(0).len(), "{lost}");
    assert!(!queue.flush(Duration::from_millis(20)));
    drop(held);
    assert!(queue.flush(PATIENCE));
    assert_eq!(queue.lost(), lost);
}
