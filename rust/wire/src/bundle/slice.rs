//! Slices of partitioned tensors, and the keys they are stored under (FORMAT 5).
//!
//! ```text
//! key    num(0) | string(name) | num(rank) | for each dimension: signed(start) signed(length)
//!        w [4,6], rows 0 and 1, all columns:  00  77 00 01  01 02  80 82  80 7F
//! ```

use super::{Shape, elements};
use crate::ordered_code::{put_num, put_signed, put_string, take_num, take_signed, take_string};
use crate::pb::{Malformed, Value, fields};
use crate::varint::Cursor;
use crate::{Fault, Result, limits};

/// TensorSliceProto: for each dimension a start and a length, or no length for the whole dimension.
///
/// A dimension that is covered whole may be stored either way, and the stored form decides the key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TensorSlice(pub Vec<(i64, Option<i64>)>);

/// A box within a tensor: for each dimension where it begins and how long it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// Where it begins.
    pub start: Vec<u64>,
    /// How long it is.
    pub len: Vec<u64>,
}

/// The length that stands for a whole dimension in a key, and that TensorFlow reads as one in a slice.
const FULL: i64 = -1;

/// The name of the tensor that a slice key is of; `None` if it is no slice key.
pub fn sliced_tensor(key: &[u8]) -> Option<Vec<u8>> {
    let mut cursor = Cursor::new(key);
    let zero = take_num(&mut cursor).ok()?;
    let name = take_string(&mut cursor).ok()?;
    let rank = take_num(&mut cursor).ok().filter(|&rank| rank <= limits::MAX_RANK as u64)?;
    for _ in 0..2 * rank {
        take_signed(&mut cursor).ok()?;
    }
    (zero == 0 && cursor.is_empty()).then_some(name)
}

impl TensorSlice {
    /// Reads a slice; `room` is for how many extents.
    pub(crate) fn parse(message: &[u8], room: usize) -> Result<Self, Malformed> {
        let mut extents = Vec::new();
        for field in fields(message) {
            if let (1, Value::Len(message)) = field? {
                let mut extent = (0, None);
                for field in fields(message) {
                    match field? {
                        (1, Value::Varint(value)) => extent.0 = value as i64,
                        (2, Value::Varint(value)) => extent.1 = Some(value as i64),
                        _ => {}
                    }
                }
                if extents.len() >= room.min(limits::MAX_RANK) {
                    return Err(Malformed::TooMany);
                }
                extents.push(extent);
            }
        }
        Ok(Self(extents))
    }

    /// How much it counts against the room for slices: itself and its extents.
    pub fn places(&self) -> usize {
        1 + self.0.len()
    }

    /// Start and length in each dimension, sound or not; a whole dimension's length is that of `dims`.
    pub fn extents<'a>(&'a self, dims: &'a [u64]) -> impl Iterator<Item = (i64, i64)> + 'a {
        self.0.iter().enumerate().map(|(axis, &(start, length))| match length {
            Some(length) if length != FULL => (start, length),
            _ => (start, dims.get(axis).map_or(0, |&dim| dim as i64)),
        })
    }

    /// The box it covers in a tensor of `shape`.
    pub fn region(&self, shape: &Shape) -> Result<Region> {
        let bad = |what: String| Fault::corrupt("slice", what);
        if self.0.len() != shape.rank() {
            return Err(bad(format!(
                "{} dimensions in a tensor of {}",
                self.0.len(),
                shape.rank()
            )));
        }
        let mut region = Region { start: Vec::new(), len: Vec::new() };
        for (&(start, length), &dim) in self.0.iter().zip(shape.dims()) {
            let (start, len) = match (start, length) {
                (0, None | Some(FULL)) => (0, dim),
                (_, None) => return Err(bad(format!("it starts at {start} but has no length"))),
                (_, Some(length)) => {
                    let range = u64::try_from(start).ok().zip(u64::try_from(length).ok());
                    let fits = range.filter(|(start, len)| {
                        start.checked_add(*len).is_some_and(|end| end <= dim)
                    });
                    fits.ok_or_else(|| {
                        bad(format!(
                            "{length} from {start} is out of bounds in a dimension of {dim}"
                        ))
                    })?
                }
            };
            if len == 0 && dim != 0 {
                return Err(bad(format!("no length at {start} in a dimension of {dim}")));
            }
            region.start.push(start);
            region.len.push(len);
        }
        Ok(region)
    }
}

