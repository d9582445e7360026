//! Singular values of a matrix block by block.
//!
//! A symmetry of a model shows as zeros: rows and columns fall into groups that no element joins. Sums of products keep
//! exact zeros exact, and vectors of one group are zero on the others, so the groups are found again after any number of
//! steps without anything being known of the symmetry.

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use crate::error::Result;
use crate::linalg::{Svd, Truncation, svd};
use crate::scalar::{Real, Scalar};
use crate::tensor::{Leg, Role, Tensor};

// Names that no user writes.
const ROW: &str = "\u{5}row";
const COL: &str = "\u{5}col";

/// Which values of a spectrum count: the values themselves, or, of a Gram matrix, their roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spectrum {
    Values,
    Roots,
}

/// `U diag(s) V^H` between the legs `left` and the others.
pub(super) struct BlockSvd<T: Scalar> {
    pub(super) u: Tensor<T>,
    pub(super) s: Vec<T::Real>,
    pub(super) vt: Tensor<T>,
    pub(super) discarded_weight: f64,
}

pub(super) fn block_svd<T: Scalar>(
    a: &Tensor<T>,
    left: &[&str],
    bond: &str,
    cut: &Truncation,
    spectrum: Spectrum,
) -> Result<BlockSvd<T>> {
    let left_legs = left.iter().map(|name| a.leg(name).cloned()).collect::<Result<Vec<Leg>>>()?;
    let right_legs: Vec<Leg> = a.legs().iter().filter(|leg| !left.contains(&leg.name())).cloned().collect();
    let fused = a.fuse(&left_legs, ROW, Role::Bond)?.fuse(&right_legs, COL, Role::Bond)?;
    let (m, n) = (fused.dim(ROW)?, fused.dim(COL)?);
    let matrix = fused.into_array(&[ROW, COL])?.into_dimensionality::<ndarray::Ix2>();
    let matrix = matrix.map_err(|_| crate::Error::shape("a fused matrix", (m, n), "two axes"))?;
    let blocks = blocks(&matrix.view());
    let factors = if blocks.len() <= 1 {
        vec![svd(&matrix.view())?]
    } else {
        let part = |(rows, cols): &(Vec<usize>, Vec<usize>)| {
            svd(&Array2::from_shape_fn((rows.len(), cols.len()), |(i, j)| matrix[[rows[i], cols[j]]]).view())
        };
        blocks.par_iter().map(part).collect::<Result<Vec<Svd<T>>>>()?
    };
    // All values, largest first; of equal ones those of the first block come first.
    let mut order: Vec<(usize, usize)> =
        factors.iter().enumerate().flat_map(|(b, f)| (0..f.s.len()).map(move |k| (b, k))).collect();
    let value = |&(b, k): &(usize, usize)| Real::to_f64(factors[b].s[k]);
    order.sort_by(|x, y| value(y).total_cmp(&value(x)));
    let size = |x: f64| if spectrum == Spectrum::Roots { x.max(0.0).sqrt() } else { x };
    let sorted: Vec<f64> = order.iter().map(|place| size(value(place))).collect();
    let chosen = cut.apply(&sorted)?;
    order.truncate(chosen.kept);
    let mut u = Array2::from_elem((m, order.len()), T::zero());
    let mut vt = Array2::from_elem((order.len(), n), T::zero());
    for (new, &(b, k)) in order.iter().enumerate() {
        let f = &factors[b];
        match blocks.get(b).filter(|_| blocks.len() > 1) {
            Some((rows, cols)) => {
                rows.iter().enumerate().for_each(|(i, &row)| u[[row, new]] = f.u[[i, k]]);
                cols.iter().enumerate().for_each(|(j, &col)| vt[[new, col]] = f.vt[[k, j]]);
            }
            None => {
                u.column_mut(new).assign(&f.u.column(k));
                vt.row_mut(new).assign(&f.vt.row(k));
            }
        }
    }
    let s = order.iter().map(|&(b, k)| factors[b].s[k]).collect();
    let kept = Leg::bond(bond, order.len());
    let u = Tensor::from_array([Leg::bond(ROW, m), kept.clone()], u)?.split(ROW, &left_legs)?;
    let vt = Tensor::from_array([kept, Leg::bond(COL, n)], vt)?.split(COL, &right_legs)?;
    Ok(BlockSvd { u, s, vt, discarded_weight: chosen.discarded_weight })
}

/// Rows and columns that elements other than zero join, in order of their first rows; rows of zeros are in none.
fn blocks<T: Scalar>(a: &ArrayView2<T>) -> Vec<(Vec<usize>, Vec<usize>)> {
    let (m, n) = a.dim();
    let mut parent: Vec<usize> = (0..m + n).collect();
    fn root(parent: &mut [usize], mut x: usize) -> usize {
        while parent[x] != x {
            parent[x] = parent[parent[x]];
            x = parent[x];
        }
        x
    }
    for (i, row) in a.outer_iter().enumerate() {
        let mut one = root(&mut parent, i);
        for (j, &x) in row.iter().enumerate() {
            if x != T::zero() {
                let other = root(&mut parent, m + j);
                if other != one {
                    // The smaller number leads, so that a row does.
                    let (low, high) = (one.min(other), one.max(other));
                    parent[high] = low;
                    one = low;
                }
            }
        }
    }
    let mut place = vec![usize::MAX; m + n];
    let mut found: Vec<(Vec<usize>, Vec<usize>)> = Vec::new();
    for x in 0..m + n {
        let lead = root(&mut parent, x);
        if place[lead] == usize::MAX {
            place[lead] = found.len();
            found.push((Vec::new(), Vec::new()));
        }
        let block = &mut found[place[lead]];
        if x < m { block.0.push(x) } else { block.1.push(x - m) }
    }
    found.retain(|(rows, cols)| !rows.is_empty() && !cols.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::contract;

    #[test]
    fn blocks_hidden_by_a_permutation_are_found_and_factorised() {
        let value = |i: usize, j: usize| {
            if (i * 5 + j * 3).is_multiple_of(3) && i != 4 { 1.0 / (1.0 + i as f64 + 2.0 * j as f64) } else { 0.0 }
        };
        let a = Tensor::from_array(
            [Leg::bond("i", 7), Leg::bond("j", 6)],
            Array2::from_shape_fn((7, 6), |(i, j)| value(i, j)),
        );
        let a = a.unwrap();
        let f = block_svd(&a, &["i"], "k", &Truncation::none(), Spectrum::Values).unwrap();
        let scaled = f.u.scale_along("k", &f.s).unwrap();
        assert!(contract(&scaled, &f.vt).unwrap().sub(&a).unwrap().norm().value() < 1e-14);
        let all = a.svd(&["i"], "k", &Truncation::none().max_bond(2)).unwrap();
        let two = block_svd(&a, &["i"], "k", &Truncation::none().max_bond(2), Spectrum::Values).unwrap();
        assert!((two.discarded_weight - all.discarded_weight).abs() < 1e-14);
        assert!(two.s.iter().zip(&all.s).all(|(x, y)| (x - y).abs() < 1e-14));
    }
}
