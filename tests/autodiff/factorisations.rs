//! Derivatives of factorisations, linear systems and the exponential against finite differences: rectangular both ways,
//! with equal and with vanishing values, cut and not cut.

use crate::common::{both, first, gradient, hessian_vector, loss, random, second, weighed};
use ansatz::autodiff::{Tape, Var};
use ansatz::linalg::Truncation;
use ansatz::tensor::contract_pairs;
use ansatz::{Error, Leg, Result, Scalar, Tensor};
use num_complex::{Complex32, Complex64};

fn matrix<T: Scalar>(rows: usize, cols: usize, seed: u64) -> Tensor<T> {
    random(&[Leg::bond("i", rows), Leg::bond("j", cols)], seed)
}

/// Orthonormal columns, `[name, k]`.
fn isometry<T: Scalar>(name: &str, rows: usize, cols: usize, seed: u64) -> Tensor<T> {
    random::<T>(&[Leg::bond(name, rows), Leg::bond("x", cols)], seed).qr(&[name], "k").unwrap().0
}

/// A matrix with the given singular values.
fn with_values<T: Scalar>(rows: usize, cols: usize, values: &[f64], seed: u64) -> Tensor<T> {
    let real: Vec<T::Real> = values.iter().map(|&x| T::from_f64(x).re()).collect();
    let u = isometry::<T>("i", rows, values.len(), seed).scale_along("k", &real).unwrap();
    let v = isometry::<T>("j", cols, values.len(), seed + 50);
    contract_pairs(&u, &v.conj(), &[("k", "k")]).unwrap()
}

/// A Hermitian matrix with the given eigenvalues.
fn with_eigenvalues<T: Scalar>(values: &[f64], seed: u64) -> Tensor<T> {
    let real: Vec<T::Real> = values.iter().map(|&x| T::from_f64(x).re()).collect();
    let v = isometry::<T>("i", values.len(), values.len(), seed);
    let right = v.conj().rename("i", "j").unwrap();
    contract_pairs(&v.scale_along("k", &real).unwrap(), &right, &[("k", "k")]).unwrap()
}

/// `V f(w) V^H`
fn function_of<'t, T: Scalar>(a: &Var<'t, T>, f: impl Fn(&Var<'t, T>) -> Result<Var<'t, T>>) -> Result<Var<'t, T>> {
    let e = a.eigh(&["i"], &["j"], "k")?;
    let right = e.vectors.conj()?.rename("i", "j")?;
    e.vectors.mul(&f(&e.values)?)?.contract(&right)
}

/// `U f(s) V^H` of the kept part.
fn odd_function_of<'t, T: Scalar>(
    a: &Var<'t, T>,
    cut: &Truncation,
    f: impl Fn(&Var<'t, T>) -> Result<Var<'t, T>>,
) -> Result<Var<'t, T>> {
    let d = a.svd(&["i"], "k", cut)?;
    d.u.mul(&f(&d.s)?)?.contract(&d.vt)
}

/// `s + s^3 / 3`: odd, so that `U f(s) V^H` is a smooth function of the matrix wherever singular values vanish.
fn odd<'t, T: Scalar>(s: &Var<'t, T>) -> Result<Var<'t, T>> {
    s.add(&s.mul(s)?.mul(s)?.scale(T::from_f64(1.0 / 3.0))?)
}

fn whole() -> Truncation {
    // Of a matrix that is zero too.
    Truncation::none().min_bond(8)
}

fn generic_eigh<T: Scalar>() {
    let a = [matrix::<T>(5, 5, 1)];
    both("eigenvalues", &a, |x| weighed(&x[0].eigh(&["i"], &["j"], "k")?.values.exp()?, 1));
    both("eigenvectors", &a, |x| weighed(&x[0].eigh(&["i"], &["j"], "k")?.vectors.abs_sq()?, 2));
    both("function of a matrix", &a, |x| weighed(&function_of(&x[0], |w| w.tanh())?, 3));
    let tensor = [random::<T>(&[Leg::bond("a", 2), Leg::bond("c", 3), Leg::bond("b", 3), Leg::bond("d", 2)], 2)];
    both("pairs of legs", &tensor, |x| {
        let e = x[0].eigh(&["a", "b"], &["d", "c"], "k")?;
        weighed(&e.values.tanh()?, 4)?.add(&weighed(&e.vectors.abs_sq()?, 5)?)
    });
}

