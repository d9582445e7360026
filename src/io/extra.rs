//! What a file tells besides the numbers: where the model comes from and how its sites are to be seen.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::tensor_file::damaged;
use crate::error::{Error, Result, quoted};
use crate::train::SweepReport;

/// What is known of a model besides its numbers; keys of later versions survive in [`other`](Self::other).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Extra {
    /// The data it was trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The shape of a sample, `[height, width]` of an image, in C order: the product is the number of sites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<usize>>,
    /// The letters of the alphabet, that of symbol 0 first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alphabet: Option<String>,
    /// The report of the sweep the model was taken from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<SweepReport>,
    /// Whatever else is worth keeping, by name.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Extra {
    pub(super) fn to_json(&self, sites: usize) -> Result<String> {
        self.check(sites)?;
        serde_json::to_string(self).map_err(|e| Error::Format { what: format!("extra: {e}") })
    }

    pub(super) fn from_json(text: &str, sites: usize) -> Result<Self> {
        let extra: Extra =
            serde_json::from_str(text).map_err(|e| damaged(format!("metadata extra: {}", quoted(&e.to_string()))))?;
        extra.check(sites).map_err(|e| damaged(e.to_string()))?;
        Ok(extra)
    }

    /// That the shape is one of this many sites.
    fn check(&self, sites: usize) -> Result<()> {
        let Some(shape) = &self.shape else { return Ok(()) };
        let product = shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
        if product == Some(sites) {
            return Ok(());
        }
        let found: Vec<usize> = shape.iter().copied().take(8).collect();
        Err(Error::shape("extra: the shape of a sample", found, format_args!("a product of {sites}, the sites")))
    }
}
