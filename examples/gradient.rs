//! The ground state of the critical Ising chain by gradients: all tensors of a matrix product state at once, and DMRG
//! beside.
//!
//! The energy `<A|H|A> / <A|A>` is written down as contractions; its gradient comes from the tape. The
//! second derivative along a direction, a product of the Hessian with a vector, stands beside a difference of
//! gradients.
//!
//! `cargo run --release --example gradient` (`ANSATZ_SHORT=1`: a smaller bond).

use ansatz::autodiff::{Tape, Var};
use ansatz::chain::{Mpo, Mps, OpSum, Sweeps, dmrg};
use ansatz::{Error, Leg, Result, Seed, Tensor};

const SITES: usize = 10;
const EXACT: f64 = -12.381_489_999_655;

fn ising() -> Result<Mpo<f64>> {
    let mut sum = OpSum::new(&[2; SITES]);
    for i in 0..SITES {
        sum.add(-1.0, [("X", i)])?;
        if i + 1 < SITES {
            sum.add(-1.0, [("Z", i), ("Z", i + 1)])?;
        }
    }
    sum.to_mpo()
}

/// The operator's tensors, `[w, o, i, v]`.
fn tensors(h: &Mpo<f64>) -> Result<Vec<Tensor<f64>>> {
    let tensor = |site: usize| {
        let w = h.tensors()[site].to_owned();
        let (l, o, i, r) = w.dim();
        Tensor::from_array([Leg::bond("w", l), Leg::site("o", o), Leg::site("i", i), Leg::bond("v", r)], w)
    };
    (0..h.sites()).map(tensor).collect()
}

/// `<A|H|A> / <A|A>`, site by site from the left.
///
/// ```text
///   a --[conj A]-- c
///          o
///   w -----[H]---- v
///          i
///   b ----[A]----- d
/// ```
fn energy<'t>(state: &[Var<'t, f64>], h: &[Tensor<f64>]) -> Result<Var<'t, f64>> {
    let tape = state[0].tape();
    let edge = |names: &[&str]| Tensor::new(names.iter().map(|n| Leg::bond(n, 1)).collect::<Vec<_>>(), vec![1.0]);
    let mut with_h = tape.constant(edge(&["a", "w", "b"])?)?;
    let mut norm = tape.constant(edge(&["a", "b"])?)?;
    for (a, h) in state.iter().zip(h) {
        let ket = a.rename_all(&[("l", "b"), ("s", "i"), ("r", "d")])?;
        let bra = a.rename_all(&[("l", "a"), ("s", "o"), ("r", "c")])?;
        let h = tape.constant(h.clone())?;
        with_h = with_h.contract(&ket)?.contract(&h)?.contract(&bra)?;
        with_h = with_h.rename_all(&[("c", "a"), ("v", "w"), ("d", "b")])?;
        norm = norm.contract(&ket)?.contract(&bra.rename("o", "i")?)?.rename_all(&[("c", "a"), ("d", "b")])?;
    }
    with_h.sum()?.div(&norm.sum()?)
}

type Point = Vec<Tensor<f64>>;

fn dot(a: &Point, b: &Point) -> Result<f64> {
    a.iter().zip(b).map(|(a, b)| Ok(a.zip_with(b, |x, y| x * y)?.sum())).sum()
}

/// `a + factor b`
fn moved(a: &Point, factor: f64, b: &Point) -> Result<Point> {
    a.iter().zip(b).map(|(a, b)| a.zip_with(b, |x, y| x + factor * y)).collect()
}

/// A function of a point, with its derivatives.
struct Energy {
    h: Vec<Tensor<f64>>,
}

impl Energy {
    fn at<R>(&self, x: &Point, use_it: impl FnOnce(&Var<'_, f64>, &[&Var<'_, f64>]) -> Result<R>) -> Result<R> {
        let tape = Tape::new();
        let state = x.iter().map(|a| tape.variable(a.clone())).collect::<Result<Vec<_>>>()?;
        use_it(&energy(&state, &self.h)?, &state.iter().collect::<Vec<_>>())
    }

    fn value(&self, x: &Point) -> Result<f64> {
        self.at(x, |e, _| e.value().to_scalar())
    }

    fn value_and_gradient(&self, x: &Point) -> Result<(f64, Point)> {
        self.at(x, |e, state| Ok((e.value().to_scalar()?, e.gradient(state)?)))
    }

    fn curvature(&self, x: &Point, v: &Point) -> Result<Point> {
        self.at(x, |e, state| e.hessian_vector(state, &v.iter().collect::<Vec<_>>()))
    }

    /// The point along a downward direction that lowers the energy enough, halving the step; `None` if there is none.
    fn search(&self, x: &Point, e: f64, slope: f64, direction: &Point) -> Result<Option<Point>> {
        let mut step = 1.0;
        while step > 1e-10 {
            let there = moved(x, step, direction)?;
            if self.value(&there)? <= e + 1e-4 * step * slope {
                return Ok(Some(there));
            }
            step *= 0.5;
        }
        Ok(None)
    }
}

