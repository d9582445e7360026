//! The pattern of a contraction without its values: who has which index, how far each index runs, what stays open.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use serde_json::Value;

use super::unique::check_keys;
use crate::error::{Error, Result};

/// The indices of every tensor of a network, the dimension of every index, and the indices that stay open.
///
/// An index that two tensors have is a bond; one that more have is a hyperedge: its value is the same in all of them. An
/// index in the output is kept, however many tensors have it; every other one is summed over. An index may occur twice
/// on one tensor (its diagonal is taken) and in the output (the result lies on a diagonal).
///
/// ```
/// use ansatz::network::Equation;
/// let chain = Equation::parse("ab,bc,cd->ad", &[&[2, 3], &[3, 4], &[4, 5]])?;
/// assert_eq!((chain.tensors(), chain.dim("c")), (3, Some(4)));
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Equation {
    names: Vec<String>,
    dims: Vec<u64>,
    inputs: Vec<Vec<usize>>,
    output: Vec<usize>,
}

/// Gives every index a number, and holds its dimension with the tensor that said so.
#[derive(Default)]
struct Indices {
    names: Vec<String>,
    dims: Vec<u64>,
    first: Vec<usize>,
    numbers: HashMap<String, usize>,
}

impl Indices {
    fn add(&mut self, name: &str, dim: u64, tensor: usize) -> Result<usize> {
        if dim == 0 {
            return Err(Error::Empty {
                what: format!("index '{}' (dimension 0) of tensor {tensor}", name.escape_debug()),
            });
        }
        let number = match self.numbers.entry(name.to_owned()) {
            Entry::Vacant(place) => {
                self.names.push(name.to_owned());
                self.dims.push(dim);
                self.first.push(tensor);
                *place.insert(self.names.len() - 1)
            }
            Entry::Occupied(place) => *place.get(),
        };
        if self.dims[number] != dim {
            let (other, known) = (self.first[number], self.dims[number]);
            let name = name.escape_debug();
            let what = format!("index '{name}' has dimension {known} on tensor {other} and {dim} on tensor {tensor}");
            return Err(Error::Leg { what: format!("{what}: they have to agree") });
        }
        Ok(number)
    }
}

impl Equation {
    /// An einsum string and the shape of each tensor: `"ab,bc->ac"`.
    ///
    /// Every character but `,`, `.`, blanks and the arrow is an index. Without an arrow the indices that occur once stay
    /// open, in alphabetical order.
    ///
    /// # Errors
    /// [`Error::Format`] for a string that cannot be read or an output index that no tensor has, [`Error::Shape`] if
    /// the shapes do not fit the indices, [`Error::Leg`] if an index has two dimensions, [`Error::Empty`] for no tensor
    /// or a dimension of zero, [`Error::Memory`] if a tensor has more than 2^64 elements.
    pub fn parse<S: AsRef<[usize]>>(einsum: &str, shapes: &[S]) -> Result<Self> {
        let (terms, output) = split_einsum(einsum)?;
        if terms.len() != shapes.len() {
            return Err(Error::shape(format!("the tensors of '{einsum}'"), shapes.len(), terms.len()));
        }
        let mut indices = Indices::default();
        let mut inputs = Vec::with_capacity(terms.len());
        for (tensor, (term, shape)) in terms.iter().zip(shapes).enumerate() {
            let shape = shape.as_ref();
            if term.len() != shape.len() {
                let letters: String = term.iter().map(String::as_str).collect();
                let what = format!("tensor {tensor} of '{einsum}', which has indices '{letters}'");
                return Err(Error::shape(what, shape, vec!["_"; term.len()]));
            }
            let numbers = term.iter().zip(shape).map(|(name, &dim)| indices.add(name, dim as u64, tensor));
            inputs.push(numbers.collect::<Result<Vec<_>>>()?);
        }
        let output = match output {
            Some(output) => output,
            None => once(&inputs, &indices.names),
        };
        Self::assemble(indices, inputs, &output)
    }

