//! Matrix product operators and operator sums against dense matrices.

use crate::common::*;
use ansatz::chain::{Mpo, Mps, OpSum, SiteOp, operator_as};
use ansatz::linalg::Truncation;
use ansatz::{Error, LogScaled, Scalar, Seed};
use ndarray::{Array2, Array4};
use num_complex::{Complex32, Complex64};
use proptest::prelude::*;

fn far<T: Scalar>(a: &Array2<T>, b: &Array2<Complex64>) -> f64 {
    assert_eq!(a.dim(), b.dim());
    a.iter().zip(b).map(|(x, y)| (x.to_c64() - y).norm()).fold(0.0, f64::max)
}

fn random_mpo<T: Scalar>(outs: &[usize], ins: &[usize], bond: usize, seed: u64) -> Mpo<T> {
    let last = outs.len() - 1;
    let tensors = (0..outs.len()).map(|site| {
        let mut stream = Seed(seed).stream("mpo", site as u64);
        let (l, r) = (if site == 0 { 1 } else { bond }, if site == last { 1 } else { bond });
        Array4::from_shape_simple_fn((l, outs[site], ins[site], r), || T::normal(&mut stream))
    });
    Mpo::new(tensors.collect()).unwrap()
}

fn wide<T: Scalar>(a: &Array2<T>) -> Array2<Complex64> {
    a.mapv(|x| x.to_c64())
}

fn operators_act_as_their_matrices<T: Scalar>(tolerance: f64) {
    let (outs, ins) = ([2, 3, 1, 2], [3, 2, 2, 2]);
    let (a, b) = (random_mpo::<T>(&outs, &ins, 3, 1), random_mpo::<T>(&outs, &ins, 2, 2));
    let (da, db) = (wide(&a.to_dense().unwrap()), wide(&b.to_dense().unwrap()));
    let size = da.iter().map(|x| x.norm_sqr()).sum::<f64>().sqrt();
    let close = |x: &Mpo<T>, y: &Array2<Complex64>, scale: f64| far(&x.to_dense().unwrap(), y) < tolerance * scale;
    assert!(close(&a.adjoint(), &da.t().mapv(|x| x.conj()), size));
    assert!(close(&a.add(&b).unwrap(), &(&da + &db), size));
    let square = a.adjoint().multiply(&b).unwrap();
    assert!(close(&square, &da.t().mapv(|x| x.conj()).dot(&db), size * size));
    assert!(a.multiply(&b).is_err());
    let (back, _) = Mpo::from_dense(&a.to_dense().unwrap(), &outs, &ins, &Truncation::none()).unwrap();
    assert!(close(&back, &da, size));
    let mut doubled = a.add(&a).unwrap();
    let report = doubled.compress(&Truncation::none().cutoff(1e-5)).unwrap();
    assert!(doubled.max_bond() <= 4 && report.bound < 1e-3);
    assert!(close(&doubled, &da.mapv(|x| x * 2.0), 2.0 * size));

    let (bra, ket) = (loose::<T>(&outs, 3, 4), loose::<T>(&ins, 2, 5));
    let (vb, vk) = (bra.to_dense().unwrap(), ket.to_dense().unwrap());
    let image = da.dot(&ndarray::Array1::from_iter(vk.iter().map(|x| x.to_c64())));
    let expected: Complex64 = vb.iter().zip(&image).map(|(x, y)| x.to_c64().conj() * y).sum();
    let found = a.matrix_element(&bra, &ket).unwrap().value().to_c64();
    assert!((found - expected).norm() < tolerance * size * norm(&vb) * norm(&vk));
    assert!(a.matrix_element(&ket, &ket).is_err());
}

#[test]
fn operators_of_every_scalar_act_as_their_matrices() {
    operators_act_as_their_matrices::<f32>(2e-6);
    operators_act_as_their_matrices::<f64>(1e-14);
    operators_act_as_their_matrices::<Complex32>(2e-6);
    operators_act_as_their_matrices::<Complex64>(1e-14);
}

#[test]
fn short_ranged_hamiltonians_have_their_textbook_bonds() {
    assert_eq!(ising(10, 1.0).to_mpo::<f64>().unwrap().bonds(), [3; 9]);
    assert_eq!(heisenberg(10).to_mpo::<f32>().unwrap().bonds(), [5; 9]);
    assert_eq!(heisenberg(10).to_mpo::<Complex64>().unwrap().bonds(), [5; 9]);
    // The entries are those of the textbook, not a rotation of them: most vanish.
    let w = heisenberg(10).to_mpo::<f64>().unwrap();
    assert!(w.tensors()[4].iter().filter(|x| **x != 0.0).count() == 4 + 2 * (2 + 2 + 2));
}

#[test]
fn exponential_and_power_laws_compress() {
    let sum = |law: fn(f64) -> f64| {
        let mut sum = OpSum::new(&[2; 40]);
        for i in 0..40 {
            for j in 0..i {
                sum.add(law((i - j) as f64), [("Z", j), ("Z", i)]).unwrap();
            }
        }
        sum.to_mpo::<f64>().unwrap()
    };
    assert_eq!(sum(|r| 0.7f64.powf(r)).max_bond(), 3);
    let cubic = sum(|r| r.powi(-3));
    assert!(cubic.max_bond() < 20);
    let up = Mps::product(&vec![vec![1.0, 0.0]; 40]).unwrap();
    let expected: f64 = (1..40).map(|r| (40 - r) as f64 * (r as f64).powi(-3)).sum();
    assert!((cubic.expectation(&up).unwrap() - expected).abs() < 1e-12 * expected);
}

