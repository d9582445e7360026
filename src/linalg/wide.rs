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
