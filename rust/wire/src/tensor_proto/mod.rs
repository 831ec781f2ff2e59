//! A tensor inside a message: a `TensorProto`, read by the rules of TensorFlow's `Tensor::FromProto`
//! (FORMAT 7.7).
//!
//! ```text
//! 1 dtype  2 tensor_shape      the shape has N elements; where N is 0, what follows does not matter
//! 4 tensor_content             if not empty, all N elements: little-endian and dense; strings and messages
//!                              as varint32 length[N] | bytes of all of them, without checksums
//! 5 to 18                      otherwise the values, in the field of the type. More than N: the first N count.
//!                              Fewer: the last one repeats, for resources and variants an empty one.
//!                              None: zeros
//! ```
//!
//! Fields that do not matter are not looked into. Values are slices of the message wherever it has them as they
//! are wanted.

mod counted;
mod values;

#[cfg(test)]
mod tests;

use crate::bundle::Shape;
use crate::dtype::DataType;
use crate::limits::MAX_RANK;
use crate::pb::{Malformed, Value, fields};
use crate::{Fault, Result};
use bytes::Bytes;

pub use counted::CountedValues;

const PART: &str = "tensor";

/// A tensor that was in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorValue {
    /// Type of the elements: one that exists, and no reference.
    pub dtype: DataType,
    /// The shape, with N elements.
    pub shape: Shape,
    /// The elements.
    pub elements: Elements,
}

/// The N elements of a tensor. A shape may claim any N, so those that are all the same are one here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elements {
    /// For types of fixed width: N elements, little-endian and dense, as a little-endian bundle stores them.
    /// The small types have a byte each, its high bits zero.
    Raw(Bytes),
    /// N strings, serialized `ResourceHandleProto`s or serialized `VariantTensorDataProto`s.
    List(Vec<Bytes>),
    /// For types of fixed width: the bytes of an element that all N are equal to.
    Splat(Bytes),
    /// The string or serialized message that all N are equal to, empty where the tensor gives none.
    SplatList(Bytes),
}

/// What a `TensorProto` says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSummary {
    /// Type of the elements: one that exists, and no reference.
    pub dtype: DataType,
    /// The shape.
    pub shape: Shape,
    /// Bytes that the values take in the message, without tags and the lengths of fields.
    pub stored: u64,
}

/// Decodes a serialized `TensorProto`.
pub fn decode(message: &Bytes) -> Result<TensorValue> {
    let head = Head::read(message)?;
    let elements = values::elements(message, &head)?;
    Ok(TensorValue { dtype: head.dtype, shape: head.shape, elements })
}

/// Type, shape and stored size of a serialized `TensorProto`. The values are not decoded, so they may still turn
/// out not to fit.
pub fn summary(message: &[u8]) -> Result<TensorSummary> {
    let head = Head::read(message)?;
    let mut stored = 0;
    if head.content.is_empty() {
        for value in head.field.values(message) {
            let size = match value? {
                Value::Varint(value) => u64::from(value.max(1).ilog2() / 7 + 1),
                Value::Fixed32(_) => 4,
                Value::Fixed64(_) => 8,
                Value::Len(bytes) => bytes.len() as u64,
            };
            stored = if head.field.form == Form::Octets { size } else { stored + size };
        }
    } else {
        stored = head.content.len() as u64;
    }
    Ok(TensorSummary { dtype: head.dtype, shape: head.shape, stored })
}

/// All of a message but its values.
struct Head<'a> {
    dtype: DataType,
    shape: Shape,
    content: &'a [u8],
    field: Field,
}

impl<'a> Head<'a> {
    /// A field that comes again: the last wins, but the dimensions of shapes are put together.
    fn read(message: &'a [u8]) -> Result<Self> {
        let mut dtype = DataType::INVALID;
        let mut shape = Shape::default();
        let mut content = &[][..];
        let mut all = fields(message);
        while let Some(field) = all.next_field().map_err(malformed)? {
            match field {
                (1, Value::Varint(value)) => dtype = DataType(value as i32),
                (2, Value::Len(dims)) => merge(&mut shape, dims)?,
                (4, Value::Len(bytes)) => content = bytes,
                _ => {}
            }
        }
        let field = Field::of(dtype).ok_or_else(|| {
            Fault::corrupt(PART, format!("type {dtype} (number {}) has no values", dtype.0))
        })?;
        shape.check().map_err(|fault| Fault::corrupt(PART, fault.to_string()))?;
        Ok(Self { dtype, shape, content, field })
    }
}

