//! Values out of a file.
//!
//! Here: serde's side of [`Value`]: which TOML types a value takes. Not here: the values themselves
//! (`config/values.rs`), the file (`config/file.rs`). Floor 5.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Unexpected, Visitor};

use super::values::{Form, Value};

/// Reads a setting of a file, for serde.
pub(super) fn one<'de, D: Deserializer<'de>, T: Value>(from: D) -> Result<Option<T>, D::Error> {
    Parsed::deserialize(from).map(|Parsed(value)| Some(value))
}

/// Reads a setting that must be there.
pub(super) fn must<'de, D: Deserializer<'de>, T: Value>(from: D) -> Result<T, D::Error> {
    Parsed::deserialize(from).map(|Parsed(value)| value)
}

/// Reads a list of a file, or a string with commas, for serde.
pub(super) fn list<'de, D: Deserializer<'de>, T: Value>(from: D) -> Result<Option<Vec<T>>, D::Error> {
    from.deserialize_any(ListVisitor(PhantomData)).map(Some)
}

/// Reads a string of a file, or a list of them, whose own text may hold commas.
pub(super) fn texts<'de, D: Deserializer<'de>, T: Value>(from: D) -> Result<Option<Vec<T>>, D::Error> {
    from.deserialize_any(TextsVisitor(PhantomData)).map(Some)
}

struct TextsVisitor<T>(PhantomData<T>);

impl<'de, T: Value> Visitor<'de> for TextsVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, or a list of them", T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<T>, E> {
        T::parse(text).map(|one| vec![one]).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Vec<T>, A::Error> {
        ListVisitor(PhantomData).visit_seq(list)
    }
}

struct Parsed<T>(T);

impl<'de, T: Value> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ValueVisitor(PhantomData)).map(Parsed)
    }
}

struct ValueVisitor<T>(PhantomData<T>);

impl<T: Value> ValueVisitor<T> {
    fn number<E: Error>(&self, shown: &str, kind: Unexpected<'_>) -> Result<T, E> {
        match T::FORM {
            Form::Number | Form::Quantity => T::parse(shown).map_err(E::custom),
            Form::Text | Form::Switch => Err(E::invalid_type(kind, self)),
        }
    }
}

impl<T: Value> Visitor<'_> for ValueVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        match T::FORM {
            Form::Number => Err(E::invalid_type(Unexpected::Str(text), &self)),
            Form::Text | Form::Quantity | Form::Switch => T::parse(text).map_err(E::custom),
        }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        self.number(&number.to_string(), Unexpected::Signed(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.number(&number.to_string(), Unexpected::Unsigned(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        self.number(&number.to_string(), Unexpected::Float(number))
    }

    fn visit_bool<E: Error>(self, on: bool) -> Result<T, E> {
        match T::FORM {
            Form::Switch => T::parse(if on { "on" } else { "off" }).map_err(E::custom),
            Form::Text | Form::Number | Form::Quantity => Err(E::invalid_type(Unexpected::Bool(on), &self)),
        }
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Value> Visitor<'de> for ListVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, or a list of them", T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<T>, E> {
        text.split(',').map(|one| T::parse(one).map_err(E::custom)).collect()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut values = Vec::new();
        while let Some(Parsed(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(values)
    }
}
