//! What is read off a purified chain: expectation values, marginals, the purity, the density matrix.

use ndarray::{Array2, Array3, Array4};

use super::{Purified, beside_identity};
use crate::chain::mps::{left_matrix, right_matrix, site_tensor};
use crate::error::{Error, Result};
use crate::linalg::{Op, matmul};
use crate::scalar::{LogScaled, Real, Scalar};

impl<T: Scalar> Purified<T> {
    /// `Tr rho O0 O1 ...` over `Tr rho` of a product of operators `[out, in]` on sites in ascending order, its real part.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is no such site or they do not ascend, [`Error::Shape`] if an operator does not fit.
    pub fn expectation(&self, operators: &[(usize, Array2<T>)]) -> Result<f64> {
        let dims = self.dims();
        for (i, (site, operator)) in operators.iter().enumerate() {
            self.state.check_site(*site)?;
            if i > 0 && operators[i - 1].0 >= *site {
                return Err(Error::setting("site", *site, "give the sites of a product in ascending order"));
            }
            if operator.dim() != (dims[*site], dims[*site]) {
                return Err(Error::shape("an operator on a site", operator.dim(), (dims[*site], dims[*site])));
            }
        }
        let Some((first, last)) = operators.first().zip(operators.last()).map(|(a, b)| (a.0, b.0)) else {
            return Ok(1.0);
        };
        // What is left and right of the sites is an identity, up to the norm of the centre.
        let mut moved;
        let state = if self.state.centre().is_some_and(|c| (first..=last).contains(&c)) {
            &self.state
        } else {
            moved = self.state.clone();
            moved.move_centre(first)?;
            &moved
        };
        let [mut above, mut below] = [(); 2].map(|()| Array2::<T>::eye(state.tensors[first].dim().0));
        let mut given = operators.iter().peekable();
        for site in first..=last {
            let a = &state.tensors[site];
            above = match given.next_if(|(at, _)| *at == site) {
                Some((_, operator)) => {
                    let mut turned = a.clone();
                    apply_to_site(&mut turned, &beside_identity(operator, self.kraus[site]));
                    advance(&above, a, &turned)
                }
                None => advance(&above, a, a),
            };
            below = advance(&below, a, a);
        }
        let trace = |x: &Array2<T>| x.diag().iter().map(|z| z.re().to_f64()).sum::<f64>();
        Ok(trace(&above) / trace(&below))
    }

    /// The probabilities of the levels of some sites, in ascending order, the first one most significant.
    ///
    /// # Errors
    /// As [`expectation`](Self::expectation).
    pub fn marginal(&self, sites: &[usize]) -> Result<Vec<f64>> {
        let Some((&first, &last)) = sites.first().zip(sites.last()) else { return Ok(vec![1.0]) };
        self.state.check_site(last)?;
        let mut state = self.state.clone();
        state.move_centre(first)?;
        // By prefix of outcomes: `[bra bond, ket bond]` of each.
        let mut prefixes = vec![Array2::<T>::eye(state.tensors[first].dim().0)];
        for site in first..=last {
            let (a, k) = (&state.tensors[site], self.kraus[site]);
            if sites.binary_search(&site).is_err() {
                prefixes = prefixes.iter().map(|x| advance(x, a, a)).collect();
                continue;
            }
            let level = |s: usize| a.slice(ndarray::s![.., s * k..(s + 1) * k, ..]).as_standard_layout().into_owned();
            let parts: Vec<Array3<T>> = (0..a.dim().1 / k).map(level).collect();
            prefixes = prefixes.iter().flat_map(|x| parts.iter().map(move |p| advance(x, p, p))).collect();
        }
        let weight = |x: &Array2<T>| x.diag().iter().map(|z| z.re().to_f64()).sum::<f64>().max(0.0);
        let mut weights: Vec<f64> = prefixes.iter().map(weight).collect();
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|p| *p /= total);
        Ok(weights)
    }

    /// `Tr rho^2 / (Tr rho)^2`, 1 for a pure state.
    #[must_use]
    pub fn purity(&self) -> f64 {
        // Environments of four layers, [ket, bra, ket', bra'] as a matrix [(ket, bra), (ket', bra')].
        let mut whole = Array4::<T>::from_elem((1, 1, 1, 1), T::one());
        let mut ln = 0.0;
        for (a, &k) in self.state.tensors.iter().zip(&self.kraus) {
            whole = purity_step(&whole, a, k);
            let size = whole.iter().map(|x| x.abs().to_f64()).fold(0.0, f64::max);
            if size > 0.0 {
                whole.mapv_inplace(|x| x.scale(T::Real::of(1.0 / size)));
                ln += size.ln();
            }
        }
        let squared = LogScaled::<f64>::new(whole.iter().map(|x| x.re().to_f64()).sum(), ln);
        let norm = self.state.tensors.iter().fold(Array2::<T>::eye(1), |x, a| advance(&x, a, a));
        squared.value() / norm[[0, 0]].re().to_f64().powi(2)
    }

    /// The density matrix `[prod d, prod d]`, rows the first index; small chains only.
    ///
    /// # Errors
    /// As [`Mps::to_dense`](crate::chain::Mps::to_dense).
    pub fn to_dense(&self) -> Result<Array2<T>> {
        let amplitudes = self.state.to_dense()?;
        let dims = self.dims();
        let rows: usize = dims.iter().product();
        let mut split = Array2::zeros((rows, amplitudes.len() / rows));
        for (index, &x) in amplitudes.iter().enumerate() {
            let (row, column) = apart(index, &dims, &self.kraus);
            split[[row, column]] = x;
        }
        Ok(matmul(&split.view(), Op::None, &split.view(), Op::Adjoint))
    }
}

