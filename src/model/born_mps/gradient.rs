//! The gradient of the loss with respect to every site tensor at once.
//!
//! Bonds stay as they are, and nothing is assumed of the gauge. With `L_i`, `R_i` the products of the matrices of sample
//! `i` left and right of site `k`, and `E`, `F` the same of the norm `Z = sum_v |psi(v)|^2`,
//!
//! ```text
//!   NLL = - sum_i w_i ln |psi_i|^2 + ln Z
//!   d NLL / d conj(A_k[v]) = E A_k[v] F^T / Z - sum_(i: v_k = v) w_i conj(L_i^T R_i^T / psi_i)
//! ```
//!
//! For real tensors the derivative is twice that. It is the gradient of Han, Wang, Fan, Wang, Zhang, Phys. Rev. X 8, 031012
//! (2018), for one site in place of two and without a centre.

use ndarray::{Array2, Array3, ArrayD, ArrayView3, ArrayViewMut3, Axis, Ix3, s};
use num_complex::Complex64;
use rayon::prelude::*;

use super::BornMps;
use super::classes::{Position, Samples};
use super::environments::{Environment, Side, listed};
use crate::chain::Mps;
use crate::error::{Error, Place, Result};
use crate::linalg::{Op, gemm, matmul};
use crate::model::{Batch, Differentiable};
use crate::scalar::{Real, Scalar};

/// Chunks whose environments are held at the same time.
const WAVE: usize = 8;
/// Bytes that the environments of a wave may take, unless its chunks would become too small to be worth a product.
const WAVE_BYTES: usize = 256 << 20;

impl<T: Scalar> BornMps<T> {
    /// Mean negative log-likelihood, nats a sample, and its gradient with respect to every site tensor of
    /// [`state`](Self::state), `[left, site, right]` each.
    ///
    /// Each entry counts as a free parameter: the normalisation is part of what is differentiated. The gradient is
    /// `dL/dA` for real tensors and `dL/d conj(A)` for complex ones, as in [`Differentiable::nll_and_gradient`]. The
    /// same bits for any number of threads.
    ///
    /// ```
    /// use ansatz::{Batch, BornMps, GenerativeModel, Seed};
    /// let model = BornMps::<f64>::random(&[2; 6], 4, Seed(1))?;
    /// let data = Batch::from_rows(&[[0u8, 1, 0, 1, 0, 1], [1, 1, 1, 0, 0, 0]])?;
    /// let (nll, gradient) = model.gradient(&data)?;
    /// assert!((nll - model.nll(&data)?).abs() < 1e-12);
    /// // The loss does not change with the norm of a tensor, so no gradient points along it.
    /// let along: f64 = gradient[2].iter().zip(&model.state().tensors()[2]).map(|(g, a)| g * a).sum();
    /// assert!(along.abs() < 1e-12);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Symbol`] if the data do not fit, [`Error::ZeroAmplitude`] if a sample is impossible,
    /// [`Error::NotFinite`] if the gradient is beyond the range of `T`.
    pub fn gradient(&self, batch: &Batch<u8>) -> Result<(f64, Vec<Array3<T>>)> {
        let tensors: Vec<_> = self.state().tensors().iter().map(|a| a.view()).collect();
        nll_and_gradient(&tensors, batch)
    }
}

impl<T: Scalar> Differentiable for BornMps<T> {
    type Number = T;

    fn parameters(&self) -> Vec<ArrayD<T>> {
        self.state().tensors().iter().map(|a| a.clone().into_dyn()).collect()
    }

    fn nll_and_gradient(&self, parameters: &[ArrayD<T>], batch: &Batch<u8>) -> Result<(f64, Vec<ArrayD<T>>)> {
        let (nll, gradient) = nll_and_gradient(&sites(parameters)?, batch)?;
        Ok((nll, gradient.into_iter().map(Array3::into_dyn).collect()))
    }

    /// Each tensor gets the norm of a left isometry of its shape, which is that of most canonical tensors.
    fn rescale(&self, parameters: &mut [ArrayD<T>]) -> Result<()> {
        for (site, tensor) in parameters.iter_mut().enumerate() {
            let square: f64 = tensor.iter().map(|x| x.to_c64().norm_sqr()).sum();
            let wanted = tensor.shape().last().map_or(1.0, |&right| right as f64);
            let factor = (wanted / square).sqrt();
            if !(factor > 0.0 && factor.is_finite()) {
                return Err(
                    Error::NotFinite { what: "a site tensor, or one over its norm".into() }.at(Place::Site(site))
                );
            }
            let factor = T::Real::of(factor);
            tensor.mapv_inplace(|x| x.scale(factor));
        }
        Ok(())
    }

