//! Circuits in files.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

use crate::circuit::{Circuit, Noise, from_qsim};
use crate::error::{Error, Place, Result, quoted};

/// Bytes beyond which a file is refused.
const MAX_BYTES: u64 = 64 << 20;

/// Reads a circuit: Google's format from a name that ends in `.qsim`, OpenQASM 2 or 3 from any other. Included files are
/// looked for beside it, by their name alone.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; with the file as place, as [`Circuit::from_qasm_with`] and [`from_qsim`].
pub fn load_circuit(path: &Path) -> Result<Circuit> {
    let place = |e: Error| e.at(Place::File(path.into()));
    let text = text(path)?;
    if path.extension().is_some_and(|end| end == "qsim") {
        return from_qsim(&text).map_err(place);
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut include = |name: &str| {
        let mut parts = Path::new(name).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
            let what = format!("cannot include '{}': only files beside the circuit are read", quoted(name));
            return Err(Error::Format { what });
        }
        self::text(&folder.join(name))
    };
    Circuit::from_qasm_with(&text, &mut include).map_err(place)
}

/// Reads a model of noise: names that end in `.toml` as [`Noise::from_toml`], others as [`Noise::from_json`].
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; with the file as place, as [`Noise::from_json`].
pub fn load_noise(path: &Path) -> Result<Noise> {
    let text = text(path)?;
    let toml = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("toml"));
    let noise = if toml { Noise::from_toml(&text) } else { Noise::from_json(&text) };
    noise.map_err(|e| e.at(Place::File(path.into())))
}

/// The text of a file of a bounded size.
///
/// # Errors
/// [`Error::Io`] if it cannot be read, [`Error::Format`] if it is too long or no text.
pub(crate) fn text(path: &Path) -> Result<String> {
    let failed = |source| Error::Io { path: path.into(), action: "read", source };
    let mut bytes = Vec::new();
    // One more than is taken, so that an endless file ends.
    File::open(path).map_err(failed)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    let fault = |what: String| Error::Format { what }.at(Place::File(path.into()));
    if bytes.len() as u64 > MAX_BYTES {
        return Err(fault(format!("more than {MAX_BYTES} bytes; no more are read")));
    }
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        fault(format!("byte {at} is no text (UTF-8)"))
    })
}