impl Region {
    /// All of a tensor.
    pub fn all(shape: &Shape) -> Self {
        Self { start: vec![0; shape.rank()], len: shape.dims().to_vec() }
    }

    /// How many elements.
    pub fn elements(&self) -> u64 {
        elements(&self.len)
    }

    /// Its shape.
    pub fn shape(&self) -> Shape {
        Shape::of_box(&self.len)
    }
}

/// The key under which the entry of a slice is stored.
pub fn slice_key(name: &[u8], slice: &TensorSlice) -> Vec<u8> {
    SliceKeys::new(name).key(slice).to_vec()
}

/// The keys of a tensor's slices: all begin alike.
#[derive(Debug)]
pub struct SliceKeys {
    key: Vec<u8>,
    shared: usize,
}

impl SliceKeys {
    /// Of the tensor `name`.
    pub fn new(name: &[u8]) -> Self {
        let mut key = Vec::with_capacity(name.len() + 16);
        put_num(&mut key, 0);
        put_string(&mut key, name);
        Self { shared: key.len(), key }
    }

    /// The key under which the entry of `slice` is stored.
    pub fn key(&mut self, slice: &TensorSlice) -> &[u8] {
        self.key.truncate(self.shared);
        put_num(&mut self.key, slice.0.len() as u64);
        for &(start, length) in &slice.0 {
            put_signed(&mut self.key, start);
            put_signed(&mut self.key, length.unwrap_or(FULL));
        }
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_format() {
        type Case = (&'static [u8], &'static [(i64, Option<i64>)], &'static [u8]);
        let cases: &[Case] = &[
            (b"w", &[(0, Some(2)), (0, None)], b"\x00\x77\x00\x01\x01\x02\x80\x82\x80\x7f"),
            (b"w", &[(2, Some(2)), (0, None)], b"\x00\x77\x00\x01\x01\x02\x82\x82\x80\x7f"),
            (b"v", &[(0, None), (0, Some(1))], b"\x00\x76\x00\x01\x01\x02\x80\x7f\x80\x81"),
            (b"s/w", &[(0, Some(4)), (0, Some(2))], b"\x00s/w\x00\x01\x01\x02\x80\x84\x80\x82"),
            (
                b"big",
                &[(64, Some(1)), (100, Some(64)), (100_000, Some(3))],
                b"\x00big\x00\x01\x01\x03\xc0\x40\x81\xc0\x64\xc0\x40\xe1\x86\xa0\x83",
            ),
            (b"a\x00b\xff", &[(3, Some(2))], b"\x00a\x00\xffb\xff\x00\x00\x01\x01\x01\x83\x82"),
            (b"scalar", &[], b"\x00scalar\x00\x01\x00"),
        ];
        for (name, extents, key) in cases {
            assert_eq!(slice_key(name, &TensorSlice(extents.to_vec())), *key);
        }
    }

    #[test]
    fn regions() {
        let shape = Shape::new(&[4, 6]).unwrap();
        let region = |extents: &[(i64, Option<i64>)]| TensorSlice(extents.to_vec()).region(&shape);
        let rows = region(&[(2, Some(2)), (0, None)]).unwrap();
        assert_eq!(
            (rows.start.as_slice(), rows.len.as_slice(), rows.elements()),
            (&[2, 0][..], &[2, 6][..], 12)
        );
        assert_eq!(region(&[(0, Some(-1)), (0, None)]), region(&[(0, None), (0, None)]));
        let text = |extents: &[(i64, Option<i64>)]| region(extents).unwrap_err().to_string();
        assert_eq!(text(&[(0, None)]), "slice: 1 dimensions in a tensor of 2");
        assert_eq!(text(&[(1, None), (0, None)]), "slice: it starts at 1 but has no length");
        assert!(
            text(&[(3, Some(2)), (0, None)])
                .contains("2 from 3 is out of bounds in a dimension of 4")
        );
        assert!(text(&[(-1, Some(2)), (0, None)]).contains("out of bounds"));
        assert!(text(&[(i64::MAX, Some(i64::MAX)), (0, None)]).contains("out of bounds"));
        assert!(text(&[(1, Some(0)), (0, None)]).contains("no length at 1"));
    }
}
