//! Parts of a leg: slices, tensors put side by side, and elements chosen by symbols; and what undoes each.

use std::ops::Range;

use ndarray::{Axis, Slice};

use super::leg::{self, Leg};
use super::tensor::Tensor;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

impl<T: Scalar> Tensor<T> {
    /// The values of a leg that lie in `range`; the leg keeps its name and its role.
    ///
    /// # Errors
    /// [`Error::Leg`] if there is no leg `name`, or the range is empty or not within its dimension.
    pub fn slice(&self, name: impl AsRef<str>, range: Range<usize>) -> Result<Self> {
        let axis = self.axis(name.as_ref())?;
        let leg = &self.legs[axis];
        if range.start >= range.end || range.end > leg.dim() {
            let what = format!("values {}..{} asked of {leg} on {self}", range.start, range.end);
            return Err(Error::Leg { what });
        }
        let mut legs = self.legs.clone();
        legs[axis] = Leg::new(leg, range.len(), leg.role());
        Tensor::from_array(legs, self.data.slice_axis(Axis(axis), Slice::from(range)).to_owned())
    }

    /// The tensor with a leg of `dim` values, of which those from `start` on are the present ones and the others zero:
    /// the adjoint of [`slice`](Self::slice).
    ///
    /// # Errors
    /// [`Error::Leg`] if there is no leg `name`, or its values do not fit; [`Error::Memory`] if the result does not fit
    /// into memory.
    pub fn pad(&self, name: impl AsRef<str>, start: usize, dim: usize) -> Result<Self> {
        let axis = self.axis(name.as_ref())?;
        let leg = &self.legs[axis];
        let Some(end) = start.checked_add(leg.dim()).filter(|&end| end <= dim) else {
            return Err(Error::Leg { what: format!("{leg} on {self} does not fit into {dim} values from {start} on") });
        };
        let mut legs = self.legs.clone();
        legs[axis] = Leg::new(leg, dim, leg.role());
        let mut data = Tensor::zeros(legs.clone())?.data.into_owned();
        data.slice_axis_mut(Axis(axis), Slice::from(start..end)).assign(&self.data);
        Tensor::from_array(legs, data)
    }

    /// Tensors put one after the other along a leg that all have; their other legs are the same.
    ///
    /// # Errors
    /// [`Error::Empty`] for no tensors, [`Error::Leg`] if one lacks a leg or differs in another than `name`.
    pub fn concat(tensors: &[&Self], name: impl AsRef<str>) -> Result<Self> {
        let Some(first) = tensors.first() else {
            return Err(Error::Empty {
                what: format!("the list of tensors to be put together along '{}'", name.as_ref()),
            });
        };
        let axis = first.axis(name.as_ref())?;
        let mut legs = first.legs.clone();
        let mut dim = 0_usize;
        for t in tensors {
            let leg = &t.legs[t.axis(name.as_ref())?];
            dim = dim.saturating_add(leg.dim());
            legs[axis] = leg.clone();
            if t.legs.len() != legs.len()
                || !t.legs.iter().all(|leg| legs.contains(leg))
                || leg.role() != first.legs[axis].role()
            {
                return Err(Error::Leg {
                    what: format!("{first} and {t} differ in more than leg '{}'", name.as_ref()),
                });
            }
        }
        legs[axis] = Leg::new(&first.legs[axis], dim, first.legs[axis].role());
        let mut data = Tensor::zeros(legs.clone())?.data.into_owned();
        let mut start = 0;
        for t in tensors {
            let view = t.view_in_order(&first.legs)?;
            let end = start + view.shape()[axis];
            data.slice_axis_mut(Axis(axis), Slice::from(start..end)).assign(&view);
            start = end;
        }
        Tensor::from_array(legs, data)
    }

    /// For each sample the slice at its symbol: `out[n, ..] = a[symbols[n], ..]`, where `symbols[n]` is a value of leg
    /// `name` and `n` one of leg `batch`.
    ///
    /// If the tensor has the leg `batch` already, the slice is taken of the sample's own elements,
    /// `out[n, ..] = a[n, symbols[n], ..]`; if not, `batch` is new and comes first.
    ///
    /// ```
    /// use ansatz::{Leg, Tensor};
    /// let a = Tensor::new([Leg::site("s", 2), Leg::bond("r", 2)], vec![1.0, 2.0, 3.0, 4.0])?;
    /// let rows = a.gather("s", &[1, 0, 1], "n")?;
    /// assert_eq!(rows, Tensor::new([Leg::batch("n", 3), Leg::bond("r", 2)], vec![3.0, 4.0, 1.0, 2.0, 3.0, 4.0])?);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Empty`] for no symbols; [`Error::Leg`] if there is no leg `name`; [`Error::Symbol`] for a symbol that
    /// is not below its dimension; [`Error::Shape`] if the tensor has another number of samples.
    pub fn gather(&self, name: impl AsRef<str>, symbols: &[usize], batch: impl AsRef<str>) -> Result<Self> {
        let (name, batch) = (name.as_ref(), batch.as_ref());
        let own = name != batch && self.has_leg(batch);
        check(self.leg(name)?, symbols, own.then(|| self.dim(batch)).transpose()?)?;
        let axis = self.axis(name)?;
        let rest: Vec<&Leg> = self.legs.iter().filter(|leg| !leg.is(name) && !leg.is(batch)).collect();
        let mut legs = vec![if own { self.leg(batch)?.clone() } else { Leg::batch(batch, symbols.len()) }];
        legs.extend(rest.into_iter().cloned());
        leg::check(&legs)?;
        let mut out = Tensor::zeros(legs.clone())?.data.into_owned();
        for (n, (mut row, &symbol)) in out.axis_iter_mut(Axis(0)).zip(symbols).enumerate() {
            let slice = self.data.index_axis(Axis(axis), symbol);
            if own {
                let at = self.axis(batch)?;
                row.assign(&slice.index_axis(Axis(at - usize::from(at > axis)), n));
            } else {
                row.assign(&slice);
            }
        }
        Tensor::from_array(legs, out)
    }

