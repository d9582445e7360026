//! What a contraction costs, and what is to be cheap.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What a search makes small.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// The number of multiplications.
    Flops,
    /// The number of elements written: the sizes of all intermediates together.
    Write,
    /// The number of elements of the largest intermediate; among equals, the multiplications.
    Size,
    /// The elements that are alive at once, at the most, workspaces included; among equals, the multiplications.
    Peak,
    /// Multiplications plus `factor` times elements written: `factor` is how many multiplications pass while one element
    /// is moved, about 64 on many machines.
    Combined {
        /// Multiplications in the time of one element written.
        factor: f64,
    },
}

impl Objective {
    /// Refuses a factor that is no weight.
    pub(super) fn check(self) -> Result<()> {
        match self {
            Objective::Combined { factor } if !(factor >= 0.0 && factor.is_finite()) => {
                Err(Error::setting("factor", factor, "give the multiplications in the time of one element written"))
            }
            _ => Ok(()),
        }
    }

    /// `log2` of what one step costs that multiplies `2^flops` times and writes `2^size` elements.
    #[inline(always)]
    pub(super) fn step(self, flops: f64, size: f64) -> f64 {
        match self {
            Objective::Flops => flops,
            Objective::Write | Objective::Size | Objective::Peak => size,
            Objective::Combined { factor } => (flops.exp2() + factor * size.exp2()).log2(),
        }
    }

    /// What is to be small, for a sliced contraction; its sizes are bounded anyhow.
    pub(super) fn value(self, cost: &Cost) -> f64 {
        match self {
            Objective::Flops | Objective::Size | Objective::Peak => cost.log2_flops,
            Objective::Write => cost.log2_write,
            Objective::Combined { factor } => {
                let (flops, write) = (cost.log2_flops, cost.log2_write);
                flops + (1.0 + factor * (write - flops).exp2()).log2()
            }
        }
    }
}

/// The cost of a contraction; every number is a logarithm to base 2.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Multiplications, over all steps and slices. A step multiplies once for each value of all indices of its two
    /// tensors.
    pub log2_flops: f64,
    /// Elements of all intermediates, over all steps and slices.
    pub log2_write: f64,
    /// Elements of the largest result of a step, within one slice.
    pub log2_size: f64,
    /// Elements that are alive at once at the most, beside the tensors of the network: results that still wait, copies
    /// of the operands in another order, the sum over slices.
    pub log2_peak: f64,
    /// Number of slices.
    pub log2_slices: f64,
}
