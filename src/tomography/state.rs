//! The state that a fit finds: a locally purified chain.

use ndarray::{Array2, Array3, Array4};
use num_complex::Complex64;

use super::density::{self, dense_dimension};
use crate::chain::Mps;
use crate::error::{Error, Result};
use crate::linalg::{Op, Truncation, eigh, gemm, matmul};
use crate::random::Seed;

/// A locally purified density operator (Verstraete, García-Ripoll, Cirac, PRL 93, 207204, 2004): positive by construction.
///
/// ```text
///           s0      s1      s2         sites (ket)
///           |       |       |
///         [A0]----[A1]----[A2]         rho = sum over all k of |A(k)><A(k)|, tr rho = 1
///           |       |       |
///           k0      k1      k2         purification, summed with the conjugate chain below
/// ```
///
/// With all purification dimensions 1 it is a pure state. The chain is stored with site and purification leg fused, the
/// site slow: entry `s K + k`; it has norm 1 and its canonical centre at site 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Lpdo {
    chain: Mps<Complex64>,
    dims: Vec<usize>,
    kraus: Vec<usize>,
}

impl Lpdo {
    /// From the chain with fused legs, which is normalised; `dims` are the levels of the sites.
    ///
    /// # Errors
    /// [`Error::Shape`] if a leg of the chain is no multiple of its site, [`Error::NotFinite`] if the norm is zero.
    pub fn new(mut chain: Mps<Complex64>, dims: &[usize]) -> Result<Self> {
        let fused = chain.dims();
        let fits = fused.len() == dims.len() && fused.iter().zip(dims).all(|(f, &d)| d > 0 && f % d == 0);
        if !fits {
            return Err(Error::shape("a purified chain: site legs", fused, format!("multiples of {dims:?}")));
        }
        if chain.centre() != Some(0) {
            chain.canonicalise(0)?;
        }
        chain.normalise()?;
        let kraus = fused.iter().zip(dims).map(|(f, d)| f / d).collect();
        Ok(Lpdo { chain, dims: dims.to_vec(), kraus })
    }

    /// The pure state of a chain.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if it has norm zero.
    pub fn pure(chain: Mps<Complex64>) -> Result<Self> {
        let dims = chain.dims();
        Lpdo::new(chain, &dims)
    }

    /// The pure state with these amplitudes, the last site running fastest; they are normalised.
    ///
    /// # Errors
    /// As [`Mps::from_dense`].
    pub fn from_vector(amplitudes: &[Complex64], dims: &[usize]) -> Result<Self> {
        // Values at rounding level stand for nothing, and would fill every bond.
        let (chain, _) = Mps::from_dense(amplitudes, dims, &Truncation::none().cutoff(1e-14))?;
        Lpdo::pure(chain)
    }

    /// A density matrix, exactly: the purification leg stands at the last site and has the dimension of its rank.
    ///
    /// # Errors
    /// [`Error::Shape`] if the matrix is not one of sites with these levels, [`Error::Format`] as
    /// [`density::checked_density`], [`Error::Memory`] beyond ten qubits.
    pub fn from_density(rho: &Array2<Complex64>, dims: &[usize]) -> Result<Self> {
        let d = dense_dimension(dims)?;
        if rho.dim() != (d, d) {
            return Err(Error::shape("a density matrix", rho.dim(), (d, d)));
        }
        let e = eigh(&density::checked_density(rho)?.view())?;
        let top = e.values.last().copied().unwrap_or(0.0);
        let kept: Vec<usize> = (0..d).rev().filter(|&i| e.values[i] > 1e-15 * top).collect();
        let k = kept.len();
        let mut amplitudes = vec![Complex64::default(); d * k];
        for (column, &i) in kept.iter().enumerate() {
            let size = e.values[i].sqrt();
            (0..d).for_each(|row| amplitudes[row * k + column] = e.vectors[[row, i]] * size);
        }
        let mut fused = dims.to_vec();
        if let Some(last) = fused.last_mut() {
            *last *= k;
        }
        let (chain, _) = Mps::from_dense(&amplitudes, &fused, &Truncation::none().cutoff(1e-14))?;
        Lpdo::new(chain, dims)
    }

