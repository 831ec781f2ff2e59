//! The schema, out of descriptors.

use super::{EnumType, Field, Kind, MessageType, Oneof, Schema};
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet,
};
use std::collections::HashMap;

impl Schema {
    pub(super) fn read(descriptors: &[u8]) -> Self {
        // Bytes of this program, held fresh by a test: no file of a user comes here.
        let set = FileDescriptorSet::decode(descriptors).expect("our own descriptors");
        let mut found = Found::default();
        set.file.iter().for_each(|file| found.file(file));
        let places = |names: Vec<&String>| -> HashMap<String, u16> {
            names.into_iter().cloned().zip(0..).collect()
        };
        let messages = places(found.messages.iter().map(|(name, _)| name).collect());
        let enums = places(found.enums.iter().map(|found| &found.name).collect());
        let of = |name: &str| {
            let name = name.trim_start_matches('.');
            *messages.get(name).or_else(|| enums.get(name)).expect("a type of our own descriptors")
        };
        Self {
            messages: found.messages.iter().map(|(name, ty)| message_type(name, ty, &of)).collect(),
            by_name: messages.clone(),
            enums: found.enums,
        }
    }
}

/// The types of the descriptors, those inside others too, by full name.
#[derive(Default)]
struct Found<'a> {
    messages: Vec<(String, Described<'a>)>,
    enums: Vec<EnumType>,
}

/// A descriptor, and whether its file's fields say when they are set (proto2).
type Described<'a> = (&'a DescriptorProto, bool);

impl<'a> Found<'a> {
    fn file(&mut self, file: &'a FileDescriptorProto) {
        let proto2 = file.syntax() != "proto3";
        file.message_type.iter().for_each(|ty| self.message(file.package(), ty, proto2));
        file.enum_type.iter().for_each(|ty| self.enumeration(file.package(), ty));
    }

    fn message(&mut self, outer: &str, ty: &'a DescriptorProto, proto2: bool) {
        let name = format!("{outer}.{}", ty.name());
        ty.nested_type.iter().for_each(|inner| self.message(&name, inner, proto2));
        ty.enum_type.iter().for_each(|inner| self.enumeration(&name, inner));
        self.messages.push((name, (ty, proto2)));
    }

    fn enumeration(&mut self, outer: &str, ty: &EnumDescriptorProto) {
        let values = ty.value.iter().map(|value| (value.number(), value.name().to_owned()));
        let name = format!("{outer}.{}", ty.name());
        self.enums.push(EnumType { name, values: values.collect() });
    }
}

fn message_type(
    name: &str,
    &(ty, proto2): &Described<'_>,
    of: &impl Fn(&str) -> u16,
) -> MessageType {
    let is_entry = ty.options.as_ref().is_some_and(|options| options.map_entry());
    let mut fields: Vec<Field> =
        ty.field.iter().map(|field| read_field(field, ty, proto2 || is_entry, of)).collect();
    fields.sort_by_key(|field| field.number);
    let mut by_name: Vec<u16> = (0..).take(fields.len()).collect();
    by_name.sort_by_key(|&place| fields.get(usize::from(place)).map(Field::name));
    MessageType { name: name.to_owned(), fields, by_name, is_entry }
}

fn read_field(
    field: &FieldDescriptorProto,
    owner: &DescriptorProto,
    explicit: bool,
    of: &impl Fn(&str) -> u16,
) -> Field {
    let kind = kind(field.r#type());
    let repeated = field.label() == Label::Repeated;
    // protobuf puts an `optional` of proto3 in a oneof of its own, which nobody means.
    let place = field.oneof_index.filter(|_| !field.proto3_optional());
    let oneof = place.map(|place| Oneof {
        name: usize::try_from(place)
            .ok()
            .and_then(|place| owner.oneof_decl.get(place))
            .map_or_else(String::new, |oneof| oneof.name().to_owned()),
        others: (owner.field.iter())
            .filter(|other| other.oneof_index == Some(place) && other.number != field.number)
            .map(|other| (other.number() as u32, self::kind(other.r#type())))
            .collect(),
    });
    Field {
        name: field.name().to_owned(),
        number: field.number() as u32,
        kind,
        repeated,
        explicit: !repeated
            && (explicit
                || kind == Kind::Message
                || oneof.is_some()
                || field.proto3_optional.unwrap_or_default()),
        type_index: if field.type_name().is_empty() { 0 } else { of(field.type_name()) },
        oneof,
    }
}

fn kind(ty: Type) -> Kind {
    match ty {
        Type::Double => Kind::Double,
        Type::Float => Kind::Float,
        Type::Int64 => Kind::Int64,
        Type::Uint64 => Kind::UInt64,
        Type::Int32 => Kind::Int32,
        Type::Uint32 => Kind::UInt32,
        Type::Sint64 => Kind::SInt64,
        Type::Sint32 => Kind::SInt32,
        Type::Fixed64 => Kind::Fixed64,
        Type::Fixed32 => Kind::Fixed32,
        Type::Sfixed64 => Kind::SFixed64,
        Type::Sfixed32 => Kind::SFixed32,
        Type::Bool => Kind::Bool,
        Type::Enum => Kind::Enum,
        Type::String => Kind::String,
        Type::Bytes => Kind::Bytes,
        // None of the files has a group; a test says so.
        Type::Message | Type::Group => Kind::Message,
    }
}
