//! Sending, with what the socket does not take kept in a buffer.
//!
//! Here: [`send`] and [`flush`] on any stream. Whoever uses them reads no more from the source while something is
//! unsent (backpressure), so that at most one input block waits. Not here: whose bytes they are (the handlers). Floor 2.

use std::io::{self, IoSlice, Write};

use crate::buffer::{Buffer, BufferPool};

/// How many parts a message has at most: head, chunk line, data, end of chunk.
const MAX_PARTS: usize = 4;

/// The connection was lost while sending.
#[derive(Debug)]
pub struct Broken {
    /// How many bytes of the message the socket had taken; if none, the peer cannot have acted upon it.
    pub taken: usize,
    /// What the system said, such as `ConnectionRefused` on a connection that was still being made.
    pub kind: io::ErrorKind,
}

/// Sends the parts in order. What the socket does not take waits in `unsent`; if something waits there already, all
/// is put behind it. After a short write it is written on until the socket refuses, so that the next readiness is
/// certain to be told.
///
/// # Errors
/// The connection is gone.
#[inline(always)]
pub fn send(
    stream: &mut impl Write,
    unsent: &mut Option<Buffer>,
    buffers: &mut BufferPool,
    parts: [&[u8]; MAX_PARTS],
) -> Result<(), Broken> {
    let [head, line, data, end] = parts;
    // What nearly every message is: one part or two, and room for them. Told apart here, so that they go by registers.
    if unsent.is_none() && line.is_empty() && end.is_empty() {
        let written = write_two(stream, head, data);
        return match written {
            Ok(n) if n == head.len() + data.len() => Ok(()),
            written => send_rest(stream, unsent, buffers, &parts, written),
        };
    }
    send_parts(stream, unsent, buffers, &parts)
}

/// Writes once.
#[inline(never)]
fn write_two(stream: &mut impl Write, head: &[u8], data: &[u8]) -> io::Result<usize> {
    match (head.is_empty(), data.is_empty()) {
        (false, true) => stream.write(head),
        (true, false) => stream.write(data),
        (true, true) => Ok(0),
        (false, false) => stream.write_vectored(&[IoSlice::new(head), IoSlice::new(data)]),
    }
}

#[inline(never)]
fn send_parts(
    stream: &mut impl Write,
    unsent: &mut Option<Buffer>,
    buffers: &mut BufferPool,
    parts: &[&[u8]; MAX_PARTS],
) -> Result<(), Broken> {
    if unsent.is_some() {
        put_by(0, unsent, buffers, parts);
        return Ok(());
    }
    match stream.write_vectored(&parts.map(IoSlice::new)) {
        Ok(n) if n == length(parts) => Ok(()),
        written => send_rest(stream, unsent, buffers, parts, written),
    }
}

/// Sends what the first write did not.
#[cold]
fn send_rest(
    stream: &mut impl Write,
    unsent: &mut Option<Buffer>,
    buffers: &mut BufferPool,
    parts: &[&[u8]; MAX_PARTS],
    written: io::Result<usize>,
) -> Result<(), Broken> {
    let taken = write_on(stream, parts, length(parts), written)?;
    put_by(taken, unsent, buffers, parts);
    Ok(())
}

fn length(parts: &[&[u8]; MAX_PARTS]) -> usize {
    parts.iter().map(|part| part.len()).sum()
}

/// Keeps what was not taken.
#[cold]
fn put_by(taken: usize, unsent: &mut Option<Buffer>, buffers: &mut BufferPool, parts: &[&[u8]; MAX_PARTS]) {
    let left = length(parts) - taken;
    if left > 0 {
        let buffer = unsent.get_or_insert_with(|| buffers.take(left));
        for_rest(taken, parts, |part| buffer.push(part));
    }
}

/// What follows the first `taken` bytes of the parts.
fn for_rest<'a>(taken: usize, parts: &[&'a [u8]; MAX_PARTS], mut each: impl FnMut(&'a [u8])) {
    let mut skip = taken;
    for part in parts {
        let from = skip.min(part.len());
        skip -= from;
        if from < part.len() {
            each(&part[from..]);
        }
    }
}

/// Writes after the first write until all is taken or the socket refuses; returns how much was taken.
fn write_on(
    stream: &mut impl Write,
    parts: &[&[u8]; MAX_PARTS],
    total: usize,
    mut written: io::Result<usize>,
) -> Result<usize, Broken> {
    let mut taken = 0;
    loop {
        match written {
            Ok(n) => taken += n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Broken { taken, kind: e.kind() }),
        }
        if taken == total {
            break;
        }
        let (mut slices, mut filled) = ([IoSlice::new(&[]); MAX_PARTS], 0);
        for_rest(taken, parts, |part| {
            slices[filled] = IoSlice::new(part);
            filled += 1;
        });
        written = stream.write_vectored(&slices[..filled]);
    }
    Ok(taken)
}

/// Writes what waits; gives the buffer back when it is empty.
///
/// # Errors
/// Those of the write.
pub fn flush(
    stream: &mut impl Write,
    unsent: &mut Option<Buffer>,
    buffers: &mut BufferPool,
) -> io::Result<()> {
    let Some(mut buffer) = unsent.take() else { return Ok(()) };
    while !buffer.is_empty() {
        match stream.write(buffer.as_slice()) {
            Ok(n) => buffer.consume(n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                *unsent = Some(buffer);
                return Ok(());
            }
            Err(e) => {
                buffers.put(buffer);
                return Err(e);
            }
        }
    }
    buffers.put(buffer);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    /// A socket that takes as many bytes per call as it is told to, then refuses.
    struct Reluctant {
        takes: VecDeque<usize>,
        got: Vec<u8>,
    }

    impl Write for Reluctant {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.takes.pop_front() {
                None | Some(0) => Err(io::ErrorKind::WouldBlock.into()),
                Some(n) => {
                    let n = n.min(bytes.len());
                    self.got.extend_from_slice(&bytes[..n]);
                    Ok(n)
                }
            }
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let all: Vec<u8> = slices.iter().flat_map(|s| s.iter().copied()).collect();
            self.write(&all)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn every_byte_arrives_once_and_in_order(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..20),
            takes in prop::collection::vec(0..30usize, 0..60),
        ) {
            let (mut socket, mut unsent) = (Reluctant { takes: takes.into(), got: Vec::new() }, None);
            let mut buffers = BufferPool::default();
            let mut expected = Vec::new();
            for message in &messages {
                let (a, b) = message.split_at(message.len() / 2);
                send(&mut socket, &mut unsent, &mut buffers, [a, &[], b, b"!"]).unwrap();
                expected.extend_from_slice(message);
                expected.push(b'!');
            }
            while unsent.is_some() {
                socket.takes.extend([7, 0]);
                flush(&mut socket, &mut unsent, &mut buffers).unwrap();
            }
            prop_assert_eq!(socket.got, expected);
            prop_assert_eq!(buffers.lent(), 0);
        }
    }
}
