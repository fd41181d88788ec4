//! Whether what is read of bytes depends on how they come.

use std::fmt::Debug;

/// How many places of a long input are tried.
const PLACES: usize = 300;

/// Reads every beginning of `bytes` (of long ones, some), as a proxy does that reads again when more has come, and makes
/// sure that none is read otherwise than the whole: what is true of a beginning stays true.
pub(crate) fn same_in_any_split<T: PartialEq + Debug>(
    bytes: &[u8],
    read: impl Fn(&[u8]) -> Option<T>,
) -> Option<T> {
    let whole = read(bytes);
    for cut in (0..bytes.len()).step_by(bytes.len() / PLACES + 1) {
        let part = read(&bytes[..cut]);
        assert!(part.is_none() || part == whole, "the first {cut} bytes: {part:?}, all: {whole:?}");
    }
    whole
}
