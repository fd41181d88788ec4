//! The target of a forwarded request (RFC 9112 §3.2.1, §3.2.4).

use tidegate::h1::request::{RequestHead, Target};

/// The target that a backend gets.
pub(crate) fn origin_form(head: &RequestHead<'_, '_>) -> String {
    match head.target {
        Target::Origin(target) => target.to_owned(),
        Target::Absolute { path: "", .. } if head.method == "OPTIONS" => "*".to_owned(),
        Target::Absolute { path, .. } if path.starts_with('/') => path.to_owned(),
        Target::Absolute { path, .. } => format!("/{path}"),
    }
}