#[test]
fn a_real_operator_may_be_made_of_imaginary_parts_and_a_complex_one_is_refused() {
    let mut sum = OpSum::new(&[2; 3]);
    sum.add(0.5, [("Y", 0), ("Y", 2)]).unwrap();
    sum.add(Complex64::new(0.0, 2.0), [("Y", 1)]).unwrap();
    let expected = dense_term(&[2; 3], 0.5.into(), &[("Y", 0), ("Y", 2)])
        + dense_term(&[2; 3], Complex64::new(0.0, 2.0), &[("Y", 1)]);
    assert!(far(&sum.to_mpo::<f64>().unwrap().to_dense().unwrap(), &expected) < 1e-15);
    sum.add(1.0, [("Y", 1)]).unwrap();
    assert!(matches!(sum.to_mpo::<f64>(), Err(Error::Setting { .. })));
    assert!(sum.to_mpo::<Complex32>().is_ok());
    let mixed = Array2::from_elem((2, 2), Complex64::new(1.0, 1.0));
    let mut sum = OpSum::new(&[2]);
    sum.add(1.0, [(mixed, 0)]).unwrap();
    assert!(sum.to_mpo::<f32>().is_err() && sum.to_mpo::<Complex64>().is_ok());
}

#[test]
fn terms_that_make_no_sense_are_refused() {
    let mut sum = OpSum::new(&[2, 3]);
    assert!(matches!(sum.add(1.0, [("Q", 0)]), Err(Error::At { .. })));
    assert!(matches!(sum.add(1.0, [("Z", 2)]), Err(Error::Setting { .. })));
    assert!(sum.add(1.0, [("Z", 1)]).is_err());
    assert!(matches!(sum.add(f64::NAN, [("Z", 0)]), Err(Error::NotFinite { .. })));
    assert!(sum.add(1.0, [(Array2::<f64>::eye(2), 1)]).is_err());
    assert!(OpSum::new(&[]).to_mpo::<f64>().is_err() && OpSum::new(&[2, 0]).to_mpo::<f64>().is_err());
    let zero = OpSum::new(&[2, 2]).to_mpo::<f64>().unwrap();
    assert_eq!(zero.to_dense().unwrap(), Array2::<f64>::zeros((4, 4)));
    assert!(operator_as::<f64>("Sy", 2).is_err());
}

#[test]
fn an_operator_on_two_thousand_sites_does_not_overflow() {
    let mut plus = Mpo::<f32>::product(&vec![Array2::from_elem((2, 2), 30.0); 2000]).unwrap();
    plus.scale(LogScaled::from(-1.0));
    let up = Mps::product(&vec![vec![1.0f32, 0.0]; 2000]).unwrap();
    let found = plus.matrix_element(&up, &up).unwrap();
    assert!((found.ln_abs() - 2000.0 * 30f64.ln()).abs() < 1e-2 && found.phase() == -1.0);
    let identity = Mpo::<f32>::identity(&[2; 2000]).unwrap();
    assert!((identity.expectation(&up).unwrap() - 1.0).abs() < 1e-5);
}

fn names() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["Sx", "Sy", "Sz", "S+", "S-", "N", "I", "A", "Adag"])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(7), cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn any_sum_is_the_sum_of_its_dense_terms(
        dims in prop::collection::vec(2usize..4, 1..5),
        terms in prop::collection::vec((-2f64..2.0, -2f64..2.0, prop::collection::vec((names(), 0usize..5), 0..4)), 0..12),
    ) {
        let mut sum = OpSum::new(&dims);
        let size: usize = dims.iter().product();
        let mut expected = Array2::<Complex64>::zeros((size, size));
        for (re, im, factors) in terms {
            let factors: Vec<_> = factors.into_iter().map(|(name, site)| (name, site % dims.len())).collect();
            let coefficient = Complex64::new(re, im);
            sum.add(coefficient, factors.iter().map(|&(name, site)| (SiteOp::from(name), site))).unwrap();
            expected += &dense_term(&dims, coefficient, &factors);
        }
        let mpo = sum.to_mpo::<Complex64>().unwrap();
        prop_assert!(far(&mpo.to_dense().unwrap(), &expected) < 1e-12);
        // Never above the rank of the matrix across the cut, but for the two channels of the ends.
        for (bond, found) in mpo.bonds().into_iter().enumerate() {
            let rest: usize = dims[bond + 1..].iter().map(|d| d * d).product();
            let near: usize = dims[..=bond].iter().map(|d| d * d).product();
            prop_assert!(found <= near.min(rest) + 2);
        }
    }

    #[test]
    fn variance_and_expectation_agree_with_the_matrix(seed in 0u64..100, field in -2f64..2.0) {
        let (mpo, state) = (ising(6, field).to_mpo::<f64>().unwrap(), loose::<f64>(&[2; 6], 4, seed));
        let (h, v) = (mpo.to_dense().unwrap(), ndarray::Array1::from(state.to_dense().unwrap()));
        let (n, hv) = (v.dot(&v), h.dot(&v));
        let mean = v.dot(&hv) / n;
        prop_assert!((mpo.expectation(&state).unwrap() - mean).abs() < 1e-11);
        prop_assert!((mpo.variance(&state).unwrap() - (hv.dot(&hv) / n - mean * mean)).abs() < 1e-10);
    }
}