    /// From names: the indices of each tensor, the output, and the dimension of each index.
    ///
    /// # Errors
    /// As [`parse`](Self::parse); [`Error::Format`] if an index has no dimension.
    pub fn from_names<S: AsRef<str>>(inputs: &[Vec<S>], output: &[S], dims: &HashMap<String, u64>) -> Result<Self> {
        let mut indices = Indices::default();
        let mut numbered = Vec::with_capacity(inputs.len());
        for (tensor, names) in inputs.iter().enumerate() {
            let mut numbers = Vec::with_capacity(names.len());
            for name in names {
                let name = name.as_ref();
                let Some(&dim) = dims.get(name) else {
                    let name = name.escape_debug();
                    let what = format!("index '{name}' of tensor {tensor} has no dimension: add it to the sizes");
                    return Err(Error::Format { what });
                };
                numbers.push(indices.add(name, dim, tensor)?);
            }
            numbered.push(numbers);
        }
        let output: Vec<String> = output.iter().map(|name| name.as_ref().to_owned()).collect();
        Self::assemble(indices, numbered, &output)
    }

    /// From JSON `{"inputs": [["a", "b"], ["b"]], "output": ["a"], "size_dict": {"a": 2, "b": 3}}`.
    ///
    /// A list of names may also be one string of letters. Other fields are ignored, as are sizes of unknown indices.
    ///
    /// # Errors
    /// [`Error::Format`] for text that is no such JSON; as [`from_names`](Self::from_names) otherwise.
    pub fn from_json(text: impl AsRef<[u8]>) -> Result<Self> {
        let format = |what: String| Error::Format { what };
        check_keys(text.as_ref())?;
        let json: Value =
            serde_json::from_slice(text.as_ref()).map_err(|e| format(format!("no JSON of a network: {e}")))?;
        let field = |name: &str| {
            json.get(name).ok_or_else(|| {
                format(format!("the JSON of a network has no field '{name}': give inputs, output and size_dict"))
            })
        };
        let list = |what: &str, value: &Value| -> Result<Vec<String>> {
            let names = match value {
                Value::String(letters) => Some(letters.chars().map(String::from).collect()),
                Value::Array(names) => names.iter().map(|name| name.as_str().map(String::from)).collect(),
                _ => None,
            };
            names.ok_or_else(|| format(format!("{what} is neither a list of names nor a string of letters")))
        };
        let inputs = field("inputs")?
            .as_array()
            .ok_or_else(|| format("field 'inputs' is no list: give the indices of each tensor".into()))?;
        let inputs: Vec<Vec<String>> = inputs
            .iter()
            .enumerate()
            .map(|(tensor, value)| list(&format!("entry {tensor} of 'inputs'"), value))
            .collect::<Result<_>>()?;
        let output = list("field 'output'", field("output")?)?;
        let sizes = field("size_dict")?
            .as_object()
            .ok_or_else(|| format("field 'size_dict' is no object: give the dimension of each index".into()))?;
        let mut dims = HashMap::new();
        for (name, value) in sizes {
            let Some(dim) = value.as_u64() else {
                return Err(format(format!(
                    "the size of index '{}' is {value}: a whole number from 1 to {} is needed",
                    name.escape_debug(),
                    u64::MAX
                )));
            };
            dims.insert(name.clone(), dim);
        }
        Self::from_names(&inputs, &output, &dims)
    }

