//! How long plans take: the best order of few tensors, a greedy order of many, a fixed number of rounds.
//!
//! `cargo bench --bench planning`; how good they are beside another planner's is told by `benches/peers/planning.py`.

use std::time::Duration;

use ansatz::Seed;
use ansatz::network::{Equation, Planner};
use criterion::{Criterion, criterion_group, criterion_main};

/// A square lattice of bonds of dimension 2.
fn lattice(rows: usize, cols: usize) -> Equation {
    let mut inputs = Vec::new();
    for r in 0..rows {
        for c in 0..cols {
            let mut legs = Vec::new();
            legs.extend((c + 1 < cols).then(|| format!("h{r},{c}")));
            legs.extend((c > 0).then(|| format!("h{r},{}", c - 1)));
            legs.extend((r + 1 < rows).then(|| format!("v{r},{c}")));
            legs.extend((r > 0).then(|| format!("v{},{c}", r - 1)));
            inputs.push(legs);
        }
    }
    let dims = inputs.iter().flatten().map(|leg| (leg.clone(), 2)).collect();
    Equation::from_names(&inputs, &[], &dims).unwrap()
}

fn planning(c: &mut Criterion) {
    let mut group = c.benchmark_group("planning");
    group.sample_size(10);
    let long = Duration::from_secs(600);
    let few = lattice(4, 4);
    group.bench_function("best order of a 4 x 4 lattice", |bench| {
        bench.iter(|| Planner::new().optimal(&few).unwrap());
    });
    let many = lattice(40, 40);
    group.bench_function("greedy order of a 40 x 40 lattice", |bench| {
        bench.iter(|| Planner::new().greedy(&many).unwrap());
    });
    let some = lattice(9, 9);
    group.bench_function("a round of the search on a 9 x 9 lattice", |bench| {
        bench.iter(|| Planner::new().patience(f64::INFINITY).rounds(1).search(&some, long, Seed(1)).unwrap());
    });
    group.finish();
}

criterion_group!(benches, planning);
criterion_main!(benches);
