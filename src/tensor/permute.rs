//! Copying elements into another order.

use super::layout::{Step, merged, offsets};

/// Side of the square blocks in which two axes change places: both sides of the copy stay in the first-level cache.
const BLOCK: usize = 16;

/// Fills `out` with the elements of `memory` that the indices `order` run over, the first slowest.
///
/// Indices that stay neighbours are copied as one. If the fastest index of `memory` stays the fastest, whole runs are
/// copied; if not, the two fastest are transposed block by block, so that no cache line is fetched for one element.
pub(super) fn permuted<T: Copy>(memory: &[T], order: &[Step], out: &mut [T]) {
    let mut steps = merged(order.iter().copied());
    let Some(inner) = steps.pop() else {
        out.copy_from_slice(&memory[..out.len()]);
        return;
    };
    if inner.stride == 1 {
        let outer = steps.iter().map(|step| (step.len, step.stride, 0)).collect();
        for (run, (from, _)) in out.chunks_exact_mut(inner.len).zip(offsets(outer)) {
            run.copy_from_slice(&memory[from..from + inner.len]);
        }
        return;
    }
    // The stride of each index in `out`.
    let mut below = inner.len;
    let mut pairs = vec![(0, 0, 0); steps.len()];
    for (pair, step) in pairs.iter_mut().zip(&steps).rev() {
        *pair = (step.len, step.stride, below);
        below *= step.len;
    }
    let fastest = (0..pairs.len()).min_by_key(|&i| pairs[i].1);
    let (rows, row_from, row_to) = fastest.map_or((1, 0, 0), |i| pairs.remove(i));
    for (from, to) in offsets(pairs) {
        for row in (0..rows).step_by(BLOCK) {
            for col in (0..inner.len).step_by(BLOCK) {
                let width = BLOCK.min(inner.len - col);
                for r in row..rows.min(row + BLOCK) {
                    let source = memory[from + r * row_from + col * inner.stride..].iter().step_by(inner.stride);
                    let start = to + r * row_to + col;
                    out[start..start + width].iter_mut().zip(source).for_each(|(x, &y)| *x = y);
                }
            }
        }
    }
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
        let shapes: [&[usize]; 8] =
            [&[], &[5], &[2, 3], &[40, 37], &[3, 1, 4], &[17, 2, 33], &[2, 3, 4, 5], &[2, 1, 3, 2, 2]];
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
