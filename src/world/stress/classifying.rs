//! What a classifier with odd ways says.
//!
//! Here: the answer to a batch as bytes, as its script tells. Not here: who writes it (`backend.rs`), an orderly classifier
//! (`testbed/`), what users make of it (`users/classifying.rs`). Floor 4.

use serde::Deserialize;

use super::script::{Pieces, Script};

/// The answer to the batch in `body`: a text is code if it has a semicolon.
pub(super) fn classified(script: Script, body: &[u8]) -> Pieces {
    #[derive(Deserialize)]
    struct Batch {
        sequences: Vec<String>,
    }
    let texts = serde_json::from_slice(body).map_or(Vec::new(), |batch: Batch| batch.sequences);
    let kept = texts.len().saturating_sub(usize::from(script == Script::Lie));
    let label = |text: &String| if text.contains(';') { "code" } else { "not code" };
    let results: Vec<_> = texts[..kept].iter().map(label).collect();
    let (status, body) = match script {
        Script::Error => (500, "{}".to_owned()),
        _ => (200, serde_json::json!({ "results": results }).to_string()),
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    script.pieces_of((head + &body).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_those_of_the_texts_or_too_few() {
        let said = |script| {
            let pieces = classified(script, br#"{"sequences":["x;","words"]}"#);
            String::from_utf8(pieces.into_iter().flat_map(|(_, bytes)| bytes).collect()).unwrap()
        };
        assert!(said(Script::TwiceHeld).ends_with(r#"{"results":["code","not code"]}"#));
        assert!(said(Script::Lie).ends_with(r#"{"results":["code"]}"#));
        assert!(said(Script::Error).starts_with("HTTP/1.1 500 "));
        assert_eq!(said(Script::Silence), "");
    }
}
