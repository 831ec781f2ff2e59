//! What the index alone says of a pair: types, shapes, sizes and checksums.
//!
//! Checksums of 32 bits tell what changed; that two are the same does not prove that the bytes are. They can be compared only
//! where they are over the same bytes:
//!
//! * fixed width (FORMAT 4.1): over the stored bytes, so the byte order must be one, unless units are of one byte;
//! * strings (FORMAT 4.2): over the lengths as fixed-width numbers, their checksum, and the bytes of all strings, both
//!   numbers in the byte order of the bundle. How lengths are written does not matter; two sizes at one checksum do;
//! * variants (FORMAT 4.3): over lengths, bytes and checksums;
//! * partitioned tensors have none, but each slice has: both sides must be cut alike;
//! * V1 has none for tensors.

use super::Kind;
use tensorbundle_store::{Format, Listing, Row, Tensors};
use tensorbundle_wire::bundle::{ByteOrder, Region, Shape, elements};
use tensorbundle_wire::crc::MaskedCrc;
use tensorbundle_wire::dtype::{DataType, Layout};

/// One of the two.
pub(super) struct Side<'a> {
    listing: &'a Listing,
    format: Format,
    order: ByteOrder,
}

impl<'a> Side<'a> {
    pub(super) fn new(tensors: &Tensors, listing: &'a Listing) -> Self {
        Self { listing, format: tensors.format(), order: tensors.order() }
    }
}

const NO_CHECKSUMS: &str = "V1 has no checksums of tensors";
const OTHER_ORDER: &str = "stored in the other byte order";
const OTHER_SLICES: &str = "cut into other slices";
const OTHER_LENGTHS: &str = "the same checksum, but not as many bytes";
const UNREADABLE: &str = "values of its type cannot be read";
const BAD_SLICES: &str = "its slices do not fit it";

/// What became of a tensor: with values, [`Kind::Equal`] means only that they must be looked at.
pub(super) fn compare(
    one: &Side<'_>,
    a: usize,
    other: &Side<'_>,
    b: usize,
    fast: bool,
) -> (Kind, Option<&'static str>) {
    let (Some(a), Some(b)) = (one.listing.row(a), other.listing.row(b)) else {
        return (Kind::Unknown, None);
    };
    if a.dtype != b.dtype {
        return (Kind::Retyped, None);
    }
    if a.dims != b.dims {
        return (Kind::Reshaped, None);
    }
    if !fast {
        let readable = [one, other].iter().all(|side| match a.dtype.layout() {
            Layout::Fixed { .. } | Layout::Strings => true,
            Layout::Variants => side.format == Format::V2,
            Layout::None => false,
        });
        return if readable { (Kind::Equal, None) } else { (Kind::Unknown, Some(UNREADABLE)) };
    }
    match by_checksums(one, &a, other, &b) {
        Ok(true) => (Kind::Equal, None),
        Ok(false) => (Kind::Changed, None),
        Err(reason) => (Kind::Unknown, Some(reason)),
    }
}

fn by_checksums(
    one: &Side<'_>,
    a: &Row<'_>,
    other: &Side<'_>,
    b: &Row<'_>,
) -> Result<bool, &'static str> {
    if one.format == Format::V1 || other.format == Format::V1 {
        return Err(NO_CHECKSUMS);
    }
    if elements(a.dims) == 0 {
        return Ok(true);
    }
    if one.order != other.order && !one_byte(a.dtype) {
        return Err(OTHER_ORDER);
    }
    if a.parts.is_empty() && b.parts.is_empty() {
        return same((a.size, a.crc), (b.size, b.crc));
    }
    let (a, b) = (pieces(a)?, pieces(b)?);
    let alike = a.len() == b.len()
        && a.iter().zip(&b).all(|(a, b)| (&a.start, &a.len) == (&b.start, &b.len));
    if !alike {
        return Err(OTHER_SLICES);
    }
    let mut unknown = None;
    for (a, b) in a.iter().zip(&b) {
        match same(a.sum, b.sum) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(reason) => unknown = Some(reason),
        }
    }
    unknown.map_or(Ok(true), Err)
}

/// Its bytes are the same in both orders.
fn one_byte(dtype: DataType) -> bool {
    matches!(dtype.layout(), Layout::Fixed { unit: 1, .. })
}

fn same(a: (i64, MaskedCrc), b: (i64, MaskedCrc)) -> Result<bool, &'static str> {
    match (a.1 == b.1, a.0 == b.0) {
        (true, true) => Ok(true),
        (true, false) => Err(OTHER_LENGTHS),
        (false, _) => Ok(false),
    }
}

/// A slice, or all of a tensor: its box, how many bytes, its checksum.
struct Piece {
    start: Vec<u64>,
    len: Vec<u64>,
    sum: (i64, MaskedCrc),
}

/// The slices in the order of their places: that in which they are listed means nothing.
fn pieces(row: &Row<'_>) -> Result<Vec<Piece>, &'static str> {
    let dims: Vec<_> = row.dims.iter().map(|&dim| dim as i64).collect();
    let shape = Shape::new(&dims).map_err(|_| BAD_SLICES)?;
    let piece = |region: Region, size, crc| Piece {
        start: region.start,
        len: region.len,
        sum: (size, crc),
    };
    if row.parts.is_empty() {
        return Ok(vec![piece(Region::all(&shape), row.size, row.crc)]);
    }
    let mut pieces = Vec::with_capacity(row.parts.len());
    for part in row.parts {
        let region = part.slice.region(&shape).map_err(|_| BAD_SLICES)?;
        let entry = part.entry.as_ref().ok_or(BAD_SLICES)?;
        if entry.dtype != row.dtype || entry.shape.dims() != region.len || !entry.slices.is_empty()
        {
            return Err(BAD_SLICES);
        }
        pieces.push(piece(region, entry.size, entry.crc));
    }
    pieces.sort_by(|a, b| (&a.start, &a.len).cmp(&(&b.start, &b.len)));
    Ok(pieces)
}
