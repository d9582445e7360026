//! Mixed states as locally purified chains.

mod channel;
mod values;

#[cfg(test)]
mod tests;

use ndarray::{Array2, Array4};

use super::{Mps, Toward};
use crate::error::Result;
use crate::linalg::Truncation;
use crate::scalar::Scalar;
pub(crate) use values::apart;

/// A mixed state `rho = Tr_k |Psi><Psi|` as a matrix product state whose sites have a Kraus leg each, which is traced out.
///
/// ```text
///        s0      s1      s2             s the levels of a site, k its Kraus leg
///        |       |       |
/// Psi = [A0]----[A1]----[A2]            A [left, (s, k), right], s before k
///        |       |       |
///        k0      k1      k2
/// ```
///
/// So it is positive whatever is cut. Bonds and Kraus legs are both cut by singular values of `Psi` with the state canonical
/// around them. The share of the norm that is kept is `|<Psi|Psi'>|^2` of the purifications, which bounds the fidelity of the mixed
/// states from below (Uhlmann). Werner et al., PRL 116, 237201 (2016).
///
/// ```
/// use ansatz::chain::Purified;
/// use ansatz::linalg::Truncation;
/// use ndarray::arr2;
/// let mut rho = Purified::product(&[vec![1.0, 0.0], vec![1.0, 0.0]])?;
/// // A bit flip with probability 1/4.
/// let flip = [arr2(&[[0.75_f64.sqrt(), 0.0], [0.0, 0.75_f64.sqrt()]]), arr2(&[[0.0, 0.5], [0.5, 0.0]])];
/// rho.apply_channel(0, &flip, &Truncation::none())?;
/// let z = arr2(&[[1.0, 0.0], [0.0, -1.0]]);
/// assert!((rho.expectation(&[(0, z)])? - 0.5).abs() < 1e-14);
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Purified<T: Scalar> {
    state: Mps<T>,
    kraus: Vec<usize>,
}

impl<T: Scalar> Purified<T> {
    /// A pure product state.
    ///
    /// # Errors
    /// As [`Mps::product`].
    pub fn product(vectors: &[Vec<T>]) -> Result<Self> {
        let mut state = Mps::product(vectors)?;
        state.move_centre(0)?;
        let kraus = vec![1; state.sites()];
        Ok(Purified { state, kraus })
    }

    /// Number of sites.
    #[must_use]
    pub fn sites(&self) -> usize {
        self.state.sites()
    }

    /// The purification: sites of levels times Kraus legs, the levels first.
    #[must_use]
    pub fn purification(&self) -> &Mps<T> {
        &self.state
    }

    /// Dimension of each Kraus leg.
    #[must_use]
    pub fn kraus(&self) -> &[usize] {
        &self.kraus
    }

    /// Levels of each site.
    #[must_use]
    pub fn dims(&self) -> Vec<usize> {
        self.state.dims().iter().zip(&self.kraus).map(|(d, k)| d / k).collect()
    }

    /// Moves the canonical centre.
    ///
    /// # Errors
    /// As [`Mps::move_centre`].
    pub fn move_centre(&mut self, to: usize) -> Result<()> {
        self.state.move_centre(to)
    }

    /// Divides the state by its trace.
    ///
    /// # Errors
    /// As [`Mps::normalise`].
    pub fn normalise(&mut self) -> Result<()> {
        self.state.normalise().map(|_| ())
    }

    /// Applies a unitary `[out, in]` to a site.
    ///
    /// # Errors
    /// As [`Mps::apply_unitary`].
    pub fn apply_unitary(&mut self, site: usize, unitary: &Array2<T>) -> Result<()> {
        self.state.check_site(site)?;
        self.state.apply_unitary(site, &beside_identity(unitary, self.kraus[site]))
    }

    /// Applies a unitary `[(out, out'), (in, in')]` to the sites `bond` and `bond + 1` and cuts the bond; the centre ends on the
    /// site that lies `toward`. Returns the share of the trace that was dropped.
    ///
    /// # Errors
    /// As [`Mps::apply_pair`].
    pub fn apply_pair(
        &mut self,
        bond: usize,
        operator: &Array2<T>,
        truncation: &Truncation,
        toward: Toward,
    ) -> Result<f64> {
        self.apply_to_pair(bond, std::slice::from_ref(operator), truncation, toward)
    }

    /// Applies an operator `[left, out, in, right]` a site to the sites from `first` on and cuts the bonds within. Returns the share
    /// of the trace that is left.
    ///
    /// # Errors
    /// As [`Mps::apply_operator`].
    pub fn apply_operator(&mut self, first: usize, tensors: &[Array4<T>], truncation: &Truncation) -> Result<f64> {
        let wide = tensors.iter().enumerate().map(|(i, w)| {
            let kraus = self.kraus.get(first.saturating_add(i)).copied().unwrap_or(1);
            let (l, out, into, r) = w.dim();
            let mut wide = Array4::zeros((l, out * kraus, into * kraus, r));
            for ((a, o, i, b), &x) in w.indexed_iter() {
                (0..kraus).for_each(|k| wide[[a, o * kraus + k, i * kraus + k, b]] = x);
            }
            wide
        });
        self.state.apply_operator(first, &wide.collect::<Vec<_>>(), truncation)
    }

    /// Draws a configuration; the centre has to be at site 0. Kraus legs of up to 128 for sites of 2 levels.
    pub(crate) fn draw(&self, uniform: impl FnMut() -> f64, symbols: &mut [u8]) {
        // The legs are drawn too, and forgotten.
        self.state.draw(uniform, symbols);
        symbols.iter_mut().zip(&self.kraus).for_each(|(s, &k)| *s = (usize::from(*s) / k) as u8);
    }
}

/// `[out, in]` on the levels as `[(out, k), (in, k)]`.
fn beside_identity<T: Scalar>(operator: &Array2<T>, kraus: usize) -> Array2<T> {
    let (rows, columns) = operator.dim();
    Array2::from_shape_fn((rows * kraus, columns * kraus), |(i, j)| {
        if i % kraus == j % kraus { operator[[i / kraus, j / kraus]] } else { T::zero() }
    })
}
