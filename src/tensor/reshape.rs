//! Legs put together, taken apart, fixed to a value or closed upon each other.

use ndarray::{ArrayD, Axis, IxDyn};

use super::layout;
use super::leg::{self, Leg, Role};
use super::tensor::{Tensor, dims};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

impl<T: Scalar> Tensor<T> {
    /// The slice at one value of a leg, which the result no longer has.
    ///
    /// # Errors
    /// [`Error::Leg`] if there is no leg `name`, or `index` is not below its dimension.
    pub fn select(&self, name: impl AsRef<str>, index: usize) -> Result<Self> {
        let axis = self.axis(name.as_ref())?;
        if index >= self.legs[axis].dim() {
            return Err(Error::Leg { what: format!("value {index} asked of {} on {self}", self.legs[axis]) });
        }
        let mut legs = self.legs.clone();
        legs.remove(axis);
        Tensor::from_array(legs, self.data.index_axis(Axis(axis), index).to_owned())
    }

    /// Several legs as one, whose index counts through theirs, the last of `names` fastest; it takes the place of the
    /// first. [`split`](Self::split) is the inverse.
    ///
    /// With no names the new leg has dimension one and comes last.
    ///
    /// ```
    /// use ansatz::{Leg, Role, Seed, Tensor};
    /// let a = Tensor::<f64>::random([Leg::bond("l", 2), Leg::site("s", 3), Leg::bond("r", 4)], Seed(1))?;
    /// let fused = a.fuse(&["s", "r"], "sr", Role::Bond)?;
    /// assert_eq!(fused.get(&[("l", 1), ("sr", 2 * 4 + 3)])?, a.get(&[("l", 1), ("s", 2), ("r", 3)])?);
    /// assert_eq!(fused.split("sr", &[Leg::site("s", 3), Leg::bond("r", 4)])?, a);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Leg`] if a name is unknown or occurs twice, or a leg that is left is called `new`;
    /// [`Error::Memory`] if a copy is needed and does not fit.
    pub fn fuse<S: AsRef<str>>(&self, names: &[S], new: impl AsRef<str>, role: Role) -> Result<Self> {
        let group = self.axes(names)?;
        let dim = layout::elements(group.iter().map(|&axis| &self.legs[axis]))?;
        let mut order = self.other_axes(&group);
        let place = group.first().map_or(order.len(), |first| order.iter().filter(|axis| *axis < first).count());

        let mut legs: Vec<Leg> = order.iter().map(|&axis| self.legs[axis].clone()).collect();
        legs.insert(place, Leg::new(new, dim, role));
        leg::check(&legs)?;

        order.splice(place..place, group.iter().copied());
        if layout::fused(self, &group).is_none() {
            return Tensor::from_parts(legs, layout::gathered(self, &order)?);
        }
        let mut data = self.data.clone().permuted_axes(order);
        match group.len() {
            0 => data = data.insert_axis(Axis(place)),
            // From the fastest on: each axis of the group is merged into the one after it, and leaves length one.
            count => {
                for axis in (place..place + count - 1).rev() {
                    data.merge_axes(Axis(axis), Axis(axis + 1));
                    data = data.index_axis_move(Axis(axis), 0);
                }
            }
        }
        Ok(Tensor { legs, data })
    }

