//! The kinds of values that settings have.
//!
//! Here: parsing and showing durations, switches, numbers, addresses, names; one rule for flags, environment and
//! file. Not here: backend URLs (`config/url.rs`), which setting has which kind (`config/mod.rs`). Floor 5.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;

use crate::balance::{RoutingGoal, RoutingMode};
use crate::proxy::{ConnectionMode, HalfClose, Reuse};
use crate::time::parse_span;

/// How a value stands in a TOML file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A string.
    Text,
    /// A number.
    Number,
    /// A string with a unit; a bare number is refused with a reason.
    Quantity,
    /// `"on"` or `"off"`; `true` and `false` will do.
    Switch,
}

/// A value that is written the same way in a flag, in the environment and in a file.
pub trait Value: Sized {
    /// What is expected, for error messages.
    const EXPECTED: &'static str;
    /// How it stands in a file.
    const FORM: Form = Form::Text;

    /// Reads it.
    ///
    /// # Errors
    /// One sentence that shows the text and says what is wrong with it.
    fn parse(text: &str) -> Result<Self, String>;

    /// Writes it so that [`Value::parse`] reads it back.
    fn show(&self) -> String;

    /// Writes it as TOML.
    fn to_toml(&self) -> String {
        match Self::FORM {
            Form::Number => self.show(),
            Form::Text | Form::Quantity | Form::Switch => toml::Value::String(self.show()).to_string(),
        }
    }
}

/// [`Value::parse`] as a function, for clap.
///
/// # Errors
/// Those of [`Value::parse`].
pub fn parse<T: Value>(text: &str) -> Result<T, String> {
    T::parse(text)
}

/// A time span above zero: a timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(pub Duration);

/// A time span that may be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace(pub Duration);

impl Value for Period {
    const EXPECTED: &'static str = "a duration such as \"10s\"";
    const FORM: Form = Form::Quantity;

    fn parse(text: &str) -> Result<Self, String> {
        match parse_span(text)? {
            Duration::ZERO => Err(format!("`{text}` is no time at all; it must be above zero")),
            span => Ok(Period(span)),
        }
    }

    fn show(&self) -> String {
        format!("{:?}", self.0)
    }
}

impl Value for Grace {
    const EXPECTED: &'static str = Period::EXPECTED;
    const FORM: Form = Form::Quantity;

    fn parse(text: &str) -> Result<Self, String> {
        parse_span(text).map(Grace)
    }

    fn show(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch(pub bool);

impl Value for Switch {
    const EXPECTED: &'static str = "\"on\" or \"off\"";
    const FORM: Form = Form::Switch;

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "on" => Ok(Switch(true)),
            "off" => Ok(Switch(false)),
            _ => Err(format!("`{text}` is neither on nor off")),
        }
    }

    fn show(&self) -> String {
        if self.0 { "on" } else { "off" }.to_owned()
    }
}

/// A number of things, from 1 to a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub usize);

impl Count {
    /// The largest count; memory is set aside for some of them.
    pub const MOST: usize = 1_000_000;
}

impl Value for Count {
    const EXPECTED: &'static str = "a whole number from 1 to 1000000";
    const FORM: Form = Form::Number;

    fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(count @ 1..=Count::MOST) => Ok(Count(count)),
            _ => Err(format!("`{text}` is not {}", Count::EXPECTED)),
        }
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// A number of bytes, at most 1 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bytes(pub usize);

impl Value for Bytes {
    const EXPECTED: &'static str = "a whole number of bytes from 0 to 1073741824";
    const FORM: Form = Form::Number;

    fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(bytes @ 0..=1_073_741_824) => Ok(Bytes(bytes)),
            _ => Err(format!("`{text}` is not {}", Bytes::EXPECTED)),
        }
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// A weight above 0 and at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weight(pub f64);

impl Value for Weight {
    const EXPECTED: &'static str = "a number above 0 and at most 1";
    const FORM: Form = Form::Number;

    fn parse(text: &str) -> Result<Self, String> {
        match text.parse::<f64>() {
            Ok(weight) if weight > 0.0 && weight <= 1.0 => Ok(Weight(weight)),
            _ => Err(format!("`{text}` is not {}", Weight::EXPECTED)),
        }
    }

