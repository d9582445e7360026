//! Factorisations along any cut of the legs into two groups.
//!
//! ```text
//!   left -- A -- right   =   left -- U -- bond -- s -- bond -- V -- right
//! ```
//! Either group may be empty; the bond then has dimension one.

use ndarray::{Array2, ArrayView2};

use super::layout::Matrices;
use super::leg::{self, Leg};
use super::tensor::{Tensor, dims};
use crate::error::{Error, Result};
use crate::linalg::{self, Truncation};
use crate::scalar::Scalar;

/// `A = U diag(s) V^H`, cut to its leading part.
#[derive(Debug, Clone)]
pub struct TensorSvd<T: Scalar> {
    /// Left singular vectors: the left legs and the bond; an isometry from the bond.
    pub u: Tensor<T>,
    /// The kept singular values, largest first; not renormalised.
    pub s: Vec<T::Real>,
    /// `V^H`: the bond and the right legs; an isometry from the bond.
    pub vt: Tensor<T>,
    /// `sum of dropped s^2 / sum of all s^2`, in `[0, 1]`.
    pub discarded_weight: f64,
}

impl<T: Scalar> TensorSvd<T> {
    /// `U diag(s)` and `V^H`: the right factor stays an isometry.
    ///
    /// # Errors
    /// If the fields no longer fit together.
    pub fn absorb_left(self) -> Result<(Tensor<T>, Tensor<T>)> {
        let bond = self.u.legs().last().cloned().unwrap_or_else(|| Leg::bond("", 1));
        Ok((self.u.scale_along(bond, &self.s)?, self.vt))
    }

    /// `U` and `diag(s) V^H`: the left factor stays an isometry.
    ///
    /// # Errors
    /// If the fields no longer fit together.
    pub fn absorb_right(self) -> Result<(Tensor<T>, Tensor<T>)> {
        let bond = self.vt.legs().first().cloned().unwrap_or_else(|| Leg::bond("", 1));
        Ok((self.u, self.vt.scale_along(bond, &self.s)?))
    }
}

/// `A = V diag(values) V^H`.
#[derive(Debug, Clone)]
pub struct TensorEigh<T: Scalar> {
    /// Eigenvalues, smallest first.
    pub values: Vec<T::Real>,
    /// Eigenvectors: the left legs and the bond.
    pub vectors: Tensor<T>,
}

impl<T: Scalar> Tensor<T> {
    /// Singular value decomposition between the legs `left` and the others, the new leg being called `bond`.
    ///
    /// `u` has the legs `left` in that order and the bond, `vt` the bond and the other legs in the order of `self`.
    ///
    /// ```
    /// use ansatz::{Leg, Seed, Tensor, linalg::Truncation, tensor::contract};
    /// let a = Tensor::<f64>::random([Leg::bond("l", 3), Leg::site("s", 2), Leg::bond("r", 4)], Seed(1))?;
    /// let (q, rest) = a.svd(&["l", "s"], "new", &Truncation::none())?.absorb_right()?;
    /// assert!(contract(&q, &rest)?.sub(&a)?.norm().value() < 1e-13);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Leg`] if a leg is unknown or named twice, or one is called `bond`; [`Error::NotFinite`] with the legs of
    /// the tensor; as [`linalg::truncated_svd`] otherwise.
    pub fn svd<S: AsRef<str>>(&self, left: &[S], bond: &str, truncation: &Truncation) -> Result<TensorSvd<T>> {
        let cut = Cut::new(self, left)?;
        let linalg::TruncatedSvd { u, s, vt, discarded_weight } =
            cut.factorised(|matrix| linalg::truncated_svd(matrix, truncation))?;
        Ok(TensorSvd { u: cut.left_factor(u, bond)?, s, vt: cut.right_factor(vt, bond)?, discarded_weight })
    }

    /// `A = Q R`: `Q` has the legs `left` and the bond and is an isometry, `R` the bond and the others. Nothing is
    /// truncated.
    ///
    /// # Errors
    /// As [`svd`](Self::svd).
    pub fn qr<S: AsRef<str>>(&self, left: &[S], bond: &str) -> Result<(Self, Self)> {
        let cut = Cut::new(self, left)?;
        let (q, r) = cut.factorised(linalg::qr)?;
        Ok((cut.left_factor(q, bond)?, cut.right_factor(r, bond)?))
    }

