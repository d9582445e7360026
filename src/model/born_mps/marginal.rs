//! Summing sites out: marginals of any sites, mutual information, entropies of bonds.
//!
//! With the centre at site 0 the left environment alone decides, `rho_k+1 = sum_s A[s]^H rho_k A[s]`, and
//! `p(v_k = s) = tr A[s]^H rho_k A[s]`.

use ndarray::{Array2, Array3, ArrayD, ArrayView2, ArrayView3, IxDyn};
use rayon::prelude::*;

use super::BornMps;
use super::evidence::reshape;
use super::sample::views;
use crate::error::{Error, Result};
use crate::linalg::{Op, matmul};
use crate::model::{Batch, Marginal};
use crate::scalar::{Real, Scalar};

/// Entries a table of marginal probabilities may have.
const TABLE_LIMIT: usize = 1 << 20;

impl<T: Scalar> Marginal for BornMps<T> {
    /// `ln p(evidence)`, nats, the free sites (`None`) being summed out; `-inf` if it is impossible.
    ///
    /// Any sites may be given. Costs `O(D^2)` a site where the given sites come first, else `O(d D^3)` up to the last.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Symbol`] if the evidence does not fit the model.
    fn log_marginal(&self, evidence: &[Option<u8>]) -> Result<f64> {
        self.check_evidence(evidence)?;
        let given: Vec<bool> = evidence.iter().map(Option::is_some).collect();
        let row: Vec<u8> = evidence.iter().map(|e| e.unwrap_or_default()).collect();
        Ok(self.ln_marginals(&Batch::from_rows(&[row])?, &given)?.first().copied().unwrap_or(f64::NAN))
    }
}

impl<T: Scalar> BornMps<T> {
    /// The joint probabilities of some sites, the others being summed out: one axis for each of `sites`, in their order.
    ///
    /// To the absolute precision of `T`; [`log_marginal`](Marginal::log_marginal) keeps the relative precision of rare
    /// events. Costs `O(sites d D^3)` times the number of symbols of all but the last of `sites`.
    ///
    /// ```
    /// use ansatz::{BornMps, Seed};
    /// let model = BornMps::<f64>::random(&[2, 3, 2, 2], 3, Seed(1))?;
    /// let pair = model.marginal(&[3, 1])?;
    /// assert_eq!(pair.shape(), [2, 3]);
    /// assert!((pair.sum() - 1.0).abs() < 1e-12);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`] for a site that is not there or stands twice, [`Error::Memory`] for a table of more than `2^20`
    /// entries.
    pub fn marginal(&self, sites: &[usize]) -> Result<ArrayD<f64>> {
        let dims = self.dims();
        let mut sorted = sites.to_vec();
        sorted.sort_unstable();
        if let Some(&site) = sorted.last().filter(|site| **site >= dims.len()) {
            return Err(Error::setting("site", site, format!("the chain has {} sites, counted from 0", dims.len())));
        }
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::setting("site", pair[0], "name every site once"));
        }
        let entries = sites.iter().fold(1usize, |n, &site| n.saturating_mul(dims[site]));
        if entries > TABLE_LIMIT {
            return Err(Error::Memory {
                what: format!("the table of marginal probabilities of {} sites", sites.len()),
                needed: (entries as u64).saturating_mul(8),
                ceiling: 8 * TABLE_LIMIT as u64,
                way_out: "name fewer sites, or ask for the log-marginals of single configurations".into(),
            });
        }
        let state = self.right_canonical()?;
        let tensors = views(state.tensors());
        let table = joint(&tensors, 0, &sorted, Array2::ones((1, 1)));
        let shape: Vec<usize> = sorted.iter().map(|&site| dims[site]).collect();
        let table = ArrayD::from_shape_vec(IxDyn(&shape), table).map_err(|e| Error::shape("the table", e, &shape))?;
        let axes: Vec<usize> = sites.iter().map(|site| sorted.partition_point(|s| s < site)).collect();
        Ok(table.permuted_axes(IxDyn(&axes)).as_standard_layout().into_owned())
    }

    /// The probabilities of the symbols of every site on its own.
    ///
    /// # Errors
    /// As [`crate::chain::Mps::move_centre`].
    pub fn site_marginals(&self) -> Result<Vec<Vec<f64>>> {
        let state = self.right_canonical()?;
        let mut rho = Array2::ones((1, 1));
        let site = |tensor: &Array3<T>| {
            let half = half(&rho.view(), &tensor.view());
            rho = close(&half, &tensor.view());
            read(&half, &tensor.view())
        };
        Ok(state.tensors().iter().map(site).collect())
    }

    /// Entanglement entropy across every bond, nats.
    ///
    /// # Errors
    /// As [`crate::chain::Mps::schmidt_values`].
    pub fn entropies(&self) -> Result<Vec<f64>> {
        self.state().clone().entropies()
    }
}

