//! Operators on a few sites of a state, with the bonds that they touch cut again.

use ndarray::{Array2, Array3, Array4, ArrayView2, s};

use super::canonical::rescale;
use super::mps::{flat, left_matrix, matrix, norm_of, right_matrix, site_tensor};
use super::{Mps, Toward};
use crate::error::{Error, Place, Result};
use crate::linalg::{Op, TruncatedSvd, Truncation, eigh, gram, matmul, truncated_svd};
use crate::scalar::{Real, Scalar};

/// The smallest kept singular value, as a share of the largest, from which on a cut by eigenvalues of the Gram matrix is as
/// good as one by singular values: squares lose half of the digits.
const GRAM_FROM: f64 = 1e-5;

impl<T: Scalar> Mps<T> {
    /// Applies a unitary `[out, in]` to a site; the gauge stays what it was, which holds for a unitary only.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is no such site, [`Error::Shape`] if the matrix does not fit.
    pub fn apply_unitary(&mut self, site: usize, unitary: &Array2<T>) -> Result<()> {
        self.check_site(site)?;
        let (l, d, r) = self.tensors[site].dim();
        if unitary.dim() != (d, d) {
            return Err(Error::shape("a matrix on a site", unitary.dim(), (d, d)).at(Place::Site(site)));
        }
        let a = &self.tensors[site];
        let mut turned = Array3::zeros((l, d, r));
        for ((out, input), &factor) in unitary.indexed_iter() {
            if factor != T::zero() {
                let mut row = turned.slice_mut(s![.., out, ..]);
                row.zip_mut_with(&a.slice(s![.., input, ..]), |x, &y| *x += factor * y);
            }
        }
        self.tensors[site] = turned;
        Ok(())
    }

    /// Applies any matrix `[out, in]` to a site, which becomes the canonical centre.
    ///
    /// # Errors
    /// As [`apply_unitary`](Self::apply_unitary).
    pub fn apply_matrix(&mut self, site: usize, operator: &Array2<T>) -> Result<()> {
        self.check_site(site)?;
        self.move_centre(site)?;
        self.apply_unitary(site, operator)
    }

    /// Applies a matrix `[(out, out'), (in, in')]` to the sites `bond` and `bond + 1`, and cuts the bond between them with
    /// the state canonical around it, so that the cut is the best one. The centre ends on the site that lies `toward`.
    /// Returns the share of the norm squared that was dropped; the norm is not restored.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is no such bond or for an impossible truncation, [`Error::Shape`] if the matrix does not
    /// fit, [`Error::NotFinite`].
    pub fn apply_pair(
        &mut self,
        bond: usize,
        operator: &Array2<T>,
        truncation: &Truncation,
        toward: Toward,
    ) -> Result<f64> {
        self.check_bond(bond)?;
        self.move_centre(self.left.clamp(bond, bond + 1))?;
        let (a, b) = (&self.tensors[bond], &self.tensors[bond + 1]);
        let ((l, d, _), (_, e, r)) = (a.dim(), b.dim());
        if operator.dim() != (d * e, d * e) {
            return Err(Error::shape("a matrix on two sites", operator.dim(), (d * e, d * e)).at(Place::Bond(bond)));
        }
        let pair = matmul(&left_matrix(a), Op::None, &right_matrix(b), Op::None);
        let pair = pair.into_raw_vec_and_offset().0;
        let mut turned = vec![T::zero(); pair.len()];
        for (from, to) in pair.chunks(d * e * r).zip(turned.chunks_mut(d * e * r)) {
            for ((out, input), &factor) in operator.indexed_iter() {
                if factor != T::zero() {
                    let to = &mut to[out * r..(out + 1) * r];
                    to.iter_mut().zip(&from[input * r..(input + 1) * r]).for_each(|(x, &y)| *x += factor * y);
                }
            }
        }
        let cut = cut(&matrix(l * d, e * r, &turned), truncation, toward).map_err(|e| e.at(Place::Bond(bond)))?;
        let kept = cut.left.ncols();
        let mut pair = [site_tensor(cut.left, (l, d, kept)), site_tensor(cut.right, (kept, e, r))];
        let centre = usize::from(toward == Toward::Right);
        self.factor = self.factor * rescale(&mut pair[centre]);
        [self.tensors[bond], self.tensors[bond + 1]] = pair;
        (self.left, self.right) = (bond + centre, bond + centre + 1);
        Ok(cut.discarded)
    }

    /// Applies an operator `[left, out, in, right]` a site to the sites from `first` on, and cuts the bonds within. Returns
    /// the share of the norm squared that is left; the norm is not restored. The centre ends at `first`.
    ///
    /// # Errors
    /// [`Error::Empty`] without tensors, [`Error::Setting`] if they reach beyond the chain or for an impossible truncation,
    /// [`Error::Shape`] if they do not fit, [`Error::NotFinite`].
    pub fn apply_operator(&mut self, first: usize, tensors: &[Array4<T>], truncation: &Truncation) -> Result<f64> {
        let Some(last) = tensors.len().checked_sub(1).map(|n| first.saturating_add(n)) else {
            return Err(Error::Empty { what: "an operator on no sites".into() });
        };
        self.check_site(last)?;
        truncation.validate()?;
        let mut bond = 1;
        for (i, w) in tensors.iter().enumerate() {
            let (d, right) = (self.tensors[first + i].dim().1, if first + i == last { 1 } else { w.dim().3 });
            if w.dim() != (bond, d, d, right) || w.is_empty() {
                return Err(
                    Error::shape("a tensor of an operator", w.dim(), (bond, d, d, right)).at(Place::Site(first + i))
                );
            }
            bond = right;
        }
        self.move_centre(first)?;
        for (i, w) in tensors.iter().enumerate() {
            let a = &self.tensors[first + i];
            let ((p, _, _, q), (l, d, r)) = (w.dim(), a.dim());
            let mut grown = ndarray::Array5::zeros((p, l, d, q, r));
            for ((left, out, input, right), &factor) in w.indexed_iter() {
                if factor != T::zero() {
                    let mut block = grown.slice_mut(s![left, .., out, right, ..]);
                    block.zip_mut_with(&a.slice(s![.., input, ..]), |x, &y| *x += factor * y);
                }
            }
            self.tensors[first + i] = grown.into_shape_with_order((p * l, d, q * r)).unwrap_or_default();
        }
        // What is left and right of the operator keeps its gauge.
        (self.left, self.right) = (first, last + 1);
        self.move_centre(last)?;
        let mut kept = 1.0;
        for bond in (first..last).rev() {
            kept *= 1.0 - self.cut_bond(bond, Toward::Left, truncation).map_err(|e| e.at(Place::Bond(bond)))?;
        }
        Ok(kept)
    }
}

