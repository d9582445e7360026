//! The matrix product state itself: what it is made of and what can be read off it.

use std::ops::Range;

use ndarray::{Array2, Array3, ArrayView2};

use crate::error::{Error, Place, Result};
use crate::memory::check_room;
use crate::random::Seed;
use crate::scalar::{LogScaled, Real, Scalar};

/// A matrix product state with open boundary: sites of any dimension, any bonds.
///
/// ```text
///             v0      v1      v2
///             |       |       |
/// factor *   [A0]----[A1]----[A2]        A_k [left, site, right], left of A0 and right of A2 of dimension 1
/// ```
///
/// The state is `factor * sum A0[v0] A1[v1] ... |v0 v1 ...>`. The factor is a [`LogScaled`], so that the tensors stay of
/// order one and thousands of sites neither overflow nor underflow. The state knows its gauge: the sites before
/// [`canonical_range`](Self::canonical_range) are left-canonical (`sum_v A[v]^H A[v] = 1`), those after it
/// right-canonical (`sum_v A[v] A[v]^H = 1`); a range of a single site is the canonical centre.
///
/// ```
/// use ansatz::chain::Mps;
/// let half = 0.5_f64.sqrt();
/// let mut bell = Mps::from_dense(&[half, 0.0, 0.0, half], &[2, 2], &ansatz::linalg::Truncation::none())?.0;
/// assert!((bell.entanglement_entropy(0)? - 2f64.ln()).abs() < 1e-14);
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Mps<T: Scalar> {
    pub(super) tensors: Vec<Array3<T>>,
    /// Sites before `left` are left-canonical, sites from `right` on right-canonical; `left < right`.
    pub(super) left: usize,
    pub(super) right: usize,
    pub(super) factor: LogScaled<T>,
}

impl<T: Scalar> Mps<T> {
    /// A state from its site tensors `[left, site, right]`.
    ///
    /// Nothing is assumed of the gauge. A tensor whose largest entry is beyond `2^±16` is multiplied by a power of two,
    /// which goes into the factor.
    ///
    /// # Errors
    /// [`Error::Empty`] without sites or with a dimension 0, [`Error::Shape`] if neighbouring bonds differ or the outer
    /// bonds are not 1, [`Error::NotFinite`] for NaN or infinity.
    pub fn new(tensors: Vec<Array3<T>>) -> Result<Self> {
        if tensors.is_empty() {
            return Err(Error::Empty { what: "a matrix product state (no sites)".into() });
        }
        let mut factor = LogScaled::one();
        let mut bond = 1;
        let last = tensors.len() - 1;
        let mut checked = Vec::with_capacity(tensors.len());
        for (site, tensor) in tensors.into_iter().enumerate() {
            let (l, d, r) = tensor.dim();
            let name = || format!("the tensor of site {site} (left, site, right)");
            if tensor.is_empty() {
                return Err(Error::Empty { what: format!("{}, of shape {:?},", name(), (l, d, r)) });
            }
            let wrong_end = site == last && r != 1;
            if l != bond || wrong_end {
                return Err(Error::shape(name(), (l, d, r), (bond, d, if wrong_end { 1 } else { r })));
            }
            bond = r;
            let mut tensor = standard(tensor);
            let largest = largest(flat(&tensor));
            if !largest.is_finite() {
                return Err(Error::NotFinite { what: name() });
            }
            if largest > 0.0 && !(2f64.powi(-16)..=2f64.powi(16)).contains(&largest) {
                // Two halves, because 2^exponent itself may be out of range; each product is exact.
                let exponent = largest.log2().round() as i32;
                for part in [exponent / 2, exponent - exponent / 2] {
                    let shrink = T::Real::of(2f64.powi(-part));
                    tensor.mapv_inplace(|x| x.scale(shrink));
                }
                factor = factor * LogScaled::exp(f64::from(exponent) * std::f64::consts::LN_2);
            }
            checked.push(tensor);
        }
        let right = checked.len();
        Ok(Mps { tensors: checked, left: 0, right, factor })
    }

