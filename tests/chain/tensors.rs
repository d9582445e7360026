//! Chains as tensors with named legs: contracted by hand they are what the chain says, and they make the chain again.

use crate::common::*;
use ansatz::chain::{Mpo, Mps};
use ansatz::tensor::{Leg, Role, Tensor, contract};
use ansatz::{BornMps, Error, GenerativeModel, Place, Scalar, Seed};
use num_complex::{Complex32, Complex64};

/// All tensors in one, times the factor.
fn whole<T: Scalar>(state: &Mps<T>) -> Tensor<T> {
    let start = Tensor::scalar(state.factor().value());
    (0..state.sites()).fold(start, |sum, site| contract(&sum, &state.tensor(site).unwrap()).unwrap())
}

fn contracted_by_hand<T: Scalar>(tolerance: f64) {
    for (dims, bond) in [(vec![2, 3, 1, 2, 4], 3), (vec![3, 2], 2), (vec![4], 1), (vec![2, 2, 2], 1)] {
        let state = loose::<T>(&dims, bond, 1);
        let vector = state.to_dense().unwrap();
        let dense = whole(&state);
        assert!(dense.legs().iter().zip(&dims).all(|(leg, &d)| (leg.role(), leg.dim()) == (Role::Site, d)));
        let names: Vec<String> = (0..dims.len()).map(|site| format!("site{site}")).collect();
        let found: Vec<T> = dense.view_in_order(&names).unwrap().iter().copied().collect();
        assert!(distance(&found, &vector) < tolerance * norm(&vector), "{dims:?}");

        let tensors: Vec<Tensor<T>> = (0..dims.len()).map(|site| state.tensor(site).unwrap()).collect();
        // Any order of legs, and any names of bonds.
        let turned: Vec<Tensor<T>> = tensors
            .iter()
            .map(|t| t.permute(&t.legs().iter().rev().map(Leg::name).collect::<Vec<_>>()).unwrap())
            .map(|t| if t.has_leg("bond0") { t.rename("bond0", "between the first two sites").unwrap() } else { t })
            .collect();
        for tensors in [tensors, turned] {
            let mut again = Mps::from_tensors(&tensors).unwrap();
            again.scale(state.factor());
            assert_eq!(again, state, "{dims:?}");
        }
    }
}

#[test]
fn the_contracted_tensors_of_a_state_are_its_vector_and_make_it_again() {
    contracted_by_hand::<f32>(1e-5);
    contracted_by_hand::<f64>(1e-13);
    contracted_by_hand::<Complex32>(1e-5);
    contracted_by_hand::<Complex64>(1e-13);
}

/// `<bra| O |ket>` over the tensors of all three.
fn sandwich<T: Scalar>(bra: &Mps<T>, operator: &Mpo<T>, ket: &Mps<T>) -> T {
    let mut value = Tensor::scalar(bra.factor().value().conj() * operator.factor().value() * ket.factor().value());
    for site in 0..ket.sites() {
        // The bra has bonds of its own, and meets the outgoing legs.
        let mut upper = bra.tensor(site).unwrap().conj();
        for leg in upper.clone().legs() {
            upper = upper.rename(leg, format!("{}'", leg.name())).unwrap();
        }
        for tensor in [ket.tensor(site).unwrap(), operator.tensor(site).unwrap(), upper] {
            value = contract(&value, &tensor).unwrap();
        }
    }
    value.to_scalar().unwrap()
}

#[test]
fn an_operator_between_two_states_is_its_matrix_element() {
    let dims = [2, 3, 2, 4];
    let (bra, ket) = (loose::<Complex64>(&dims, 3, 1), loose::<Complex64>(&dims, 2, 2));
    let fused = loose::<Complex64>(&[4, 9, 4, 16], 3, 3);
    let tensors = fused.tensors().iter().zip(dims).map(|(a, d)| {
        let (l, _, r) = a.dim();
        a.clone().into_shape_with_order((l, d, d, r)).unwrap()
    });
    let operator = Mpo::new(tensors.collect()).unwrap();
    let found = sandwich(&bra, &operator, &ket);
    let expected = operator.matrix_element(&bra, &ket).unwrap().value();
    assert!((found - expected).norm() < 1e-12 * expected.norm());
    let dense = operator.to_dense().unwrap().dot(&ndarray::Array1::from(ket.to_dense().unwrap()));
    assert!((found - dot(&bra.to_dense().unwrap(), &dense.to_vec())).norm() < 1e-12 * expected.norm());
}

