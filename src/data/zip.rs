//! Members of a zip archive, as far as `.npz` needs them: stored or deflated, not encrypted.
//!
//! The directory is walked here rather than read by a crate: it is to take no memory for members that a header only
//! claims, and a member is to be looked at without unpacking all of it.

use std::io::Read;

/// One member, still packed.
pub(super) struct Member<'a> {
    pub name: String,
    deflated: bool,
    checksum: u32,
    packed: &'a [u8],
}

/// Why the whole of a member could not be had.
pub(super) enum Refusal {
    /// It is longer than was allowed.
    TooLong,
    /// It is not what it should be.
    Damaged(String),
}

impl Member<'_> {
    fn reader(&self) -> Box<dyn Read + '_> {
        if self.deflated { Box::new(flate2::bufread::DeflateDecoder::new(self.packed)) } else { Box::new(self.packed) }
    }

    /// The first `most` bytes, or all of it if it is shorter.
    pub(super) fn start(&self, most: u64) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        self.reader().take(most).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        Ok(bytes)
    }

    /// All of it, if that is no more than `most` bytes.
    pub(super) fn whole(&self, most: u64) -> Result<Vec<u8>, Refusal> {
        let bytes = self.start(most.saturating_add(1)).map_err(Refusal::Damaged)?;
        if bytes.len() as u64 > most {
            return Err(Refusal::TooLong);
        }
        let mut checksum = flate2::Crc::new();
        checksum.update(&bytes);
        if checksum.sum() != self.checksum {
            return Err(Refusal::Damaged(format!("{} has another checksum than it should", self.name)));
        }
        Ok(bytes)
    }
}

const END: &[u8] = b"PK\x05\x06";
const END_LENGTH: usize = 22;
const LONG_END: &[u8] = b"PK\x06\x06";
const LOCATOR: &[u8] = b"PK\x06\x07";
const LOCATOR_LENGTH: usize = 20;
const ENTRY: &[u8] = b"PK\x01\x02";
const ENTRY_LENGTH: usize = 46;
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_LENGTH: usize = 30;

/// The members in the order of the directory at the end of the archive.
pub(super) fn members(bytes: &[u8]) -> Result<impl Iterator<Item = Result<Member<'_>, String>>, String> {
    let (mut at, mut left) = directory(bytes).ok_or("no directory at its end")?;
    Ok(std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        let read = entry(bytes, at);
        match &read {
            Ok((_, next)) => at = *next,
            // Where the next one begins is not known.
            Err(_) => left = 0,
        }
        Some(read.map(|(member, _)| member))
    }))
}

/// Where the directory begins, and how many entries it claims to have.
fn directory(bytes: &[u8]) -> Option<(usize, u64)> {
    // The comment behind it has at most 65535 bytes.
    let from = bytes.len().saturating_sub(END_LENGTH + usize::from(u16::MAX));
    let end = from + bytes[from..].windows(END_LENGTH).rposition(|w| w.starts_with(END))?;
    let (count, start) = (number(bytes, end + 10, 2)?, number(bytes, end + 16, 4)?);
    if count < u64::from(u16::MAX) && start < u64::from(u32::MAX) {
        return Some((start.try_into().ok()?, count));
    }
    let long_end = end
        .checked_sub(LOCATOR_LENGTH)
        .filter(|&at| bytes[at..].starts_with(LOCATOR))
        .and_then(|at| number(bytes, at + 8, 8))
        .and_then(|at| usize::try_from(at).ok())
        .filter(|&at| bytes.get(at..).is_some_and(|b| b.starts_with(LONG_END)));
    match long_end {
        Some(at) => Some((number(bytes, at.checked_add(48)?, 8)?.try_into().ok()?, number(bytes, at + 32, 8)?)),
        None => Some((start.try_into().ok()?, count)),
    }
}

/// The member whose entry in the directory is at `at`, and where the next entry begins.
fn entry(bytes: &[u8], at: usize) -> Result<(Member<'_>, usize), String> {
    let cut = || "its directory is damaged".to_owned();
    let field =
        |offset: usize, width: usize| at.checked_add(offset).and_then(|at| number(bytes, at, width)).ok_or_else(cut);
    if !bytes.get(at..).is_some_and(|b| b.starts_with(ENTRY)) {
        return Err(cut());
    }
    let (flags, method, checksum) = (field(8, 2)?, field(10, 2)?, field(16, 4)? as u32);
    let (name, extra, comment) = (field(28, 2)? as usize, field(30, 2)? as usize, field(32, 2)? as usize);
    let name_at = at + ENTRY_LENGTH;
    let extra_at = name_at + name;
    let title = bytes.get(name_at..extra_at).ok_or_else(cut)?;
    let name = String::from_utf8_lossy(title).into_owned();
    let extra = bytes.get(extra_at..extra_at + extra).ok_or_else(cut)?;
    let [_, packed, local] =
        long([field(24, 4)?, field(20, 4)?, field(42, 4)?], extra).ok_or_else(cut)?.map(usize::try_from);
    let (packed, local) = (packed.map_err(|_| cut())?, local.map_err(|_| cut())?);
    if flags & 1 == 1 {
        return Err(format!("{name} is encrypted"));
    }
    let deflated = match method {
        0 => false,
        8 => true,
        _ => return Err(format!("{name} is packed by method {method}; 0 (stored) and 8 (deflate) are read")),
    };
    let of_local = |offset: usize| local.checked_add(offset).and_then(|at| number(bytes, at, 2)).map(|n| n as usize);
    let data = of_local(26)
        .zip(of_local(28))
        .filter(|_| bytes[local..].starts_with(LOCAL))
        .and_then(|(name, extra)| {
            let start = local + LOCAL_LENGTH + name + extra;
            bytes.get(start..start.checked_add(packed)?)
        })
        .ok_or_else(|| format!("{name} lies outside of the archive"))?;
    Ok((Member { name, deflated, checksum, packed: data }, extra_at + extra.len() + comment))
}

/// The three sizes with those that do not fit four bytes from the extra field 1, where they stand in this order.
fn long(mut sizes: [u64; 3], mut extra: &[u8]) -> Option<[u64; 3]> {
    while let Some(length) = number(extra, 2, 2) {
        let body = extra.get(4..4 + length as usize)?;
        if number(extra, 0, 2) == Some(1) {
            let mut at = 0;
            for size in sizes.iter_mut().filter(|size| **size == u64::from(u32::MAX)) {
                *size = number(body, at, 8)?;
                at += 8;
            }
            break;
        }
        extra = &extra[4 + body.len()..];
    }
    Some(sizes)
}

/// `width` bytes at `at`, little endian.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(width)?)?;
    Some(bytes.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)))
}
