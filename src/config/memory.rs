//! Amounts of memory.
//!
//! Here: [`Memory`], as it is written in flags and files. Not here: what it bounds (`proxy/batching/room.rs`). Floor 5.

use super::values::{Form, Value};

/// An amount of memory, from 1 MiB to 1 TiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory(pub usize);

impl Memory {
    const UNITS: [(&str, usize); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    const LEAST: usize = 1 << 20;
    const MOST: usize = 1 << 40;
}

impl Value for Memory {
    const EXPECTED: &'static str = "an amount such as \"64MiB\"";
    const FORM: Form = Form::Quantity;

    fn parse(text: &str) -> Result<Self, String> {
        let unit = Memory::UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
        let (number, bytes) = unit.unwrap_or((text, 1));
        let number = Some(number).filter(|number| number.bytes().all(|b| b.is_ascii_digit()));
        let amount = number.and_then(|number| number.parse::<usize>().ok()?.checked_mul(bytes));
        match amount {
            Some(amount @ Memory::LEAST..=Memory::MOST) => Ok(Memory(amount)),
            _ => Err(format!("`{text}` is no amount of memory from 1MiB to 1024GiB, such as 64MiB")),
        }
    }

    fn show(&self) -> String {
        let unit = Memory::UNITS.iter().find(|(_, bytes)| self.0.is_multiple_of(*bytes));
        unit.map_or(self.0.to_string(), |(unit, bytes)| format!("{}{unit}", self.0 / bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_written_in_the_largest_unit_that_fits() {
        for (text, bytes) in
            [("1025KiB", 1025 << 10), ("64MiB", 64 << 20), ("3GiB", 3 << 30), ("10000001", 10_000_001)]
        {
            assert_eq!(
                Memory::parse(text).map(|memory| (memory.0, memory.show())),
                Ok((bytes, text.to_owned()))
            );
        }
        for text in ["1023KiB", "1025GiB", "+64MiB", "MiB", "1.5GiB", "99999999999999GiB", ""] {
            assert!(Memory::parse(text).unwrap_err().contains("no amount of memory"), "{text}");
        }
    }
}
