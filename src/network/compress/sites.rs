//! The tensors of a network while it is contracted: at most one bond between any two.

use std::collections::BTreeMap;

use super::layout::{End, Layout};
use crate::error::{Error, Result};
use crate::network::Network;
use crate::scalar::{Real, Scalar};
use crate::tensor::{Leg, Role, Tensor, contract};

/// Tensors with numbers, the bonds between them, and a common factor.
#[derive(Debug)]
pub(super) struct Sites<T: Scalar> {
    /// By the numbers of a [`ContractionTree`](crate::network::ContractionTree); those that are used up are gone.
    tensors: Vec<Option<Tensor<T>>>,
    /// For each tensor the neighbours and the name of the bond to each.
    bonds: Vec<BTreeMap<usize, String>>,
    /// `ln` of the factor in front of everything.
    pub ln_scale: f64,
    /// Bond names that have been given.
    named: usize,
}

impl<T: Scalar> Sites<T> {
    /// The tensors of a network; open legs are called `o` and the number of the index.
    pub fn new(network: &Network<T>) -> Result<Self> {
        let equation = network.equation()?;
        let layout = Layout::new(&equation);
        let count = equation.tensors();
        let mut sites = Sites { tensors: Vec::with_capacity(2 * count), bonds: Vec::new(), ln_scale: 0.0, named: 0 };
        sites.bonds.resize(count, BTreeMap::new());
        // The names of all bonds between two tensors, in the order of the indices, so that both sides fuse them alike.
        let mut between: BTreeMap<(usize, usize), Vec<String>> = BTreeMap::new();
        let numbers: BTreeMap<&str, usize> = equation.names().iter().map(String::as_str).zip(0..).collect();
        for (number, (tensor, ends)) in network.tensors().zip(&layout.ends).enumerate() {
            // Numbers in place of names: whatever the legs of the network are called, no two names clash.
            let order: Vec<&Leg> = tensor.legs().iter().collect();
            let numbered: Vec<Leg> = order
                .iter()
                .map(|leg| Leg::bond(format!("t{}", numbers.get(leg.name()).copied().unwrap_or_default()), leg.dim()))
                .collect();
            let mut tensor = Tensor::from_array(numbered, tensor.clone().into_array(&order)?)?;
            for (i, ends) in ends {
                let mut legs = Vec::with_capacity(ends.len());
                for end in ends {
                    legs.push(match *end {
                        End::Open(i) => format!("o{i}"),
                        End::Tensor(other) => {
                            let name = format!("i{i} {} {}", number.min(other), number.max(other));
                            if number < other {
                                between.entry((number, other)).or_default().push(name.clone());
                            }
                            name
                        }
                    });
                }
                tensor = led(&tensor, &format!("t{i}"), &legs)?;
            }
            if !tensor.is_finite() {
                return Err(Error::NotFinite { what: format!("tensor {number} of a network, {tensor}") });
            }
            sites.tensors.push(Some(tensor));
        }
        for ((a, b), names) in between {
            sites.join_bonds(a, b, &names)?;
        }
        for number in 0..count {
            sites.balance(number)?;
        }
        Ok(sites)
    }

    pub fn tensor(&self, number: usize) -> Result<&Tensor<T>> {
        let found = self.tensors.get(number).and_then(Option::as_ref);
        found.ok_or_else(|| Error::Format { what: format!("tensor {number} of the order is not there") })
    }

    /// The numbers that are alive.
    pub fn alive(&self) -> impl Iterator<Item = usize> {
        self.tensors.iter().enumerate().filter(|(_, tensor)| tensor.is_some()).map(|(number, _)| number)
    }

    pub fn neighbours(&self, number: usize) -> Vec<usize> {
        self.bonds.get(number).map(|bonds| bonds.keys().copied().collect()).unwrap_or_default()
    }

    /// The name of the bond between two tensors.
    pub fn bond(&self, a: usize, b: usize) -> Result<&str> {
        let name = self.bonds.get(a).and_then(|bonds| bonds.get(&b)).map(String::as_str);
        name.ok_or_else(|| Error::Format { what: format!("tensors {a} and {b} have no bond") })
    }

    pub fn bond_dim(&self, a: usize, b: usize) -> Result<usize> {
        self.tensor(a)?.dim(self.bond(a, b)?)
    }

    /// Puts matrices on both sides of a bond: `left` from the old to the new bond for `a`, `right` for `b`. The old name
    /// is that of the bond, the new one `name`.
    pub fn replace_bond(
        &mut self,
        a: usize,
        b: usize,
        name: String,
        left: &Tensor<T>,
        right: &Tensor<T>,
    ) -> Result<()> {
        for (number, other, matrix) in [(a, b, left), (b, a, right)] {
            let tensor = contract(self.tensor(number)?, matrix)?;
            self.tensors[number] = Some(tensor);
            self.bonds[number].insert(other, name.clone());
        }
        self.balance(a)?;
        self.balance(b)
    }

    pub fn fresh(&mut self) -> String {
        self.named += 1;
        format!("b{}", self.named)
    }

