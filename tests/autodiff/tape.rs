//! The tape as such: misuse, higher derivatives, what it holds and what it allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use crate::common::{both, directions, first, gradient, hessian_vector, inner, loss, random, second, weighed};
use ansatz::autodiff::{Tape, Var};
use ansatz::linalg::Truncation;
use ansatz::{Error, Leg, Result, Role, Tensor};
use num_complex::Complex64;

/// Counts the bytes of this thread: those that are held, their peak, and all that were ever asked for.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static ASKED: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // The thread may be about to end, and its counters gone.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
    let _ = ASKED.try_with(|asked| asked.set(asked.get() + bytes.max(0)));
}

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes asked for while something runs.
fn asked<R>(work: impl FnOnce() -> R) -> (R, usize) {
    let before = ASKED.get();
    let result = work();
    (result, (ASKED.get() - before) as usize)
}

/// The highest number of bytes held at once while something runs, beyond those held before.
fn peak<R>(work: impl FnOnce() -> R) -> (R, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = work();
    (result, (PEAK.get() - before) as usize)
}

fn vector(n: usize, seed: u64) -> Tensor<f64> {
    random(&[Leg::bond("i", n)], seed)
}

#[test]
fn a_layer_with_a_batch_asks_for_its_results_and_no_copies() {
    let (batch, inside, outside) = (64, 256, 512);
    let tape = Tape::new();
    let (n, i, o) = (Leg::batch("n", batch), Leg::bond("in", inside), Leg::bond("out", outside));
    let x = tape.variable(random::<f32>(&[n.clone(), i.clone()], 1)).unwrap();
    let w = tape.variable(random::<f32>(&[i, o.clone()], 2)).unwrap();
    let c = tape.constant(random::<f32>(&[n, o], 3)).unwrap();
    let floats = |count: usize| count * size_of::<f32>();
    let slack = 16 << 10;

    let (y, bytes) = asked(|| x.contract(&w).unwrap());
    assert!(bytes < floats(batch * outside) + slack, "{bytes} bytes for the product");
    let l = y.mul(&c).unwrap().sum().unwrap();
    let (g, bytes) = asked(|| l.gradient(&[&x, &w]).unwrap());
    // The cotangent of the sum, that of the product, and the two gradients.
    let needed = floats(2 * batch * outside + batch * inside + inside * outside);
    assert!(bytes < needed + slack, "{bytes} bytes for the gradient, {needed} of results");
    let exact = ansatz::tensor::contract_pairs(x.value(), c.value(), &[("n", "n")]).unwrap();
    assert!(g[1].sub(&exact).unwrap().norm().value() < 1e-2);
}

/// A computation of many equal steps, in segments of the given length.
fn steps<'t>(x: &Var<'t, f64>, segments: usize, length: usize) -> Result<Var<'t, f64>> {
    let mut y = x.clone();
    for _ in 0..segments {
        y = x
            .tape()
            .checkpoint(&[&y, x], move |v| {
                let mut y = v[0].clone();
                for _ in 0..length {
                    y = y.mul(&v[1])?.tanh()?.add(&v[1])?;
                }
                Ok(vec![y])
            })?
            .remove(0);
    }
    y.sum()
}

fn plain<'t>(x: &Var<'t, f64>, count: usize) -> Result<Var<'t, f64>> {
    let mut y = x.clone();
    for _ in 0..count {
        y = y.mul(x)?.tanh()?.add(x)?;
    }
    y.sum()
}

#[test]
fn segments_give_the_same_gradient_in_less_memory() {
    let n = 1 << 15;
    let input = vector(n, 1);
    let run = |f: &dyn for<'t> Fn(&Var<'t, f64>) -> Result<Var<'t, f64>>| {
        peak(|| {
            let tape = Tape::new();
            let x = tape.variable(input.clone()).unwrap();
            let l = f(&x).unwrap();
            l.gradient(&[&x]).unwrap().remove(0)
        })
    };
    let (exact, whole) = run(&|x| plain(x, 64));
    let (found, segmented) = run(&|x| steps(x, 8, 8));
    assert!(exact.sub(&found).unwrap().norm().value() < 1e-12 * exact.norm().value());
    // Each step keeps two tensors; of eight segments of eight steps 8 + 8 steps are held, and some for the pass itself.
    let tensor = n * size_of::<f64>();
    assert!(whole > 128 * tensor && segmented < 40 * tensor, "{} and {} tensors", whole / tensor, segmented / tensor);
}

#[test]
fn segments_have_first_and_second_derivatives() {
    let nested = loss(|x: &[Var<'_, Complex64>]| {
        let made = x[0].tape().checkpoint(&[&x[0], &x[1]], |v| {
            let product = v[0].contract(&v[1])?;
            let inside = v[0].tape().checkpoint(&[&product, &v[0]], |w| Ok(vec![w[0].tanh()?, w[1].mul(&w[1])?]))?;
            Ok(vec![inside[0].exp()?, inside[1].clone()])
        })?;
        weighed(&made[0], 1)?.add(&weighed(&made[1].exp()?, 2)?)
    });
    let legs = [Leg::bond("i", 2), Leg::bond("j", 3)];
    both("segments", &[random(&legs, 1), random(&legs[1..], 2)], nested);
    // One input made of another: no path counts twice.
    let dependent = loss(|x: &[Var<'_, f64>]| {
        let y = x[0].exp()?;
        x[0].tape().checkpoint(&[&x[0], &y], |v| Ok(vec![v[0].mul(&v[1])?.sum()?]))?.remove(0).ln()
    });
    both("dependent inputs", &[vector(4, 3).map(f64::abs)], dependent);
}

