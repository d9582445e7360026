//! Sums of products of site operators, and the small matrix product operators they are.

use std::collections::BTreeMap;

use ndarray::{Array2, Array4, s};
use num_complex::Complex64;

use super::Mpo;
use super::operators::operator;
use crate::error::{Error, Place, Result};
use crate::linalg::{Truncation, truncated_svd};
use crate::scalar::Scalar;

/// An operator of one site: a name from the table of [`operator`], or a matrix `[out, in]`.
#[derive(Debug, Clone, PartialEq)]
pub enum SiteOp {
    /// A name, such as `"Z"` or `"S+"`.
    Named(String),
    /// Any matrix, `[out, in]`.
    Matrix(Array2<Complex64>),
}

impl From<&str> for SiteOp {
    fn from(name: &str) -> Self {
        SiteOp::Named(name.to_owned())
    }
}
impl From<Array2<Complex64>> for SiteOp {
    fn from(matrix: Array2<Complex64>) -> Self {
        SiteOp::Matrix(matrix)
    }
}
impl From<Array2<f64>> for SiteOp {
    fn from(matrix: Array2<f64>) -> Self {
        SiteOp::Matrix(matrix.mapv(|x| Complex64::new(x, 0.0)))
    }
}

/// Sites and operators (numbers of a list) of one product, in order of the chain; the identity is left out.
type Factors = Vec<(usize, usize)>;

/// A coefficient and what it multiplies.
type Term<S> = (S, Factors);

/// The operators and the terms made of them.
type Parts<S> = (Vec<Array2<S>>, Vec<Term<S>>);

/// A sum of products of site operators, such as a Hamiltonian; terms may reach over any distance.
///
/// ```
/// use ansatz::chain::{Mpo, OpSum};
/// let mut heisenberg = OpSum::new(&[2; 8]);
/// for i in 0..7 {
///     for s in ["Sx", "Sy", "Sz"] {
///         heisenberg.add(1.0, [(s, i), (s, i + 1)])?;
///     }
/// }
/// let mpo: Mpo<f64> = heisenberg.to_mpo()?;   // Sy Sy is real, so f64 will do
/// assert_eq!(mpo.max_bond(), 5);
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct OpSum {
    dims: Vec<usize>,
    operators: Vec<Array2<Complex64>>,
    terms: Vec<Term<Complex64>>,
}

impl OpSum {
    /// An empty sum on sites of these dimensions.
    #[must_use]
    pub fn new(dims: &[usize]) -> Self {
        OpSum { dims: dims.to_vec(), operators: Vec::new(), terms: Vec::new() }
    }

    /// Adds `coefficient` times a product of site operators; without any it is a multiple of the identity. Several on
    /// one site are multiplied in the order in which they stand.
    ///
    /// # Errors
    /// [`Error::Setting`] for an unknown name or a site beyond the chain, [`Error::Shape`] for a matrix that is not of
    /// the dimension of its site, [`Error::NotFinite`] for NaN or infinity.
    pub fn add<O: Into<SiteOp>>(
        &mut self,
        coefficient: impl Into<Complex64>,
        factors: impl IntoIterator<Item = (O, usize)>,
    ) -> Result<&mut Self> {
        let coefficient = coefficient.into();
        let mut product: BTreeMap<usize, Array2<Complex64>> = BTreeMap::new();
        for (op, site) in factors {
            let Some(&dim) = self.dims.get(site) else {
                return Err(Error::setting("site", site, format!("the sum is on {} sites, from 0", self.dims.len())));
            };
            let matrix = match op.into() {
                SiteOp::Named(name) => operator(&name, dim).map_err(|e| e.at(Place::Site(site)))?,
                SiteOp::Matrix(matrix) if matrix.dim() == (dim, dim) => matrix,
                SiteOp::Matrix(matrix) => {
                    return Err(Error::shape("an operator", matrix.dim(), (dim, dim)).at(Place::Site(site)));
                }
            };
            let matrix = product.get(&site).map_or(matrix.clone(), |before| before.dot(&matrix));
            product.insert(site, matrix);
        }
        if !coefficient.is_finite() || product.values().flatten().any(|x| !x.is_finite()) {
            return Err(Error::NotFinite { what: "a term of an operator sum".into() });
        }
        if coefficient == Complex64::ZERO {
            return Ok(self);
        }
        let mut factors = Factors::new();
        for (site, matrix) in product {
            if matrix != Array2::<Complex64>::eye(matrix.nrows()) {
                factors.push((site, self.number(matrix)));
            }
        }
        self.terms.push((coefficient, factors));
        Ok(self)
    }

    /// Adds a multiple of the identity.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for NaN or infinity.
    pub fn add_constant(&mut self, constant: impl Into<Complex64>) -> Result<&mut Self> {
        self.add(constant, std::iter::empty::<(SiteOp, usize)>())
    }