    /// As JSON in the format that [`from_json`](Self::from_json) reads.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let named = |numbers: &[usize]| numbers.iter().map(|&i| self.names[i].clone()).collect::<Vec<_>>();
        let inputs: Vec<_> = self.inputs.iter().map(|input| named(input)).collect();
        let sizes: serde_json::Map<String, Value> =
            self.names.iter().cloned().zip(self.dims.iter().map(|&dim| dim.into())).collect();
        serde_json::json!({ "inputs": inputs, "output": named(&self.output), "size_dict": sizes })
    }

    fn assemble(indices: Indices, inputs: Vec<Vec<usize>>, output: &[String]) -> Result<Self> {
        if inputs.is_empty() {
            return Err(Error::Empty { what: "the list of tensors of a network".into() });
        }
        let output = output.iter().map(|name| {
            indices.numbers.get(name).copied().ok_or_else(|| Error::Format {
                what: format!(
                    "output index '{}' is on no tensor: take it out of the output or put it on one",
                    name.escape_debug()
                ),
            })
        });
        let output = output.collect::<Result<Vec<_>>>()?;
        let equation = Equation { names: indices.names, dims: indices.dims, inputs, output };
        for (tensor, input) in equation.inputs.iter().enumerate() {
            if equation.elements(input).is_none() {
                return Err(Error::Memory {
                    what: format!("tensor {tensor} of the network, which has 2^64 elements or more,"),
                    needed: u64::MAX,
                    ceiling: isize::MAX as u64,
                    way_out: "make its indices smaller".into(),
                });
            }
        }
        Ok(equation)
    }

    fn elements(&self, indices: &[usize]) -> Option<u64> {
        indices.iter().try_fold(1_u64, |product, &i| product.checked_mul(self.dims[i]))
    }

    /// Number of tensors.
    #[must_use]
    pub fn tensors(&self) -> usize {
        self.inputs.len()
    }

    /// Number of different indices.
    #[must_use]
    pub fn indices(&self) -> usize {
        self.names.len()
    }

    /// The names of the indices, by number.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The dimensions of the indices, by number.
    #[must_use]
    pub fn dims(&self) -> &[u64] {
        &self.dims
    }

    /// The dimension of the index called `name`, if there is one.
    #[must_use]
    pub fn dim(&self, name: &str) -> Option<u64> {
        self.names.iter().position(|other| other == name).map(|i| self.dims[i])
    }

    /// The shape of each tensor, in order.
    #[must_use]
    pub fn shapes(&self) -> Vec<Vec<usize>> {
        // A dimension that `usize` does not hold is one that no array has.
        let dim = |&index: &usize| self.dims.get(index).map_or(0, |&dim| usize::try_from(dim).unwrap_or(usize::MAX));
        self.inputs.iter().map(|indices| indices.iter().map(dim).collect()).collect()
    }

    /// The numbers of the indices of each tensor.
    #[must_use]
    pub fn inputs(&self) -> &[Vec<usize>] {
        &self.inputs
    }

    /// The numbers of the open indices.
    #[must_use]
    pub fn output(&self) -> &[usize] {
        &self.output
    }
}

/// As an einsum string where every name is one letter, and as lists of names otherwise.
impl fmt::Display for Equation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = self.names.iter().all(|name| name.chars().nth(1).is_none());
        let term = |indices: &[usize]| {
            let names: Vec<&str> = indices.iter().map(|&i| self.names[i].as_str()).collect();
            if short { names.concat() } else { format!("[{}]", names.join(" ")) }
        };
        let inputs: Vec<String> = self.inputs.iter().map(|input| term(input)).collect();
        write!(f, "{}->{}", inputs.join(","), term(&self.output))
    }
}

type Terms = (Vec<Vec<String>>, Option<Vec<String>>);

fn split_einsum(einsum: &str) -> Result<Terms> {
    let wrong = |what: &str| Error::Format { what: format!("einsum '{einsum}': {what}") };
    let text: String = einsum.chars().filter(|c| !c.is_whitespace()).collect();
    let (left, right) = match text.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (text.as_str(), None),
    };
    if right.is_some_and(|right| right.contains(',')) {
        return Err(wrong("the output is one group of letters, without a comma"));
    }
    let letters = |term: &str| -> Result<Vec<String>> {
        match term.chars().find(|c| ".->".contains(*c)) {
            Some('.') => Err(wrong("an ellipsis is not understood: name every index")),
            Some(c) => Err(wrong(&format!("'{c}' is no index; one arrow '->' parts the inputs from the output"))),
            None => Ok(term.chars().map(String::from).collect()),
        }
    };
    let inputs = left.split(',').map(letters).collect::<Result<Vec<_>>>()?;
    Ok((inputs, right.map(letters).transpose()?))
}