    fn with_parameters(&self, parameters: &[ArrayD<T>]) -> Result<Self> {
        BornMps::new(Mps::new(sites(parameters)?.iter().map(|a| a.to_owned()).collect())?)
    }

    fn bonds(&self) -> Vec<usize> {
        self.state().bonds()
    }

    fn gradient_bytes(&self, parameters: &[ArrayD<T>], samples: usize) -> u64 {
        let tensors = sites(parameters).unwrap_or_default();
        let rows = (WAVE * chunk_rows(&tensors, samples)).min(samples);
        let entries: usize = tensors.iter().map(|a| a.len() + a.dim().0.pow(2) + a.dim().2.pow(2)).sum();
        (rows * row_bytes(&tensors) + entries * size_of::<T>()) as u64
    }
}

/// The arrays as site tensors.
fn sites<T: Scalar>(parameters: &[ArrayD<T>]) -> Result<Vec<ArrayView3<'_, T>>> {
    let site = |(site, a): (usize, &'_ ArrayD<T>)| -> Result<()> {
        match a.ndim() {
            3 => Ok(()),
            _ => Err(Error::shape("a site tensor", a.shape(), "[left, site, right]").at(Place::Site(site))),
        }
    };
    parameters.iter().enumerate().try_for_each(site)?;
    Ok(parameters.iter().filter_map(|a| a.view().into_dimensionality::<Ix3>().ok()).collect())
}

/// That the tensors make a chain.
fn check<T: Scalar>(tensors: &[ArrayView3<T>]) -> Result<()> {
    if tensors.is_empty() || tensors.iter().any(|a| a.is_empty()) {
        return Err(Error::Empty { what: "a chain, or a tensor of it,".into() });
    }
    let mut bond = 1;
    for (site, tensor) in tensors.iter().enumerate() {
        let (l, d, r) = tensor.dim();
        let right = if site + 1 == tensors.len() { 1 } else { r };
        if (l, r) != (bond, right) {
            return Err(Error::shape("a site tensor", [l, d, r], [bond, d, right]).at(Place::Site(site)));
        }
        bond = r;
    }
    Ok(())
}

fn nll_and_gradient<T: Scalar>(tensors: &[ArrayView3<T>], batch: &Batch<u8>) -> Result<(f64, Vec<Array3<T>>)> {
    check(tensors)?;
    batch.check(&tensors.iter().map(|a| a.dim().1).collect::<Vec<_>>())?;
    let norm = Norm::new(tensors)?;
    let mut gradient: Vec<Array3<T>> = tensors.iter().map(|a| Array3::zeros(a.dim())).collect();
    let mut nll = norm.ln;
    let view = batch.view();
    let mut order: Vec<usize> = (0..batch.samples()).collect();
    // Neighbours share prefixes, so chunks of neighbours have few environments on the left.
    order.sort_by(|&i, &j| view.row(i).iter().cmp(view.row(j)).then(i.cmp(&j)));
    let rows = chunk_rows(tensors, batch.samples());
    for wave in order.chunks(WAVE * rows) {
        let chunks: Vec<Result<Chunk<T>>> =
            wave.par_chunks(rows).map(|rows| Chunk::new(tensors, batch, rows)).collect();
        // The first of several errors, whichever thread was faster.
        let chunks = chunks.into_iter().collect::<Result<Vec<_>>>()?;
        nll += chunks.iter().map(|chunk| chunk.nll).sum::<f64>();
        // Sites share nothing that is written, and each adds up the chunks in their order.
        gradient.par_iter_mut().enumerate().for_each(|(site, sum)| {
            chunks.iter().for_each(|chunk| chunk.add(site, &mut sum.view_mut()));
        });
    }
    gradient.par_iter_mut().enumerate().for_each(|(site, sum)| norm.subtract(site, &tensors[site], sum));
    if !nll.is_finite() {
        return Err(Error::NotFinite { what: "the loss".into() });
    }
    match gradient.iter().position(|g| g.iter().any(|x| !x.is_finite())) {
        Some(site) => Err(Error::NotFinite { what: "the gradient".into() }.at(Place::Site(site))),
        None => Ok((nll, gradient)),
    }
}

/// Bytes of the environments of one sample on both sides, and of its classes.
fn row_bytes<T: Scalar>(tensors: &[ArrayView3<T>]) -> usize {
    tensors.iter().map(|a| (a.dim().0 + a.dim().2) * size_of::<T>() + 32).sum()
}

