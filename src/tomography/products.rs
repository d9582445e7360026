//! Expectations of many products of elements in one dense state, and the sum of such products.

use ndarray::Array2;
use num_complex::Complex64;

use super::density::dense_dimension;
use crate::error::{Error, Result};
use crate::parallel;

/// Tasks that the rows are cut into.
const TASKS: usize = 64;
/// Rows of a task at the least.
const LEAST: usize = 512;

/// Rows of product operators `E_1 (x) E_2 (x) ..`. Rows that begin with the same elements share the work for them.
///
/// Hermitian operators are real vectors in the basis of `|i><i|`, `(|i><j| + |j><i|)/sqrt 2`, `(-i|i><j| + i|j><i|)/sqrt 2` of every
/// site: `tr(A B)` is the product of their vectors.
#[derive(Debug, Clone)]
pub(super) struct Products {
    dims: Vec<usize>,
    pub rows: usize,
    /// Vector of each element.
    elements: Vec<Vec<f64>>,
    tasks: Vec<Task>,
}

#[derive(Debug, Clone)]
struct Task {
    /// Of each site the nodes: number of the node before, number of the element.
    levels: Vec<Vec<(u32, u32)>>,
    /// Rows in the order of the last level.
    rows: Vec<u32>,
    /// Node of each of them.
    leaves: Vec<u32>,
}

impl Products {
    /// `index` `[rows, sites]` holds numbers of `elements`.
    pub fn new(dims: &[usize], index: &[u32], elements: &[Array2<Complex64>]) -> Result<Self> {
        dense_dimension(dims)?;
        let sites = dims.len();
        let rows = index.len() / sites;
        let key = |row: &u32| &index[*row as usize * sites..][..sites];
        let mut order: Vec<u32> = (0..rows as u32).collect();
        order.sort_by(|a, b| key(a).cmp(key(b)));
        let size = rows.div_ceil(TASKS).max(LEAST);
        let tasks = order
            .chunks(size)
            .map(|chunk| {
                let mut levels: Vec<Vec<(u32, u32)>> = vec![Vec::new(); sites];
                let mut leaves = Vec::with_capacity(chunk.len());
                let mut before: Option<&[u32]> = None;
                for row in chunk {
                    let now = key(row);
                    let shared = before.map_or(0, |b| b.iter().zip(now).take_while(|(x, y)| x == y).count());
                    for site in shared..sites {
                        let parent = if site == 0 { 0 } else { levels[site - 1].len() as u32 - 1 };
                        levels[site].push((parent, now[site]));
                    }
                    leaves.push(levels[sites - 1].len() as u32 - 1);
                    before = Some(now);
                }
                Task { levels, rows: chunk.to_vec(), leaves }
            })
            .collect();
        Ok(Products { dims: dims.to_vec(), rows, elements: elements.iter().map(coordinates).collect(), tasks })
    }

    /// Multiplications of [`expectations`](Self::expectations).
    pub fn work(&self) -> usize {
        let of = |task: &Task| -> usize {
            let mut rest: usize = self.dims.iter().map(|d| d * d).product();
            let levels = task.levels.iter().zip(&self.dims).map(|(level, d)| {
                let each = rest;
                rest /= d * d;
                level.len().saturating_mul(each)
            });
            levels.fold(0, usize::saturating_add)
        };
        self.tasks.iter().map(of).fold(0, usize::saturating_add)
    }

    /// `tr(E rho)` for every row, of the state with the given coordinates.
    pub fn expectations(&self, state: &[f64]) -> Vec<f64> {
        let parts = parallel::map(self.tasks.iter().collect(), |task: &Task| {
            let mut current = state.to_vec();
            for (site, level) in task.levels.iter().enumerate() {
                let d2 = self.dims[site] * self.dims[site];
                let rest: usize = self.dims[site + 1..].iter().map(|d| d * d).product();
                let mut next = vec![0.0; level.len() * rest];
                for (&(parent, element), target) in level.iter().zip(next.chunks_exact_mut(rest)) {
                    let source = &current[parent as usize * d2 * rest..][..d2 * rest];
                    for (&e, stretch) in self.elements[element as usize].iter().zip(source.chunks_exact(rest)) {
                        if e != 0.0 {
                            target.iter_mut().zip(stretch).for_each(|(t, s)| *t += e * s);
                        }
                    }
                }
                current = next;
            }
            task.leaves.iter().map(|&leaf| current[leaf as usize]).collect::<Vec<f64>>()
        });
        let mut values = vec![0.0; self.rows];
        for (task, part) in self.tasks.iter().zip(parts) {
            task.rows.iter().zip(part).for_each(|(&row, p)| values[row as usize] = p);
        }
        values
    }

    /// Coordinates of `sum over rows of weight E`.
    pub fn combination(&self, weights: &[f64]) -> Vec<f64> {
        let sites = self.dims.len();
        let parts = parallel::map(self.tasks.iter().collect(), |task: &Task| {
            let mut current = vec![0.0; task.levels[sites - 1].len()];
            task.rows
                .iter()
                .zip(&task.leaves)
                .for_each(|(&row, &leaf)| current[leaf as usize] += weights[row as usize]);
            for site in (0..sites).rev() {
                let d2 = self.dims[site] * self.dims[site];
                let rest: usize = self.dims[site + 1..].iter().map(|d| d * d).product();
                let parents = if site == 0 { 1 } else { task.levels[site - 1].len() };
                let mut next = vec![0.0; parents * d2 * rest];
                for (&(parent, element), source) in task.levels[site].iter().zip(current.chunks_exact(rest)) {
                    let target = &mut next[parent as usize * d2 * rest..][..d2 * rest];
                    for (&e, stretch) in self.elements[element as usize].iter().zip(target.chunks_exact_mut(rest)) {
                        if e != 0.0 {
                            stretch.iter_mut().zip(source).for_each(|(t, s)| *t += e * s);
                        }
                    }
                }
                current = next;
            }
            current
        });
        let size: usize = self.dims.iter().map(|d| d * d).product();
        let mut sum = vec![0.0; size];
        for part in parts {
            sum.iter_mut().zip(part).for_each(|(s, p)| *s += p);
        }
        sum
    }

