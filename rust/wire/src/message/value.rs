//! A field's value, and what the wire has for it.

use super::Message;
use crate::pb;
use crate::schema::{EnumType, Field, Kind};
use bytes::Bytes;

/// A field's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of a signed kind.
    Int(i64),
    /// Of an unsigned kind.
    UInt(u64),
    /// A `float`.
    Float(f32),
    /// A `double`.
    Double(f64),
    /// A `bool`.
    Bool(bool),
    /// A `string`. It should be UTF-8; old files do not all keep to it.
    Text(Bytes),
    /// A `bytes`.
    Bytes(Bytes),
    /// A number, named by the enum or not.
    Enum(i32, &'static EnumType),
    /// A message.
    Message(Message),
}

impl Value {
    /// What the wire has, as the field's kind; `None` if that is not how the wire has it.
    pub(super) fn of_wire(
        field: &Field,
        value: pb::Value<'_>,
        slice: impl Fn(&[u8]) -> Bytes,
    ) -> Option<Self> {
        Some(match (value, field.kind()) {
            (pb::Value::Len(bytes), Kind::Message) => {
                Self::Message(Message::new(field.message_type()?, slice(bytes)))
            }
            (pb::Value::Len(bytes), Kind::String) => Self::Text(slice(bytes)),
            (pb::Value::Len(bytes), Kind::Bytes) => Self::Bytes(slice(bytes)),
            (pb::Value::Varint(bits), _) => return of_varint(field, bits),
            (pb::Value::Fixed64(bits), Kind::Double) => Self::Double(f64::from_bits(bits)),
            (pb::Value::Fixed64(bits), Kind::Fixed64) => Self::UInt(bits),
            (pb::Value::Fixed64(bits), Kind::SFixed64) => Self::Int(bits as i64),
            (pb::Value::Fixed32(bits), Kind::Float) => Self::Float(f32::from_bits(bits)),
            (pb::Value::Fixed32(bits), Kind::Fixed32) => Self::UInt(bits.into()),
            (pb::Value::Fixed32(bits), Kind::SFixed32) => Self::Int((bits as i32).into()),
            _ => return None,
        })
    }

    /// What protobuf takes for a field that is not set; for a message an empty one.
    pub fn default_of(field: &Field) -> Self {
        match field.kind() {
            Kind::Double => Self::Double(0.0),
            Kind::Float => Self::Float(0.0),
            Kind::Bool => Self::Bool(false),
            Kind::String => Self::Text(Bytes::new()),
            Kind::Bytes => Self::Bytes(Bytes::new()),
            Kind::UInt64 | Kind::UInt32 | Kind::Fixed64 | Kind::Fixed32 => Self::UInt(0),
            Kind::Enum | Kind::Message => match (field.enum_type(), field.message_type()) {
                (Some(ty), _) => Self::Enum(0, ty),
                (_, Some(ty)) => Self::Message(Message::new(ty, Bytes::new())),
                _ => Self::Int(0),
            },
            _ => Self::Int(0),
        }
    }

    /// Whether a field with this value is the same as one that is not set. Minus zero is not zero here.
    pub(super) fn is_default(&self) -> bool {
        match self {
            Self::Int(value) => *value == 0,
            Self::UInt(value) => *value == 0,
            Self::Float(value) => value.to_bits() == 0,
            Self::Double(value) => value.to_bits() == 0,
            Self::Bool(value) => !value,
            Self::Text(bytes) | Self::Bytes(bytes) => bytes.is_empty(),
            Self::Enum(number, _) => *number == 0,
            Self::Message(_) => false,
        }
    }
}

/// Bits that a kind does not hold are cut off, as protobuf does.
fn of_varint(field: &Field, bits: u64) -> Option<Value> {
    let unzigzag = |bits: u64| (bits >> 1) as i64 ^ -((bits & 1) as i64);
    Some(match field.kind() {
        Kind::Int64 => Value::Int(bits as i64),
        Kind::Int32 => Value::Int((bits as i32).into()),
        Kind::UInt64 => Value::UInt(bits),
        Kind::UInt32 => Value::UInt((bits as u32).into()),
        Kind::SInt64 => Value::Int(unzigzag(bits)),
        Kind::SInt32 => Value::Int(unzigzag((bits as u32).into())),
        Kind::Bool => Value::Bool(bits != 0),
        Kind::Enum => Value::Enum(bits as i32, field.enum_type()?),
        _ => return None,
    })
}

/// A map's key: protobuf has numbers, truth values and strings for it.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum Key {
    Number(u64),
    Text(Bytes),
}

impl Key {
    pub(super) fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Int(value) => Self::Number(*value as u64),
            Value::UInt(value) => Self::Number(*value),
            Value::Bool(value) => Self::Number((*value).into()),
            Value::Text(text) => Self::Text(text.clone()),
            _ => return None,
        })
    }
}
