//! An operator applied to a state, in three ways.

use ndarray::Array3;

use super::canonical::rescale;
use super::compress::Compression;
use super::environments::Links;
use super::mps::{flat, matrix, right_matrix, site_tensor};
use super::projection::Projection;
use super::{Mpo, Mps, Toward};
use crate::error::{Error, Place, Result};
use crate::linalg::{Op, TruncatedSvd, Truncation, matmul, truncated_svd};
use crate::scalar::{LogScaled, Real, Scalar};

/// What came of applying an operator approximately.
#[derive(Debug, Clone)]
pub struct Applied<T: Scalar> {
    /// The state `phi`, near `O psi`.
    pub state: Mps<T>,
    /// `|phi - O psi| / |O psi|`, measured by overlaps: below the root of the rounding (1e-8 in double precision) it is
    /// noise.
    pub error: f64,
}

impl<T: Scalar> Mpo<T> {
    /// `O psi`, exactly; the bonds are the products of those of `O` and `psi`, and no gauge is known.
    ///
    /// # Errors
    /// [`Error::Shape`] if the sites do not fit.
    pub fn apply_exact(&self, state: &Mps<T>) -> Result<Mps<T>> {
        self.check_ins(state)?;
        let tensors = self.tensors.iter().zip(&state.tensors).map(|(w, a)| {
            let ((lw, o, _, rw), (la, _, ra)) = (w.dim(), a.dim());
            let mut product = ndarray::Array5::zeros((lw, la, o, rw, ra));
            for link in Links::new(w).entries {
                let mut block = product.slice_mut(ndarray::s![link.left, .., link.out, link.right, ..]);
                block.zip_mut_with(&a.slice(ndarray::s![.., link.input, ..]), |x, &y| *x += link.value * y);
            }
            product.into_shape_with_order((lw * la, o, rw * ra)).unwrap_or_default()
        });
        let mut product = Mps::new(tensors.collect())?;
        product.factor = product.factor * self.factor * state.factor;
        Ok(product)
    }

    /// `O psi`, exactly, and then compressed: the most accurate way, with a bound, at a cost of `(w D)^3`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the sites do not fit; as [`Mps::compress`].
    pub fn apply(&self, state: &Mps<T>, truncation: &Truncation) -> Result<(Mps<T>, Compression)> {
        let mut product = self.apply_exact(state)?;
        let report = product.compress(truncation)?;
        Ok((product, report))
    }

