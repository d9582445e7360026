//! NumPy arrays, alone (`.npy`) or in a zip archive (`.npz`).
//!
//! The header is read here rather than by a crate: a header that claims more elements than the file has bytes must be
//! an error before anything is allocated.

use num_complex::Complex64;

use super::table::{Format, Table, Values, broken, listed, too_long};
use super::zip::{Refusal, members};
use crate::error::{Result, quoted};

/// `most` is what a member of an archive may unpack to, in bytes.
pub(super) fn parse(name: &str, bytes: &[u8], member: Option<&str>, most: u64) -> Result<Table> {
    if bytes.starts_with(b"PK") { archive(name, bytes, member, most) } else { array(name, bytes) }
}

/// Bytes of a member in which its header is looked for.
pub(super) const HEADER: u64 = 1 << 16;
/// Names of members that an error lists.
const LISTED: usize = 8;

fn archive(name: &str, bytes: &[u8], member: Option<&str>, most: u64) -> Result<Table> {
    let damaged = |why: String| broken(name, format!("not a readable .npz archive ({}); fetch it again", quoted(&why)));
    let mut found = Vec::new();
    for file in members(bytes).map_err(damaged)? {
        let file = file.map_err(damaged)?;
        let title = file.name.strip_suffix(".npy").unwrap_or(&file.name);
        let wanted = match member {
            Some(member) => member == title,
            // Labels and the like have one axis; samples have more. Only the start is unpacked to see that: many members
            // may be one long stream that lies in the file once.
            None => header(&file.start(HEADER).map_err(damaged)?).is_ok_and(|h| h.shape.len() >= 2),
        };
        if wanted {
            let data = file.whole(most).map_err(|refusal| match refusal {
                Refusal::TooLong => too_long(name, most, "save the array alone, as .npy"),
                Refusal::Damaged(why) => damaged(why),
            })?;
            return array(&format!("{name}#{}", quoted(title)), &data);
        }
        if found.len() < LISTED {
            found.push(quoted(title));
        }
    }
    let wanted = member.map_or_else(|| "array of samples".to_owned(), |m| format!("array '{m}'"));
    Err(broken(name, format!("no {wanted} in the archive; it holds {}", found.join(", "))))
}

/// Axes of an array, at the most; NumPy has the same bound.
const AXES: usize = 64;

pub(super) struct Header {
    /// The letter of NumPy: b, u, i, f or c.
    pub(super) kind: u8,
    pub(super) width: usize,
    pub(super) big_endian: bool,
    pub(super) fortran: bool,
    pub(super) shape: Vec<usize>,
    /// Where the elements begin.
    pub(super) data: usize,
}

/// `\x93NUMPY`, version, length, and a Python dictionary.
pub(super) fn header(bytes: &[u8]) -> Result<Header, String> {
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
        b'c' => matches!(width, 8 | 16),
        _ => false,
    };
    if !known || !matches!(order, '<' | '>' | '|' | '=') {
        return Err(format!("values of type '{}' are not read; save booleans, integers or floats", quoted(descr)));
    }
    let fortran = after("fortran_order")?.starts_with("True");
    let shape = after("shape")?.strip_prefix('(').and_then(|s| s.split(')').next()).ok_or("no shape in the header")?;
    let shape = shape
        .split(',')
        .map(str::trim)
        .filter(|n| !n.is_empty())
        .map(|n| n.parse().map_err(|_| format!("'{}' in the shape", quoted(n))));
    // One more than are allowed is enough to know.
    let shape = shape.take(AXES + 1).collect::<Result<Vec<usize>, String>>()?;
    if shape.len() > AXES {
        return Err(format!("an array of more than {AXES} axes; save one of shape [samples, sites]"));
    }
    Ok(Header { kind, width, big_endian: order == '>', fortran, shape, data: end })
}

/// The numbers of an array of any shape, in C order, as complex ones.
pub(super) fn numbers(name: &str, bytes: &[u8]) -> Result<(Vec<usize>, Vec<Complex64>)> {
    let h = header(bytes).map_err(|why| broken(name, why))?;
    let data = body(name, bytes, &h)?;
    let values: Vec<Complex64> = if h.kind == b'c' {
        let half = h.width / 2;
        let part = |c: &[u8]| real(c, b'f', h.big_endian);
        data.chunks_exact(h.width).map(|c| Complex64::new(part(&c[..half]), part(&c[half..]))).collect()
    } else {
        data.chunks_exact(h.width).map(|c| Complex64::new(real(c, h.kind, h.big_endian), 0.0)).collect()
    };
    let values = if h.fortran { c_order(&values, &h.shape) } else { values };
    Ok((h.shape, values))
}

/// The bytes of the elements, as many as the shape says.
fn body<'a>(name: &str, bytes: &'a [u8], h: &Header) -> Result<&'a [u8]> {
    let data = &bytes[h.data..];
    let needed = h.shape.iter().try_fold(h.width, |p: usize, &n| p.checked_mul(n));
    if needed != Some(data.len()) {
        let what = format!(
            "shape {} of {}-byte values does not fit the {} bytes that follow; the file is truncated or damaged",
            listed(&h.shape),
            h.width,
            data.len()
        );
        return Err(broken(name, what));
    }
    Ok(data)
}

fn array(name: &str, bytes: &[u8]) -> Result<Table> {
    let h = header(bytes).map_err(|why| broken(name, why))?;
    if h.kind == b'c' {
        return Err(broken(name, "complex numbers are no samples; save booleans, integers or floats"));
    }
    let data = body(name, bytes, &h)?;
    let &[samples, ref rest @ ..] = h.shape.as_slice() else {
        return Err(broken(name, "a single number, not a data set; save an array of shape [samples, sites]"));
    };
    if rest.is_empty() {
        return Err(broken(
            name,
            format!("an array of shape [{samples}] has no sites; save one of shape [samples, sites]"),
        ));
    }
    let bytes = match (h.kind, h.width) {
        (b'b' | b'u', 1) => true,
        // Not eight bytes for each where one will do.
        (b'i', 1) => data.iter().all(u8::is_ascii),
        _ => false,
    };
    let values = if bytes {
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

pub(super) fn real(chunk: &[u8], kind: u8, big_endian: bool) -> f64 {
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
