//! Making a network smaller before it is planned, by what its elements allow.
//!
//! Every rule leaves the value of the network as it is; only splitting rounds.

use ndarray::{ArrayD, Axis};
use num_traits::Float;

use super::execute::{join, rescaled, summed};
use super::network::Network;
use crate::error::Result;
use crate::linalg::Truncation;
use crate::scalar::{LogScaled, Real, Scalar};
use crate::tensor::{Leg, Role, Tensor};

/// A way to make a network smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A tensor is contracted with a neighbour if the result has no more elements than the larger of the two: scalars,
    /// vectors and matrices vanish.
    Absorb,
    /// Several bonds between the same tensors become one.
    Merge,
    /// A tensor that is zero wherever two of its indices differ loses one of them, and the other becomes a hyperedge.
    Diagonal,
    /// As [`Diagonal`](Self::Diagonal), for a tensor that is zero unless one index is the other counted backwards.
    Antidiagonal,
    /// Values of an index at which a tensor is zero throughout are left out everywhere.
    Column,
    /// A tensor of low rank between two groups of its legs is split in two, if they are smaller together. Singular values
    /// below the rounding error of the largest one are dropped.
    Split,
}

impl Rule {
    /// Its name in one word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Rule::Absorb => "absorb",
            Rule::Merge => "merge",
            Rule::Diagonal => "diagonal",
            Rule::Antidiagonal => "antidiagonal",
            Rule::Column => "column",
            Rule::Split => "split",
        }
    }
}

const RULES: [Rule; 6] = [Rule::Absorb, Rule::Merge, Rule::Diagonal, Rule::Antidiagonal, Rule::Column, Rule::Split];

/// Which rules are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simplify {
    rules: Vec<Rule>,
}

impl Simplify {
    /// All rules.
    #[must_use]
    pub fn all() -> Self {
        Simplify { rules: RULES.to_vec() }
    }

    /// No rule.
    #[must_use]
    pub fn none() -> Self {
        Simplify { rules: Vec::new() }
    }

    /// With a rule.
    #[must_use]
    pub fn with(mut self, rule: Rule) -> Self {
        if !self.uses(rule) {
            self.rules.push(rule);
        }
        self
    }

    /// Without a rule.
    #[must_use]
    pub fn without(mut self, rule: Rule) -> Self {
        self.rules.retain(|other| *other != rule);
        self
    }

    /// Whether a rule is used.
    #[must_use]
    pub fn uses(&self, rule: Rule) -> bool {
        self.rules.contains(&rule)
    }
}

/// Tensors with more legs than this are not split: the ways to part their legs are too many.
const MOST_LEGS: usize = 8;

/// What the rules of a simplification did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleReport {
    /// The rule.
    pub rule: Rule,
    /// How often it found something.
    pub rounds: usize,
    /// Tensors that are no longer there; less than zero where a rule made some.
    pub tensors: i64,
    /// Elements that are no longer there; less than zero where a rule made some.
    pub elements: i64,
}

struct Work<T: Scalar> {
    tensors: Vec<Tensor<T>>,
    open: Vec<Leg>,
    ln_scale: f64,
    /// Bonds made by splitting.
    made: usize,
}

impl<T: Scalar> Network<T> {
    /// A smaller network of the same value, by rules applied until none finds anything. The open legs stay as they are.
    ///
    /// ```
    /// use ansatz::{Leg, Tensor, network::{Network, Simplify}};
    /// // A vector, a diagonal matrix and a vector: one number remains.
    /// let v = Tensor::<f64>::new([Leg::bond("i", 2)], vec![1.0, 2.0])?;
    /// let d = Tensor::new([Leg::bond("i", 2), Leg::bond("j", 2)], vec![3.0, 0.0, 0.0, 4.0])?;
    /// let w = Tensor::new([Leg::bond("j", 2)], vec![1.0, 1.0])?;
    /// let small = Network::from_tensors(vec![v, d, w])?.simplify(&Simplify::all())?;
    /// let number: f64 = small.tensors().next().map_or(Ok(0.0), Tensor::to_scalar)?;
    /// assert!((number.ln() + small.ln_scale() - 11f64.ln()).abs() < 1e-14);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotFinite`](crate::Error::NotFinite) if a tensor that is contracted or split holds NaN or
    /// infinity.
    pub fn simplify(&self, simplify: &Simplify) -> Result<Self> {
        Ok(self.simplify_reported(simplify)?.0)
    }

