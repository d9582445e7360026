//! The loss of a chain of few sites, by its density matrix: all rows of all settings share the work for what they have in common.

use ndarray::{Array2, Array3, ArrayView2};
use num_complex::Complex64;

use super::compiled::Compiled;
use super::density::{DENSE_LIMIT, dimension};
use super::likelihood::{Loss, Sites};
use super::products::Products;
use crate::chain::apart;
use crate::error::{Error, Result};
use crate::linalg::{Op, cholesky, matmul, solve};

type C = Complex64;

/// Amplitudes of the purified state, purification included, that are held.
pub(super) const MOST_AMPLITUDES: usize = 1 << 20;

/// ```text
///   M [s0 s1 .., k0 k1 ..] = the chain     rho = M M^H     dL/dconj(M) = M / tr rho - R M,   R = sum of w E / p
/// ```
/// and the derivative by each tensor is that by `M`, with all other tensors contracted into it.
#[derive(Debug, Clone)]
pub(super) struct FewSites {
    products: Products,
    weights: Vec<f64>,
    dimension: usize,
    purification: usize,
    /// Of each amplitude of the chain, `[s0 k0 s1 k1 ..]`, its place in `M`.
    places: Vec<usize>,
    /// `beta / shots` of a hedged likelihood, or 0.
    hedge: f64,
}

impl FewSites {
    /// `None` where chains of these bonds are faster row by row.
    pub fn new(data: &Compiled, kraus: &[usize], bond: usize, vectors: bool) -> Result<Option<Self>> {
        let dims = &data.dims;
        let Some(few) = Self::hedged(data, kraus, 0.0)? else { return Ok(None) };
        let amplitudes = few.dimension * few.purification;
        // Operations of one value and gradient, either way; the trees of rows are bound by memory, hence the factor.
        let (mut along, mut left, mut widest) = (0.0, 1usize, 1usize);
        for (site, (&d, &k)) in dims.iter().zip(kraus).enumerate() {
            let rest = dimension(&dims[site + 1..]).saturating_mul(dimension(&kraus[site + 1..]));
            let right = left.saturating_mul(d * k).min(bond).min(rest);
            let entries = (left * d * k * right) as f64;
            along += if vectors { 24.0 * entries } else { 20.0 * entries * (left + right) as f64 };
            (left, widest) = (right, widest.max(right));
        }
        let along = along * data.rows as f64;
        let dense = 16.0 * few.products.work() as f64 + 16.0 * (amplitudes * (few.dimension + 4 * widest)) as f64;
        Ok((dense <= along).then_some(few))
    }

    /// Whichever way is faster; `None` where there are too many sites. `hedge` is the exponent of the determinant over the shots.
    pub fn hedged(data: &Compiled, kraus: &[usize], hedge: f64) -> Result<Option<Self>> {
        let dims = &data.dims;
        let (dimension, purification) = (dimension(dims), dimension(kraus));
        let amplitudes = dimension.saturating_mul(purification);
        if dimension > DENSE_LIMIT || amplitudes > MOST_AMPLITUDES {
            return Ok(None);
        }
        let products = Products::new(dims, &data.index, &data.elements)?;
        let places = (0..amplitudes)
            .map(|index| {
                let (row, column) = apart(index, dims, kraus);
                row * purification + column
            })
            .collect();
        Ok(Some(FewSites { products, weights: data.weights.clone(), dimension, purification, places, hedge }))
    }

