//! What the model says of single sites and pairs, all others summed out.

use ndarray::{Array2, s};
use rayon::prelude::*;

use super::BornMps;
use crate::error::{Error, Result};
use crate::linalg::{Op, matmul};
use crate::model::{GenerativeModel, Marginal};
use crate::scalar::{Real, Scalar};

/// Entries a table of marginals may have.
const ENTRIES: usize = 1 << 16;

impl<T: Scalar> BornMps<T> {
    /// The joint distribution of some sites, `[configurations]`, the last of `sites` running fastest.
    ///
    /// # Errors
    /// [`Error::Setting`] if a site is named twice or does not exist, [`Error::Memory`] beyond 2^16 configurations.
    pub fn marginal(&self, sites: &[usize]) -> Result<Vec<f64>> {
        let dims = self.dims();
        if let Some(&bad) =
            sites.iter().enumerate().find(|(i, s)| **s >= dims.len() || sites[..*i].contains(s)).map(|(_, s)| s)
        {
            return Err(Error::setting("site", bad, format!("give sites below {}, each once", dims.len())));
        }
        let count = sites.iter().try_fold(1usize, |p, &s| p.checked_mul(dims[s])).unwrap_or(usize::MAX);
        if count > ENTRIES {
            return Err(Error::Memory {
                what: format!("the joint distribution of {} sites", sites.len()),
                needed: count as u64 * 8,
                ceiling: ENTRIES as u64 * 8,
                way_out: "name fewer sites".into(),
            });
        }
        (0..count)
            .into_par_iter()
            .map(|mut index| {
                let mut evidence = vec![None; dims.len()];
                for &site in sites.iter().rev() {
                    evidence[site] = Some((index % dims[site]) as u8);
                    index /= dims[site];
                }
                Ok(self.log_marginal(&evidence)?.exp())
            })
            .collect()
    }

    /// The distribution of every single site: `[site][symbol]`.
    ///
    /// # Errors
    /// If a tensor is not finite.
    pub fn site_marginals(&self) -> Result<Vec<Vec<f64>>> {
        let state = self.right_canonical()?;
        let mut left = Array2::<T>::ones((1, 1));
        let mut marginals = Vec::with_capacity(self.sites());
        for tensor in state.tensors() {
            let (_, d, r) = tensor.dim();
            let mut next = Array2::zeros((r, r));
            let mut weights = Vec::with_capacity(d);
            for symbol in 0..d {
                let moved = project(&left, tensor, symbol);
                weights.push(trace(&moved));
                next += &moved;
            }
            marginals.push(normalised(weights));
            left = next;
        }
        Ok(marginals)
    }

    /// Mutual information of every pair of sites, nats, `[sites, sites]`; the entropies of the sites on the diagonal.
    ///
    /// `I(i, j) = sum p(v_i, v_j) ln [p(v_i, v_j) / p(v_i) p(v_j)]`. For each `i` the environments of its symbols are
    /// carried once to the right end: `O(N^2 d^2 D^3)` in all, the rows in parallel.
    ///
    /// # Errors
    /// If a tensor is not finite.
    pub fn mutual_information(&self) -> Result<Array2<f64>> {
        let state = self.right_canonical()?;
        let tensors = state.tensors();
        let sites = tensors.len();
        let singles = self.site_marginals()?;
        let mut left = Array2::<T>::ones((1, 1));
        let mut lefts = Vec::with_capacity(sites);
        for tensor in tensors {
            let next = (0..tensor.dim().1).map(|symbol| project(&left, tensor, symbol)).reduce(|a, b| a + b);
            lefts.push(std::mem::replace(&mut left, next.unwrap_or_else(|| Array2::zeros((1, 1)))));
        }
        let rows: Vec<Vec<f64>> = (0..sites)
            .into_par_iter()
            .map(|i| {
                let mut row = vec![0.0; sites];
                row[i] = singles[i].iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
                let mut given: Vec<Array2<T>> =
                    (0..tensors[i].dim().1).map(|a| project(&lefts[i], &tensors[i], a)).collect();
                for j in i + 1..sites {
                    let d = tensors[j].dim().1;
                    let moved: Vec<Vec<Array2<T>>> =
                        given.iter().map(|g| (0..d).map(|b| project(g, &tensors[j], b)).collect()).collect();
                    let joint = normalised(moved.iter().flatten().map(trace).collect());
                    row[j] = joint
                        .iter()
                        .enumerate()
                        .filter(|(_, p)| **p > 0.0)
                        .map(|(k, p)| p * (p / (singles[i][k / d] * singles[j][k % d])).ln())
                        .sum::<f64>()
                        .max(0.0);
                    given = moved
                        .into_iter()
                        .map(|blocks| blocks.into_iter().reduce(|a, b| a + b).unwrap_or_else(|| Array2::zeros((1, 1))))
                        .collect();
                }
                row
            })
            .collect();
        let mut matrix = Array2::zeros((sites, sites));
        for (i, row) in rows.into_iter().enumerate() {
            for (j, value) in row.into_iter().enumerate().skip(i) {
                matrix[[i, j]] = value;
                matrix[[j, i]] = value;
            }
        }
        Ok(matrix)
    }
}

/// `A[symbol]^T L conj(A[symbol])`: the environment `L [bond, conj bond]` one site further to the right.
fn project<T: Scalar>(left: &Array2<T>, tensor: &ndarray::Array3<T>, symbol: usize) -> Array2<T> {
    let a = tensor.slice(s![.., symbol, ..]);
    let half = matmul(&a, Op::Transpose, &left.view(), Op::None);
    matmul(&half.view(), Op::None, &a, Op::Conj)
}

fn trace<T: Scalar>(m: &Array2<T>) -> f64 {
    m.diag().iter().map(|x| Real::to_f64(x.re())).sum::<f64>().max(0.0)
}

fn normalised(weights: Vec<f64>) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|w| w / total).collect()
}