#[test]
fn a_checkpointed_function_is_held_to_its_inputs() {
    let tape = Tape::<f64>::new();
    let x = tape.variable(vector(3, 1)).unwrap();
    let none = tape.checkpoint(&[&x], |_| Ok(Vec::new()));
    assert!(matches!(none, Err(Error::Empty { .. })));
    let without = tape.checkpoint(&[], |_| Ok(Vec::new()));
    assert!(matches!(without, Err(Error::Empty { .. })));
    let failing = tape.checkpoint(&[&x], |v| Ok(vec![v[0].ln()?]));
    assert!(matches!(failing, Err(Error::NotFinite { .. })));
}

#[test]
fn derivatives_of_any_order_are_gradients_on_the_tape() {
    // d^k/dx^k of sum exp(2 x) is 2^k exp(2 x).
    let tape = Tape::new();
    let x = tape.variable(vector(3, 4)).unwrap();
    let mut l = x.scale(2.0).unwrap().exp().unwrap().sum().unwrap();
    for k in 1..=4 {
        let g = l.gradient_on_tape(&[&x]).unwrap().remove(0);
        let exact = x.value().map(|x| 2f64.powi(k) * (2.0 * x).exp());
        assert!(g.value().sub(&exact).unwrap().norm().value() < 1e-11 * exact.norm().value());
        l = g.sum().unwrap();
    }
}

#[test]
fn the_second_derivative_is_symmetric_and_that_of_a_quadratic_form_its_matrix() {
    let m = random::<Complex64>(&[Leg::bond("i", 4), Leg::bond("j", 4)], 5);
    let form = loss(|x: &[Var<'_, Complex64>]| {
        let turned = x[1].contract(&x[0].rename("i", "j")?)?;
        x[0].inner(&turned)?.re()
    });
    let v = random::<Complex64>(&[Leg::bond("i", 4)], 6);
    let point = [v.clone(), m.clone()];
    // L = Re x^H M x has dL/d conj(x) = (M + M^H) x / 2, and so has the derivative of that along v.
    let along = [random::<Complex64>(&[Leg::bond("i", 4)], 7), Tensor::zeros(m.legs()).unwrap()];
    let found = hessian_vector(&point, &along, &form).unwrap();
    let turned = m.conj().rename("i", "x").unwrap().rename("j", "i").unwrap().rename("x", "j").unwrap();
    let hermitian = m.add(&turned).unwrap().scale(Complex64::new(0.5, 0.0));
    let exact = ansatz::tensor::contract(&hermitian, &along[0].rename("i", "j").unwrap()).unwrap();
    assert!(found[0].sub(&exact).unwrap().norm().value() < 1e-13);
    // <u, H v> = <v, H u>.
    let (u, v) = (directions(&point, 1), directions(&point, 2));
    let sum = |a: &[Tensor<Complex64>], b: &[Tensor<Complex64>]| a.iter().zip(b).map(|(a, b)| inner(a, b)).sum::<f64>();
    let (hu, hv) = (hessian_vector(&point, &u, &form).unwrap(), hessian_vector(&point, &v, &form).unwrap());
    assert!((sum(&u, &hv) - sum(&v, &hu)).abs() < 1e-12);
    second("quadratic form", &point, 1e-8, form);
}

#[test]
fn intermediate_values_have_gradients_and_constants_pass_none() {
    let tape = Tape::new();
    let x = tape.variable(vector(3, 8)).unwrap();
    let y = x.exp().unwrap();
    let fixed = y.detach();
    let l = y.mul(&fixed).unwrap().sum().unwrap();
    let g = l.gradient(&[&y, &x, &x]).unwrap();
    assert!(g[0].sub(y.value()).unwrap().norm().value() < 1e-15);
    let exact = y.value().map(|y| y * y);
    assert!(g[1].sub(&exact).unwrap().norm().value() < 1e-13 && g[1] == g[2]);
    let other = tape.variable(vector(2, 9)).unwrap();
    assert_eq!(l.gradient(&[&other]).unwrap()[0], Tensor::zeros(other.legs()).unwrap());
    let constant = fixed.sum().unwrap();
    assert_eq!(constant.gradient(&[&x]).unwrap()[0].norm().value(), 0.0);
    assert_eq!(constant.hessian_vector(&[&x], &[x.value()]).unwrap()[0].norm().value(), 0.0);
    // Constants leave nothing behind.
    let nodes = tape.nodes();
    fixed.exp().unwrap().sum().unwrap();
    assert_eq!(tape.nodes(), nodes);
}

