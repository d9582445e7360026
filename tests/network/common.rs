//! Random patterns, and answers obtained the slow way.

use std::collections::HashMap;

use ansatz::network::{ContractionTree, Equation, Network};
use ansatz::{Scalar, Seed};
use ndarray::{ArrayD, IxDyn};
use rand::RngExt;

/// A pattern of up to `most` tensors with bonds, hyperedges, repeated and lone indices, and some of them open.
pub fn pattern(most: usize, index: u64) -> Equation {
    let mut stream = Seed(11).stream("pattern", index);
    let count = stream.random_range(1..=most);
    let names: Vec<String> = (0..stream.random_range(1..=7)).map(|i| format!("i{i}")).collect();
    let dims: HashMap<String, u64> = names.iter().map(|name| (name.clone(), stream.random_range(1..=3))).collect();
    let mut inputs: Vec<Vec<String>> = Vec::new();
    for _ in 0..count {
        let rank = stream.random_range(0..=4);
        inputs.push((0..rank).map(|_| names[stream.random_range(0..names.len())].clone()).collect());
    }
    let used: Vec<&String> = inputs.iter().flatten().collect();
    let mut output: Vec<String> = Vec::new();
    if !used.is_empty() {
        for _ in 0..stream.random_range(0..=3) {
            output.push(used[stream.random_range(0..used.len())].clone());
        }
    }
    Equation::from_names(&inputs, &output, &dims).unwrap()
}

/// An array for each tensor of a pattern.
pub fn arrays<T: Scalar>(equation: &Equation, seed: u64) -> Vec<ArrayD<T>> {
    let mut stream = Seed(seed).stream("arrays", 0);
    let shape = |input: &Vec<usize>| input.iter().map(|&i| equation.dims()[i] as usize).collect::<Vec<_>>();
    let inputs = equation.inputs().iter();
    inputs.map(|input| ArrayD::from_shape_simple_fn(shape(input), || T::normal(&mut stream))).collect()
}

/// The sum over all values of all indices.
pub fn naive<T: Scalar>(equation: &Equation, arrays: &[ArrayD<T>]) -> ArrayD<T> {
    let dims: Vec<usize> = equation.dims().iter().map(|&dim| dim as usize).collect();
    let at = |indices: &[usize], values: &[usize]| IxDyn(&indices.iter().map(|&i| values[i]).collect::<Vec<_>>());
    let shape: Vec<usize> = equation.output().iter().map(|&i| dims[i]).collect();
    let mut out = ArrayD::zeros(shape);
    let mut values = vec![0; dims.len()];
    for mut count in 0..dims.iter().product::<usize>() {
        for (value, dim) in values.iter_mut().zip(&dims) {
            *value = count % dim;
            count /= dim;
        }
        let product = equation.inputs().iter().zip(arrays).map(|(input, a)| a[at(input, &values)]);
        out[at(equation.output(), &values)] += product.fold(T::one(), |p, x| p * x);
    }
    out
}

pub fn network<T: Scalar>(equation: &Equation, seed: u64) -> Network<T> {
    Network::from_equation(equation, arrays(equation, seed)).unwrap()
}

/// Multiplications and the largest result of an order, counted with lists of names.
pub fn counted(equation: &Equation, tree: &ContractionTree, sliced: &[usize]) -> (f64, f64) {
    let dim = |i: &usize| if sliced.contains(i) { 1.0 } else { equation.dims()[*i] as f64 };
    let mut left: Vec<Option<Vec<usize>>> = equation.inputs().iter().cloned().map(Some).collect();
    // An index that one tensor alone has is summed before anything else.
    for t in 0..left.len() {
        let others = |i: &usize| left.iter().enumerate().any(|(u, set)| u != t && set.as_ref().unwrap().contains(i));
        let mut kept: Vec<usize> = left[t].clone().unwrap();
        kept.sort_unstable();
        kept.dedup();
        kept.retain(|i| equation.output().contains(i) || others(i));
        left[t] = Some(kept);
    }
    let (mut flops, mut largest) = (0.0, 0.0_f64);
    for &(a, b) in tree.pairs() {
        let (a, b) = (left[a].take().unwrap(), left[b].take().unwrap());
        let mut union = [a, b].concat();
        union.sort_unstable();
        union.dedup();
        flops += union.iter().map(dim).product::<f64>();
        let needed = |i: &usize| equation.output().contains(i) || left.iter().flatten().any(|set| set.contains(i));
        let result: Vec<usize> = union.into_iter().filter(|i| needed(i)).collect();
        largest = largest.max(result.iter().map(dim).product());
        left.push(Some(result));
    }
    let slices: f64 = sliced.iter().map(|&i| equation.dims()[i] as f64).product();
    (flops * slices, largest)
}

pub fn worst<T: Scalar>(found: &ArrayD<T>, expected: &ArrayD<T>) -> f64 {
    assert_eq!(found.shape(), expected.shape());
    let scale = expected.iter().map(|x| x.to_c64().norm()).fold(1.0, f64::max);
    found.iter().zip(expected).map(|(x, y)| (x.to_c64() - y.to_c64()).norm()).fold(0.0, f64::max) / scale
}