    fn show(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// A share, from none to all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(pub f64);

impl Value for Share {
    const EXPECTED: &'static str = "a number from 0 to 1";
    const FORM: Form = Form::Number;

    fn parse(text: &str) -> Result<Self, String> {
        match text.parse::<f64>() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(Share(share)),
            _ => Err(format!("`{text}` is not {}", Share::EXPECTED)),
        }
    }

    fn show(&self) -> String {
        format!("{:?}", self.0)
    }
}

impl Value for SocketAddr {
    const EXPECTED: &'static str = "an address and a port such as \"0.0.0.0:9090\"";

    fn parse(text: &str) -> Result<Self, String> {
        let port = |after: &str| after.parse::<u16>().ok();
        let short = match text.rsplit_once(':') {
            Some(("", after)) => port(after).map(|port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))),
            Some(("localhost", after)) => {
                port(after).map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
            }
            _ => None,
        };
        short.or_else(|| text.parse().ok()).ok_or_else(|| {
            format!("`{text}` is not an address and a port; write it like 0.0.0.0:9090, localhost:9090 or [::1]:9090")
        })
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// Where the simulated backends A, B and C listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackendListen(pub [SocketAddr; 3]);

impl Value for BackendListen {
    const EXPECTED: &'static str = "three addresses, with commas between them";

    fn parse(text: &str) -> Result<Self, String> {
        let addresses = text.split(',').map(SocketAddr::parse).collect::<Result<Vec<_>, _>>()?;
        let three = <[SocketAddr; 3]>::try_from(addresses.as_slice());
        three.map(BackendListen).map_err(|_| {
            format!(
                "`{text}` must be three addresses, for the backends A, B and C; here are {}",
                addresses.len()
            )
        })
    }

    fn show(&self) -> String {
        self.0.map(|addr| addr.to_string()).join(",")
    }
}

/// Where lines of a kind go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileTarget {
    /// Nowhere.
    Off,
    /// To the end of this file.
    Path(PathBuf),
}

impl FileTarget {
    /// The file, if there is to be one.
    pub fn into_path(self) -> Option<PathBuf> {
        match self {
            FileTarget::Off => None,
            FileTarget::Path(path) => Some(path),
        }
    }
}

impl Value for FileTarget {
    const EXPECTED: &'static str = "a path or \"off\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("the path is empty; write off for no file".to_owned()),
            "off" => Ok(FileTarget::Off),
            path => Ok(FileTarget::Path(path.into())),
        }
    }

    fn show(&self) -> String {
        match self {
            FileTarget::Off => "off".to_owned(),
            FileTarget::Path(path) => path.display().to_string(),
        }
    }
}

impl Value for RoutingMode {
    const EXPECTED: &'static str = "a routing mode";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for RoutingGoal {
    const EXPECTED: &'static str = "\"p95\" or \"mean\"";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn show(&self) -> String {
        self.name().to_owned()
    }
}

impl Value for ConnectionMode {
    const EXPECTED: &'static str = "a connection mode";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for Reuse {
    const EXPECTED: &'static str = "\"always\", \"safe\" or \"never\"";

    fn parse(text: &str) -> Result<Self, String> {
        let named = Reuse::ALL.into_iter().find(|reuse| reuse.name() == text);
        named.ok_or_else(|| format!("`{text}` is neither always, safe nor never"))
    }

    fn show(&self) -> String {
        self.name().to_owned()
    }
}

impl Value for HalfClose {
    const EXPECTED: &'static str = "\"answer\" or \"cancel\"";

    fn parse(text: &str) -> Result<Self, String> {
        let named = HalfClose::ALL.into_iter().find(|meaning| meaning.name() == text);
        named.ok_or_else(|| format!("`{text}` is neither answer nor cancel"))
    }

    fn show(&self) -> String {
        self.name().to_owned()
    }
}

impl Value for LevelFilter {
    const EXPECTED: &'static str = "a log level";

    fn parse(text: &str) -> Result<Self, String> {
        LevelFilter::iter().find(|level| level.show() == text).ok_or_else(|| {
            format!("unknown log level `{text}`; expected error, warn, info, debug, trace or off")
        })
    }

    fn show(&self) -> String {
        self.as_str().to_lowercase()
    }
}

#[cfg(test)]
mod tests;
