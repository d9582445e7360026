//! Stretches of a computation that are done again in the reverse pass.

use std::rc::Rc;

use super::backward::{Pull, sweep};
use super::limit::Limit;
use super::op::Op;
use super::tape::{Slot, Tape, Var};
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::Tensor;

type Function<T> = dyn for<'a> Fn(&[Var<'a, T>]) -> Result<Vec<Var<'a, T>>>;

/// A function whose operations are not kept.
pub(super) struct Segment<T: Scalar> {
    function: Box<Function<T>>,
}

impl<T: Scalar> Segment<T> {
    fn run<'a>(&self, tape: &'a Tape<T>, inputs: &[Var<'a, T>]) -> Result<Vec<Var<'a, T>>> {
        let made = (self.function)(inputs)?;
        if made.is_empty() {
            return Err(Error::Empty { what: "what a checkpointed function returns".into() });
        }
        if made.iter().any(|v| !v.tape.is(tape)) {
            return Err(Error::Tape { what: "a checkpointed function returns a value of another tape".into() });
        }
        Ok(made)
    }

    /// The values, without a trace of how they were made.
    pub(super) fn forward(&self, inputs: &[&Tensor<T>], limit: Option<&Limit>) -> Result<Vec<Tensor<T>>> {
        let tape = Tape::with_limit(limit.cloned());
        let inputs: Vec<Var<'_, T>> = inputs.iter().map(|value| tape.fixed((*value).clone())).collect();
        Ok(self.run(&tape, &inputs)?.into_iter().map(|v| v.value).collect())
    }

    /// Does the operations again, this time noting them down, and runs the reverse pass over them: on a tape of its own
    /// that is dropped, or, where the pass is recorded, on the same tape.
    pub(super) fn rule<'t>(
        &self,
        pull: &Pull<'t, '_, T>,
        arrived: Vec<Option<Var<'t, T>>>,
    ) -> Result<Vec<Option<Var<'t, T>>>> {
        let operands = (0..pull.node.inputs.len()).map(|k| pull.input(k)).collect::<Result<Vec<_>>>()?;
        if pull.recorded {
            // Places of their own, so that no path from one operand to another leads outside of the segment.
            let inputs = operands.iter().map(Var::alias).collect::<Result<Vec<_>>>()?;
            return self.through(pull.tape, pull, &inputs, arrived, true);
        }
        let inner = Tape::with_limit(pull.tape.limit.clone());
        let inputs = operands
            .into_iter()
            .enumerate()
            .map(|(k, v)| if pull.wants(k) { inner.variable(v.value) } else { Ok(inner.fixed(v.value)) });
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let arrived = arrived.into_iter().map(|g| g.map(|g| inner.fixed(g.value))).collect();
        let made = self.through(&inner, pull, &inputs, arrived, false)?;
        Ok(made.into_iter().map(|g| g.map(|g| pull.tape.fixed(g.value))).collect())
    }

    fn through<'a>(
        &self,
        tape: &'a Tape<T>,
        pull: &Pull<'_, '_, T>,
        inputs: &[Var<'a, T>],
        arrived: Vec<Option<Var<'a, T>>>,
        recorded: bool,
    ) -> Result<Vec<Option<Var<'a, T>>>> {
        let made = self.run(tape, inputs)?;
        if made.len() != arrived.len() {
            let what = "the values of a checkpointed function, done again";
            return Err(Error::shape(what, made.len(), arrived.len()));
        }
        let roots = made.iter().zip(arrived).filter_map(|(v, g)| Some((v.at?, g?))).collect();
        let wanted: Vec<(usize, Slot)> =
            inputs.iter().enumerate().filter_map(|(k, v)| Some((k, v.at.filter(|_| pull.wants(k))?))).collect();
        let targets: Vec<Slot> = wanted.iter().map(|(_, slot)| *slot).collect();
        let found = sweep(tape, roots, &targets, recorded)?;
        let mut cotangents = vec![None; inputs.len()];
        for ((k, _), g) in wanted.into_iter().zip(found) {
            cotangents[k] = g;
        }
        Ok(cotangents)
    }
}

impl<T: Scalar> Tape<T> {
    /// Values of `function`, of which the tape keeps the `inputs` alone: the operations within are done again in the
    /// reverse pass, on a tape of their own that is dropped at once.
    ///
    /// A computation of `n` equal steps as `sqrt(n)` segments of `sqrt(n)` steps holds the intermediate values of about
    /// `2 sqrt(n)` steps in place of `n`, for one more pass forward; segments may contain segments. The function has to
    /// do the same each time, and what it depends on has to be among its inputs.
    ///
    /// ```
    /// use ansatz::autodiff::Tape;
    /// use ansatz::{Leg, Tensor};
    /// let tape = Tape::new();
    /// let x = tape.variable(Tensor::new([Leg::bond("i", 2)], vec![0.5, 1.0])?)?;
    /// let y = tape.checkpoint(&[&x], |inputs| {
    ///     let mut y = inputs[0].clone();
    ///     for _ in 0..100 {
    ///         y = y.tanh()?.add(&inputs[0])?;
    ///     }
    ///     Ok(vec![y])
    /// })?;
    /// assert_eq!(tape.nodes(), 2);
    /// let gradient = y[0].sum()?.gradient(&[&x])?;
    /// # assert!(gradient[0].is_finite());
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of the function; [`Error::Tape`] for inputs of another tape, or if it returns values that were not made of
    /// its inputs; [`Error::Empty`] if there are no inputs or values.
    pub fn checkpoint<'t, F>(&'t self, inputs: &[&Var<'t, T>], function: F) -> Result<Vec<Var<'t, T>>>
    where
        F: for<'a> Fn(&[Var<'a, T>]) -> Result<Vec<Var<'a, T>>> + 'static,
    {
        if inputs.is_empty() {
            return Err(Error::Empty { what: "the list of inputs of a checkpointed function".into() });
        }
        self.record(Op::Segment(Rc::new(Segment { function: Box::new(function) })), inputs)
    }
}
