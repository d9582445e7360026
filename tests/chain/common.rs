//! What the tests of chains share: dense vectors and well-known states.

use ansatz::chain::Mps;
use ansatz::{LogScaled, Real, Scalar, Seed};
use ndarray::Array3;
use num_complex::Complex64;

/// A state without any gauge, of norm not one.
pub fn loose<T: Scalar>(dims: &[usize], bond: usize, seed: u64) -> Mps<T> {
    let last = dims.len() - 1;
    let tensors = dims.iter().enumerate().map(|(site, &d)| {
        let mut stream = Seed(seed).stream("loose", site as u64);
        let (l, r) = (if site == 0 { 1 } else { bond }, if site == last { 1 } else { bond });
        Array3::from_shape_simple_fn((l, d, r), || T::normal(&mut stream))
    });
    Mps::new(tensors.collect()).unwrap()
}

pub fn norm<T: Scalar>(v: &[T]) -> f64 {
    v.iter().map(|x| x.to_c64().norm_sqr()).sum::<f64>().sqrt()
}

pub fn distance<T: Scalar>(a: &[T], b: &[T]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(x, y)| (x.to_c64() - y.to_c64()).norm_sqr()).sum::<f64>().sqrt()
}

/// `<a|b>`
pub fn dot<T: Scalar>(a: &[T], b: &[T]) -> Complex64 {
    a.iter().zip(b).map(|(x, y)| x.to_c64().conj() * y.to_c64()).sum()
}

/// Every configuration, the last site running fastest.
pub fn configurations(dims: &[usize]) -> Vec<Vec<usize>> {
    dims.iter().fold(vec![vec![]], |all, &d| {
        all.into_iter().flat_map(|c| (0..d).map(move |v| [c.clone(), vec![v]].concat())).collect()
    })
}

/// The number itself, in double precision.
pub fn plain<R: Real>(x: LogScaled<R>) -> f64 {
    x.ln_abs().exp()
}

/// `(|00...> + |11...>) / sqrt 2`
pub fn ghz<T: Scalar>(sites: usize) -> Mps<T> {
    let tensors = (0..sites).map(|site| {
        let (l, r) = (if site == 0 { 1 } else { 2 }, if site + 1 == sites { 1 } else { 2 });
        Array3::from_shape_fn((l, 2, r), |(a, v, b)| {
            let agrees = (l == 1 || a == v) && (r == 1 || b == v);
            if agrees { T::one() } else { T::zero() }
        })
    });
    let mut state = Mps::new(tensors.collect()).unwrap();
    state.normalise().unwrap();
    state
}

/// The equal superposition of all configurations with a single 1.
pub fn w_state<T: Scalar>(sites: usize) -> Mps<T> {
    let tensors = (0..sites).map(|site| {
        let (l, r) = (if site == 0 { 1 } else { 2 }, if site + 1 == sites { 1 } else { 2 });
        Array3::from_shape_fn((l, 2, r), |(a, v, b)| {
            // The bond counts the ones so far.
            let seen = if site == 0 { 0 } else { a };
            let after = if site + 1 == sites { 1 } else { b };
            if seen + v == after { T::one() } else { T::zero() }
        })
    });
    let mut state = Mps::new(tensors.collect()).unwrap();
    state.normalise().unwrap();
    state
}

use ansatz::chain::{OpSum, operator};
use ndarray::Array2;

/// The matrix of `coefficient * product of factors` on sites of these dimensions, by Kronecker products.
pub fn dense_term(dims: &[usize], coefficient: Complex64, factors: &[(&str, usize)]) -> Array2<Complex64> {
    let mut dense = Array2::from_elem((1, 1), coefficient);
    for (site, &d) in dims.iter().enumerate() {
        let mut local = Array2::eye(d);
        for (name, _) in factors.iter().filter(|(_, at)| *at == site) {
            local = local.dot(&operator(name, d).unwrap());
        }
        dense = ndarray::linalg::kron(&dense, &local);
    }
    dense
}

/// `-sum Z Z - field sum X`
pub fn ising(sites: usize, field: f64) -> OpSum {
    let mut sum = OpSum::new(&vec![2; sites]);
    for i in 0..sites {
        sum.add(-field, [("X", i)]).unwrap();
        if i + 1 < sites {
            sum.add(-1.0, [("Z", i), ("Z", i + 1)]).unwrap();
        }
    }
    sum
}

/// `sum S.S`
pub fn heisenberg(sites: usize) -> OpSum {
    let mut sum = OpSum::new(&vec![2; sites]);
    for i in 1..sites {
        for s in ["Sx", "Sy", "Sz"] {
            sum.add(1.0, [(s, i - 1), (s, i)]).unwrap();
        }
    }
    sum
}

/// Up, down, up, down, ...
pub fn neel<T: Scalar>(sites: usize) -> Mps<T> {
    let site = |i: usize| if i.is_multiple_of(2) { vec![T::one(), T::zero()] } else { vec![T::zero(), T::one()] };
    Mps::product(&(0..sites).map(site).collect::<Vec<_>>()).unwrap()
}
