//! Who is contracted with whom.

use crate::error::{Error, Result};

/// The order of a contraction: pairs of tensors, one after the other.
///
/// The tensors of the network have the numbers `0..leaves`, and the result of step `k` has the number `leaves + k`; each
/// number is used once, and the last result is that of the network.
///
/// ```
/// use ansatz::network::ContractionTree;
/// let tree = ContractionTree::new(3, vec![(0, 2), (1, 3)])?;   // (0, 2) first, and then 1 with what came of it
/// assert_eq!(tree.pairs().last(), Some(&(1, 3)));
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractionTree {
    leaves: usize,
    pairs: Vec<(usize, usize)>,
}

impl ContractionTree {
    /// From the pairs in the order in which they are contracted.
    ///
    /// # Errors
    /// [`Error::Empty`] for no tensor, [`Error::Shape`] unless there is one pair less than tensors,
    /// [`Error::Format`] if a pair names a number that is not there yet, or was used.
    pub fn new(leaves: usize, pairs: Vec<(usize, usize)>) -> Result<Self> {
        if leaves == 0 {
            return Err(Error::Empty { what: "the list of tensors of a contraction".into() });
        }
        if pairs.len() != leaves - 1 {
            return Err(Error::shape(
                format!("the pairs of a contraction of {leaves} tensors"),
                pairs.len(),
                leaves - 1,
            ));
        }
        let mut used = vec![false; leaves + pairs.len()];
        for (step, &(a, b)) in pairs.iter().enumerate() {
            for id in [a, b] {
                if id >= leaves + step || std::mem::replace(&mut used[id], true) {
                    let what = format!("step {step} of the contraction takes number {id}, which");
                    let why = if id >= leaves + step { "is not there yet" } else { "was taken before" };
                    return Err(Error::Format { what: format!("{what} {why}: each result is used once, later") });
                }
            }
        }
        Ok(ContractionTree { leaves, pairs })
    }

    /// Number of tensors that are contracted.
    #[must_use]
    pub fn leaves(&self) -> usize {
        self.leaves
    }

    /// The pairs, in the order in which they are contracted.
    #[must_use]
    pub fn pairs(&self) -> &[(usize, usize)] {
        &self.pairs
    }

    /// The number of the last result.
    #[must_use]
    pub fn root(&self) -> usize {
        self.leaves + self.pairs.len() - 1
    }

    /// The two tensors of which `node` is made, unless it is one of the network's.
    #[must_use]
    pub fn children(&self, node: usize) -> Option<(usize, usize)> {
        self.pairs.get(node.checked_sub(self.leaves)?).copied()
    }

    /// From the children of every node: numbers below `leaves` are leaves, node `leaves + k` has `children[k]`.
    ///
    /// `rank` says for each node and its two children whether the second is to be made first.
    pub(super) fn from_children(
        leaves: usize,
        children: &[[u32; 2]],
        root: usize,
        second_first: impl Fn(usize) -> bool,
    ) -> Self {
        let mut pairs = Vec::with_capacity(children.len());
        let mut number = vec![0; leaves + children.len()];
        // The flag says that the children are done.
        let mut stack = vec![(root, false)];
        while let Some((node, ready)) = stack.pop() {
            if node < leaves {
                number[node] = node;
                continue;
            }
            let [a, b] = children[node - leaves].map(|child| child as usize);
            if ready {
                pairs.push((number[a], number[b]));
                number[node] = leaves + pairs.len() - 1;
                continue;
            }
            stack.push((node, true));
            let (first, then) = if second_first(node) { (b, a) } else { (a, b) };
            stack.push((then, false));
            stack.push((first, false));
        }
        ContractionTree { leaves, pairs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_uses_every_number_once() {
        assert!(ContractionTree::new(1, Vec::new()).is_ok());
        let wrong =
            |leaves, pairs: &[(usize, usize)]| ContractionTree::new(leaves, pairs.to_vec()).unwrap_err().to_string();
        assert!(wrong(0, &[]).contains("is empty"));
        assert!(wrong(3, &[(0, 1)]).contains("pairs of a contraction of 3"));
        assert!(
            wrong(3, &[(0, 1), (1, 2)]).contains("step 1 of the contraction takes number 1, which was taken before")
        );
        assert!(wrong(3, &[(0, 3), (1, 2)]).contains("not there yet"));
        assert!(wrong(2, &[(0, 0)]).contains("taken before"));
    }

    #[test]
    fn an_order_from_children_makes_the_asked_one_first() {
        // ((0 1) (2 3)): nodes 4 and 5 below the root 6.
        let children = [[0, 1], [2, 3], [4, 5]];
        let first = ContractionTree::from_children(4, &children, 6, |_| false);
        assert_eq!(first.pairs(), [(0, 1), (2, 3), (4, 5)]);
        let second = ContractionTree::from_children(4, &children, 6, |node| node == 6);
        assert_eq!(second.pairs(), [(2, 3), (0, 1), (5, 4)]);
        assert_eq!((second.root(), second.children(6), second.children(2)), (6, Some((5, 4)), None));
    }
}
