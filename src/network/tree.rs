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

    /// From a path as `opt_einsum`, `cotengra` and `numpy.einsum_path` give it: each step names tensors by their places
    /// in the list of those that are left, takes them out and puts the result at the end. A step may take more than two,
    /// which are then contracted from left to right, or a single one. (Where results have numbers of their own, as in
    /// `ssa_path`, the pairs are those of [`new`](Self::new).)
    ///
    /// ```
    /// use ansatz::network::ContractionTree;
    /// let tree = ContractionTree::from_path(3, &[vec![0, 2], vec![0, 1]])?;
    /// assert_eq!(tree.pairs(), [(0, 2), (1, 3)]);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Format`] for a place that is not there or is named twice, or a step without tensors; as
    /// [`new`](Self::new) otherwise.
    pub fn from_path(leaves: usize, path: &[Vec<usize>]) -> Result<Self> {
        // The numbers at every place that was ever given out; a tree of counts finds the place of what is left.
        let capacity = leaves + path.len();
        let mut number: Vec<usize> = (0..leaves).collect();
        let mut left = Counts::new(capacity);
        (0..leaves).for_each(|place| left.add(place, 1));
        let (mut alive, mut pairs) = (leaves, Vec::new());
        for (step, places) in path.iter().enumerate() {
            let format = |why: String| Error::Format { what: format!("step {step} of the path {why}") };
            let mut slots = Vec::with_capacity(places.len());
            for (k, &place) in places.iter().enumerate() {
                if place >= alive {
                    return Err(format(format!("takes place {place}, but {alive} tensors are left")));
                }
                if places[..k].contains(&place) {
                    return Err(format(format!("takes place {place} twice")));
                }
                slots.push(left.find(place));
            }
            let mut taken = slots.iter().map(|&slot| number[slot]);
            let Some(mut result) = taken.next() else { return Err(format("takes no tensor".into())) };
            for other in taken {
                pairs.push((result, other));
                result = leaves + pairs.len() - 1;
            }
            slots.iter().for_each(|&slot| left.add(slot, -1));
            left.add(number.len(), 1);
            number.push(result);
            alive = alive + 1 - places.len();
        }
        Self::new(leaves, pairs)
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

/// How many of a row of places are taken, with sums in a Fenwick tree.
struct Counts(Vec<i64>);

impl Counts {
    fn new(places: usize) -> Self {
        Counts(vec![0; places.next_power_of_two() + 1])
    }

    fn add(&mut self, place: usize, by: i64) {
        let mut at = place + 1;
        while at < self.0.len() {
            self.0[at] += by;
            at += at & at.wrapping_neg();
        }
    }

    /// The place that has `rank` taken ones before it.
    fn find(&self, rank: usize) -> usize {
        let (mut at, mut rest) = (0, rank as i64);
        let mut step = self.0.len() - 1;
        while step > 0 {
            if at + step < self.0.len() && self.0[at + step] <= rest {
                at += step;
                rest -= self.0[at];
            }
            step /= 2;
        }
        at
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
    fn a_path_of_places_is_that_of_a_list_from_which_they_are_taken() {
        use rand::RngExt;
        let mut stream = crate::random::Seed(1).stream("paths", 0);
        for leaves in 1..40 {
            let (mut list, mut path, mut pairs) = ((0..leaves).collect::<Vec<usize>>(), Vec::new(), Vec::new());
            while list.len() > 1 {
                let a = stream.random_range(0..list.len());
                let b = (a + stream.random_range(1..list.len())) % list.len();
                pairs.push((list[a], list[b]));
                path.push(vec![a, b]);
                list.remove(a.max(b));
                list.remove(a.min(b));
                list.push(leaves + pairs.len() - 1);
            }
            assert_eq!(ContractionTree::from_path(leaves, &path).unwrap().pairs(), pairs);
        }
        let three = ContractionTree::from_path(3, &[vec![2, 0, 1], vec![0]]).unwrap();
        assert_eq!(three.pairs(), [(2, 0), (3, 1)]);
        let wrong = |path: &[Vec<usize>]| ContractionTree::from_path(3, path).unwrap_err().to_string();
        assert!(wrong(&[vec![0, 3]]).contains("step 0 of the path takes place 3, but 3 tensors are left"));
        assert!(wrong(&[vec![0, 1], vec![0, 0]]).contains("step 1 of the path takes place 0 twice"));
        assert!(wrong(&[vec![]]).contains("takes no tensor"));
        assert!(wrong(&[vec![0, 1]]).contains("pairs of a contraction"));
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
