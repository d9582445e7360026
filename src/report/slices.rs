//! Progress over the slices of a contraction.

use indicatif::{ProgressBar, ProgressStyle};

/// One line on standard error: the slices done, and the time left. Nothing is drawn where that is no terminal; the bar
/// goes away when this is dropped.
pub struct SliceBar(ProgressBar);

impl SliceBar {
    /// A bar over so many slices, of which some are done.
    #[must_use]
    pub fn stderr(done: u64, slices: u64) -> Self {
        // A bar of indicatif draws nothing where there is no terminal.
        let bar = ProgressBar::new(slices);
        if let Ok(style) = ProgressStyle::with_template("{bar:20.cyan/dim} slice {pos}/{len}  {eta} left") {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_position(done);
        bar.reset_eta();
        SliceBar(bar)
    }

    /// So many are done.
    pub fn done(&self, slices: u64) {
        self.0.set_position(slices);
    }
}

impl Drop for SliceBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
