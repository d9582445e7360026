//! Keeping the threads of the pool at hand.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a thread looks for work before it may sleep again.
const PATIENCE: Duration = Duration::from_micros(300);

/// Threads that are looking for work.
static LOOKING: AtomicUsize = AtomicUsize::new(0);

/// Asks the other threads of the pool to stay awake for a moment; to be called again and again by work made of many
/// short parallel stretches.
///
/// To wake a thread takes tens of microseconds, as long as such a stretch itself. Each thread looks for work until it has
/// found none for a while, so nothing waits for anything here and calls from several runs at once do no harm. Outside a
/// pool, or alone in it, this does nothing.
pub(crate) fn stay_awake() {
    let Some(caller) = rayon::current_thread_index() else { return };
    let others = rayon::current_num_threads() - 1;
    if others == 0 || LOOKING.load(Ordering::Relaxed) > 0 {
        return;
    }
    LOOKING.fetch_add(others, Ordering::Relaxed);
    rayon::spawn_broadcast(move |context| {
        if context.index() == caller {
            return;
        }
        let mut last = Instant::now();
        while last.elapsed() < PATIENCE {
            if rayon::yield_now() == Some(rayon::Yield::Executed) {
                last = Instant::now();
            } else {
                (0..16).for_each(|_| spin_loop());
            }
        }
        LOOKING.fetch_sub(1, Ordering::Relaxed);
    });
}
