//! The contraction graph: tensors, the bonds between them, and what stays open.

use std::collections::HashMap;
use std::fmt;

use ndarray::{ArrayD, Axis};
use petgraph::graph::{NodeIndex, UnGraph};

use super::equation::Equation;
use crate::error::{Error, Result};
use crate::random::Seed;
use crate::scalar::Scalar;
use crate::tensor::{Leg, Role, Tensor};

/// A node of a [`Network`].
#[derive(Clone)]
pub enum Node<T: Scalar> {
    /// A tensor; its legs have the names of the edges around it.
    Tensor(Tensor<T>),
    /// A copy tensor, one where all its indices agree and zero elsewhere: a hyperedge of this name.
    Copy(String),
    /// The end of an open leg of this name.
    Open(String),
}

impl<T: Scalar> fmt::Debug for Node<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Tensor(tensor) => write!(f, "{tensor}"),
            Node::Copy(name) => write!(f, "copy '{name}'"),
            Node::Open(name) => write!(f, "open '{name}'"),
        }
    }
}

/// An edge of a [`Network`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bond {
    /// The name of the index.
    pub name: String,
    /// How many values it takes.
    pub dim: usize,
}

/// Tensors joined where their legs have the same name, and a list of legs that stay open.
///
/// A name that two tensors have is a bond between them. One that more tensors have, or that is open although two have
/// it, is a hyperedge: a copy node to which they are all joined. A name that one tensor has and that is not open is
/// summed over.
///
/// ```
/// use ansatz::{Leg, Seed, Tensor, network::{Network, Planner}};
/// use std::time::Duration;
/// // a -i- b -j- c, with leg `o` of `c` open.
/// let a = Tensor::new([Leg::bond("i", 2)], vec![1.0, 2.0])?;
/// let b = Tensor::new([Leg::bond("i", 2), Leg::bond("j", 2)], vec![1.0, 0.0, 0.0, 1.0])?;
/// let c = Tensor::new([Leg::bond("j", 2), Leg::site("o", 2)], vec![1.0, 1.0, 1.0, -1.0])?;
/// let network = Network::from_tensors(vec![a, b, c])?;
/// let plan = Planner::new().search(&network.equation()?, Duration::from_secs(1), Seed(1))?;
/// let result = network.contract(&plan)?.into_tensor()?;
/// assert_eq!((result.get(&[("o", 0)])?, result.get(&[("o", 1)])?), (3.0, -1.0));
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Network<T: Scalar> {
    graph: UnGraph<Node<T>, Bond>,
    tensors: Vec<NodeIndex>,
    /// Names and roles of the open legs, in order; a name may be there twice.
    open: Vec<Leg>,
    /// `ln` of a factor in front of everything.
    ln_scale: f64,
}

impl<T: Scalar> Network<T> {
    /// From tensors, joined by the names of their legs. Open are the names that one tensor alone has, and those of
    /// [`Role::Batch`], in the order in which they occur.
    ///
    /// # Errors
    /// [`Error::Empty`] for no tensors, [`Error::Leg`] if legs of the same name differ in dimension or role.
    pub fn from_tensors(tensors: Vec<Tensor<T>>) -> Result<Self> {
        let mut count: HashMap<&str, usize> = HashMap::new();
        tensors.iter().flat_map(Tensor::legs).for_each(|leg| *count.entry(leg.name()).or_default() += 1);
        let mut open: Vec<String> = Vec::new();
        for leg in tensors.iter().flat_map(Tensor::legs) {
            let stays = count.get(leg.name()) == Some(&1) || leg.role() == Role::Batch;
            if stays && !open.iter().any(|name| name == leg.name()) {
                open.push(leg.name().to_owned());
            }
        }
        Self::with_open(tensors, &open)
    }

    /// From tensors, joined by the names of their legs, with exactly the legs `open` left open; all others are summed
    /// over. A name may be in `open` twice: the result then lies on the diagonal.
    ///
    /// # Errors
    /// As [`from_tensors`](Self::from_tensors); [`Error::Format`] if an open leg is on no tensor.
    pub fn with_open<S: AsRef<str>>(tensors: Vec<Tensor<T>>, open: &[S]) -> Result<Self> {
        Self::build(tensors, open, 0.0)
    }

    /// From an einsum string and arrays: the axes of each array are the indices of its term, in order.
    ///
    /// # Errors
    /// As [`Equation::parse`].
    pub fn from_einsum(einsum: &str, arrays: Vec<ArrayD<T>>) -> Result<Self> {
        let shapes: Vec<&[usize]> = arrays.iter().map(|array| array.shape()).collect();
        let equation = Equation::parse(einsum, &shapes)?;
        Self::from_equation(&equation, arrays)
    }