/// The names of the indices that occur once in all, sorted.
fn once(inputs: &[Vec<usize>], names: &[String]) -> Vec<String> {
    let mut count = vec![0_usize; names.len()];
    inputs.iter().flatten().for_each(|&i| count[i] += 1);
    let mut once: Vec<String> =
        names.iter().zip(count).filter(|(_, c)| *c == 1).map(|(name, _)| name.clone()).collect();
    once.sort_unstable();
    once
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(einsum: &str, shapes: &[&[usize]]) -> Result<Equation> {
        Equation::parse(einsum, shapes)
    }

    #[test]
    fn letters_may_be_any_characters_and_are_summed_unless_they_stay_open() {
        let e = parse("ab, Äb ,bЩ -> ÄaЩa", &[&[2, 3], &[4, 3], &[3, 5]]).unwrap();
        assert_eq!(e.to_string(), "ab,Äb,bЩ->ÄaЩa");
        assert_eq!(e.inputs(), [vec![0, 1], vec![2, 1], vec![1, 3]]);
        assert_eq!(e.output(), [2, 0, 3, 0]);
        assert_eq!(parse("ba,ac", &[&[2, 3], &[3, 4]]).unwrap().to_string(), "ba,ac->bc");
        assert_eq!(parse("ii", &[&[2, 2]]).unwrap().to_string(), "ii->");
        assert_eq!(parse(",->", &[&[], &[]]).unwrap().tensors(), 2);
    }

    #[test]
    fn json_goes_there_and_back() {
        let text =
            r#"{"inputs": ["ab", ["b", "long name"]], "output": "a", "size_dict": {"a":2,"b":3,"long name":7,"z":9}}"#;
        let e = Equation::from_json(text).unwrap();
        assert_eq!((e.dim("long name"), e.dim("z")), (Some(7), None));
        assert_eq!(e.to_string(), "[a b],[b long name]->[a]");
        assert_eq!(Equation::from_json(e.to_json().to_string()).unwrap(), e);
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_one_line() {
        let two: &[&[usize]] = &[&[2, 3], &[4, 5]];
        let cases = [
            (parse("ab,bc->ac", two), "index 'b' has dimension 3 on tensor 0 and 4 on tensor 1"),
            (parse("ab,cd->ax", two), "output index 'x' is on no tensor"),
            (parse("ab,cd,e->a", two), "the tensors of 'ab,cd,e->a'"),
            (parse("abc,cd->a", two), "tensor 0 of 'abc,cd->a'"),
            (parse("a...,cd", two), "ellipsis"),
            (parse("ab,cd->a->b", two), "no index"),
            (parse("ab-cd", two), "'-' is no index"),
            (parse("ab,cd->a,b", two), "without a comma"),
            (parse("ab,cd", &[&[2, 0], &[1, 1]]), "dimension 0"),
            (parse("ab,cd", &[&[1 << 40, 1 << 30], &[1, 1]]), "2^64 elements"),
            (Equation::from_json("{"), "no JSON of a network"),
            (Equation::from_json("[".repeat(100_000)), "no JSON of a network"),
            (Equation::from_json("[]"), "no field 'inputs'"),
            (
                Equation::from_json(r#"{"inputs": ["a"], "output": [], "size_dict": {"a": 2, "a": 3}}"#),
                "key 'a' occurs twice",
            ),
            (
                Equation::from_json(r#"{"inputs": [["a\nb"]], "output": [], "size_dict": {}}"#),
                r"index 'a\nb' of tensor 0",
            ),
            (Equation::from_json(r#"{"inputs": 3}"#), "'inputs' is no list"),
            (
                Equation::from_json(r#"{"inputs": [], "output": [], "size_dict": {}}"#),
                "list of tensors of a network is empty",
            ),
            (Equation::from_json(r#"{"inputs": [3], "output": [], "size_dict": {}}"#), "entry 0 of 'inputs'"),
            (Equation::from_json(r#"{"inputs": ["a"], "output": {}, "size_dict": {}}"#), "field 'output'"),
            (Equation::from_json(r#"{"inputs": ["a"], "output": [], "size_dict": {}}"#), "has no dimension"),
            (
                Equation::from_json(r#"{"inputs": ["a"], "output": [], "size_dict": {"a": 1e30}}"#),
                "the size of index 'a'",
            ),
            (
                Equation::from_json(r#"{"inputs": ["a"], "output": [], "size_dict": {"a": -1}}"#),
                "the size of index 'a'",
            ),
            (
                Equation::from_json(r#"{"inputs": ["a"], "output": [], "size_dict": {"a": 18446744073709551616}}"#),
                "'a'",
            ),
            (Equation::from_json(r#"{"inputs": ["a"], "output": [], "size_dict": {"a": 0}}"#), "dimension 0"),
        ];
        for (outcome, words) in cases {
            let message = outcome.unwrap_err().to_string();
            assert!(message.contains(words) && message.lines().count() == 1, "{words}: {message}");
        }
    }
}
