//! What moving an element costs on this machine, in multiplications.

use std::time::Instant;

use ndarray::Array2;

use super::cost::Objective;
use crate::linalg::{Op, matmul};

/// Rows of the matrices that are multiplied, and of the one that is copied in another order.
const ROWS: usize = 256;
const MOVED: usize = 1536;
/// The shortest of so many times counts.
const TIMES: usize = 3;

impl Objective {
    /// [`Combined`](Objective::Combined) with the factor of this machine: the time in which an element of a large matrix
    /// is copied in another order, as a number of multiplications of a matrix product, for `f64` and the threads of this
    /// process. It takes some hundredths of a second, and is not quite the same each time; for plans that depend on the
    /// seed alone, give the factor as a number.
    #[must_use]
    pub fn measured() -> Self {
        let (mut product, mut copy) = (f64::INFINITY, f64::INFINITY);
        let a = Array2::<f64>::from_elem((ROWS, ROWS), 1.0);
        let large = Array2::<f64>::from_elem((MOVED, MOVED), 1.0);
        let mut out = Array2::<f64>::zeros((MOVED, MOVED));
        for _ in 0..TIMES {
            let start = Instant::now();
            std::hint::black_box(matmul(&a.view(), Op::None, &a.view(), Op::None));
            product = product.min(start.elapsed().as_secs_f64());
            let start = Instant::now();
            out.assign(&large.t());
            std::hint::black_box(&out);
            copy = copy.min(start.elapsed().as_secs_f64());
        }
        let factor = (copy / (MOVED * MOVED) as f64) / (product / ROWS.pow(3) as f64);
        // A clock that stands still measures nothing.
        Objective::Combined { factor: if factor.is_finite() { factor.max(1.0) } else { 64.0 } }
    }
}
