//! The reverse pass.

use std::rc::Rc;

use super::limit;
use super::rules;
use super::tape::{Node, Operand, Slot, Tape, Var, missing};
use crate::error::{Error, Place, Result};
use crate::scalar::Scalar;
use crate::tensor::{Leg, Tensor};

/// What a rule may ask for: the operands and results of its node.
///
/// Where the pass is recorded they are values on the tape, and what the rule makes of them can be differentiated again;
/// where it is not they are constants, and leave nothing behind.
pub(super) struct Pull<'t, 'n, T: Scalar> {
    pub(super) tape: &'t Tape<T>,
    pub(super) node: &'n Node<T>,
    pub(super) index: usize,
    pub(super) recorded: bool,
    /// Which operands need a cotangent.
    wanted: Vec<bool>,
}

impl<'t, T: Scalar> Pull<'t, '_, T> {
    fn operand(&self, k: usize) -> Result<&Operand<T>> {
        self.node.inputs.get(k).ok_or_else(|| missing(&self.node.op))
    }

    pub(super) fn input(&self, k: usize) -> Result<Var<'t, T>> {
        let operand = self.operand(k)?;
        let value = operand.value.clone().ok_or_else(|| missing(&self.node.op))?;
        Ok(Var { tape: self.tape, value, at: operand.source.filter(|_| self.recorded) })
    }

    pub(super) fn output(&self, output: usize) -> Result<Var<'t, T>> {
        let value = self.node.outputs.get(output).cloned().flatten().ok_or_else(|| missing(&self.node.op))?;
        let at = self.recorded.then_some(Slot { node: self.index, output });
        Ok(Var { tape: self.tape, value, at })
    }

    pub(super) fn legs(&self, k: usize) -> Result<&[Leg]> {
        Ok(&self.operand(k)?.legs)
    }

    pub(super) fn wants(&self, k: usize) -> bool {
        self.wanted.get(k).copied().unwrap_or(false)
    }

    /// One cotangent for each operand, made only where it is wanted.
    pub(super) fn each(&self, mut make: impl FnMut(usize) -> Result<Var<'t, T>>) -> Result<Vec<Option<Var<'t, T>>>> {
        (0..self.node.inputs.len()).map(|k| self.wants(k).then(|| make(k)).transpose()).collect()
    }
}

/// The cotangents of `targets` that the cotangents of `roots` make; `None` where nothing arrives.
pub(super) fn sweep<'t, T: Scalar>(
    tape: &'t Tape<T>,
    roots: Vec<(Slot, Var<'t, T>)>,
    targets: &[Slot],
    recorded: bool,
) -> Result<Vec<Option<Var<'t, T>>>> {
    let end = roots.iter().map(|(slot, _)| slot.node + 1).max().unwrap_or(0);
    let start = targets.iter().map(|slot| slot.node).min().unwrap_or(0).min(end);
    // Which nodes depend on a target: no rule is run for others.
    let mut depends = vec![false; end - start];
    for target in targets.iter().filter(|slot| slot.node < end) {
        depends[target.node - start] = true;
    }
    let is_target = depends.clone();
    let reached = |depends: &[bool], slot: &Option<Slot>| {
        slot.is_some_and(|slot| slot.node >= start && depends.get(slot.node - start).copied().unwrap_or(false))
    };
    let mut nodes: Vec<Option<Rc<Node<T>>>> = Vec::with_capacity(end - start);
    for index in start..end {
        let node = tape.node(index);
        let inputs = node.iter().flat_map(|node| &node.inputs);
        if inputs.into_iter().any(|operand| reached(&depends, &operand.source)) {
            depends[index - start] = true;
        }
        nodes.push(node);
    }

    let mut cotangents: Vec<Vec<Option<Var<'t, T>>>> =
        nodes.iter().map(|node| vec![None; node.as_ref().map_or(0, |node| node.outputs.len())]).collect();
    for (slot, g) in roots {
        if slot.node >= start && depends[slot.node - start] {
            add(&mut cotangents, slot, start, g)?;
        }
    }
    for index in (start..end).rev() {
        let Some(node) = nodes[index - start].as_deref() else { continue };
        if !depends[index - start] || node.inputs.is_empty() {
            continue;
        }
        // What has been passed on is needed no longer.
        let arrived = if is_target[index - start] {
            cotangents[index - start].clone()
        } else {
            std::mem::take(&mut cotangents[index - start])
        };
        if arrived.iter().all(Option::is_none) {
            continue;
        }
        let wanted = node.inputs.iter().map(|operand| reached(&depends, &operand.source)).collect();
        let pull = Pull { tape, node, index, recorded, wanted };
        let place = Place::Node { node: index, operation: node.op.name() };
        let made = rules::pull(&pull, arrived).map_err(|e| match e {
            // These name the node themselves.
            Error::Gauge { .. } | Error::Degenerate { .. } => e,
            other => other.at(place),
        })?;
        for (operand, g) in node.inputs.iter().zip(made) {
            if let (Some(slot), Some(g)) = (operand.source, g)
                && reached(&depends, &operand.source)
            {
                add(&mut cotangents, slot, start, g)?;
            }
        }
    }
    let found = |slot: &Slot| cotangents.get(slot.node.wrapping_sub(start))?.get(slot.output)?.clone();
    Ok(targets.iter().map(found).collect())
}

