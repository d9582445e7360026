//! The tensor: how it is made, read and renamed.

use std::fmt;

use ndarray::{ArcArray, Array, ArrayD, ArrayViewD, Dimension, IxDyn};

use super::layout;
use super::leg::{self, Leg, Role};
use crate::error::{Error, Place, Result};
use crate::random::Seed;
use crate::scalar::Scalar;

/// Dense elements with named legs.
///
/// The legs have an order, that in which elements are given and read, but nothing is addressed by it. Cloning and
/// every change of names, roles or order shares the elements.
#[derive(Clone, PartialEq)]
pub struct Tensor<T: Scalar> {
    pub(super) legs: Vec<Leg>,
    /// One axis a leg, in any order of memory, without gaps and without negative strides.
    pub(super) data: ArcArray<T, IxDyn>,
}

impl<T: Scalar> Tensor<T> {
    /// A tensor from its elements, the index of the last leg running fastest.
    ///
    /// ```
    /// use ansatz::{Leg, Tensor};
    /// let a = Tensor::new([Leg::site("s", 2), Leg::bond("b", 3)], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0])?;
    /// assert_eq!(a.get(&[("b", 2), ("s", 1)])?, 5.0);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`] if the number of elements is not the product of the dimensions, [`Error::Empty`] for a leg of
    /// dimension zero, [`Error::Leg`] if two legs have the same name.
    pub fn new(legs: impl Into<Vec<Leg>>, data: Vec<T>) -> Result<Self> {
        let legs = legs.into();
        leg::check(&legs)?;
        let found = data.len();
        if layout::elements(&legs).ok() != Some(found) {
            return Err(Error::shape(format!("the elements of {}", describe(&legs)), found, dims(&legs)));
        }
        Self::from_parts(legs, data)
    }