fn degenerate_eigh<T: Scalar>() {
    for (values, seed) in [(&[1.0, 1.0, 1.0, 2.0, 2.0, 5.0][..], 1), (&[0.0, 0.0, 0.0], 2), (&[-1.0, 0.5, 0.5, 0.5], 3)]
    {
        let a = [with_eigenvalues::<T>(values, seed)];
        both("eigenvalues, equal", &a, |x| {
            let w = x[0].eigh(&["i"], &["j"], "k")?.values;
            w.tanh()?.sum()?.add(&w.exp()?.sum()?.ln()?)
        });
        first("function of a matrix, equal eigenvalues", &a, 1e-7, |x| weighed(&function_of(&x[0], |w| w.exp())?, 1));
        second("function of a matrix, equal eigenvalues", &a, 1e-4, |x| weighed(&function_of(&x[0], |w| w.exp())?, 1));
    }
    // A projector on whole multiplets.
    let a = [with_eigenvalues::<T>(&[1.0, 1.0, 2.0, 2.0, 2.0], 4)];
    let projector = loss(|x: &[Var<'_, T>]| {
        let low = x[0].eigh(&["i"], &["j"], "k")?.vectors.slice("k", 0..2)?;
        weighed(&low.contract(&low.conj()?.rename("i", "j")?)?, 2)
    });
    first("projector", &a, 1e-7, projector);
    second("projector", &a, 1e-4, projector);
}

fn generic_svd<T: Scalar>() {
    for (rows, cols) in [(4, 4), (6, 3), (3, 6), (1, 3), (3, 1)] {
        let a = [matrix::<T>(rows, cols, 1)];
        both("singular values", &a, |x| weighed(&x[0].svd(&["i"], "k", &whole())?.s.exp()?, 1));
        both("left vectors", &a, |x| weighed(&x[0].svd(&["i"], "k", &whole())?.u.abs_sq()?, 2));
        both("right vectors", &a, |x| weighed(&x[0].svd(&["i"], "k", &whole())?.vt.abs_sq()?, 3));
        both("U f(s) V^H", &a, |x| weighed(&odd_function_of(&x[0], &whole(), |s| s.tanh())?, 4));
        // U V^H turns with the phase of neither, but with the imaginary diagonal of both.
        both("U V^H", &a, |x| {
            let d = x[0].svd(&["i"], "k", &whole())?;
            weighed(&d.u.contract(&d.vt)?, 5)
        });
    }
    let tensor = [random::<T>(&[Leg::bond("a", 2), Leg::site("b", 3), Leg::bond("c", 2), Leg::bond("d", 2)], 2)];
    both("legs on both sides", &tensor, |x| {
        let d = x[0].svd(&["d", "b"], "k", &whole())?;
        weighed(&d.u.mul(&d.s.sqrt()?)?.contract(&d.vt.mul(&d.s.tanh()?)?)?, 6)
    });
}

fn truncated_svd<T: Scalar>() {
    let cut = Truncation::none().max_bond(2);
    for (rows, cols) in [(4, 4), (6, 4), (4, 6)] {
        let a = [matrix::<T>(rows, cols, 3)];
        both("kept values", &a, |x| weighed(&x[0].svd(&["i"], "k", &cut)?.s.exp()?, 1));
        both("kept left vectors", &a, |x| weighed(&x[0].svd(&["i"], "k", &cut)?.u.abs_sq()?, 2));
        both("kept right vectors", &a, |x| weighed(&x[0].svd(&["i"], "k", &cut)?.vt.abs_sq()?, 3));
        both("truncated matrix", &a, |x| weighed(&odd_function_of(&x[0], &cut, |s| Ok(s.clone()))?, 4));
        both("truncated U V^H", &a, |x| {
            let d = x[0].svd(&["i"], "k", &cut)?;
            weighed(&d.u.contract(&d.vt)?, 5)
        });
    }
    // Exact zeros and equal values among the dropped ones do not matter.
    for values in [&[3.0, 2.0, 0.0, 0.0][..], &[3.0, 2.0, 0.5, 0.5], &[3.0, 2.0]] {
        for (rows, cols) in [(5, 4), (4, 4), (4, 5)] {
            let a = [with_values::<T>(rows, cols, values, 4)];
            both("dropped values that coincide", &a, |x| weighed(&odd_function_of(&x[0], &cut, |s| s.tanh())?, 6));
            let tape = Tape::new();
            let v = tape.variable(a[0].clone()).unwrap();
            let l = weighed(&odd_function_of(&v, &cut, |s| s.tanh()).unwrap(), 6).unwrap();
            assert!(l.gradient_on_tape(&[&v]).is_ok());
        }
    }
    // Equal values that are kept whole.
    let a = [with_values::<T>(5, 4, &[3.0, 3.0, 1.0, 0.5], 5)];
    first("kept values that coincide", &a, 1e-7, |x| weighed(&odd_function_of(&x[0], &cut, odd)?, 7));
    second("kept values that coincide", &a, 1e-4, |x| weighed(&odd_function_of(&x[0], &cut, odd)?, 7));
}