/// A matrix in two factors, the one that lies `toward` with the singular values in it, the other an isometry.
pub(super) struct Halves<T> {
    pub left: Array2<T>,
    pub right: Array2<T>,
    pub discarded: f64,
}

pub(super) fn cut<T: Scalar>(a: &ArrayView2<T>, truncation: &Truncation, toward: Toward) -> Result<Halves<T>> {
    if let Some(halves) = cut_by_gram(a, truncation, toward)? {
        return Ok(halves);
    }
    let TruncatedSvd { mut u, s, mut vt, discarded_weight: discarded } = truncated_svd(a, truncation)?;
    if toward == Toward::Right {
        vt.rows_mut().into_iter().zip(&s).for_each(|(mut v, &s)| v.mapv_inplace(|x| x.scale(s)));
    } else {
        u.columns_mut().into_iter().zip(&s).for_each(|(mut v, &s)| v.mapv_inplace(|x| x.scale(s)));
    }
    Ok(Halves { left: u, right: vt, discarded })
}

/// By the eigenvectors of the Gram matrix, where `max_bond` cuts among large singular values: half the time of an SVD, and
/// as good, since the isometry is one to rounding and the other factor is a projection.
fn cut_by_gram<T: Scalar>(a: &ArrayView2<T>, truncation: &Truncation, toward: Toward) -> Result<Option<Halves<T>>> {
    let small = a.nrows().min(a.ncols());
    let Some(limit) = truncation.bond_limit().filter(|&limit| limit < small) else {
        return Ok(None);
    };
    // Isometry on the left where the centre goes right.
    let n = if toward == Toward::Right { a.nrows() } else { a.ncols() };
    if n > 2 * small || !a.iter().all(|x| x.is_finite()) {
        return Ok(None);
    }
    let square = if toward == Toward::Right { gram(&a.t().mapv(T::conj).view()) } else { gram(a) };
    let eigen = eigh(&square.view())?;
    let values: Vec<f64> = eigen.values.iter().rev().map(|v| Real::to_f64(*v).max(0.0).sqrt()).collect();
    if !(values[limit - 1] > GRAM_FROM * values[0]) {
        return Ok(None);
    }
    let chosen = truncation.apply(&values)?;
    let vectors = eigen.vectors.slice(s![.., ..;-1]).slice(s![.., ..chosen.kept]).mapv(T::narrow);
    let (left, right) = if toward == Toward::Right {
        let right = matmul(&vectors.view(), Op::Adjoint, a, Op::None);
        (vectors, right)
    } else {
        (matmul(a, Op::None, &vectors.view(), Op::None), vectors.t().mapv(T::conj))
    };
    // From the norms, in which nothing small is a difference of what is large.
    let all: f64 = values.iter().map(|v| v * v).sum();
    let dropped: f64 = values[chosen.kept..].iter().map(|v| v * v).sum();
    let kept = if toward == Toward::Right { &right } else { &left };
    if kept.as_slice_memory_order().is_none_or(|x| !norm_of(x).is_finite()) {
        return Ok(None);
    }
    Ok(Some(Halves { left, right, discarded: dropped / all }))
}

impl<T: Scalar> Mps<T> {
    /// Draws a configuration with the probability of its modulus squared; `uniform` gives a number in `[0, 1)` for each
    /// site in order. The centre has to be at site 0.
    pub(crate) fn draw(&self, mut uniform: impl FnMut() -> f64, symbols: &mut [u8]) {
        let mut vector = vec![T::one()];
        let mut next = Vec::new();
        for (a, symbol) in self.tensors.iter().zip(symbols) {
            let (_, d, r) = a.dim();
            next.clear();
            next.resize(d * r, T::zero());
            for (&weight, block) in vector.iter().zip(flat(a).chunks_exact(d * r)) {
                next.iter_mut().zip(block).for_each(|(o, &x)| *o += weight * x);
            }
            let weight = |row: &[T]| row.iter().map(|x| Real::to_f64(x.abs_sq())).sum::<f64>();
            let weights: Vec<f64> = next.chunks_exact(r).map(weight).collect();
            let mut left = uniform() * weights.iter().sum::<f64>();
            // Rounding may carry the number past the end: then the last symbol that can come.
            let mut chosen = weights.iter().rposition(|&w| w > 0.0).unwrap_or(0);
            for (s, &w) in weights.iter().enumerate() {
                if left < w {
                    chosen = s;
                    break;
                }
                left -= w;
            }
            *symbol = chosen as u8;
            let scale = T::Real::of(1.0 / weights[chosen].sqrt().max(f64::MIN_POSITIVE));
            vector.clear();
            vector.extend(next[chosen * r..(chosen + 1) * r].iter().map(|x| x.scale(scale)));
        }
    }
}