    /// A tensor from an array with one axis a leg, in the same order.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_array<D: Dimension>(legs: impl Into<Vec<Leg>>, array: Array<T, D>) -> Result<Self> {
        let legs = legs.into();
        leg::check(&legs)?;
        if array.shape() != dims(&legs) {
            return Err(Error::shape(format!("the array of {}", describe(&legs)), array.shape(), dims(&legs)));
        }
        let dense = array.as_slice_memory_order().is_some() && array.strides().iter().all(|&s| s >= 0);
        let array = if dense { array } else { array.as_standard_layout().into_owned() };
        Ok(Tensor { legs, data: array.into_dyn().into_shared() })
    }

    /// All elements zero.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`Error::Memory`] if the elements do not fit into memory.
    pub fn zeros(legs: impl Into<Vec<Leg>>) -> Result<Self> {
        let legs = legs.into();
        leg::check(&legs)?;
        let data = layout::zeroed(&legs)?;
        Self::from_parts(legs, data)
    }

    /// Standard normal elements (complex ones have variance 1 in all); the same seed and legs give the same elements.
    ///
    /// # Errors
    /// As [`zeros`](Self::zeros).
    pub fn random(legs: impl Into<Vec<Leg>>, seed: Seed) -> Result<Self> {
        let legs = legs.into();
        leg::check(&legs)?;
        let mut data = layout::zeroed(&legs)?;
        let mut stream = seed.stream("tensor", 0);
        data.fill_with(|| T::normal(&mut stream));
        Self::from_parts(legs, data)
    }

    /// A tensor without legs: one number.
    #[must_use]
    pub fn scalar(value: T) -> Self {
        Tensor { legs: Vec::new(), data: ArrayD::from_elem(IxDyn(&[]), value).into_shared() }
    }

    /// Legs that were checked, and as many elements as they have values.
    pub(super) fn from_parts(legs: Vec<Leg>, data: Vec<T>) -> Result<Self> {
        let found = data.len();
        let mut shape = IxDyn::zeros(legs.len());
        shape.slice_mut().iter_mut().zip(&legs).for_each(|(dim, leg)| *dim = leg.dim());
        match ArrayD::from_shape_vec(shape, data) {
            Ok(array) => Ok(Tensor { legs, data: array.into_shared() }),
            Err(_) => Err(Error::shape(format!("the elements of {}", describe(&legs)), found, dims(&legs))),
        }
    }

    /// The legs, in the order in which elements are given and read.
    #[must_use]
    pub fn legs(&self) -> &[Leg] {
        &self.legs
    }

    /// The leg called `name`.
    ///
    /// # Errors
    /// [`Error::Leg`] if there is none.
    pub fn leg(&self, name: impl AsRef<str>) -> Result<&Leg> {
        Ok(&self.legs[self.axis(name.as_ref())?])
    }

    /// Whether there is a leg called `name`.
    #[must_use]
    pub fn has_leg(&self, name: impl AsRef<str>) -> bool {
        self.position(name.as_ref()).is_some()
    }

    /// The dimension of the leg called `name`.
    ///
    /// # Errors
    /// [`Error::Leg`] if there is none.
    pub fn dim(&self, name: impl AsRef<str>) -> Result<usize> {
        Ok(self.leg(name)?.dim())
    }

    /// Number of elements, at least 1.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.data.len()
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.legs.iter().position(|leg| leg.is(name))
    }

    pub(super) fn axis(&self, name: &str) -> Result<usize> {
        self.position(name).ok_or_else(|| Error::Leg { what: format!("there is no leg '{name}' on {self}") })
    }

    /// The axes of `names`, each of which may occur once.
    pub(super) fn axes<S: AsRef<str>>(&self, names: &[S]) -> Result<Vec<usize>> {
        let mut axes = Vec::with_capacity(names.len());
        for name in names {
            let axis = self.axis(name.as_ref())?;
            if axes.contains(&axis) {
                return Err(Error::Leg { what: format!("leg '{}' of {self} is named twice", name.as_ref()) });
            }
            axes.push(axis);
        }
        Ok(axes)
    }

    /// The axes that are not among `axes`, in order.
    pub(super) fn other_axes(&self, axes: &[usize]) -> Vec<usize> {
        (0..self.legs.len()).filter(|axis| !axes.contains(axis)).collect()
    }

    /// The axes of `order`, which has to name every leg once.
    fn full_order<S: AsRef<str>>(&self, order: &[S]) -> Result<Vec<usize>> {
        let axes = self.axes(order)?;
        match self.other_axes(&axes).first() {
            None => Ok(axes),
            Some(&missing) => {
                Err(Error::Leg { what: format!("the order of {self} leaves out leg '{}'", self.legs[missing].name()) })
            }
        }
    }

    /// The element at the given index of every leg, in any order.
    ///
    /// # Errors
    /// [`Error::Leg`] if a leg is missing, unknown or named twice, or its index is not below its dimension.
    pub fn get(&self, index: &[(&str, usize)]) -> Result<T> {
        let names: Vec<&str> = index.iter().map(|&(name, _)| name).collect();
        let mut place = vec![0; self.legs.len()];
        for (axis, &(_, value)) in self.full_order(&names)?.into_iter().zip(index) {
            place[axis] = value;
        }
        self.data.get(IxDyn(&place)).copied().ok_or_else(|| Error::Leg {
            what: format!("there is no element {index:?} in {self}: an index is below the dimension of its leg"),
        })
    }

    /// The number in a tensor without legs.
    ///
    /// # Errors
    /// [`Error::Leg`] if the tensor has legs.
    pub fn to_scalar(&self) -> Result<T> {
        self.get(&[])
    }

    /// The elements as an array with the axes in the given order of legs; nothing is copied.
    ///
    /// # Errors
    /// [`Error::Leg`] unless `order` names every leg once.
    pub fn view_in_order<S: AsRef<str>>(&self, order: &[S]) -> Result<ArrayViewD<'_, T>> {
        Ok(self.data.view().permuted_axes(self.full_order(order)?))
    }

    /// The elements as an array in standard layout with the axes in the given order of legs.
    ///
    /// Copies only if the elements are shared or lie in another order.
    ///
    /// # Errors
    /// [`Error::Leg`] unless `order` names every leg once; [`Error::Memory`] if a copy does not fit into memory.
    pub fn into_array<S: AsRef<str>>(self, order: &[S]) -> Result<ArrayD<T>> {
        let permuted = self.permute(order)?;
        // The elements have two owners as long as `self` lives.
        drop(self);
        if permuted.data.is_standard_layout() {
            return Ok(permuted.data.into_owned());
        }
        let axes: Vec<usize> = (0..permuted.legs.len()).collect();
        let data = layout::gathered(&permuted, &axes)?;
        Ok(Self::from_parts(permuted.legs, data)?.data.into_owned())
    }

    /// The same tensor with its legs in another order.
    ///
    /// # Errors
    /// [`Error::Leg`] unless `order` names every leg once.
    pub fn permute<S: AsRef<str>>(&self, order: &[S]) -> Result<Self> {
        Ok(self.with_axes(&self.full_order(order)?))
    }

    /// The same tensor with its axes in the order `axes`, a permutation of all.
    pub(super) fn with_axes(&self, axes: &[usize]) -> Self {
        let legs = axes.iter().map(|&axis| self.legs[axis].clone()).collect();
        Tensor { legs, data: self.data.clone().permuted_axes(axes) }
    }

    /// The same tensor with leg `old` called `new`.
    ///
    /// # Errors
    /// [`Error::Leg`] if there is no leg `old`, or another leg is called `new`.
    pub fn rename(&self, old: impl AsRef<str>, new: impl AsRef<str>) -> Result<Self> {
        let axis = self.axis(old.as_ref())?;
        self.with_leg(axis, self.legs[axis].renamed(new))
    }

    /// The same tensor with another role for one leg: how a [`Role::Site`] leg is joined with a [`Role::Bond`] leg on
    /// purpose.
    ///
    /// # Errors
    /// [`Error::Leg`] if there is no leg `name`.
    pub fn with_role(&self, name: impl AsRef<str>, role: Role) -> Result<Self> {
        let axis = self.axis(name.as_ref())?;
        self.with_leg(axis, self.legs[axis].with_role(role))
    }

    fn with_leg(&self, axis: usize, leg: Leg) -> Result<Self> {
        let mut legs = self.legs.clone();
        legs[axis] = leg;
        leg::check(&legs)?;
        Ok(Tensor { legs, data: self.data.clone() })
    }

    /// Where an error happened that concerns this tensor.
    pub(super) fn place(&self) -> Place {
        Place::Tensor(describe(&self.legs))
    }
}

