//! Gauges: moving the canonical centre, and what is cheap once it is known.

use ndarray::{Array2, Array3};

use super::Mps;
use super::mps::{flat, left_matrix, norm_of, right_matrix, site_tensor};
use crate::error::{Error, Place, Result};
use crate::linalg::{Op, lq, matmul, qr};
use crate::scalar::{LogScaled, Real, Scalar};

/// A direction along the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Toward {
    /// Towards site 0.
    Left,
    /// Towards the last site.
    Right,
}

impl<T: Scalar> Mps<T> {
    /// Moves the canonical centre to `to`, by QR and LQ: nothing is truncated beyond what a bond can carry at all.
    ///
    /// The norm of what moves goes into the factor, so every tensor ends of order one.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is no such site.
    pub fn move_centre(&mut self, to: usize) -> Result<()> {
        self.check_site(to)?;
        while self.left < to {
            self.move_left_edge().map_err(|e| e.at(Place::Site(self.left)))?;
        }
        while self.right > to + 1 {
            self.move_right_edge().map_err(|e| e.at(Place::Site(self.right - 1)))?;
        }
        Ok(())
    }

    /// Makes the state canonical with its centre at `centre`, whatever it was before: the known gauge is not trusted.
    ///
    /// Useful against rounding that has piled up over very many updates.
    ///
    /// # Errors
    /// As [`move_centre`](Self::move_centre).
    pub fn canonicalise(&mut self, centre: usize) -> Result<()> {
        self.check_site(centre)?;
        self.forget_gauge();
        self.move_centre(centre)
    }

    /// Takes the tensors for canonical around `centre`, after a check that they are.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is no such site, or a tensor is not an isometry to about half the digits of `T`; the
    /// state is lost with it.
    pub fn assume_centre(mut self, centre: usize) -> Result<Self> {
        self.check_site(centre)?;
        let tolerance = <T::Real as num_traits::Float>::epsilon().to_f64().sqrt();
        for (site, a) in self.tensors.iter().enumerate().filter(|(site, _)| *site != centre) {
            let gram = if site < centre {
                matmul(&left_matrix(a), Op::Adjoint, &left_matrix(a), Op::None)
            } else {
                matmul(&right_matrix(a), Op::None, &right_matrix(a), Op::Adjoint)
            };
            let far =
                (&gram - &Array2::eye(gram.nrows())).iter().any(|x| !x.is_finite() || x.abs().to_f64() > tolerance);
            if far {
                let error = Error::setting("centre", centre, "a tensor outside the centre is not an isometry");
                return Err(error.at(Place::Site(site)));
            }
        }
        (self.left, self.right) = (centre, centre + 1);
        Ok(self)
    }

    pub(super) fn forget_gauge(&mut self) {
        (self.left, self.right) = (0, self.sites());
    }

    /// Makes site `left` left-canonical.
    pub(super) fn move_left_edge(&mut self) -> Result<()> {
        let site = self.left;
        let (l, d, _) = self.tensors[site].dim();
        let (q, mut r) = qr(&left_matrix(&self.tensors[site]))?;
        self.factor = self.factor * unit(&mut r);
        let (_, dn, rn) = self.tensors[site + 1].dim();
        let next = matmul(&r.view(), Op::None, &right_matrix(&self.tensors[site + 1]), Op::None);
        let bond = q.ncols();
        self.tensors[site] = site_tensor(q, (l, d, bond));
        self.tensors[site + 1] = site_tensor(next, (bond, dn, rn));
        self.left += 1;
        self.right = self.right.max(self.left + 1);
        Ok(())
    }

    /// Makes site `right - 1` right-canonical.
    pub(super) fn move_right_edge(&mut self) -> Result<()> {
        let site = self.right - 1;
        let (_, d, r) = self.tensors[site].dim();
        let (mut l, q) = lq(&right_matrix(&self.tensors[site]))?;
        self.factor = self.factor * unit(&mut l);
        let (lp, dp, _) = self.tensors[site - 1].dim();
        let previous = matmul(&left_matrix(&self.tensors[site - 1]), Op::None, &l.view(), Op::None);
        let bond = q.nrows();
        self.tensors[site] = site_tensor(q, (bond, d, r));
        self.tensors[site - 1] = site_tensor(previous, (lp, dp, bond));
        self.right -= 1;
        self.left = self.left.min(self.right - 1);
        Ok(())
    }

    /// `|psi|`: the norm of the centre if there is one, else the root of `<psi|psi>`.
    #[must_use]
    pub fn norm(&self) -> LogScaled<T::Real> {
        match self.centre() {
            Some(centre) => {
                LogScaled::new(T::Real::of(1.0), norm_of(flat(&self.tensors[centre])).ln()) * self.factor.abs()
            }
            None => self.norm_squared().sqrt_abs(),
        }
    }

    /// Divides the state by its norm, which is returned. A state without a centre gets none.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if the norm is zero.
    pub fn normalise(&mut self) -> Result<LogScaled<T::Real>> {
        let norm = self.norm();
        if norm.is_zero() || !norm.ln_abs().is_finite() {
            return Err(Error::NotFinite { what: "the state divided by its norm, which is zero or not finite".into() });
        }
        if let Some(centre) = self.centre() {
            // Exactly of norm one: the factor keeps the phase alone.
            let a = &mut self.tensors[centre];
            rescale(a);
            self.factor = LogScaled::new(self.factor.phase(), 0.0);
        } else {
            self.factor = self.factor / LogScaled::exp(norm.ln_abs());
        }
        Ok(norm)
    }
}

/// Divides a matrix by its norm, which is returned; zero stays.
fn unit<T: Scalar>(a: &mut Array2<T>) -> LogScaled<T> {
    let norm = a.as_slice_memory_order().map_or(0.0, norm_of);
    divide(a.iter_mut(), norm)
}

/// Divides a tensor by its norm, which is returned; zero stays.
pub(super) fn rescale<T: Scalar>(a: &mut Array3<T>) -> LogScaled<T> {
    let norm = norm_of(flat(a));
    divide(a.iter_mut(), norm)
}

fn divide<'a, T: Scalar>(entries: impl Iterator<Item = &'a mut T>, norm: f64) -> LogScaled<T> {
    if norm == 0.0 {
        return LogScaled::one();
    }
    let shrink = 1.0 / norm;
    if shrink.is_finite() && shrink > 1e-30 && shrink < 1e30 {
        let shrink = T::Real::of(shrink);
        entries.for_each(|x| *x = x.scale(shrink));
    } else {
        // At the ends of the range of T the reciprocal is not a number of T; the quotient is.
        entries.for_each(|x| *x = T::from_parts(x.re().to_f64() / norm, x.im().to_f64() / norm));
    }
    LogScaled::exp(norm.ln())
}
