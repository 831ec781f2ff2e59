//! What the `.proto` files say, at run time: message types, their fields, enums.
//!
//! Built once from the descriptors that `cargo xtask protos` writes beside the generated code. Types refer
//! to one another by number and are looked up here, so that they may be recursive.

use crate::pb;
use once_cell::race::OnceBox;
use std::collections::HashMap;
use std::fmt;

mod read;

static DESCRIPTORS: &[u8] = include_bytes!("proto/descriptors.bin");

/// All types.
pub fn schema() -> &'static Schema {
    // No lock: a process that forks while a thread builds it must not wait for that thread for ever.
    static SCHEMA: OnceBox<Schema> = OnceBox::new();
    SCHEMA.get_or_init(|| Box::new(Schema::read(DESCRIPTORS)))
}

/// The name of an `Any`'s type.
pub(crate) const ANY: &str = "google.protobuf.Any";

/// Message types and enums, by full name.
#[derive(Debug)]
pub struct Schema {
    messages: Vec<MessageType>,
    enums: Vec<EnumType>,
    by_name: HashMap<String, u16>,
}

/// A type of messages.
pub struct MessageType {
    name: String,
    /// In the order of their numbers.
    fields: Vec<Field>,
    /// Places in `fields`, in the order of the fields' names.
    by_name: Vec<u16>,
    is_entry: bool,
}

/// A field of a message type.
#[derive(Debug)]
pub struct Field {
    name: String,
    number: u32,
    kind: Kind,
    repeated: bool,
    explicit: bool,
    /// Place of its message or enum type in the schema.
    type_index: u16,
    oneof: Option<Oneof>,
}

#[derive(Debug)]
struct Oneof {
    name: String,
    /// The other members, as number and kind.
    others: Vec<(u32, Kind)>,
}

/// An enum.
#[derive(Debug)]
pub struct EnumType {
    name: String,
    values: Vec<(i32, String)>,
}

/// What a field's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of protobuf")]
pub enum Kind {
    Double,
    Float,
    Int64,
    UInt64,
    Int32,
    UInt32,
    SInt64,
    SInt32,
    Fixed64,
    Fixed32,
    SFixed64,
    SFixed32,
    Bool,
    Enum,
    String,
    Bytes,
    Message,
}

/// How the wire holds one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WireType {
    Varint,
    Fixed64,
    Fixed32,
    Len,
}

impl Kind {
    pub(crate) fn wire_type(self) -> WireType {
        match self {
            Self::Double | Self::Fixed64 | Self::SFixed64 => WireType::Fixed64,
            Self::Float | Self::Fixed32 | Self::SFixed32 => WireType::Fixed32,
            Self::String | Self::Bytes | Self::Message => WireType::Len,
            _ => WireType::Varint,
        }
    }

    /// Whether the wire has one value of this kind here. A known number with another type is no field of ours.
    pub(crate) fn fits(self, value: &pb::Value<'_>) -> bool {
        self.wire_type()
            == match value {
                pb::Value::Varint(_) => WireType::Varint,
                pb::Value::Fixed64(_) => WireType::Fixed64,
                pb::Value::Fixed32(_) => WireType::Fixed32,
                pb::Value::Len(_) => WireType::Len,
            }
    }
}

impl Schema {
    /// The message type of a full name, as in `tensorflow.NodeDef`.
    pub fn message(&self, name: &str) -> Option<&MessageType> {
        self.messages.get(usize::from(*self.by_name.get(name)?))
    }

    /// All message types; entries of maps are among them.
    pub fn messages(&self) -> &[MessageType] {
        &self.messages
    }

    /// The enum of a full name, as in `tensorflow.DataType`.
    pub fn enumeration(&self, name: &str) -> Option<&EnumType> {
        self.enums.iter().find(|found| found.name == name)
    }
}

impl MessageType {
    /// Its full name: `tensorflow.NodeDef`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its name without the package and the types around it: `NodeDef`.
    pub fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or_default()
    }

    /// Its fields, in the order of their numbers.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field of a number.
    pub fn field(&self, number: u32) -> Option<&Field> {
        let place = self.fields.binary_search_by_key(&number, |field| field.number).ok()?;
        self.fields.get(place)
    }

    /// The field of a name.
    pub fn field_named(&self, name: &str) -> Option<&Field> {
        let at = |place: &u16| self.fields.get(usize::from(*place));
        let found =
            self.by_name.binary_search_by(|place| at(place).map(Field::name).cmp(&Some(name)));
        self.by_name.get(found.ok()?).and_then(at)
    }

    /// The members of a oneof; none if it has no such oneof.
    pub fn oneof<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Field> {
        self.fields.iter().filter(move |field| field.oneof() == Some(name))
    }

    /// Whether it is the entry of a map: a key (1) and a value (2).
    pub fn is_entry(&self) -> bool {
        self.is_entry
    }

    /// Names of fields that may have been meant by `wanted`, the nearest first.
    pub fn near(&self, wanted: &str) -> Vec<&str> {
        near(self.fields.iter().map(Field::name), wanted)
    }
}

