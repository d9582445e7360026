//! Options that are more than a number or a name.

use std::str::FromStr;

use crate::network::{Gauge, Objective};

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
