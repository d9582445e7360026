//! A log that programs can read.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::train::{Observer, Stop, SweepReport};

/// Writes one JSON object a sweep, each on its own line: the fields of [`SweepReport`].
///
/// Every line is flushed, so that a run that is killed leaves the sweeps it completed.
pub struct JsonLines<W> {
    out: W,
    path: PathBuf,
}

impl<W: Write> JsonLines<W> {
    /// A log into `out`; `path` is what errors call it.
    pub fn new(out: W, path: impl Into<PathBuf>) -> Self {
        JsonLines { out, path: path.into() }
    }
}

impl<W: Write + Send> Observer for JsonLines<W> {
    fn sweep(&mut self, report: &SweepReport) -> Result<ControlFlow<Stop>> {
        let failed = |source| Error::Io { path: self.path.clone(), action: "write", source };
        // In one piece, so that no reader sees half a line.
        let mut line = serde_json::to_vec(report).map_err(|e| failed(e.into()))?;
        line.push(b'\n');
        self.out.write_all(&line).and_then(|()| self.out.flush()).map_err(failed)?;
        Ok(ControlFlow::Continue(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::report;

    #[test]
    fn each_sweep_is_one_line_that_reads_back_to_the_same_report() {
        let mut out = Vec::new();
        let mut log = JsonLines::new(&mut out, "run.jsonl");
        let reports = [report(1, 150.25, None), report(2, 1.0 / 3.0, Some(f64::INFINITY))];
        for report in &reports {
            assert!(log.sweep(report).unwrap().is_continue());
        }
        let text = String::from_utf8(out).unwrap();
        let back: Vec<SweepReport> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(back, reports);
        let value: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(value["train_nll"], 150.25);
    }

    #[test]
    fn a_full_disk_is_an_error_that_names_the_file() {
        let mut full = [0u8; 10];
        let mut log = JsonLines::new(&mut full[..], "run.jsonl");
        let error = log.sweep(&report(1, 1.0, None)).unwrap_err();
        assert!(matches!(error, Error::Io { .. }));
        assert!(error.to_string().starts_with("run.jsonl: cannot write"));
    }
}
