//! An entry: what the index says of one tensor, or of one slice of it.
//!
//! ```text
//! 08 01  12 04 12 02 08 03  28 0C  35 5F 33 75 56        dtype 1, shape {3}, size 12, crc; shard 0 and offset 0 are omitted
//! ```
//!
//! Decoded by hand: an index can hold hundreds of thousands of them.

use super::{Shape, TensorSlice};
use crate::crc::MaskedCrc;
use crate::dtype::DataType;
use crate::pb::{Malformed, Value, fields};
use crate::{Fault, Result};
use std::ops::Range;

/// BundleEntryProto with a sound type and shape. The place in the shards is as stored: [`Entry::place`]
/// checks it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// Type of the elements.
    pub dtype: DataType,
    /// Shape of the whole tensor, or of this slice.
    pub shape: Shape,
    /// Number of the shard.
    pub shard: i32,
    /// Where in the shard.
    pub offset: i64,
    /// How many bytes of the shard.
    pub size: i64,
    /// The checksum; what it covers depends on the type.
    pub crc: MaskedCrc,
    /// Not empty: the tensor is partitioned, these are its slices, and no bytes belong to this entry.
    pub slices: Vec<TensorSlice>,
}

const PART: &str = "index entry";

impl Entry {
    /// Reads an entry.
    pub fn parse(message: &[u8]) -> Result<Self> {
        let mut entry = Self::default();
        entry.parse_into(message, usize::MAX)?;
        Ok(entry)
    }

    /// Reads an entry in place of this one, so that many of them share their memory. `room` is for how many
    /// slices, and extents of slices.
    pub fn parse_into(&mut self, message: &[u8], room: usize) -> Result<()> {
        self.shape.clear();
        self.slices.clear();
        *self = Self {
            shape: std::mem::take(&mut self.shape),
            slices: std::mem::take(&mut self.slices),
            ..Self::default()
        };
        self.merge(message, room).map_err(|malformed| {
            Fault::corrupt(PART, format!("unable to parse it: {malformed}"))
        })?;
        let dtype = self.dtype;
        if dtype.is_ref() || dtype.0 <= 0 {
            return Err(Fault::corrupt(
                PART,
                format!("type {dtype} (number {}) is never in a checkpoint", dtype.0),
            ));
        }
        self.shape.check().map_err(|fault| Fault::corrupt(PART, fault.to_string()))
    }

