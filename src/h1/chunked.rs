//! The chunked coding, byte by byte (RFC 9112 §7.1).
//!
//! Here: [`Chunk`], where in the coding a reader stands, and what each byte outside chunk data makes of it: sizes,
//! extensions and trailer fields are judged by their grammar. Not here: chunk data, which is taken as a run
//! (`body.rs`). Floor 1.

use super::{Violation, is_text, is_token};

/// Chunk extensions of one chunk, and all trailer fields together, may take this many bytes; both are dropped.
const MAX_IGNORED_BYTES: u32 = 16 * 1024;

/// A chunk size has at most this many digits: those of a 64-bit number.
const MAX_SIZE_DIGITS: u8 = 16;

/// Where in the chunked coding the reader stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    Size { value: u64, digits: u8 },
    Extension { value: u64, ignored: u32, at: Extension },
    SizeLf { value: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    Trailer { ignored: u32, at: Trailer },
    TrailerLf { ignored: u32 },
    EndLf,
}

/// Where in the extensions of a chunk: `*( BWS ";" BWS name [ BWS "=" BWS value ] )`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    /// White space has come; only a semicolon may follow.
    Semicolon,
    /// Before a name.
    NameStart,
    Name,
    /// White space behind a name.
    AfterName,
    /// Before a value.
    ValueStart,
    /// A token.
    Value,
    Quoted,
    /// Behind a backslash in a quoted value.
    Escaped,
    AfterQuoted,
}

/// Where in a line of the trailer section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trailer {
    Start,
    Name,
    Value,
}

impl Chunk {
    /// Before the first chunk.
    pub(super) const START: Chunk = Chunk::Size { value: 0, digits: 0 };

    /// One byte of the coding outside chunk data; `None` at the end of the body.
    pub(super) fn step(self, byte: u8) -> Result<Option<Chunk>, Violation> {
        Ok(Some(match (self, byte) {
            (Chunk::Size { value, digits }, _) if byte.is_ascii_hexdigit() => {
                if digits == MAX_SIZE_DIGITS {
                    return Err(Violation::ChunkSizeTooLarge);
                }
                let digit = (byte as char).to_digit(16).map_or(0, u64::from);
                Chunk::Size { value: value << 4 | digit, digits: digits + 1 }
            }
            (Chunk::Size { digits: 0, .. }, _) => return Err(Violation::ChunkSize),
            (Chunk::Size { value, .. }, b'\r') => Chunk::SizeLf { value },
            (Chunk::SizeLf { value: 0 }, b'\n') => Chunk::Trailer { ignored: 0, at: Trailer::Start },
            (Chunk::SizeLf { value }, b'\n') => Chunk::Data { left: value },
            (Chunk::DataCr, b'\r') => Chunk::DataLf,
            (Chunk::DataLf, b'\n') => Chunk::START,
            (Chunk::DataCr | Chunk::DataLf, _) => {
                return Err(Violation::ChunkEnd);
            }
            (Chunk::Trailer { at: Trailer::Start, .. }, b'\r') => Chunk::EndLf,
            (Chunk::EndLf, b'\n') => return Ok(None),
            (Chunk::SizeLf { .. } | Chunk::TrailerLf { .. } | Chunk::EndLf, _) if byte != b'\n' => {
                return Err(Violation::BareCr);
            }
            _ => return self.step_ignored(byte).map(Some),
        }))
    }

    /// A byte of what is dropped: an extension or a trailer field.
    #[cold]
    fn step_ignored(self, byte: u8) -> Result<Chunk, Violation> {
        match self {
            Chunk::Size { value, .. } => {
                let at = match byte {
                    b' ' | b'\t' => Extension::Semicolon,
                    b';' => Extension::NameStart,
                    b'\n' => return Err(Violation::BareLf),
                    _ => return Err(Violation::ChunkSize),
                };
                Ok(Chunk::Extension { value, ignored: 0, at })
            }
            Chunk::Extension { value, ignored, at } => match at.step(byte)? {
                Some(at) => Ok(Chunk::Extension { value, ignored: one_more(ignored)?, at }),
                None => Ok(Chunk::SizeLf { value }),
            },
            Chunk::Trailer { ignored, at } => match at.step(byte)? {
                Some(at) => Ok(Chunk::Trailer { ignored: one_more(ignored)?, at }),
                None => Ok(Chunk::TrailerLf { ignored }),
            },
            Chunk::TrailerLf { ignored } => Ok(Chunk::Trailer { ignored, at: Trailer::Start }),
            Chunk::SizeLf { .. } | Chunk::Data { .. } | Chunk::DataCr | Chunk::DataLf | Chunk::EndLf => {
                unreachable!("chunk data is taken as a run, and all else is judged before")
            }
        }
    }
}

impl Extension {
    /// `None` at the end of the line.
    fn step(self, byte: u8) -> Result<Option<Extension>, Violation> {
        use Extension::{
            AfterName, AfterQuoted, Escaped, Name, NameStart, Quoted, Semicolon, Value, ValueStart,
        };
        Ok(Some(match (self, byte) {
            (_, b'\n') => return Err(Violation::BareLf),
            (Name | Value | AfterQuoted, b'\r') => return Ok(None),
            (Semicolon, b'\r') => return Err(Violation::ChunkLineSpace),
            (Semicolon, b' ' | b'\t') | (Value | AfterQuoted, b' ' | b'\t') => Semicolon,
            (Semicolon | Name | AfterName | Value | AfterQuoted, b';') => NameStart,
            (NameStart, b' ' | b'\t') => NameStart,
            (NameStart | Name, _) if is_token(byte) => Name,
            (Name | AfterName, b' ' | b'\t') => AfterName,
            (Name | AfterName, b'=') => ValueStart,
            (ValueStart, b' ' | b'\t') => ValueStart,
            (ValueStart, b'"') => Quoted,
            (ValueStart | Value, _) if is_token(byte) => Value,
            (Quoted, b'"') => AfterQuoted,
            (Quoted, b'\\') => Escaped,
            (Quoted | Escaped, _) if is_text(byte) => Quoted,
            _ => return Err(Violation::ChunkExtension),
        }))
    }
}

impl Trailer {
    /// `None` at the end of the line.
    fn step(self, byte: u8) -> Result<Option<Trailer>, Violation> {
        Ok(Some(match (self, byte) {
            (_, b'\n') => return Err(Violation::BareLf),
            (Trailer::Value, b'\r') => return Ok(None),
            (Trailer::Value, _) if is_text(byte) => Trailer::Value,
            (Trailer::Value, _) => return Err(Violation::ControlCharacter),
            (Trailer::Start, b' ' | b'\t') => return Err(Violation::FoldedLine),
            (Trailer::Start, b':') => return Err(Violation::NoName),
            (Trailer::Start | Trailer::Name, _) if is_token(byte) => Trailer::Name,
            (Trailer::Name, b':') => Trailer::Value,
            (Trailer::Name, b' ' | b'\t') => {
                return Err(Violation::SpaceInName);
            }
            (Trailer::Name, b'\r') => return Err(Violation::NoColon),
            (_, byte) if is_text(byte) => return Err(Violation::NameCharacter),
            _ => return Err(Violation::ControlCharacter),
        }))
    }
}

/// Counts a byte that is dropped.
fn one_more(ignored: u32) -> Result<u32, Violation> {
    match ignored < MAX_IGNORED_BYTES {
        true => Ok(ignored + 1),
        false => Err(Violation::ChunkedTooLarge),
    }
}
