//! The target of a forwarded request (RFC 9112 §3.2.1, §3.2.4).

use tidegate::h1::request::RequestHead;

/// The target that a backend gets.
pub(crate) fn origin_form(head: &RequestHead<'_, '_>) -> Vec<u8> {
    let path = head.target.path();
    match head.target.authority() {
        None => path.to_vec(),
        Some(_) if path.is_empty() && head.method == "OPTIONS" => b"*".to_vec(),
        Some(_) if path.starts_with(b"/") => path.to_vec(),
        Some(_) => [b"/", path].concat(),
    }
}
