//! Partition functions by approximate contraction: the Ising model on a 4 x 4 x 4 cube and on a random graph.
//!
//! `cargo run --release --example compressed [-- cubic|regular|large MAX_BOND [DEPTH]]`

use std::time::{Duration, Instant};

use ansatz::network::{Compressed, Gauge, Network, Planner};
use ansatz::{Leg, Result, Seed, Tensor};

type Edges = Vec<(usize, usize)>;

/// A tensor for each spin: `T[i, j, ...] = sum over s of W[s, i] W[s, j] ...` with `W W^T = exp(beta s s')`.
fn ising(edges: &Edges, spins: usize, beta: f64) -> Result<Network<f64>> {
    let (c, s) = (beta.cosh().sqrt(), beta.sinh().sqrt());
    let w = [[c, s], [c, -s]];
    let mut tensors = Vec::new();
    for spin in 0..spins {
        let around = edges.iter().enumerate().filter(|(_, (a, b))| *a == spin || *b == spin);
        let legs: Vec<Leg> = around.map(|(number, _)| Leg::bond(format!("e{number}"), 2)).collect();
        let element = |i: usize| w.iter().map(|w| (0..legs.len()).map(|k| w[i >> k & 1]).product::<f64>()).sum();
        let data: Vec<f64> = (0..1 << legs.len()).map(element).collect();
        tensors.push(Tensor::new(legs, data)?);
    }
    Network::from_tensors(tensors)
}

fn cubic(size: usize) -> Edges {
    let at = |x: usize, y: usize, z: usize| (x * size + y) * size + z;
    let all = (0..size * size * size).map(|i| (i / size / size, i / size % size, i % size));
    let mut edges = Vec::new();
    for (x, y, z) in all {
        let ends = [(x + 1, at(x + 1, y, z)), (y + 1, at(x, y + 1, z)), (z + 1, at(x, y, z + 1))];
        edges.extend(ends.iter().filter(|end| end.0 < size).map(|end| (at(x, y, z), end.1)));
    }
    edges
}

/// A ring with a chord at each site: the graph of `benches/peers/compressed_quimb.py`.
fn regular(sites: usize) -> Edges {
    let mut edges: Edges = (0..sites).map(|i| (i, (i + 1) % sites)).collect();
    let (mut free, mut state): (Vec<usize>, u64) = ((0..sites).collect(), 1);
    while free.len() > 1 {
        let a = free.remove(0);
        let apart = |b: usize| b - a > 1 && !(a == 0 && b == sites - 1);
        let mut others: Vec<usize> = free.iter().copied().filter(|&b| apart(b)).collect();
        if others.is_empty() {
            others.clone_from(&free);
        }
        state = (state * 1_103_515_245 + 12_345) % (1 << 31);
        let b = others[(state >> 8) as usize % others.len()];
        free.retain(|&other| other != b);
        edges.push((a, b));
    }
    edges
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let kinds = match args.first() {
        Some(kind) => vec![kind.as_str()],
        None => vec!["cubic", "regular"],
    };
    let bonds: Vec<usize> = match args.get(1).and_then(|bond| bond.parse().ok()) {
        Some(bond) => vec![bond],
        None => vec![4, 8, 16],
    };
    let depth = args.get(2).and_then(|depth| depth.parse().ok()).unwrap_or(2);
    for kind in kinds {
        let network = match kind {
            "cubic" => ising(&cubic(4), 64, 0.3)?,
            "large" => ising(&cubic(6), 216, 0.3)?,
            _ => ising(&regular(100), 100, 0.6)?,
        };
        let equation = network.equation()?;
        let plan = Planner::new().rounds(2).search(&equation, Duration::from_secs(5), Seed(1))?;
        let mut exact = None;
        println!("{kind}: exact contraction takes 2^{:.1} multiplications", plan.cost().log2_flops);
        if plan.cost().log2_flops < 32.0 {
            let value = network.contract(&plan)?.scalar()?.ln_abs();
            println!("  ln Z = {value:.10}");
            exact = Some(value);
        }
        for &max_bond in &bonds {
            let start = Instant::now();
            let plan = Planner::new().search_compressed(&equation, max_bond, Duration::from_secs(5), Seed(1))?;
            let searched = start.elapsed().as_secs_f64();
            let start = Instant::now();
            let settings = Compressed::new(max_bond).gauge(Gauge::Tree { depth });
            let found = network.contract_compressed(&plan, &settings)?;
            let seconds = start.elapsed().as_secs_f64();
            let value = found.scalar()?.ln_abs();
            print!("  max_bond {max_bond:3}: ln Z = {value:.10}");
            if let Some(exact) = exact {
                print!(", relative error {:.1e}", (value / exact - 1.0).abs());
            }
            println!(", estimate {:.1e}; search {searched:.2} s, contraction {seconds:.4} s", found.error);
        }
    }
    Ok(())
}