    /// As [`simplify`](Self::simplify), with what each rule in use did.
    ///
    /// # Errors
    /// As [`simplify`](Self::simplify).
    pub fn simplify_reported(&self, simplify: &Simplify) -> Result<(Self, Vec<RuleReport>)> {
        let mut tensors = Vec::new();
        for tensor in self.tensors() {
            let mut plain = tensor.clone();
            for leg in tensor.legs() {
                plain = plain.with_role(leg, Role::Bond)?;
            }
            tensors.push(plain);
        }
        let mut work = Work { tensors, open: self.open().to_vec(), ln_scale: self.ln_scale(), made: 0 };
        // Split comes last, when nothing else is left to do.
        let order = [Rule::Diagonal, Rule::Antidiagonal, Rule::Column, Rule::Merge, Rule::Absorb, Rule::Split];
        let used = order.into_iter().filter(|rule| simplify.uses(*rule));
        let mut reports: Vec<RuleReport> =
            used.map(|rule| RuleReport { rule, rounds: 0, tensors: 0, elements: 0 }).collect();
        let size = |work: &Work<T>| {
            let elements: usize = work.tensors.iter().map(Tensor::elements).sum();
            (work.tensors.len() as i64, i64::try_from(elements).unwrap_or(i64::MAX))
        };
        let mut changed = true;
        while changed {
            changed = false;
            for report in &mut reports {
                let before = size(&work);
                let found = match report.rule {
                    Rule::Diagonal => work.diagonals(false)?,
                    Rule::Antidiagonal => work.diagonals(true)?,
                    Rule::Column => work.columns()?,
                    Rule::Merge => work.merge()?,
                    Rule::Absorb => work.absorb()?,
                    // What was split may be absorbed again, so it is tried once nothing else is left to do, and once only.
                    Rule::Split => !changed && work.made == 0 && work.split()?,
                };
                let after = size(&work);
                report.rounds += usize::from(found);
                report.tensors += before.0 - after.0;
                report.elements += before.1 - after.1;
                changed |= found;
            }
        }
        let mut tensors = work.tensors;
        for tensor in &mut tensors {
            for leg in &work.open {
                if tensor.has_leg(leg) {
                    *tensor = tensor.with_role(leg, leg.role())?;
                }
            }
        }
        Ok((Network::build(tensors, &work.open, work.ln_scale)?, reports))
    }
}

impl<T: Scalar> Work<T> {
    fn is_open(&self, name: &str) -> bool {
        self.open.iter().any(|leg| leg.name() == name)
    }

    fn holders(&self, name: &str) -> Vec<usize> {
        (0..self.tensors.len()).filter(|&t| self.tensors[t].has_leg(name)).collect()
    }

    /// Sums lone indices and contracts pairs whose result is no larger than the larger of both.
    fn absorb(&mut self) -> Result<bool> {
        let mut changed = false;
        let mut t = 0;
        while t < self.tensors.len() {
            for leg in self.tensors[t].legs().to_vec() {
                if !self.is_open(leg.name()) && self.holders(leg.name()).len() == 1 {
                    let sum = summed(&self.tensors[t], &leg)?;
                    self.tensors[t] = self.normalised(sum)?;
                    changed = true;
                }
            }
            if self.tensors[t].legs().is_empty() && self.tensors.len() > 1 {
                // Its modulus goes in front of everything, its phase to a neighbour.
                let value = LogScaled::from(self.tensors.remove(t).to_scalar()?);
                let other = if t == 0 { 0 } else { t - 1 };
                if !value.is_zero() {
                    self.ln_scale += value.ln_abs();
                }
                if value.phase() != T::one() {
                    self.tensors[other] = self.tensors[other].scale(value.phase());
                }
                changed = true;
                continue;
            }
            match self.partner(t) {
                Some(u) => {
                    let keep = |leg: &Leg| self.is_open(leg.name()) || self.holders(leg.name()).len() > 2;
                    let joined = join(&self.tensors[t], &self.tensors[u], keep)?;
                    self.tensors[t.min(u)] = self.normalised(joined)?;
                    self.tensors.remove(t.max(u));
                    changed = true;
                    // The result may find a partner, too.
                    t = t.min(u);
                }
                None => t += 1,
            }
        }
        Ok(changed)
    }

    /// The tensor with its elements near one; what was taken out goes in front of everything.
    fn normalised(&mut self, tensor: Tensor<T>) -> Result<Tensor<T>> {
        let scaled = rescaled(tensor, 0)?;
        self.ln_scale += scaled.exponent as f64 * std::f64::consts::LN_2;
        Ok(scaled.tensor)
    }