    /// Coordinates of a Hermitian matrix.
    pub fn coordinates(&self, rho: &Array2<Complex64>) -> Vec<f64> {
        let places = places(&self.dims);
        let d = rho.nrows();
        let mut x = vec![Complex64::default(); d * d];
        for (i, p) in places.iter().enumerate() {
            for (j, q) in places.iter().enumerate() {
                x[p.0 + q.1] = rho[[i, j]];
            }
        }
        turn(&mut x, &self.dims, true);
        x.into_iter().map(|x| x.re).collect()
    }

    /// The matrix with these coordinates.
    pub fn matrix(&self, coordinates: &[f64]) -> Result<Array2<Complex64>> {
        let places = places(&self.dims);
        let d = places.len();
        if coordinates.len() != d * d {
            return Err(Error::shape("coordinates of a matrix", coordinates.len(), d * d));
        }
        let mut x: Vec<Complex64> = coordinates.iter().map(|&x| Complex64::new(x, 0.0)).collect();
        turn(&mut x, &self.dims, false);
        Ok(Array2::from_shape_fn((d, d), |(i, j)| x[places[i].0 + places[j].1]))
    }
}

/// Coordinates of one element.
fn coordinates(e: &Array2<Complex64>) -> Vec<f64> {
    let mut x: Vec<Complex64> = e.iter().copied().collect();
    turn(&mut x, &[e.nrows()], true);
    x.into_iter().map(|x| x.re).collect()
}

/// Where row and column indices stand in the order site by site, row before column: of every index its share as a row and as
/// a column.
fn places(dims: &[usize]) -> Vec<(usize, usize)> {
    let d: usize = dims.iter().product();
    (0..d)
        .map(|index| {
            let (mut rest, mut step, mut row, mut column) = (index, 1, 0, 0);
            for &d in dims.iter().rev() {
                let digit = rest % d;
                rest /= d;
                column += digit * step;
                row += digit * d * step;
                step *= d * d;
            }
            (row, column)
        })
        .collect()
}

/// Pairs of entries `(i, j)` and `(j, i)`, `i < j`, of every site to sums and differences, or back.
fn turn(x: &mut [Complex64], dims: &[usize], forward: bool) {
    let half = std::f64::consts::FRAC_1_SQRT_2;
    let i = Complex64::new(0.0, 1.0);
    let mut after: usize = x.len();
    for &d in dims {
        let block = after;
        after /= d * d;
        for chunk in x.chunks_exact_mut(block) {
            for (a, b) in (0..d).flat_map(|a| (a + 1..d).map(move |b| (a, b))) {
                for k in 0..after {
                    let (p, q) = ((a * d + b) * after + k, (b * d + a) * after + k);
                    let (u, v) = (chunk[p], chunk[q]);
                    (chunk[p], chunk[q]) = if forward {
                        ((u + v) * half, (u - v) * i * half)
                    } else {
                        ((u - i * v) * half, (u + i * v) * half)
                    };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::{Op, matmul};
    use crate::{Scalar, Seed};

    fn hermitian(d: usize, index: u64) -> Array2<Complex64> {
        let mut stream = Seed(5).stream("products", index);
        let a = Array2::from_shape_simple_fn((d, d), || Complex64::normal(&mut stream));
        &a + &a.t().mapv(|x| x.conj())
    }

    #[test]
    fn expectations_and_combinations_agree_with_kronecker_products() {
        let dims = [2, 3, 2];
        let elements = vec![hermitian(2, 0), hermitian(2, 1), hermitian(3, 2), hermitian(3, 3)];
        let index = [0, 2, 0, 0, 2, 1, 1, 2, 0, 0, 3, 0, 1, 3, 1];
        let products = Products::new(&dims, &index, &elements).unwrap();
        let rho = hermitian(12, 9);
        let x = products.coordinates(&rho);
        let back = products.matrix(&x).unwrap();
        assert!((&back - &rho).iter().all(|v| v.norm() < 1e-13));
        let weights = [0.3, -1.0, 0.5, 2.0, 0.1];
        let mut sum = Array2::<Complex64>::zeros((12, 12));
        let p = products.expectations(&x);
        for row in 0..5 {
            let e: Vec<&Array2<Complex64>> = index[3 * row..][..3].iter().map(|&i| &elements[i as usize]).collect();
            let whole = Array2::from_shape_fn((12, 12), |(i, j)| {
                e[0][[i / 6, j / 6]] * e[1][[i / 2 % 3, j / 2 % 3]] * e[2][[i % 2, j % 2]]
            });
            let trace: Complex64 = matmul(&whole.view(), Op::None, &rho.view(), Op::None).diag().iter().sum();
            assert!((trace - p[row]).norm() < 1e-12);
            sum.scaled_add(Complex64::new(weights[row], 0.0), &whole);
        }
        let found = products.matrix(&products.combination(&weights)).unwrap();
        assert!((&found - &sum).iter().all(|v| v.norm() < 1e-12));
    }
}
