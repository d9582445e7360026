//! The tape and the values on it.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use super::limit::Limit;
use super::op::Op;
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::{Leg, Tensor};

/// What was computed, in order, so that it can be differentiated from the end to the beginning.
///
/// A tape belongs to one thread, and lives as long as the [`Var`]s on it. It holds what the rules of differentiation
/// need and no more: sums, slices and changes of names keep no elements.
pub struct Tape<T: Scalar> {
    nodes: RefCell<Vec<Rc<Node<T>>>>,
    /// Set on the copies of a tape on which a derivative at coinciding values is taken as a limit.
    pub(super) limit: Option<Limit>,
}

/// The results of every node.
pub(super) type Values<T> = Vec<Vec<Tensor<T>>>;

/// An operation that was done.
pub(super) struct Node<T: Scalar> {
    pub(super) op: Op<T>,
    pub(super) inputs: Vec<Operand<T>>,
    /// The results, where the rule of the operation needs them.
    pub(super) outputs: Vec<Option<Tensor<T>>>,
}

/// What an operation was done to.
pub(super) struct Operand<T: Scalar> {
    /// Where it came from; `None` for a constant.
    pub(super) source: Option<Slot>,
    pub(super) legs: Vec<Leg>,
    /// Its elements: those of constants, and those that the rule of the operation needs.
    pub(super) value: Option<Tensor<T>>,
}

/// One result of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) node: usize,
    pub(super) output: usize,
}

/// A tensor and its place on a [`Tape`].
///
/// A constant has no place, and what is made of constants alone is a constant and leaves nothing on the tape. Cloning
/// is cheap; elements are shared.
#[derive(Clone)]
pub struct Var<'t, T: Scalar> {
    pub(super) tape: &'t Tape<T>,
    pub(super) value: Tensor<T>,
    pub(super) at: Option<Slot>,
}

impl<T: Scalar> Default for Tape<T> {
    fn default() -> Self {
        Tape::new()
    }
}

impl<T: Scalar> fmt::Debug for Tape<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tape of {} nodes", self.nodes())
    }
}

impl<T: Scalar> fmt::Debug for Var<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(slot) => write!(f, "node {}: {:?}", slot.node, self.value),
            None => write!(f, "constant: {:?}", self.value),
        }
    }
}

impl<T: Scalar> Tape<T> {
    /// An empty tape.
    #[must_use]
    pub fn new() -> Self {
        Tape::with_limit(None)
    }

    pub(super) fn with_limit(limit: Option<Limit>) -> Self {
        Tape { nodes: RefCell::new(Vec::new()), limit }
    }

