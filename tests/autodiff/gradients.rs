//! The derivative of every operation of the tape against finite differences: first and second, real and complex.

use crate::common::{both, first, gradient, loss, random, weighed};
use ansatz::autodiff::Var;
use ansatz::{Leg, Role, Scalar, Tensor};
use num_complex::Complex64;

fn legs() -> Vec<Leg> {
    vec![Leg::batch("n", 3), Leg::bond("i", 2), Leg::site("s", 4)]
}

/// Numbers with real parts well above zero.
fn positive<T: Scalar>(legs: &[Leg], seed: u64) -> Tensor<T> {
    random::<T>(legs, seed).map(|x| T::from_parts(1.5 + 0.4 * x.to_c64().re.tanh(), 0.3 * x.to_c64().im.tanh()))
}

fn legs_of_tensors<T: Scalar>() {
    let a = random::<T>(&legs(), 1);
    let one = [a.clone()];
    // Each is followed by a function that is not linear, so that second derivatives are not zero.
    both::<T>("permute", &one, |x| weighed(&x[0].permute(&["s", "n", "i"])?.exp()?, 1));
    both::<T>("rename", &one, |x| weighed(&x[0].rename_all(&[("i", "s"), ("s", "i")])?.exp()?, 2));
    both::<T>("with_role", &one, |x| weighed(&x[0].with_role("i", Role::Site)?.exp()?, 3));
    both::<T>("fuse", &one, |x| weighed(&x[0].fuse(&["s", "n"], "f", Role::Bond)?.exp()?, 4));
    both::<T>("split", &one, |x| weighed(&x[0].split("s", &[Leg::site("t", 2), Leg::bond("u", 2)])?.exp()?, 5));
    both::<T>("slice", &one, |x| weighed(&x[0].slice("s", 1..3)?.exp()?, 6));
    both::<T>("select", &one, |x| weighed(&x[0].select("n", 2)?.exp()?, 7));
    both::<T>("pad", &one, |x| weighed(&x[0].pad("i", 2, 5)?.exp()?, 8));
    both::<T>("expand", &one, |x| weighed(&x[0].expand(&[Leg::bond("e", 3), Leg::batch("m", 2)])?.exp()?, 9));
    both::<T>(
        "concat",
        &[a.clone(), random::<T>(&[Leg::site("s", 4), Leg::bond("i", 5), Leg::batch("n", 3)], 2)],
        |x| weighed(&Var::concat(&[&x[0], &x[1], &x[0]], "i")?.exp()?, 10),
    );
    both::<T>("stack", &[a.clone(), random::<T>(&legs(), 3)], |x| {
        weighed(&Var::stack(&[&x[0], &x[1], &x[0]], "k", Role::Bond)?.exp()?, 11)
    });
    both::<T>("gather", &one, |x| weighed(&x[0].gather("s", &[3, 0, 3], "n")?.exp()?, 12));
    both::<T>("gather into a batch", &[random::<T>(&legs()[1..], 4)], |x| {
        weighed(&x[0].gather("s", &[1, 1, 0, 3, 1], "m")?.exp()?, 13)
    });
}

fn contractions<T: Scalar>() {
    let (l, m, r) = (Leg::bond("l", 2), Leg::bond("m", 3), Leg::bond("r", 4));
    let n = Leg::batch("n", 2);
    let a = random::<T>(&[n.clone(), l.clone(), m.clone()], 1);
    both("over shared legs, a batch kept", &[a.clone(), random::<T>(&[m.clone(), r.clone(), n.clone()], 2)], |x| {
        weighed(&x[0].contract(&x[1])?.exp()?, 1)
    });
    both("a batch on one side", &[a.clone(), random::<T>(&[m.clone(), r.clone()], 3)], |x| {
        weighed(&x[0].contract(&x[1])?.tanh()?, 2)
    });
    both("a batch summed", &[a.clone(), random::<T>(&[n.clone(), r.clone()], 4)], |x| {
        weighed(&x[0].contract_pairs(&x[1], &[("n", "n")])?.exp()?, 3)
    });
    // The names of summed legs occur on the other tensor as free ones.
    both(
        "pairs with crossed names",
        &[random::<T>(&[l.clone(), m.clone()], 5), random::<T>(&[m.renamed("l"), r.renamed("m")], 6)],
        |x| weighed(&x[0].contract_pairs(&x[1], &[("m", "l")])?.exp()?, 4),
    );
    both("outer product", &[random::<T>(&[Leg::bond("l", 2)], 7), random::<T>(&[Leg::bond("r", 4)], 8)], |x| {
        weighed(&x[0].contract(&x[1])?.exp()?, 5)
    });
    both("with itself", &[random::<T>(&[m.clone(), m.renamed("k")], 9)], |x| {
        weighed(&x[0].contract_pairs(&x[0], &[("m", "k")])?.exp()?, 6)
    });
    both("with its conjugate", &[random::<T>(&[m.clone(), r.clone()], 10)], |x| x[0].inner(&x[0])?.ln());
    both("trace", &[random::<T>(&[m.clone(), l, m.renamed("k")], 11)], |x| weighed(&x[0].trace("m", "k")?.exp()?, 7));
}