impl fmt::Debug for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl PartialEq for MessageType {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self.name == other.name
    }
}

impl Eq for MessageType {}

impl PartialEq for EnumType {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self.name == other.name
    }
}

impl Eq for EnumType {}

impl Field {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number on the wire.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// What its values are.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it has any number of values; a map has.
    pub fn is_repeated(&self) -> bool {
        self.repeated
    }

    /// Whether it is a map, that is repeated entries.
    pub fn is_map(&self) -> bool {
        self.repeated && self.message_type().is_some_and(MessageType::is_entry)
    }

    /// Whether being set to the default is different from not being set: messages, members of a oneof,
    /// `optional` and proto2. Of others (proto3) a default on the wire counts as not set, as protobuf has it.
    pub fn has_presence(&self) -> bool {
        self.explicit
    }

    /// The oneof that it is a member of.
    pub fn oneof(&self) -> Option<&str> {
        self.oneof.as_ref().map(|oneof| oneof.name.as_str())
    }

    /// Numbers and kinds of the oneof's other members.
    pub(crate) fn others(&self) -> &[(u32, Kind)] {
        self.oneof.as_ref().map_or(&[], |oneof| &oneof.others)
    }

    /// The type of its messages; of a map's entries.
    pub fn message_type(&self) -> Option<&'static MessageType> {
        let is_message = self.kind == Kind::Message;
        schema().messages.get(usize::from(self.type_index)).filter(|_| is_message)
    }

    /// Key and value of a map's entries.
    pub fn entry(&self) -> Option<(&'static Field, &'static Field)> {
        let entry = self.message_type().filter(|ty| self.repeated && ty.is_entry)?;
        Some((entry.field(1)?, entry.field(2)?))
    }

    /// The enum of its values.
    pub fn enum_type(&self) -> Option<&'static EnumType> {
        let is_enum = self.kind == Kind::Enum;
        schema().enums.get(usize::from(self.type_index)).filter(|_| is_enum)
    }
}

impl EnumType {
    /// Its full name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of a number. Enums are open: a number without one is no error.
    pub fn name_of(&self, number: i32) -> Option<&str> {
        let named = self.values.iter().find(|(found, _)| *found == number);
        named.map(|(_, name)| name.as_str())
    }

    /// The number of a name.
    pub fn number_of(&self, name: &str) -> Option<i32> {
        self.values.iter().find(|(_, found)| found == name).map(|(number, _)| *number)
    }

    /// Names of values that may have been meant by `wanted`, the nearest first.
    pub fn near(&self, wanted: &str) -> Vec<&str> {
        near(self.values.iter().map(|(_, name)| name.as_str()), wanted)
    }
}

/// At most three names that are a few slips away from `wanted`.
fn near<'a>(names: impl Iterator<Item = &'a str>, wanted: &str) -> Vec<&'a str> {
    const LONGEST: usize = 64; // our own names; the distance to a longer text is of no use
    if wanted.len() > LONGEST {
        return Vec::new();
    }
    let slips = 1 + wanted.len() / 4;
    let mut found: Vec<_> = names.map(|name| (distance(name, wanted), name)).collect();
    found.retain(|(distance, _)| *distance <= slips);
    found.sort();
    found.into_iter().take(3).map(|(_, name)| name).collect()
}

