//! A server that requests go to, as configured.
//!
//! Here: [`ServerEntry`], a URL and what of its name's addresses counts: a URL alone, or in a file a table. Not here: the
//! URL (`url.rs`), looking up (`names.rs`). Floor 5.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::names::Names;
use super::read;
use super::url::{BackendUrl, ResolveError, authority};
use super::values::Value;
use crate::proxy::Backend;

/// What the addresses of a name are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolve {
    /// Ways to one server.
    #[default]
    One,
    /// A server each.
    All,
}

impl Value for Resolve {
    const EXPECTED: &'static str = "\"one\" or \"all\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "one" => Ok(Resolve::One),
            "all" => Ok(Resolve::All),
            _ => Err(format!("`{text}` is neither one nor all")),
        }
    }

    fn show(&self) -> String {
        match self {
            Resolve::One => "one".to_owned(),
            Resolve::All => "all".to_owned(),
        }
    }
}

/// A server as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerEntry {
    /// Where it is.
    pub url: BackendUrl,
    /// What its name's addresses are; none if that is left to the setting for all.
    pub resolve: Option<Resolve>,
}

impl From<BackendUrl> for ServerEntry {
    fn from(url: BackendUrl) -> ServerEntry {
        ServerEntry { url, resolve: None }
    }
}

impl Value for ServerEntry {
    const EXPECTED: &'static str = BackendUrl::EXPECTED;

    fn parse(text: &str) -> Result<Self, String> {
        BackendUrl::parse(text).map(ServerEntry::from)
    }

    fn show(&self) -> String {
        self.url.show()
    }

    fn to_toml(&self) -> String {
        let url = self.url.to_toml();
        match self.resolve {
            None => url,
            Some(resolve) => format!("{{ url = {url}, resolve = {} }}", resolve.to_toml()),
        }
    }
}

impl ServerEntry {
    /// The servers that this one comes to, by its name's addresses if each is one.
    ///
    /// # Errors
    /// Those of [`Names::addresses`].
    pub fn look_up(&self, usual: Resolve, names: &mut Names) -> Result<Vec<Backend>, ResolveError> {
        let mut addresses = names.addresses(&self.url)?;
        Ok(match self.resolve.unwrap_or(usual) {
            Resolve::One => vec![self.url.with(addresses)],
            Resolve::All => {
                // Resolvers shuffle; the order is to be the same as long as the set is.
                addresses.sort();
                let own = |address: &std::net::SocketAddr| {
                    let name = authority(&address.ip().to_string(), address.port());
                    Backend { url: format!("http://{name}"), authority: name, addresses: vec![*address] }
                };
                addresses.iter().map(own).collect()
            }
        })
    }
}

/// The table of a file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(deserialize_with = "read::must")]
    url: BackendUrl,
    #[serde(default, deserialize_with = "read::one")]
    resolve: Option<Resolve>,
}

/// Reads servers of a file: a string with commas, or a list of strings and tables.
pub(super) fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<ServerEntry>>, D::Error> {
    from.deserialize_any(ListVisitor).map(Some)
}

impl<'de> Deserialize<'de> for ServerEntry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = ServerEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, or a table with url and resolve", BackendUrl::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ServerEntry, E> {
        ServerEntry::parse(text).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ServerEntry, A::Error> {
        let Table { url, resolve } = Table::deserialize(MapAccessDeserializer::new(map))?;
        Ok(ServerEntry { url, resolve })
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = Vec<ServerEntry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, or a list of them", BackendUrl::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<ServerEntry>, E> {
        text.split(',').map(|one| ServerEntry::parse(one).map_err(E::custom)).collect()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<ServerEntry>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_is_a_server_only_if_it_is_so_wanted() {
        let found = ["10.0.0.2:81", "[::1]:81", "10.0.0.1:81"].map(|a| a.parse().unwrap());
        let mut names = Names::asking(Box::new(move |_, _| Ok(found.to_vec())));
        let entry = |resolve| ServerEntry { url: BackendUrl::parse("service:81").unwrap(), resolve };
        let mut urls = |entry: ServerEntry, usual| {
            let servers = entry.look_up(usual, &mut names).unwrap();
            servers.into_iter().map(|s| (s.url, s.authority, s.addresses.len())).collect::<Vec<_>>()
        };
        let one = [("http://service:81".to_owned(), "service:81".to_owned(), 3)];
        let all =
            ["10.0.0.1:81", "10.0.0.2:81", "[::1]:81"].map(|a| (format!("http://{a}"), a.to_owned(), 1));
        assert_eq!(urls(entry(None), Resolve::One), one);
        assert_eq!(urls(entry(Some(Resolve::One)), Resolve::All), one);
        assert_eq!(urls(entry(None), Resolve::All), all);
        assert_eq!(urls(entry(Some(Resolve::All)), Resolve::One), all);
    }

    #[test]
    fn a_file_has_strings_and_tables() {
        #[derive(serde::Deserialize)]
        struct File {
            #[serde(deserialize_with = "list")]
            backend: Option<Vec<ServerEntry>>,
        }
        let read = |text: &str| toml::from_str::<File>(text).map(|file| file.backend.unwrap());
        let shown = |text: &str| read(text).unwrap().iter().map(Value::to_toml).collect::<Vec<_>>();
        let table = "{ url = \"http://b:2\", resolve = \"all\" }";
        assert_eq!(shown(&format!("backend = [\"a:1\", {table}]")), ["\"http://a:1\"", table]);
        assert_eq!(
            shown("[[backend]]\nurl = \"b:2\"\nresolve = \"all\"\n[[backend]]\nurl = \"c:3\"\n")[0],
            table
        );
        assert_eq!(shown("backend = \"a:1,b:2\"").len(), 2);
        for (text, why) in [
            ("backend = [{ resolve = \"all\" }]", "missing field `url`"),
            (
                "backend = [{ url = \"a\", weight = 2 }]",
                "unknown field `weight`, expected `url` or `resolve`",
            ),
            ("backend = [{ url = \"a\", resolve = \"some\" }]", "`some` is neither one nor all"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
