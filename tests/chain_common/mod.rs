//! What the tests of chains share: dense vectors and well-known states.
#![allow(dead_code)] // each test file uses a part

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

pub trait FromReal {
    fn from_real<R: Real>(x: LogScaled<R>) -> Self;
}

impl FromReal for f64 {
    fn from_real<R: Real>(x: LogScaled<R>) -> f64 {
        x.ln_abs().exp()
    }
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
