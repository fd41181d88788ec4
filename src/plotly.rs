//! Plotly.js, which draws charts that their reader can handle.
//!
//! Here: its source, as the `plotly` crate carries it, so that a page needs no other host. Not here: what is drawn
//! (`lab/page/`, the dashboard), which call this. Floor 1.

use std::sync::OnceLock;

/// The source of Plotly.js (MIT licence, named in its first lines), to stand between `<script>` and `</script>`.
///
/// # Panics
/// If the `plotly` crate carries it otherwise than its tested version does.
pub fn script() -> &'static str {
    static SCRIPT: OnceLock<String> = OnceLock::new();
    SCRIPT.get_or_init(|| {
        // Two elements; the second is MathJax, which no chart here has a use for.
        let elements = ::plotly::Plot::offline_js_sources();
        let (before, rest) = elements.split_once('>').expect("an element");
        assert!(before.trim_start().starts_with("<script"), "not a script: {before}");
        rest.split_once("</script>").expect("the element's end").0.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::script;

    #[test]
    fn the_script_is_plotly_alone_and_ends_no_element() {
        let script = script();
        assert!(script.trim_start().starts_with("/**\n* plotly.js v3."), "{}", &script[..100]);
        assert!(script.contains("Licensed under the MIT license"));
        assert!(script.len() > 4_000_000 && script.len() < 5_000_000, "{}", script.len());
        for outside in ["</script", "<!--", "MathJax.loader"] {
            assert!(!script.contains(outside), "{outside}");
        }
    }
}