fn add<'t, T: Scalar>(
    cotangents: &mut [Vec<Option<Var<'t, T>>>],
    slot: Slot,
    start: usize,
    g: Var<'t, T>,
) -> Result<()> {
    if let Some(place) = cotangents.get_mut(slot.node - start).and_then(|outputs| outputs.get_mut(slot.output)) {
        *place = Some(match place.take() {
            Some(sum) => sum.add(&g)?,
            None => g,
        });
    }
    Ok(())
}

impl<'t, T: Scalar> Var<'t, T> {
    /// The gradient of this number, the loss, with respect to each of `wrt`: a tensor with the same legs each, zero
    /// where the loss does not depend on it. The convention is that of the [module](super).
    ///
    /// Leaves nothing on the tape.
    ///
    /// # Errors
    /// [`Error::Tape`] if the loss has legs, or a value is a constant or on another tape; [`Error::NotFinite`] if the
    /// loss or a gradient is; [`Error::Gauge`] if the loss depends on a choice that a factorisation leaves open.
    pub fn gradient(&self, wrt: &[&Self]) -> Result<Vec<Tensor<T>>> {
        let (root, targets) = self.ends(wrt)?;
        match gradient_at(self.tape, root, &targets, wrt) {
            Err(e) if self.tape.limit.is_none() && matches!(e.root(), Error::Degenerate { .. }) => {
                limit::gradient(self.tape, root, &targets, &e)
            }
            result => result,
        }
    }

    /// The gradient as [`gradient`](Self::gradient) gives it, on the tape: a loss made of it can be differentiated
    /// again.
    ///
    /// # Errors
    /// As [`gradient`](Self::gradient); [`Error::Degenerate`] if vectors that belong to equal eigenvalues or to equal
    /// or vanishing singular values enter the loss.
    pub fn gradient_on_tape(&self, wrt: &[&Self]) -> Result<Vec<Self>> {
        let (root, targets) = self.ends(wrt)?;
        let seed = seed(self.tape, root);
        let found = sweep(self.tape, seed, &targets, true)?;
        found.into_iter().zip(wrt).map(|(g, x)| like(g, x)).collect()
    }

    /// The second derivative of this number along a direction: `H v = d/dt G(A + t v)` at `t = 0`, `G` the gradient as
    /// [`gradient`](Self::gradient) gives it, `v` one tensor for each of `wrt`.
    ///
    /// By one reverse pass over a reverse pass; no matrix of second derivatives is made.
    ///
    /// ```
    /// use ansatz::autodiff::Tape;
    /// use ansatz::{Leg, Tensor};
    /// let tape = Tape::new();
    /// let a = tape.variable(Tensor::new([Leg::bond("i", 2)], vec![1.0, 2.0])?)?;
    /// let loss = a.mul(&a)?.mul(&a)?.sum()?;                      // sum a^3, with the second derivatives 6 a
    /// let v = Tensor::new([Leg::bond("i", 2)], vec![0.0, 1.0])?;
    /// assert_eq!(loss.hessian_vector(&[&a], &[&v])?[0].get(&[("i", 1)])?, 12.0);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`gradient`](Self::gradient); [`Error::Shape`] unless there is one direction for each of `wrt`,
    /// [`Error::Leg`] unless it has the same legs.
    pub fn hessian_vector(&self, wrt: &[&Self], directions: &[&Tensor<T>]) -> Result<Vec<Tensor<T>>> {
        let (root, targets) = self.ends(wrt)?;
        if directions.len() != wrt.len() {
            return Err(Error::shape("the directions of a second derivative", directions.len(), wrt.len()));
        }
        if let Some(v) = directions.iter().find(|v| !v.is_finite()) {
            return Err(Error::NotFinite { what: format!("direction {v}") });
        }
        let before = self.tape.nodes();
        let result = along(self, wrt, directions);
        self.tape.truncate(before);
        match result {
            Err(e) if self.tape.limit.is_none() && matches!(e.root(), Error::Degenerate { .. }) => {
                limit::hessian_vector(self.tape, root, &targets, directions, &e)
            }
            result => result,
        }
    }