    /// One leg as several, the last of `parts` running fastest; they take its place. Nothing is copied.
    ///
    /// # Errors
    /// [`Error::Leg`] if there is no leg `name` or a name would occur twice, [`Error::Shape`] unless the dimensions of
    /// `parts` multiply to that of the leg.
    pub fn split(&self, name: impl AsRef<str>, parts: &[Leg]) -> Result<Self> {
        let axis = self.axis(name.as_ref())?;
        if layout::elements(parts).ok() != Some(self.legs[axis].dim()) {
            let what = format!("the parts of {} on {self}", self.legs[axis]);
            return Err(Error::shape(what, dims(parts), self.legs[axis].dim()));
        }
        // In the order of memory the elements are an array in standard layout, which any finer shape fits.
        let mut memory: Vec<usize> = (0..self.legs.len()).collect();
        layout::sort_by_memory(self, &mut memory);
        let mut stored = self.with_axes(&memory);
        let splice = |legs: &mut Vec<Leg>, place: usize| {
            legs.splice(place..=place, parts.iter().cloned());
        };
        splice(&mut stored.legs, memory.iter().position(|&a| a == axis).unwrap_or(axis));
        let mut legs = self.legs.clone();
        splice(&mut legs, axis);
        leg::check(&legs)?;

        let shape = dims(&stored.legs);
        stored.data = stored.data.into_shape_with_order(IxDyn(&shape)).map_err(|_| {
            Error::shape(format!("the parts of leg '{}' on {self}", name.as_ref()), dims(parts), self.legs[axis].dim())
        })?;
        stored.permute(&legs)
    }