/// Counts before it appends: a dimension costs two bytes.
fn merge(shape: &mut Shape, message: &[u8]) -> Result<()> {
    let dims = fields(message).take_while(Result::is_ok);
    let dims = dims.filter(|field| matches!(field, Ok((2, Value::Len(_))))).count();
    let rank = shape.rank() + dims;
    if rank > MAX_RANK {
        let what = format!("shape: {rank} dimensions or more, at most {MAX_RANK}");
        return Err(Fault::corrupt(PART, what));
    }
    shape.merge(message).map_err(malformed)
}

/// How a field holds values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A list of numbers of so many bytes, packed or one by one. A complex number is two of them.
    Fixed(usize),
    /// A list of varints, packed or one by one.
    Varints,
    /// The elements' bytes.
    Octets,
    /// A string or a message each time. Missing ones are the last one again, or empty.
    Items {
        /// The last one again.
        repeats: bool,
    },
}

/// The field of a type's values (FORMAT 4.6).
#[derive(Debug, Clone, Copy)]
struct Field {
    number: u32,
    form: Form,
}

impl Field {
    /// None for what is no type, and for references.
    fn of(dtype: DataType) -> Option<Self> {
        use DataType as T;
        let (number, form) = match dtype {
            T::FLOAT => (5, Form::Fixed(4)),
            T::DOUBLE => (6, Form::Fixed(8)),
            T::INT32 | T::UINT8 | T::INT16 | T::INT8 | T::UINT16 => (7, Form::Varints),
            T::QINT8 | T::QUINT8 | T::QINT32 | T::QINT16 | T::QUINT16 => (7, Form::Varints),
            T::INT4 | T::UINT4 | T::INT2 | T::UINT2 => (7, Form::Varints),
            T::STRING => (8, Form::Items { repeats: true }),
            T::COMPLEX64 => (9, Form::Fixed(4)),
            T::INT64 => (10, Form::Varints),
            T::BOOL => (11, Form::Varints),
            T::COMPLEX128 => (12, Form::Fixed(8)),
            T::HALF | T::BFLOAT16 => (13, Form::Varints),
            T::RESOURCE => (14, Form::Items { repeats: false }),
            T::VARIANT => (15, Form::Items { repeats: false }),
            T::UINT32 => (16, Form::Varints),
            T::UINT64 => (17, Form::Varints),
            T::FLOAT8_E5M2 | T::FLOAT8_E4M3FN | T::FLOAT8_E4M3FNUZ => (18, Form::Octets),
            T::FLOAT8_E4M3B11FNUZ | T::FLOAT8_E5M2FNUZ => (18, Form::Octets),
            T::FLOAT4_E2M1FN => (18, Form::Octets),
            _ => return None,
        };
        Some(Self { number, form })
    }

    /// Each time the field comes with a wire type that it can have.
    fn values<'a>(self, message: &'a [u8]) -> impl Iterator<Item = Result<Value<'a>>> {
        fields(message).filter_map(move |field| match field {
            Ok((number, value)) => {
                (number == self.number && self.takes(value)).then_some(Ok(value))
            }
            Err(error) => Some(Err(malformed(error))),
        })
    }

    fn takes(self, value: Value<'_>) -> bool {
        match value {
            Value::Len(_) => true,
            Value::Varint(_) => self.form == Form::Varints,
            Value::Fixed32(_) => self.form == Form::Fixed(4),
            Value::Fixed64(_) => self.form == Form::Fixed(8),
        }
    }
}

fn malformed(error: Malformed) -> Fault {
    Fault::corrupt(PART, format!("unable to parse it: {error}"))
}
