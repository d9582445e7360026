//! Derivatives beside finite differences.

// Each test file uses its own part.

use ansatz::autodiff::{Tape, Var};
use ansatz::{Leg, Real, Result, Scalar, Seed, Tensor};

/// A loss as a function of tensors on a tape. Where it is complex, its real part counts.
pub trait Loss<T: Scalar>: for<'a> Fn(&[Var<'a, T>]) -> Result<Var<'a, T>> {}
impl<T: Scalar, F: for<'a> Fn(&[Var<'a, T>]) -> Result<Var<'a, T>>> Loss<T> for F {}

/// Helps the compiler to see that a closure is a loss.
pub fn loss<T: Scalar, F: for<'a> Fn(&[Var<'a, T>]) -> Result<Var<'a, T>>>(f: F) -> F {
    f
}

pub fn random<T: Scalar>(legs: &[Leg], seed: u64) -> Tensor<T> {
    Tensor::random(legs, Seed(seed)).unwrap()
}

/// The real part of the sum of the elements times fixed random numbers: every element matters, each in its own way.
pub fn weighed<'t, T: Scalar>(v: &Var<'t, T>, seed: u64) -> Result<Var<'t, T>> {
    let mut legs = v.legs().to_vec();
    legs.sort_by(|a, b| a.name().cmp(b.name()));
    let weights = v.tape().constant(random::<T>(&legs, 1000 + seed))?;
    v.mul(&weights)?.sum()?.re()
}

/// The factor of `Re sum conj(G) v` in the change of a loss.
pub fn factor<T: Scalar>() -> f64 {
    if T::IS_COMPLEX { 2.0 } else { 1.0 }
}

fn number<T: Scalar>(t: &Tensor<T>) -> f64 {
    t.to_scalar().unwrap().re().to_f64()
}

/// `Re sum conj(a) b`
pub fn inner<T: Scalar>(a: &Tensor<T>, b: &Tensor<T>) -> f64 {
    a.conj().zip_with(b, |x, y| x * y).unwrap().sum().re().to_f64()
}

fn moved<T: Scalar>(inputs: &[Tensor<T>], directions: &[Tensor<T>], step: f64) -> Vec<Tensor<T>> {
    inputs.iter().zip(directions).map(|(a, v)| a.add(&v.scale(T::from_f64(step))).unwrap()).collect()
}

fn value_of<T: Scalar>(inputs: &[Tensor<T>], f: &dyn Loss<T>) -> f64 {
    let tape = Tape::new();
    let vars: Vec<_> = inputs.iter().map(|a| tape.constant(a.clone()).unwrap()).collect();
    number(f(&vars).unwrap().value())
}

fn gradient_of<T: Scalar>(inputs: &[Tensor<T>], f: &dyn Loss<T>) -> Result<Vec<Tensor<T>>> {
    let tape = Tape::new();
    let vars: Vec<_> = inputs.iter().map(|a| tape.variable(a.clone()).unwrap()).collect();
    let before = f(&vars)?;
    let nodes = tape.nodes();
    let gradient = before.gradient(&vars.iter().collect::<Vec<_>>());
    assert_eq!(tape.nodes(), nodes, "a gradient leaves nothing on the tape");
    gradient
}

fn hessian_vector_of<T: Scalar>(
    inputs: &[Tensor<T>],
    directions: &[Tensor<T>],
    f: &dyn Loss<T>,
) -> Result<Vec<Tensor<T>>> {
    let tape = Tape::new();
    let vars: Vec<_> = inputs.iter().map(|a| tape.variable(a.clone()).unwrap()).collect();
    f(&vars)?.hessian_vector(&vars.iter().collect::<Vec<_>>(), &directions.iter().collect::<Vec<_>>())
}

/// Directions in which to move, the first of them random.
pub fn directions<T: Scalar>(inputs: &[Tensor<T>], seed: u64) -> Vec<Tensor<T>> {
    inputs.iter().zip(0..).map(|(a, i)| random(a.legs(), 5000 + 100 * seed + i)).collect()
}