    /// From an equation and an array for each of its tensors.
    ///
    /// # Errors
    /// [`Error::Shape`] if an array does not have the shape that the equation says.
    pub fn from_equation(equation: &Equation, arrays: Vec<ArrayD<T>>) -> Result<Self> {
        if arrays.len() != equation.tensors() {
            return Err(Error::shape("the arrays of a network", arrays.len(), equation.tensors()));
        }
        let mut tensors = Vec::with_capacity(arrays.len());
        for (number, (array, indices)) in arrays.into_iter().zip(equation.inputs()).enumerate() {
            let dims: Vec<u64> = indices.iter().map(|&i| equation.dims()[i]).collect();
            if !array.shape().iter().map(|&dim| dim as u64).eq(dims.iter().copied()) {
                return Err(Error::shape(format!("array {number} of '{equation}'"), array.shape(), dims));
            }
            let names: Vec<&str> = indices.iter().map(|&i| equation.names()[i].as_str()).collect();
            tensors.push(diagonal(array, &names)?);
        }
        Self::with_open(tensors, &open_names(equation))
    }

    /// Tensors of the shapes of an equation with standard normal elements, fixed by the seed.
    ///
    /// # Errors
    /// [`Error::Memory`] if a tensor does not fit into memory.
    pub fn random(equation: &Equation, seed: Seed) -> Result<Self> {
        let mut tensors = Vec::with_capacity(equation.tensors());
        for (number, indices) in equation.inputs().iter().enumerate() {
            let mut legs: Vec<Leg> = Vec::with_capacity(indices.len());
            for &i in indices {
                let name = &equation.names()[i];
                let dim = usize::try_from(equation.dims()[i]).unwrap_or(usize::MAX);
                // Of a tensor with an index twice only the diagonal matters.
                if legs.iter().all(|leg| leg.name() != name) {
                    legs.push(Leg::bond(name, dim));
                }
            }
            tensors.push(Tensor::random(legs, seed.derive("network", number as u64))?);
        }
        Self::with_open(tensors, &open_names(equation))
    }

    pub(super) fn build<S: AsRef<str>>(tensors: Vec<Tensor<T>>, open: &[S], ln_scale: f64) -> Result<Self> {
        if tensors.is_empty() {
            return Err(Error::Empty { what: "the list of tensors of a network".into() });
        }
        // The tensors that have each index, in the order in which the indices are met.
        let mut legs: Vec<(&Leg, Vec<usize>)> = Vec::new();
        let mut number: HashMap<&str, usize> = HashMap::new();
        for (tensor, leg) in
            tensors.iter().enumerate().flat_map(|(t, tensor)| tensor.legs().iter().map(move |l| (t, l)))
        {
            let place = *number.entry(leg.name()).or_insert_with(|| {
                legs.push((leg, Vec::new()));
                legs.len() - 1
            });
            let (first, on) = &mut legs[place];
            if (first.dim(), first.role()) != (leg.dim(), leg.role()) {
                let (a, b) = (&tensors[on[0]], &tensors[tensor]);
                let what = if first.dim() == leg.dim() { "roles" } else { "dimensions" };
                return Err(Error::Leg { what: format!("{first} of {a} and {leg} of {b} differ in their {what}") });
            }
            on.push(tensor);
        }
        let mut kept = Vec::with_capacity(open.len());
        for name in open {
            let name = name.as_ref();
            let Some(&place) = number.get(name) else {
                return Err(Error::Format {
                    what: format!("open leg '{name}' is on no tensor: take it out or put it on one"),
                });
            };
            kept.push(legs[place].0.clone());
        }
        let mut graph = UnGraph::default();
        let nodes: Vec<NodeIndex> = tensors.iter().map(|tensor| graph.add_node(Node::Tensor(tensor.clone()))).collect();
        for (leg, on) in &legs {
            let bond = || Bond { name: leg.name().to_owned(), dim: leg.dim() };
            let ends = kept.iter().filter(|other| other.name() == leg.name());
            let mut ends: Vec<NodeIndex> = ends.map(|leg| graph.add_node(Node::Open(leg.name().to_owned()))).collect();
            ends.extend(on.iter().map(|&tensor| nodes[tensor]));
            match ends[..] {
                [a, b] => {
                    graph.add_edge(a, b, bond());
                }
                _ => {
                    let copy = graph.add_node(Node::Copy(leg.name().to_owned()));
                    ends.iter().for_each(|&end| {
                        graph.add_edge(end, copy, bond());
                    });
                }
            }
        }
        Ok(Network { graph, tensors: nodes, open: kept, ln_scale })
    }

    /// The graph.
    #[must_use]
    pub fn graph(&self) -> &UnGraph<Node<T>, Bond> {
        &self.graph
    }