fn elements<T: Scalar>() {
    let (a, b) = (positive::<T>(&legs(), 1), positive::<T>(&legs(), 2));
    let small = positive::<T>(&[Leg::site("s", 4), Leg::batch("n", 3)], 3);
    for other in [b, small] {
        let pair = [a.clone(), other];
        for swap in [0, 1] {
            both("add", &pair, loss(move |x| weighed(&x[swap].add(&x[1 - swap])?.exp()?, 1)));
            both("sub", &pair, loss(move |x| weighed(&x[swap].sub(&x[1 - swap])?.exp()?, 2)));
            both("mul", &pair, loss(move |x| weighed(&x[swap].mul(&x[1 - swap])?, 3)));
            both("div", &pair, loss(move |x| weighed(&x[swap].div(&x[1 - swap])?, 4)));
        }
    }
    let one = [a];
    both("scale", &one, |x| weighed(&x[0].scale(T::from_parts(0.7, -0.4))?.exp()?, 5));
    both("exp", &one, |x| weighed(&x[0].exp()?, 6));
    both("ln", &one, |x| weighed(&x[0].ln()?, 7));
    both("sqrt", &one, |x| weighed(&x[0].sqrt()?, 8));
    both("recip", &one, |x| weighed(&x[0].recip()?, 9));
    both("tanh", &one, |x| weighed(&x[0].tanh()?, 10));
    both("sigmoid", &one, |x| weighed(&x[0].sigmoid()?, 11));
    both("softplus", &one, |x| weighed(&x[0].softplus()?, 12));
    both("conj", &one, |x| weighed(&x[0].conj()?.mul(&x[0].exp()?)?, 13));
    both("re", &one, |x| weighed(&x[0].re()?.mul(&x[0])?, 14));
    both("im", &one, |x| weighed(&x[0].im()?.add(&x[0])?.exp()?, 15));
    both("abs_sq", &one, |x| weighed(&x[0].abs_sq()?.ln()?, 16));
    both("logsumexp", &one, |x| weighed(&x[0].logsumexp(&["s", "n"])?, 17));
    both("logsumexp of all", &one, |x| x[0].logsumexp(x[0].legs())?.re());
    both("sum_over", &one, |x| weighed(&x[0].sum_over(&["s", "n"])?.exp()?, 18));
    both("sum", &one, |x| x[0].sum()?.ln()?.re());
    both("norm", &one, |x| x[0].norm()?.exp());
    both("norm_sq", &one, |x| x[0].norm_sq()?.ln());
}

#[test]
fn legs_in_real_numbers() {
    legs_of_tensors::<f64>();
}

#[test]
fn legs_in_complex_numbers() {
    legs_of_tensors::<Complex64>();
}

#[test]
fn contractions_in_real_numbers() {
    contractions::<f64>();
}

#[test]
fn contractions_in_complex_numbers() {
    contractions::<Complex64>();
}

#[test]
fn elements_in_real_numbers() {
    elements::<f64>();
    // Away from the kink.
    let a = random::<f64>(&legs(), 20).map(|x| if x.abs() < 0.1 { x + 0.3 } else { x });
    both("relu", &[a], |x| {
        let y = x[0].relu()?;
        weighed(&y.mul(&y)?.mul(&y)?, 1)
    });
}

#[test]
fn elements_in_complex_numbers() {
    elements::<Complex64>();
}

