//! The IDX format: two zero bytes, a type, a rank, the shape in big endian, the values in C order.

use super::table::{Format, Table, Values, broken, listed};
use crate::error::Result;

pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Table> {
    let truncated =
        |at: &str| broken(name, format!("an IDX file that ends in its {at}; it is truncated, fetch it again"));
    let [zero, zero_too, kind, rank, rest @ ..] = bytes else { return Err(truncated("header")) };
    if (*zero, *zero_too) != (0, 0) {
        return Err(broken(name, "not an IDX file (it does not start with two zero bytes); give --format"));
    }
    let width = match kind {
        0x08 | 0x09 => 1,
        0x0b => 2,
        0x0c | 0x0d => 4,
        0x0e => 8,
        _ => return Err(broken(name, format!("an IDX file of unknown type 0x{kind:02x}; types are 08 to 0e"))),
    };
    let rank = usize::from(*rank);
    if rank < 2 {
        return Err(broken(
            name,
            format!("an IDX file of {rank} dimensions (labels?); samples of at least one site are needed"),
        ));
    }
    if rest.len() < 4 * rank {
        return Err(truncated("header"));
    }
    let (header, data) = rest.split_at(4 * rank);
    let dims: Vec<usize> =
        header.chunks_exact(4).map(|c| c.iter().fold(0usize, |n, &b| n << 8 | usize::from(b))).collect();
    let needed = dims.iter().try_fold(width, |p: usize, &n| p.checked_mul(n));
    match needed {
        Some(needed) if needed == data.len() => {}
        Some(needed) if needed < data.len() => {
            return Err(broken(
                name,
                format!("shape {} needs {needed} bytes, {} follow; the file is damaged", listed(&dims), data.len()),
            ));
        }
        _ => {
            return Err(broken(
                name,
                format!(
                    "shape {} needs more than the {} bytes that follow; the file is truncated",
                    listed(&dims),
                    data.len()
                ),
            ));
        }
    }
    let values = match kind {
        0x08 => Values::Bytes(data.to_vec()),
        // Not eight bytes for each where one will do.
        0x09 if data.iter().all(u8::is_ascii) => Values::Bytes(data.to_vec()),
        0x09 => Values::Reals(data.iter().map(|&b| f64::from(b as i8)).collect()),
        0x0b => Values::Reals(data.chunks_exact(2).map(|c| f64::from(i16::from_be_bytes([c[0], c[1]]))).collect()),
        0x0c => Values::Reals(fours(data).map(|c| f64::from(i32::from_be_bytes(c))).collect()),
        0x0d => Values::Reals(fours(data).map(|c| f64::from(f32::from_be_bytes(c))).collect()),
        _ => Values::Reals(
            data.chunks_exact(8)
                .map(|c| f64::from_be_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]))
                .collect(),
        ),
    };
    Table::new(name, Format::Idx, dims[0], dims[1..].to_vec(), values)
}

fn fours(data: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    data.chunks_exact(4).map(|c| [c[0], c[1], c[2], c[3]])
}