impl<T: Scalar> BornMps<T> {
    /// The mutual information of every pair of sites, nats, `[sites, sites]`; on the diagonal the entropy of each site.
    ///
    /// `I(i, j) = sum p(s, t) ln(p(s, t) / (p_i(s) p_j(t)))`, from exact pair marginals. For each site `i` the left
    /// environments with its symbol fixed are carried to the end of the chain, all but one, which the sum of all gives:
    /// `2 sites^2 (d - 1) d D^3` multiplications and additions in all, over the threads of the pool.
    ///
    /// # Errors
    /// As [`crate::chain::Mps::move_centre`].
    pub fn mutual_information(&self) -> Result<Array2<f64>> {
        let state = self.right_canonical()?;
        let tensors = views(state.tensors());
        let sites = tensors.len();
        let mut rho = vec![Array2::ones((1, 1))];
        let mut single = Vec::with_capacity(sites);
        for (site, tensor) in tensors.iter().enumerate() {
            let half = half(&rho[site].view(), tensor);
            rho.push(close(&half, tensor));
            single.push(read(&half, tensor));
        }
        let rows: Vec<Vec<f64>> = (0..sites)
            .into_par_iter()
            .with_max_len(1)
            .map(|i| {
                let diagonal = information(&single[i], |s, t| if s == t { single[i][s] } else { 0.0 }, &single[i]);
                let mut row = vec![diagonal];
                let left = half(&rho[i].view(), &tensors[i]);
                let mut fixed: Vec<Array2<T>> =
                    (1..single[i].len()).map(|s| close_one(&left, &tensors[i], s)).collect();
                for j in i + 1..sites {
                    let halves: Vec<_> = fixed.iter().map(|e| half(&e.view(), &tensors[j])).collect();
                    let pairs: Vec<Vec<f64>> = halves.iter().map(|h| read(h, &tensors[j])).collect();
                    let first = |t: usize| single[j][t] - pairs.iter().map(|p| p[t]).sum::<f64>();
                    let joint = |s: usize, t: usize| if s == 0 { first(t) } else { pairs[s - 1][t] };
                    row.push(information(&single[i], joint, &single[j]));
                    if j + 1 < sites {
                        fixed = halves.iter().map(|h| close(h, &tensors[j])).collect();
                    }
                }
                row
            })
            .collect();
        Ok(Array2::from_shape_fn((sites, sites), |(i, j)| rows[i.min(j)][i.abs_diff(j)]))
    }
}

/// `sum p ln(p / (p_i p_j))`
fn information(p_i: &[f64], joint: impl Fn(usize, usize) -> f64, p_j: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (s, &a) in p_i.iter().enumerate() {
        for (t, &b) in p_j.iter().enumerate() {
            let p = joint(s, t);
            // Rounding may leave a vanishing probability below zero.
            if p > 0.0 && a > 0.0 && b > 0.0 {
                sum += p * (p / (a * b)).ln();
            }
        }
    }
    sum.max(0.0)
}

/// Probabilities of the configurations of `wanted`, sorted, from `site` on, the last running fastest.
fn joint<T: Scalar>(tensors: &[ArrayView3<T>], mut site: usize, wanted: &[usize], mut rho: Array2<T>) -> Vec<f64> {
    let Some((&next, rest)) = wanted.split_first() else {
        return vec![rho.diag().iter().map(|x| Real::to_f64(x.re())).sum::<f64>().max(0.0)];
    };
    while site < next {
        rho = close(&half(&rho.view(), &tensors[site]), &tensors[site]);
        site += 1;
    }
    let left = half(&rho.view(), &tensors[site]);
    if rest.is_empty() {
        return read(&left, &tensors[site]).into_iter().map(|p| p.max(0.0)).collect();
    }
    let symbols = 0..tensors[site].dim().1;
    let branch = |symbol| joint(tensors, site + 1, rest, close_one(&left, &tensors[site], symbol));
    symbols.into_par_iter().map(branch).collect::<Vec<_>>().concat()
}

/// `rho A`, `[(left, symbol), right]`.
fn half<T: Scalar>(rho: &ArrayView2<T>, tensor: &ArrayView3<T>) -> Array2<T> {
    let (l, d, r) = tensor.dim();
    let product = matmul(rho, Op::None, &reshape(tensor, (l, d * r)), Op::None);
    product.into_shape_with_order((l * d, r)).unwrap_or_else(|_| unreachable!("products are in standard layout"))
}

/// `sum_s A[s]^H rho A[s]` from `rho A`.
fn close<T: Scalar>(half: &Array2<T>, tensor: &ArrayView3<T>) -> Array2<T> {
    let (l, d, r) = tensor.dim();
    matmul(&reshape(tensor, (l * d, r)), Op::Adjoint, &half.view(), Op::None)
}

/// `A[s]^H rho A[s]` from `rho A`.
fn close_one<T: Scalar>(half: &Array2<T>, tensor: &ArrayView3<T>, symbol: usize) -> Array2<T> {
    let d = tensor.dim().1;
    let rows = ndarray::s![symbol..; d, ..];
    matmul(&tensor.slice(ndarray::s![.., symbol, ..]), Op::Adjoint, &half.slice(rows), Op::None)
}

/// `tr A[s]^H rho A[s]` for every `s`, from `rho A`.
fn read<T: Scalar>(half: &Array2<T>, tensor: &ArrayView3<T>) -> Vec<f64> {
    let (_, d, r) = tensor.dim();
    let mut p = vec![0.0; d];
    let (a, b) = (tensor.as_slice().unwrap_or_default(), half.as_slice().unwrap_or_default());
    for (row, (x, y)) in a.chunks_exact(r).zip(b.chunks_exact(r)).enumerate() {
        p[row % d] += Real::to_f64(x.iter().zip(y).map(|(&x, &y)| (x.conj() * y).re()).sum::<T::Real>());
    }
    p
}
