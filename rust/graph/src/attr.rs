//! Values of attributes (AttrValue, FORMAT appendix A).
//!
//! A value is one of ten kinds, whichever stands last; a list is of one of eight. Tensors and functions stay
//! bytes until they are asked for, so nothing here recurses.

use crate::node::map_entry;
use crate::span::Source;
use bytes::Bytes;
use tensorbundle_wire::dtype::DataType;
use tensorbundle_wire::limits::MAX_RANK;
use tensorbundle_wire::pb::{Malformed, Value, fields, packed_varints};
use tensorbundle_wire::{Fault, Result};

/// A shape of which not all need be known: `None` is an unknown rank, an inner `None` an unknown dimension.
pub type PartialShape = Option<Vec<Option<u64>>>;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Attr {
    /// None of the kinds: what an attribute with nothing in it is.
    None,
    /// Bytes, or a text.
    Bytes(Bytes),
    /// An integer.
    Int(i64),
    /// A number.
    Float(f32),
    /// A truth value.
    Bool(bool),
    /// An element type.
    Type(DataType),
    /// A shape.
    Shape(PartialShape),
    /// A serialized TensorProto.
    Tensor(Bytes),
    /// In a function: the name of an attribute that the caller gives.
    Placeholder(Bytes),
    /// A function, with attributes of its own.
    Func(Func),
    /// A list.
    List(List),
}

/// A list of one kind.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "as in Attr")]
pub enum List {
    /// An empty list has no kind.
    Empty,
    Bytes(Vec<Bytes>),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Bools(Vec<bool>),
    Types(Vec<DataType>),
    Shapes(Vec<PartialShape>),
    Tensors(Vec<Bytes>),
    Funcs(Vec<Func>),
}

/// A reference to a function (NameAttrList).
#[derive(Debug, Clone, PartialEq)]
pub struct Func {
    /// Its name.
    pub name: Bytes,
    message: Bytes,
}

impl Func {
    fn decode(message: Bytes) -> Result<Self> {
        let name = crate::body::string_field(&message, 1).map_err(bad)?;
        let name = message.slice_ref(name);
        Ok(Self { name, message })
    }

    /// The attributes that stand with it, decoded, the last of each name.
    pub fn attrs(&self) -> Result<Vec<(Bytes, Attr)>> {
        decode_map(&self.message, 2)
    }
}

/// The attributes in a map field of a message, the last of each name, in order of their names.
pub(crate) fn decode_map(message: &Bytes, number: u32) -> Result<Vec<(Bytes, Attr)>> {
    let source = Source::new(message.clone(), true);
    let mut found = std::collections::BTreeMap::new();
    let mut all = fields(message);
    while let Some(field) = all.next_field().map_err(bad)? {
        if let (n, Value::Len(entry)) = field
            && n == number
        {
            let (key, value) = map_entry(entry).map_err(bad)?;
            found.insert(message.slice_ref(key), value.join(&source));
        }
    }
    found.into_iter().map(|(key, value)| Ok((key, Attr::decode(&value)?))).collect()
}

fn bad(why: Malformed) -> Fault {
    Fault::corrupt("attribute", why.to_string())
}

impl Attr {
    /// Decodes a serialized AttrValue.
    pub fn decode(message: &Bytes) -> Result<Self> {
        let mut last = None;
        let mut pieces: Vec<&[u8]> = Vec::new();
        let mut all = fields(message);
        while let Some((number, value)) = all.next_field().map_err(bad)? {
            match (number, value) {
                (2 | 9, Value::Len(_)) | (3 | 5 | 6, Value::Varint(_)) | (4, Value::Fixed32(_)) => {
                    pieces.clear();
                }
                // A message that comes again is merged, unless another kind stood between.
                (1 | 7 | 8 | 10, Value::Len(bytes)) => {
                    if !matches!(last, Some((before, _)) if before == number) {
                        pieces.clear();
                    }
                    pieces.push(bytes);
                }
                _ => continue,
            }
            last = Some((number, value));
        }
        let whole = || match pieces.as_slice() {
            [one] => message.slice_ref(one),
            several => several.concat().into(),
        };
        Ok(match last {
            None => Self::None,
            Some((1, _)) => Self::List(List::decode(&whole())?),
            Some((2, Value::Len(bytes))) => Self::Bytes(message.slice_ref(bytes)),
            Some((3, Value::Varint(value))) => Self::Int(value as i64),
            Some((4, Value::Fixed32(bits))) => Self::Float(f32::from_bits(bits)),
            Some((5, Value::Varint(value))) => Self::Bool(value != 0),
            Some((6, Value::Varint(value))) => Self::Type(DataType(value as i32)),
            Some((7, _)) => Self::Shape(partial_shape(&whole())?),
            Some((8, _)) => Self::Tensor(whole()),
            Some((9, Value::Len(bytes))) => Self::Placeholder(message.slice_ref(bytes)),
            Some((10, _)) => Self::Func(Func::decode(whole())?),
            Some(_) => Self::None,
        })
    }