    fn number(&mut self, matrix: Array2<Complex64>) -> usize {
        self.operators.iter().position(|known| *known == matrix).unwrap_or_else(|| {
            self.operators.push(matrix);
            self.operators.len() - 1
        })
    }

    /// The sum as a matrix product operator of the smallest bonds, exact to rounding.
    ///
    /// At every bond the coefficients of the terms that cross it form a matrix, from what stands on the left to what
    /// stands on the right; its rank is the number of channels beside the two for "nothing yet" and "all done"
    /// (Chan, Keselman, Nakatani, Li, White, J. Chem. Phys. 145, 014102, 2016). Blocks of that matrix that share no
    /// operator are factorised one by one, so that short-ranged sums keep their sparse textbook form.
    ///
    /// # Errors
    /// [`Error::Empty`] without sites or with a dimension 0; [`Error::Setting`] if `T` is real and a term is not (an even
    /// number of imaginary factors such as `Y` is real).
    pub fn to_mpo<T: Scalar>(&self) -> Result<Mpo<T>> {
        if self.dims.is_empty() || self.dims.contains(&0) {
            return Err(Error::Empty { what: format!("an operator sum on sites of dimensions {:?}", self.dims) });
        }
        let tensors = if T::IS_COMPLEX {
            cast(machine(&self.dims, &self.operators, &self.terms)?)
        } else {
            let (operators, terms) = self.real_parts()?;
            cast(machine(&self.dims, &operators, &terms)?)
        };
        Mpo::new(tensors)
    }

    /// Real operators and coefficients: an imaginary operator gives its `i` to the coefficient.
    fn real_parts(&self) -> Result<Parts<f64>> {
        let not_real = |what: String| Error::setting("operator", what, "it is not real; use Complex32 or Complex64");
        let imaginary: Vec<bool> = self.operators.iter().map(|m| m.iter().all(|x| x.re == 0.0)).collect();
        let used = |number| self.terms.iter().any(|(_, factors)| factors.iter().any(|&(_, op)| op == number));
        let mut operators = Vec::with_capacity(self.operators.len());
        for (number, m) in self.operators.iter().enumerate() {
            if !imaginary[number] && m.iter().any(|x| x.im != 0.0) && used(number) {
                return Err(not_real(format!("{m}").replace('\n', " ")));
            }
            operators.push(m.mapv(|x| if imaginary[number] { x.im } else { x.re }));
        }
        let mut terms = Vec::with_capacity(self.terms.len());
        for (coefficient, factors) in &self.terms {
            let turns = factors.iter().filter(|(_, op)| imaginary[*op]).count();
            let turned = coefficient * Complex64::i().powu(turns as u32 % 4);
            if turned.im != 0.0 {
                let sites: Vec<usize> = factors.iter().map(|(site, _)| *site).collect();
                return Err(not_real(format!("the term on sites {sites:?} (counting its coefficient)")));
            }
            terms.push((turned.re, factors.clone()));
        }
        Ok((operators, terms))
    }
}

fn cast<S: Scalar, T: Scalar>(tensors: Vec<Array4<S>>) -> Vec<Array4<T>> {
    let number = |x: S| T::from_parts(x.to_c64().re, x.to_c64().im);
    tensors.into_iter().map(|w| w.mapv(number)).collect()
}

/// Channels of a bond: the identity so far, the identity from here on, and then the terms under way.
const START: usize = 0;
const DONE: usize = 1;
const FIRST: usize = 2;

/// What crosses one bond.
struct Crossing<S> {
    /// What is still to come, with its weight in each channel (`V` of the coefficient matrix `U s V^H`).
    rights: BTreeMap<Factors, Vec<(usize, S)>>,
    /// Terms of which only one site is to the left: that site's operator, the rest, the coefficient.
    begun: Vec<(usize, Factors, S)>,
    channels: usize,
}

