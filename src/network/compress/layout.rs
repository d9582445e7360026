//! The bonds of a network in which every index joins two tensors.
//!
//! An index that three or more tensors have is led through them one after the other, in the order of their numbers: the
//! ones in between get it twice, as a copy tensor between themselves and their neighbours.
//! ```text
//!     a   b   c            a -i- b -i- c        b[i, i'] = b[i] delta(i, i')
//!      \  |  /      =
//!       (i)--
//! ```
//! A tree stays a tree by this, and no tensor is added that an order would not know of.

use crate::network::Equation;

/// Where one copy of an index of a tensor leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// To another tensor.
    Tensor(usize),
    /// To the open leg of this number among the indices of the equation.
    Open(usize),
}

/// For each tensor its distinct indices, and where their copies lead; nowhere if the index is summed at once.
#[derive(Debug)]
pub(super) struct Layout {
    pub ends: Vec<Vec<(usize, Vec<End>)>>,
}

impl Layout {
    pub fn new(equation: &Equation) -> Self {
        let mut holders: Vec<Vec<usize>> = vec![Vec::new(); equation.indices()];
        for (tensor, input) in equation.inputs().iter().enumerate() {
            for &i in input {
                if holders[i].last() != Some(&tensor) {
                    holders[i].push(tensor);
                }
            }
        }
        let mut ends: Vec<Vec<(usize, Vec<End>)>> = vec![Vec::new(); equation.tensors()];
        for (i, on) in holders.iter().enumerate() {
            for (place, &tensor) in on.iter().enumerate() {
                let before = place.checked_sub(1).map(|p| End::Tensor(on[p]));
                let after = match on.get(place + 1) {
                    Some(&next) => Some(End::Tensor(next)),
                    None => equation.output().contains(&i).then_some(End::Open(i)),
                };
                ends[tensor].push((i, before.into_iter().chain(after).collect()));
            }
        }
        Layout { ends }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hyperedges_become_paths() {
        let equation = Equation::parse("ab,a,ac,d->c", &[&[2, 3][..], &[2], &[2, 4], &[5]]).unwrap();
        let layout = Layout::new(&equation);
        let of = |t: usize, name: &str| {
            let i = equation.names().iter().position(|n| n == name).unwrap();
            layout.ends[t].iter().find(|(j, _)| *j == i).unwrap().1.clone()
        };
        assert_eq!(of(0, "a"), [End::Tensor(1)]);
        assert_eq!(of(1, "a"), [End::Tensor(0), End::Tensor(2)]);
        assert_eq!(of(2, "a"), [End::Tensor(1)]);
        assert_eq!((of(0, "b"), of(3, "d")), (vec![], vec![]));
        assert!(matches!(of(2, "c")[..], [End::Open(_)]));
    }
}
