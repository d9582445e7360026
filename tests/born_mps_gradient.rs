//! Gradients of matrix-product Born machines with respect to all sites, and training by Adam.

use ansatz::chain::Mps;
use ansatz::model::Differentiable;
use ansatz::{Batch, BornMps, Error, GenerativeModel, Scalar, Seed};
use ndarray::{Array3, ArrayD};
use num_complex::{Complex32, Complex64};
use rand::RngExt;

fn random_rows(count: usize, dims: &[usize], seed: u64) -> Batch<u8> {
    let mut stream = Seed(seed).stream("rows", 0);
    let rows: Vec<Vec<u8>> =
        (0..count).map(|_| dims.iter().map(|&d| stream.random_range(0..d as u8)).collect()).collect();
    Batch::from_rows(&rows).unwrap()
}

/// Normal numbers in no gauge, of a norm that is not one.
fn any_gauge<T: Scalar>(dims: &[usize], bonds: &[usize], seed: u64) -> Vec<Array3<T>> {
    let mut stream = Seed(seed).stream("tensors", 0);
    let tensor = |(k, &d): (usize, &usize)| {
        Array3::from_shape_simple_fn((bonds[k], d, bonds[k + 1]), || T::normal(&mut stream) * T::from_f64(0.7))
    };
    dims.iter().enumerate().map(tensor).collect()
}

/// The loss by amplitudes one at a time and the norm of the state, which share no code with the gradient.
fn loss<T: Scalar>(tensors: &[Array3<T>], batch: &Batch<u8>) -> f64 {
    let state = Mps::new(tensors.to_vec()).unwrap();
    let amplitudes = (0..batch.samples()).map(|i| state.amplitude(&batch.row(i).to_vec()).unwrap().ln_abs());
    state.norm_squared().ln_abs() - 2.0 * amplitudes.sum::<f64>() / batch.samples() as f64
}

/// By central differences: `dL/dA`, or `dL/d conj(A) = (dL/dx + i dL/dy) / 2` for `A = x + i y`.
fn by_differences<T: Scalar>(tensors: &[Array3<T>], batch: &Batch<u8>) -> Vec<Array3<T>> {
    let h = 1e-5;
    let slope = |site: usize, entry: usize, direction: T| {
        let at = |sign: f64| {
            let mut moved = tensors.to_vec();
            moved[site].as_slice_mut().unwrap()[entry] += direction * T::from_f64(sign * h);
            loss(&moved, batch)
        };
        (at(1.0) - at(-1.0)) / (2.0 * h)
    };
    let derivative = |site: usize, entry: usize| {
        let re = slope(site, entry, T::one());
        let half = if T::IS_COMPLEX { 0.5 } else { 1.0 };
        let im = if T::IS_COMPLEX { slope(site, entry, T::from_parts(0.0, 1.0)) } else { 0.0 };
        T::from_parts(half * re, half * im)
    };
    let of_site = |site: usize| {
        let entries = (0..tensors[site].len()).map(|entry| derivative(site, entry)).collect();
        Array3::from_shape_vec(tensors[site].dim(), entries).unwrap()
    };
    (0..tensors.len()).map(of_site).collect()
}

fn dynamic<T: Scalar>(tensors: &[Array3<T>]) -> Vec<ArrayD<T>> {
    tensors.iter().map(|a| a.clone().into_dyn()).collect()
}

/// Largest difference over the largest entry.
fn difference<T: Scalar, U: Scalar, D: ndarray::Dimension>(
    found: &[ndarray::Array<T, D>],
    expected: &[ndarray::Array<U, D>],
) -> f64 {
    assert_eq!(found.len(), expected.len());
    let (mut worst, mut largest) = (0.0_f64, 0.0_f64);
    for (a, b) in found.iter().zip(expected) {
        assert_eq!(a.shape(), b.shape());
        for (x, y) in a.iter().zip(b) {
            worst = worst.max((x.to_c64() - y.to_c64()).norm());
            largest = largest.max(y.to_c64().norm());
        }
    }
    worst / largest
}

fn agrees_with_differences<T: Scalar>() {
    let dims = [2, 3, 2, 4];
    let batch = random_rows(13, &dims, 3);
    let canonical = BornMps::<T>::new(Mps::new(any_gauge(&dims, &[1, 2, 5, 3, 1], 5)).unwrap()).unwrap();
    let tensors = canonical.state().tensors();
    let (nll, gradient) = canonical.gradient(&batch).unwrap();
    assert!((nll - canonical.nll(&batch).unwrap()).abs() < 1e-12);
    let error = difference(&gradient, &by_differences(tensors, &batch));
    assert!(error < 1e-6, "canonical: {error}");
    for (seed, dims, bonds) in
        [(1, &[2, 3, 2, 4][..], &[1, 2, 5, 3, 1][..]), (2, &[3], &[1, 1]), (3, &[1, 2], &[1, 4, 1])]
    {
        let batch = random_rows(13, dims, 3);
        let tensors = any_gauge::<T>(dims, bonds, seed);
        let (nll, gradient) = canonical.nll_and_gradient(&dynamic(&tensors), &batch).unwrap();
        assert!((nll - loss(&tensors, &batch)).abs() < 1e-12);
        let error = difference(&gradient, &dynamic(&by_differences(&tensors, &batch)));
        assert!(error < 1e-6, "no gauge, {dims:?}: {error}");
    }
}

