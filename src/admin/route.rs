//! What there is.
//!
//! Here: paths and methods to [`Call`]s. Not here: what each answers. Floor 3.

use super::metrics::Format;
use super::page::File;
use super::problem::Problem;
use crate::command::Drained;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// For a part of the page.
    Load(File),
    /// To be shown something.
    Show(Page),
    /// To be told by the proxy, or to change it.
    Steer(Steering),
}

/// What can be shown from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// `/data`: the earlier system's document.
    Data,
    /// `/api/v1/status`
    Status,
    /// `/api/v1/backends`
    Backends,
    /// `/api/v1/config`
    Config,
    /// `/api/v1/live`: all that the page shows.
    Live,
    /// `/api/v1/events`: the same again and again.
    Events,
    /// `/healthz`
    Health,
    /// `/metrics`
    Metrics(Format),
}

/// What the proxy is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Steering {
    /// `/readyz`
    Ready,
    /// `/api/v1/routing`
    Routing,
    /// `/api/v1/strategy`
    Strategy,
    /// `/api/v1/reload`
    Reload,
    /// `/api/v1/backends/NAME/drain` and `undrain`
    Drain(String, Drained),
}

impl Call {
    /// Whether it has a body that says more.
    pub(super) fn wants_body(&self) -> bool {
        matches!(self, Call::Steer(Steering::Routing | Steering::Strategy))
    }
}

/// What `method` on `path` (without its query) asks for; metrics in this `format`.
///
/// # Errors
/// 404 without such a path, 405 if it has other methods.
pub(super) fn route(method: &str, path: &str, format: Format) -> Result<Call, Problem> {
    let (call, methods): (Call, &[&str]) = match path {
        "/data" => (Call::Show(Page::Data), READ),
        "/metrics" => (Call::Show(Page::Metrics(format)), READ),
        "/healthz" => (Call::Show(Page::Health), READ),
        "/readyz" => (Call::Steer(Steering::Ready), READ),
        "/api/v1/status" => (Call::Show(Page::Status), READ),
        "/api/v1/backends" => (Call::Show(Page::Backends), READ),
        "/api/v1/config" => (Call::Show(Page::Config), READ),
        "/api/v1/live" => (Call::Show(Page::Live), READ),
        "/api/v1/events" => (Call::Show(Page::Events), READ),
        "/api/v1/routing" => (Call::Steer(Steering::Routing), &["PUT"]),
        "/api/v1/strategy" => (Call::Steer(Steering::Strategy), &["PUT"]),
        "/api/v1/reload" => (Call::Steer(Steering::Reload), &["POST"]),
        _ => match (File::at(path), of_backend(path)) {
            (Some(file), _) => (Call::Load(file), READ),
            (None, Some(steering)) => (Call::Steer(steering), &["POST"]),
            (None, None) => {
                return Err(Problem::new(404, format!("there is no {path}; GET / lists what there is")));
            }
        },
    };
    if methods.contains(&method) {
        return Ok(call);
    }
    let allowed = methods.join(", ");
    Err(Problem::new(405, format!("{path} is for {allowed}")).with("Allow", &allowed))
}

const READ: &[&str] = &["GET", "HEAD"];

fn of_backend(path: &str) -> Option<Steering> {
    let (name, verb) = path.strip_prefix("/api/v1/backends/")?.split_once('/')?;
    let drained = match verb {
        "drain" => Drained::Yes,
        "undrain" => Drained::No,
        _ => return None,
    };
    Some(Steering::Drain(percent_decoded(name)?, drained))
}

/// RFC 3986 §2.1; none if a `%` is not followed by two digits, or the text is not UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(method: &str, path: &str) -> Result<Call, u16> {
        route(method, path, Format::Prometheus).map_err(|problem| problem.status)
    }

    #[test]
    fn a_backend_is_named_by_host_and_port_encoded_or_not() {
        for path in ["localhost:8081", "localhost%3A8081", "%6cocalhost%3a8081"] {
            let path = format!("/api/v1/backends/{path}/drain");
            let steering = Steering::Drain("localhost:8081".to_owned(), Drained::Yes);
            assert_eq!(at("POST", &path), Ok(Call::Steer(steering)), "{path}");
        }
        for path in ["a%3/drain", "a%zz/drain", "%ff/drain", "a/stop", "a", "a/b/drain", "/"] {
            assert_eq!(at("POST", &format!("/api/v1/backends/{path}")), Err(404), "{path}");
        }
    }

    #[test]
    fn another_method_is_told_which_there_are() {
        let refused = route("DELETE", "/data", Format::Prometheus).unwrap_err();
        assert_eq!((refused.status, refused.fields.as_str()), (405, "Allow: GET, HEAD\r\n"));
        assert_eq!(at("GET", "/api/v1/routing"), Err(405));
        assert_eq!(at("GET", "/api/v1/backends/a/undrain"), Err(405));
        assert_eq!((at("HEAD", "/"), at("GET", "/nothing")), (Ok(Call::Load(File::Index)), Err(404)));
    }
}