/// Central differences of fourth order: an error of `h^4` and of rounding over `h`.
const STENCIL: [(f64, f64); 4] = [(1.0, 8.0 / 12.0), (-1.0, -8.0 / 12.0), (2.0, -1.0 / 12.0), (-2.0, 1.0 / 12.0)];

fn first_of<T: Scalar>(name: &str, inputs: &[Tensor<T>], tolerance: f64, f: &dyn Loss<T>) {
    let gradients = gradient_of(inputs, f).unwrap_or_else(|e| panic!("{name}: {e}"));
    let h = 1e-3;
    for seed in 0..4 {
        let v = directions(inputs, seed);
        let numeric: f64 = STENCIL.iter().map(|(k, w)| w * value_of(&moved(inputs, &v, k * h), f) / h).sum();
        let exact = factor::<T>() * gradients.iter().zip(&v).map(|(g, v)| inner(g, v)).sum::<f64>();
        assert!(
            (numeric - exact).abs() <= tolerance * (1.0 + numeric.abs()),
            "{name} of {}: {exact} against differences {numeric}",
            T::KIND
        );
    }
}

fn second_of<T: Scalar>(name: &str, inputs: &[Tensor<T>], tolerance: f64, f: &dyn Loss<T>) {
    let h = 1e-3;
    let v = directions(inputs, 17);
    let exact = hessian_vector_of(inputs, &v, f).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut numeric: Vec<Tensor<T>> = inputs.iter().map(|a| Tensor::zeros(a.legs()).unwrap()).collect();
    for (k, w) in STENCIL {
        let there = gradient_of(&moved(inputs, &v, k * h), f).unwrap_or_else(|e| panic!("{name}: {e}"));
        for (sum, g) in numeric.iter_mut().zip(there) {
            *sum = sum.add(&g.scale(T::from_f64(w / h))).unwrap();
        }
    }
    for (k, (exact, numeric)) in exact.iter().zip(&numeric).enumerate() {
        let size = |t: &Tensor<T>| t.norm().ln_abs().exp();
        let (off, size) = (size(&exact.sub(numeric).unwrap()), size(numeric));
        assert!(
            off <= tolerance * (1.0 + size),
            "{name} of {}, second derivative by input {k}: off by {off:e} of {size:e}",
            T::KIND
        );
    }
}

// What is generic over the loss only passes it on: the rest is compiled once for all losses.

pub fn value<T: Scalar>(inputs: &[Tensor<T>], f: &impl Loss<T>) -> f64 {
    value_of(inputs, f)
}

pub fn gradient<T: Scalar>(inputs: &[Tensor<T>], f: &impl Loss<T>) -> Result<Vec<Tensor<T>>> {
    gradient_of(inputs, f)
}

pub fn hessian_vector<T: Scalar>(
    inputs: &[Tensor<T>],
    directions: &[Tensor<T>],
    f: &impl Loss<T>,
) -> Result<Vec<Tensor<T>>> {
    hessian_vector_of(inputs, directions, f)
}

/// The gradient against differences of the loss along random directions.
pub fn first<T: Scalar>(name: &str, inputs: &[Tensor<T>], tolerance: f64, f: impl Loss<T>) {
    first_of(name, inputs, tolerance, &f);
}

/// The second derivative along a random direction against differences of the gradient.
pub fn second<T: Scalar>(name: &str, inputs: &[Tensor<T>], tolerance: f64, f: impl Loss<T>) {
    second_of(name, inputs, tolerance, &f);
}

/// Both, to seven and six digits.
pub fn both<T: Scalar>(name: &str, inputs: &[Tensor<T>], f: impl Loss<T>) {
    first(name, inputs, 1e-7, &f);
    second(name, inputs, 1e-6, &f);
}
