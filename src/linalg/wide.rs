//! Loops compiled for the vector registers that are there.

/// Runs `work`, whose loops are compiled for 256-bit vectors too and use them where the processor has them.
///
/// Results do not depend on it: the operations and their order are the same, only more of them are done at once
/// (products and sums are not contracted). Mark the closure, and what it calls, `#[inline(always)]`.
#[inline]
pub fn wide<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        #[target_feature(enable = "avx2")]
        fn widened<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        // SAFETY: the processor has the feature.
        return unsafe { widened(work) };
    }
    work()
}

/// Asks for a stretch of memory that will be read soon, from an address the processor could not guess.
#[inline(always)]
pub fn fetch<T>(stretch: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        const LINE: usize = 64;
        let start = stretch.as_ptr().cast::<i8>();
        for offset in (0..size_of_val(stretch)).step_by(LINE) {
            // SAFETY: within the stretch; and a prefetch does not fault wherever it points.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.add(offset)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = stretch;
}