    /// Near the maximally mixed state as far as the purification goes, with `noise` times normal numbers in all entries; bonds
    /// `bond`, less at the ends.
    ///
    /// # Errors
    /// As [`Mps::random`].
    pub fn random(dims: &[usize], bond: usize, purification: usize, noise: f64, seed: Seed) -> Result<Self> {
        // Levels beyond the purification share its legs.
        let white = |&d: &usize| {
            let one = |(s, q): (usize, usize)| Complex64::from(if s % purification.max(1) == q { 1.0 } else { 0.0 });
            Array2::from_shape_fn((d, purification), one)
        };
        let roots: Vec<Array2<Complex64>> = dims.iter().map(white).collect();
        Lpdo::scattered(&roots, bond, purification, noise, seed)
    }

    /// About the product of the states `X X^H` of single sites, given by `X` `[levels, columns]`, as far as the purification goes, with
    /// `noise` times normal numbers in all entries.
    ///
    /// # Errors
    /// As [`Mps::random`].
    pub(super) fn scattered(
        roots: &[Array2<Complex64>],
        bond: usize,
        purification: usize,
        noise: f64,
        seed: Seed,
    ) -> Result<Self> {
        if purification == 0 {
            return Err(Error::setting("purification", 0, "give at least 1"));
        }
        let dims: Vec<usize> = roots.iter().map(Array2::nrows).collect();
        let fused: Vec<usize> = dims.iter().map(|d| d.saturating_mul(purification)).collect();
        let shape = Mps::<Complex64>::random(&fused, bond, seed)?;
        let mut tensors = Vec::with_capacity(dims.len());
        for ((site, a), root) in shape.tensors().iter().enumerate().zip(roots) {
            let (l, sk, r) = a.dim();
            let mut stream = seed.stream("purified chain", site as u64);
            let mut t = Array3::from_shape_simple_fn((l, sk, r), || {
                <Complex64 as crate::scalar::Scalar>::normal(&mut stream) * noise
            });
            for ((s, q), x) in root.indexed_iter().filter(|((_, q), _)| *q < purification) {
                t[[0, s * purification + q, 0]] += x;
            }
            tensors.push(t);
        }
        Lpdo::new(Mps::new(tensors)?, &dims)
    }

    /// The chain, site and purification fused.
    #[must_use]
    pub fn chain(&self) -> &Mps<Complex64> {
        &self.chain
    }

    /// Levels of each site.
    #[must_use]
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Purification dimension of each site.
    #[must_use]
    pub fn purification(&self) -> &[usize] {
        &self.kraus
    }

    /// Number of sites.
    #[must_use]
    pub fn sites(&self) -> usize {
        self.dims.len()
    }

    /// Whether the state is pure by construction.
    #[must_use]
    pub fn is_pure(&self) -> bool {
        self.kraus.iter().all(|&k| k == 1)
    }

    /// The site tensor `[left, site, purification, right]`.
    ///
    /// # Panics
    /// If there is no such site.
    #[must_use]
    pub fn tensor(&self, site: usize) -> Array4<Complex64> {
        let a = &self.chain.tensors()[site];
        let (l, _, r) = a.dim();
        let (d, k) = (self.dims[site], self.kraus[site]);
        Array4::from_shape_fn((l, d, k, r), |(b, s, q, e)| a[[b, s * k + q, e]])
    }

    /// The density matrix, `[d, d]`.
    ///
    /// # Errors
    /// [`Error::Memory`] beyond ten qubits.
    pub fn density(&self) -> Result<Array2<Complex64>> {
        dense_dimension(&self.dims)?;
        self.reduced(&vec![true; self.sites()])
    }