    /// `R` of [`qr`](Self::qr) alone, where the isometry is not needed: the bond and the legs that are not `left`.
    ///
    /// # Errors
    /// As [`svd`](Self::svd).
    pub fn triangle<S: AsRef<str>>(&self, left: &[S], bond: &str) -> Result<Self> {
        let cut = Cut::new(self, left)?;
        cut.right_factor(cut.factorised(linalg::triangle)?, bond)
    }

    /// `A = L Q`: `L` has the legs `left` and the bond, `Q` the bond and the others and is an isometry. Nothing is
    /// truncated.
    ///
    /// # Errors
    /// As [`svd`](Self::svd).
    pub fn lq<S: AsRef<str>>(&self, left: &[S], bond: &str) -> Result<(Self, Self)> {
        let cut = Cut::new(self, left)?;
        let (l, q) = cut.factorised(linalg::lq)?;
        Ok((cut.left_factor(l, bond)?, cut.right_factor(q, bond)?))
    }

    /// `A = W P`: `W` has the legs `left` and the bond, `P` the bond and the others; `P` is positive as a matrix from
    /// the others to the bond.
    ///
    /// The bond is the other legs fused: `W.split(bond, others)` is the isometry nearest to `A`, with the legs of `A`.
    ///
    /// # Errors
    /// As [`svd`](Self::svd).
    pub fn polar<S: AsRef<str>>(&self, left: &[S], bond: &str) -> Result<(Self, Self)> {
        let cut = Cut::new(self, left)?;
        let (w, p) = cut.factorised(linalg::polar)?;
        Ok((cut.left_factor(w, bond)?, cut.right_factor(p, bond)?))
    }

    /// Eigenvalues and eigenvectors of a Hermitian tensor: `A = sum_b V[left, b] values[b] conj(V[right, b])`.
    ///
    /// The tensor is taken to be Hermitian as a matrix from `right` to `left`, paired in the given orders; only its
    /// lower triangle is read.
    ///
    /// # Errors
    /// [`Error::Leg`] unless `left` and `right` name every leg once, or if a left leg is called `bond`;
    /// [`Error::Shape`] if their dimensions differ; as [`svd`](Self::svd) otherwise.
    pub fn eigh<S: AsRef<str>>(&self, left: &[S], right: &[S], bond: &str) -> Result<TensorEigh<T>> {
        let order: Vec<&str> = left.iter().chain(right).map(AsRef::as_ref).collect();
        let ordered = self.permute(&order)?;
        let cut = Cut::new(&ordered, left)?;
        if dims(&cut.left) != dims(&cut.right) {
            return Err(Error::shape(format!("the right legs of {self}"), dims(&cut.right), dims(&cut.left)));
        }
        let linalg::Eigh { values, vectors } = cut.factorised(linalg::eigh)?;
        Ok(TensorEigh { values, vectors: cut.left_factor(vectors, bond)? })
    }
}

/// A tensor as a matrix from the legs `right` to the legs `left`.
struct Cut<'a, T: Scalar> {
    tensor: &'a Tensor<T>,
    matrix: Matrices<'a, T>,
    left: Vec<Leg>,
    right: Vec<Leg>,
}

impl<'a, T: Scalar> Cut<'a, T> {
    fn new<S: AsRef<str>>(tensor: &'a Tensor<T>, left: &[S]) -> Result<Self> {
        let rows = tensor.axes(left)?;
        let cols = tensor.other_axes(&rows);
        let legs = |axes: &[usize]| axes.iter().map(|&axis| tensor.legs()[axis].clone()).collect();
        let matrix = Matrices::read(tensor, &[], &rows, &cols)?;
        Ok(Cut { tensor, matrix, left: legs(&rows), right: legs(&cols) })
    }

    /// Runs a factorisation; its errors say of which tensor.
    fn factorised<F>(&self, factorise: impl FnOnce(&ArrayView2<T>) -> Result<F>) -> Result<F> {
        factorise(&self.matrix.at(0)?).map_err(|e| e.at(self.tensor.place()))
    }