/// Samples of a chunk; from the shapes alone, so that results do not depend on the number of threads.
fn chunk_rows<T: Scalar>(tensors: &[ArrayView3<T>], samples: usize) -> usize {
    let fit = (WAVE_BYTES / WAVE / row_bytes(tensors).max(1)).clamp(16, 512);
    // A small batch is dealt out all the same.
    fit.min(samples.div_ceil(WAVE).max(64))
}

/// Scales to a largest entry of order one by a power of two, which rounds nothing; the logarithm of what was divided out.
fn rescale<T: Scalar, D: ndarray::Dimension>(mut entries: ndarray::ArrayViewMut<T, D>) -> f64 {
    let largest =
        entries.iter().map(|x| Real::to_f64(x.re()).abs().max(Real::to_f64(x.im()).abs())).fold(0.0, f64::max);
    if !(largest > 0.0 && largest.is_finite()) || (0.25..4.0).contains(&largest) {
        return 0.0;
    }
    let exponent = largest.log2().round();
    // In two halves: the whole may be a power that `T` does not have.
    for part in [(exponent / 2.0).floor(), exponent - (exponent / 2.0).floor()] {
        let factor = T::Real::of((-part).exp2());
        entries.mapv_inplace(|x| x.scale(factor));
    }
    exponent * std::f64::consts::LN_2
}

/// Some of the samples with all their environments.
struct Chunk<T> {
    samples: Samples,
    /// `left[k]`: of the prefixes of length `k`.
    left: Vec<Environment<T>>,
    /// `right[k]`: of the suffixes from `k` on.
    right: Vec<Environment<T>>,
    /// `prefix[k]`, `suffix[k]`: the class of each sample.
    prefix: Vec<Vec<u32>>,
    suffix: Vec<Vec<u32>>,
    /// Share of each sample over its amplitude, and the logarithm of the amplitude's scale.
    inverse: Vec<(Complex64, f64)>,
    /// Their part of the loss, without the norm.
    nll: f64,
}

impl<T: Scalar> Chunk<T> {
    fn new(tensors: &[ArrayView3<T>], batch: &Batch<u8>, rows: &[usize]) -> Result<Self> {
        let sites = tensors.len();
        let dims: Vec<usize> = tensors.iter().map(|a| a.dim().1).collect();
        let samples = Samples::new(&batch.select(rows)?, &dims);
        let from_left = || {
            let mut environments = vec![Environment::edge()];
            for (site, tensor) in tensors.iter().enumerate() {
                let level = samples.prefixes(site + 1);
                environments.push(environments[site].advance(level, tensor, Side::Left, Default::default()));
            }
            environments
        };
        let from_right = || {
            let mut environments = vec![Environment::edge()];
            for (site, tensor) in tensors.iter().enumerate().rev() {
                let (last, level) = (&environments[sites - 1 - site], samples.suffixes(site));
                let next = last.advance(level, tensor, Side::Right, Default::default());
                environments.push(next);
            }
            environments.reverse();
            environments
        };
        let (left, right) = rayon::join(from_left, from_right);
        let mut position = Position::new(&samples);
        let (mut prefix, mut suffix) = (Vec::with_capacity(sites + 1), Vec::with_capacity(sites + 1));
        for k in 0..=sites {
            position.seek(&samples, k, sites - k);
            prefix.push(position.prefix.clone());
            suffix.push(position.suffix.clone());
        }
        suffix.reverse();
        let share = rows.len() as f64 / batch.samples() as f64;
        let (mut inverse, mut nll) = (Vec::with_capacity(samples.len()), 0.0);
        for (i, &weight) in samples.weights.iter().enumerate() {
            let class = prefix[sites][i] as usize;
            let (psi, ln) = (left[sites].rows[[class, 0]].to_c64(), left[sites].ln_scale(class));
            let sample = rows[samples.origin[i]];
            if psi.norm() == 0.0 {
                return Err(Error::ZeroAmplitude { sample });
            }
            if !psi.is_finite() {
                return Err(Error::NotFinite { what: "its amplitude".into() }.at(Place::Sample(sample)));
            }
            nll -= 2.0 * share * weight * (psi.norm().ln() + ln);
            inverse.push((share * weight / psi, ln));
        }
        Ok(Chunk { samples, left, right, prefix, suffix, inverse, nll })
    }

