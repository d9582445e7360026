//! Preservation of the trace by a process in the form of a chain.

use ndarray::{Array2, Array3};
use num_complex::Complex64;

use super::likelihood::{Sites, norm};
use crate::error::{Error, Result};
use crate::linalg::{Op, matmul};

type C = Complex64;

/// How far a chain of the Choi state is from a map that preserves the trace. The site leg of the chain is input and output fused, the
/// input slow; `rho_in` is the Choi state without its outputs, and preservation means that it is maximally mixed.
///
/// ```text
///   W = A conj(A), output and purification summed: rho_in as a chain of bonds D^2       tr rho_in^2 = <W|W>
///   excess = d tr rho_in^2 - 1 = |T - 1|^2 / d,   T = tr_out J   (d levels of all inputs)
/// ```
#[derive(Debug, Clone)]
pub(super) struct Preservation {
    /// Levels of the inputs.
    pub inputs: Vec<usize>,
}

impl Preservation {
    /// The excess, which is at least 0 and 0 for a map that preserves the trace, and its derivative by `conj(A)`. The square root of
    /// it is the deviation of the eigenvalues of `T` from 1, in the mean square.
    pub fn excess(&self, sites: &Sites) -> Result<(f64, Vec<Array3<C>>)> {
        let shape = |e: ndarray::ShapeError| Error::Format { what: e.to_string() };
        let one = || Array2::from_elem((1, 1), C::new(1.0, 0.0));
        let mut doubled: Vec<Array3<C>> = Vec::with_capacity(sites.tensors.len());
        for (a, &d) in sites.tensors.iter().zip(&self.inputs) {
            doubled.push(self.doubled(a, d)?);
        }
        let (mut lefts, mut ln) = (vec![one()], 0.0);
        for w in &doubled {
            let (l, s, r) = w.dim();
            let left = &lefts[lefts.len() - 1];
            let flat = w.view().into_shape_with_order((l, s * r)).map_err(shape)?;
            // [bra, (s r)], then [bra r, ket r]
            let half =
                matmul(&left.view(), Op::None, &flat, Op::None).into_shape_with_order((l * s, r)).map_err(shape)?;
            let tall = w.view().into_shape_with_order((l * s, r)).map_err(shape)?;
            let mut next = matmul(&tall, Op::Adjoint, &half.view(), Op::None);
            let size = next.iter().fold(0.0f64, |m, x| m.max(x.norm()));
            if size > 0.0 {
                next.mapv_inplace(|x| x / size);
                ln += size.ln();
            }
            lefts.push(next);
        }
        let last = lefts.pop().map_or(0.0, |e| e[[0, 0]].re);
        let (ln_norm, by_norm) = norm(sites);
        let levels: f64 = self.inputs.iter().map(|&d| (d as f64).ln()).sum();
        let ratio = (levels + ln + last.ln() - 2.0 * ln_norm).exp();
        if !ratio.is_finite() {
            return Err(Error::NotFinite { what: "the trace of a process".into() });
        }
        let mut gradient = Vec::with_capacity(doubled.len());
        let mut right = one();
        for (((w, left), a), (&d, by_norm)) in
            doubled.iter().zip(&lefts).zip(&sites.tensors).zip(self.inputs.iter().zip(&by_norm)).rev()
        {
            let (l, s, r) = w.dim();
            let tall = w.view().into_shape_with_order((l * s, r)).map_err(shape)?;
            // [(l s), bra r]; right is [ket r, bra r]
            let half =
                matmul(&tall, Op::None, &right.view(), Op::None).into_shape_with_order((l, s * r)).map_err(shape)?;
            let g = matmul(&left.view(), Op::None, &half.view(), Op::None);
            let flat = w.view().into_shape_with_order((l, s * r)).map_err(shape)?;
            // Scales of the environments drop out: the derivative along W itself is 1.
            let along: f64 = flat.iter().zip(&g).map(|(w, g)| (w.conj() * g).re).sum();
            let acted = folded(&g, a, d)?;
            gradient.push(Array3::from_shape_fn(a.dim(), |i| (acted[i] * (2.0 / along) - by_norm[i] * 2.0) * ratio));
            right = matmul(&half.view(), Op::None, &flat, Op::Adjoint);
            let size = right.iter().fold(0.0f64, |m, x| m.max(x.norm())).max(f64::MIN_POSITIVE);
            right.mapv_inplace(|x| x / size);
        }
        gradient.reverse();
        Ok((ratio - 1.0, gradient))
    }