    /// The density matrix of the sites for which `keep` is true.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of sites, [`Error::Memory`] for more than ten qubits.
    pub fn reduced(&self, keep: &[bool]) -> Result<Array2<Complex64>> {
        if keep.len() != self.sites() {
            return Err(Error::shape("the sites to keep", keep.len(), self.sites()));
        }
        let kept: Vec<usize> = self.dims.iter().zip(keep).filter(|(_, k)| **k).map(|(d, _)| *d).collect();
        dense_dimension(&kept)?;
        // Everything right of the last kept site is the identity: the centre is at site 0.
        let last = keep.iter().rposition(|&k| k).unwrap_or(0);
        // X [(ket indices, bra indices), bond (ket), bond (bra)]
        let mut open = 1usize;
        let mut x = vec![Complex64::new(1.0, 0.0)];
        let mut bond = 1usize;
        for (site, &kept) in keep.iter().enumerate().take(last + 1) {
            let a = &self.chain.tensors()[site];
            let (l, _, r) = a.dim();
            let (d, k) = (self.dims[site], self.kraus[site]);
            let grown = if kept { d } else { 1 };
            let mut next = vec![Complex64::default(); open * open * grown * grown * r * r];
            let conj = a.mapv(|v| v.conj());
            for i in 0..open {
                for j in 0..open {
                    let block = ndarray::ArrayView2::from_shape(
                        (bond, bond),
                        &x[(i * open + j) * bond * bond..][..bond * bond],
                    )
                    .map_err(|e| Error::Format { what: e.to_string() })?;
                    // [bond bra, (s k r)]
                    let flat = a.to_shape((l, d * k * r)).map_err(|e| Error::Format { what: e.to_string() })?;
                    let half = matmul(&block, Op::Transpose, &flat.view(), Op::None);
                    for s in 0..d {
                        for t in 0..d {
                            if !kept && s != t {
                                continue;
                            }
                            let (gi, gj) = if kept { (i * d + s, j * d + t) } else { (i, j) };
                            let target = &mut next[(gi * open * grown + gj) * r * r..][..r * r];
                            let mut target = ndarray::ArrayViewMut2::from_shape((r, r), target)
                                .map_err(|e| Error::Format { what: e.to_string() })?;
                            for q in 0..k {
                                let ket = half.slice(ndarray::s![.., (s * k + q) * r..(s * k + q + 1) * r]);
                                let bra = conj.slice(ndarray::s![.., t * k + q, ..]);
                                gemm(
                                    Complex64::new(1.0, 0.0),
                                    &ket,
                                    Op::Transpose,
                                    &bra,
                                    Op::None,
                                    Complex64::new(1.0, 0.0),
                                    &mut target,
                                );
                            }
                        }
                    }
                }
            }
            x = next;
            open *= grown;
            bond = r;
        }
        // The trace over the bond that is left.
        let rho = Array2::from_shape_fn((open, open), |(i, j)| {
            (0..bond).map(|b| x[(i * open + j) * bond * bond + b * bond + b]).sum::<Complex64>()
        });
        let trace: f64 = rho.diag().iter().map(|v| v.re).sum();
        Ok(rho.mapv(|v| v / trace))
    }