    /// What kind of value it is, in the words of an op's definition.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None => "nothing",
            Self::Bytes(_) => "string",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Bool(_) => "bool",
            Self::Type(_) => "type",
            Self::Shape(_) => "shape",
            Self::Tensor(_) => "tensor",
            Self::Placeholder(_) => "placeholder",
            Self::Func(_) => "func",
            Self::List(_) => "list",
        }
    }
}

impl List {
    fn decode(message: &Bytes) -> Result<Self> {
        let mut lists = Lists::default();
        let mut all = fields(message);
        while let Some((number, value)) = all.next_field().map_err(bad)? {
            lists.add(message, number, value)?;
        }
        lists.finish()
    }

    /// How many elements.
    pub fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Bytes(list) | Self::Tensors(list) => list.len(),
            Self::Ints(list) => list.len(),
            Self::Floats(list) => list.len(),
            Self::Bools(list) => list.len(),
            Self::Types(list) => list.len(),
            Self::Shapes(list) => list.len(),
            Self::Funcs(list) => list.len(),
        }
    }

    /// No elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The fields of a ListValue as they come.
#[derive(Default)]
struct Lists {
    bytes: Vec<Bytes>,
    ints: Vec<i64>,
    floats: Vec<f32>,
    bools: Vec<bool>,
    types: Vec<DataType>,
    shapes: Vec<PartialShape>,
    tensors: Vec<Bytes>,
    funcs: Vec<Func>,
}

impl Lists {
    fn add(&mut self, message: &Bytes, number: u32, value: Value<'_>) -> Result<()> {
        match (number, value) {
            (2, Value::Len(bytes)) => self.bytes.push(message.slice_ref(bytes)),
            (4, Value::Fixed32(bits)) => self.floats.push(f32::from_bits(bits)),
            (4, Value::Len(packed)) => {
                let (chunks, rest) = packed.as_chunks::<4>();
                if !rest.is_empty() {
                    return Err(Fault::corrupt("attribute", "a list of floats ends within one"));
                }
                self.floats.extend(chunks.iter().map(|&bytes| f32::from_le_bytes(bytes)));
            }
            (3 | 5 | 6, Value::Varint(value)) => self.varint(number, value),
            (3 | 5 | 6, Value::Len(packed)) => {
                for value in packed_varints(packed) {
                    self.varint(number, value.map_err(bad)?);
                }
            }
            (7, Value::Len(bytes)) => self.shapes.push(partial_shape(bytes)?),
            (8, Value::Len(bytes)) => self.tensors.push(message.slice_ref(bytes)),
            (9, Value::Len(bytes)) => self.funcs.push(Func::decode(message.slice_ref(bytes))?),
            _ => {}
        }
        Ok(())
    }

    fn varint(&mut self, number: u32, value: u64) {
        match number {
            3 => self.ints.push(value as i64),
            5 => self.bools.push(value != 0),
            _ => self.types.push(DataType(value as i32)),
        }
    }

    fn finish(self) -> Result<List> {
        let lists = [
            List::Bytes(self.bytes),
            List::Ints(self.ints),
            List::Floats(self.floats),
            List::Bools(self.bools),
            List::Types(self.types),
            List::Shapes(self.shapes),
            List::Tensors(self.tensors),
            List::Funcs(self.funcs),
        ];
        let mut full = lists.into_iter().filter(|list| !list.is_empty());
        match (full.next(), full.next()) {
            (None, _) => Ok(List::Empty),
            (Some(list), None) => Ok(list),
            _ => Err(Fault::corrupt("attribute", "a list with elements of several kinds")),
        }
    }
}