    /// The product state with these site vectors.
    ///
    /// ```
    /// use ansatz::chain::Mps;
    /// let up_down = Mps::product(&[vec![1.0, 0.0], vec![0.0, 1.0]])?;
    /// assert_eq!(up_down.amplitude(&[0u8, 1])?.value(), 1.0);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn product(vectors: &[Vec<T>]) -> Result<Self> {
        let tensors = vectors.iter().map(|v| Array3::from_shape_fn((1, v.len(), 1), |(_, i, _)| v[i])).collect();
        Mps::new(tensors)
    }

    /// A random state of norm one: standard normal tensors with bonds `max_bond`, less where the ends allow no more;
    /// the canonical centre is site 0.
    ///
    /// # Errors
    /// [`Error::Empty`] without sites or with a dimension 0, [`Error::Setting`] for `max_bond` 0, [`Error::Room`] for one
    /// too large.
    pub fn random(dims: &[usize], max_bond: usize, seed: Seed) -> Result<Self> {
        if max_bond == 0 {
            return Err(Error::setting("max_bond", max_bond, "give at least 1"));
        }
        let bonds = full_bonds(dims, max_bond);
        check_entries::<T>(dims, |site| (bonds[site], bonds[site + 1]))?;
        let tensors = dims.iter().enumerate().map(|(site, &d)| {
            let mut stream = seed.stream("random mps", site as u64);
            // Of norm about one as a map from the left bond.
            let size = T::Real::of(1.0 / ((d * bonds[site + 1]) as f64).sqrt());
            Array3::from_shape_simple_fn((bonds[site], d, bonds[site + 1]), || T::normal(&mut stream).scale(size))
        });
        let mut state = Mps::new(tensors.collect())?;
        state.move_centre(0)?;
        state.normalise()?;
        Ok(state)
    }

    /// Number of sites, at least 1.
    #[must_use]
    pub fn sites(&self) -> usize {
        self.tensors.len()
    }

    /// Dimension of each site.
    #[must_use]
    pub fn dims(&self) -> Vec<usize> {
        self.tensors.iter().map(|a| a.dim().1).collect()
    }

    /// Dimension of each of the `sites - 1` bonds.
    #[must_use]
    pub fn bonds(&self) -> Vec<usize> {
        self.tensors.iter().skip(1).map(|a| a.dim().0).collect()
    }

    /// The largest bond dimension; 1 for a single site.
    #[must_use]
    pub fn max_bond(&self) -> usize {
        self.tensors.iter().map(|a| a.dim().0).max().unwrap_or(1)
    }

    /// Number of entries of all tensors.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.tensors.iter().map(Array3::len).sum()
    }

    /// All tensors, `[left, site, right]` each, in standard layout; one with named legs is [`tensor`](Self::tensor).
    #[must_use]
    pub fn tensors(&self) -> &[Array3<T>] {
        &self.tensors
    }

    /// The tensors themselves; the factor is lost.
    #[must_use]
    pub fn into_tensors(self) -> Vec<Array3<T>> {
        self.tensors
    }

    /// The number by which the product of the tensors is multiplied.
    #[must_use]
    pub fn factor(&self) -> LogScaled<T> {
        self.factor
    }

    /// Multiplies the state by a number.
    pub fn scale(&mut self, by: LogScaled<T>) {
        self.factor = self.factor * by;
    }

    /// Complex conjugate of every amplitude; the gauge stays.
    #[must_use]
    pub fn conj(&self) -> Self {
        let tensors = self.tensors.iter().map(|a| a.mapv(T::conj)).collect();
        Mps { tensors, factor: self.factor.conj(), ..*self }
    }

    /// The canonical centre, if the state has one.
    #[must_use]
    pub fn centre(&self) -> Option<usize> {
        (self.right == self.left + 1).then_some(self.left)
    }

    /// The sites of which no canonical form is known.
    #[must_use]
    pub fn canonical_range(&self) -> Range<usize> {
        self.left..self.right
    }

    /// Replaces the tensors of the sites `bond` and `bond + 1`; all other sites keep their gauge.
    ///
    /// `centre` says which of the two the new canonical centre is: `Some(bond)` promises that the right one is
    /// right-canonical, `Some(bond + 1)` that the left one is left-canonical, `None` promises nothing.
    ///
    /// # Errors
    /// [`Error::Shape`] if the outer legs do not fit or the new bond differs, [`Error::NotFinite`] for NaN or infinity,
    /// [`Error::Setting`] if there is no such bond or the centre is elsewhere.
    pub fn set_pair(&mut self, bond: usize, pair: [Array3<T>; 2], centre: Option<usize>) -> Result<()> {
        self.check_bond(bond)?;
        if centre.is_some_and(|c| c != bond && c != bond + 1) {
            return Err(Error::setting("centre", centre.unwrap_or_default(), "give one of the two sites of the bond"));
        }
        let [a, b] = pair.map(standard);
        let found = (a.dim(), b.dim());
        let expected = (self.tensors[bond].dim(), self.tensors[bond + 1].dim());
        let fits = found.0.0 == expected.0.0 && found.1.2 == expected.1.2 && found.0.2 == found.1.0;
        if !fits || a.is_empty() || b.is_empty() {
            return Err(Error::shape("a pair of tensors: the outer legs", found, expected).at(Place::Bond(bond)));
        }
        if !largest(flat(&a)).is_finite() || !largest(flat(&b)).is_finite() {
            return Err(Error::NotFinite { what: "a pair of tensors".into() }.at(Place::Bond(bond)));
        }
        self.tensors[bond] = a;
        self.tensors[bond + 1] = b;
        self.left = self.left.min(bond);
        self.right = self.right.max(bond + 2);
        if centre == Some(bond + 1) && self.left == bond {
            self.left = bond + 1;
        }
        if centre == Some(bond) && self.right == bond + 2 {
            self.right = bond + 1;
        }
        Ok(())
    }

    pub(super) fn check_site(&self, site: usize) -> Result<()> {
        if site < self.sites() {
            return Ok(());
        }
        Err(Error::setting("site", site, format!("the chain has {} sites, counted from 0", self.sites())))
    }

    pub(super) fn check_bond(&self, bond: usize) -> Result<()> {
        if bond + 1 < self.sites() {
            return Ok(());
        }
        Err(Error::setting("bond", bond, format!("the chain has {} bonds, counted from 0", self.sites() - 1)))
    }

    pub(super) fn check_same_dims(&self, other: &Self) -> Result<()> {
        if self.sites() == other.sites() && self.tensors.iter().zip(&other.tensors).all(|(a, b)| a.dim().1 == b.dim().1)
        {
            return Ok(());
        }
        Err(Error::shape("two states: the dimensions of the sites", other.dims(), self.dims()))
    }
}