    /// `O psi` cut on the way, site by site, at a cost of `w D^3`.
    ///
    /// The zip-up of Stoudenmire and White (New J. Phys. 12, 055026, 2010): operator and state are made canonical, and
    /// their product is cut from the left with bonds up to twice the wanted ones, because the cuts are not optimal while
    /// the right part is not orthonormal; a proper compression follows.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn apply_zip_up(&self, state: &Mps<T>, truncation: &Truncation) -> Result<Applied<T>> {
        let phi = self.zip_up(state, truncation)?;
        let size = self.image_norm(state)?;
        let overlap = self.matrix_element(&phi, state)? * LogScaled::exp(-2.0 * size.ln_abs());
        let length = (phi.norm() / size).powi(2).value().to_f64();
        let error = (1.0 + length - 2.0 * overlap.value().re().to_f64()).max(0.0).sqrt();
        Ok(Applied { state: phi, error })
    }

    fn zip_up(&self, state: &Mps<T>, truncation: &Truncation) -> Result<Mps<T>> {
        truncation.validate()?;
        self.check_ins(state)?;
        let mut psi = state.clone();
        psi.move_centre(0)?;
        let mut chain = self.as_chain();
        chain.move_centre(0)?;
        let operator = Mpo::from_chain(chain, &self.legs());
        let loose = truncation.bond_limit().map_or(*truncation, |d| truncation.max_bond(d.saturating_mul(2)));
        let (last, mut factor) = (self.sites() - 1, operator.factor * psi.factor);
        let mut tensors = Vec::with_capacity(self.sites());
        // [bond of the result, bond of the operator, bond of the state]
        let mut carry = Array3::from_elem((1, 1, 1), T::one());
        for (site, (w, a)) in operator.tensors.iter().zip(&psi.tensors).enumerate() {
            let ((k, lw, la), (_, i, ra)) = (carry.dim(), a.dim());
            let links = Links::new(w);
            let x = matmul(&matrix(k * lw, la, flat(&carry)), Op::None, &right_matrix(a), Op::None);
            let x = site_tensor(x, (k, lw * i, ra));
            // [k, (o, w'), r]
            let mut y = Array3::zeros((k, links.out * links.right, ra));
            for link in &links.entries {
                let source = x.slice(ndarray::s![.., link.left * i + link.input, ..]);
                let mut target = y.slice_mut(ndarray::s![.., link.out * links.right + link.right, ..]);
                target.zip_mut_with(&source, |y, &x| *y += link.value * x);
            }
            factor = factor * rescale(&mut y);
            if site == last {
                tensors.push(y.into_shape_with_order((k, links.out, 1)).unwrap_or_default());
                break;
            }
            let cut = truncated_svd(&matrix(k * links.out, links.right * ra, flat(&y)), &loose);
            let TruncatedSvd { u, s, mut vt, .. } = cut.map_err(|e| e.at(Place::Bond(site)))?;
            vt.rows_mut().into_iter().zip(&s).for_each(|(mut row, &s)| row.mapv_inplace(|x| x.scale(s)));
            tensors.push(site_tensor(u, (k, links.out, s.len())));
            carry = site_tensor(vt, (s.len(), links.right, ra));
        }
        let mut phi = Mps { tensors, left: last, right: last + 1, factor };
        phi.compress(truncation)?;
        Ok(phi)
    }

    /// The state nearest to `O psi` with bonds cut as `truncation` says, found by up to `sweeps` sweeps of two-site
    /// updates that start from the zip-up; at a cost of `w D^3` a sweep.
    ///
    /// Every update is the best one for its two sites, the others held fixed; a sweep that changes nothing is the last.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn apply_fit(&self, state: &Mps<T>, truncation: &Truncation, sweeps: usize) -> Result<Applied<T>> {
        let mut phi = self.zip_up(state, truncation)?;
        phi.move_centre(0)?;
        let mut target = Projection::new(self, state, &phi);
        let size = self.image_norm(state)?;
        let (bonds, mut before) = (self.sites() - 1, f64::NEG_INFINITY);
        for _ in 0..sweeps {
            let there = (0..bonds).map(|bond| (bond, Toward::Right));
            for (bond, toward) in there.chain((0..bonds).rev().map(|bond| (bond, Toward::Left))) {
                fit_pair(&mut phi, &mut target, bond, toward, truncation).map_err(|e| e.at(Place::Bond(bond)))?;
            }
            let now = phi.norm().ln_abs();
            if (now - before).abs() <= <T::Real as num_traits::Float>::epsilon().to_f64() {
                break;
            }
            before = now;
        }
        // The fit is a projection: |O psi - phi|^2 = |O psi|^2 - |phi|^2.
        let share = (phi.norm() / size).powi(2).value().to_f64();
        Ok(Applied { state: phi, error: (1.0 - share).max(0.0).sqrt() })
    }

    /// `|O psi|`
    fn image_norm(&self, state: &Mps<T>) -> Result<LogScaled<T::Real>> {
        let square = self.adjoint().multiply(self)?.matrix_element(state, state)?;
        if square.is_zero() {
            return Err(Error::NotFinite {
                what: "an operator applied to a state: the image has norm zero, which".into(),
            });
        }
        Ok(square.sqrt_abs())
    }
}

/// The best tensors for the two sites of `bond`, the others held fixed.
fn fit_pair<T: Scalar>(
    phi: &mut Mps<T>,
    target: &mut Projection<T>,
    bond: usize,
    toward: Toward,
    truncation: &Truncation,
) -> Result<()> {
    let (theta, factor) = target.on_two_sites(bond);
    let (l, d, _) = phi.tensors[bond].dim();
    let (_, dn, r) = phi.tensors[bond + 1].dim();
    let TruncatedSvd { mut u, s, mut vt, .. } = truncated_svd(&matrix(l * d, dn * r, &theta), truncation)?;
    match toward {
        Toward::Right => vt.rows_mut().into_iter().zip(&s).for_each(|(mut v, &s)| v.mapv_inplace(|x| x.scale(s))),
        Toward::Left => u.columns_mut().into_iter().zip(&s).for_each(|(mut v, &s)| v.mapv_inplace(|x| x.scale(s))),
    }
    phi.tensors[bond] = site_tensor(u, (l, d, s.len()));
    phi.tensors[bond + 1] = site_tensor(vt, (s.len(), dn, r));
    let (site, centre) = if toward == Toward::Right { (bond, bond + 1) } else { (bond + 1, bond) };
    (phi.left, phi.right) = (centre, centre + 1);
    phi.factor = factor * rescale(&mut phi.tensors[centre]);
    target.advance(site, toward, &phi.tensors[site]);
    Ok(())
}