    /// The neighbour with which a tensor is contracted with the fewest multiplications, if that makes nothing larger.
    fn partner(&self, t: usize) -> Option<usize> {
        let tensor = &self.tensors[t];
        let candidates = (0..self.tensors.len()).filter(|&u| u != t).filter_map(|u| {
            let other = &self.tensors[u];
            let (mut result, mut product) = (1.0, 1.0);
            let mut shares = false;
            for leg in tensor.legs() {
                let shared = other.has_leg(leg);
                shares |= shared;
                product *= leg.dim() as f64;
                if !shared || self.is_open(leg.name()) || self.holders(leg.name()).len() > 2 {
                    result *= leg.dim() as f64;
                }
            }
            for leg in other.legs().iter().filter(|leg| !tensor.has_leg(leg)) {
                product *= leg.dim() as f64;
                result *= leg.dim() as f64;
            }
            let fits = result <= tensor.elements().max(other.elements()) as f64;
            (shares && fits).then_some((product, u))
        });
        candidates.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))).map(|best| best.1)
    }

    /// Fuses bonds that run between the same tensors; the fused one has the name of the first.
    fn merge(&mut self) -> Result<bool> {
        let mut groups: Vec<(Vec<usize>, Vec<String>)> = Vec::new();
        for t in 0..self.tensors.len() {
            for leg in self.tensors[t].legs() {
                let on = self.holders(leg.name());
                if on.len() < 2 || on[0] != t || self.is_open(leg.name()) {
                    continue;
                }
                match groups.iter_mut().find(|group| group.0 == on) {
                    Some(group) => group.1.push(leg.name().to_owned()),
                    None => groups.push((on, vec![leg.name().to_owned()])),
                }
            }
        }
        let mut changed = false;
        for (on, names) in groups.into_iter().filter(|group| group.1.len() > 1) {
            for t in on {
                self.tensors[t] = self.tensors[t].fuse(&names, &names[0], Role::Bond)?;
            }
            changed = true;
        }
        Ok(changed)
    }

    /// Finds pairs of indices on whose diagonal (or, counted backwards, antidiagonal) all of a tensor lies.
    fn diagonals(&mut self, backwards: bool) -> Result<bool> {
        let mut changed = false;
        for t in 0..self.tensors.len() {
            while let Some((kept, gone)) = self.diagonal_pair(t, backwards)? {
                let dim = self.tensors[t].dim(&gone)?;
                for u in self.holders(&gone) {
                    let mut tensor = self.tensors[u].clone();
                    if backwards {
                        tensor = picked(&tensor, &gone, &(0..dim).rev().collect::<Vec<_>>())?;
                    }
                    self.tensors[u] = if tensor.has_leg(&kept) {
                        diagonal(&tensor, &kept, &gone)?
                    } else {
                        tensor.rename(&gone, &kept)?
                    };
                }
                changed = true;
            }
        }
        Ok(changed)
    }

    /// Two legs of a tensor of which the second, which is not open, can be taken out.
    fn diagonal_pair(&self, t: usize, backwards: bool) -> Result<Option<(String, String)>> {
        let tensor = &self.tensors[t];
        let view = tensor.view_in_order(tensor.legs())?;
        for (i, a) in tensor.legs().iter().enumerate() {
            for (j, b) in tensor.legs().iter().enumerate().skip(i + 1) {
                if a.dim() != b.dim() || a.dim() < 2 || (self.is_open(a.name()) && self.is_open(b.name())) {
                    continue;
                }
                let meets = |x: usize, y: usize| if backwards { x + y + 1 == a.dim() } else { x == y };
                let mut rows = view.axis_iter(Axis(i)).enumerate();
                // The second axis has moved up by one, for the first is fixed.
                let lies = rows.all(|(x, row)| {
                    let mut lanes = row.axis_iter(Axis(j - 1)).enumerate();
                    lanes.all(|(y, lane)| meets(x, y) || lane.iter().all(|&z| z == T::zero()))
                });
                if lies {
                    let (kept, gone) = if self.is_open(b.name()) { (b, a) } else { (a, b) };
                    return Ok(Some((kept.name().to_owned(), gone.name().to_owned())));
                }
            }
        }
        Ok(None)
    }

    /// Leaves out values of an index at which a tensor is zero.
    fn columns(&mut self) -> Result<bool> {
        let mut changed = false;
        for t in 0..self.tensors.len() {
            for leg in self.tensors[t].legs().to_vec() {
                if self.is_open(leg.name()) {
                    continue;
                }
                let tensor = &self.tensors[t];
                let order = tensor.legs().to_vec();
                let view = tensor.view_in_order(&order)?;
                let axis = order.iter().position(|other| *other == leg).unwrap_or_default();
                let lanes = view.axis_iter(Axis(axis)).enumerate();
                let mut used: Vec<usize> =
                    lanes.filter(|(_, lane)| lane.iter().any(|&z| z != T::zero())).map(|(value, _)| value).collect();
                if used.is_empty() {
                    // The network is zero; one value says so.
                    used.push(0);
                }
                if used.len() == leg.dim() {
                    continue;
                }
                for u in self.holders(leg.name()) {
                    self.tensors[u] = match used[..] {
                        [only] => self.tensors[u].select(&leg, only)?,
                        _ => picked(&self.tensors[u], leg.name(), &used)?,
                    };
                }
                changed = true;
            }
        }
        Ok(changed)
    }

    /// Splits tensors of low rank.
    fn split(&mut self) -> Result<bool> {
        let mut changed = false;
        let mut t = 0;
        while t < self.tensors.len() {
            match self.parts(t)? {
                Some((left, right)) => {
                    self.tensors[t] = left;
                    self.tensors.push(right);
                    changed = true;
                }
                None => t += 1,
            }
        }
        Ok(changed)
    }

    /// The two smallest factors of a tensor, if they have fewer elements together than it has.
    fn parts(&mut self, t: usize) -> Result<Option<(Tensor<T>, Tensor<T>)>> {
        let tensor = &self.tensors[t];
        let legs = tensor.legs().to_vec();
        if legs.len() < 3 || legs.len() > MOST_LEGS {
            return Ok(None);
        }
        let rounding = 16.0 * T::Real::epsilon().to_f64() * (tensor.elements() as f64).sqrt();
        let truncation = Truncation::none().cutoff(rounding);
        let mut name = format!("split {}", self.made);
        while self.tensors.iter().any(|tensor| tensor.has_leg(&name)) {
            name.push('\'');
        }
        let mut best: Option<(usize, Tensor<T>, Tensor<T>)> = None;
        // The first leg is always on the left, so each way is tried once.
        for way in 0..(1_usize << (legs.len() - 1)) - 1 {
            let left: Vec<&Leg> = legs
                .iter()
                .enumerate()
                .filter(|(i, _)| *i == 0 || way >> (i - 1) & 1 == 1)
                .map(|(_, leg)| leg)
                .collect();
            let rows: usize = left.iter().map(|leg| leg.dim()).product();
            let cols = tensor.elements() / rows;
            // Even of rank one the two would not be smaller.
            if rows + cols >= tensor.elements() {
                continue;
            }
            let svd = tensor.svd(&left, &name, &truncation)?;
            let elements = svd.s.len() * (rows + cols);
            if elements < best.as_ref().map_or(tensor.elements(), |best| best.0) {
                let (left, right) = svd.absorb_left()?;
                best = Some((elements, left, right));
            }
        }
        Ok(best.map(|(_, left, right)| {
            self.made += 1;
            (left, right)
        }))
    }
}

