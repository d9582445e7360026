//! Renormalisation of the Ising model at its critical coupling, 20 steps.
//!
//! `cargo bench --bench lattice`.

use ansatz::autodiff::Tape;
use ansatz::lattice::{Boundary, Ising, SpinLayers, exact, hotrg, hotrg_schedule, trg};
use ansatz::linalg::Truncation;
use ansatz::{Result, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};

fn cut(bond: usize) -> Truncation {
    Truncation::none().max_bond(bond).cutoff(1e-9)
}

fn slope() -> Result<f64> {
    let tape = Tape::new();
    let k = tape.variable(Tensor::scalar(exact::CRITICAL_COUPLING))?;
    let z = trg(&Ising::new(0.0)?.site_on(&k)?, 20, &cut(8))?;
    z.ln_z_per_site.gradient(&[&k])?[0].to_scalar()
}

fn renormalisation(c: &mut Criterion) {
    let mut group = c.benchmark_group("lattice");
    group.sample_size(10);
    let site = Ising::new(exact::CRITICAL_COUPLING).unwrap().site::<f64>().unwrap();
    group.bench_function("trg, bond 16", |bench| bench.iter(|| trg(&site, 20, &cut(16)).unwrap().ln_z_per_site));
    let schedule = hotrg_schedule(&[10, 10]);
    group.bench_function("hotrg, bond 12", |bench| {
        bench.iter(|| hotrg(&site, &schedule, &cut(12)).unwrap().ln_z_per_site)
    });
    group.bench_function("gradient of trg, bond 8", |bench| bench.iter(|| slope().unwrap()));
    let layers = SpinLayers::square(12, 12, Boundary::Periodic).unwrap();
    group.bench_function("layers, 12 x 12", |bench| bench.iter(|| layers.ln_z(0.4, 0.0).unwrap()));
    group.finish();
}

criterion_group!(benches, renormalisation);
criterion_main!(benches);
