//! Reduced density matrices, local expectations and correlations of a normalised state.

use std::ops::Range;

use ndarray::{Array2, Array3, ArrayView2};
use rayon::prelude::*;

use super::Mps;
use super::mps::{flat, left_matrix, matrix, norm_of, right_matrix};
use super::small::{multiply, multiply_adjoint};
use crate::error::{Error, Place, Result};
use crate::linalg::{Op, matmul};
use crate::scalar::{Real, Scalar};

/// Entries a density matrix may have.
const DENSITY_LIMIT: usize = 1 << 24;

impl<T: Scalar> Mps<T> {
    /// The density matrix of the sites in `block`, `[(s0 s1 ...), (t0 t1 ...)]`, all others traced out; of trace 1.
    ///
    /// Moves the canonical centre into the block.
    ///
    /// # Errors
    /// [`Error::Setting`] if the block is empty or beyond the chain, [`Error::Memory`] beyond `2^24` entries,
    /// [`Error::NotFinite`] if the state is zero.
    pub fn density_matrix(&mut self, block: Range<usize>) -> Result<Array2<T>> {
        if block.is_empty() || block.end > self.sites() {
            let expected = format!("give a range that is not empty within 0..{}", self.sites());
            return Err(Error::setting("block", format!("{block:?}"), expected));
        }
        let size = self.dims()[block.clone()].iter().fold(1usize, |n, &d| n.saturating_mul(d));
        check_density_size(size, T::KIND.bytes())?;
        self.move_centre(self.left.clamp(block.start, block.end - 1))?;
        let bond = self.tensors[block.start].dim().0;
        let mut merged = left_matrix(&self.tensors[block.start]).to_owned();
        for site in block.start + 1..block.end {
            let (_, d, r) = self.tensors[site].dim();
            let grown = matmul(&merged.view(), Op::None, &right_matrix(&self.tensors[site]), Op::None);
            let rows = grown.nrows() * d;
            merged = grown.into_shape_with_order((rows, r)).unwrap_or_default();
        }
        let far = merged.ncols();
        let theta = merged.into_shape_with_order((bond, size, far)).unwrap_or_default();
        let theta = theta.permuted_axes([1, 0, 2]).as_standard_layout().into_owned();
        let theta = matrix(size, bond * far, flat(&theta)).to_owned();
        unit_trace(matmul(&theta.view(), Op::None, &theta.view(), Op::Adjoint))
    }

    /// The density matrix of two sites, `[(s_i s_j), (t_i t_j)]`, all others traced out; of trace 1. `i` is below `j`.
    ///
    /// # Errors
    /// [`Error::Setting`] if `i` is not below `j` or `j` is beyond the chain; as
    /// [`density_matrix`](Self::density_matrix).
    pub fn density_matrix_of_pair(&mut self, i: usize, j: usize) -> Result<Array2<T>> {
        self.check_site(j)?;
        if i >= j {
            return Err(Error::setting("pair", format!("({i}, {j})"), "give the smaller site first"));
        }
        self.move_centre(i)?;
        let (a, b) = (&self.tensors[i], &self.tensors[j]);
        let (di, dj) = (a.dim().1, b.dim().1);
        check_density_size(di.saturating_mul(dj), T::KIND.bytes())?;
        let (first, last) = (symbols(a), symbols(b));
        let mut density = Array2::zeros((di * dj, di * dj));
        for s in 0..di {
            for t in 0..di {
                // [bra bond, ket bond] with s in the ket and t in the bra.
                let mut x = matmul(&first[t].view(), Op::Adjoint, &first[s].view(), Op::None);
                for between in &self.tensors[i + 1..j] {
                    x = transfer(&x, between);
                }
                for s2 in 0..dj {
                    let y = matmul(&x.view(), Op::None, &last[s2].view(), Op::None);
                    for t2 in 0..dj {
                        density[[s * dj + s2, t * dj + t2]] =
                            last[t2].iter().zip(&y).map(|(&bra, &ket)| bra.conj() * ket).sum();
                    }
                }
            }
        }
        unit_trace(density)
    }

