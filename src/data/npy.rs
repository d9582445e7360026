//! NumPy arrays, alone (`.npy`) or in a zip archive (`.npz`).
//!
//! The header is read here rather than by a crate: a header that claims more elements than the file has bytes must be
//! an error before anything is allocated.

use std::io::{Cursor, Read};

use super::table::{Format, Table, Values, broken};
use crate::error::Result;

pub(super) fn parse(name: &str, bytes: &[u8], member: Option<&str>) -> Result<Table> {
    if bytes.starts_with(b"PK") { archive(name, bytes, member) } else { array(name, bytes) }
}

/// Bytes a member of an archive may unpack to.
const MEMBER: u64 = 4 << 30;

fn archive(name: &str, bytes: &[u8], member: Option<&str>) -> Result<Table> {
    let damaged =
        |e: &dyn std::fmt::Display| broken(name, format!("not a readable .npz archive ({e}); fetch it again"));
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| damaged(&e))?;
    let mut found = Vec::new();
    for i in 0..zip.len() {
        let file = zip.by_index(i).map_err(|e| damaged(&e))?;
        let title = file.name().trim_end_matches(".npy").to_owned();
        if member.is_some_and(|m| m != title) {
            found.push(title);
            continue;
        }
        let mut data = Vec::new();
        file.take(MEMBER).read_to_end(&mut data).map_err(|e| damaged(&e))?;
        let header = header(&data);
        // Labels and the like have one axis; samples have more.
        if member.is_some() || header.as_ref().is_ok_and(|h| h.shape.len() >= 2) {
            return array(&format!("{name}#{title}"), &data);
        }
        found.push(title);
    }
    let wanted = member.map_or_else(|| "array of samples".to_owned(), |m| format!("array '{m}'"));
    Err(broken(name, format!("no {wanted} in the archive; it holds {}", found.join(", "))))
}

struct Header {
    kind: u8,
    width: usize,
    big_endian: bool,
    fortran: bool,
    shape: Vec<usize>,
    data: usize,
}

/// `\x93NUMPY`, version, length, and a Python dictionary.
fn header(bytes: &[u8]) -> Result<Header, String> {
    let cut = || "the file ends in its header; it is truncated".to_owned();
    if !bytes.starts_with(b"\x93NUMPY") {
        return Err("not a .npy file".into());
    }
    let version = *bytes.get(6).ok_or_else(cut)?;
    let (length, start) = match version {
        1 => (bytes.get(8..10).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]]))), 10),
        2 | 3 => (bytes.get(8..12).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize), 12),
        _ => return Err(format!("version {version} of the .npy format; versions 1 to 3 are read")),
    };
    let end = start + length.ok_or_else(cut)?;
    let text = bytes.get(start..end).ok_or_else(cut)?;
    let text = std::str::from_utf8(text).map_err(|_| "the header is no text".to_owned())?;
    let after = |key: &str| {
        let at = text.find(&format!("'{key}'")).ok_or_else(|| format!("no '{key}' in the header"))?;
        text[at + key.len() + 2..]
            .trim_start()
            .strip_prefix(':')
            .map(str::trim_start)
            .ok_or_else(|| format!("no value for '{key}'"))
    };
    let descr = after("descr")?;
    let descr = descr
        .strip_prefix('\'')
        .and_then(|d| d.split('\'').next())
        .ok_or("structured arrays are not read; save a plain array")?;
    let mut letters = descr.chars();
    let order = letters.next().unwrap_or(' ');
    let kind = letters.next().filter(char::is_ascii).map_or(0, |c| c as u8);
    let width: usize = letters.as_str().parse().unwrap_or(0);
    let known = match kind {
        b'b' => width == 1,
        b'u' | b'i' => matches!(width, 1 | 2 | 4 | 8),
        b'f' => matches!(width, 4 | 8),
        _ => false,
    };
    if !known || !matches!(order, '<' | '>' | '|' | '=') {
        return Err(format!("values of type '{descr}' are not read; save booleans, integers or floats"));
    }
    let fortran = after("fortran_order")?.starts_with("True");
    let shape = after("shape")?.strip_prefix('(').and_then(|s| s.split(')').next()).ok_or("no shape in the header")?;
    let shape = shape
        .split(',')
        .map(str::trim)
        .filter(|n| !n.is_empty())
        .map(|n| n.parse().map_err(|_| format!("'{n}' in the shape")));
    let shape = shape.collect::<Result<Vec<usize>, String>>()?;
    Ok(Header { kind, width, big_endian: order == '>', fortran, shape, data: end })
}

fn array(name: &str, bytes: &[u8]) -> Result<Table> {
    let h = header(bytes).map_err(|why| broken(name, why))?;
    let data = &bytes[h.data..];
    let needed = h.shape.iter().try_fold(h.width, |p: usize, &n| p.checked_mul(n));
    if needed != Some(data.len()) {
        let what = format!(
            "shape {:?} of {}-byte values does not fit the {} bytes that follow; the file is truncated or damaged",
            h.shape,
            h.width,
            data.len()
        );
        return Err(broken(name, what));
    }
    let &[samples, ref rest @ ..] = h.shape.as_slice() else {
        return Err(broken(name, "a single number, not a data set; save an array of shape [samples, sites]"));
    };
    if rest.is_empty() {
        return Err(broken(
            name,
            format!("an array of shape [{samples}] has no sites; save one of shape [samples, sites]"),
        ));
    }
    let values = if matches!((h.kind, h.width), (b'b' | b'u', 1)) {
        Values::Bytes(data.to_vec())
    } else {
        Values::Reals(data.chunks_exact(h.width).map(|c| real(c, h.kind, h.big_endian)).collect())
    };
    let values = if h.fortran {
        match values {
            Values::Bytes(v) => Values::Bytes(c_order(&v, &h.shape)),
            Values::Reals(v) => Values::Reals(c_order(&v, &h.shape)),
        }
    } else {
        values
    };
    Table::new(name, Format::Npy, samples, rest.to_vec(), values)
}

fn real(chunk: &[u8], kind: u8, big_endian: bool) -> f64 {
    let mut le = [0u8; 8];
    le[..chunk.len()].copy_from_slice(chunk);
    if big_endian {
        le[..chunk.len()].reverse();
    }
    let bits = u64::from_le_bytes(le);
    match (kind, chunk.len()) {
        (b'f', 4) => f64::from(f32::from_bits(bits as u32)),
        (b'f', _) => f64::from_bits(bits),
        (b'i', n) => {
            let unused = 64 - 8 * n as u32;
            ((bits << unused) as i64 >> unused) as f64
        }
        _ => bits as f64,
    }
}

fn c_order<V: Copy>(values: &[V], shape: &[usize]) -> Vec<V> {
    use ndarray::ShapeBuilder;
    match ndarray::ArrayView::from_shape(ndarray::IxDyn(shape).f(), values) {
        Ok(view) => view.iter().copied().collect(),
        Err(_) => values.to_vec(),
    }
}
