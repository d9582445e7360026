//! Contractions as a list of numbered steps: what is done, without names and without memory.
//!
//! Values are numbered: the leaves first, then the result of each step. A value may be read by any number of later
//! steps, so a program is a graph without cycles rather than a tree, and any values may be asked for as results.

use std::collections::HashSet;

use super::actions::Compiled;
use crate::error::{Error, Result};

/// A value as a step reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Operand {
    /// The number of the value.
    pub value: usize,
    /// Whether its complex conjugate is meant.
    pub conj: bool,
}

impl Operand {
    /// The conjugate of a value.
    pub(crate) fn conj(value: usize) -> Self {
        Operand { value, conj: true }
    }
}

impl From<usize> for Operand {
    fn from(value: usize) -> Self {
        Operand { value, conj: false }
    }
}

/// One product: an index that the result has not is summed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub left: Operand,
    pub right: Operand,
}

/// Pairwise contractions of numbered values described by lists of indices.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// The dimension of each index.
    pub(super) dims: Vec<u64>,
    pub(super) leaves: usize,
    /// The indices of each value: of the leaves in the order of their memory, of results in the order in which they are
    /// to be handed out.
    pub(super) values: Vec<Vec<usize>>,
    pub(super) steps: Vec<Pair>,
    pub(super) outputs: Vec<usize>,
}

impl Program {
    /// A program without steps. Each leaf has its indices in the order of memory, the last running fastest, none of
    /// them twice.
    ///
    /// # Errors
    /// [`Error::Shape`] if a leaf has an index that has no dimension, or one twice.
    pub(crate) fn new(dims: &[u64], leaves: Vec<Vec<usize>>) -> Result<Self> {
        for leaf in &leaves {
            proper(leaf, |i| i < dims.len())?;
        }
        Ok(Program {
            dims: dims.to_vec(),
            leaves: leaves.len(),
            values: leaves,
            steps: Vec::new(),
            outputs: Vec::new(),
        })
    }

    /// The product of two values, with the indices `out` left; the others are summed over. The number of the result.
    ///
    /// # Errors
    /// [`Error::Shape`] if an operand is not there yet, or the result has an index that neither has, or one twice.
    pub(crate) fn push(
        &mut self,
        left: impl Into<Operand>,
        right: impl Into<Operand>,
        out: Vec<usize>,
    ) -> Result<usize> {
        let (left, right) = (left.into(), right.into());
        let number = self.values.len();
        if let Some(value) = [left.value, right.value].into_iter().find(|&value| value >= number) {
            return Err(Error::shape("an operand of a contraction, by number,", value, format!("below {number}")));
        }
        let (on_left, on_right) = (Members::of(&self.values[left.value]), Members::of(&self.values[right.value]));
        proper(&out, |i| on_left.has(i) || on_right.has(i))?;
        self.values.push(out);
        self.steps.push(Pair { left, right });
        Ok(number)
    }

    /// Asks for a value as a result.
    ///
    /// # Errors
    /// [`Error::Shape`] if it is not there.
    pub(crate) fn output(&mut self, value: usize) -> Result<()> {
        if value >= self.values.len() {
            return Err(Error::shape("a result of a contraction, by number,", value, self.values.len()));
        }
        self.outputs.push(value);
        Ok(())
    }

    /// The indices of a value.
    pub(crate) fn indices(&self, value: usize) -> &[usize] {
        &self.values[value]
    }

    /// The program with memory laid out for it, to be run once for each value of the sliced indices. With `hoist`, what
    /// depends on no sliced index is computed once and kept; with `at_once`, subtrees of an unsliced program may have
    /// stretches of memory of their own.
    pub(crate) fn compile(&self, sliced: &[usize], hoist: bool, at_once: bool) -> Compiled {
        Compiled::new(self, sliced, hoist, at_once)
    }
}

fn proper(indices: &[usize], known: impl Fn(usize) -> bool) -> Result<()> {
    if !indices.iter().all(|&i| known(i)) || once(indices).len() < indices.len() {
        let what = "the indices of a tensor, each known and there once,";
        return Err(Error::shape(what, indices, "indices of its operands"));
    }
    Ok(())
}

/// Indices of a tensor. Hardly one has more than a few, but a file can have one with a hundred thousand.
pub(super) struct Members<'a> {
    list: &'a [usize],
    long: Option<HashSet<usize>>,
}

impl<'a> Members<'a> {
    const FEW: usize = 32;

    pub fn of(list: &'a [usize]) -> Self {
        Members { list, long: (list.len() > Self::FEW).then(|| list.iter().copied().collect()) }
    }

    pub fn has(&self, i: usize) -> bool {
        self.long.as_ref().map_or_else(|| self.list.contains(&i), |set| set.contains(&i))
    }
}

