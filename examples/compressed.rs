//! Partition functions by approximate contraction: the Ising model on a 4 x 4 x 4 cube and on a random graph.
//!
//! `cargo run --release --example compressed [-- KIND [MAX_BOND [DEPTH [SEED]]]]`, KIND one of cubic, torus, square, kagome, regular
//! and all.

use std::time::{Duration, Instant};

use ansatz::lattice::{Boundary, SpinLayers, exact};
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

/// A lattice of any dimension, open or periodic; the last axis first, site by site.
fn lattice(size: &[usize], periodic: bool) -> Edges {
    let mut edges = Edges::new();
    for site in 0..size.iter().product() {
        let mut stride = 1;
        for &length in size.iter().rev() {
            let place = site / stride % length;
            if place + 1 < length {
                edges.push((site, site + stride));
            } else if periodic {
                edges.push((site, site - place * stride));
            }
            stride *= length;
        }
    }
    edges
}

fn kagome(cells: usize) -> Edges {
    let at = |y: usize, x: usize, k: usize| 3 * (y * cells + x) + k;
    let mut edges = Edges::new();
    for (y, x) in (0..cells * cells).map(|i| (i / cells, i % cells)) {
        edges.extend([(0, 1), (0, 2), (1, 2)].map(|(j, k)| (at(y, x, j), at(y, x, k))));
        if x + 1 < cells {
            edges.push((at(y, x, 1), at(y, x + 1, 0)));
        }
        if y + 1 < cells {
            edges.push((at(y, x, 2), at(y + 1, x, 0)));
        }
        if y + 1 < cells && x > 0 {
            edges.push((at(y, x, 2), at(y + 1, x - 1, 1)));
        }
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

/// A network, and its `ln Z` where it is had without contraction.
fn network(kind: &str) -> Result<(Network<f64>, Option<f64>)> {
    let critical = exact::CRITICAL_COUPLING;
    Ok(match kind {
        "cubic" => (ising(&lattice(&[4, 4, 4], false), 64, 0.3)?, None),
        "torus" => {
            let beta = 0.221_654_6;
            let known = SpinLayers::cubic(4, Boundary::Periodic)?.ln_z(beta, 0.0)?;
            (ising(&lattice(&[4, 4, 4], true), 64, beta)?, Some(known))
        }
        "square" => (ising(&lattice(&[16, 16], false), 256, critical)?, None),
        "kagome" => (ising(&kagome(6), 108, (3.0 + 2.0 * 3f64.sqrt()).ln() / 4.0)?, None),
        _ => (ising(&regular(100), 100, 0.6)?, None),
    })
}

/// `ln Z` by exact contraction.
fn reference(network: &Network<f64>, kind: &str) -> Result<f64> {
    let plan = Planner::new().rounds(2).search(&network.equation()?, Duration::from_secs(5), Seed(1))?;
    println!("{kind}: exact contraction takes 2^{:.1} multiplications", plan.cost().log2_flops);
    Ok(network.contract(&plan)?.scalar()?.ln_abs())
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let kinds = match args.first() {
        Some(kind) if kind != "all" => vec![kind.as_str()],
        Some(_) => vec!["cubic", "torus", "square", "kagome", "regular"],
        None => vec!["cubic", "regular"],
    };
    let bonds: Vec<usize> = match args.get(1).and_then(|bond| bond.parse().ok()) {
        Some(bond) => vec![bond],
        None => vec![4, 8, 16],
    };
    let depth = args.get(2).and_then(|depth| depth.parse().ok()).unwrap_or(2);
    let seed = Seed(args.get(3).and_then(|seed| seed.parse().ok()).unwrap_or(1));
    for kind in kinds {
        let (network, known) = network(kind)?;
        let exact = match known {
            Some(known) => known,
            None => reference(&network, kind)?,
        };
        println!("{kind}: ln Z = {exact:.10}");
        for &max_bond in &bonds {
            let start = Instant::now();
            let settings = Compressed::new(max_bond).gauge(Gauge::Tree { depth });
            let plan = network.search_compressed(&settings, Duration::from_secs(5), seed)?;
            let searched = start.elapsed().as_secs_f64();
            let (mut seconds, mut found) = (f64::INFINITY, network.contract_compressed(&plan, &settings)?);
            for _ in 0..3 {
                let start = Instant::now();
                found = network.contract_compressed(&plan, &settings)?;
                seconds = seconds.min(start.elapsed().as_secs_f64());
            }
            let off = (found.scalar()?.ln_abs() - exact).abs();
            println!(
                "  max_bond {max_bond:3}: relative error of ln Z {:.1e}; of Z {off:.1e}, estimated {:.1e}; search \
                 {searched:.2} s, contraction {seconds:.4} s",
                off / exact.abs(),
                found.error
            );
        }
    }
    Ok(())
}
