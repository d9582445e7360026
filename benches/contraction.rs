//! Execution of contraction plans, and gradients by all tensors: a lattice, random graphs of small tensors, a sliced one.
//!
//! With `ANSATZ_NETWORK=net.json ANSATZ_PLAN=plan.json` that network is contracted by that plan, in place of the others:
//! `benches/peers/contract_cotengra.py` does the same by the same plan.

use std::time::Duration;

use ansatz::Seed;
use ansatz::io::{load_equation, load_plan};
use ansatz::network::{Backward, Contraction, Equation, Network, Plan, Planner};
use criterion::{Criterion, criterion_group, criterion_main};
use rand::RngExt;

fn plan(planner: &Planner, equation: &Equation) -> Plan {
    planner.clone().rounds(1).search(equation, Duration::from_secs(20), Seed(1)).unwrap()
}

/// Tensors on a square lattice with a bond to each neighbour.
fn lattice(side: usize, bond: u64) -> Equation {
    let mut dims = std::collections::HashMap::new();
    let mut inputs = vec![Vec::new(); side * side];
    for (row, column) in (0..side).flat_map(|row| (0..side).map(move |column| (row, column))) {
        for (name, r, c) in [("d", row + 1, column), ("r", row, column + 1)] {
            if r < side && c < side {
                let name = format!("{name}{row},{column}");
                dims.insert(name.clone(), bond);
                inputs[row * side + column].push(name.clone());
                inputs[r * side + c].push(name);
            }
        }
    }
    Equation::from_names(&inputs, &[] as &[String], &dims).unwrap()
}

/// A cycle and a random matching.
fn graph(count: usize, bond: u64) -> Equation {
    let mut stream = Seed(7).stream("graph", count as u64);
    let mut dims = std::collections::HashMap::new();
    let mut inputs = vec![Vec::new(); count];
    let mut join = |name: String, a: usize, b: usize| {
        dims.insert(name.clone(), bond);
        inputs[a].push(name.clone());
        inputs[b].push(name);
    };
    (0..count).for_each(|t| join(format!("c{t}"), t, (t + 1) % count));
    let mut left: Vec<usize> = (0..count).collect();
    while left.len() > 1 {
        let a = left.swap_remove(stream.random_range(0..left.len()));
        let b = left.swap_remove(stream.random_range(0..left.len()));
        join(format!("m{a}"), a, b);
    }
    Equation::from_names(&inputs, &[] as &[String], &dims).unwrap()
}

fn measure(c: &mut Criterion, name: &str, equation: &Equation, plan: &Plan) {
    let network = Network::<f64>::random(equation, Seed(1)).unwrap();
    println!("{name}: {plan}");
    c.bench_function(name, |b| b.iter(|| network.contract(plan).unwrap()));
    c.bench_function(&format!("{name}, gradient"), |b| b.iter(|| network.gradient(plan).unwrap()));
    let compiled = Contraction::new(plan).compile(&network).unwrap();
    c.bench_function(&format!("{name}, compiled"), |b| b.iter(|| compiled.run(&network).unwrap()));
    let compiled = Backward::new().compile(&network, plan).unwrap();
    c.bench_function(&format!("{name}, compiled gradient"), |b| b.iter(|| compiled.gradient(&network).unwrap()));
}

fn contraction(c: &mut Criterion) {
    if let (Ok(network), Ok(plan)) = (std::env::var("ANSATZ_NETWORK"), std::env::var("ANSATZ_PLAN")) {
        let equation = load_equation(network.as_ref()).unwrap();
        return measure(c, &network, &equation, &load_plan(plan.as_ref()).unwrap());
    }
    let planner = Planner::new();
    let square = lattice(8, 4);
    measure(c, "lattice 8x8 bond 4", &square, &plan(&planner, &square));
    for (count, bond) in [(80, 2), (40, 4), (30, 8)] {
        let equation = graph(count, bond);
        measure(c, &format!("cubic graph {count} bond {bond}"), &equation, &plan(&planner, &equation));
    }
    let sliced = plan(&planner.max_log2_size(10.0), &square);
    measure(c, "lattice 8x8 bond 4, sliced", &square, &sliced);
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(3));
    targets = contraction
}
criterion_main!(benches);
