//! Compression, with the loss of the whole chain stated and, where asked, kept below a budget.

use super::canonical::rescale;
use super::mps::{left_matrix, matrix, right_matrix, site_tensor};
use super::overlap::tame;
use super::small::{multiply, multiply_adjoint};
use super::{Mps, Toward};
use crate::error::{Error, Place, Result};
use crate::linalg::{Op, TruncatedSvd, Truncation, matmul, truncated_svd};
use crate::scalar::{Real, Scalar};

/// What a compression lost.
#[derive(Debug, Clone, PartialEq)]
pub struct Compression {
    /// `|dropped|^2 / |psi|^2` at each bond, in order of the chain; their sum is the whole loss.
    pub discarded: Vec<f64>,
    /// A bound on `|psi - phi| / |psi|` for the state `psi` before and `phi` after, rounding included.
    pub bound: f64,
}

impl Compression {
    /// `rounding` is the relative error that rounding alone may cause.
    pub(super) fn new(discarded: Vec<f64>, rounding: f64) -> Self {
        let bound = discarded.iter().sum::<f64>().sqrt() + rounding;
        Compression { discarded, bound }
    }

    /// `|psi - phi| / |psi|` but for rounding.
    #[must_use]
    pub fn error(&self) -> f64 {
        self.discarded.iter().sum::<f64>().sqrt()
    }

    /// `|<psi|phi>|^2 / (<psi|psi> <phi|phi>)` but for rounding.
    #[must_use]
    pub fn fidelity(&self) -> f64 {
        (1.0 - self.discarded.iter().sum::<f64>()).max(0.0)
    }
}

/// Relative error by rounding of factorisations in a row, each amplified by its condition.
pub(super) fn rounding<T: Scalar>(conditions: impl IntoIterator<Item = f64>) -> f64 {
    // A factorisation errs by a few units in the last place; errors of different steps add like independent ones.
    let unit = 16.0 * <T::Real as num_traits::Float>::epsilon().to_f64();
    unit * conditions.into_iter().map(|c| c * c).sum::<f64>().sqrt()
}

impl<T: Scalar> Mps<T> {
    /// Cuts every bond as `truncation` says, in canonical form, so that each cut is the best one at its bond.
    ///
    /// The gauge is moved to one end by QR and the bonds are cut on the way back. What is dropped at one bond is
    /// orthogonal to what is dropped at the others, so the weights add up to the loss of the whole chain exactly. The
    /// norm is not restored: the state that is left is the projection.
    ///
    /// # Errors
    /// [`Error::Setting`] for impossible settings, [`Error::NotFinite`] if the state is zero.
    pub fn compress(&mut self, truncation: &Truncation) -> Result<Compression> {
        truncation.validate()?;
        let (toward, rounding) = self.prepare()?;
        let discarded = self.cut(toward, |_, _| *truncation)?;
        Ok(Compression::new(discarded, rounding))
    }

    /// The smallest bonds, found greedily, with `|psi - phi| / |psi|` of the whole chain at most `budget`.
    ///
    /// Every bond may spend its share of what the bonds before it have left over. The rounding of the factorisations,
    /// counted into the bound, comes out of the budget; a budget below it drops nothing, and the bound then states the
    /// rounding.
    ///
    /// # Errors
    /// [`Error::Setting`] for a budget that is not in `[0, 1)`, for `max_bond` 0, and if the budget cannot be kept with
    /// bonds up to `max_bond`; the state then stays as it was. [`Error::NotFinite`] if the state is zero.
    pub fn compress_to(&mut self, budget: f64, max_bond: Option<usize>) -> Result<Compression> {
        if !(0.0..1.0).contains(&budget) {
            return Err(Error::setting("budget", budget, "give a relative error in [0, 1)"));
        }
        let limit = max_bond.map_or(Truncation::none(), |d| Truncation::none().max_bond(d));
        limit.validate()?;
        let mut work = self.clone();
        let (toward, rounding) = work.prepare()?;
        let weight = (budget - rounding).max(0.0).powi(2) * (1.0 - 1e-12);
        let attempt = |free: f64| {
            let mut trial = work.clone();
            let discarded = trial.cut(toward, |spent, bonds_left| {
                let share = free * (weight - spent).max(0.0) / bonds_left as f64;
                limit.budget((share / (1.0 - spent).max(f64::MIN_POSITIVE)).min(1.0))
            })?;
            let kept = discarded.iter().sum::<f64>() <= weight;
            Ok((trial, Compression::new(discarded, rounding), kept))
        };
        // First dropping freely; and if what max_bond drops came on top of that, then only what max_bond asks.
        let (mut trial, mut report, mut kept) = attempt(1.0)?;
        if !kept {
            (trial, report, kept) = attempt(0.0)?;
        }
        if !kept {
            let way_out = format!("the error is {:.3e} with it, above the budget {budget:e}", report.bound);
            return Err(Error::setting("max_bond", max_bond.unwrap_or_default(), way_out));
        }
        *self = trial;
        Ok(report)
    }

    /// Moves the centre to the nearer end; says where the cuts go from there, and the rounding of moving and cutting.
    fn prepare(&mut self) -> Result<(Toward, f64)> {
        let last = self.sites() - 1;
        let to_left_end = self.right - 1 < last - self.left;
        let mut conditions = if to_left_end {
            let prefix = self.prefix_norms();
            self.walk(Toward::Left, |site| prefix[site])?
        } else {
            let suffix = self.suffix_norms();
            self.walk(Toward::Right, |site| suffix[site])?
        };
        let norm = self.norm();
        if norm.is_zero() || !norm.ln_abs().is_finite() {
            return Err(Error::NotFinite { what: "compression of a state whose norm is zero or not finite".into() });
        }
        conditions.iter_mut().for_each(|ln| *ln = (*ln - norm.ln_abs()).exp().max(1.0));
        conditions.extend(vec![1.0; self.sites()]);
        Ok((if to_left_end { Toward::Right } else { Toward::Left }, rounding::<T>(conditions)))
    }

