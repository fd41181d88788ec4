//! The page, for browsers.
//!
//! Here: [`File`], what a browser loads to show the page, all of it from here: the page works offline and its policy allows
//! no other host. `page.js` hears the feed and steers, `tables.js` and `charts.js` show. Not here: what is shown
//! (`live.rs`). Floor 3.

use std::sync::OnceLock;

use flate2::Crc;

/// A part of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// `/`
    Index,
    /// `/page.css`
    Style,
    /// `/page.js`
    Script,
    /// `/tables.js`
    Tables,
    /// `/charts.js`
    Charts,
    /// `/plotly.js`
    Plotly,
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

impl File {
    /// All of them.
    const ALL: [File; 6] = [File::Index, File::Style, File::Script, File::Tables, File::Charts, File::Plotly];

    const fn path(self) -> &'static str {
        match self {
            File::Index => "/",
            File::Style => "/page.css",
            File::Script => "/page.js",
            File::Tables => "/tables.js",
            File::Charts => "/charts.js",
            File::Plotly => "/plotly.js",
        }
    }

    /// The file at this path.
    pub(super) fn at(path: &str) -> Option<File> {
        File::ALL.into_iter().find(|file| file.path() == path)
    }

    /// Its media type.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            File::Index => "text/html; charset=utf-8",
            File::Style => "text/css; charset=utf-8",
            File::Script | File::Tables | File::Charts | File::Plotly => JAVASCRIPT,
        }
    }

    /// What is in it.
    pub(super) fn text(self) -> &'static str {
        match self {
            File::Index => include_str!("index.html"),
            File::Style => include_str!("page.css"),
            File::Script => include_str!("page.js"),
            File::Tables => include_str!("tables.js"),
            File::Charts => include_str!("charts.js"),
            File::Plotly => crate::plotly::script(),
        }
    }

    /// Its strong validator (RFC 9110 §8.8.1), with the quotes.
    fn tag(self) -> &'static str {
        static TAGS: [OnceLock<String>; File::ALL.len()] = [const { OnceLock::new() }; File::ALL.len()];
        TAGS[self as usize].get_or_init(|| {
            let text = self.text();
            let mut sum = Crc::new();
            sum.update(text.as_bytes());
            format!("\"{:08x}-{:x}\"", sum.sum(), text.len())
        })
    }

    /// Further fields of its response. A browser keeps it, and asks each time whether it is still so.
    ///
    /// The page runs its own scripts only, talks to nobody else, and stands in nobody's frame. Plotly writes styles into
    /// its charts, and gives pictures of them as `data:` and `blob:`.
    pub(super) fn fields(self) -> String {
        format!(
            "Cache-Control: no-cache\r\n\
             ETag: {}\r\n\
             X-Content-Type-Options: nosniff\r\n\
             Referrer-Policy: no-referrer\r\n\
             Content-Security-Policy: default-src 'self'; style-src 'self' 'unsafe-inline'; \
             img-src 'self' data: blob:; object-src 'none'; form-action 'none'; frame-ancestors 'none'; \
             base-uri 'none'\r\n",
            self.tag()
        )
    }

    /// Whether `If-None-Match` says that the asker has it (RFC 9110 §13.1.2).
    pub(super) fn is_known(self, if_none_match: &[u8]) -> bool {
        let tags = if_none_match.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        let strong = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag) == self.tag().as_bytes();
        if_none_match.trim_ascii() == b"*" || tags.into_iter().any(strong)
    }
}

#[cfg(test)]
mod tests {
    use super::File;
    use crate::admin::metrics::Format;
    use crate::admin::route::route;

    #[test]
    fn the_page_names_no_other_host_and_only_files_that_are_here() {
        for file in [File::Index, File::Style, File::Script, File::Tables, File::Charts] {
            let text = file.text().replace("xmlns='http://www.w3.org/2000/svg'", "");
            let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            assert!(!code.contains("//"), "{file:?}");
            for start in ["src=\"", "href=\"", "from \"."] {
                for rest in code.split(start).skip(1) {
                    let name = rest.split('"').next().unwrap_or(rest);
                    let there = name.starts_with("data:") || route("GET", name, Format::Prometheus).is_ok();
                    assert!(there, "{file:?}: {name}");
                }
            }
        }
    }

    #[test]
    fn a_file_is_known_by_its_own_tag_alone() {
        let (tag, other) = (File::Script.tag(), File::Style.tag());
        assert_ne!(tag, other);
        for known in [tag, &format!("\"a\", {tag}"), &format!("W/{tag},\"b\""), "*"] {
            assert!(File::Script.is_known(known.as_bytes()), "{known}");
        }
        for unknown in [other, "", "\"a\"", tag.trim_matches('"')] {
            assert!(!File::Script.is_known(unknown.as_bytes()), "{unknown}");
        }
    }
}
