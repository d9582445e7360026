//! Planar lattices contracted from two sides.

use super::plan::CompressedPlan;
use super::run::Approximate;
use super::settings::Compressed;
use crate::error::{Error, Result};
use crate::network::{ContractionTree, Equation, Network};
use crate::scalar::Scalar;

impl CompressedPlan {
    /// Boundary contraction of a rectangle: `rows` has the numbers of the tensors, row by row. The first row absorbs the
    /// second, site by site, then the third, and the last row those above it, until both meet in the middle; what is left
    /// then is a ladder, which is contracted from one end to the other.
    ///
    /// # Errors
    /// [`Error::Shape`] unless all rows have the same length, [`Error::Setting`] unless every tensor is there once.
    pub fn boundary(equation: &Equation, rows: &[Vec<usize>], max_bond: usize) -> Result<Self> {
        let width = rows.first().map_or(0, Vec::len);
        let mut seen = vec![false; equation.tensors()];
        for row in rows {
            if row.len() != width {
                return Err(Error::shape("a row of a lattice", row.len(), width));
            }
            for &number in row {
                match seen.get_mut(number) {
                    Some(new) if !*new => *new = true,
                    _ => return Err(Error::setting("tensor of a lattice", number, "name every tensor once")),
                }
            }
        }
        if let Some(number) = seen.iter().position(|seen| !seen) {
            return Err(Error::setting("rows of a lattice", format!("without tensor {number}"), "name every tensor"));
        }
        let mut pairs = Vec::with_capacity(equation.tensors());
        let mut next = equation.tensors();
        let mut join = |a: &mut usize, b: usize| {
            pairs.push((*a, b));
            *a = next;
            next += 1;
        };
        let (mut low, mut high) = (0, rows.len().saturating_sub(1));
        let mut top = rows.first().cloned().unwrap_or_default();
        let mut bottom = if high > 0 { rows.last().cloned().unwrap_or_default() } else { Vec::new() };
        let mut from_top = true;
        while high > low + 1 {
            let (edge, row) = if from_top {
                low += 1;
                (&mut top, &rows[low])
            } else {
                high -= 1;
                (&mut bottom, &rows[high])
            };
            for (site, &number) in edge.iter_mut().zip(row) {
                join(site, number);
            }
            from_top = !from_top;
        }
        let mut ladder = top.iter().enumerate().flat_map(|(c, &a)| std::iter::once(a).chain(bottom.get(c).copied()));
        if let Some(mut whole) = ladder.next() {
            for number in ladder {
                join(&mut whole, number);
            }
        }
        Self::new(equation, &ContractionTree::new(equation.tensors(), pairs)?, max_bond)
    }
}

impl<T: Scalar> Network<T> {
    /// Boundary contraction of a planar lattice: `rows` has the numbers of its tensors, row by row.
    ///
    /// The rows from above and from below are kept as chains with bonds that are truncated as the settings say, until
    /// they meet ([`CompressedPlan::boundary`]). Dimensions may differ from bond to bond, and legs may be open; a tensor
    /// may also have bonds to others than its neighbours, at a price.
    ///
    /// # Errors
    /// As [`CompressedPlan::boundary`] and [`contract_compressed`](Self::contract_compressed).
    pub fn contract_boundary(&self, rows: &[Vec<usize>], settings: &Compressed) -> Result<Approximate<T>> {
        let limit = settings.truncation().bond_limit().unwrap_or(usize::MAX);
        let plan = CompressedPlan::boundary(&self.equation()?, rows, limit)?;
        self.contract_compressed(&plan, settings)
    }
}