    /// `W [(l l'), (i i'), (r r')]`, the sum over output and purification of `A conj(A)`.
    fn doubled(&self, a: &Array3<C>, d: usize) -> Result<Array3<C>> {
        let (l, _, r) = a.dim();
        let rows = outer(a, d)?;
        let product = matmul(&rows.view(), Op::None, &rows.view(), Op::Adjoint);
        // [(l i r), (l' i' r')]
        Ok(Array3::from_shape_fn((l * l, d * d, r * r), |(ll, ii, rr)| {
            let (x, y) = ((ll / l * d + ii / d) * r + rr / r, (ll % l * d + ii % d) * r + rr % r);
            product[[x, y]]
        }))
    }
}

/// `A [(l i r), (output purification)]`
fn outer(a: &Array3<C>, d: usize) -> Result<Array2<C>> {
    let (l, s, r) = a.dim();
    if s % d != 0 {
        return Err(Error::shape("a process: the leg of a site", s, format!("a multiple of its {d} input levels")));
    }
    let rest = s / d;
    Ok(Array2::from_shape_fn((l * d * r, rest), |(row, o)| a[[row / (d * r), row / r % d * rest + o, row % r]]))
}

/// `sum over l', i', r' of G [(l l'), (i i'), (r r')] A [l', i', .., r']`, in the shape of `A`.
fn folded(g: &Array2<C>, a: &Array3<C>, d: usize) -> Result<Array3<C>> {
    let (l, s, r) = a.dim();
    let rest = s / d;
    let matrix = Array2::from_shape_fn((l * d * r, l * d * r), |(x, y)| {
        let (x0, xi, xr) = (x / (d * r), x / r % d, x % r);
        let (y0, yi, yr) = (y / (d * r), y / r % d, y % r);
        g[[x0 * l + y0, (xi * d + yi) * r * r + xr * r + yr]]
    });
    let acted = matmul(&matrix.view(), Op::None, &outer(a, d)?.view(), Op::None);
    Ok(Array3::from_shape_fn((l, s, r), |(x, io, y)| acted[[(x * d + io / rest) * r + y, io % rest]]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use crate::tomography::Lpdo;

    #[test]
    fn the_excess_is_that_of_the_dense_input_state_and_its_derivative_that_of_differences() {
        let state = Lpdo::random(&[4, 6, 4], 3, 2, 0.6, Seed(8)).unwrap();
        let mut sites = Sites { tensors: state.chain().tensors().to_vec(), kraus: state.purification().to_vec() };
        sites.tensors[1].mapv_inplace(|x| x * 1.3);
        let keeps = Preservation { inputs: vec![2, 3, 2] };
        let (excess, gradient) = keeps.excess(&sites).unwrap();
        let rho = state.density().unwrap();
        let inputs = crate::tomography::density::partial_trace(
            &rho.view(),
            &[2, 2, 3, 2, 2, 2],
            &[true, false, true, false, true, false],
        )
        .unwrap();
        let purity: f64 = inputs.iter().map(|x| x.norm_sqr()).sum();
        assert!((excess - (12.0 * purity - 1.0)).abs() < 1e-12, "{excess}");
        for (site, at) in [(0, [0, 3, 1]), (1, [2, 5, 0]), (2, [1, 0, 0])] {
            for direction in [C::new(1.0, 0.0), C::new(0.0, 1.0)] {
                let step = 1e-6;
                let mut value = |x: f64| {
                    sites.tensors[site][at] += direction * x;
                    let v = keeps.excess(&sites).unwrap().0;
                    sites.tensors[site][at] -= direction * x;
                    v
                };
                let slope = (value(step) - value(-step)) / (2.0 * step);
                let found = 2.0 * (gradient[site][at].conj() * direction).re;
                assert!((slope - found).abs() < 1e-7, "{slope} {found}");
            }
        }
    }
}
