//! Options that are more than a number or a name.

use std::str::FromStr;

use crate::network::{Gauge, Objective};

/// A number of bytes, with or without a unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bytes(pub(super) u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("'{text}' is no amount of memory: give bytes, or a number with kB, MB, GB, KiB, MiB, GiB");
        let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let value: f64 = digits.trim().parse().map_err(|_| wrong())?;
        let unit = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "k" | "kb" => 1e3,
            "m" | "mb" => 1e6,
            "g" | "gb" => 1e9,
            "t" | "tb" => 1e12,
            "kib" => 1024.0,
            "mib" => 1024.0 * 1024.0,
            "gib" => 1024.0 * 1024.0 * 1024.0,
            "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
            _ => return Err(wrong()),
        };
        let bytes = value * unit;
        if bytes >= 1.0 && bytes < u64::MAX as f64 { Ok(Bytes(bytes as u64)) } else { Err(wrong()) }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Minimise(pub(super) Objective);

impl FromStr for Minimise {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let factor = text.strip_prefix("combined").map(|rest| match rest.strip_prefix(':') {
            Some(number) => number.parse().ok(),
            None => rest.is_empty().then_some(64.0),
        });
        match (text, factor) {
            ("flops", _) => Ok(Minimise(Objective::Flops)),
            ("write", _) => Ok(Minimise(Objective::Write)),
            ("size", _) => Ok(Minimise(Objective::Size)),
            ("peak", _) => Ok(Minimise(Objective::Peak)),
            (_, Some(Some(factor))) => Ok(Minimise(Objective::Combined { factor })),
            _ => Err(format!("'{text}' is none of flops, write, size, peak, combined, combined:FACTOR")),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct GaugeName(pub(super) Gauge);

impl FromStr for GaugeName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let depth = text.strip_prefix("tree").map(|rest| match rest.strip_prefix(':') {
            Some(number) => number.parse().ok(),
            None => rest.is_empty().then_some(2),
        });
        match (text, depth) {
            ("none", _) => Ok(GaugeName(Gauge::None)),
            ("bp", _) => Ok(GaugeName(Gauge::Messages { rounds: 2 })),
            (_, Some(Some(depth))) => Ok(GaugeName(Gauge::Tree { depth })),
            _ => Err(format!("'{text}' is none of none, tree, tree:DEPTH, bp")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_memory_are_read_with_and_without_units() {
        for (text, bytes) in
            [("4GiB", 4 << 30), ("500MB", 500_000_000), ("1.5 kib", 1536), ("77", 77), ("1e6", 1_000_000)]
        {
            let read: Result<Bytes, String> = text.parse();
            // `1e6` would be read as a unit of its own, and is refused.
            assert_eq!(read.ok(), (text != "1e6").then_some(Bytes(bytes)), "{text}");
        }
        for text in ["", "GiB", "4 apples", "-1", "0", "nan", "1e30GiB", "99999999999TiB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }
}