    /// The sum over the diagonal of two legs, which the result no longer has.
    ///
    /// # Errors
    /// [`Error::Leg`] if a leg is unknown, both are the same, or they differ in dimension or role.
    pub fn trace(&self, first: impl AsRef<str>, second: impl AsRef<str>) -> Result<Self> {
        let axes = self.axes(&[first.as_ref(), second.as_ref()])?;
        let (low, high) = (axes[0].min(axes[1]), axes[0].max(axes[1]));
        if let Some(why) = self.legs[axes[0]].mismatch(&self.legs[axes[1]]) {
            return Err(Error::Leg { what: format!("trace of {self}: {why}") });
        }
        let legs: Vec<Leg> = self.other_axes(&axes).iter().map(|&axis| self.legs[axis].clone()).collect();
        let mut sum = ArrayD::zeros(dims(&legs));
        for i in 0..self.legs[low].dim() {
            sum += &self.data.index_axis(Axis(high), i).index_axis(Axis(low), i);
        }
        Tensor::from_array(legs, sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use num_complex::Complex64;

    const NAMES: [&str; 4] = ["a", "b", "c", "d"];

    fn tensor() -> Tensor<Complex64> {
        let legs = [Leg::site("a", 2), Leg::bond("b", 3), Leg::batch("c", 1), Leg::purification("d", 4)];
        Tensor::random(legs, Seed(1)).unwrap()
    }

    /// The tensor with its elements in the order of memory `order`, its legs in that order or the original one.
    fn layouts(order: &[&str]) -> [Tensor<Complex64>; 2] {
        let t = tensor().permute(order).unwrap();
        let stored = Tensor::from_array(t.legs().to_vec(), t.into_array(order).unwrap()).unwrap();
        [stored.permute(&NAMES).unwrap(), stored]
    }

    /// All ordered choices of some of the names.
    fn choices() -> Vec<Vec<&'static str>> {
        let mut all: Vec<Vec<&str>> = vec![Vec::new()];
        for length in 1..=NAMES.len() {
            let shorter: Vec<_> = all.iter().filter(|choice| choice.len() == length - 1).cloned().collect();
            for choice in shorter {
                for name in NAMES.into_iter().filter(|name| !choice.contains(name)) {
                    all.push([choice.as_slice(), &[name]].concat());
                }
            }
        }
        all
    }

    #[test]
    fn fusing_any_legs_of_any_layout_counts_through_them_and_splitting_undoes_it() {
        let (original, choices) = (tensor(), choices());
        for order in choices.iter().filter(|choice| choice.len() == NAMES.len()) {
            for t in layouts(order) {
                for group in &choices {
                    let fused = t.fuse(group, "new", Role::Site).unwrap();
                    let parts: Vec<Leg> = group.iter().map(|name| t.leg(name).unwrap().clone()).collect();
                    assert_eq!(fused.leg("new").unwrap().dim(), parts.iter().map(Leg::dim).product::<usize>());
                    let others: Vec<&str> = NAMES.into_iter().filter(|name| !group.contains(name)).collect();
                    let counted = fused.view_in_order(&[others.as_slice(), &["new"]].concat()).unwrap().to_owned();
                    let plain = original.view_in_order(&[others, group.clone()].concat()).unwrap();
                    assert!(counted.iter().eq(plain.iter()), "{order:?} {group:?}");
                    let split = fused.split("new", &parts).unwrap();
                    assert_eq!(split.permute(&NAMES).unwrap(), original, "{order:?} {group:?}");
                }
            }
        }
    }

    #[test]
    fn neighbours_in_memory_are_fused_and_split_without_a_copy() {
        let t = tensor().permute(&["d", "a", "b", "c"]).unwrap();
        let fused = t.fuse(&["a", "b"], "ab", Role::Site).unwrap();
        assert_eq!(fused.memory().as_ptr(), t.memory().as_ptr());
        let split = fused.split("ab", &[Leg::site("x", 3), Leg::site("y", 2)]).unwrap();
        assert_eq!(split.memory().as_ptr(), t.memory().as_ptr());
    }

    #[test]
    fn parts_have_to_multiply_to_the_leg() {
        let t = tensor();
        assert!(matches!(t.split("d", &[Leg::site("x", 2), Leg::site("y", 3)]), Err(Error::Shape { .. })));
        assert!(matches!(t.split("d", &[Leg::site("a", 2), Leg::site("y", 2)]), Err(Error::Leg { .. })));
        assert!(t.split("d", &[Leg::site("x", 4), Leg::site("y", 1)]).is_ok());
        assert!(t.split("d", &[Leg::site("x", usize::MAX), Leg::site("y", 3)]).is_err());
        assert!(matches!(t.split("d", &[]), Err(Error::Shape { .. })));
        assert_eq!(t.split("c", &[]).unwrap().legs().len(), 3);
        assert!(matches!(t.fuse(&["a", "a"], "n", Role::Site), Err(Error::Leg { .. })));
        assert!(matches!(t.fuse(&["a", "b"], "d", Role::Site), Err(Error::Leg { .. })));
        assert_eq!(t.fuse(&["a", "b"], "a", Role::Site).unwrap().dim("a").unwrap(), 6);
    }

    #[test]
    fn a_slice_holds_the_elements_at_its_value() {
        let t = tensor().permute(&["d", "b", "a", "c"]).unwrap();
        let slice = t.select("b", 2).unwrap();
        assert!(!slice.has_leg("b"));
        for (a, d) in [(0, 0), (1, 3), (0, 2)] {
            let expected = t.get(&[("a", a), ("b", 2), ("c", 0), ("d", d)]).unwrap();
            assert_eq!(slice.get(&[("a", a), ("c", 0), ("d", d)]).unwrap(), expected);
        }
        assert!(matches!(t.select("b", 3), Err(Error::Leg { .. })));
    }

    #[test]
    fn a_trace_sums_the_diagonal() {
        let legs = [Leg::bond("i", 3), Leg::site("s", 2), Leg::bond("j", 3), Leg::bond("k", 2)];
        let t = Tensor::<f64>::random(legs, Seed(2)).unwrap();
        for (first, second) in [("i", "j"), ("j", "i")] {
            for turned in [t.clone(), t.permute(&["k", "j", "s", "i"]).unwrap()] {
                let trace = turned.trace(first, second).unwrap();
                for (s, k) in [(0, 0), (1, 1), (0, 1)] {
                    let at = |i| t.get(&[("i", i), ("j", i), ("s", s), ("k", k)]).unwrap();
                    assert_eq!(trace.get(&[("s", s), ("k", k)]).unwrap(), at(0) + at(1) + at(2));
                }
            }
        }
        for (first, second) in [("i", "i"), ("i", "k"), ("s", "k"), ("i", "z")] {
            assert!(matches!(t.trace(first, second), Err(Error::Leg { .. })));
        }
    }
}