fn degenerate_svd<T: Scalar>() {
    let spectra: [&[f64]; 6] =
        [&[2.0, 2.0, 1.0, 1.0], &[1.0; 4], &[2.0, 1.0, 0.0, 0.0], &[1.0, 1.0, 0.0], &[0.0; 3], &[2.0, 2.0, 2.0, 0.0]];
    for values in spectra {
        for (rows, cols) in [(4, 4), (6, 4), (4, 6)] {
            let a = [with_values::<T>(rows, cols, values, 6)];
            let name = format!("U f(s) V^H, singular values {values:?} of {rows} x {cols}");
            first(&name, &a, 1e-7, |x| weighed(&odd_function_of(&x[0], &whole(), odd)?, 1));
            second(&name, &a, 1e-4, |x| weighed(&odd_function_of(&x[0], &whole(), odd)?, 1));
            let even = loss(|x: &[Var<'_, T>]| x[0].svd(&["i"], "k", &whole())?.s.abs_sq()?.exp()?.sum()?.ln());
            both(&name, &a, even);
        }
    }
    // Nothing of the vectors of vanishing values enters: the projector on the others.
    let a = [with_values::<T>(5, 4, &[2.0, 2.0, 1.0], 7)];
    let projector = loss(|x: &[Var<'_, T>]| {
        let u = x[0].svd(&["i"], "k", &whole())?.u.slice("k", 0..2)?;
        weighed(&u.contract(&u.conj()?.rename("i", "j")?)?, 2)
    });
    first("projector", &a, 1e-7, projector);
    second("projector", &a, 1e-4, projector);
}

/// One degenerate factorisation after another, with and without a checkpoint around them.
fn chained<T: Scalar>() {
    let step = loss(|x: &[Var<'_, T>]| {
        let once = odd_function_of(&x[0], &whole(), odd)?;
        let square = once.contract_pairs(&once.conj()?.rename("i", "l")?, &[("j", "j")])?;
        let twice = function_of(&square.rename("l", "j")?, |w| w.tanh())?;
        weighed(&odd_function_of(&twice, &whole(), odd)?, 3)
    });
    for values in [&[2.0, 2.0, 1.0, 1.0][..], &[1.0, 1.0, 0.0, 0.0]] {
        let a = [with_values::<T>(4, 4, values, 8)];
        first("chain of factorisations", &a, 1e-6, step);
        let checked = loss(|x: &[Var<'_, T>]| {
            let y = x[0].tape().checkpoint(&[&x[0]], |v| {
                let once = odd_function_of(&v[0], &whole(), odd)?;
                let square = once.contract_pairs(&once.conj()?.rename("i", "l")?, &[("j", "j")])?;
                Ok(vec![function_of(&square.rename("l", "j")?, |w| w.tanh())?])
            })?;
            weighed(&odd_function_of(&y[0], &whole(), odd)?, 3)
        });
        first("chain with a checkpoint", &a, 1e-6, checked);
        let (plain, again) = (gradient(&a, &step).unwrap(), gradient(&a, &checked).unwrap());
        assert!(plain[0].sub(&again[0]).unwrap().norm().ln_abs() < (1e-9_f64).ln());
    }
}

fn triangular<T: Scalar>() {
    for (rows, cols) in [(4, 4), (6, 3), (3, 5), (1, 3), (3, 1)] {
        let a = [matrix::<T>(rows, cols, 9)];
        both("Q", &a, |x| weighed(&x[0].qr(&["i"], "k")?.0, 1));
        both("R", &a, |x| weighed(&x[0].qr(&["i"], "k")?.1.exp()?, 2));
        both("Q and R", &a, |x| {
            let (q, r) = x[0].qr(&["i"], "k")?;
            weighed(&q.exp()?.contract(&r.exp()?)?, 3)
        });
    }
}

fn systems<T: Scalar>() {
    let a = random::<T>(&[Leg::bond("a", 2), Leg::bond("c", 4), Leg::bond("b", 2)], 14);
    let b = random::<T>(&[Leg::bond("b", 2), Leg::site("s", 3), Leg::bond("a", 2)], 11);
    both("solve", &[a.clone(), b.clone()], |x| weighed(&x[0].solve(&x[1], &["c"])?, 1));
    let tape = Tape::new();
    let (va, vb) = (tape.variable(a).unwrap(), tape.variable(b.clone()).unwrap());
    let x = va.solve(&vb, &["c"]).unwrap();
    assert!(va.contract(&x).unwrap().value().sub(&b).unwrap().norm().ln_abs() < (1e-11_f64).ln());
    for scale in [0.01, 1.0, 4.0] {
        let a = random::<T>(&[Leg::bond("a", 2), Leg::bond("c", 2), Leg::bond("b", 2), Leg::bond("d", 2)], 12);
        let a = [a.scale(T::from_f64(scale))];
        first("expm", &a, 1e-7, |x| weighed(&x[0].expm(&["a", "b"], &["d", "c"])?, 2)?.sigmoid());
        second("expm", &a, 1e-5, |x| weighed(&x[0].expm(&["a", "b"], &["d", "c"])?, 2)?.sigmoid());
    }
    // The derivative of a scaled gradient is that gradient scaled, however large or small.
    let a = [matrix::<T>(3, 3, 13)];
    let plain = gradient(&a, &loss(|x: &[Var<'_, T>]| weighed(&x[0].expm(&["i"], &["j"])?, 4))).unwrap();
    for scale in [1e-12, 1e12] {
        let f = loss(move |x: &[Var<'_, T>]| weighed(&x[0].expm(&["i"], &["j"])?, 4)?.scale(T::from_f64(scale)));
        let found = gradient(&a, &f).unwrap()[0].scale(T::from_f64(1.0 / scale));
        assert!(found.sub(&plain[0]).unwrap().norm().ln_abs() < (1e-11_f64).ln());
    }
}

macro_rules! real_and_complex {
    ($($name:ident: $what:ident;)*) => {$(
        mod $name {
            #[test]
            fn in_real_numbers() {
                super::$what::<f64>();
            }
            #[test]
            fn in_complex_numbers() {
                super::$what::<num_complex::Complex64>();
            }
        }
    )*};
}
real_and_complex! {
    eigenvalues: generic_eigh;
    equal_eigenvalues: degenerate_eigh;
    singular_values: generic_svd;
    cut_singular_values: truncated_svd;
    equal_and_vanishing_singular_values: degenerate_svd;
    one_after_the_other: chained;
    qr: triangular;
    solve_and_expm: systems;
}

#[test]
fn single_precision_takes_the_same_limits() {
    fn holds<T: Scalar>() {
        // tr C A^3 through the eigenvalues of A, which coincide: the derivative is C A^2 + A C A + A^2 C.
        let a = with_eigenvalues::<T>(&[1.0, 1.0, 2.0], 21);
        let f = loss(|x: &[Var<'_, T>]| weighed(&function_of(&x[0], |w| w.mul(w)?.mul(w))?, 1));
        let direct = loss(|x: &[Var<'_, T>]| {
            let a = x[0].add(&x[0].conj()?.rename_all(&[("i", "j"), ("j", "i")])?)?.scale(T::from_f64(0.5))?;
            let square = a.contract_pairs(&a.rename("j", "k")?.rename("i", "l")?, &[("j", "l")])?;
            weighed(&square.contract_pairs(&a.rename("i", "l")?, &[("k", "l")])?, 1)
        });
        let (found, exact) =
            (gradient(std::slice::from_ref(&a), &f).unwrap(), gradient(std::slice::from_ref(&a), &direct).unwrap());
        let off = found[0].sub(&exact[0]).unwrap().norm().ln_abs().exp();
        assert!(off < 2e-3 * exact[0].norm().ln_abs().exp(), "{off}");
    }
    holds::<f32>();
    holds::<Complex32>();
}

fn root(e: &Error) -> &Error {
    e.root()
}

#[test]
fn a_loss_that_depends_on_an_open_choice_is_refused_by_name() {
    fn refused<T: Scalar>(name: &str, a: Tensor<T>, f: impl crate::common::Loss<T>) {
        let result = gradient(&[a], &f);
        assert!(matches!(result.as_ref().map_err(root), Err(Error::Gauge { .. })), "{name}: {result:?}");
    }
    fn both_types<T: Scalar>() {
        refused("one vector of two", with_eigenvalues::<T>(&[1.0, 1.0, 2.0], 1), |x| {
            weighed(&x[0].eigh(&["i"], &["j"], "k")?.vectors.abs_sq()?.slice("k", 0..1)?, 1)
        });
        refused("one singular vector of two", with_values::<T>(4, 3, &[2.0, 2.0, 1.0], 2), |x| {
            weighed(&x[0].svd(&["i"], "k", &whole())?.u.abs_sq()?.slice("k", 0..1)?, 2)
        });
        refused("a cut through equal values", with_values::<T>(4, 3, &[2.0, 2.0, 1.0], 3), |x| {
            weighed(&odd_function_of(&x[0], &Truncation::none().max_bond(1), odd)?, 3)
        });
        refused("a vector of a vanishing value", with_values::<T>(4, 3, &[2.0, 1.0, 0.0], 4), |x| {
            weighed(&x[0].svd(&["i"], "k", &whole())?.u.abs_sq()?.slice("k", 2..3)?, 4)
        });
        refused("a kink at zero", with_values::<T>(4, 3, &[2.0, 1.0, 0.0], 5), |x| {
            x[0].svd(&["i"], "k", &whole())?.s.sum()
        });
        refused("a kink at zero beside something smooth", with_values::<T>(4, 3, &[2.0, 1.0, 0.0], 5), |x| {
            let smooth = weighed(&odd_function_of(&x[0], &whole(), odd)?, 8)?;
            smooth.add(&x[0].svd(&["i"], "k", &whole())?.s.sum()?)
        });
        refused("one vector of a zero matrix", with_values::<T>(4, 3, &[0.0; 3], 5), |x| {
            weighed(&odd_function_of(&x[0], &Truncation::none().max_bond(1), odd)?, 3)
        });
        refused("Q of dependent columns", with_values::<T>(4, 3, &[2.0, 1.0, 0.0], 6), |x| {
            weighed(&x[0].qr(&["i"], "k")?.0, 5)
        });
    }
    both_types::<f64>();
    both_types::<Complex64>();
    refused("the phase of an eigenvector", matrix::<Complex64>(3, 3, 7), |x| {
        weighed(&x[0].eigh(&["i"], &["j"], "k")?.vectors, 6)
    });
    refused("the phase of singular vectors", matrix::<Complex64>(3, 4, 8), |x| {
        weighed(&x[0].svd(&["i"], "k", &whole())?.u, 7)
    });

    let tape = Tape::new();
    let a = tape.variable(with_eigenvalues::<f64>(&[1.0, 1.0, 2.0], 1)).unwrap();
    let l =
        weighed(&a.eigh(&["i"], &["j"], "k").unwrap().vectors.abs_sq().unwrap().slice("k", 0..1).unwrap(), 1).unwrap();
    let text = l.gradient(&[&a]).unwrap_err().to_string();
    assert!(text.contains("eigh (node") && !text.contains('\n'), "{text}");
}

#[test]
fn a_gradient_on_the_tape_is_refused_where_it_is_a_limit() {
    let tape = Tape::new();
    let a = tape.variable(with_eigenvalues::<f64>(&[1.0, 1.0, 2.0], 1)).unwrap();
    let l = weighed(&function_of(&a, |w| w.tanh()).unwrap(), 1).unwrap();
    let refused = l.gradient_on_tape(&[&a]);
    assert!(matches!(refused.as_ref().map_err(root), Err(Error::Degenerate { first: 0, last: 1, .. })), "{refused:?}");
    // Eigenvalues alone have their derivatives there.
    let l = a.eigh(&["i"], &["j"], "k").unwrap().values.exp().unwrap().sum().unwrap();
    let slope = l.gradient_on_tape(&[&a]).unwrap().remove(0);
    let v = hessian_vector(
        &[a.value().clone()],
        &[slope.value().clone()],
        &loss(|x: &[Var<'_, f64>]| x[0].eigh(&["i"], &["j"], "k")?.values.exp()?.sum()),
    )
    .unwrap();
    // For tr exp(A), gradient exp(A), and the derivative of exp(A) along exp(A) is exp(2 A).
    let exact = a.scale(2.0).unwrap().expm(&["i"], &["j"]).unwrap();
    assert!(v[0].sub(exact.value()).unwrap().norm().value() < 1e-6);
}
