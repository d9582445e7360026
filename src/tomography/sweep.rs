//! Two-site sweeps of a pure chain over all rows at once.

use ndarray::{Array2, Array3};
use num_complex::Complex64;

use super::compiled::Compiled;
use super::optimise::{Lbfgs, lbfgs};
use crate::chain::Mps;
use crate::error::{Error, Result};
use crate::linalg::{Op, Truncation, gemm, matmul, truncated_svd};
use crate::parallel;

type C = Complex64;

/// One environment a row, `[rows, bond]`, each of largest entry 1.
type Environment = Array2<C>;

/// Rows of a record, all of them or some.
pub(super) struct Rows<'a> {
    data: &'a Compiled,
    numbers: Vec<usize>,
    /// Shares of the shots; they sum to 1.
    weights: Vec<f64>,
}

impl<'a> Rows<'a> {
    pub fn all(data: &'a Compiled) -> Self {
        Rows { data, numbers: (0..data.rows).collect(), weights: data.weights.clone() }
    }

    pub fn some(data: &'a Compiled, numbers: &[usize]) -> Self {
        let sum: f64 = numbers.iter().map(|&row| data.weights[row]).sum();
        let weights = numbers.iter().map(|&row| data.weights[row] / sum).collect();
        Rows { data, numbers: numbers.to_vec(), weights }
    }

    fn len(&self) -> usize {
        self.numbers.len()
    }

    fn vector(&self, row: usize, site: usize) -> &[C] {
        let number = self.data.index[self.numbers[row] * self.data.sites() + site] as usize;
        self.data.vectors.as_ref().map_or(&[], |v| v[number].as_slice())
    }
}

/// How the tensor of two sites is improved.
#[derive(Debug, Clone, Copy)]
pub(super) enum Improve {
    /// So many iterations of L-BFGS.
    Lbfgs(usize),
    /// So many steps `M -> R M / |R M|` with `R = sum of w f f^H / |f^H M|^2`, those of the iteration `R rho R` for a pure state
    /// (Lvovsky, J. Opt. B 6, S556, 2004): not far, and never past a maximum of few rows.
    Fixed(usize),
}

/// Improves a pure chain bond by bond, `sweeps` times there and back.
///
/// ```text
///        L_n ---[  M  ]--- R_n      psi_n = sum of L_n conj(v_n) conj(v'_n) R_n M, in the basis of each row
///              s|    |s'            loss = -sum w_n ln |psi_n|^2 + ln |M|^2 (all other sites are isometries)
/// ```
///
/// At every bond `M` is improved, then an SVD parts it (Wang et al., arXiv:1712.03213, with Newton-like steps in
/// place of gradient steps). Returns the chain and the loss after each sweep.
pub(super) fn sweeps(
    mut state: Mps<C>,
    rows: &Rows<'_>,
    sweeps: usize,
    improve: Improve,
    truncation: &Truncation,
    watch: &mut dyn FnMut(f64) -> bool,
) -> Result<Mps<C>> {
    let sites = rows.data.sites();
    if sites < 2 || rows.data.vectors.is_none() {
        return Ok(state);
    }
    state.canonicalise(0)?;
    let mut tensors = state.into_tensors();
    let ones = || Array2::from_elem((rows.len(), 1), C::new(1.0, 0.0));
    let mut lefts: Vec<Environment> = vec![ones()];
    let mut rights: Vec<Environment> = vec![ones(); sites + 1];
    for site in (2..sites).rev() {
        rights[site] = toward_left(&rights[site + 1], &tensors[site], rows, site);
    }
    for _ in 0..sweeps {
        let mut value = f64::INFINITY;
        for right in [true, false] {
            let bonds: Vec<usize> = if right { (0..sites - 1).collect() } else { (0..sites - 1).rev().collect() };
            for bond in bonds {
                let (a, b, v) =
                    update(&tensors, &lefts[bond], &rights[bond + 2], rows, bond, improve, truncation, right)?;
                value = v;
                if right {
                    let next = toward_right(&lefts[bond], &a, rows, bond);
                    lefts.truncate(bond + 1);
                    lefts.push(next);
                } else {
                    rights[bond + 1] = toward_left(&rights[bond + 2], &b, rows, bond + 1);
                }
                (tensors[bond], tensors[bond + 1]) = (a, b);
            }
        }
        if !watch(value) {
            break;
        }
    }
    let mut state = Mps::new(tensors)?;
    state.canonicalise(0)?;
    state.normalise()?;
    Ok(state)
}

fn scaled(mut e: Environment) -> Environment {
    for mut row in e.rows_mut() {
        let most = row.iter().fold(0.0f64, |m, x| m.max(x.re.abs()).max(x.im.abs()));
        if most > 0.0 {
            row.mapv_inplace(|x| x / most);
        }
    }
    e
}

/// The environment one site on: `sum over s of conj(v_s) L A_s`.
fn toward_right(left: &Environment, a: &Array3<C>, rows: &Rows<'_>, site: usize) -> Environment {
    let (l, d, r) = a.dim();
    let flat = a.to_shape((l, d * r)).map(|x| x.to_owned()).unwrap_or_default();
    let t = matmul(&left.view(), Op::None, &flat.view(), Op::None);
    let mut next = Array2::zeros((rows.len(), r));
    for (row, (t, mut next)) in t.rows().into_iter().zip(next.rows_mut()).enumerate() {
        for (s, v) in rows.vector(row, site).iter().enumerate() {
            next.scaled_add(v.conj(), &t.slice(ndarray::s![s * r..(s + 1) * r]));
        }
    }
    scaled(next)
}

