//! Patterns that several tests learn.

use std::collections::BTreeSet;

use ansatz::Batch;

/// Every image of a square whose rows are uniform, or whose columns are.
pub fn bars_and_stripes(side: usize) -> Batch<u8> {
    let mut rows = BTreeSet::new();
    for pattern in 0..1usize << side {
        let bit = |i: usize| (pattern >> i & 1) as u8;
        rows.insert((0..side * side).map(|k| bit(k / side)).collect::<Vec<_>>());
        rows.insert((0..side * side).map(|k| bit(k % side)).collect::<Vec<_>>());
    }
    Batch::from_rows(&rows.into_iter().collect::<Vec<_>>()).unwrap()
}
