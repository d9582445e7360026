//! Two-site DMRG of the open Heisenberg chain.
//!
//! `cargo bench --bench dmrg`. The large case (100 sites, bond 100) runs once by
//! `cargo run --release --example dmrg -- heisenberg 100 100 4`; `benches/peers/dmrg_tenpy.py 100 100 4` is the same in
//! TeNPy.

use std::ops::ControlFlow;

use ansatz::chain::{Mpo, Mps, OpSum, Sweeps, dmrg};
use criterion::{Criterion, criterion_group, criterion_main};

fn heisenberg(c: &mut Criterion) {
    let mut group = c.benchmark_group("dmrg, heisenberg");
    group.sample_size(10);
    for (sites, bond, count) in [(20, 64, 4), (40, 32, 4)] {
        let mut sum = OpSum::new(&vec![2; sites]);
        for i in 1..sites {
            for s in ["Sx", "Sy", "Sz"] {
                sum.add(1.0, [(s, i - 1), (s, i)]).unwrap();
            }
        }
        let hamiltonian: Mpo<f64> = sum.to_mpo().unwrap();
        let site = |i: usize| if i.is_multiple_of(2) { vec![1.0, 0.0] } else { vec![0.0, 1.0] };
        let start = Mps::product(&(0..sites).map(site).collect::<Vec<_>>()).unwrap();
        let sweeps = Sweeps::new(count, bond).cutoff(1e-10);
        group.bench_function(format!("{sites} sites, bond {bond}, {count} sweeps"), |bench| {
            bench.iter(|| dmrg(&hamiltonian, start.clone(), &sweeps, &mut |_| ControlFlow::Continue(())).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, heisenberg);
criterion_main!(benches);