    /// The tensors, in the order in which they were given.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor<T>> {
        self.tensors.iter().filter_map(|&node| match &self.graph[node] {
            Node::Tensor(tensor) => Some(tensor),
            _ => None,
        })
    }

    /// The open legs, in order.
    #[must_use]
    pub fn open(&self) -> &[Leg] {
        &self.open
    }

    /// `ln` of a factor that stands in front of the product of all tensors.
    #[must_use]
    pub fn ln_scale(&self) -> f64 {
        self.ln_scale
    }

    /// The pattern, for which plans are made.
    ///
    /// # Errors
    /// Never for a network that was built; the signature is that of the equation's constructor.
    pub fn equation(&self) -> Result<Equation> {
        let mut dims = HashMap::new();
        let mut inputs: Vec<Vec<&str>> = Vec::with_capacity(self.tensors.len());
        for tensor in self.tensors() {
            tensor.legs().iter().for_each(|leg| {
                dims.insert(leg.name().to_owned(), leg.dim() as u64);
            });
            inputs.push(tensor.legs().iter().map(Leg::name).collect());
        }
        let open: Vec<&str> = self.open.iter().map(Leg::name).collect();
        Equation::from_names(&inputs, &open, &dims)
    }

    /// The network of the complex conjugate tensors.
    ///
    /// # Errors
    /// Never for a network that was built.
    pub fn conj(&self) -> Result<Self> {
        Self::build(self.tensors().map(Tensor::conj).collect(), &self.open, self.ln_scale)
    }

    /// All tensors of both, legs of the same name being joined: open legs that both have are summed over, and what
    /// else is open stays open.
    ///
    /// # Errors
    /// [`Error::Leg`] if a leg that is not open in one of them has a name that occurs in the other.
    pub fn merge(&self, other: &Self) -> Result<Self> {
        for (one, two) in [(self, other), (other, self)] {
            for leg in one.tensors().flat_map(Tensor::legs) {
                let inner = one.open.iter().all(|open| open.name() != leg.name());
                if inner && two.tensors().any(|tensor| tensor.has_leg(leg.name())) {
                    let what = format!("{leg} is inside one network and its name occurs in the other: rename it");
                    return Err(Error::Leg { what });
                }
            }
        }
        let on = |network: &Self, leg: &Leg| network.open.iter().any(|open| open.name() == leg.name());
        let left = self.open.iter().filter(|leg| !on(other, leg)).chain(other.open.iter().filter(|leg| !on(self, leg)));
        let open: Vec<Leg> = left.cloned().collect();
        let tensors = self.tensors().chain(other.tensors()).cloned().collect();
        Self::build(tensors, &open, self.ln_scale + other.ln_scale)
    }

    /// The squared norm as a network: all tensors and their conjugates, joined at the open legs. The inner legs of the
    /// conjugates have names with a star appended.
    ///
    /// # Errors
    /// [`Error::Leg`] if such a name is taken.
    pub fn norm(&self) -> Result<Self> {
        let mut bra = Vec::with_capacity(self.tensors.len());
        for tensor in self.tensors() {
            let mut conj = tensor.conj();
            for leg in tensor.legs() {
                if self.open.iter().all(|open| open.name() != leg.name()) {
                    conj = conj.rename(leg.name(), format!("{}*", leg.name()))?;
                }
            }
            bra.push(conj);
        }
        let open: Vec<&str> = self.open.iter().map(Leg::name).collect();
        self.merge(&Self::build(bra, &open, self.ln_scale)?)
    }

    /// The tensors of these numbers alone; the indices that the others or the output have, too, are open.
    ///
    /// # Errors
    /// [`Error::Setting`] if a number does not exist or is there twice, [`Error::Empty`] for none.
    pub fn part(&self, numbers: &[usize]) -> Result<Self> {
        let mut inside = vec![false; self.tensors.len()];
        for &number in numbers {
            match inside.get_mut(number) {
                Some(new) if !*new => *new = true,
                _ => return Err(Error::setting("tensor", number, "name tensors of the network, each once")),
            }
        }
        let all: Vec<&Tensor<T>> = self.tensors().collect();
        let tensors: Vec<Tensor<T>> = numbers.iter().map(|&number| all[number].clone()).collect();
        let outside = |leg: &Leg| {
            self.open.iter().any(|open| open.name() == leg.name())
                || all.iter().zip(&inside).any(|(tensor, inside)| !inside && tensor.has_leg(leg.name()))
        };
        let mut open: Vec<Leg> = Vec::new();
        for leg in tensors.iter().flat_map(Tensor::legs) {
            if outside(leg) && open.iter().all(|other| other.name() != leg.name()) {
                open.push(leg.clone());
            }
        }
        Self::build(tensors, &open, 0.0)
    }
}

fn open_names(equation: &Equation) -> Vec<&str> {
    equation.output().iter().map(|&i| equation.names()[i].as_str()).collect()
}

/// An array as a tensor with legs of these names; where a name is there twice, the diagonal.
pub(super) fn diagonal<T: Scalar>(mut array: ArrayD<T>, names: &[&str]) -> Result<Tensor<T>> {
    let mut left: Vec<&str> = Vec::with_capacity(names.len());
    for &name in names {
        let axis = left.len();
        match left.iter().position(|other| *other == name) {
            None => left.push(name),
            Some(first) => {
                let lanes = (0..array.shape()[axis]).map(|i| {
                    let fixed = array.index_axis(Axis(axis), i);
                    fixed.index_axis_move(Axis(first), i)
                });
                let lanes: Vec<_> = lanes.collect();
                array = ndarray::stack(Axis(first), &lanes)
                    .map_err(|_| Error::shape("the diagonal of an array", array.shape(), names))?;
            }
        }
    }
    let legs: Vec<Leg> = left.iter().zip(array.shape()).map(|(name, &dim)| Leg::bond(name, dim)).collect();
    Tensor::from_array(legs, array)
}
