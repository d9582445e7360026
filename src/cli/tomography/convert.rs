//! `ansatz tomography convert`.

use std::path::PathBuf;

use clap::Args;

use super::{Exit, RecordsFrom};
use crate::cli::output::{print, print_json, writable};
use crate::data::read_shots;
use crate::error::Result;
use crate::io::write_shots;
use crate::report::Table;

#[derive(Debug, Args)]
pub(super) struct Convert {
    #[command(flatten)]
    records: RecordsFrom,
    /// Where to: .csv, .json, .npz, or .txt for text in columns. Without it the records are described.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Convert {
    pub(super) fn run(self) -> Result<Exit> {
        if let Some(out) = &self.out {
            writable(out)?;
            let shots = self.records.read()?;
            write_shots(out, &shots)?;
        }
        let records = read_shots(&self.records.shots, self.records.bases.as_deref())?;
        let mut rows = Vec::new();
        for (name, shots) in &records.groups {
            let settings = shots.by_setting().len();
            let ranks = shots.local_ranks()?;
            // Sites of which the measurements do not tell everything.
            let blind: Vec<usize> = (0..shots.sites()).filter(|&s| ranks[s] < shots.dims()[s].pow(2)).collect();
            rows.push((name.clone(), shots.sites(), settings, shots.rows(), shots.total(), blind));
        }
        if self.json {
            let list: Vec<_> = rows
                .iter()
                .map(|(name, sites, settings, rows, total, blind)| {
                    serde_json::json!({ "record": name, "sites": sites, "settings": settings, "rows": rows, "shots": total, "incomplete_sites": blind })
                })
                .collect();
            print_json(&serde_json::json!({ "records": list }))?;
            return Ok(Exit::Done);
        }
        let mut table = Table::new(["record", "sites", "settings", "rows", "shots", "sites not measured completely"]);
        for (name, sites, settings, count, total, blind) in rows {
            let blind = if blind.is_empty() { "none".to_owned() } else { format!("{} of {sites}", blind.len()) };
            table.row([name, sites.to_string(), settings.to_string(), count.to_string(), total.to_string(), blind]);
        }
        print(&table.to_string())?;
        Ok(Exit::Done)
    }
}
