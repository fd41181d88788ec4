//! Where the admin listener is.
//!
//! Here: the setting `admin`, its defaults by command, and the port that `DASHBOARD_PORT` names. Not here: what is
//! served there (`admin/`). Floor 5.

use std::net::{Ipv4Addr, SocketAddr};

use super::origin::{Origin, Sourced};
use super::values::Value;
use super::{Audience, ConfigError};

/// The port of the dashboard in the testbed.
pub const ADMIN_PORT: u16 = 5002;

/// Where the admin listener is, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminTarget {
    /// Nowhere.
    Off,
    /// Here.
    At(SocketAddr),
}

impl AdminTarget {
    /// Without a word from anybody.
    pub(super) fn default_of(audience: Audience) -> AdminTarget {
        match audience {
            Audience::Testbed => AdminTarget::At(SocketAddr::from((Ipv4Addr::LOCALHOST, ADMIN_PORT))),
            Audience::Proxy | Audience::Either | Audience::Study => AdminTarget::Off,
        }
    }

    /// The address, if there is a listener.
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            AdminTarget::Off => None,
            AdminTarget::At(address) => Some(address),
        }
    }
}

impl Value for AdminTarget {
    const EXPECTED: &'static str = "an address and a port such as \"127.0.0.1:5002\", or \"off\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(AdminTarget::Off),
            _ => SocketAddr::parse(text).map(AdminTarget::At).map_err(|e| format!("{e}, or off")),
        }
    }

    fn show(&self) -> String {
        match self {
            AdminTarget::Off => "off".to_owned(),
            AdminTarget::At(address) => address.show(),
        }
    }
}

/// `admin` with the port that DASHBOARD_PORT names, which a flag beats. It names a port, and turns nothing on.
///
/// # Errors
/// When it counts and is no port.
pub(super) fn with_dashboard_port(
    admin: Sourced<AdminTarget>,
    port: Option<&str>,
) -> Result<Sourced<AdminTarget>, ConfigError> {
    let (AdminTarget::At(mut address), Some(text)) = (admin.value, port) else { return Ok(admin) };
    if admin.origin == Origin::Flag {
        return Ok(admin);
    }
    let port = text.parse().map_err(|_| {
        ConfigError::new(format!("the environment variable DASHBOARD_PORT is `{text}`, which is not a port"))
            .hint("a port is a number from 0 to 65535")
    })?;
    address.set_port(port);
    Ok(Sourced { value: AdminTarget::At(address), origin: Origin::Environment })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(admin: &str, origin: Origin, port: Option<&str>) -> Result<(String, Origin), String> {
        let admin = Sourced { value: AdminTarget::parse(admin).unwrap(), origin };
        let merged = with_dashboard_port(admin, port).map_err(|e| e.to_string())?;
        Ok((merged.value.show(), merged.origin))
    }

    #[test]
    fn dashboard_port_beats_file_and_default_and_a_flag_beats_it() {
        let told = |text: &str, origin| Ok((text.to_owned(), origin));
        let default = "127.0.0.1:5002";
        assert_eq!(port(default, Origin::Default, None), told(default, Origin::Default));
        assert_eq!(port(default, Origin::Default, Some("7")), told("127.0.0.1:7", Origin::Environment));
        assert_eq!(port("[::1]:5", Origin::File, Some("0")), told("[::1]:0", Origin::Environment));
        assert_eq!(port("0.0.0.0:5", Origin::Environment, Some("6")), told("0.0.0.0:6", Origin::Environment));
        assert_eq!(port("127.0.0.1:5", Origin::Flag, Some("7")), told("127.0.0.1:5", Origin::Flag));
        assert_eq!(port("127.0.0.1:5", Origin::Flag, Some("x")), told("127.0.0.1:5", Origin::Flag));
    }

    #[test]
    fn dashboard_port_turns_nothing_on_and_must_be_a_port() {
        assert_eq!(port("off", Origin::Default, Some("7")), Ok(("off".to_owned(), Origin::Default)));
        let error = port("127.0.0.1:5", Origin::Default, Some("70000")).unwrap_err();
        assert!(error.contains("DASHBOARD_PORT is `70000`, which is not a port"), "{error}");
    }
}
