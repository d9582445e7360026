//! Row by row: a lattice contracted as a matrix product state that each row is applied to and cut.

use ndarray::{Array3, Array4};

use super::grid::{Boundary, Grid};
use crate::chain::{Mpo, Mps};
use crate::error::Result;
use crate::linalg::Truncation;
use crate::scalar::{LogScaled, Scalar};

/// What came of contracting a [`Grid`] row by row.
#[derive(Debug, Clone)]
pub struct BoundaryContraction<T: Scalar> {
    /// `Z`.
    pub z: LogScaled<T>,
    /// The weight that was cut off at each row, as a share of the squared norm.
    pub discarded: Vec<f64>,
    /// The largest bond.
    pub max_bond: usize,
}

impl<T: Scalar> BoundaryContraction<T> {
    /// An estimate of the error of `ln Z`: the sum of the discarded weights. What is cut off is orthogonal to what stays,
    /// so it counts in second order; an order of magnitude, not a bound.
    #[must_use]
    pub fn error(&self) -> f64 {
        self.discarded.iter().sum()
    }
}

impl<T: Scalar> Grid<T> {
    /// `Z` by boundary matrix product states: the upper half of the rows is applied one by one to a state along the
    /// columns, the lower half to another from below, each cut as `cut` says, and the two are contracted.
    ///
    /// ```text
    ///    o---o---o---o      state from above, bonds at most max_bond
    ///    |   |   |   |
    ///    T---T---T---T      the next row, an operator
    ///    |   |   |   |
    /// ```
    /// In a periodic horizontal direction the bond that closes the row is carried along it, which multiplies the bonds of
    /// the operator. In a periodic vertical direction the states are operators themselves, with the leg of the
    /// row where they started. A row costs `(chi D)^3`, `D` the bond of the operator. (Verstraete and Cirac,
    /// arXiv:cond-mat/0407066, 2004.)
    ///
    /// # Errors
    /// As [`Mps::compress`]; [`Error::NotFinite`](crate::Error::NotFinite) if a row of tensors, or `Z`, is zero.
    pub fn contract_boundary(&self, cut: &Truncation) -> Result<BoundaryContraction<T>> {
        cut.validate()?;
        let rows = self.rows();
        let middle = rows.div_ceil(2);
        let torus = self.vertical == Boundary::Periodic;
        let mut discarded = Vec::with_capacity(rows);
        let mut largest = 1;
        let mut stack = |order: Vec<usize>, upward: bool| -> Result<Option<Mps<T>>> {
            let mut state: Option<Mps<T>> = None;
            for y in order {
                let row = self.row(y, upward)?;
                let mut next = match &state {
                    None => first_row(&row)?,
                    Some(state) => operator(&row, state)?.apply_exact(state)?,
                };
                let report = next.compress(cut)?;
                discarded.push(report.discarded.iter().sum());
                largest = largest.max(next.max_bond());
                state = Some(next);
            }
            Ok(state)
        };
        let above = stack((0..middle).collect(), false)?;
        let below = stack((middle..rows).rev().collect(), true)?;
        let z = match (above, below) {
            (Some(above), Some(below)) => above.conj().inner(&below)?,
            (Some(only), None) => {
                // A single row: closed on itself, or with ends of dimension 1.
                let ends = |d: usize| {
                    let side = if torus { d.isqrt() } else { 1 };
                    (0..d).map(|i| if i / side == i % side { T::one() } else { T::zero() }).collect::<Vec<T>>()
                };
                let vectors: Vec<Vec<T>> = only.dims().into_iter().map(ends).collect();
                Mps::product(&vectors)?.inner(&only)?
            }
            _ => LogScaled::zero(),
        };
        Ok(BoundaryContraction { z: z * LogScaled::exp(self.ln_scale), discarded, max_bond: largest })
    }

    /// The tensors of a row `[left, out, in, right]` with ends of dimension 1; `in` is below where one goes upward.
    fn row(&self, y: usize, upward: bool) -> Result<Vec<Array4<T>>> {
        let columns = self.columns();
        let mut row = Vec::with_capacity(columns);
        let wrap = if self.horizontal == Boundary::Periodic { self.array(y, 0)?.dim().1 } else { 1 };
        for x in 0..columns {
            let t = self.array(y, x)?;
            let (u, l, d, r) = t.dim();
            let (out, input) = if upward { (u, d) } else { (d, u) };
            let element =
                |l: usize, o: usize, i: usize, r: usize| if upward { t[[o, l, i, r]] } else { t[[i, l, o, r]] };
            // The bond that closes the row goes along it: the last of the two indices on either side.
            let (first, last) = (x == 0, x + 1 == columns);
            let left = if first { 1 } else { l * wrap };
            let right = if last { 1 } else { r * wrap };
            let mut w = Array4::from_elem((left, out, input, right), T::zero());
            for o in 0..out {
                for i in 0..input {
                    for a in 0..l {
                        for b in 0..r {
                            let value = element(a, o, i, b);
                            if value == T::zero() {
                                continue;
                            }
                            for c in 0..wrap {
                                if (first && a != c) || (last && b != c) {
                                    continue;
                                }
                                let place =
                                    [if first { 0 } else { a * wrap + c }, o, i, if last { 0 } else { b * wrap + c }];
                                w[place] += value;
                            }
                        }
                    }
                }
            }
            row.push(w);
        }
        Ok(row)
    }
}

/// A row as a state, whose sites are pairs of the leg that goes on and the leg where it started (of dimension 1 at an
/// open edge).
fn first_row<T: Scalar>(row: &[Array4<T>]) -> Result<Mps<T>> {
    let tensors = row.iter().map(|w| {
        let (l, o, i, r) = w.dim();
        Array3::from_shape_fn((l, o * i, r), |(l, s, r)| w[[l, s / i, s % i, r]])
    });
    Mps::new(tensors.collect())
}

/// A row as an operator, which leaves the leg of the row where the state started alone.
fn operator<T: Scalar>(row: &[Array4<T>], state: &Mps<T>) -> Result<Mpo<T>> {
    let tensors = row.iter().zip(state.dims()).map(|(w, dim)| {
        let (l, o, i, r) = w.dim();
        let rest = dim / i.max(1);
        let mut wide = Array4::from_elem((l, o * rest, i * rest, r), T::zero());
        for ((l, o, i, r), &value) in w.indexed_iter().filter(|(_, value)| **value != T::zero()) {
            for c in 0..rest {
                wide[[l, o * rest + c, i * rest + c, r]] = value;
            }
        }
        wide
    });
    Mpo::new(tensors.collect())
}
