//! What delimits a message's body (RFC 9112 §6).
//!
//! Here: `Content-Length` and `Transfer-Encoding` judged together; what is refused as request smuggling. Not here:
//! reading the body (`body.rs`). Called while a head is scanned. Floor 1.

use super::{BodyLength, Version, Violation};

/// What the framing fields of one head say so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FramingFields {
    length: Option<u64>,
    chunked: bool,
}

impl FramingFields {
    /// Takes a `Content-Length` value: digits only, and only once. RFC 9112 §6.3 would let equal ones pass; a
    /// second one is refused whatever it says, since no honest sender repeats it.
    #[inline(always)]
    pub fn content_length(&mut self, value: &[u8]) -> Result<(), Violation> {
        if self.length.is_some() {
            return Err(Violation::SeveralLengths);
        }
        self.length = number(value);
        self.length.map(|_| ()).ok_or(Violation::LengthForm)
    }

    /// Takes a `Transfer-Encoding` value. Only `chunked`, once, is understood; HTTP/1.0 knows none (RFC 9112 §6.1).
    pub fn transfer_encoding(&mut self, value: &[u8], version: Version) -> Result<(), Violation> {
        if version == Version::Http10 {
            return Err(Violation::CodingInHttp10);
        }
        if self.chunked {
            return Err(Violation::CodingAfterChunked);
        }
        if value.eq_ignore_ascii_case(b"chunked") {
            self.chunked = true;
            return Ok(());
        }
        let last = value.rsplit(|&b| b == b',').next().unwrap_or_default().trim_ascii();
        Err(if last.eq_ignore_ascii_case(b"chunked") {
            Violation::UnknownCoding
        } else {
            Violation::CodingNotChunked
        })
    }

    fn check(self) -> Result<(), Violation> {
        match self {
            FramingFields { length: Some(_), chunked: true } => Err(Violation::LengthAndCoding),
            _ => Ok(()),
        }
    }

    /// The number of `Content-Length`.
    pub const fn length(self) -> Option<u64> {
        self.length
    }

    /// The length of a request's body (RFC 9112 §6.3).
    pub fn of_request(self) -> Result<BodyLength, Violation> {
        self.check()?;
        Ok(match self.length {
            _ if self.chunked => BodyLength::Chunked,
            None | Some(0) => BodyLength::None,
            Some(n) => BodyLength::Exact(n),
        })
    }

    /// The length of the body of a response with `status` to a request whose method was HEAD or not
    /// (RFC 9112 §6.3).
    pub fn of_response(self, status: u16, to_head: bool) -> Result<BodyLength, Violation> {
        self.check()?;
        if to_head || status < 200 || status == 204 || status == 304 {
            return Ok(BodyLength::None);
        }
        Ok(match self.length {
            _ if self.chunked => BodyLength::Chunked,
            None => BodyLength::UntilClose,
            Some(0) => BodyLength::None,
            Some(n) => BodyLength::Exact(n),
        })
    }
}

/// Digits only, and at least one.
#[inline(always)]
fn number(digits: &[u8]) -> Option<u64> {
    // 19 digits cannot be too large, so that most need no check of each.
    if digits.is_empty() || digits.len() > 19 {
        return large_number(digits);
    }
    let mut number = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number * 10 + u64::from(digit - b'0');
    }
    Some(number)
}

#[cold]
fn large_number(digits: &[u8]) -> Option<u64> {
    let digit = |b: u8| b.is_ascii_digit().then(|| u64::from(b - b'0'));
    let number = digits.iter().try_fold(0, |n: u64, &b| n.checked_mul(10)?.checked_add(digit(b)?));
    number.filter(|_| !digits.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lengths: &[&str], codings: &[&str]) -> Result<FramingFields, Violation> {
        let mut fields = FramingFields::default();
        lengths.iter().try_for_each(|v| fields.content_length(v.as_bytes()))?;
        codings.iter().try_for_each(|v| fields.transfer_encoding(v.as_bytes(), Version::Http11))?;
        Ok(fields)
    }

    fn request(lengths: &[&str], codings: &[&str]) -> Result<BodyLength, u16> {
        fields(lengths, codings).and_then(FramingFields::of_request).map_err(Violation::status)
    }

    #[test]
    fn a_request_body_has_one_length_or_is_refused() {
        assert_eq!(request(&[], &[]), Ok(BodyLength::None));
        assert_eq!(request(&["0"], &[]), Ok(BodyLength::None));
        assert_eq!(request(&["18446744073709551615"], &[]), Ok(BodyLength::Exact(u64::MAX)));
        assert_eq!(request(&[], &["Chunked"]), Ok(BodyLength::Chunked));
        assert_eq!(request(&["9999999999999999999"], &[]), Ok(BodyLength::Exact(9_999_999_999_999_999_999)));
        let bads =
            ["", " ", "+5", "-5", "5,5", "0x5", "18446744073709551616", "5 5", "٥", "z}z}z}z}z}z}z}z}z}z"];
        for bad in bads {
            assert_eq!(request(&[bad], &[]), Err(400), "{bad:?}");
        }
        assert_eq!(request(&["5", "6"], &[]), Err(400));
        assert_eq!(request(&["5", "5"], &[]), Err(400));
        assert_eq!(request(&["5"], &["chunked"]), Err(400));
        assert_eq!(request(&[], &["gzip, chunked"]), Err(501));
        for bad in ["", "gzip", "identity", "xchunked", "chunked, gzip", "chunked,", "chunked;a=b"] {
            assert_eq!(request(&[], &[bad]), Err(400), "{bad:?}");
        }
        assert_eq!(request(&[], &["chunked", "chunked"]), Err(400));
        assert_eq!(request(&[], &["chunked", "cow"]), Err(400));
    }

    #[test]
    fn http_10_knows_no_transfer_coding() {
        let refused = FramingFields::default().transfer_encoding(b"chunked", Version::Http10);
        assert_eq!(refused.map_err(Violation::status), Err(400));
    }

    #[test]
    fn some_responses_have_no_body_whatever_their_fields_say() {
        let sized = fields(&["5"], &[]).unwrap();
        assert_eq!(sized.of_response(200, false), Ok(BodyLength::Exact(5)));
        for (status, to_head) in [(200, true), (100, false), (103, false), (204, false), (304, false)] {
            assert_eq!(sized.of_response(status, to_head), Ok(BodyLength::None), "{status}");
        }
        let bare = FramingFields::default();
        assert_eq!(bare.of_response(200, false), Ok(BodyLength::UntilClose));
        assert_eq!(fields(&[], &["chunked"]).unwrap().of_response(200, false), Ok(BodyLength::Chunked));
        assert!(fields(&["1"], &["chunked"]).unwrap().of_response(200, false).is_err());
    }
}
