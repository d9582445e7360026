//! Mixed states as locally purified chains.

use ndarray::{Array2, Array3, Array4};

use super::canonical::rescale;
use super::local::cut;
use super::mps::{left_matrix, matrix, right_matrix, site_tensor};
use super::{Mps, Toward};
use crate::error::{Error, Place, Result};
use crate::linalg::{Op, Truncation, matmul, truncated_svd};
use crate::scalar::{LogScaled, Real, Scalar};

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
    /// As [`Mps::to_dense`].
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

    /// Draws a configuration; the centre has to be at site 0. Kraus legs of up to 128 for sites of 2 levels.
    pub(crate) fn draw(&self, uniform: impl FnMut() -> f64, symbols: &mut [u8]) {
        // The legs are drawn too, and forgotten.
        self.state.draw(uniform, symbols);
        symbols.iter_mut().zip(&self.kraus).for_each(|(s, &k)| *s = (usize::from(*s) / k) as u8);
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

/// `[out, in]` on the levels as `[(out, k), (in, k)]`.
fn beside_identity<T: Scalar>(operator: &Array2<T>, kraus: usize) -> Array2<T> {
    let (rows, columns) = operator.dim();
    Array2::from_shape_fn((rows * kraus, columns * kraus), |(i, j)| {
        if i % kraus == j % kraus { operator[[i / kraus, j / kraus]] } else { T::zero() }
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use num_complex::Complex64;

    fn normal(rows: usize, columns: usize, seed: u64) -> Array2<Complex64> {
        let mut stream = Seed(seed).stream("matrix", 0);
        Array2::from_shape_simple_fn((rows, columns), || Complex64::normal(&mut stream))
    }

    /// Kraus operators of a random channel: blocks of an isometry.
    fn channel(d: usize, count: usize, seed: u64) -> Vec<Array2<Complex64>> {
        let isometry = crate::linalg::qr(&normal(d * count, d, seed).view()).unwrap().0;
        (0..count).map(|i| isometry.slice(ndarray::s![i * d..(i + 1) * d, ..]).to_owned()).collect()
    }

    fn unitary(d: usize, seed: u64) -> Array2<Complex64> {
        crate::linalg::qr(&normal(d, d, seed).view()).unwrap().0
    }

    /// An operator on sites in a row as one on the whole.
    fn whole(dims: &[usize], first: usize, operator: &Array2<Complex64>) -> Array2<Complex64> {
        let before: usize = dims[..first].iter().product();
        let after = dims.iter().product::<usize>() / before / operator.nrows();
        let kron = |a: &Array2<Complex64>, b: &Array2<Complex64>| {
            let (m, n) = (b.nrows(), b.ncols());
            Array2::from_shape_fn((a.nrows() * m, a.ncols() * n), |(i, j)| a[[i / m, j / n]] * b[[i % m, j % n]])
        };
        kron(&kron(&Array2::eye(before), operator), &Array2::eye(after))
    }

    fn conjugated(operators: &[Array2<Complex64>], rho: &Array2<Complex64>) -> Array2<Complex64> {
        let mut sum = Array2::zeros(rho.dim());
        for k in operators {
            let half = matmul(&k.view(), Op::None, &rho.view(), Op::None);
            sum = sum + matmul(&half.view(), Op::None, &k.view(), Op::Adjoint);
        }
        sum
    }

    #[test]
    fn channels_and_gates_agree_with_the_density_matrix() {
        let dims = [2, 3, 2];
        let vectors: Vec<Vec<Complex64>> = dims.iter().map(|&d| unitary(d, d as u64).column(0).to_vec()).collect();
        let mut rho = Purified::product(&vectors).unwrap();
        let mut expected = rho.to_dense().unwrap();
        let none = Truncation::none().cutoff(1e-14);
        for round in 0..3_u64 {
            let bond = round as usize % 2;
            let pair = dims[bond] * dims[bond + 1];
            let gate = unitary(pair, 20 + round);
            rho.apply_pair(bond, &gate, &none, Toward::Right).unwrap();
            expected = conjugated(&[whole(&dims, bond, &gate)], &expected);
            let site = (2 * round as usize + 1) % 3;
            let noise = channel(dims[site], 3, 30 + round);
            rho.apply_channel(site, &noise, &none).unwrap();
            expected = conjugated(&noise.iter().map(|k| whole(&dims, site, k)).collect::<Vec<_>>(), &expected);
            let noise = channel(pair, 2, 40 + round);
            rho.apply_to_pair(bond, &noise, &none, Toward::Left).unwrap();
            rho.cut_leg(bond, &none).unwrap();
            expected = conjugated(&noise.iter().map(|k| whole(&dims, bond, k)).collect::<Vec<_>>(), &expected);
            let single = unitary(dims[site], 50 + round);
            rho.apply_unitary(site, &single).unwrap();
            expected = conjugated(&[whole(&dims, site, &single)], &expected);
        }
        let found = rho.to_dense().unwrap();
        let error = found.iter().zip(&expected).map(|(a, b)| (a - b).norm()).fold(0.0, f64::max);
        assert!(error < 1e-12, "{error:.1e}");
        let square = matmul(&expected.view(), Op::None, &expected.view(), Op::None).diag().sum().re;
        assert!((rho.purity() - square).abs() < 1e-12, "{} {square}", rho.purity());
        let (x, y) = (unitary(2, 1), unitary(2, 2));
        let (x, y) = (&x + &x.t().mapv(|z| z.conj()), &y + &y.t().mapv(|z| z.conj()));
        let product = matmul(&whole(&dims, 0, &x).view(), Op::None, &whole(&dims, 2, &y).view(), Op::None);
        let value = matmul(&product.view(), Op::None, &expected.view(), Op::None).diag().sum().re;
        assert!((rho.expectation(&[(0, x), (2, y)]).unwrap() - value).abs() < 1e-12);
        let marginal = rho.marginal(&[0, 2]).unwrap();
        for (index, p) in marginal.iter().enumerate() {
            let place = |i: usize| 2 * (i / 6) + i % 2 == index;
            let sum: f64 = (0..12).filter(|&i| place(i)).map(|i| expected[[i, i]].re).sum();
            assert!((p - sum).abs() < 1e-12);
        }
    }

    #[test]
    fn what_is_cut_is_told() {
        let mut rho = Purified::<f64>::product(&[vec![1.0, 0.0], vec![0.6, 0.8]]).unwrap();
        let p = 0.1_f64;
        let flip = [Array2::eye(2) * (1.0 - p).sqrt(), ndarray::arr2(&[[0.0, 1.0], [1.0, 0.0]]) * p.sqrt()];
        // The two branches of site 0 are orthogonal, so the smaller one is what a single leg drops.
        let dropped = rho.apply_channel(0, &flip, &Truncation::none().max_bond(1)).unwrap();
        assert!((dropped - p).abs() < 1e-14 && rho.kraus() == [1, 1]);
        assert!(rho.apply_channel(0, &[], &Truncation::none()).is_err());
        assert!(rho.apply_channel(2, &flip, &Truncation::none()).is_err());
        assert!(rho.apply_channel(1, &[Array2::eye(3)], &Truncation::none()).is_err());
    }
}