    /// Adds `sum_i w_i L_i R_i / psi_i` at the symbol of each sample to `sum` `[left, site, right]`.
    fn add(&self, site: usize, sum: &mut ArrayViewMut3<T>) {
        let (left, right) = (&self.left[site], &self.right[site + 1]);
        let level = self.samples.prefixes(site + 1);
        // Samples that agree up to and with this site meet in one row.
        let mut sums = Array2::<T>::zeros((level.len(), right.rows.ncols()));
        for (i, &(inverse, ln)) in self.inverse.iter().enumerate() {
            let (class, other) = (self.prefix[site + 1][i] as usize, self.suffix[site + 1][i] as usize);
            let scale = (left.ln_scale(level.parent[class] as usize) + right.ln_scale(other) - ln).exp();
            let factor = T::from_parts(inverse.re * scale, inverse.im * scale);
            sums.row_mut(class).scaled_add(factor, &right.rows.row(other));
        }
        let mut gathered = Vec::new();
        for symbol in 0..sum.dim().1 {
            let range = level.start[symbol]..level.start[symbol + 1];
            if !range.is_empty() {
                let from = left.rows.view();
                let rows = listed(&from, level.parent[range.clone()].iter().copied(), &mut gathered);
                let (sums, mut block) = (sums.slice(s![range, ..]), sum.slice_mut(s![.., symbol, ..]));
                gemm(T::one(), &rows, Op::Transpose, &sums, Op::None, T::one(), &mut block);
            }
        }
    }
}

/// The environments of the norm at every bond: `E[a, a'] = sum_v conj(L_a) L_a'` and `F` likewise, scaled.
struct Norm<T> {
    left: Vec<(Array2<T>, f64)>,
    right: Vec<(Array2<T>, f64)>,
    /// `ln Z`.
    ln: f64,
}

impl<T: Scalar> Norm<T> {
    fn new(tensors: &[ArrayView3<T>]) -> Result<Self> {
        let edge = || (Array2::ones((1, 1)), 0.0);
        let from_left = || {
            let mut environments = vec![edge()];
            for (site, tensor) in tensors.iter().enumerate() {
                let mut sum = Array2::zeros((tensor.dim().2, tensor.dim().2));
                for a in tensor.axis_iter(Axis(1)) {
                    let half = matmul(&environments[site].0.view(), Op::None, &a, Op::None);
                    gemm(T::one(), &a, Op::Adjoint, &half.view(), Op::None, T::one(), &mut sum.view_mut());
                }
                let ln = environments[site].1 + rescale(sum.view_mut());
                environments.push((sum, ln));
            }
            environments
        };
        let from_right = || {
            let mut environments = vec![edge()];
            for (step, tensor) in tensors.iter().rev().enumerate() {
                let mut sum = Array2::zeros((tensor.dim().0, tensor.dim().0));
                for a in tensor.axis_iter(Axis(1)) {
                    let half = matmul(&a, Op::Conj, &environments[step].0.view(), Op::None);
                    gemm(T::one(), &half.view(), Op::None, &a, Op::Transpose, T::one(), &mut sum.view_mut());
                }
                let ln = environments[step].1 + rescale(sum.view_mut());
                environments.push((sum, ln));
            }
            environments.reverse();
            environments
        };
        let (left, right) = rayon::join(from_left, from_right);
        let (square, ln) = (Real::to_f64(left[tensors.len()].0[[0, 0]].re()), left[tensors.len()].1);
        if !(square > 0.0 && square.is_finite()) {
            return Err(Error::NotFinite { what: "the norm of the state, or one over it".into() });
        }
        Ok(Norm { left, right, ln: square.ln() + ln })
    }

    /// Turns the sum over the samples into the derivative of the loss.
    fn subtract(&self, site: usize, tensor: &ArrayView3<T>, sum: &mut Array3<T>) {
        let ((e, ln_e), (f, ln_f)) = (&self.left[site], &self.right[site + 1]);
        let unit = if T::IS_COMPLEX { 1.0 } else { 2.0 };
        let scale = T::from_f64(unit * (ln_e + ln_f - self.ln).exp());
        let minus = T::from_f64(-unit);
        for (symbol, a) in tensor.axis_iter(Axis(1)).enumerate() {
            let mut block = sum.slice_mut(s![.., symbol, ..]);
            block.mapv_inplace(|x| minus * x.conj());
            let half = matmul(&e.view(), Op::None, &a, Op::None);
            gemm(scale, &half.view(), Op::None, &f.view(), Op::Transpose, T::one(), &mut block);
        }
    }
}
