//! Messages as bytes, read by a judge who is not the program's own reader.

use std::io::{self, Read};

/// Where the head at the start of `bytes` ends, with its empty line.
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

/// `len` bytes that tell where they stand, so that loss, repetition and disorder show.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| ((at >> 12) ^ (at * 31)) as u8).collect()
}

/// `pieces` in the chunked coding, to the end.
pub fn chunked(pieces: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// A response as a client sees it.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// Status line and fields, with the empty line.
    pub head: String,
    /// Decoded.
    pub body: Vec<u8>,
    /// Interim heads that came before.
    pub interim: Vec<String>,
    /// Whether the body came to the end that its head announced.
    pub complete: bool,
}

impl Response {
    pub fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    pub fn reason(&self) -> Option<&str> {
        self.field("X-Tidegate-Reason")
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The value of the first field of that name.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// A stream and what has been read of it but not used.
pub struct Reader<S> {
    pub stream: S,
    pub held: Vec<u8>,
}

impl<S: Read> Reader<S> {
    /// The next `n` bytes; fewer if the end comes before.
    pub fn exactly(&mut self, n: usize) -> Vec<u8> {
        while self.held.len() < n && self.more() {}
        let rest = self.held.split_off(n.min(self.held.len()));
        std::mem::replace(&mut self.held, rest)
    }

    /// Reads more; `false` at the end. A reset is an end too.
    ///
    /// # Panics
    /// When nothing comes in time.
    pub fn more(&mut self) -> bool {
        let mut block = vec![0; 64 * 1024];
        loop {
            match self.stream.read(&mut block) {
                Ok(n) => {
                    self.held.extend_from_slice(&block[..n]);
                    return n > 0;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    let seen = &self.held[..self.held.len().min(500)];
                    panic!("waited in vain; so far: {}", seen.escape_ascii())
                }
                Err(_) => return false,
            }
        }
    }

    /// A head with its empty line; `None` if the stream ends before it.
    pub fn head(&mut self) -> Option<String> {
        let end = loop {
            match head_end(&self.held) {
                Some(end) => break end,
                None if self.more() => {}
                None => return None,
            }
        };
        let head: Vec<u8> = self.held.drain(..end).collect();
        Some(String::from_utf8_lossy(&head).into_owned())
    }

    /// The body that `head` announces, as it came on the wire and decoded; and whether it was complete.
    /// `until_close`: what a head without length means.
    pub fn body(&mut self, head: &str, until_close: bool) -> (Vec<u8>, Vec<u8>, bool) {
        if field(head, "Transfer-Encoding").is_some() {
            return self.chunks();
        }
        let Some(length) = field(head, "Content-Length").map(|v| v.parse::<usize>().expect("a length"))
        else {
            while until_close && self.more() {}
            let body = if until_close { std::mem::take(&mut self.held) } else { Vec::new() };
            return (body.clone(), body, true);
        };
        while self.held.len() < length && self.more() {}
        let complete = self.held.len() >= length;
        let body: Vec<u8> = self.held.drain(..length.min(self.held.len())).collect();
        (body.clone(), body, complete)
    }

    fn line(&mut self, wire: &mut Vec<u8>) -> Option<String> {
        let end = loop {
            match self.held.windows(2).position(|w| w == b"\r\n") {
                Some(at) => break at + 2,
                None if self.more() => {}
                None => return None,
            }
        };
        let line: Vec<u8> = self.held.drain(..end).collect();
        wire.extend_from_slice(&line);
        Some(String::from_utf8_lossy(&line[..end - 2]).into_owned())
    }

    fn chunks(&mut self) -> (Vec<u8>, Vec<u8>, bool) {
        let (mut wire, mut data) = (Vec::new(), Vec::new());
        loop {
            let Some(line) = self.line(&mut wire) else { return (wire, data, false) };
            let size = usize::from_str_radix(&line, 16).expect("a plain chunk size");
            while self.held.len() < size + 2 {
                if !self.more() {
                    data.append(&mut self.held);
                    return (wire, data, false);
                }
            }
            let chunk: Vec<u8> = self.held.drain(..size + 2).collect();
            assert!(chunk.ends_with(b"\r\n"), "a chunk longer than its size");
            wire.extend_from_slice(&chunk);
            data.extend_from_slice(&chunk[..size]);
            if size == 0 {
                return (wire, data, true);
            }
        }
    }
}
