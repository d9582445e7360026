//! The overlap of two states with a hole at two sites.

use ndarray::{Array2, Array3};
use num_complex::Complex64;

use crate::chain::{Mps, Toward};
use crate::error::Result;
use crate::linalg::{Op, Truncation, matmul};

/// Which of the two states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Bra,
    Ket,
}

/// Two states, and what is left and right of each bond, as far as it holds.
pub(super) struct Overlap {
    bra: Mps<Complex64>,
    ket: Mps<Complex64>,
    /// `left[k]` `[bra bond, ket bond]`: the sites before `k`, up to a factor; those up to `fresh_left` are right.
    left: Vec<Array2<Complex64>>,
    fresh_left: usize,
    /// `right[k]`: the sites from `k` on; those from `fresh_right` on are right.
    right: Vec<Array2<Complex64>>,
    fresh_right: usize,
}

impl Overlap {
    pub(super) fn new(bra: Mps<Complex64>, ket: Mps<Complex64>) -> Self {
        let sites = bra.sites();
        let ends = vec![Array2::eye(1); sites + 1];
        Overlap { bra, ket, left: ends.clone(), fresh_left: 0, right: ends, fresh_right: sites }
    }

    pub(super) fn bra(&self) -> &Mps<Complex64> {
        &self.bra
    }

    pub(super) fn ket(&self) -> &Mps<Complex64> {
        &self.ket
    }

    /// Applies a gate to one of the states.
    pub(super) fn apply(
        &mut self,
        side: Side,
        bond: usize,
        matrix: &Array2<Complex64>,
        truncation: &Truncation,
        toward: Toward,
    ) -> Result<()> {
        let state = match side {
            Side::Bra => &mut self.bra,
            Side::Ket => &mut self.ket,
        };
        let centre = state.centre();
        state.apply_pair(bond, matrix, truncation, toward)?;
        self.touch(centre, bond);
        Ok(())
    }

    /// A gate changes the tensors from the centre to its bond.
    fn touch(&mut self, centre: Option<usize>, bond: usize) {
        let (first, last) = match centre {
            Some(centre) => (centre.min(bond), centre.max(bond + 1)),
            None => (0, self.bra.sites() - 1),
        };
        self.fresh_left = self.fresh_left.min(first);
        self.fresh_right = self.fresh_right.max(last + 1);
    }

    /// `E[out, in]` `[4, 4]` up to a factor: the overlap of the bra with a matrix `g[out, in]` on the two sites of `bond` of the
    /// ket is `sum E g`.
    pub(super) fn environment(&mut self, bond: usize) -> Array2<Complex64> {
        while self.fresh_left < bond {
            let site = self.fresh_left;
            let next = advance(&self.left[site], &self.bra.tensors()[site], &self.ket.tensors()[site]);
            self.fresh_left += 1;
            self.left[site + 1] = next;
        }
        while self.fresh_right > bond + 2 {
            let site = self.fresh_right - 1;
            let (bra, ket) = (mirrored(&self.bra.tensors()[site]), mirrored(&self.ket.tensors()[site]));
            self.right[site] = advance(&self.right[site + 1], &bra, &ket);
            self.fresh_right = site;
        }
        let (bra, ket) = (pair(&self.bra, bond), pair(&self.ket, bond));
        let ((lb, _, rb), (lk, _, rk)) = (bra.dim(), ket.dim());
        let ket = shaped(ket, (lk, 4 * rk));
        let half = shaped(matmul(&self.left[bond].view(), Op::None, &ket.view(), Op::None), (lb * 4, rk));
        let whole = matmul(&half.view(), Op::None, &self.right[bond + 2].t(), Op::None);
        let inner = |a: Array3<Complex64>| {
            let turned = a.permuted_axes([1, 0, 2]).as_standard_layout().into_owned();
            shaped(turned, (4, lb * rb))
        };
        let (bra, ket) = (inner(bra), inner(shaped(whole, (lb, 4, rb))));
        matmul(&bra.mapv(|x| x.conj()).view(), Op::None, &ket.t(), Op::None)
    }
}

/// The tensors of two sites as one, `[left, 4, right]`.
fn pair(state: &Mps<Complex64>, bond: usize) -> Array3<Complex64> {
    let (a, b) = (&state.tensors()[bond], &state.tensors()[bond + 1]);
    let ((l, _, m), (_, _, r)) = (a.dim(), b.dim());
    let (a, b) = (shaped(a.clone(), (l * 2, m)), shaped(b.clone(), (m, 2 * r)));
    shaped(matmul(&a.view(), Op::None, &b.view(), Op::None), (l, 4, r))
}

fn mirrored(a: &Array3<Complex64>) -> Array3<Complex64> {
    a.view().permuted_axes([2, 1, 0]).as_standard_layout().into_owned()
}

/// `sum conj(bra[b, v, b']) x[b, k] ket[k, v, k']`, divided by its norm so that a long chain neither over- nor underflows.
fn advance(x: &Array2<Complex64>, bra: &Array3<Complex64>, ket: &Array3<Complex64>) -> Array2<Complex64> {
    let ((lb, d, rb), (lk, _, rk)) = (bra.dim(), ket.dim());
    let ket = shaped(ket.clone(), (lk, d * rk));
    let half = shaped(matmul(&x.view(), Op::None, &ket.view(), Op::None), (lb * d, rk));
    let bra = shaped(bra.clone(), (lb * d, rb));
    let next = matmul(&bra.view(), Op::Adjoint, &half.view(), Op::None);
    let norm = next.iter().map(|z| z.norm_sqr()).sum::<f64>().sqrt();
    if norm > 0.0 { next / Complex64::from(norm) } else { next }
}

/// Elements in another shape with as many of them.
fn shaped<D: ndarray::Dimension, S: ndarray::ShapeArg>(
    a: ndarray::Array<Complex64, D>,
    shape: S,
) -> ndarray::Array<Complex64, S::Dim> {
    let a = if a.is_standard_layout() { a } else { a.as_standard_layout().into_owned() };
    a.into_shape_with_order(shape).unwrap_or_else(|_| unreachable!("as many elements"))
}