/// Decodes a TensorShapeProto of which not all need be known.
pub fn partial_shape(message: &[u8]) -> Result<PartialShape> {
    let corrupt = |what: String| Fault::corrupt("shape", what);
    let (mut dims, mut unknown) = (Vec::new(), false);
    let mut all = fields(message);
    while let Some(field) = all.next_field().map_err(|why| corrupt(why.to_string()))? {
        match field {
            (2, Value::Len(dim)) => {
                let mut size = 0;
                let mut parts = fields(dim);
                while let Some(part) = parts.next_field().map_err(|why| corrupt(why.to_string()))? {
                    if let (1, Value::Varint(value)) = part {
                        size = value as i64;
                    }
                }
                if size < -1 {
                    return Err(corrupt(format!("a dimension of {size}")));
                }
                dims.push(u64::try_from(size).ok());
                if dims.len() > MAX_RANK {
                    return Err(corrupt(format!("more than {MAX_RANK} dimensions")));
                }
            }
            (3, Value::Varint(value)) => unknown = value != 0,
            _ => {}
        }
    }
    Ok((!unknown).then_some(dims))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(bytes: &[u8]) -> Attr {
        Attr::decode(&Bytes::copy_from_slice(bytes)).unwrap()
    }

    #[test]
    fn each_kind() {
        assert_eq!(decode(&[]), Attr::None);
        assert_eq!(decode(&[0x12, 2, b'h', 0xff]), Attr::Bytes(Bytes::from_static(b"h\xff")));
        assert_eq!(decode(&[0x18, 5]), Attr::Int(5));
        assert_eq!(decode(&[0x25, 0, 0, 0x80, 0x3f]), Attr::Float(1.0));
        assert_eq!(decode(&[0x28, 1]), Attr::Bool(true));
        assert_eq!(decode(&[0x30, 1]), Attr::Type(DataType::FLOAT));
        assert_eq!(decode(&[0x3a, 2, 0x18, 1]), Attr::Shape(None));
        assert_eq!(decode(&[0x3a, 4, 0x12, 2, 0x08, 3]), Attr::Shape(Some(vec![Some(3)])));
        assert_eq!(decode(&[0x42, 0]), Attr::Tensor(Bytes::new()));
        assert_eq!(decode(&[0x4a, 1, b'T']), Attr::Placeholder(Bytes::from_static(b"T")));
        let Attr::Func(func) = decode(&[0x52, 3, 0x0a, 1, b'f']) else { panic!() };
        assert_eq!((&func.name[..], func.attrs().unwrap()), (&b"f"[..], vec![]));
        assert_eq!(decode(&[0x0a, 0]), Attr::List(List::Empty));
        assert_eq!(decode(&[0x0a, 4, 0x1a, 2, 1, 2]), Attr::List(List::Ints(vec![1, 2])));
        assert_eq!(decode(&[0x0a, 4, 0x18, 1, 0x18, 2]), Attr::List(List::Ints(vec![1, 2])));
    }

    #[test]
    fn the_last_kind_counts_and_messages_are_merged() {
        assert_eq!(decode(&[0x18, 5, 0x28, 0]), Attr::Bool(false));
        let twice = decode(&[0x0a, 2, 0x18, 1, 0x0a, 2, 0x18, 2]);
        assert_eq!(twice, Attr::List(List::Ints(vec![1, 2])));
        let between = decode(&[0x0a, 2, 0x18, 1, 0x18, 9, 0x0a, 2, 0x18, 2]);
        assert_eq!(between, Attr::List(List::Ints(vec![2])));
    }

    #[test]
    fn what_is_refused() {
        let fault = |bytes: &[u8]| Attr::decode(&Bytes::copy_from_slice(bytes)).unwrap_err();
        let several = fault(&[0x0a, 4, 0x18, 1, 0x28, 1]);
        assert!(several.to_string().contains("several kinds"), "{several}");
        let minus = [&[0x3a, 13, 0x12, 11, 0x08, 0xfe][..], &[0xff; 8], &[1]].concat();
        assert!(fault(&minus).to_string().contains("a dimension of -2"));
        assert!(fault(&[0x0a, 3, 0x22, 1, 0]).to_string().contains("ends within one"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_value_or_a_fault(bytes: Vec<u8>) {
            if let Ok(Attr::Func(func)) = Attr::decode(&bytes.into()) {
                let _ = func.attrs();
            }
        }
    }
}
