//! Bytes that must wait.
//!
//! Here: [`Buffer`], a queue of bytes, and [`BufferPool`], which keeps emptied ones so that steady state allocates
//! nothing. Not here: the reactor's input block, in which bytes stay if they need not wait. A connection at rest
//! owns no buffer. Used by the handlers. Floor 0.

/// Buffers up to this capacity are kept in numbers: partial heads, replay copies.
const SMALL_BYTES: usize = 8 * 1024;
/// Buffers up to this capacity are kept, few of them: what a slow reader did not take, which may be a whole read and a head.
const LARGE_BYTES: usize = 192 * 1024;
const SMALL_KEPT: usize = 1024;
const LARGE_KEPT: usize = 64;

/// A queue of bytes: filled at the end, consumed from the front.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    /// The bytes that wait.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// The bytes that wait, for changing in place.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// How many bytes it has room for.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Whether no byte waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends bytes. What was consumed makes room first, once it is the larger part: a queue that is never quite
    /// empty must not grow for ever, and each byte is moved once at most for each byte consumed.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > self.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Makes room for so many bytes in all, and for no more than that if it had less.
    pub fn grow_to(&mut self, bytes: usize) {
        self.bytes.reserve_exact((self.start + bytes).saturating_sub(self.bytes.len()));
    }

    /// Drops the first `n` bytes, which must be there.
    pub fn consume(&mut self, n: usize) {
        assert!(n <= self.len(), "consumed {n} of {} bytes", self.len());
        self.start += n;
        if self.is_empty() {
            self.bytes.clear();
            self.start = 0;
        }
    }
}

/// Emptied buffers, kept for the next who needs one.
#[derive(Debug, Default)]
pub struct BufferPool {
    small: Vec<Buffer>,
    large: Vec<Buffer>,
    lent: usize,
}

impl BufferPool {
    /// An empty buffer, meant for `expected` bytes; it grows if more come.
    pub fn take(&mut self, expected: usize) -> Buffer {
        self.lent += 1;
        let kept = if expected <= SMALL_BYTES { self.small.pop() } else { self.large.pop() };
        kept.unwrap_or_else(|| {
            let capacity = if expected <= SMALL_BYTES { SMALL_BYTES / 2 } else { expected };
            Buffer { bytes: Vec::with_capacity(capacity), start: 0 }
        })
    }

    /// Takes a buffer back, whatever is in it.
    pub fn put(&mut self, mut buffer: Buffer) {
        self.lent -= 1;
        buffer.bytes.clear();
        buffer.start = 0;
        match buffer.bytes.capacity() {
            ..=SMALL_BYTES if self.small.len() < SMALL_KEPT => self.small.push(buffer),
            ..=SMALL_BYTES => {}
            ..=LARGE_BYTES if self.large.len() < LARGE_KEPT => self.large.push(buffer),
            _ => {}
        }
    }

    /// A buffer of these bytes, which are not copied.
    pub fn adopt(&mut self, bytes: Vec<u8>) -> Buffer {
        self.lent += 1;
        Buffer { bytes, start: 0 }
    }

    /// A buffer that holds a copy of `bytes`.
    pub fn copy(&mut self, bytes: &[u8]) -> Buffer {
        let mut buffer = self.take(bytes.len());
        buffer.push(bytes);
        buffer
    }

    /// A buffer that holds what `bytes` held, which are none then. What is small changes places with an empty buffer and is
    /// not copied.
    pub fn keep(&mut self, bytes: &mut Vec<u8>) -> Buffer {
        if bytes.capacity() > SMALL_BYTES {
            let buffer = self.copy(bytes);
            bytes.clear();
            return buffer;
        }
        let mut buffer = self.take(bytes.len());
        std::mem::swap(&mut buffer.bytes, bytes);
        buffer
    }

    /// A buffer that holds the parts one after the other.
    pub fn gather(&mut self, parts: &[&[u8]]) -> Buffer {
        let mut buffer = self.take(parts.iter().map(|part| part.len()).sum());
        // It is empty, so that nothing has to make room.
        parts.iter().filter(|part| !part.is_empty()).for_each(|part| buffer.bytes.extend_from_slice(part));
        buffer
    }

    /// How many bytes the emptied buffers have room for.
    pub fn bytes_kept(&self) -> usize {
        self.small.iter().chain(&self.large).map(Buffer::capacity).sum()
    }

    /// How many buffers are out; zero when everything is at rest.
    pub fn lent(&self) -> usize {
        self.lent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[test]
    fn the_pool_gives_back_what_it_took_and_counts_what_is_out() {
        let mut pool = BufferPool::default();
        let mut small = pool.copy(b"abc");
        let large = pool.take(64 * 1024);
        assert_eq!((small.as_slice(), pool.lent()), (&b"abc"[..], 2));
        small.consume(3);
        pool.put(small);
        pool.put(large);
        assert_eq!(pool.lent(), 0);
        let joined = pool.gather(&[b"ab", b"", b"c"]);
        assert_eq!((joined.as_slice(), pool.lent()), (&b"abc"[..], 1));
        pool.put(joined);
        for capacity in [8, SMALL_BYTES + 1] {
            let mut bytes = Vec::with_capacity(capacity);
            bytes.extend_from_slice(b"abc");
            let kept = pool.keep(&mut bytes);
            assert_eq!((kept.as_slice(), pool.lent(), bytes.len()), (&b"abc"[..], 1, 0));
            assert!(bytes.capacity() > 8);
            pool.put(kept);
        }
        assert!(pool.take(10).is_empty());
        assert!(pool.take(64 * 1024).bytes.capacity() >= 64 * 1024);
        assert!(pool.small.is_empty() && pool.large.is_empty());
    }

    #[test]
    fn a_queue_that_is_never_empty_does_not_grow() {
        let mut buffer = Buffer::default();
        buffer.push(b"0123456789");
        for _ in 0..10_000 {
            buffer.push(&[7; 1000]);
            buffer.consume(1000);
        }
        assert_eq!(buffer.len(), 10);
        assert!(buffer.bytes.capacity() < 10_000, "{} bytes kept for 10", buffer.bytes.capacity());
    }

    #[test]
    fn an_oversized_buffer_is_not_kept() {
        let mut pool = BufferPool::default();
        let huge = pool.copy(&vec![0; LARGE_BYTES + 1]);
        pool.put(huge);
        assert!(pool.small.is_empty() && pool.large.is_empty());
    }

    proptest! {
        #[test]
        fn a_buffer_is_a_queue(steps in prop::collection::vec((any::<Vec<u8>>(), 0..64usize), 0..50)) {
            let (mut buffer, mut model) = (Buffer::default(), VecDeque::new());
            for (bytes, taken) in steps {
                buffer.push(&bytes);
                model.extend(bytes);
                let taken = taken.min(model.len());
                buffer.consume(taken);
                model.drain(..taken);
                prop_assert_eq!(buffer.as_slice(), &*model.make_contiguous());
            }
        }
    }
}
