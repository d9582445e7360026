//! Many short parallel stretches, one after another.
//!
//! A pool that puts its threads to sleep between two stretches pays tens of microseconds to wake them, as long as a
//! stretch of a sweep itself. A team ([`with_team`]) is made for a long run instead: between two stretches its threads look
//! for the next one for a while, so that one begins within a microsecond. Outside a team the tasks go to the thread pool.
//!
//! Which thread does a task is left open, so a task must not depend on it.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long a thread of a team looks for work before it goes to sleep.
const PATIENCE: Duration = Duration::from_micros(200);

/// Turns of a waiting loop between two looks at the clock.
const TURNS: u32 = 256;

/// What the current thread may do in parallel.
#[derive(Clone, Copy)]
enum Standing {
    /// It may ask the thread pool.
    Alone,
    /// It leads this team, which outlives the standing.
    Leads(*const Team),
    /// It is at a task already, and does whatever comes by itself.
    AtWork,
}

thread_local! {
    static STANDING: Cell<Standing> = const { Cell::new(Standing::Alone) };
}

/// Sets the standing of the thread, and sets it back when dropped.
struct Set(Standing);

impl Set {
    fn to(standing: Standing) -> Self {
        Set(STANDING.replace(standing))
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        STANDING.set(self.0);
    }
}

type Job = *const (dyn Fn() + Sync);

/// A leader and its helpers.
struct Team {
    /// Number of the job in the upper half; then the helpers at it, counted in twos; the lowest bit says that more may
    /// join.
    gate: AtomicU64,
    /// Valid while the gate is open or a helper is counted in it; written by the leader, when neither is the case.
    job: UnsafeCell<Option<Job>>,
    asleep: AtomicUsize,
    over: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    helpers: OnceLock<Vec<Thread>>,
}

// SAFETY: `job` is written by the leader alone while no helper may read it, and what it points to is `Sync`.
unsafe impl Sync for Team {}

const OPEN: u64 = 1;
const ONE: u64 = 2;
const NUMBER: u64 = 1 << 32;

/// Runs `work` with a team of as many threads as the thread pool has, which [`each`] within it turns to.
pub(crate) fn with_team<R>(work: impl FnOnce() -> R) -> R {
    let others = rayon::current_num_threads() - 1;
    if others == 0 || !matches!(STANDING.get(), Standing::Alone) {
        return work();
    }
    let team = Team {
        gate: AtomicU64::new(0),
        job: UnsafeCell::new(None),
        asleep: AtomicUsize::new(0),
        over: AtomicBool::new(false),
        panic: Mutex::new(None),
        helpers: OnceLock::new(),
    };
    thread::scope(|scope| {
        // Also when `work` panics: the scope waits for the helpers.
        let _over = Over(&team);
        let spawn = |i| thread::Builder::new().name(format!("ansatz-{i}")).spawn_scoped(scope, || team.help());
        // Where a thread cannot be had, the others do its part.
        let helpers = (0..others).map_while(|i| spawn(i).ok()).map(|handle| handle.thread().clone()).collect();
        let _ = team.helpers.set(helpers);
        let _set = Set::to(Standing::Leads(&raw const team));
        work()
    })
}

/// Sends the helpers home when dropped.
struct Over<'a>(&'a Team);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
        self.0.wake();
    }
}

impl Team {
    fn wake(&self) {
        self.helpers.get().into_iter().flatten().for_each(Thread::unpark);
    }

    /// Has the job done by whoever comes while the leader is at it.
    fn lead(&self, job: &(dyn Fn() + Sync)) {
        // SAFETY: only the lifetime changes; the pointer is not used after this function, which waits for all who use it.
        let job_pointer = unsafe { std::mem::transmute::<*const (dyn Fn() + Sync + '_), Job>(&raw const *job) };
        // SAFETY: the gate is shut and nobody is counted in it.
        unsafe { *self.job.get() = Some(job_pointer) };
        let number = (self.gate.load(Ordering::Relaxed) & !(NUMBER - 1)).wrapping_add(NUMBER);
        self.gate.store(number | OPEN, Ordering::Release);
        // Either this sees a sleeper, or that sleeper sees the open gate.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) > 0 {
            self.wake();
        }
        {
            // Also when the leader's own task panics.
            let _shut = Shut(self);
            job();
        }
        if let Some(panic) = self.panic.lock().unwrap_or_else(PoisonError::into_inner).take() {
            resume_unwind(panic);
        }
    }

    /// What a helper does until the team is sent home.
    fn help(&self) {
        let _set = Set::to(Standing::AtWork);
        let mut done = 0;
        let mut idle = Instant::now();
        let mut turns = 0;
        while !self.over.load(Ordering::Acquire) {
            if self.join(&mut done) {
                (idle, turns) = (Instant::now(), 0);
                continue;
            }
            spin_loop();
            turns += 1;
            if turns < TURNS {
                continue;
            }
            turns = 0;
            if idle.elapsed() > PATIENCE {
                self.asleep.fetch_add(1, Ordering::SeqCst);
                fence(Ordering::SeqCst);
                let nothing = self.gate.load(Ordering::SeqCst) & OPEN == 0 && !self.over.load(Ordering::SeqCst);
                if nothing {
                    thread::park();
                }
                self.asleep.fetch_sub(1, Ordering::SeqCst);
                idle = Instant::now();
            }
        }
    }

    /// Takes part in the job behind an open gate, once.
    fn join(&self, done: &mut u64) -> bool {
        let gate = self.gate.load(Ordering::Acquire);
        if gate & OPEN == 0 || gate / NUMBER == *done {
            return false;
        }
        if self.gate.compare_exchange(gate, gate + ONE, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return false;
        }
        *done = gate / NUMBER;
        // SAFETY: this thread is counted in the gate, so the job stays until it is counted out.
        let job = unsafe { (*self.job.get()).map(|job| &*job) };
        if let Some(job) = job
            && let Err(panic) = catch_unwind(AssertUnwindSafe(job))
        {
            self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
        }
        self.gate.fetch_sub(ONE, Ordering::AcqRel);
        true
    }
}

/// Shuts the gate when dropped, and waits for those behind it.
struct Shut<'a>(&'a Team);

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        self.0.gate.fetch_and(!OPEN, Ordering::AcqRel);
        let mut turns = 0_u32;
        while self.0.gate.load(Ordering::Acquire) & (NUMBER - 1) != 0 {
            spin_loop();
            turns = turns.saturating_add(1);
            if turns > 1 << 16 {
                // A helper at a long task, or one that lost its processor.
                thread::yield_now();
            }
        }
    }
}