/// The legs, as `[l: bond 4, s: site 2]`.
impl<T: Scalar> fmt::Display for Tensor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tensor {}", describe(&self.legs))
    }
}

impl<T: Scalar> fmt::Debug for Tensor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} {}", self.data)
    }
}

pub(super) fn describe(legs: &[Leg]) -> String {
    format!("{legs:?}")
}

pub(super) fn dims(legs: &[Leg]) -> Vec<usize> {
    legs.iter().map(Leg::dim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    fn legs() -> Vec<Leg> {
        vec![Leg::bond("l", 2), Leg::site("s", 3), Leg::bond("r", 4)]
    }

    fn counting() -> Tensor<f64> {
        Tensor::new(legs(), (0..24).map(f64::from).collect()).unwrap()
    }

    #[test]
    fn the_order_of_legs_changes_no_element() {
        let t = counting();
        let turned = t.permute(&["r", "l", "s"]).unwrap();
        assert_eq!(turned.get(&[("s", 2), ("l", 1), ("r", 3)]).unwrap(), 23.0);
        assert_eq!(turned.view_in_order(&["l", "s", "r"]).unwrap(), t.view_in_order(&legs()).unwrap());
        assert_eq!(turned.memory().as_ptr(), t.memory().as_ptr());
        let array = turned.into_array(&["s", "r", "l"]).unwrap();
        assert!(array.is_standard_layout());
        assert_eq!((array.shape(), array[[2, 3, 1]]), ([3, 4, 2].as_slice(), 23.0));
    }

    #[test]
    fn a_tensor_that_owns_its_elements_alone_gives_them_away() {
        let t = counting();
        let place = t.memory().as_ptr();
        assert_eq!(t.into_array(&["l", "s", "r"]).unwrap().as_ptr(), place);
    }

    #[test]
    fn arrays_of_any_layout_are_read_by_index() {
        let a = Array3::from_shape_fn((2, 3, 4), |(i, j, k)| (100 * i + 10 * j + k) as f64);
        let mut reversed = Array3::from_shape_fn((2, 3, 4), |(i, j, k)| (100 * (1 - i) + 10 * j + k) as f64);
        reversed.invert_axis(ndarray::Axis(0));
        let mut wide = Array3::zeros((2, 3, 9));
        wide.slice_mut(ndarray::s![.., .., ..4]).assign(&a);
        wide.slice_collapse(ndarray::s![.., .., ..4]);
        let columns = a.t().as_standard_layout().into_owned().reversed_axes();
        for array in [a, reversed, wide, columns] {
            let t = Tensor::from_array(legs(), array).unwrap();
            assert_eq!(t.get(&[("l", 1), ("s", 2), ("r", 3)]).unwrap(), 123.0);
            assert_eq!(t.memory().len(), 24);
        }
    }

    #[test]
    fn elements_are_shared_until_they_change() {
        let t = counting();
        let other = t.clone().rename("l", "x").unwrap().with_role("x", Role::Site).unwrap();
        assert_eq!(other.memory().as_ptr(), t.memory().as_ptr());
        assert_eq!((other.dim("x").unwrap(), other.leg("x").unwrap().role()), (2, Role::Site));
        assert_eq!(t.scale(2.0).get(&[("l", 0), ("s", 0), ("r", 1)]).unwrap(), 2.0);
        assert_eq!(t, counting());
    }

    #[test]
    fn a_seed_fixes_the_elements() {
        let random = |seed| Tensor::<f32>::random(legs(), Seed(seed)).unwrap();
        assert_eq!(random(1), random(1));
        assert_ne!(random(1), random(2));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let t = counting();
        assert!(matches!(Tensor::new(legs(), vec![0.0; 23]), Err(Error::Shape { .. })));
        assert!(matches!(Tensor::from_array(legs(), Array3::<f64>::zeros((2, 4, 3))), Err(Error::Shape { .. })));
        assert!(matches!(Tensor::<f64>::zeros([Leg::site("s", 0)]), Err(Error::Empty { .. })));
        assert!(matches!(Tensor::<f64>::zeros([Leg::site("s", 2), Leg::bond("s", 2)]), Err(Error::Leg { .. })));
        assert!(Tensor::<f64>::new([Leg::site("a", usize::MAX), Leg::site("b", 2)], Vec::new()).is_err());
        for order in [&["l", "s"][..], &["l", "s", "s"], &["l", "s", "r", "x"]] {
            assert!(matches!(t.permute(order), Err(Error::Leg { .. })));
        }
        assert!(matches!(t.rename("l", "r"), Err(Error::Leg { .. })));
        assert!(t.rename("l", "l").is_ok() && t.rename("x", "y").is_err());
        assert!(t.get(&[("l", 0), ("s", 0)]).is_err() && t.get(&[("l", 0), ("s", 3), ("r", 0)]).is_err());
        assert_eq!(
            t.dim("q").unwrap_err().to_string(),
            "there is no leg 'q' on tensor [l: bond 2, s: site 3, r: bond 4]"
        );
    }

    #[test]
    fn a_tensor_without_legs_is_a_number() {
        assert_eq!(Tensor::scalar(2.5).to_scalar().unwrap(), 2.5);
        assert_eq!(Tensor::scalar(2.5), Tensor::new([], vec![2.5]).unwrap());
        assert!(counting().to_scalar().is_err());
    }
}
