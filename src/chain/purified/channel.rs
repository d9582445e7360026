//! Channels on a purified chain, and its Kraus legs cut.

use ndarray::{Array2, Array3};

use super::Purified;
use crate::chain::Toward;
use crate::chain::canonical::rescale;
use crate::chain::local::cut;
use crate::chain::mps::{left_matrix, matrix, right_matrix, site_tensor};
use crate::error::{Error, Place, Result};
use crate::linalg::{Op, Truncation, matmul, truncated_svd};
use crate::scalar::Scalar;

impl<T: Scalar> Purified<T> {
    /// `rho -> sum K rho K^H` on a site, whose Kraus leg grows by their number and is cut; the site becomes the centre. Returns
    /// the share of the trace that was dropped.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is no such site or for an impossible truncation, [`Error::Shape`] if an operator does not
    /// fit, [`Error::Empty`] without operators, [`Error::NotFinite`].
    pub fn apply_channel(&mut self, site: usize, operators: &[Array2<T>], truncation: &Truncation) -> Result<f64> {
        self.state.check_site(site)?;
        self.state.move_centre(site)?;
        let (kraus, d) = (self.kraus[site], self.dims()[site]);
        check_operators(operators, d).map_err(|e| e.at(Place::Site(site)))?;
        let a = &self.state.tensors[site];
        let (l, _, r) = a.dim();
        let count = operators.len();
        // Rows are all but the Kraus leg, which is (old, new).
        let mut grown = Array2::zeros((l * d * r, kraus * count));
        for ((left, sk, right), &x) in a.indexed_iter() {
            let (s, k) = (sk / kraus, sk % kraus);
            for (number, operator) in operators.iter().enumerate() {
                for out in 0..d {
                    let factor = operator[[out, s]];
                    if factor != T::zero() {
                        grown[[(left * d + out) * r + right, k * count + number]] += factor * x;
                    }
                }
            }
        }
        let (tensor, kept, dropped) = cut_kraus(&grown, (l, d, r), truncation).map_err(|e| e.at(Place::Site(site)))?;
        self.put(site, tensor, kept);
        Ok(dropped)
    }

    /// Cuts the Kraus leg of a site, which becomes the centre; returns the share of the trace that was dropped.
    ///
    /// # Errors
    /// As [`apply_channel`](Self::apply_channel).
    pub fn cut_leg(&mut self, site: usize, truncation: &Truncation) -> Result<f64> {
        let d = self.dims().get(site).copied().unwrap_or(1);
        self.apply_channel(site, &[Array2::eye(d)], truncation)
    }

    fn put(&mut self, site: usize, mut tensor: Array3<T>, kraus: usize) {
        self.state.factor = self.state.factor * rescale(&mut tensor);
        self.state.tensors[site] = tensor;
        self.kraus[site] = kraus;
    }

    /// `rho -> sum K rho K^H` on the sites `bond` and `bond + 1`, whose bond is cut; the Kraus leg of the first grows by the number of
    /// operators. The centre ends on the site that lies `toward`. Returns the share of the trace that was dropped.
    ///
    /// # Errors
    /// As [`apply_channel`](Self::apply_channel).
    pub fn apply_to_pair(
        &mut self,
        bond: usize,
        operators: &[Array2<T>],
        truncation: &Truncation,
        toward: Toward,
    ) -> Result<f64> {
        let state = &mut self.state;
        state.check_bond(bond)?;
        state.move_centre(state.left.clamp(bond, bond + 1))?;
        let (ka, kb) = (self.kraus[bond], self.kraus[bond + 1]);
        let (a, b) = (&state.tensors[bond], &state.tensors[bond + 1]);
        let ((l, da, _), (_, db, r)) = (a.dim(), b.dim());
        let (d, e, count) = (da / ka, db / kb, operators.len());
        check_operators(operators, d * e).map_err(|e| e.at(Place::Bond(bond)))?;
        let pair = matmul(&left_matrix(a), Op::None, &right_matrix(b), Op::None).into_raw_vec_and_offset().0;
        let mut turned = vec![T::zero(); l * d * ka * count * e * kb * r];
        // [left, (s, k), (s', k' right)] to [left, (out, (k, new)), (out', k' right)].
        let tail = kb * r;
        for left in 0..l {
            for (number, operator) in operators.iter().enumerate() {
                for ((out, into), &factor) in operator.indexed_iter().filter(|(_, x)| **x != T::zero()) {
                    for k in 0..ka {
                        let from = ((left * d + into / e) * ka + k) * e + into % e;
                        let to = (((left * d + out / e) * ka + k) * count + number) * e + out % e;
                        let to = &mut turned[to * tail..(to + 1) * tail];
                        to.iter_mut().zip(&pair[from * tail..(from + 1) * tail]).for_each(|(x, &y)| *x += factor * y);
                    }
                }
            }
        }
        let rows = l * d * ka * count;
        let halves = cut(&matrix(rows, e * tail, &turned), truncation, toward).map_err(|e| e.at(Place::Bond(bond)))?;
        let kept = halves.left.ncols();
        let mut pair =
            [site_tensor(halves.left, (l, d * ka * count, kept)), site_tensor(halves.right, (kept, e * kb, r))];
        let centre = usize::from(toward == Toward::Right);
        state.factor = state.factor * rescale(&mut pair[centre]);
        [state.tensors[bond], state.tensors[bond + 1]] = pair;
        (state.left, state.right) = (bond + centre, bond + centre + 1);
        self.kraus[bond] = ka * count;
        Ok(halves.discarded)
    }
}

fn check_operators<T: Scalar>(operators: &[Array2<T>], d: usize) -> Result<()> {
    if operators.is_empty() {
        return Err(Error::Empty { what: "a channel (no Kraus operators)".into() });
    }
    match operators.iter().find(|k| k.dim() != (d, d)) {
        Some(wrong) => Err(Error::shape("a Kraus operator", wrong.dim(), (d, d))),
        None => Ok(()),
    }
}

/// Rows `(left, s, right)`, columns the Kraus leg: the tensor with the leg cut, its dimension, and the share dropped. The factor
/// on the side of the leg is an isometry on what is traced out, and is left out.
fn cut_kraus<T: Scalar>(
    a: &Array2<T>,
    (l, d, r): (usize, usize, usize),
    truncation: &Truncation,
) -> Result<(Array3<T>, usize, f64)> {
    let f = truncated_svd(&a.view(), truncation)?;
    let kept = f.s.len();
    let mut tensor = Array3::zeros((l, d * kept, r));
    for ((row, k), &u) in f.u.indexed_iter() {
        let (left, s, right) = (row / (d * r), row / r % d, row % r);
        tensor[[left, s * kept + k, right]] = u.scale(f.s[k]);
    }
    Ok((tensor, kept, f.discarded_weight))
}