    /// `tr(rho sigma)` with the state of another chain of the same sites.
    ///
    /// Costs `O(sites D^5 K)` for bonds `D` and purifications `K`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the sites differ.
    pub fn overlap(&self, other: &Self) -> Result<f64> {
        if self.dims != other.dims {
            return Err(Error::shape("two states: the levels of the sites", &other.dims, &self.dims));
        }
        // tr(rho sigma) is the sum over k, q of |<A(k)|B(q)>|^2. E [a, b, a', b'] with <A(k)|B(q)> in (a, b) and its conjugate
        // in (a', b').
        let mut e = Array2::from_elem((1, 1), Complex64::new(1.0, 0.0));
        let mut ln = 0.0;
        for site in 0..self.sites() {
            let (a, b) = (self.tensor(site), other.tensor(site));
            let ((la, d, ka, ra), (lb, _, kb, rb)) = (a.dim(), b.dim());
            let mut next = Array2::<Complex64>::zeros((ra * rb, ra * rb));
            for k in 0..ka {
                for q in 0..kb {
                    // M [(a b), (a2 b2)] = sum over s of conj(A) B
                    let mut m = Array2::<Complex64>::zeros((la * lb, ra * rb));
                    for s in 0..d {
                        for ((i, j), row) in (0..la).flat_map(|i| (0..lb).map(move |j| (i, j))).zip(0..) {
                            for x in 0..ra {
                                let left = a[[i, s, k, x]].conj();
                                for y in 0..rb {
                                    m[[row, x * rb + y]] += left * b[[j, s, q, y]];
                                }
                            }
                        }
                    }
                    let half = matmul(&m.view(), Op::Transpose, &e.view(), Op::None);
                    let conj = m.mapv(|v| v.conj());
                    let one = Complex64::new(1.0, 0.0);
                    gemm(one, &half.view(), Op::None, &conj.view(), Op::None, one, &mut next.view_mut());
                }
            }
            let size = next.iter().map(|v| v.norm()).fold(0.0, f64::max);
            if size == 0.0 {
                return Ok(0.0);
            }
            next.mapv_inplace(|v| v / size);
            ln += size.ln();
            e = next;
        }
        Ok(e[[0, 0]].re.max(0.0) * ln.exp())
    }

    /// `tr rho^2`
    ///
    /// # Errors
    /// As [`overlap`](Self::overlap).
    pub fn purity(&self) -> Result<f64> {
        if self.is_pure() { Ok(1.0) } else { self.overlap(self) }
    }

    /// Fidelity with another state, `|<a|b>|^2` where both are pure: by contraction where one is pure, else Uhlmann's, dense.
    ///
    /// # Errors
    /// [`Error::Shape`] if the sites differ, [`Error::Memory`] if both are mixed and have more than ten qubits.
    pub fn fidelity(&self, other: &Self) -> Result<f64> {
        if self.is_pure() && other.is_pure() {
            return Ok((2.0 * self.chain.inner(&other.chain)?.ln_abs()).exp());
        }
        if self.is_pure() || other.is_pure() {
            return self.overlap(other);
        }
        if self.dims != other.dims {
            return Err(Error::shape("two states: the levels of the sites", &other.dims, &self.dims));
        }
        density::fidelity(&self.density()?.view(), &other.density()?.view())
    }

    /// The same state with its purification as small as its own bonds allow: each site's purification leg is cut by an SVD to the
    /// values above `cutoff` relative to the largest.
    ///
    /// # Errors
    /// What an SVD can meet.
    pub fn compressed_purification(&self, cutoff: f64) -> Result<Self> {
        let mut chain = self.chain.clone();
        let mut kraus = self.kraus.clone();
        for site in 0..self.sites() {
            chain.move_centre(site)?;
            let (d, k) = (self.dims[site], self.kraus[site]);
            let a = &chain.tensors()[site];
            let (l, _, r) = a.dim();
            // [(left site right), purification]: a unitary on the purification leg changes no state.
            let m = Array2::from_shape_fn((l * d * r, k), |(i, q)| a[[i / (d * r), (i / r % d) * k + q, i % r]]);
            let f = crate::linalg::truncated_svd(&m.view(), &Truncation::none().cutoff(cutoff))?;
            let kept = f.s.len();
            let t = Array3::from_shape_fn((l, d * kept, r), |(b, sq, e)| {
                let (s, q) = (sq / kept, sq % kept);
                f.u[[(b * d + s) * r + e, q]] * f.s[q]
            });
            kraus[site] = kept;
            let mut tensors = chain.tensors().to_vec();
            tensors[site] = t;
            let mut next = Mps::new(tensors)?;
            next.canonicalise(site)?;
            chain = next;
        }
        Lpdo::new(chain, &self.dims)
    }
}