    /// A tensor with respect to which one can differentiate.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if an element is NaN or infinite.
    pub fn variable(&self, value: Tensor<T>) -> Result<Var<'_, T>> {
        let value = finite(value)?;
        let at = Some(self.push(Node { op: Op::Variable, inputs: Vec::new(), outputs: vec![Some(value.clone())] }, 0));
        Ok(Var { tape: self, value, at })
    }

    /// A tensor that stays as it is.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if an element is NaN or infinite.
    pub fn constant(&self, value: Tensor<T>) -> Result<Var<'_, T>> {
        Ok(self.fixed(finite(value)?))
    }

    /// A constant whose elements need no check.
    pub(super) fn fixed(&self, value: Tensor<T>) -> Var<'_, T> {
        Var { tape: self, value, at: None }
    }

    /// Number of operations on the tape.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes.borrow().len()
    }

    pub(super) fn node(&self, index: usize) -> Option<Rc<Node<T>>> {
        self.nodes.borrow().get(index).cloned()
    }

    pub(super) fn push(&self, node: Node<T>, output: usize) -> Slot {
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(Rc::new(node));
        Slot { node: nodes.len() - 1, output }
    }

    /// Forgets what came after the first `count` nodes; no value made of them may be left.
    pub(super) fn truncate(&self, count: usize) {
        self.nodes.borrow_mut().truncate(count);
    }

    /// Whether this is the very same tape.
    pub(super) fn is(&self, other: &Tape<T>) -> bool {
        std::ptr::eq(self, other)
    }

    /// Does an operation and notes it down, if anything it is done to is on the tape.
    pub(super) fn record<'t>(&'t self, op: Op<T>, inputs: &[&Var<'t, T>]) -> Result<Vec<Var<'t, T>>> {
        if let Some(stranger) = inputs.iter().find(|v| !v.tape.is(self)) {
            let what = format!("{} of values of two tapes, one of them {}: make all on one", op.name(), stranger.value);
            return Err(Error::Tape { what });
        }
        let mut op = op;
        let values: Vec<&Tensor<T>> = inputs.iter().map(|v| &v.value).collect();
        let outputs = op.forward(&values, self.limit.as_ref())?;
        if inputs.iter().all(|v| v.at.is_none()) {
            return Ok(outputs.into_iter().map(|value| self.fixed(value)).collect());
        }
        let keeps = op.keeps();
        let operand = |v: &&Var<'t, T>| Operand {
            source: v.at,
            legs: v.value.legs().to_vec(),
            value: (keeps.inputs || v.at.is_none()).then(|| v.value.clone()),
        };
        let kept = outputs.iter().map(|value| keeps.outputs.then(|| value.clone())).collect();
        let Slot { node, .. } = self.push(Node { op, inputs: inputs.iter().map(operand).collect(), outputs: kept }, 0);
        let numbered = outputs.into_iter().enumerate();
        Ok(numbered.map(|(output, value)| Var { tape: self, value, at: Some(Slot { node, output }) }).collect())
    }

    /// Does all operations again, on a tape of its own that takes the given limit; nodes keep their numbers.
    pub(super) fn replay(&self, limit: Limit) -> Result<(Tape<T>, Values<T>)> {
        let (tape, mut values) = (Tape::with_limit(Some(limit)), Values::new());
        // Not borrowed while operations run: a checkpointed function may own this tape and put values on it.
        let nodes = self.nodes.borrow().clone();
        for node in &nodes {
            let mut inputs = Vec::with_capacity(node.inputs.len());
            for operand in &node.inputs {
                let value = match operand.source {
                    Some(slot) => values.get(slot.node).and_then(|outputs| outputs.get(slot.output)),
                    None => operand.value.as_ref(),
                };
                inputs.push(value.ok_or_else(|| missing(&node.op))?);
            }
            let mut op = node.op.clone();
            let outputs = match op {
                Op::Variable => node.outputs.iter().flatten().cloned().collect(),
                _ => op.forward(&inputs, tape.limit.as_ref())?,
            };
            let keeps = op.keeps();
            let operands = node.inputs.iter().zip(inputs).map(|(old, value)| Operand {
                source: old.source,
                legs: value.legs().to_vec(),
                value: (keeps.inputs || old.source.is_none()).then(|| value.clone()),
            });
            let operands = operands.collect();
            let kept = outputs.iter().map(|value| keeps.outputs.then(|| value.clone())).collect();
            tape.push(Node { op, inputs: operands, outputs: kept }, 0);
            values.push(outputs);
        }
        Ok((tape, values))
    }
}

/// A value that a rule asked for and that the tape does not hold: [`Op::keeps`] and the rule disagree.
pub(super) fn missing<T: Scalar>(op: &Op<T>) -> Error {
    Error::Tape { what: format!("the tape holds no value that the derivative of {} needs", op.name()) }
}

fn finite<T: Scalar>(value: Tensor<T>) -> Result<Tensor<T>> {
    if value.is_finite() { Ok(value) } else { Err(Error::NotFinite { what: format!("{value}, put on a tape") }) }
}

impl<'t, T: Scalar> Var<'t, T> {
    /// The tensor; elements are shared.
    #[must_use]
    pub fn value(&self) -> &Tensor<T> {
        &self.value
    }

    /// Its legs.
    #[must_use]
    pub fn legs(&self) -> &[Leg] {
        self.value.legs()
    }

    /// The tape it is on.
    #[must_use]
    pub fn tape(&self) -> &'t Tape<T> {
        self.tape
    }

    /// The same tensor as a constant: no derivative passes through it.
    #[must_use]
    pub fn detach(&self) -> Self {
        Var { tape: self.tape, value: self.value.clone(), at: None }
    }

    /// Does an operation that has one result.
    pub(super) fn one(op: Op<T>, inputs: &[&Self]) -> Result<Self> {
        let lost = || Error::Tape { what: "an operation without operands or results".into() };
        let tape = inputs.first().ok_or_else(lost)?.tape;
        tape.record(op, inputs)?.into_iter().next().ok_or_else(lost)
    }
}