/// L-BFGS (Liu and Nocedal, Math. Program. 45, 503, 1989) until the gradient is below `until`.
fn lbfgs(f: &Energy, mut x: Point, steps: usize, until: f64) -> Result<Point> {
    let (mut e, mut g) = f.value_and_gradient(&x)?;
    let mut memory: Vec<(Point, Point)> = Vec::new();
    for step in 0..steps {
        let size = dot(&g, &g)?.sqrt();
        if step.is_multiple_of(100) || size < until {
            println!("  L-BFGS {step}: energy {e:.10}, gradient {size:.1e}");
        }
        if size < until {
            break;
        }
        let mut direction = g.clone();
        let mut shares = Vec::new();
        for (s, y) in memory.iter().rev() {
            let share = dot(s, &direction)? / dot(s, y)?;
            direction = moved(&direction, -share, y)?;
            shares.push(share);
        }
        if let Some((s, y)) = memory.last() {
            let scale = dot(s, y)? / dot(y, y)?;
            direction.iter_mut().for_each(|d| *d = d.scale(scale));
        }
        for ((s, y), share) in memory.iter().zip(shares.into_iter().rev()) {
            direction = moved(&direction, share - dot(y, &direction)? / dot(s, y)?, s)?;
        }
        direction.iter_mut().for_each(|d| *d = d.scale(-1.0));
        let Some(next) = f.search(&x, e, dot(&g, &direction)?, &direction)? else { break };
        let (lower, slope) = f.value_and_gradient(&next)?;
        let (s, y) = (moved(&next, -1.0, &x)?, moved(&slope, -1.0, &g)?);
        if dot(&s, &y)? > 0.0 {
            memory.push((s, y));
            if memory.len() > 40 {
                memory.remove(0);
            }
        }
        (x, e, g) = (next, lower, slope);
    }
    Ok(x)
}

fn main() -> Result<()> {
    let short = std::env::var_os("ANSATZ_SHORT").is_some();
    let (bond, steps, tolerance) = if short { (4, 300, 1e-3) } else { (8, 2000, 1e-6) };
    let hamiltonian = ising()?;
    let f = Energy { h: tensors(&hamiltonian)? };
    let start = Mps::<f64>::random(&[2; SITES], bond, Seed(1))?;
    let start = start.tensors().iter().map(|a| {
        let (l, s, r) = a.dim();
        Tensor::from_array([Leg::bond("l", l), Leg::site("s", s), Leg::bond("r", r)], a.clone())
    });
    println!("Ising chain of {SITES} sites, bond {bond}");
    let x = lbfgs(&f, start.collect::<Result<_>>()?, steps, 2e-6)?;
    let found = f.value(&x)?;
    let neel = |i: usize| if i.is_multiple_of(2) { vec![1.0, 0.0] } else { vec![0.0, 1.0] };
    let neel = Mps::product(&(0..SITES).map(neel).collect::<Vec<_>>())?;
    let same_bond =
        dmrg(&hamiltonian, neel, &Sweeps::new(20, bond).until(1e-12), &mut |_| std::ops::ControlFlow::Continue(()))?;
    let v = x.iter().zip(2..).map(|(a, seed)| Tensor::random(a.legs(), Seed(seed))).collect::<Result<Point>>()?;
    let (ahead, behind) =
        (f.value_and_gradient(&moved(&x, 1e-4, &v)?)?.1, f.value_and_gradient(&moved(&x, -1e-4, &v)?)?.1);
    let (exact, difference) = (dot(&v, &f.curvature(&x, &v)?)?, dot(&v, &moved(&ahead, -1.0, &behind)?)? / 2e-4);
    println!("  second derivative along a random direction {exact:.6}, by a difference of gradients {difference:.6}");
    if (exact - difference).abs() > 1e-4 * exact.abs() {
        return Err(Error::Diverged { what: format!("second derivatives {exact} and {difference} differ"), rate: 0.0 });
    }
    println!("  by gradients          {found:.12}");
    println!("  by DMRG, bond {bond:2}     {:.12}", same_bond.energy);
    println!("  exact                 {EXACT:.12}");
    if found - EXACT > tolerance || found < EXACT - 1e-9 {
        return Err(Error::Diverged { what: format!("the energy misses {EXACT} by {:e}", found - EXACT), rate: 0.0 });
    }
    Ok(())
}