    /// The adjoint of [`gather`](Self::gather): the slice of each sample is added at its symbol of the new leg `leg`,
    /// to a sum over the samples or, with `own`, for each sample by itself.
    ///
    /// # Errors
    /// As [`gather`](Self::gather).
    pub fn scatter(&self, leg: &Leg, symbols: &[usize], batch: impl AsRef<str>, own: bool) -> Result<Self> {
        check(leg, symbols, Some(self.dim(batch.as_ref())?))?;
        let from = self.axis(batch.as_ref())?;
        let mut legs: Vec<Leg> = if own { vec![self.legs[from].clone(), leg.clone()] } else { vec![leg.clone()] };
        legs.extend(self.other_axes(&[from]).into_iter().map(|axis| self.legs[axis].clone()));
        let mut out = Tensor::zeros(legs.clone())?.data.into_owned();
        for (n, (row, &symbol)) in self.data.axis_iter(Axis(from)).zip(symbols).enumerate() {
            let mut target = if own {
                out.index_axis_mut(Axis(0), n).index_axis_move(Axis(0), symbol)
            } else {
                out.index_axis_mut(Axis(0), symbol)
            };
            target += &row;
        }
        Tensor::from_array(legs, out)
    }
}

/// Refuses symbols that are no values of `leg`, and a number of them that is not the number of samples.
fn check(leg: &Leg, symbols: &[usize], samples: Option<usize>) -> Result<()> {
    if symbols.is_empty() {
        return Err(Error::Empty { what: format!("the list of symbols for {leg}") });
    }
    if let Some((sample, &found)) = symbols.iter().enumerate().find(|(_, symbol)| **symbol >= leg.dim()) {
        return Err(Error::Symbol { sample, site: 0, found, dim: leg.dim() });
    }
    match samples {
        Some(samples) if samples != symbols.len() => {
            Err(Error::shape(format!("the symbols for {leg}"), symbols.len(), samples))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use crate::tensor::contract_pairs;

    fn t() -> Tensor<f64> {
        let t = Tensor::random([Leg::bond("i", 3), Leg::site("s", 4), Leg::batch("n", 2)], Seed(5)).unwrap();
        t.permute(&["n", "i", "s"]).unwrap()
    }

    #[test]
    fn parts_of_a_leg_put_together_are_the_tensor() {
        let t = t();
        let (low, high) = (t.slice("s", 0..1).unwrap(), t.slice("s", 1..4).unwrap());
        assert_eq!(Tensor::concat(&[&low, &high.permute(&["s", "i", "n"]).unwrap()], "s").unwrap(), t);
        assert_eq!(low.pad("s", 0, 4).unwrap().add(&high.pad("s", 1, 4).unwrap()).unwrap(), t);
        assert_eq!(high.get(&[("s", 1), ("i", 2), ("n", 1)]).unwrap(), t.get(&[("s", 2), ("i", 2), ("n", 1)]).unwrap());
        assert!(Tensor::concat(&[&low, &high], "i").is_err() && Tensor::<f64>::concat(&[], "i").is_err());
        assert!(high.pad("s", 2, 4).is_err() && high.pad("s", usize::MAX, 4).is_err());
        #[allow(clippy::reversed_empty_ranges)]
        for range in [0..5, 2..2, 3..1] {
            assert!(matches!(t.slice("s", range), Err(Error::Leg { .. })));
        }
    }

    #[test]
    fn elements_are_chosen_by_symbol_and_scatter_is_the_adjoint() {
        let t = t();
        let own = t.gather("s", &[3, 1], "n").unwrap();
        assert_eq!(own.get(&[("n", 1), ("i", 2)]).unwrap(), t.get(&[("n", 1), ("s", 1), ("i", 2)]).unwrap());
        let one = t.select("n", 0).unwrap();
        let new = one.gather("s", &[3, 3, 0], "m").unwrap();
        assert_eq!(new.get(&[("m", 2), ("i", 1)]).unwrap(), one.get(&[("s", 0), ("i", 1)]).unwrap());

        let dot = |a: &Tensor<f64>, b: &Tensor<f64>| {
            let pairs: Vec<_> = a.legs().iter().map(|leg| (leg.name(), leg.name())).collect();
            contract_pairs(a, b, &pairs).unwrap().to_scalar().unwrap()
        };
        let other = Tensor::random(own.legs(), Seed(6)).unwrap();
        let back = other.scatter(&Leg::site("s", 4), &[3, 1], "n", true).unwrap();
        assert!((dot(&own, &other) - dot(&t, &back)).abs() < 1e-14);
        let other = Tensor::random(new.legs(), Seed(7)).unwrap();
        let back = other.scatter(&Leg::site("s", 4), &[3, 3, 0], "m", false).unwrap();
        assert!((dot(&new, &other) - dot(&one, &back)).abs() < 1e-14);

        assert!(matches!(t.gather("s", &[4, 0], "n"), Err(Error::Symbol { sample: 0, found: 4, dim: 4, .. })));
        assert!(matches!(t.gather("s", &[0], "n"), Err(Error::Shape { .. })));
        assert!(matches!(t.gather("s", &[], "n"), Err(Error::Empty { .. })));
    }
}