#[test]
fn the_gradient_by_a_complex_tensor_is_that_by_its_conjugate() {
    // L = |z|^2 has dL/d conj(z) = z, and L = Re c z has conj(c) / 2.
    let z = Tensor::scalar(Complex64::new(0.3, -1.2));
    let c = Complex64::new(2.0, 5.0);
    let square = gradient(std::slice::from_ref(&z), &loss(|x: &[Var<'_, Complex64>]| x[0].abs_sq())).unwrap();
    assert!((square[0].to_scalar().unwrap() - z.to_scalar().unwrap()).norm() < 1e-15);
    let linear = gradient(&[z], &loss(move |x: &[Var<'_, Complex64>]| x[0].scale(c)?.re())).unwrap();
    assert!((linear[0].to_scalar().unwrap() - 0.5 * c.conj()).norm() < 1e-15);
}

#[test]
fn single_precision_agrees_with_double() {
    fn network<'t, T: Scalar>(x: &[Var<'t, T>]) -> ansatz::Result<Var<'t, T>> {
        let hidden = x[0].contract(&x[1])?.add(&x[2])?.tanh()?;
        hidden.contract(&hidden.conj()?.rename("n", "m")?)?.abs_sq()?.sum()?.ln()
    }
    let shapes = [
        vec![Leg::batch("n", 5), Leg::bond("i", 4)],
        vec![Leg::bond("i", 4), Leg::bond("o", 3)],
        vec![Leg::bond("o", 3)],
    ];
    fn pair<W: Scalar, N: Scalar<Wide = W>>(shapes: &[Vec<Leg>]) {
        let wide: Vec<Tensor<W>> = shapes.iter().zip(0..).map(|(legs, i)| random(legs, i)).collect();
        let narrow: Vec<Tensor<N>> = wide
            .iter()
            .map(|t| {
                let data = t.view_in_order(t.legs()).unwrap().iter().map(|&x| N::narrow(x)).collect();
                Tensor::new(t.legs(), data).unwrap()
            })
            .collect();
        let exact = gradient(&wide, &loss(|x: &[Var<'_, W>]| network(x))).unwrap();
        let found = gradient(&narrow, &loss(|x: &[Var<'_, N>]| network(x))).unwrap();
        for (exact, found) in exact.iter().zip(&found) {
            let found = found.view_in_order(exact.legs()).unwrap();
            for (a, b) in exact.view_in_order(exact.legs()).unwrap().iter().zip(found.iter()) {
                assert!((a.to_c64() - b.to_c64()).norm() < 1e-5);
            }
        }
    }
    pair::<f64, f32>(&shapes);
    pair::<Complex64, num_complex::Complex32>(&shapes);
}

#[test]
fn a_layer_with_a_batch_has_the_gradient_of_its_matrix_products() {
    // y = tanh(x W + b), L = sum y c: dL/dW = x^T [c (1 - y^2)], summed over the batch.
    let (batch, inside, outside) = (Leg::batch("n", 4), Leg::bond("in", 6), Leg::bond("out", 5));
    let x = random::<f64>(&[batch.clone(), inside.clone()], 1);
    let w = random::<f64>(&[inside, outside.clone()], 2);
    let b = random::<f64>(std::slice::from_ref(&outside), 3);
    let c = random::<f64>(&[batch, outside], 4);
    let layer = loss(|v: &[Var<'_, f64>]| v[0].contract(&v[1])?.add(&v[2])?.tanh()?.mul(&v[3])?.sum());
    let g = gradient(&[x.clone(), w.clone(), b.clone(), c.clone()], &layer).unwrap();
    let y = ansatz::tensor::contract(&x, &w).unwrap().zip_with(&b, |x, b| (x + b).tanh()).unwrap();
    let delta = c.zip_with(&y, |c, y| c * (1.0 - y * y)).unwrap();
    let by_w = ansatz::tensor::contract_pairs(&x, &delta, &[("n", "n")]).unwrap();
    assert!(g[1].sub(&by_w).unwrap().norm().value() < 1e-13);
    assert!(g[2].sub(&delta.sum_over(&["n"]).unwrap()).unwrap().norm().value() < 1e-13);
    assert!(g[3].sub(&y).unwrap().norm().value() < 1e-13);
    first("layer", &[x, w, b, c], 1e-7, layer);
}
