//! The texts that every file of ansatz begins with: what it is, and of which version.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::tensor_file::{TensorFile, Texts, damaged, header_length};
use crate::error::{Error, Place, Result, quoted};
use crate::scalar::Kind;

/// The version of the format that is written; all versions from 1 on are read.
const VERSION: u32 = 1;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// One model.
    Model,
    /// A run with its models.
    Checkpoint,
}

impl Content {
    fn name(self) -> &'static str {
        match self {
            Content::Model => "model",
            Content::Checkpoint => "checkpoint",
        }
    }
}

/// The texts with which a file begins.
pub(super) fn texts(content: Content, model: &str, kind: Kind) -> Texts {
    [
        ("format", "ansatz"),
        ("version", &VERSION.to_string()),
        ("ansatz_version", env!("CARGO_PKG_VERSION")),
        ("content", content.name()),
        ("model", model),
        ("scalar", kind.name()),
    ]
    .map(|(key, text)| (key.to_string(), text.to_string()))
    .into()
}

/// Checks that the file is of ansatz, of a version that is known, and holds `content`.
pub(super) fn check(file: &TensorFile, content: Content) -> Result<()> {
    match file.find("format") {
        Some("ansatz") => {}
        found => {
            let found = found.map_or("no format".into(), |f| format!("format \"{}\"", quoted(f)));
            let what = format!("a safetensors file, but with {found} in its metadata; give a file that ansatz wrote");
            return Err(Error::Format { what });
        }
    }
    let version = file.text("version")?;
    match version.parse::<u32>() {
        Ok(1..=VERSION) => {}
        Ok(later) if later > VERSION => {
            let writer =
                file.find("ansatz_version").map_or("a later ansatz".into(), |v| format!("ansatz {}", quoted(v)));
            let this = env!("CARGO_PKG_VERSION");
            let what = format!(
                "format version {later}, written by {writer}; this is ansatz {this}, which reads versions up to {VERSION}: \
                 use a newer ansatz"
            );
            return Err(Error::Format { what });
        }
        _ => return Err(damaged(format!("version is \"{}\", expected a number from 1 on", quoted(version)))),
    }
    let found = file.text("content")?;
    if found == content.name() {
        return Ok(());
    }
    let way_out = match (found, content) {
        ("checkpoint", _) => "go on with it by `ansatz fit --resume`, or give the model it ends in",
        ("model", _) => "a finished model holds no run to go on with; give a checkpoint",
        _ => "give a file that ansatz wrote",
    };
    Err(Error::Format { what: format!("a {}, where a {} is needed; {way_out}", quoted(found), content.name()) })
}

/// That a part of the file is not as this build writes it: which build wrote it, and the way out.
pub(super) fn of_another_build(file: &TensorFile, what: &str) -> Error {
    let this = env!("CARGO_PKG_VERSION");
    let written = match file.find("ansatz_version").map(quoted) {
        Some(writer) if writer == this => format!("written by another build of ansatz {this}, or damaged"),
        Some(writer) => format!("written by ansatz {writer}, this is ansatz {this}"),
        None => format!("written by an unknown version of ansatz, this is ansatz {this}"),
    };
    Error::Format { what: format!("{what}; {written}: go on with the one that wrote it, or start the run again") }
}

/// The number type of the tensors.
pub(super) fn kind(file: &TensorFile) -> Result<Kind> {
    let name = file.text("scalar")?;
    [Kind::F32, Kind::F64, Kind::C32, Kind::C64]
        .into_iter()
        .find(|kind| kind.name() == name)
        .ok_or_else(|| damaged(format!("scalar is \"{}\", expected f32, f64, c32 or c64", quoted(name))))
}

/// The whole of a file, once its first bytes are those of a tensor file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |source| Error::Io { path: path.to_path_buf(), action: "read", source };
    let mut file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if !about.is_file() {
        // A device may have no end.
        let what = "not a regular file; give a file that `ansatz fit` wrote".into();
        return Err(Error::Format { what }.at(Place::File(path.to_path_buf())));
    }
    let mut bytes = Vec::new();
    file.by_ref().take(9).read_to_end(&mut bytes).map_err(failed)?;
    header_length(&bytes, about.len()).map_err(|e| e.at(Place::File(path.to_path_buf())))?;
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