fn toward_left(right: &Environment, a: &Array3<C>, rows: &Rows<'_>, site: usize) -> Environment {
    let (l, d, r) = a.dim();
    let flat = a.to_shape((l * d, r)).map(|x| x.to_owned()).unwrap_or_default();
    let t = matmul(&right.view(), Op::None, &flat.view(), Op::Transpose);
    let mut next = Array2::zeros((rows.len(), l));
    for (row, (t, mut next)) in t.rows().into_iter().zip(next.rows_mut()).enumerate() {
        for (s, v) in rows.vector(row, site).iter().enumerate() {
            next.scaled_add(v.conj(), &t.slice(ndarray::s![s..;d]));
        }
    }
    scaled(next)
}

#[allow(clippy::too_many_arguments)]
fn update(
    tensors: &[Array3<C>],
    left: &Environment,
    right: &Environment,
    data: &Rows<'_>,
    bond: usize,
    improve: Improve,
    truncation: &Truncation,
    rightward: bool,
) -> Result<(Array3<C>, Array3<C>, f64)> {
    let (l, d, m) = tensors[bond].dim();
    let (_, e, r) = tensors[bond + 1].dim();
    let size = l * d * e * r;
    let whole = |a: &Array3<C>, shape: (usize, usize)| a.to_shape(shape).map(|x| x.to_owned()).unwrap_or_default();
    let (a, b) = (whole(&tensors[bond], (l * d, m)), whole(&tensors[bond + 1], (m, e * r)));
    let merged = matmul(&a.view(), Op::None, &b.view(), Op::None);
    // Features, in blocks of rows: one product a block for the amplitudes, one for the gradient.
    let rows: Vec<usize> = (0..data.len()).collect();
    let blocks: Vec<&[usize]> = rows.chunks(1024).collect();
    let features = parallel::map(blocks.clone(), |rows| {
        let mut f = Array2::<C>::zeros((rows.len(), size));
        for (mut target, &row) in f.rows_mut().into_iter().zip(rows) {
            let (u, v) = (data.vector(row, bond), data.vector(row, bond + 1));
            let mut at = 0;
            for x in left.row(row) {
                for p in u {
                    for q in v {
                        let common = x * p.conj() * q.conj();
                        for y in right.row(row) {
                            target[at] = common * y;
                            at += 1;
                        }
                    }
                }
            }
        }
        f
    });
    let one = C::new(1.0, 0.0);
    let objective = |x: &[f64]| -> Result<(f64, Vec<f64>)> {
        let m: Vec<C> = x.chunks_exact(2).map(|p| C::new(p[0], p[1])).collect();
        let column = Array2::from_shape_vec((size, 1), m).map_err(|e| Error::Format { what: e.to_string() })?;
        let square: f64 = x.iter().map(|x| x * x).sum();
        let parts = parallel::map(blocks.iter().zip(&features).collect(), |(rows, f): (&&[usize], &Array2<C>)| {
            let mut psi = matmul(&f.view(), Op::None, &column.view(), Op::None);
            let mut value = 0.0;
            for (psi, &row) in psi.iter_mut().zip(rows.iter()) {
                value -= data.weights[row] * psi.norm_sqr().ln();
                *psi = -data.weights[row] / psi.conj();
            }
            let mut g = Array2::zeros((size, 1));
            gemm(one, &f.view(), Op::Adjoint, &psi.view(), Op::None, C::default(), &mut g.view_mut());
            (value, g)
        });
        let mut gradient: Vec<C> = column.iter().map(|x| x / square).collect();
        let mut value = square.ln();
        for (v, g) in parts {
            value += v;
            gradient.iter_mut().zip(&g).for_each(|(a, b)| *a += b);
        }
        Ok((value, gradient.iter().flat_map(|g| [2.0 * g.re, 2.0 * g.im]).collect()))
    };
    let norm = merged.iter().map(|x| x.norm_sqr()).sum::<f64>().sqrt();
    let mut x: Vec<f64> = merged.iter().flat_map(|x| [x.re / norm, x.im / norm]).collect();
    let value = match improve {
        Improve::Lbfgs(iterations) => {
            let settings = Lbfgs { iterations, memory: 8, fall: 1e-10, gradient: 1e-8 };
            lbfgs(&settings, &mut x, objective, |_, _| true)?
        }
        Improve::Fixed(steps) => {
            let mut value = f64::INFINITY;
            for _ in 0..steps {
                // The gradient at norm 1 is 2 (M - R M).
                let (now, gradient) = objective(&x)?;
                value = now;
                x.iter_mut().zip(&gradient).for_each(|(x, g)| *x -= 0.5 * g);
                let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
                if !(norm > 0.0 && norm.is_finite()) {
                    return Err(Error::NotFinite { what: "a tensor of a chain that is fitted to few shots".into() });
                }
                x.iter_mut().for_each(|x| *x /= norm);
            }
            value
        }
    };
    let m: Vec<C> = x.chunks_exact(2).map(|p| C::new(p[0], p[1])).collect();
    let m = Array2::from_shape_vec((l * d, e * r), m).map_err(|e| Error::Format { what: e.to_string() })?;
    let mut cut = truncated_svd(&m.view(), truncation)?;
    let kept = cut.s.len();
    if rightward {
        cut.vt.rows_mut().into_iter().zip(&cut.s).for_each(|(mut row, &s)| row.mapv_inplace(|x| x * s));
    } else {
        cut.u.columns_mut().into_iter().zip(&cut.s).for_each(|(mut column, &s)| column.mapv_inplace(|x| x * s));
    }
    let tensor = |m: Array2<C>, shape: (usize, usize, usize)| {
        let flat: Vec<C> = m.iter().copied().collect();
        Array3::from_shape_vec(shape, flat).map_err(|e| Error::Format { what: e.to_string() })
    };
    Ok((tensor(cut.u, (l, d, kept))?, tensor(cut.vt, (kept, e, r))?, value))
}
