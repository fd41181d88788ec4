//! Files that a setting names and that are read whole.
//!
//! Here: [`read`], which takes a regular file of a bounded size and nothing else, so that it neither waits for somebody who
//! writes into a pipe nor fills the memory. Not here: what is in them (`file.rs`, `study/`), logs, which are read row by row
//! (`lab/log.rs`). Floor 5.

use std::fmt;
use std::fs::{FileType, OpenOptions, metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use super::diagnose::{ConfigError, Place, reason};

/// The largest file of settings that is read.
pub(super) const MOST_BYTES: u64 = 1 << 20;

/// Why a file is not read.
#[derive(Debug)]
pub enum Unread {
    /// What the system says.
    Io(io::Error),
    /// It is something else than a regular file: this.
    Other(&'static str),
    /// It is larger than so many bytes.
    TooLarge(u64),
}

impl From<io::Error> for Unread {
    fn from(e: io::Error) -> Unread {
        Unread::Io(e)
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unread::Io(e) => f.write_str(&reason(e)),
            Unread::Other(what) => write!(f, "it is {what}, and only a regular file is read"),
            Unread::TooLarge(most) if most % (1 << 20) == 0 => {
                write!(f, "it is larger than {} MiB, the most that is read", most >> 20)
            }
            Unread::TooLarge(most) => write!(f, "it is larger than {most} bytes, the most that is read"),
        }
    }
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// When it is something else, larger, or cannot be read.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, Unread> {
    // Looked at before it is opened: to open a device can do something.
    refuse_others(metadata(path)?.file_type())?;
    // What has the name may be another file by now; a pipe is opened without a wait then, and refused.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    refuse_others(found.file_type())?;
    if found.len() > most {
        return Err(Unread::TooLarge(most));
    }
    let mut bytes = Vec::new();
    // It may grow meanwhile, and some files do not know their length.
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(Unread::TooLarge(most));
    }
    Ok(bytes)
}

fn refuse_others(kind: FileType) -> Result<(), Unread> {
    if kind.is_file() { Ok(()) } else { Err(Unread::Other(name(kind))) }
}

/// What is no regular file, in the middle of a sentence.
fn name(kind: FileType) -> &'static str {
    match kind {
        _ if kind.is_dir() => "a directory",
        _ if kind.is_fifo() => "a pipe",
        _ if kind.is_socket() => "a socket",
        _ if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "no file",
    }
}

/// Reads a file of settings. `what` it is, such as `the configuration file`.
pub(super) fn text(path: &Path, what: &str) -> Result<String, ConfigError> {
    let shown = path.display().to_string();
    let bytes = read(path, MOST_BYTES)
        .map_err(|why| ConfigError::new(format!("cannot read {what} {shown}: {why}")))?;
    String::from_utf8(bytes).map_err(|e| {
        let valid = e.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&e.as_bytes()[..valid]);
        ConfigError::new("not UTF-8").at(Place::of(&shown, &before, valid))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn error(path: &Path, most: u64) -> String {
        let path = path.to_owned();
        let (told, hears) = std::sync::mpsc::channel();
        // On a thread of its own: one that waits for a pipe's writer must not hold up the test.
        std::thread::spawn(move || told.send(read(&path, most).expect_err("refused").to_string()));
        hears.recv_timeout(Duration::from_secs(10)).expect("it does not wait")
    }

    #[test]
    fn only_regular_files_are_read_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        for (path, what) in [
            (pipe.as_path(), "a pipe"),
            (&link, "a pipe"),
            (&socket, "a socket"),
            (folder.path(), "a directory"),
            (Path::new("/dev/zero"), "a device"),
        ] {
            assert_eq!(error(path, 9), format!("it is {what}, and only a regular file is read"));
        }
        assert_eq!(error(&folder.path().join("none"), 9), "no such file or directory");
    }

    #[test]
    fn a_file_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "0123456789").unwrap();
        assert_eq!(read(&path, 10).unwrap(), b"0123456789");
        assert_eq!(error(&path, 9), "it is larger than 9 bytes, the most that is read");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(read(&link, 10).unwrap().len(), 10);
        // It says that it has no bytes.
        assert_eq!(
            error(Path::new("/proc/self/status"), 9),
            "it is larger than 9 bytes, the most that is read"
        );
        let sparse = folder.path().join("sparse");
        std::fs::File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
        let error = text(&sparse, "the study").unwrap_err().to_string();
        assert!(error.ends_with("sparse: it is larger than 1 MiB, the most that is read"), "{error}");
    }

    #[test]
    fn what_is_no_text_has_a_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, b"a = 1\nb = \"\xff\"\n").unwrap();
        let error = text(&path, "the configuration file").unwrap_err();
        assert_eq!(error.to_string(), format!("{}:2:6: not UTF-8", path.display()));
    }
}
