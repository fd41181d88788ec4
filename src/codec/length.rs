//! Lengths of elements: what they cost a classifier.
//!
//! Here: counting Unicode characters without building strings. Not here: what a length is used for (`batch/`).
//! Floor 1.

/// What counting finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Length {
    /// Unicode characters.
    pub(super) characters: u32,
    /// Whether there is an escaped surrogate, so that pairs are still to be checked.
    pub(super) surrogates: bool,
}

/// The length of an element as it stands in a body: of a string the decoded one's, of anything else its text's.
/// Escapes must be grammatical; a lone surrogate counts as one.
pub(super) fn of_element(raw: &str) -> Length {
    let Some(inner) = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Length { characters: raw.chars().count() as u32, surrogates: false };
    };
    let mut length = Length { characters: inner.chars().count() as u32, surrogates: false };
    let mut rest = inner.as_bytes();
    while let Some(at) = memchr::memchr(b'\\', rest) {
        rest = &rest[at..];
        let escape = escape(rest);
        length.surrogates |= escape.surrogate;
        length.characters -= escape.bytes as u32 - 1;
        rest = &rest[escape.bytes..];
    }
    length
}

struct Escape {
    /// All ASCII, so as many characters of the text.
    bytes: usize,
    surrogate: bool,
}

/// The escape of one character at the start of `text` (RFC 8259 §7).
fn escape(text: &[u8]) -> Escape {
    match text {
        [b'\\', b'u', b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F', ..] => {
            Escape { bytes: if is_pair(text) { 12 } else { 6 }, surrogate: true }
        }
        [b'\\', b'u', ..] => Escape { bytes: 6, surrogate: false },
        _ => Escape { bytes: 2, surrogate: false },
    }
}

/// Whether a leading and a trailing surrogate follow each other.
fn is_pair(text: &[u8]) -> bool {
    let leading = matches!(text.get(3), Some(b'8' | b'9' | b'a' | b'b' | b'A' | b'B'));
    let trailing = text.get(6..10);
    leading && matches!(trailing, Some([b'\\', b'u', b'd' | b'D', b'c'..=b'f' | b'C'..=b'F']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_count_decoded_characters_and_others_those_of_their_text() {
        for (raw, characters) in [
            (r#""""#, 0),
            (r#""abc""#, 3),
            ("\"äö日\u{1F600}\"", 4),
            (r#""\n\t\"\\\/\b\f\r""#, 8),
            (r#""\u00e4\u65E5x""#, 3),
            (r#""\uD83D\uDE00""#, 1),
            (r#""a\ud83d\ude00\ud83d\ude00b""#, 4),
            (r#""\\ud83d""#, 6),
            (r#""\uD7FF\uE000""#, 2),
            ("17", 2),
            ("-1.50E+400", 10),
            ("{\"ä\" : [1, 2]}", 14),
            ("null", 4),
        ] {
            assert_eq!(of_element(raw).characters, characters, "{raw}");
        }
    }

    #[test]
    fn surrogates_are_noticed_and_lone_ones_count_as_one() {
        for (raw, characters) in [
            (r#""\uD83D\uDE00""#, 1),
            (r#""\uD83D""#, 1),
            (r#""\uDE00x""#, 2),
            (r#""\uDE00\uD83D""#, 2),
            (r#""\uD83D\uD83D\uDE00""#, 2),
            (r#""\uD83D\u0041""#, 2),
            (r#""\uD83D\n""#, 2),
        ] {
            assert_eq!(of_element(raw), Length { characters, surrogates: true }, "{raw}");
        }
        for raw in [r#""\u0041\uD7FF""#, r#""\\uD83D""#, "\"\u{1F600}\""] {
            assert!(!of_element(raw).surrogates, "{raw}");
        }
    }
}
