//! To and from the full vector of amplitudes.

use ndarray::Array2;

use super::Mps;
use super::compress::{Compression, rounding};
use super::mps::{flat, matrix, right_matrix, site_tensor};
use crate::error::{Error, Result};
use crate::linalg::{Op, Truncation, matmul, truncated_svd};
use crate::scalar::{LogScaled, Real, Scalar};

/// Amplitudes a dense vector may have.
const DENSE_LIMIT: usize = 1 << 24;

impl<T: Scalar> Mps<T> {
    /// The state with these amplitudes, the last site running fastest, by an SVD at every bond from the left; its
    /// canonical centre is the last site.
    ///
    /// The report says what `truncation` dropped.
    ///
    /// # Errors
    /// [`Error::Empty`] without sites or with a dimension 0, [`Error::Shape`] if the number of amplitudes is not the
    /// product of `dims`, [`Error::NotFinite`] for NaN or infinity, [`Error::Setting`] for impossible settings.
    pub fn from_dense(amplitudes: &[T], dims: &[usize], truncation: &Truncation) -> Result<(Self, Compression)> {
        truncation.validate()?;
        if dims.is_empty() || dims.contains(&0) {
            return Err(Error::Empty { what: format!("a state of sites with dimensions {dims:?}") });
        }
        let count = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if count != Some(amplitudes.len()) {
            return Err(Error::shape("the amplitudes", amplitudes.len(), format!("the product of {dims:?}")));
        }
        let norm = super::mps::norm_of(amplitudes);
        if !norm.is_finite() {
            return Err(Error::NotFinite { what: "the amplitudes".into() });
        }
        let shrink = if norm > 0.0 { norm } else { 1.0 };
        let divide = |x: &T| T::from_parts(x.re().to_f64() / shrink, x.im().to_f64() / shrink);
        let mut rest: Vec<T> = amplitudes.iter().map(divide).collect();
        let (mut tensors, mut bond) = (Vec::with_capacity(dims.len()), 1);
        let mut discarded = Vec::with_capacity(dims.len() - 1);
        for &d in &dims[..dims.len() - 1] {
            let weight = super::mps::norm_of(&rest).powi(2);
            let cols = rest.len() / (bond * d);
            let cut = truncated_svd(&matrix(bond * d, cols, &rest), truncation)?;
            discarded.push(cut.discarded_weight * weight);
            let kept = cut.s.len();
            tensors.push(site_tensor(cut.u, (bond, d, kept)));
            rest = cut
                .vt
                .rows()
                .into_iter()
                .zip(&cut.s)
                .flat_map(|(v, &s)| v.into_iter().map(move |x| x.scale(s)))
                .collect();
            bond = kept;
        }
        let last = dims[dims.len() - 1];
        let remaining = Array2::from_shape_vec((bond, last), rest).unwrap_or_else(|_| Array2::zeros((bond, last)));
        tensors.push(site_tensor(remaining, (bond, last, 1)));
        let centre = dims.len() - 1;
        let state = Mps { tensors, left: centre, right: centre + 1, factor: LogScaled::exp(shrink.ln()) };
        let rounding = rounding::<T>(vec![1.0; dims.len()]);
        Ok((state, Compression::new(discarded, rounding)))
    }

    /// All amplitudes, the last site running fastest.
    ///
    /// # Errors
    /// [`Error::Memory`] beyond `2^24` amplitudes, [`Error::NotFinite`] if one is too large for `T`.
    pub fn to_dense(&self) -> Result<Vec<T>> {
        let count = self.dims().iter().fold(1usize, |n, &d| n.saturating_mul(d));
        if count > DENSE_LIMIT {
            let bytes = T::KIND.bytes() as u64;
            return Err(Error::Memory {
                what: format!("the dense vector of {} sites", self.sites()),
                needed: (count as u64).saturating_mul(bytes),
                ceiling: DENSE_LIMIT as u64 * bytes,
                way_out: "ask for amplitudes, expectations or samples instead".into(),
            });
        }
        let mut vector = Array2::from_elem((1, 1), T::one());
        let mut ln = 0.0;
        for a in &self.tensors {
            let (_, d, r) = a.dim();
            let grown = matmul(&vector.view(), Op::None, &right_matrix(a), Op::None);
            let rows = grown.nrows() * d;
            let mut entries = flat(&site_tensor(grown, (rows, 1, r))).to_vec();
            ln += super::overlap::tame(&mut entries);
            vector = Array2::from_shape_vec((rows, r), entries).unwrap_or_else(|_| Array2::zeros((rows, r)));
        }
        let dense: Vec<T> = if self.factor.is_zero() {
            vec![T::zero(); count]
        } else {
            // Each amplitude through its logarithm only where the common factor leaves the range of T.
            let common = self.factor * LogScaled::exp(ln);
            let plain = common.value();
            let normal = plain.abs().to_f64() > 1e-30 && plain.abs().to_f64() < 1e30;
            let value = |&x: &T| if normal { x * plain } else { (common * LogScaled::from(x)).value() };
            vector.iter().map(value).collect()
        };
        if dense.iter().all(|x| x.is_finite()) {
            Ok(dense)
        } else {
            Err(Error::NotFinite { what: "the dense vector: an amplitude beyond the range of its type".into() })
        }
    }
}