/// A list without what is there again.
pub(super) fn once(list: &[usize]) -> Vec<usize> {
    let mut seen = HashSet::new();
    let few = list.len() <= Members::FEW;
    let first = |(k, i): &(usize, &usize)| if few { !list[..*k].contains(i) } else { seen.insert(**i) };
    list.iter().enumerate().filter(first).map(|(_, &i)| i).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use crate::scalar::Scalar;
    use num_complex::Complex64;
    use rand::RngExt;

    type Value = (Vec<usize>, Vec<Complex64>);

    /// The elements of a value at given values of all indices.
    fn at(value: &Value, dims: &[u64], point: &[usize]) -> usize {
        value.0.iter().fold(0, |at, &i| at * dims[i] as usize + point[i])
    }

    fn points(dims: &[u64]) -> Vec<Vec<usize>> {
        let mut points = vec![Vec::new()];
        for &dim in dims {
            points = points
                .into_iter()
                .flat_map(|point| (0..dim as usize).map(move |x| [point.clone(), vec![x]].concat()))
                .collect();
        }
        points
    }

    #[test]
    fn values_that_several_steps_read_and_conjugates_agree_with_the_sums() {
        for index in 0..200 {
            let mut stream = Seed(21).stream("program", index);
            let dims: Vec<u64> = (0..5).map(|_| stream.random_range(1..=3)).collect();
            let some = |stream: &mut crate::random::Stream, from: &[usize]| -> Vec<usize> {
                let mut list: Vec<usize> = from.iter().copied().filter(|_| stream.random_range(0..3) > 0).collect();
                for i in (1..list.len()).rev() {
                    list.swap(i, stream.random_range(0..=i));
                }
                list
            };
            let leaves: Vec<Vec<usize>> = (0..3).map(|_| some(&mut stream, &[0, 1, 2, 3, 4])).collect();
            let mut values: Vec<Value> = Vec::new();
            for leaf in &leaves {
                let len: u64 = leaf.iter().map(|&i| dims[i]).product();
                values.push((leaf.clone(), (0..len).map(|_| Complex64::normal(&mut stream)).collect()));
            }
            let mut program = Program::new(&dims, leaves).unwrap();
            for _ in 0..5 {
                let count = values.len();
                let operand = |stream: &mut crate::random::Stream| Operand {
                    value: stream.random_range(0..count),
                    conj: stream.random_range(0..2) == 0,
                };
                let (left, right) = (operand(&mut stream), operand(&mut stream));
                let mut union = [values[left.value].0.clone(), values[right.value].0.clone()].concat();
                union.sort_unstable();
                union.dedup();
                let out = some(&mut stream, &union);
                program.push(left, right, out.clone()).unwrap();
                let mut result =
                    (out.clone(), vec![Complex64::default(); out.iter().map(|&i| dims[i]).product::<u64>() as usize]);
                // Each combination of the indices that occur, once.
                for point in points(&dims) {
                    if (0..5).any(|i| point[i] > 0 && !union.contains(&i)) {
                        continue;
                    }
                    let read = |operand: Operand| {
                        let value = &values[operand.value];
                        let x = value.1[at(value, &dims, &point)];
                        if operand.conj { x.conj() } else { x }
                    };
                    let place = at(&result, &dims, &point);
                    result.1[place] += read(left) * read(right);
                }
                values.push(result);
            }
            (3..8).for_each(|value| program.output(value).unwrap());
            let elements: Vec<&[Complex64]> = values[..3].iter().map(|value| value.1.as_slice()).collect();
            let found = program.compile(&[], false, true).run(&elements, &[0; 3], &[], &mut Vec::new()).unwrap();
            for (value, (elements, exponent)) in values[3..].iter().zip(&found) {
                assert_eq!(value.1.len(), elements.len());
                let scale = (*exponent as f64).exp2();
                for (x, y) in value.1.iter().zip(elements) {
                    assert!((x - y * scale).norm() < 1e-12 * (1.0 + x.norm()), "{index}: {x} {y} {exponent}");
                }
            }
        }
    }

    #[test]
    fn steps_that_make_no_sense_are_refused() {
        let mut program = Program::new(&[2, 3], vec![vec![0, 1], vec![1]]).unwrap();
        assert!(program.push(0, 2, vec![0]).is_err());
        assert!(program.push(1, 1, vec![0]).is_err());
        assert!(program.push(0, Operand::conj(1), vec![0, 0]).is_err());
        assert!(program.output(2).is_err() && program.push(0, 1, vec![0]).is_ok() && program.output(2).is_ok());
        assert_eq!(program.indices(2), [0]);
        assert!(Program::new(&[2], vec![vec![0, 0]]).is_err() && Program::new(&[2], vec![vec![1]]).is_err());
    }
}