    /// As [`super::likelihood::loss`] of all rows.
    pub fn loss(&self, sites: &Sites) -> Result<Loss> {
        let shaped = |m: Array2<C>, rows: usize, cols: usize| -> Result<Array2<C>> {
            m.into_shape_with_order((rows, cols)).map_err(|e| Error::Format { what: e.to_string() })
        };
        // Beginnings of the chain, [(s0 k0 .. sj kj), bond].
        let mut lefts: Vec<Array2<C>> = vec![Array2::from_elem((1, 1), C::new(1.0, 0.0))];
        for a in &sites.tensors {
            let (l, sk, r) = a.dim();
            let left = &lefts[lefts.len() - 1];
            let next = matmul(&left.view(), Op::None, &flat(a, l, sk * r)?, Op::None);
            let rows = left.nrows() * sk;
            lefts.push(shaped(next, rows, r)?);
        }
        let amplitudes = lefts.pop().unwrap_or_default();
        let mut m = Array2::<C>::zeros((self.dimension, self.purification));
        if let Some(entries) = m.as_slice_mut() {
            self.places.iter().zip(&amplitudes).for_each(|(&place, &x)| entries[place] = x);
        }
        let rho = matmul(&m.view(), Op::None, &m.view(), Op::Adjoint);
        let trace: f64 = rho.diag().iter().map(|x| x.re).sum();
        let p = self.products.expectations(&self.products.coordinates(&rho));
        if p.iter().any(|p| p.is_nan()) || trace.is_nan() {
            return Err(Error::NotFinite { what: "the likelihood".into() });
        }
        let impossible = || {
            let gradient = sites.tensors.iter().map(|a| Array3::zeros(a.dim())).collect();
            Ok(Loss { value: f64::INFINITY, gradient })
        };
        if p.iter().any(|&p| p <= 0.0) || trace <= 0.0 {
            return impossible();
        }
        let mut value = trace.ln() - self.weights.iter().zip(&p).map(|(w, p)| w * p.ln()).sum::<f64>();
        let ratios: Vec<f64> = self.weights.iter().zip(&p).map(|(w, p)| w / p).collect();
        let r = self.products.matrix(&self.products.combination(&ratios))?;
        let slope = matmul(&r.view(), Op::None, &m.view(), Op::None);
        let mut by_m: Vec<C> = m.iter().zip(&slope).map(|(m, s)| m / trace - s).collect();
        if self.hedge > 0.0 {
            // -h (ln det rho - d ln tr rho), whose derivative by conj(M) is -h (rho^-1 M - d M / tr rho).
            let (Ok(triangle), Ok(inverse)) = (cholesky(&rho.view()), solve(&rho.view(), &m.view())) else {
                return impossible();
            };
            let ln_det: f64 = triangle.diag().iter().map(|x| 2.0 * x.re.ln()).sum();
            let d = self.dimension as f64;
            value -= self.hedge * (ln_det - d * trace.ln());
            for ((g, m), i) in by_m.iter_mut().zip(&m).zip(&inverse) {
                *g -= (i - m * (d / trace)) * self.hedge;
            }
        }
        let mut open = Array2::from_shape_fn((by_m.len(), 1), |(i, _)| by_m[self.places[i]]);
        let mut gradient = Vec::with_capacity(sites.tensors.len());
        for (a, left) in sites.tensors.iter().zip(&lefts).rev() {
            let (l, sk, r) = a.dim();
            let wide = shaped(open, left.nrows(), sk * r)?;
            let g = matmul(&left.view(), Op::Adjoint, &wide.view(), Op::None);
            gradient.push(g.into_shape_with_order((l, sk, r)).map_err(|e| Error::Format { what: e.to_string() })?);
            open = matmul(&wide.view(), Op::None, &flat(a, l, sk * r)?, Op::Adjoint);
        }
        gradient.reverse();
        Ok(Loss { value, gradient })
    }
}

fn flat(a: &Array3<C>, rows: usize, cols: usize) -> Result<ArrayView2<'_, C>> {
    ArrayView2::from_shape((rows, cols), a.as_slice().unwrap_or_default())
        .map_err(|e| Error::Format { what: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use crate::tomography::likelihood::loss;
    use crate::tomography::{Lpdo, Noise, Settings, simulate};

    #[test]
    fn the_loss_by_the_density_matrix_is_that_row_by_row() {
        for (purification, bond) in [(1, 3), (2, 4), (3, 2)] {
            let state = Lpdo::random(&[2, 2, 2], bond, purification, 0.7, Seed(3)).unwrap();
            let shots = simulate(&state, &Settings::AllPaulis, 4000, &Noise::default(), Seed(4)).unwrap();
            let data = Compiled::new(&shots, None).unwrap();
            let other = Lpdo::random(&[2, 2, 2], bond, purification, 0.9, Seed(5)).unwrap();
            let mut sites = Sites { tensors: other.chain().tensors().to_vec(), kraus: other.purification().to_vec() };
            sites.tensors[1].mapv_inplace(|x| x * 1.7);
            let few = FewSites::new(&data, &sites.kraus, 1 << 9, false).unwrap().unwrap();
            let rows: Vec<u32> = (0..data.rows as u32).collect();
            let (a, b) = (few.loss(&sites).unwrap(), loss(&sites, &data, &rows).unwrap());
            assert!((a.value - b.value).abs() < 1e-12, "{} {}", a.value, b.value);
            for (x, y) in a.gradient.iter().zip(&b.gradient) {
                assert!((x - y).iter().all(|v| v.norm() < 1e-12));
            }
        }
    }
}