    /// `<O>` of an operator `[out, in]` of one site.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is no such site, [`Error::Shape`] if the operator does not fit it,
    /// [`Error::NotFinite`] if the state is zero.
    pub fn local_expectation(&mut self, site: usize, operator: &Array2<T>) -> Result<T> {
        self.check_site(site)?;
        check_operator(operator, self.tensors[site].dim().1).map_err(|e| e.at(Place::Site(site)))?;
        self.move_centre(site)?;
        let a = &self.tensors[site];
        let norm = norm_of(flat(a));
        if norm == 0.0 || self.factor.is_zero() {
            return Err(Error::NotFinite { what: "an expectation in a state of norm zero".into() });
        }
        let value = inner(flat(a), flat(&with_operator(a, operator)));
        Ok(value.scale(T::Real::of(1.0 / (norm * norm))))
    }

    /// `<O>` of an operator `[out, in]` at every site.
    ///
    /// # Errors
    /// As [`local_expectation`](Self::local_expectation).
    pub fn local_expectations(&mut self, operator: &Array2<T>) -> Result<Vec<T>> {
        (0..self.sites()).map(|site| self.local_expectation(site, operator)).collect()
    }

    /// `<A_i B_j>` for all pairs of sites, `[i, j]`; on the diagonal stands the product `<(A B)_i>`.
    ///
    /// With the centre at site 0 all that is right of a pair is an identity. The environments with `A` put in at every
    /// earlier site are carried along together, so that all pairs cost `O(sites^2 d D^3)` and each pair only `D^2` more.
    ///
    /// # Errors
    /// As [`local_expectation`](Self::local_expectation); [`Error::Memory`] beyond `2^24` entries.
    pub fn correlations(&mut self, a: &Array2<T>, b: &Array2<T>) -> Result<Array2<T>> {
        let sites = self.sites();
        check_density_size(sites, T::KIND.bytes())?;
        for (site, d) in self.dims().into_iter().enumerate() {
            check_operator(a, d).and(check_operator(b, d)).map_err(|e| e.at(Place::Site(site)))?;
        }
        self.move_centre(0)?;
        let norm = norm_of(flat(&self.tensors[0]));
        if norm == 0.0 || self.factor.is_zero() {
            return Err(Error::NotFinite { what: "a correlation in a state of norm zero".into() });
        }
        let mut pairs = self.ordered_pairs(a, b);
        let swapped = if a == b { None } else { Some(self.ordered_pairs(b, a)) };
        for i in 0..sites {
            for j in 0..i {
                pairs[[i, j]] = swapped.as_ref().map_or(pairs[[j, i]], |s| s[[j, i]]);
            }
        }
        let both = a.dot(b);
        let mut environment = Array2::eye(1);
        for (site, tensor) in self.tensors.iter().enumerate() {
            pairs[[site, site]] = inner_with(&environment, &closed(tensor, &both));
            environment = transfer(&environment, tensor);
        }
        let scale = T::Real::of(1.0 / (norm * norm));
        Ok(pairs.mapv(|x| x.scale(scale)))
    }

    /// `<first_i second_j>` for `i < j`, not normalised, in a state with its centre at site 0.
    fn ordered_pairs(&self, first: &Array2<T>, second: &Array2<T>) -> Array2<T> {
        let mut pairs = Array2::zeros((self.sites(), self.sites()));
        let mut plain = Array2::eye(1);
        // One environment for each earlier site.
        let mut marked: Vec<Array2<T>> = Vec::with_capacity(self.sites());
        for (site, tensor) in self.tensors.iter().enumerate() {
            let end = closed(tensor, second);
            let step = |x: &Array2<T>| (inner_with(x, &end), transfer(x, tensor));
            let stepped: Vec<_> = if marked.len() * tensor.len() > 1 << 14 {
                marked.par_iter().map(step).collect()
            } else {
                marked.iter().map(step).collect()
            };
            marked.clear();
            for (i, (value, next)) in stepped.into_iter().enumerate() {
                pairs[[i, site]] = value;
                marked.push(next);
            }
            marked.push(transfer_between(tensor, &plain, &with_operator(tensor, first)));
            plain = transfer(&plain, tensor);
        }
        pairs
    }
}