/// That a chain of tensors `[left, site, right]` with the given bonds `(left, right)` at each site fits into memory.
pub(crate) fn check_entries<T>(dims: &[usize], bonds: impl Fn(usize) -> (usize, usize)) -> Result<()> {
    let of_site = |(site, d): (usize, &usize)| {
        let (left, right) = bonds(site);
        left.checked_mul(*d)?.checked_mul(right)
    };
    let entries = dims.iter().enumerate().map(of_site).try_fold(0usize, |sum, n| sum.checked_add(n?));
    check_room::<T>(|| format!("a chain of {} sites", dims.len()), entries, "lower the bond dimension")
}

/// All bonds, the outer ones included, of a chain that represents any state as far as `max_bond` allows.
pub(super) fn full_bonds(dims: &[usize], max_bond: usize) -> Vec<usize> {
    let grow = |bond: &mut usize, &d: &usize| {
        *bond = bond.saturating_mul(d);
        Some((*bond).min(max_bond))
    };
    let from_left: Vec<usize> = std::iter::once(1).chain(dims.iter().scan(1, grow)).collect();
    let from_right: Vec<usize> = std::iter::once(1).chain(dims.iter().rev().scan(1, grow)).collect();
    from_left.iter().zip(from_right.iter().rev()).map(|(&l, &r)| l.min(r)).collect()
}

/// The entries of a tensor in standard layout.
pub(super) fn flat<T>(a: &Array3<T>) -> &[T] {
    a.as_slice().unwrap_or_default()
}

/// Largest modulus; NaN counts as infinite.
pub(super) fn largest<T: Scalar>(entries: &[T]) -> f64 {
    entries.iter().fold(0.0, |m: f64, x| {
        let size = x.re().to_f64().abs().max(x.im().to_f64().abs());
        if x.is_finite() { m.max(size) } else { f64::INFINITY }
    })
}

/// Euclidean norm, in double precision and without overflow on the way.
pub(super) fn norm_of<T: Scalar>(entries: &[T]) -> f64 {
    let squares = |scale: f64| -> f64 {
        let square = |x: &T| {
            let (re, im) = (x.re().to_f64() * scale, x.im().to_f64() * scale);
            re * re + im * im
        };
        // Eight sums side by side: one alone waits for each addition.
        let mut sums = [0.0; 8];
        let chunks = entries.chunks_exact(8);
        let tail: f64 = chunks.remainder().iter().map(square).sum();
        for chunk in chunks {
            (0..8).for_each(|k| sums[k] += square(&chunk[k]));
        }
        sums.iter().sum::<f64>() + tail
    };
    let plain = squares(1.0);
    if plain > 1e-280 && plain < 1e280 {
        return plain.sqrt();
    }
    let largest = largest(entries);
    if largest == 0.0 || !largest.is_finite() { largest } else { squares(1.0 / largest).sqrt() * largest }
}

pub(super) fn standard<T: Scalar>(a: Array3<T>) -> Array3<T> {
    if a.is_standard_layout() { a } else { a.as_standard_layout().into_owned() }
}

/// Row-major entries as a matrix.
pub(super) fn matrix<T>(rows: usize, cols: usize, entries: &[T]) -> ArrayView2<'_, T> {
    // The callers pass the slice of a tensor of exactly this many entries.
    ArrayView2::from_shape((rows, cols), entries).unwrap_or_else(|_| unreachable!("{rows} x {cols}"))
}

/// `[(left, site), right]`
pub(super) fn left_matrix<T>(a: &Array3<T>) -> ArrayView2<'_, T> {
    let (l, d, r) = a.dim();
    matrix(l * d, r, flat(a))
}

/// `[left, (site, right)]`
pub(super) fn right_matrix<T>(a: &Array3<T>) -> ArrayView2<'_, T> {
    let (l, d, r) = a.dim();
    matrix(l, d * r, flat(a))
}

/// A matrix as a site tensor of this shape.
pub(super) fn site_tensor<T: Scalar>(m: Array2<T>, shape: (usize, usize, usize)) -> Array3<T> {
    let m = if m.is_standard_layout() { m } else { m.as_standard_layout().into_owned() };
    m.into_shape_with_order(shape).unwrap_or_else(|_| unreachable!("{shape:?}"))
}