#[test]
fn gradients_have_the_legs_of_what_they_belong_to_in_their_order() {
    let legs = [Leg::bond("a", 2), Leg::bond("b", 3), Leg::site("c", 2)];
    let a = random::<f64>(&legs, 1);
    let f = loss(|x: &[Var<'_, f64>]| {
        let d = x[0].permute(&["c", "b", "a"])?.svd(&["b"], "k", &Truncation::none())?;
        weighed(&d.u.mul(&d.s)?.contract(&d.vt)?.exp()?, 1)
    });
    let a = [a];
    assert_eq!(gradient(&a, &f).unwrap()[0].legs(), legs);
    first("svd of a permuted tensor", &a, 1e-7, f);
}

#[test]
fn misuse_is_an_error() {
    let (one, two) = (Tape::new(), Tape::new());
    let (x, y) = (one.variable(vector(3, 1)).unwrap(), two.variable(vector(3, 2)).unwrap());
    let tape_error = |result: Result<Vec<Tensor<f64>>>| {
        let text = result.as_ref().unwrap_err().to_string();
        assert!(matches!(result, Err(Error::Tape { .. })) && !text.contains('\n'), "{text}");
    };
    assert!(matches!(x.add(&y), Err(Error::Tape { .. })));
    assert!(matches!(x.contract(&y), Err(Error::Tape { .. })));
    let l = x.sum().unwrap();
    tape_error(l.gradient(&[&y]));
    tape_error(l.gradient(&[&x.detach()]));
    tape_error(x.gradient(&[&x]));
    tape_error(x.hessian_vector(&[&x], &[x.value()]));
    assert!(matches!(l.hessian_vector(&[&x], &[]), Err(Error::Shape { .. })));
    let other = random::<f64>(&[Leg::bond("k", 3)], 1);
    assert!(matches!(x.norm_sq().unwrap().hessian_vector(&[&x], &[&other]).unwrap_err().root(), Error::Leg { .. }));

    let nan = Tensor::new([Leg::bond("i", 2)], vec![1.0, f64::NAN]).unwrap();
    assert!(matches!(one.variable(nan.clone()), Err(Error::NotFinite { .. })));
    assert!(matches!(one.constant(nan.clone()), Err(Error::NotFinite { .. })));
    assert!(matches!(l.hessian_vector(&[&x], &[&nan]), Err(Error::NotFinite { .. })));
    assert!(matches!(x.scale(f64::INFINITY), Err(Error::NotFinite { .. })));
    let zero = one.variable(Tensor::zeros([Leg::bond("i", 3)]).unwrap()).unwrap();
    for result in [zero.ln(), zero.recip(), x.div(&zero), x.scale(1e4).unwrap().abs_sq().unwrap().exp()] {
        assert!(matches!(result, Err(Error::NotFinite { .. })));
    }
    // No derivative of a norm at zero, and none of a square root; the node is named.
    for l in [zero.norm(), zero.sqrt().unwrap().sum()] {
        let e = l.unwrap().gradient(&[&zero]).unwrap_err();
        assert!(matches!(e.root(), Error::NotFinite { .. }) && e.to_string().contains("node"), "{e}");
    }
    let overflow = x.scale(1e200).unwrap().mul(&x.scale(1e200).unwrap()).unwrap().sum().unwrap();
    assert!(matches!(overflow.gradient(&[&x]), Err(Error::NotFinite { .. })));

    assert!(matches!(x.slice("i", 0..9), Err(Error::Leg { .. })));
    assert!(matches!(x.select("i", usize::MAX), Err(Error::Leg { .. })));
    assert!(matches!(x.gather("i", &[7], "n"), Err(Error::Symbol { .. })));
    assert!(matches!(x.expm(&["i"], &["j"]), Err(Error::Leg { .. })));
    assert!(matches!(x.svd(&["q"], "k", &Truncation::none()), Err(Error::Leg { .. })));
    assert!(matches!(x.svd(&["i"], "k", &Truncation::none().max_bond(0)), Err(Error::Setting { .. })));
    assert!(matches!(Var::<f64>::concat(&[], "i"), Err(Error::Empty { .. })));
    let wide = one.variable(random::<f64>(&[Leg::bond("i", 2), Leg::bond("j", 3)], 1)).unwrap();
    assert!(matches!(wide.eigh(&["i"], &["j"], "k"), Err(Error::Shape { .. })));
    let batch = one.constant(random::<f64>(&[Leg::batch("i", 3)], 1)).unwrap();
    assert!(
        matches!(x.contract(&batch), Err(Error::Leg { .. })) && matches!(batch.contract(&x), Err(Error::Leg { .. }))
    );
    assert!(matches!(x.solve(&wide, &["i"]), Err(Error::Leg { .. } | Error::Shape { .. })));
    assert!(wide.with_unit_leg("i", Role::Bond).is_err());
    let complex = Tape::new();
    let z = complex.variable(random::<Complex64>(&[Leg::bond("i", 3)], 1)).unwrap();
    assert!(matches!(z.relu(), Err(Error::Tape { .. })));
}
