//! Copying elements into another order.

use super::layout::{Step, merged, offsets};

/// Runs of this length are copied as such; shorter ones are gathered in blocks.
const RUN: usize = 16;
/// Tensors up to this size lie in the first-level cache, whatever the order.
const SMALL: usize = 256;
/// Side of the square blocks in which elements are gathered. Eight lines of a power of two apart still fit into one set
/// of the first-level cache.
const BLOCK: usize = 8;
/// Columns that are listed at once.
const STRETCH: usize = 256;

/// Fills `out` with the elements of `memory` that the indices `order` run over, the first slowest. Together they run
/// over every element once.
///
/// Indices that stay neighbours count as one. If the fastest index of `memory` stays the fastest, whole runs are copied.
/// If not, the indices that run fastest in `out` and those that run fastest in `memory` span a matrix, which is
/// transposed block by block: no cache line is fetched for one element, and no loop is short even if every index is.
pub(crate) fn permuted<T: Copy>(memory: &[T], order: &[Step], out: &mut [T]) {
    let steps = merged(order.iter().copied());
    let mut outer: Vec<Indices> = Vec::with_capacity(steps.len());
    let mut below = 1;
    for step in steps.iter().rev() {
        outer.push(Indices { len: step.len, from: step.stride, to: below });
        below *= step.len;
    }
    // From here on the first is the fastest of `out`.
    let Some(&fastest) = outer.first() else {
        out.copy_from_slice(&memory[..out.len()]);
        return;
    };
    if fastest.from == 1 && fastest.len >= RUN {
        for (run, (from, _)) in out.chunks_exact_mut(fastest.len).zip(all(&outer[1..])) {
            run.copy_from_slice(&memory[from..from + fastest.len]);
        }
        return;
    }
    if out.len() <= SMALL {
        for (run, (from, _)) in out.chunks_exact_mut(fastest.len).zip(all(&outer[1..])) {
            run.iter_mut().zip(memory[from..].iter().step_by(fastest.from)).for_each(|(x, &y)| *x = y);
        }
        return;
    }
    let columns = taken(&mut outer, |_| 0);
    let rows = taken(&mut outer, |left| (0..left.len()).min_by_key(|&i| left[i].from).unwrap_or(0));
    // A long index is not listed as a whole: a copy takes no memory to speak of beside its own.
    let mut stretch: Vec<usize> = Vec::with_capacity(STRETCH);
    for (from, to) in all(&outer) {
        let mut left = all(&columns).map(|(from, _)| from);
        let mut start = to;
        loop {
            stretch.clear();
            stretch.extend(left.by_ref().take(STRETCH));
            if stretch.is_empty() {
                break;
            }
            let mut lines = all(&rows);
            let mut block = [(0, 0); BLOCK];
            loop {
                let mut count = 0;
                for (slot, line) in block.iter_mut().zip(lines.by_ref()) {
                    (*slot, count) = (line, count + 1);
                }
                if count == 0 {
                    break;
                }
                for (place, columns) in stretch.chunks(BLOCK).enumerate() {
                    for &(row_from, row_to) in &block[..count] {
                        let (source, at) = (&memory[from + row_from..], start + row_to + place * BLOCK);
                        out[at..at + columns.len()]
                            .iter_mut()
                            .zip(columns)
                            .for_each(|(x, &column)| *x = source[column]);
                    }
                }
            }
            start += stretch.len();
        }
    }
}

/// An index, and how far its values lie apart in the two memories.
#[derive(Clone, Copy)]
struct Indices {
    len: usize,
    from: usize,
    to: usize,
}

/// Takes indices, each time the one that `next` chooses, until they run over a block's side.
fn taken(left: &mut Vec<Indices>, next: impl Fn(&[Indices]) -> usize) -> Vec<Indices> {
    let mut taken = Vec::new();
    let mut len = 1;
    while len < BLOCK && !left.is_empty() {
        let index = left.remove(next(left));
        len *= index.len;
        taken.push(index);
    }
    taken
}

/// The offsets of all values of some indices, the first running fastest.
fn all(indices: &[Indices]) -> impl Iterator<Item = (usize, usize)> + use<> {
    offsets(indices.iter().rev().map(|index| (index.len, index.from, index.to)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{ArrayD, IxDyn};

    fn orders(axes: usize) -> Vec<Vec<usize>> {
        if axes == 0 {
            return vec![Vec::new()];
        }
        let shorter = orders(axes - 1).into_iter();
        shorter
            .flat_map(|order| {
                (0..axes).map(move |place| {
                    let mut longer = order.clone();
                    longer.insert(place, axes - 1);
                    longer
                })
            })
            .collect()
    }

    #[test]
    fn every_order_agrees_with_ndarray() {
        let shapes: [&[usize]; 9] = [
            &[],
            &[5],
            &[2, 3, 2, 5, 2, 2, 3],
            &[2, 3],
            &[40, 37],
            &[3, 1, 4],
            &[17, 2, 33],
            &[2, 3, 4, 5],
            &[2, 1, 5, 3, 11, 1],
        ];
        for shape in shapes {
            let count: usize = shape.iter().product();
            let a = ArrayD::from_shape_vec(IxDyn(shape), (0..count).collect()).unwrap();
            for order in orders(shape.len()) {
                let steps: Vec<Step> =
                    order.iter().map(|&i| Step { len: shape[i], stride: a.strides()[i] as usize }).collect();
                let mut out = vec![0; count];
                permuted(a.as_slice().unwrap(), &steps, &mut out);
                let expected: Vec<usize> = a.view().permuted_axes(order.clone()).iter().copied().collect();
                assert_eq!(out, expected, "{shape:?} {order:?}");
            }
        }
    }
}