/// Does every task, over the threads that are there.
pub(crate) fn each<T: Send>(tasks: Vec<T>, work: impl Fn(T) + Sync) {
    each_with(tasks, || (), |(), task| work(task));
}

/// Does every task, over the threads that are there; each thread has a scratch of its own.
pub(crate) fn each_with<T: Send, S>(tasks: Vec<T>, make: impl Fn() -> S + Sync, work: impl Fn(&mut S, T) + Sync) {
    let Some(among) = Among::of(tasks.len()) else {
        let mut scratch = make();
        tasks.into_iter().for_each(|task| work(&mut scratch, task));
        return;
    };
    let slots: Vec<Mutex<Option<T>>> = tasks.into_iter().map(|task| Mutex::new(Some(task))).collect();
    let next = AtomicUsize::new(0);
    among.run(slots.len(), &|| {
        let mut scratch = None;
        while let Some(slot) = slots.get(next.fetch_add(1, Ordering::Relaxed)) {
            // No one else takes this slot; the lock says so to the compiler.
            let task = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(task) = task {
                work(scratch.get_or_insert_with(&make), task);
            }
        }
    });
}

/// Who shares tasks. What depends on no type of a task is here, so that it is compiled once.
enum Among {
    Pool,
    Team(*const Team),
}

impl Among {
    /// Of so many tasks; none if the current thread does them.
    fn of(tasks: usize) -> Option<Self> {
        match STANDING.get() {
            _ if tasks < 2 => None,
            Standing::AtWork => None,
            // To enter a pool costs microseconds, and one thread would do all of it.
            Standing::Alone => (rayon::current_num_threads() > 1).then_some(Among::Pool),
            Standing::Leads(team) => Some(Among::Team(team)),
        }
    }

    /// Has `job` run by as many threads as there are and tasks need; it takes tasks until there are none.
    fn run(self, tasks: usize, job: &(dyn Fn() + Sync)) {
        match self {
            Among::Pool => rayon::scope(|scope| {
                (0..tasks.min(rayon::current_num_threads())).for_each(|_| scope.spawn(|_| job()));
            }),
            Among::Team(team) => {
                let _set = Set::to(Standing::AtWork);
                // SAFETY: the team outlives the standing that points to it.
                unsafe { &*team }.lead(job);
            }
        }
    }
}

/// [`each`] with what came of every task, in order.
pub(crate) fn map<T: Send, R: Send>(tasks: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let mut results: Vec<Option<R>> = tasks.iter().map(|_| None).collect();
    each(tasks.into_iter().zip(&mut results).collect(), |(task, result)| *result = Some(work(task)));
    let mut all = Vec::with_capacity(results.len());
    results.into_iter().for_each(|result| all.extend(result));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
    }

    #[test]
    fn every_task_is_done_once_and_in_its_place() {
        let squares = || (0..2000).map(|round| map((0..round % 17).collect(), |i: usize| i * i)).collect::<Vec<_>>();
        let alone = squares();
        assert!(alone.iter().all(|list| list.iter().enumerate().all(|(i, &x)| x == i * i)));
        for threads in [1, 2, 5] {
            assert_eq!(pool(threads, || with_team(squares)), alone, "{threads} threads");
        }
    }

    #[test]
    fn a_team_that_slept_is_woken() {
        pool(3, || {
            with_team(|| {
                for _ in 0..20 {
                    thread::sleep(2 * PATIENCE);
                    assert_eq!(map(vec![1, 2, 3, 4], |x| 2 * x), [2, 4, 6, 8]);
                }
            });
        });
    }

    #[test]
    fn stretches_within_a_task_are_done_where_it_is_done() {
        let total =
            pool(2, || with_team(|| map(vec![10, 20, 30], |n: u64| map((0..n).collect(), |i| i).iter().sum::<u64>())));
        assert_eq!(total, [45, 190, 435]);
    }

    #[test]
    fn a_panic_in_a_task_reaches_the_leader_and_the_team_goes_on() {
        pool(2, || {
            with_team(|| {
                let run = |bad: usize| {
                    catch_unwind(AssertUnwindSafe(|| each((0..50).collect(), |i: usize| assert_ne!(i, bad))))
                };
                for bad in 0..50 {
                    assert!(run(bad).is_err());
                }
                assert!(run(50).is_ok());
            });
        });
    }
}
