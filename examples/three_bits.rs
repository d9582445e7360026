use ansatz::{Batch, BornMps, Conditional, GenerativeModel, Run, Seed, TwoSite};

fn main() -> ansatz::Result<()> {
    // Two bits that always agree, and one that is free.
    let data = Batch::from_rows(&[[0u8, 0, 0], [0, 0, 1], [1, 1, 0], [1, 1, 1]])?;
    let mut run = Run::new(BornMps::<f64>::random(&[2; 3], 2, Seed(1))?, TwoSite::new(60, 4))?;
    run.fit(&data, None, &mut (), &mut ())?;
    let model = run.best;
    println!("NLL {:.4} nats, ln 4 = {:.4}", model.nll(&data)?, 4f64.ln());
    let samples = model.sample(5, Seed(2))?;
    let completed = model.sample_given(&[Some(1), None, None], 5, Seed(3))?;
    println!("{}\n\n{}", samples.view(), completed.view());
    Ok(())
}