/// How many letters must be put in, taken out or changed to make one of the other; case is not counted.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut before = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let change = before + usize::from(!x.eq_ignore_ascii_case(&y));
            before = *cell;
            left = change.min(before + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;
    use prost_types::FileDescriptorSet;
    use prost_types::field_descriptor_proto::Type;

    fn message(name: &str) -> &'static MessageType {
        schema().message(name).unwrap()
    }

    #[test]
    fn a_node() {
        let node = message("tensorflow.NodeDef");
        assert_eq!(node.short_name(), "NodeDef");
        let names: Vec<_> = node.fields().iter().take(5).map(Field::name).collect();
        assert_eq!(names, ["name", "op", "input", "device", "attr"]);
        let attr = node.field_named("attr").unwrap();
        assert!(attr.is_map() && attr.is_repeated() && !attr.has_presence());
        let (key, value) = attr.entry().unwrap();
        assert_eq!((key.kind(), value.kind()), (Kind::String, Kind::Message));
        assert_eq!(value.message_type(), schema().message("tensorflow.AttrValue"));
        assert_eq!(node.field(3).unwrap().name(), "input");
        assert!(node.field(3).unwrap().is_repeated() && !node.field(3).unwrap().is_map());
        assert!(node.field(99).is_none() && node.field_named("inputs").is_none());
    }

    #[test]
    fn oneofs_and_presence() {
        let attr = message("tensorflow.AttrValue");
        let members: Vec<_> = attr.oneof("value").map(Field::name).collect();
        assert_eq!(
            members,
            ["list", "s", "i", "f", "b", "type", "shape", "tensor", "placeholder", "func"]
        );
        assert_eq!(attr.field(3).unwrap().others().len(), 9);
        assert!(attr.oneof("none").next().is_none());
        assert!(attr.field_named("i").unwrap().has_presence());
        assert!(!message("tensorflow.NodeDef").field_named("op").unwrap().has_presence());
        let index = message("tensorflow.proto_splitter.ChunkedField");
        assert!(index.fields().iter().any(Field::has_presence));
        // proto3's `optional`
        let optional = schema().messages().iter().flat_map(MessageType::fields);
        let optional: Vec<_> = optional.filter(|field| field.name() == "chunk_index").collect();
        assert!(!optional.is_empty());
        assert!(optional.iter().any(|field| field.has_presence() && field.oneof().is_none()));
        let proto2 = message("tensorflow.GraphDebugInfo.FileLineCol");
        assert!(proto2.fields().iter().all(Field::has_presence));
    }

    #[test]
    fn enums() {
        let dtype = message("tensorflow.TensorProto").field_named("dtype").unwrap();
        let ty = dtype.enum_type().unwrap();
        assert_eq!(ty.name(), "tensorflow.DataType");
        assert_eq!((ty.name_of(1), ty.number_of("DT_INT32")), (Some("DT_FLOAT"), Some(3)));
        assert_eq!((ty.name_of(-7), ty.number_of("DT")), (None, None));
        assert_eq!(
            schema().enumeration("tensorflow.DataType").map(EnumType::name),
            Some(ty.name())
        );
        assert!(dtype.message_type().is_none());
    }

    #[test]
    fn every_field_is_found_by_number_and_by_name() {
        for ty in schema().messages() {
            assert_eq!(schema().message(ty.name()).unwrap(), ty);
            for field in ty.fields() {
                for found in [ty.field(field.number()), ty.field_named(field.name())] {
                    assert!(std::ptr::eq(found.unwrap(), field), "{ty:?} {}", field.name());
                }
                assert_eq!(field.message_type().is_some(), field.kind() == Kind::Message);
                assert_eq!(field.enum_type().is_some(), field.kind() == Kind::Enum);
                assert_eq!(field.entry().is_some(), field.is_map());
            }
        }
    }

    /// What the files could have and this module does not do.
    #[test]
    fn nothing_is_left_out() {
        let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
        let mut types: Vec<_> = set.file.iter().flat_map(|file| &file.message_type).collect();
        while let Some(ty) = types.pop() {
            types.extend(&ty.nested_type);
            assert!(ty.extension.is_empty() && ty.extension_range.is_empty(), "{ty:?}");
            for field in &ty.field {
                assert_ne!(field.r#type(), Type::Group);
                assert_eq!(field.default_value, None);
            }
        }
        for file in &set.file {
            assert!(file.extension.is_empty() && file.source_code_info.is_none());
            let closed = file.syntax() != "proto3" && !file.enum_type.is_empty();
            assert!(!closed, "an enum of proto2 is closed");
            // The first value of an open enum, its default, is 0.
            let first =
                file.enum_type.iter().map(|ty| ty.value.first().map(|value| value.number()));
            assert!(first.into_iter().all(|number| number == Some(0)));
        }
    }

    #[test]
    fn near_names() {
        let node = message("tensorflow.NodeDef");
        assert_eq!(node.near("inptu"), ["input"]);
        assert_eq!(node.near("Name"), ["name"]);
        assert!(node.near("zzzzzz").is_empty() && node.near(&"n".repeat(100)).is_empty());
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!((distance("", "abc"), distance("abc", "")), (3, 3));
    }
}