#[test]
fn the_gradient_is_that_of_finite_differences() {
    agrees_with_differences::<f64>();
    agrees_with_differences::<Complex64>();
}

fn in_single<T: Scalar, S: Scalar>() {
    let dims = [3; 9];
    let batch = random_rows(200, &dims, 3);
    let wide = any_gauge::<T>(&dims, &[1, 3, 6, 6, 6, 6, 6, 6, 3, 1], 8);
    let narrow: Vec<Array3<S>> = wide.iter().map(|a| a.mapv(|x| S::from_parts(x.to_c64().re, x.to_c64().im))).collect();
    let (nll, gradient) =
        BornMps::<T>::random(&dims, 1, Seed(1)).unwrap().nll_and_gradient(&dynamic(&wide), &batch).unwrap();
    let (low, rough) =
        BornMps::<S>::random(&dims, 1, Seed(1)).unwrap().nll_and_gradient(&dynamic(&narrow), &batch).unwrap();
    assert!((nll - low).abs() < 1e-4 * nll.abs(), "{nll} and {low}");
    let error = difference(&rough, &gradient);
    assert!(error < 1e-4, "{error}");
}

#[test]
fn single_precision_agrees_with_double() {
    in_single::<f64, f32>();
    in_single::<Complex64, Complex32>();
}

#[test]
fn samples_in_many_chunks_add_up() {
    let dims = [2; 11];
    let batch = random_rows(1500, &dims, 4);
    let model = BornMps::<f64>::random(&dims, 5, Seed(2)).unwrap();
    let (nll, gradient) = model.gradient(&batch).unwrap();
    let mut sums: Vec<Array3<f64>> = gradient.iter().map(|g| Array3::zeros(g.dim())).collect();
    let mut losses = 0.0;
    for row in 0..batch.samples() {
        let (nll, gradient) = model.gradient(&batch.select(&[row]).unwrap()).unwrap();
        losses += nll / 1500.0;
        sums.iter_mut().zip(&gradient).for_each(|(sum, g)| sum.scaled_add(1.0 / 1500.0, g));
    }
    assert!((losses - nll).abs() < 1e-11);
    assert!(difference(&gradient, &sums) < 1e-10);
}

#[test]
fn the_number_of_threads_changes_no_bit_of_a_gradient() {
    let dims = [2; 30];
    let batch = random_rows(2000, &dims, 6);
    let model = BornMps::<Complex64>::random(&dims, 12, Seed(2)).unwrap();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| model.gradient(&batch).unwrap())
    };
    let ((one, a), (three, b)) = (run(1), run(3));
    assert_eq!(one.to_bits(), three.to_bits());
    assert_eq!(a, b);
}

#[test]
fn hundreds_of_sites_neither_overflow_nor_underflow() {
    let dims = [2; 784];
    let batch = random_rows(20, &dims, 9);
    let model = BornMps::<f32>::random(&dims, 6, Seed(3)).unwrap();
    // A likelihood of about exp(-500) and norms of many decades each way.
    for factor in [1.0, 1e-6, 1e6] {
        let tensors: Vec<ArrayD<f32>> = model.parameters().into_iter().map(|a| a * factor).collect();
        let (nll, gradient) = model.nll_and_gradient(&tensors, &batch).unwrap();
        assert!((nll - model.nll(&batch).unwrap()).abs() < 1e-2, "{nll}");
        assert!(gradient.iter().flatten().any(|&g| g != 0.0));
    }
}

#[test]
fn what_has_no_gradient_is_an_error() {
    let model = BornMps::<f64>::new(Mps::product(&[vec![1.0, 0.0], vec![0.6, 0.8]]).unwrap()).unwrap();
    let row = |rows: &[[u8; 2]]| Batch::from_rows(rows).unwrap();
    assert!(model.gradient(&row(&[[0, 0], [0, 1]])).is_ok());
    let zero = model.gradient(&row(&[[0, 0], [1, 1]]));
    assert!(matches!(zero, Err(Error::ZeroAmplitude { sample: 1 })), "{zero:?}");
    assert!(matches!(model.gradient(&row(&[[0, 2]])), Err(Error::Symbol { site: 1, found: 2, .. })));
    assert!(matches!(model.gradient(&Batch::from_rows(&[[0u8]]).unwrap()), Err(Error::Shape { .. })));
    let with = |parameters: &[ArrayD<f64>]| model.nll_and_gradient(parameters, &row(&[[0, 0]])).unwrap_err();
    assert!(matches!(with(&[]), Error::Empty { .. }));
    let at = |shape: [usize; 3]| ArrayD::ones(shape.to_vec());
    assert!(matches!(with(&[at([1, 2, 3]), at([2, 2, 1])]).root(), Error::Shape { .. }));
    assert!(matches!(with(&[at([1, 2, 3]), at([3, 2, 2])]).root(), Error::Shape { .. }));
    assert!(matches!(with(&[ArrayD::ones(vec![2]), at([1, 2, 1])]).root(), Error::Shape { .. }));
    assert!(matches!(with(&[at([1, 2, 1]) * f64::NAN, at([1, 2, 1])]).root(), Error::NotFinite { .. }));
    assert!(matches!(with(&[at([1, 2, 1]) * 0.0, at([1, 2, 1])]).root(), Error::NotFinite { .. }));
    assert!(matches!(model.with_parameters(&[at([1, 2, 1]) * 0.0, at([1, 2, 1])]), Err(Error::NotFinite { .. })));
}
