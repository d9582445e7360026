//! States of many qubits from single shots, each in random bases of its own: mean |overlap| with the truth.
//!
//! `cargo run --release --example tomography -- w 10 5000 24` takes the W state with phases `exp(0.1 i k)` (or `cluster`, `ghz`),
//! sites, shots and repetitions; a bond after them is taken as it is, without one held-out shots choose it.

use ansatz::chain::Mps;
use ansatz::tomography::{ChainSettings, Lpdo, Noise, Settings, choose_bond, fit_chain, simulate};
use ansatz::{Result, Seed};
use ndarray::Array3;
use num_complex::Complex64;

/// Bond 2: whether the excitation, or the bit before, has been seen.
fn state(name: &str, sites: usize) -> Result<Lpdo> {
    let c = Complex64::new;
    let half = 0.5f64.sqrt();
    let tensors = (0..sites).map(|k| {
        let full = Array3::from_shape_fn((2, 2, 2), |(l, s, r)| match name {
            // One excitation, exp(0.1 i k) at site k.
            "w" if (l, s, r) == (0, 0, 0) || (l, s, r) == (1, 0, 1) => c(1.0, 0.0),
            "w" if (l, s, r) == (0, 1, 1) => Complex64::from_polar(1.0, 0.1 * k as f64),
            "ghz" if l == s && s == r => c(1.0, 0.0),
            // Controlled phases between neighbours in |+>.
            "cluster" if s == r => c(if l == 1 && s == 1 { -half } else { half }, 0.0),
            _ => c(0.0, 0.0),
        });
        match (name, k) {
            ("w", _) => {
                let left = if k == 0 { full.slice(ndarray::s![0..1, .., ..]).to_owned() } else { full };
                if k + 1 == sites { left.slice(ndarray::s![.., .., 1..2]).to_owned() } else { left }
            }
            _ => {
                let left = if k == 0 && name == "ghz" {
                    full.sum_axis(ndarray::Axis(0)).insert_axis(ndarray::Axis(0))
                } else if k == 0 {
                    full.slice(ndarray::s![0..1, .., ..]).to_owned()
                } else {
                    full
                };
                if k + 1 == sites { left.sum_axis(ndarray::Axis(2)).insert_axis(ndarray::Axis(2)) } else { left }
            }
        }
    });
    Lpdo::pure(Mps::new(tensors.collect())?)
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: u64| arguments.get(i).and_then(|a| a.parse().ok()).unwrap_or(default);
    let short = std::env::var_os("ANSATZ_SHORT").is_some();
    let name = arguments.first().map_or("w", String::as_str);
    let (sites, shots, seeds) =
        (number(1, if short { 4 } else { 10 }), number(2, if short { 500 } else { 5000 }), number(3, 2));
    let truth = state(name, sites as usize)?;
    let mut overlaps = Vec::new();
    for seed in 1..=seeds {
        let clock = std::time::Instant::now();
        let records = simulate(&truth, &Settings::RandomBases, shots, &Noise::default(), Seed(seed))?;
        let mut settings = ChainSettings::new(2, 1);
        settings.seed = Seed(seed);
        let bond = match number(4, 0) {
            0 => choose_bond(&records, &settings, &[1, 2, 3, 4], 0.1, &mut |_, _| true)?.0,
            bond => bond as usize,
        };
        settings.bond = bond;
        let fit = fit_chain(&records, &settings, None, &mut |_| true)?;
        let overlap = fit.state.fidelity(&truth)?.sqrt();
        println!(
            "seed {seed}: bond {bond}, NLL {:.4}, |overlap| {overlap:.5}, {:.1} s",
            fit.nll,
            clock.elapsed().as_secs_f64()
        );
        overlaps.push(overlap);
    }
    let mean = overlaps.iter().sum::<f64>() / overlaps.len() as f64;
    let spread = overlaps.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / overlaps.len() as f64;
    println!(
        "{name}, {sites} sites, {shots} shots: mean |overlap| {mean:.5} +- {:.5}",
        (spread / overlaps.len() as f64).sqrt()
    );
    Ok(())
}