/// The tensor at some values of a leg, in that order.
fn picked<T: Scalar>(tensor: &Tensor<T>, name: &str, values: &[usize]) -> Result<Tensor<T>> {
    let mut legs = tensor.legs().to_vec();
    let axis = legs.iter().position(|leg| leg.name() == name).unwrap_or_default();
    let array: ArrayD<T> = tensor.view_in_order(&legs)?.select(Axis(axis), values);
    legs[axis] = Leg::new(name, values.len(), legs[axis].role());
    Tensor::from_array(legs, array)
}

/// The diagonal of two legs, under the name of the first.
fn diagonal<T: Scalar>(tensor: &Tensor<T>, kept: &str, gone: &str) -> Result<Tensor<T>> {
    let order: Vec<&Leg> = tensor.legs().iter().filter(|leg| leg.name() != kept && leg.name() != gone).collect();
    let mut legs = vec![tensor.leg(kept)?.clone()];
    legs.extend(order.iter().map(|&leg| leg.clone()));
    let mut out = Tensor::<T>::zeros(legs.clone())?.into_array(&legs)?;
    for (value, mut lane) in out.axis_iter_mut(Axis(0)).enumerate() {
        lane.assign(&tensor.select(kept, value)?.select(gone, value)?.view_in_order(&order)?);
    }
    Tensor::from_array(legs, out)
}