    /// A matrix from the new bond to the left legs.
    fn left_factor(&self, matrix: Array2<T>, bond: &str) -> Result<Tensor<T>> {
        let mut legs = self.left.clone();
        legs.push(Leg::bond(bond, matrix.ncols()));
        factor(legs, matrix)
    }

    /// A matrix from the right legs to the new bond.
    fn right_factor(&self, matrix: Array2<T>, bond: &str) -> Result<Tensor<T>> {
        let mut legs = vec![Leg::bond(bond, matrix.nrows())];
        legs.extend(self.right.iter().cloned());
        factor(legs, matrix)
    }
}

fn factor<T: Scalar>(legs: Vec<Leg>, matrix: Array2<T>) -> Result<Tensor<T>> {
    leg::check(&legs)?;
    let data =
        if matrix.is_standard_layout() { matrix.into_raw_vec_and_offset().0 } else { matrix.iter().copied().collect() };
    Tensor::from_parts(legs, data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{Role, contract, contract_pairs};
    use crate::{Real, Seed};
    use num_complex::{Complex32, Complex64};

    fn legs() -> Vec<Leg> {
        vec![Leg::bond("l", 3), Leg::site("s", 2), Leg::site("t", 2), Leg::bond("r", 4)]
    }

    /// Every way to choose the left legs, in two orders, on two layouts of memory.
    fn cuts<T: Scalar>(mut fact: impl FnMut(&Tensor<T>, &[&str])) {
        let t = Tensor::random(legs(), Seed(1)).unwrap();
        for a in [t.clone(), t.permute(&["r", "s", "l", "t"]).unwrap()] {
            for mask in 0..16 {
                let names = ["l", "s", "t", "r"].into_iter().enumerate();
                let mut left: Vec<&str> = names.filter(|(i, _)| mask >> i & 1 == 1).map(|(_, name)| name).collect();
                fact(&a, &left);
                left.reverse();
                fact(&a, &left);
            }
        }
    }

    fn far<T: Scalar>(a: &Tensor<T>, b: &Tensor<T>) -> f64 {
        Real::to_f64(a.sub(b).unwrap().norm().value())
    }

    /// How far `A^H A`, summed over all legs but `bond`, is from the identity.
    fn from_isometry<T: Scalar>(a: &Tensor<T>, bond: &str) -> f64 {
        let gram = contract(&a.rename(bond, "conj").unwrap().conj(), a).unwrap();
        let eye = Array2::eye(a.dim(bond).unwrap());
        far(&gram, &Tensor::from_array(gram.legs().to_vec(), eye).unwrap())
    }

    fn holds<T: Scalar>(tolerance: f64) {
        cuts::<T>(|a, left| {
            let f = a.svd(left, "new", &Truncation::none()).unwrap();
            assert_eq!(f.discarded_weight, 0.0);
            assert!(f.u.legs().iter().map(Leg::name).eq(left.iter().copied().chain(["new"])));
            assert!(from_isometry(&f.u, "new") < tolerance && from_isometry(&f.vt, "new") < tolerance);
            let (us, vt) = f.clone().absorb_left().unwrap();
            let (u, sv) = f.absorb_right().unwrap();
            assert!(far(&contract(&u, &sv).unwrap(), a) < tolerance);
            assert!(far(&contract(&us, &vt).unwrap(), a) < tolerance);

            let (q, r) = a.qr(left, "new").unwrap();
            assert!(far(&contract(&q, &r).unwrap(), a) < tolerance && from_isometry(&q, "new") < tolerance);
            assert!(far(&a.triangle(left, "new").unwrap(), &r) < tolerance);
            let (l, q) = a.lq(left, "new").unwrap();
            assert!(far(&contract(&l, &q).unwrap(), a) < tolerance && from_isometry(&q, "new") < tolerance);

            let (w, p) = a.polar(left, "new").unwrap();
            assert!(far(&contract(&w, &p).unwrap(), a) < tolerance);
            let others: Vec<Leg> = a.legs().iter().filter(|leg| !left.contains(&leg.name())).cloned().collect();
            let nearest = w.split("new", &others).unwrap();
            let rows: usize = left.iter().map(|name| a.dim(name).unwrap()).product();
            if rows >= w.dim("new").unwrap() {
                assert!(from_isometry(&w, "new") < tolerance);
            }
            assert!(a.legs().iter().all(|leg| nearest.legs().contains(leg)));
        });
    }

    #[test]
    fn every_cut_gives_isometries_that_multiply_to_the_tensor() {
        holds::<f32>(1e-4);
        holds::<f64>(1e-12);
        holds::<Complex32>(1e-4);
        holds::<Complex64>(1e-12);
    }

    #[test]
    fn truncation_loses_the_weight_it_says() {
        let a = Tensor::<Complex64>::random(legs(), Seed(2)).unwrap();
        let f = a.svd(&["t", "l"], "new", &Truncation::none().max_bond(3)).unwrap();
        assert_eq!((f.u.dim("new").unwrap(), f.vt.dim("new").unwrap(), f.s.len()), (3, 3, 3));
        let weight = f.discarded_weight;
        let (us, vt) = f.absorb_left().unwrap();
        let share = far(&contract(&us, &vt).unwrap(), &a) / a.norm().value();
        assert!((share * share - weight).abs() < 1e-14 && weight > 0.01);
    }

    #[test]
    fn eigenvectors_rebuild_a_hermitian_tensor() {
        let b = Tensor::<Complex64>::random(legs(), Seed(3)).unwrap();
        let primed =
            |names: &[&str]| names.iter().fold(b.conj(), |t, name| t.rename(name, format!("{name}'")).unwrap());
        // A density matrix of (l, s): the columns are primed.
        let a = contract(&b, &primed(&["l", "s"])).unwrap().permute(&["l'", "s", "l", "s'"]).unwrap();
        let f = a.eigh(&["l", "s"], &["l'", "s'"], "new").unwrap();
        assert!(f.values.windows(2).all(|w| w[0] <= w[1]) && f.values[0] > -1e-12);
        let scaled = f.vectors.scale_along("new", &f.values).unwrap();
        let dual = f.vectors.conj().rename("l", "l'").unwrap().rename("s", "s'").unwrap();
        assert!(far(&contract(&scaled, &dual).unwrap(), &a) < 1e-12);

        assert!(matches!(a.eigh(&["l", "s"], &["s'", "l'"], "new"), Err(Error::Shape { .. })));
        assert!(matches!(a.eigh(&["l", "s"], &["s'"], "new"), Err(Error::Leg { .. })));
        assert!(matches!(a.eigh(&["l", "s"], &["l'", "l"], "new"), Err(Error::Leg { .. })));
    }

    #[test]
    fn what_is_not_finite_is_refused_with_the_legs() {
        let mut data = vec![1.0; 48];
        data[17] = f64::NAN;
        let a = Tensor::new(legs(), data).unwrap();
        for error in [
            a.svd(&["l"], "new", &Truncation::none()).map(drop),
            a.qr(&["l"], "new").map(drop),
            a.lq(&["l"], "new").map(drop),
            a.polar(&["l"], "new").map(drop),
        ] {
            let error = error.unwrap_err();
            assert!(matches!(error.root(), Error::NotFinite { .. }));
            assert!(error.to_string().starts_with("tensor [l: bond 3, s: site 2, t: site 2, r: bond 4]: "), "{error}");
        }
    }

    #[test]
    fn a_bond_may_not_be_called_like_a_leg() {
        let a = Tensor::<f32>::random(legs(), Seed(2)).unwrap();
        for bond in ["l", "r"] {
            assert!(matches!(a.svd(&["l"], bond, &Truncation::none()), Err(Error::Leg { .. })));
        }
        assert!(matches!(a.qr(&["x"], "new"), Err(Error::Leg { .. })));
        assert!(matches!(a.qr(&["l", "l"], "new"), Err(Error::Leg { .. })));
        assert!(matches!(
            a.svd(&["l"], "new", &Truncation::none().max_bond(0)).unwrap_err().root(),
            Error::Setting { .. }
        ));
        let fine = a.with_role("l", Role::Site).unwrap();
        assert!(contract_pairs(&a, &fine, &[("s", "t")]).is_err());
    }
}