    /// A field that comes again: the last number wins, a message is merged.
    fn merge(&mut self, message: &[u8], mut room: usize) -> Result<(), Malformed> {
        let mut fields = fields(message);
        while let Some(field) = fields.next_field()? {
            match field {
                (1, Value::Varint(value)) => self.dtype = DataType(value as i32),
                (2, Value::Len(message)) => self.shape.merge(message)?,
                (3, Value::Varint(value)) => self.shard = value as i32,
                (4, Value::Varint(value)) => self.offset = value as i64,
                (5, Value::Varint(value)) => self.size = value as i64,
                (6, Value::Fixed32(value)) => self.crc = MaskedCrc(value),
                (7, Value::Len(message)) => {
                    let slice = TensorSlice::parse(message, room)?;
                    room = room.checked_sub(slice.places()).ok_or(Malformed::TooMany)?;
                    self.slices.push(slice);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The shard and the range in it, for a bundle of `num_shards`.
    pub fn place(&self, num_shards: u32) -> Result<(u32, Range<u64>)> {
        let shard = u32::try_from(self.shard).ok().filter(|&shard| shard < num_shards);
        let shard = shard.ok_or_else(|| {
            Fault::corrupt(
                PART,
                format!("shard {}, but the header counts {num_shards} shards, from 0", self.shard),
            )
        })?;
        let range = u64::try_from(self.offset).ok().zip(u64::try_from(self.size).ok());
        let range = range.and_then(|(start, size)| Some(start..start.checked_add(size)?));
        let range = range.ok_or_else(|| {
            Fault::corrupt(
                PART,
                format!("{} bytes at offset {} are no range", self.size, self.offset),
            )
        })?;
        Ok((shard, range))
    }

    /// Holds the stored size against type and shape, for types of fixed `width`.
    pub fn check_size(&self, width: usize) -> Result<()> {
        let want = self.shape.elements().checked_mul(width as u64);
        if want.is_some() && u64::try_from(self.size).ok() == want {
            return Ok(());
        }
        let want = want.map_or_else(|| "more than 2^64".to_owned(), |want| want.to_string());
        Err(Fault::corrupt(
            PART,
            format!(
                "invalid size: got {} bytes, want {want} for {} of shape {}",
                self.size, self.dtype, self.shape
            ),
        )
        .got_want(self.size, want))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto;
    use proptest::prelude::*;
    use prost::Message;

    fn bytes(hex: &str) -> Vec<u8> {
        hex.split_whitespace().map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    #[test]
    fn entries_of_the_format() {
        // FORMAT B.2
        let entry = Entry::parse(&bytes("08 01 12 04 12 02 08 03 28 0C 35 5F 33 75 56")).unwrap();
        assert_eq!((entry.dtype, entry.shape.dims()), (DataType::FLOAT, &[3][..]));
        assert_eq!(entry.place(1), Ok((0, 0..12)));
        assert_eq!(entry.crc, MaskedCrc(0x5675_335f));
        let entry =
            Entry::parse(&bytes("08 01 12 06 12 00 12 02 08 03 20 CC 04 35 D8 EA 82 A2")).unwrap();
        assert_eq!((entry.shape.dims(), entry.place(1)), (&[0, 3][..], Ok((0, 588..588))));
        let entry = Entry::parse(&bytes(
            "08 01 12 08 12 02 08 04 12 02 08 06 3A 06 0A 02 10 02 0A 00 3A 08 0A 04 08 02 10 02 0A 00",
        ));
        assert_eq!(entry.unwrap().slices.len(), 2);
    }

    #[test]
    fn refused() {
        let text = |hex| Entry::parse(&bytes(hex)).unwrap_err().to_string();
        assert_eq!(text("12 00"), "index entry: type invalid (number 0) is never in a checkpoint");
        assert_eq!(
            text("08 65"),
            "index entry: type float32_ref (number 101) is never in a checkpoint"
        );
        assert!(text("08").starts_with("index entry: unable to parse it"));
        assert!(
            text("08 01 12 0D 12 0B 08 FF FF FF FF FF FF FF FF FF 01")
                .contains("negative dimension")
        );
        // A type that is newer than this reader can be listed.
        assert_eq!(Entry::parse(&bytes("08 C8 01")).unwrap().dtype, DataType(200));
    }

    #[test]
    fn places_and_sizes() {
        let entry = |shard, offset, size| Entry {
            dtype: DataType::FLOAT,
            shape: Shape::new(&[3]).unwrap(),
            shard,
            offset,
            size,
            crc: MaskedCrc(0),
            slices: vec![],
        };
        assert_eq!(entry(1, 5, 12).place(2), Ok((1, 5..17)));
        assert!(
            entry(2, 5, 12)
                .place(2)
                .unwrap_err()
                .what()
                .contains("shard 2, but the header counts 2 shards")
        );
        assert!(entry(-1, 5, 12).place(2).is_err());
        assert!(entry(0, -5, 12).place(2).unwrap_err().what().contains("offset -5"));
        assert!(entry(0, 5, -12).place(2).is_err());
        assert_eq!(entry(0, i64::MAX, i64::MAX).place(1).unwrap().1.end, u64::MAX - 1);
        assert_eq!(entry(0, 0, 12).check_size(4), Ok(()));
        assert!(
            entry(0, 0, 13).check_size(4).unwrap_err().what().contains("got 13 bytes, want 12")
        );
        assert!(entry(0, 0, -12).check_size(4).is_err());
    }

    prop_compose! {
        fn any_proto()(
            dtype in 1..34i32,
            dims in proptest::collection::vec(0..1000i64, 0..5),
            shard_id: i32, offset: i64, size: i64, crc32c: u32,
            slices in proptest::collection::vec(
                proptest::collection::vec((any::<i64>(), any::<Option<i64>>()), 0..4), 0..3),
            with_shape: bool,
        ) -> proto::BundleEntryProto {
            use proto::tensor_slice_proto::{Extent, extent::HasLengthHack};
            let dim = |size| proto::tensor_shape_proto::Dim { size, name: "n".into() };
            let shape = proto::TensorShapeProto { dim: dims.into_iter().map(dim).collect(), unknown_rank: false };
            let extent = |(start, length): (i64, Option<i64>)| {
                Extent { start, has_length_hack: length.map(HasLengthHack::Length) }
            };
            let slice = |extents: Vec<_>| proto::TensorSliceProto { extent: extents.into_iter().map(extent).collect() };
            proto::BundleEntryProto {
                dtype, shape: with_shape.then_some(shape), shard_id, offset, size, crc32c,
                slices: slices.into_iter().map(slice).collect(),
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_prost(message in any_proto()) {
            let entry = Entry::parse(&message.encode_to_vec()).unwrap();
            let dims: Vec<_> = message.shape.unwrap_or_default().dim.iter().map(|dim| dim.size as u64).collect();
            prop_assert_eq!(entry.shape.dims(), dims);
            prop_assert_eq!(
                (entry.dtype.0, entry.shard, entry.offset, entry.size, entry.crc.0),
                (message.dtype, message.shard_id, message.offset, message.size, message.crc32c)
            );
            prop_assert_eq!(entry.slices.len(), message.slices.len());
            for (ours, theirs) in entry.slices.iter().zip(&message.slices) {
                let theirs: Vec<_> = theirs.extent.iter().map(|extent| {
                    use proto::tensor_slice_proto::extent::HasLengthHack::Length;
                    (extent.start, extent.has_length_hack.as_ref().map(|Length(length)| *length))
                }).collect();
                prop_assert_eq!(&ours.0, &theirs);
            }
        }

        #[test]
        fn room_is_kept(message in any_proto()) {
            let places: usize = message.slices.iter().map(|slice| 1 + slice.extent.len()).sum();
            let bytes = message.encode_to_vec();
            let mut entry = Entry::default();
            prop_assert!(entry.parse_into(&bytes, places).is_ok());
            prop_assert!(places == 0 || entry.parse_into(&bytes, places - 1).is_err());
        }

        #[test]
        fn any_bytes_are_an_entry_or_an_error(bytes: Vec<u8>) {
            if let Ok(entry) = Entry::parse(&bytes) {
                let _ = entry.place(3);
                let _ = entry.check_size(8);
            }
        }
    }
}