fn check_density_size(size: usize, bytes: usize) -> Result<()> {
    let entries = size.saturating_mul(size);
    if entries <= DENSITY_LIMIT {
        return Ok(());
    }
    Err(Error::Memory {
        what: format!("a matrix of {size} x {size} entries"),
        needed: (entries as u64).saturating_mul(bytes as u64),
        ceiling: (DENSITY_LIMIT * bytes) as u64,
        way_out: "ask for fewer sites".into(),
    })
}

fn check_operator<T: Scalar>(operator: &Array2<T>, d: usize) -> Result<()> {
    if operator.dim() != (d, d) {
        return Err(Error::shape("an operator (out, in)", operator.dim(), (d, d)));
    }
    if operator.iter().all(|x| x.is_finite()) {
        return Ok(());
    }
    Err(Error::NotFinite { what: "an operator of one site".into() })
}

fn unit_trace<T: Scalar>(density: Array2<T>) -> Result<Array2<T>> {
    let trace: f64 = density.diag().iter().map(|x| x.re().to_f64()).sum();
    if trace > 0.0 && trace.is_finite() {
        return Ok(density.mapv(|x| x.scale(T::Real::of(1.0 / trace))));
    }
    Err(Error::NotFinite { what: "the density matrix of a state of norm zero".into() })
}

/// The matrix `[left, right]` of each symbol.
fn symbols<T: Scalar>(a: &Array3<T>) -> Vec<Array2<T>> {
    a.axis_iter(ndarray::Axis(1)).map(|m| m.as_standard_layout().into_owned()).collect()
}

/// `sum_in O[out, in] A[left, in, right]`
fn with_operator<T: Scalar>(a: &Array3<T>, operator: &Array2<T>) -> Array3<T> {
    let mut product = Array3::zeros(a.dim());
    for ((out, input), &weight) in operator.indexed_iter().filter(|(_, w)| **w != T::zero()) {
        let source = a.slice(ndarray::s![.., input, ..]);
        product.slice_mut(ndarray::s![.., out, ..]).zip_mut_with(&source, |x, &y| *x += weight * y);
    }
    product
}

/// `sum_site bra^H X ket` for an environment `[bra bond, ket bond]`.
fn transfer_between<T: Scalar>(bra: &Array3<T>, x: &Array2<T>, ket: &Array3<T>) -> Array2<T> {
    let ((l, d, r), x) = (bra.dim(), x.as_slice().unwrap_or_default());
    let mut half = vec![T::zero(); l * d * r];
    multiply((l, l, d * r), x, flat(ket), &mut half);
    let mut next = Array2::zeros((r, r));
    multiply_adjoint((r, l * d, r), flat(bra), &half, next.as_slice_mut().unwrap_or_default());
    next
}

fn transfer<T: Scalar>(x: &Array2<T>, a: &Array3<T>) -> Array2<T> {
    transfer_between(a, x, a)
}

/// `sum conj(A[a', s', r]) O[s', s] A[a, s, r]`, `[a', a]`: the site and all to its right, where that is an identity.
fn closed<T: Scalar>(a: &Array3<T>, operator: &Array2<T>) -> Array2<T> {
    let ket = with_operator(a, operator);
    let (bra, ket): (ArrayView2<T>, ArrayView2<T>) = (right_matrix(a), right_matrix(&ket));
    // conj(bra) ket^T
    matmul(&bra, Op::Conj, &ket, Op::Transpose)
}

/// `sum X[a', a] Y[a', a]`
fn inner_with<T: Scalar>(x: &Array2<T>, y: &Array2<T>) -> T {
    x.iter().zip(y).map(|(&x, &y)| x * y).sum()
}

fn inner<T: Scalar>(a: &[T], b: &[T]) -> T {
    a.iter().zip(b).map(|(&x, &y)| x.conj() * y).sum()
}