    /// Moves the centre to the end `toward`, one site at a time; for each step `ln` of the norm of what was
    /// factorised times the norm of the rest of the chain, `rest(site)`, on which its rounding acts.
    fn walk(&mut self, toward: Toward, rest: impl Fn(usize) -> f64) -> Result<Vec<f64>> {
        let mut conditions = Vec::new();
        match toward {
            Toward::Right => {
                while self.left < self.sites() - 1 {
                    self.move_left_edge()?;
                    conditions.push(self.factor.ln_abs() + rest(self.left));
                }
            }
            Toward::Left => {
                while self.right > 1 {
                    self.move_right_edge()?;
                    conditions.push(self.factor.ln_abs() + rest(self.right - 1));
                }
            }
        }
        Ok(conditions)
    }

    /// `ln` of the Frobenius norm of the sites from `site` on, as a map from their left bond; what is right-canonical
    /// counts as norm one, because it amplifies nothing.
    fn suffix_norms(&self) -> Vec<f64> {
        let reversed = |site: usize| self.tensors[site].view().reversed_axes().as_standard_layout().into_owned();
        let mut norms = vec![0.0; self.sites() + 1];
        let chain: Vec<_> = (self.left..self.right).rev().map(|site| (site, reversed(site))).collect();
        partial_norms(&chain, &mut norms);
        norms
    }

    /// The same for the sites up to `site`, as a map to their right bond.
    fn prefix_norms(&self) -> Vec<f64> {
        let mut norms = vec![0.0; self.sites() + 1];
        let chain: Vec<_> = (self.left..self.right).map(|site| (site, self.tensors[site].clone())).collect();
        partial_norms(&chain, &mut norms);
        norms
    }

    /// Truncated SVDs from one end to the other; `rule` is asked with the share spent so far and the bonds left.
    fn cut(&mut self, toward: Toward, rule: impl Fn(f64, usize) -> Truncation) -> Result<Vec<f64>> {
        let bonds = self.sites() - 1;
        let mut discarded = vec![0.0; bonds];
        let mut spent = 0.0;
        for done in 0..bonds {
            let bond = if toward == Toward::Right { done } else { bonds - 1 - done };
            let share = self.cut_bond(bond, toward, &rule(spent, bonds - done)).map_err(|e| e.at(Place::Bond(bond)))?;
            discarded[bond] = share * (1.0 - spent).max(0.0);
            spent += discarded[bond];
        }
        Ok(discarded)
    }

    /// Cuts a bond at whose near side the centre stands, and moves the centre across it; the share that was dropped.
    pub(super) fn cut_bond(&mut self, bond: usize, toward: Toward, truncation: &Truncation) -> Result<f64> {
        let (site, next) = if toward == Toward::Right { (bond, bond + 1) } else { (bond + 1, bond) };
        let (l, d, r) = self.tensors[site].dim();
        let (ln, dn, rn) = self.tensors[next].dim();
        let a = &self.tensors[site];
        let lost;
        let mut carried = if toward == Toward::Right {
            let TruncatedSvd { u, s, mut vt, discarded_weight } = truncated_svd(&left_matrix(a), truncation)?;
            vt.rows_mut().into_iter().zip(&s).for_each(|(mut v, &s)| v.mapv_inplace(|x| x.scale(s)));
            lost = discarded_weight;
            self.tensors[site] = site_tensor(u, (l, d, s.len()));
            let product = matmul(&vt.view(), Op::None, &right_matrix(&self.tensors[next]), Op::None);
            site_tensor(product, (s.len(), dn, rn))
        } else {
            let TruncatedSvd { mut u, s, vt, discarded_weight } = truncated_svd(&right_matrix(a), truncation)?;
            u.columns_mut().into_iter().zip(&s).for_each(|(mut v, &s)| v.mapv_inplace(|x| x.scale(s)));
            lost = discarded_weight;
            self.tensors[site] = site_tensor(vt, (s.len(), d, r));
            let product = matmul(&left_matrix(&self.tensors[next]), Op::None, &u.view(), Op::None);
            site_tensor(product, (ln, dn, s.len()))
        };
        self.factor = self.factor * rescale(&mut carried);
        self.tensors[next] = carried;
        (self.left, self.right) = (next, next + 1);
        Ok(lost)
    }
}

/// For tensors `[near, site, far]` in a row, `ln` of the Frobenius norm of all up to each one.
fn partial_norms<T: Scalar>(chain: &[(usize, ndarray::Array3<T>)], norms: &mut [f64]) {
    let near = chain.first().map_or(1, |(_, a)| a.dim().0);
    let mut gram = ndarray::Array2::<T>::eye(near).into_raw_vec_and_offset().0;
    let mut ln = 0.0;
    for (site, a) in chain {
        let (l, d, r) = a.dim();
        let entries = super::mps::flat(a);
        let mut half = vec![T::zero(); l * d * r];
        multiply((l, l, d * r), &gram, entries, &mut half);
        gram.clear();
        gram.resize(r * r, T::zero());
        multiply_adjoint((r, l * d, r), entries, &half, &mut gram);
        ln += tame(&mut gram);
        let trace: f64 = matrix(r, r, &gram).diag().iter().map(|x| x.re().to_f64()).sum();
        norms[*site] = 0.5 * (ln + trace.max(0.0).ln());
    }
}