    /// The places of the loss (`None` for a constant) and of what it is differentiated by.
    fn ends(&self, wrt: &[&Self]) -> Result<(Option<Slot>, Vec<Slot>)> {
        if !self.legs().is_empty() {
            let what = format!("{} as a loss: one number is needed, sum over its legs", self.value);
            return Err(Error::Tape { what });
        }
        if !self.value.is_finite() {
            return Err(Error::NotFinite { what: "the loss".into() });
        }
        let place = |x: &&Self| {
            let what = if x.tape.is(self.tape) { "a constant" } else { "a value of another tape" };
            x.at.filter(|_| x.tape.is(self.tape)).ok_or_else(|| Error::Tape {
                what: format!("the derivative by {what}, {}: make it a variable of the tape of the loss", x.value),
            })
        };
        Ok((self.at, wrt.iter().map(place).collect::<Result<_>>()?))
    }
}

/// The derivative of the loss by itself, in the convention: 1 for real numbers, `dL/d conj(L) = 1/2` for complex ones.
fn seed<'t, T: Scalar>(tape: &'t Tape<T>, root: Option<Slot>) -> Vec<(Slot, Var<'t, T>)> {
    let one = tape.fixed(Tensor::scalar(T::from_f64(if T::IS_COMPLEX { 0.5 } else { 1.0 })));
    root.map(|slot| (slot, one)).into_iter().collect()
}

/// A cotangent with the legs in the order of the value it belongs to; zeros where there is none.
fn like<'t, T: Scalar>(g: Option<Var<'t, T>>, x: &Var<'t, T>) -> Result<Var<'t, T>> {
    match g {
        Some(g) if g.legs() == x.legs() => Ok(g),
        Some(g) => g.permute(x.legs()),
        None => Ok(x.tape.fixed(Tensor::zeros(x.legs())?)),
    }
}

/// The gradient on the tape as it stands.
pub(super) fn gradient_at<T: Scalar>(
    tape: &Tape<T>,
    root: Option<Slot>,
    targets: &[Slot],
    wrt: &[&Var<'_, T>],
) -> Result<Vec<Tensor<T>>> {
    let found = sweep(tape, seed(tape, root), targets, false)?;
    let mut gradients = Vec::with_capacity(found.len());
    for (g, x) in found.into_iter().zip(wrt) {
        let g = match g {
            Some(g) => g.value.permute(x.legs())?,
            None => Tensor::zeros(x.legs())?,
        };
        if !g.is_finite() {
            return Err(Error::NotFinite { what: format!("the gradient by {}", x.value) });
        }
        gradients.push(g);
    }
    Ok(gradients)
}

/// The second derivative along `directions`, on the tape as it stands.
pub(super) fn along<T: Scalar>(
    loss: &Var<'_, T>,
    wrt: &[&Var<'_, T>],
    directions: &[&Tensor<T>],
) -> Result<Vec<Tensor<T>>> {
    let mut slope: Option<Var<'_, T>> = None;
    let gradients = loss.gradient_on_tape(wrt)?;
    for (g, v) in gradients.iter().zip(directions) {
        // The derivative along v: dL = 2 Re sum conj(G) v, without the 2 where numbers are real.
        let part =
            g.inner(&loss.tape.fixed((*v).clone()))?.scale(T::from_f64(if T::IS_COMPLEX { 2.0 } else { 1.0 }))?;
        slope = Some(match slope {
            Some(sum) => sum.add(&part)?,
            None => part,
        });
    }
    match slope {
        Some(slope) => slope.gradient(wrt),
        None => Ok(Vec::new()),
    }
}
