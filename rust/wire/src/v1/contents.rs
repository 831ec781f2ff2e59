//! The table of contents: which tensors have slices in this file.
//!
//! ```text
//! 0A 15  0A 0F 0A 01 62  12 04 12 02 08 03  18 09  22 02 0A 00  12 02 08 01      b, {3}, int64, one slice: all of it
//! ```

use crate::bundle::{Shape, TensorSlice};
use crate::dtype::DataType;
use crate::pb::{Malformed, Value, fields};
use crate::version::Version;
use crate::{Fault, Result, limits, shown};

/// SavedTensorSliceMeta.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// Format version of the writer.
    pub producer: i32,
    /// The tensors of which this file has slices, as listed.
    pub tensors: Vec<SavedTensor>,
}

/// SavedSliceMeta: a tensor, and its slices in this file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SavedTensor {
    /// Its name: any bytes.
    pub name: Box<[u8]>,
    /// Type of the elements.
    pub dtype: DataType,
    /// Shape of the whole.
    pub shape: Shape,
    /// Its slices here; those of other files belong to it too.
    pub slices: Vec<TensorSlice>,
}

const PART: &str = "table of contents";

/// How much a tensor counts against the room for slices, of which a file has as many as bytes. A real one takes 50
/// bytes or more in its line and its record; Snappy brings that down to ten.
const TENSOR_PLACES: usize = 8;

fn too_many() -> Fault {
    let what = "it lists more tensors and slices than the file can hold values for";
    Fault::corrupt(PART, what)
}

impl Contents {
    /// Reads the value of the empty key, in a file of so many bytes. Tensors without slices are left out: nothing is
    /// stored of them.
    pub fn parse(message: &[u8], file_len: u64) -> Result<Self> {
        const META: u32 = 1;
        let mut contents = Self::default();
        let mut version = Version::default();
        let mut room = limits::max_slices(file_len);
        let mut all = fields(message);
        while let Some(field) = all.next_field().map_err(malformed)? {
            let (META, Value::Len(meta)) = field else {
                continue;
            };
            let mut parts = fields(meta);
            while let Some(part) = parts.next_field().map_err(malformed)? {
                match part {
                    (1, Value::Len(tensor)) => {
                        let tensor = SavedTensor::parse(tensor, &mut room)?;
                        if !tensor.slices.is_empty() {
                            room = room.checked_sub(TENSOR_PLACES).ok_or_else(too_many)?;
                            contents.tensors.push(tensor);
                        }
                    }
                    (2, Value::Len(message)) => version.merge(message).map_err(malformed)?,
                    _ => {}
                }
            }
        }
        version.check(PART)?;
        contents.producer = version.producer;
        Ok(contents)
    }
}

impl SavedTensor {
    fn parse(message: &[u8], room: &mut usize) -> Result<Self> {
        let mut tensor = Self::default();
        tensor.merge(message, room).map_err(malformed)?;
        let bad = |what: String| Fault::corrupt(PART, format!("{}: {what}", shown(&tensor.name)));
        let dtype = tensor.dtype;
        if dtype.is_ref() || dtype.0 <= 0 {
            return Err(bad(format!("type {dtype} (number {}) is never saved", dtype.0)));
        }
        tensor.shape.check().map_err(|fault| bad(fault.to_string()))?;
        Ok(tensor)
    }

    fn merge(&mut self, message: &[u8], room: &mut usize) -> Result<(), Malformed> {
        let mut all = fields(message);
        while let Some(field) = all.next_field()? {
            match field {
                (1, Value::Len(name)) => self.name = name.into(),
                (2, Value::Len(shape)) => self.shape.merge(shape)?,
                (3, Value::Varint(value)) => self.dtype = DataType(value as i32),
                (4, Value::Len(slice)) => {
                    let slice = TensorSlice::parse(slice, *room)?;
                    *room = room.checked_sub(slice.places()).ok_or(Malformed::TooMany)?;
                    if self.slices.is_empty() {
                        self.slices.reserve_exact(1); // most have one
                    }
                    self.slices.push(slice);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn malformed(error: Malformed) -> Fault {
    Fault::corrupt(PART, format!("unable to parse it: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &[u8] = b"\x0a\x15\x0a\x0f\x0a\x01b\x12\x04\x12\x02\x08\x03\x18\x09\x22\x02\x0a\x00\
                         \x12\x02\x08\x01";

    #[test]
    fn of_one_tensor() {
        assert!(super::super::is_contents(ONE));
        let contents = Contents::parse(ONE, 200).unwrap();
        let tensor = SavedTensor {
            name: (*b"b").into(),
            dtype: DataType::INT64,
            shape: Shape::new(&[3]).unwrap(),
            slices: vec![TensorSlice(vec![(0, None)])],
        };
        assert_eq!(contents, Contents { producer: 1, tensors: vec![tensor] });
    }

    #[test]
    fn nothing_is_stored_of_a_tensor_without_slices() {
        let without = b"\x0a\x0b\x0a\x09\x0a\x01b\x12\x02\x12\x00\x18\x09";
        assert_eq!(Contents::parse(without, 200).unwrap(), Contents::default());
    }

    #[test]
    fn no_more_than_the_file_has_room_for() {
        assert!(Contents::parse(ONE, 10).is_ok());
        let fault = Contents::parse(ONE, 9).unwrap_err().to_string();
        assert!(fault.contains("more tensors and slices than the file can hold"), "{fault}");
        assert!(
            Contents::parse(ONE, 1).unwrap_err().to_string().contains("more than there can be")
        );
    }

    #[test]
    fn refused() {
        for (bytes, text) in [
            (&b"\x0a\x05\x0a\x03\x0a\x01b"[..], "b\": type invalid (number 0) is never saved"),
            (b"\x0a\x05\x0a\x03\x18\x65\x00", "unable to parse it"),
            (b"\x0a\x04\x0a\x02\x18\x65", "type float32_ref (number 101) is never saved"),
            (b"\x0a\x06\x0a\x07\x0a\x01b", "unable to parse it"),
            (b"\x0a\x04\x12\x02\x10\x02", "asks for a reader of version 2"),
            (
                b"\x0a\x16\x0a\x14\x0a\x01b\x18\x01\x12\x0d\x12\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                "[-1] has a negative dimension",
            ),
        ] {
            let fault = Contents::parse(bytes, 200).unwrap_err().to_string();
            assert!(fault.starts_with("table of contents") && fault.contains(text), "{fault}");
        }
    }
}