#[test]
fn the_tensors_of_an_operator_make_it_again() {
    for hamiltonian in [ising(5, 0.7), heisenberg(1), heisenberg(4)] {
        let operator: Mpo<f64> = hamiltonian.to_mpo().unwrap();
        let mut tensors: Vec<_> = (0..operator.sites()).map(|site| operator.tensor(site).unwrap()).collect();
        tensors[0] = tensors[0].permute(&tensors[0].legs().iter().rev().collect::<Vec<_>>()).unwrap();
        let mut again = Mpo::from_tensors(&tensors).unwrap();
        again.scale(operator.factor());
        assert_eq!(again, operator);
    }
    // Out and in of other dimensions.
    let narrow = Tensor::new([Leg::site("v", 2), Leg::site("v'", 1)], vec![1.0, 2.0]).unwrap();
    let operator = Mpo::from_tensors(&[narrow]).unwrap();
    assert_eq!((operator.outs(), operator.ins()), (vec![1], vec![2]));
}

#[test]
fn a_born_machine_is_made_of_named_tensors() {
    let site = |name: &str, left: &str, right: &str| {
        Tensor::<f64>::random([Leg::bond(left, 1), Leg::site(name, 2), Leg::bond(right, 3)], Seed(1)).unwrap()
    };
    let last = Tensor::random([Leg::site("c", 2), Leg::bond("y", 3)], Seed(2)).unwrap();
    // An outer bond of dimension 1 is as good as none, and so is no bond between neighbours.
    let tensors = [site("a", "w", "x"), Tensor::random([Leg::bond("x", 3), Leg::site("b", 4)], Seed(3)).unwrap()];
    let state = Mps::from_tensors(&[&tensors[..], &[site("d", "z", "y"), last]].concat()).unwrap();
    assert_eq!((state.dims(), state.bonds()), (vec![2, 4, 2, 2], vec![3, 1, 3]));
    let model = BornMps::new(state).unwrap();
    let all = ansatz::Batch::all(&model.dims()).unwrap();
    let dense = whole(model.state());
    for (row, ln) in all.view().rows().into_iter().zip(model.log_prob(&all).unwrap()) {
        let index = |site: usize| usize::from(row[site]);
        let at = [("site0", index(0)), ("site1", index(1)), ("site2", index(2)), ("site3", index(3))];
        assert!((dense.get(&at).unwrap().powi(2) - ln.exp()).abs() < 1e-14);
    }
}

#[test]
fn tensors_that_make_no_chain_are_refused_with_their_site() {
    let random = |legs: &[Leg]| Tensor::<f64>::random(legs, Seed(1)).unwrap();
    let (s, x, y) = (Leg::site("s", 2), Leg::bond("x", 3), Leg::bond("y", 3));
    let site = |n: usize, legs: &[&Leg]| {
        random(&legs.iter().map(|&l| l.clone()).chain([s.renamed(format!("s{n}"))]).collect::<Vec<_>>())
    };
    let refused = |tensors: &[Tensor<f64>], place: usize, word: &str| {
        let error = Mps::from_tensors(tensors).unwrap_err();
        assert!(matches!(&error, Error::At { place: Place::Site(k), .. } if *k == place), "{error}");
        assert!(matches!(error.root(), Error::Leg { .. }) && error.to_string().contains(word), "{error}");
    };
    refused(&[site(0, &[&x, &y]), site(1, &[&x, &y])], 0, "fuse");
    refused(&[site(0, &[&x]), site(1, &[&y])], 0, "on no neighbour");
    refused(&[site(0, &[&x]), site(1, &[&x, &y])], 1, "'y'");
    refused(&[site(0, &[&x]), site(1, &[&Leg::bond("x", 2)])], 0, "dimension");
    refused(&[site(0, &[&x]), site(1, &[&x.with_role(Role::Batch)])], 0, "bond");
    // Two sites of the same name share a leg that is no bond.
    refused(&[site(0, &[]), site(0, &[])], 0, "bond");
    refused(&[site(0, &[&x]), random(std::slice::from_ref(&x))], 1, "0 site legs");
    refused(&[random(&[s.clone(), s.renamed("t")])], 0, "2 site legs");
    refused(&[site(0, &[&Leg::purification("p", 1)])], 0, "purification");
    assert!(matches!(Mps::<f64>::from_tensors(&[]), Err(Error::Empty { .. })));
    let nan = Tensor::new([s.clone()], vec![f64::NAN, 0.0]).unwrap();
    assert!(matches!(Mps::from_tensors(&[nan]), Err(Error::NotFinite { .. })));
    let state = Mps::<f64>::random(&[2; 3], 2, Seed(1)).unwrap();
    assert!(matches!(state.tensor(3), Err(Error::Setting { name: "site", .. })));
    let operator = Mpo::<f64>::identity(&[2; 3]).unwrap();
    assert!(matches!(operator.tensor(3), Err(Error::Setting { name: "site", .. })));
    let error = Mpo::from_tensors(&[random(&[s.clone(), s.renamed("t")])]).unwrap_err();
    assert!(matches!(error.root(), Error::Leg { .. }), "{error}");
    assert!(Mpo::from_tensors(&[random(std::slice::from_ref(&s))]).is_err());
}