    /// Contracts two tensors; the result has the next number. Bonds of both to the same third are fused, and the numbers
    /// of these thirds are returned.
    pub fn contract(&mut self, a: usize, b: usize) -> Result<Vec<usize>> {
        let result = contract(self.tensor(a)?, self.tensor(b)?)?;
        let number = self.tensors.len();
        (self.tensors[a], self.tensors[b]) = (None, None);
        self.tensors.push(Some(result));
        let (mut of_a, mut of_b) = (std::mem::take(&mut self.bonds[a]), std::mem::take(&mut self.bonds[b]));
        of_a.remove(&b);
        of_b.remove(&a);
        self.bonds.push(of_a.clone());
        let mut both = Vec::new();
        for &other in of_a.keys().chain(of_b.keys().filter(|n| !of_a.contains_key(n))) {
            self.bonds[other].remove(&a);
            self.bonds[other].remove(&b);
            match (of_a.get(&other), of_b.get(&other)) {
                (Some(first), Some(second)) => {
                    self.join_bonds(number, other, &[first.clone(), second.clone()])?;
                    both.push(other);
                }
                (Some(name), None) | (None, Some(name)) => {
                    self.bonds[other].insert(number, name.clone());
                    self.bonds[number].insert(other, name.clone());
                }
                (None, None) => {}
            }
        }
        self.balance(number)?;
        Ok(both)
    }

    /// As a network with the open legs of `like`.
    pub fn into_network(self, like: &Network<T>) -> Result<Network<T>> {
        let equation = like.equation()?;
        let mut tensors = Vec::with_capacity(self.tensors.len());
        for tensor in self.tensors.into_iter().flatten() {
            // Where a name of the bonds is that of an open leg, the bond gets another.
            let name = |leg: &Leg| {
                let open = like.open().iter().zip(equation.output()).find(|(_, i)| leg.name() == format!("o{i}"));
                match open {
                    Some((own, _)) => own.clone(),
                    None if like.open().iter().any(|open| open.name() == leg.name()) => {
                        leg.renamed(format!("{} inside", leg.name()))
                    }
                    None => leg.clone(),
                }
            };
            let legs: Vec<Leg> = tensor.legs().iter().map(name).collect();
            let order = tensor.legs().to_vec();
            tensors.push(Tensor::from_array(legs, tensor.into_array(&order)?)?);
        }
        Network::build(tensors, like.open(), like.ln_scale() + self.ln_scale)
    }

    /// Makes one bond of those of these names.
    fn join_bonds(&mut self, a: usize, b: usize, names: &[String]) -> Result<()> {
        let name = self.fresh();
        for (number, other) in [(a, b), (b, a)] {
            let tensor = self.tensor(number)?;
            let tensor = match names {
                [one] => tensor.rename(one, &name)?,
                _ => tensor.fuse(names, &name, Role::Bond)?,
            };
            self.tensors[number] = Some(tensor);
            self.bonds[number].insert(other, name.clone());
        }
        Ok(())
    }

    /// Takes a power of two out of a tensor, so that its norm is near one.
    fn balance(&mut self, number: usize) -> Result<()> {
        let (tensor, ln) = balanced(self.tensor(number)?)?;
        self.ln_scale += ln;
        self.tensors[number] = Some(tensor);
        Ok(())
    }
}

/// The tensor divided by a power of two near its norm, and `ln` of that.
pub(super) fn balanced<T: Scalar>(tensor: &Tensor<T>) -> Result<(Tensor<T>, f64)> {
    let ln = tensor.norm().ln_abs();
    if ln == f64::NEG_INFINITY {
        return Ok((tensor.clone(), 0.0));
    }
    if !ln.is_finite() {
        return Err(Error::NotFinite { what: format!("{tensor} within a contraction") });
    }
    let power = (ln / std::f64::consts::LN_2).round();
    if power == 0.0 {
        return Ok((tensor.clone(), 0.0));
    }
    // In two steps: the inverse of a power near the end of the range is none.
    let half = (power / 2.0).trunc();
    let (first, second) = (T::Real::of((-half).exp2()), T::Real::of((half - power).exp2()));
    Ok((tensor.map(|x| x.scale(first).scale(second)), power * std::f64::consts::LN_2))
}

/// The tensor with the leg `name` called as `legs` says: summed over, renamed, or copied.
fn led<T: Scalar>(tensor: &Tensor<T>, name: &str, legs: &[String]) -> Result<Tensor<T>> {
    match legs {
        [] => tensor.sum_over(&[name]),
        [one] => tensor.rename(name, one),
        _ => {
            let dim = tensor.dim(name)?;
            let mut copy = vec![Leg::bond("whole", dim)];
            copy.extend(legs.iter().map(|leg| Leg::bond(leg, dim)));
            let mut step = 0_usize;
            (0..copy.len()).for_each(|_| step = step.saturating_mul(dim).saturating_add(1));
            let zeros = Tensor::<T>::zeros(copy.clone())?;
            let mut data: Vec<T> = zeros.into_array(&copy)?.into_iter().collect();
            (0..dim).for_each(|value| {
                if let Some(slot) = data.get_mut(value * step) {
                    *slot = T::one();
                }
            });
            contract(&tensor.rename(name, "whole")?, &Tensor::new(copy, data)?)
        }
    }
}