fn apply_to_site<T: Scalar>(a: &mut Array3<T>, operator: &Array2<T>) {
    let mut turned = Array3::zeros(a.dim());
    for ((out, into), &factor) in operator.indexed_iter() {
        if factor != T::zero() {
            let mut row = turned.slice_mut(ndarray::s![.., out, ..]);
            row.zip_mut_with(&a.slice(ndarray::s![.., into, ..]), |x, &y| *x += factor * y);
        }
    }
    *a = turned;
}

/// `sum conj(bra[b, v, b']) x[b, k] ket[k, v, k']`.
fn advance<T: Scalar>(x: &Array2<T>, bra: &Array3<T>, ket: &Array3<T>) -> Array2<T> {
    let ((lb, d, _), (_, _, rk)) = (bra.dim(), ket.dim());
    let half = matmul(&x.view(), Op::None, &right_matrix(ket), Op::None);
    let half = site_tensor(half, (lb, d, rk));
    matmul(&left_matrix(bra), Op::Adjoint, &left_matrix(&half), Op::None)
}

/// A site of `Tr rho rho` taken into the environment `[ket, bra, ket', bra']`: the levels of a ket meet those of the other bra,
/// the Kraus leg of a ket that of its own bra.
fn purity_step<T: Scalar>(x: &Array4<T>, a: &Array3<T>, k: usize) -> Array4<T> {
    let (l, dk, r) = a.dim();
    let d = dk / k;
    let conj = a.mapv(T::conj);
    let four = |t: &Array3<T>| t.clone().into_shape_with_order((l, d, k, r)).unwrap_or_default();
    let (ket, bra) = (four(a), four(&conj));
    let flat4 = |t: Array4<T>, order: [usize; 4], rows: usize| -> Array2<T> {
        let t = t.permuted_axes(order).as_standard_layout().into_owned();
        let columns = t.len() / rows.max(1);
        t.into_shape_with_order((rows, columns)).unwrap_or_default()
    };
    // [ket, bra, ket', bra'] with ket: [(bra, ket', bra'), ket] x [ket, (s, k, right)].
    let first = matmul(
        &flat4(x.clone(), [1, 2, 3, 0], l * l * l).view(),
        Op::None,
        &flat4(ket.clone(), [0, 1, 2, 3], l).view(),
        Op::None,
    );
    // [bra, (ket', bra', s, k, R)] -> bra over its bond and k.
    let first = first.into_shape_with_order((l, l * l, d, k, r)).unwrap_or_default();
    let first = first.permuted_axes([1, 2, 4, 0, 3]).as_standard_layout().into_owned();
    let first = first.into_shape_with_order((l * l * d * r, l * k)).unwrap_or_default();
    let second = matmul(&first.view(), Op::None, &flat4(bra.clone(), [0, 2, 1, 3], l * k).view(), Op::None);
    // [ket', bra', s, R, t, Rb]: ket' has level t, bra' level s.
    let second = second.into_shape_with_order((l, l, d, r, d, r)).unwrap_or_default();
    let second = second.permuted_axes([1, 2, 3, 5, 0, 4]).as_standard_layout().into_owned();
    let second = second.into_shape_with_order((l * d * r * r, l * d)).unwrap_or_default();
    let third = matmul(&second.view(), Op::None, &flat4(ket, [0, 1, 2, 3], l * d).view(), Op::None);
    // [bra', s, R, Rb, k', R'].
    let third = third.into_shape_with_order((l, d, r * r, k, r)).unwrap_or_default();
    let third = third.permuted_axes([2, 4, 0, 1, 3]).as_standard_layout().into_owned();
    let third = third.into_shape_with_order((r * r * r, l * d * k)).unwrap_or_default();
    let last = matmul(&third.view(), Op::None, &flat4(bra, [0, 1, 2, 3], l * d * k).view(), Op::None);
    last.into_shape_with_order((r, r, r, r)).unwrap_or_default()
}

/// The number of an amplitude of a purified chain as that of its physical levels and that of its Kraus levels, the last site
/// fastest in each.
pub(crate) fn apart(index: usize, dims: &[usize], kraus: &[usize]) -> (usize, usize) {
    // From the last site up.
    let (mut rest, mut row, mut column, mut row_step, mut column_step) = (index, 0, 0, 1, 1);
    for (&d, &k) in dims.iter().zip(kraus).rev() {
        let local = rest % (d * k);
        rest /= d * k;
        row += local / k * row_step;
        column += local % k * column_step;
        row_step *= d;
        column_step *= k;
    }
    (row, column)
}