fn machine<S: Scalar>(dims: &[usize], operators: &[Array2<S>], terms: &[Term<S>]) -> Result<Vec<Array4<S>>> {
    let last = dims.len() - 1;
    let mut before: Crossing<S> = Crossing { rights: BTreeMap::new(), begun: Vec::new(), channels: 0 };
    let mut tensors = Vec::with_capacity(dims.len());
    for (site, &d) in dims.iter().enumerate() {
        let after = crossing(site, terms)?;
        let eye = Array2::eye(d);
        let mut w = Array4::zeros((FIRST + before.channels, d, d, FIRST + after.channels));
        let mut put = |from: usize, to: usize, weight: S, op: &Array2<S>| {
            w.slice_mut(s![from, .., .., to]).zip_mut_with(op, |x, &y| *x += weight * y);
        };
        put(START, START, S::one(), &eye);
        put(DONE, DONE, S::one(), &eye);
        for (coefficient, factors) in terms {
            match factors[..] {
                [(at, op)] if at == site => put(START, DONE, *coefficient, &operators[op]),
                [] if site == 0 => put(START, DONE, *coefficient, &eye),
                _ => {}
            }
        }
        for (op, rest, coefficient) in &after.begun {
            for &(channel, v) in after.rights.get(rest).into_iter().flatten() {
                put(START, channel, *coefficient * v, &operators[*op]);
            }
        }
        for (pending, from) in &before.rights {
            let (op, rest) = match pending.split_first() {
                Some((&(at, op), rest)) if at == site => (&operators[op], rest.to_vec()),
                _ => (&eye, pending.clone()),
            };
            let done = [(DONE, S::one())];
            let to = if rest.is_empty() { &done[..] } else { after.rights.get(&rest).map_or(&[][..], |c| c) };
            for &(channel, u) in from {
                to.iter().for_each(|&(next, v)| put(channel, next, u.conj() * v, op));
            }
        }
        let rows = if site == 0 { START..START + 1 } else { 0..FIRST + before.channels };
        let cols = if site == last { DONE..DONE + 1 } else { 0..FIRST + after.channels };
        tensors.push(w.slice(s![rows, .., .., cols]).to_owned());
        before = after;
    }
    Ok(tensors)
}

/// The terms that cross the bond to the right of `site`, and the channels they need.
fn crossing<S: Scalar>(site: usize, terms: &[Term<S>]) -> Result<Crossing<S>> {
    let mut lefts: BTreeMap<&[(usize, usize)], usize> = BTreeMap::new();
    let mut rights: BTreeMap<&[(usize, usize)], usize> = BTreeMap::new();
    let mut coefficients: BTreeMap<(usize, usize), S> = BTreeMap::new();
    for (coefficient, factors) in terms {
        let (left, right) = factors.split_at(factors.partition_point(|&(at, _)| at <= site));
        if left.is_empty() || right.is_empty() {
            continue;
        }
        let (rows, cols) = (lefts.len(), rights.len());
        let position = (*lefts.entry(left).or_insert(rows), *rights.entry(right).or_insert(cols));
        *coefficients.entry(position).or_insert(S::zero()) += *coefficient;
    }
    let mut weights = vec![Vec::new(); rights.len()];
    let mut channels = 0;
    for (rows, cols) in blocks(lefts.len(), rights.len(), coefficients.keys()) {
        let entry = |(i, j): (usize, usize)| coefficients.get(&(rows[i], cols[j])).copied().unwrap_or(S::zero());
        let block = Array2::from_shape_fn((rows.len(), cols.len()), entry);
        if block.iter().all(|x| *x == S::zero()) {
            continue;
        }
        let vt = if cols.len() == 1 {
            Array2::eye(1)
        } else {
            let noise = f64::EPSILON * rows.len().max(cols.len()) as f64;
            truncated_svd(&block.view(), &Truncation::none().cutoff(noise))?.vt
        };
        for (number, row) in vt.rows().into_iter().enumerate() {
            let kept = row.iter().zip(&cols).filter(|(v, _)| **v != S::zero());
            kept.for_each(|(v, &col)| weights[col].push((FIRST + channels + number, v.conj())));
        }
        channels += vt.nrows();
    }
    let mut begun = Vec::new();
    for (left, &row) in &lefts {
        if let [(at, op)] = left[..]
            && at == site
        {
            let with = |(right, col): (&&[(usize, usize)], &usize)| {
                let coefficient = coefficients.get(&(row, *col))?;
                Some((op, right.to_vec(), *coefficient))
            };
            begun.extend(rights.iter().filter_map(with));
        }
    }
    let rights = rights.into_iter().map(|(right, col)| (right.to_vec(), std::mem::take(&mut weights[col]))).collect();
    Ok(Crossing { rights, begun, channels })
}

/// Rows and columns of a sparse matrix grouped so that no entry joins two groups.
fn blocks<'a>(
    rows: usize,
    cols: usize,
    entries: impl Iterator<Item = &'a (usize, usize)>,
) -> Vec<(Vec<usize>, Vec<usize>)> {
    // Union-find over rows and, after them, columns.
    let mut parent: Vec<usize> = (0..rows + cols).collect();
    fn root(parent: &mut [usize], mut x: usize) -> usize {
        while parent[x] != x {
            parent[x] = parent[parent[x]];
            x = parent[x];
        }
        x
    }
    for &(row, col) in entries {
        let (a, b) = (root(&mut parent, row), root(&mut parent, rows + col));
        parent[a.max(b)] = a.min(b);
    }
    let mut groups: BTreeMap<usize, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for x in 0..rows + cols {
        let group = groups.entry(root(&mut parent, x)).or_default();
        if x < rows { group.0.push(x) } else { group.1.push(x - rows) }
    }
    groups.into_values().collect()
}
