//! Learns bars and stripes, draws from what was learnt, and completes half an image.
//!
//! `cargo run --release --example born_machine`

use std::collections::BTreeSet;

use ansatz::model::Direction;
use ansatz::train::Schedule;
use ansatz::{Batch, BornMps, Conditional, GenerativeModel, Result, Run, Seed, TwoSite};

const SIDE: usize = 4;

/// Every image whose rows are uniform, or whose columns are.
fn bars_and_stripes() -> Result<Batch<u8>> {
    let mut images = BTreeSet::new();
    for pattern in 0..1 << SIDE {
        let bit = |i: usize| (pattern >> i & 1) as u8;
        images.insert((0..SIDE * SIDE).map(|k| bit(k / SIDE)).collect::<Vec<u8>>());
        images.insert((0..SIDE * SIDE).map(|k| bit(k % SIDE)).collect::<Vec<u8>>());
    }
    Batch::from_rows(&images.into_iter().collect::<Vec<_>>())
}

fn main() -> Result<()> {
    let data = bars_and_stripes()?;
    let settings = TwoSite {
        direction: Direction::Plain,
        rate: Schedule::constant(0.1),
        steps: Schedule::constant(10),
        cutoff: Schedule::constant(5e-5),
        ..TwoSite::new(3, 100)
    };
    let mut run = Run::new(BornMps::<f64>::random(&[2; SIDE * SIDE], 2, Seed(1))?, settings)?;
    for report in run.fit(&data, None, &mut (), &mut ())?.history {
        println!("sweep {}: {:.12} nats, bond {}", report.sweep, report.train_nll, report.max_bond);
    }
    println!("ln 30 is {:.12}", 30f64.ln());

    let samples = run.best.sample(2000, Seed(2))?;
    let valid = samples.view().rows().into_iter().filter(|r| data.view().rows().into_iter().any(|d| d == *r)).count();
    println!("{valid} of 2000 samples are bars or stripes");
    assert_eq!(valid, 2000);

    let mut evidence = vec![None; SIDE * SIDE];
    (evidence[0], evidence[1]) = (Some(1), Some(0));
    let completed = run.best.sample_given(&evidence, 1, Seed(3))?;
    println!("given a 1 and a 0 at the upper left:");
    for row in completed.row(0).to_vec().chunks(SIDE) {
        println!("  {}", row.iter().map(|&b| if b == 1 { '#' } else { '.' }).collect::<String>());
    }
    Ok(())
}
