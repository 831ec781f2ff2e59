//! Held against prost: what it writes is read back field by field.

use super::*;
use crate::proto;
use proptest::prelude::*;
use prost::Message as _;
use std::collections::BTreeMap;

fn message(name: &str, bytes: impl Into<Bytes>) -> Message {
    let ty = schema().message(&format!("tensorflow.{name}")).unwrap();
    Message::new(ty, bytes.into())
}

fn get(message: &Message, name: &str) -> Option<Value> {
    message.get(message.field(name).unwrap()).unwrap()
}

fn all(message: &Message, name: &str) -> Vec<Value> {
    message.all(message.field(name).unwrap()).unwrap()
}

fn text(text: &str) -> Value {
    Value::Text(Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn slices_are_of_the_same_bytes() {
    let tensor = proto::TensorProto { tensor_content: vec![7; 4096].into(), ..Default::default() };
    let bytes = Bytes::from(tensor.encode_to_vec());
    let content = message("TensorProto", bytes.clone()).text("tensor_content").unwrap();
    assert_eq!(content.len(), 4096);
    assert!(bytes.as_ptr_range().contains(&content.as_ptr()));
}

#[test]
fn packed_and_unpacked_by_turns() {
    // int_val (7): 1, [2, -1], 3 unpacked with a wrong type between
    let mut bytes = vec![0x38, 1, 0x3a, 11, 2];
    bytes.extend([0xff; 9]);
    bytes.extend([1, 0x3d, 9, 9, 9, 9, 0x38, 3]);
    let tensor = message("TensorProto", bytes);
    let ints = all(&tensor, "int_val");
    assert_eq!(ints, [1, 2, -1, 3].map(Value::Int));
    // float_val (5), packed
    let tensor =
        message("TensorProto", &[0x2a, 8, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0x2d, 0, 0, 0, 0][..]);
    assert_eq!(all(&tensor, "float_val"), [1.0, -2.0, 0.0].map(Value::Float));
}

#[test]
fn a_packed_list_that_is_cut() {
    let tensor = message("TensorProto", &[0x2a, 6, 0, 0, 0x80, 0x3f, 0, 0][..]);
    let field = tensor.field("float_val").unwrap();
    let values: Vec<_> = tensor.values(field).collect();
    assert_eq!(values.len(), 2);
    assert_eq!(values[0], Ok(Value::Float(1.0)));
    assert_eq!(
        values[1].clone().unwrap_err().to_string(),
        "TensorProto: not a protobuf message: the bytes end too early"
    );
    assert!(tensor.all(field).is_err());
}

#[test]
fn the_last_scalar_counts() {
    let shape = message("TensorShapeProto.Dim", &[0x08, 1, 0x08, 2, 0x0d, 0, 0, 0, 0][..]);
    assert_eq!(get(&shape, "size"), Some(Value::Int(2)));
    let zero = message("TensorShapeProto.Dim", &[0x08, 1, 0x08, 0][..]);
    assert_eq!(get(&zero, "size"), None, "zero is not set, in proto3");
    assert!(zero.present().unwrap().is_empty());
}

#[test]
fn messages_are_merged() {
    // Three pieces of shape (2): dim { size: 1 }, nothing, dim { size: 2 }
    let bytes = [0x12, 4, 0x12, 2, 0x08, 1, 0x12, 0, 0x12, 4, 0x12, 2, 0x08, 2];
    let entry = message("BundleEntryProto", bytes.to_vec());
    let shape = entry.message("shape").unwrap().unwrap();
    let sizes: Vec<_> =
        shape.messages("dim").unwrap().iter().map(|dim| dim.int("size").unwrap()).collect();
    assert_eq!(sizes, [1, 2]);
}

#[test]
fn a_member_unsets_the_others() {
    let shape = [0x3a, 4, 0x12, 2, 0x08, 1]; // shape { dim { size: 1 } }
    let int = [0x18, 5]; // i: 5
    let wrong = [0x1d, 0, 0, 0, 0]; // i as a fixed32: not there
    let of = |parts: &[&[u8]]| message("AttrValue", parts.concat());
    let dims = |value: &Message| {
        value.message("shape").unwrap().map(|shape| shape.messages("dim").unwrap().len())
    };
    let which = |value: &Message| value.which("value").unwrap().map(Field::name);

    let value = of(&[&shape, &int]);
    assert_eq!((dims(&value), which(&value)), (None, Some("i")));
    let value = of(&[&shape, &int, &shape]);
    assert_eq!((dims(&value), which(&value)), (Some(1), Some("shape")));
    assert_eq!(get(&value, "i"), None);
    let value = of(&[&shape, &wrong, &shape]);
    assert_eq!((dims(&value), which(&value)), (Some(2), Some("shape")));
    assert_eq!(which(&of(&[])), None);
    assert!(of(&[&int]).which("none").unwrap().is_none());
    assert_eq!(get(&of(&[&[0x18, 0]]), "i"), Some(Value::Int(0)), "a member says when it is set");
}

#[test]
fn maps() {
    let entry = |key: &str, op: Option<i64>| {
        let mut entry = vec![0x0a, key.len() as u8];
        entry.extend(key.as_bytes());
        if let Some(op) = op {
            entry.extend([0x12, 2, 0x18, op as u8]);
        }
        [&[0x2a, entry.len() as u8], &*entry].concat()
    };
    let bytes = [entry("a", Some(1)), entry("b", Some(2)), entry("a", Some(3)), entry("c", None)];
    let node = message("NodeDef", [bytes.concat(), vec![0x2a, 0]].concat());
    let field = node.field("attr").unwrap();
    let entries = node.entries(field).unwrap();
    let read: Vec<_> = entries
        .iter()
        .map(|(key, value)| match value {
            Value::Message(value) => (key.clone(), get(value, "i")),
            other => panic!("{other:?}"),
        })
        .collect();
    let int = |value| Some(Value::Int(value));
    assert_eq!(
        read,
        [(text("a"), int(3)), (text("b"), int(2)), (text("c"), None), (text(""), None)]
    );
    let found = node.entry(field, &text("a")).unwrap().unwrap();
    assert!(matches!(found, Value::Message(value) if get(&value, "i") == int(3)));
    assert_eq!(node.entry(field, &text("z")).unwrap(), None);
}

#[test]
fn old_strings_need_not_be_text() {
    let node = message("NodeDef", &[0x0a, 2, 0xff, 0xfe][..]);
    assert_eq!(node.text("name").unwrap(), &[0xff, 0xfe][..]);
}

#[test]
fn unknown_fields_and_groups_are_not_there() {
    // field 100: 1; group 9 { field 1: "x" }; name: "n"
    let node = message("NodeDef", &[0xa0, 6, 1, 0x4b, 0x0a, 1, b'x', 0x4c, 0x0a, 1, b'n'][..]);
    let names: Vec<_> = node.present().unwrap().iter().map(|field| field.name()).collect();
    assert_eq!(names, ["name"]);
    assert_eq!(node.text("name").unwrap(), "n");
}

#[test]
fn an_any() {
    let asset = proto::AssetFileDef { filename: "f".into(), ..Default::default() };
    let any = |url: &str| prost_types::Any { type_url: url.into(), value: asset.encode_to_vec() };
    let ty = schema().message(ANY).unwrap();
    let unpack = |url| Message::new(ty, any(url).encode_to_vec().into()).unpack();
    let inner = unpack("type.googleapis.com/tensorflow.AssetFileDef").unwrap();
    assert_eq!(inner.ty().name(), "tensorflow.AssetFileDef");
    assert_eq!(inner.text("filename").unwrap(), "f");
    assert_eq!(
        unpack("x/some.Thing").unwrap_err().to_string(),
        "Any: it holds a message of a type not known here: \"x/some.Thing\""
    );
    assert_eq!(unpack("").unwrap_err().what(), "it does not say of which type it is");
    assert!(inner.unpack().is_err());
}

#[test]
fn a_field_that_does_not_exist() {
    let node = message("NodeDef", Bytes::new());
    assert_eq!(node.text("nome").unwrap_err().to_string(), "NodeDef: it has no field \"nome\"");
}

#[test]
fn broken_bytes_name_the_type() {
    let node = message("NodeDef", &[0x0a, 5, b'n'][..]);
    let fault = node.text("name").unwrap_err();
    assert_eq!(fault.to_string(), "NodeDef: not a protobuf message: the bytes end too early");
    assert_eq!(fault.kind(), crate::FaultKind::Corruption);
    assert_eq!(node.present().unwrap_err(), fault);
    assert_eq!(node.all(node.field("input").unwrap()).unwrap_err(), fault);
    assert_eq!(node.entries(node.field("attr").unwrap()).unwrap_err(), fault);
}

type Attr = proto::attr_value::Value;

fn short_text() -> impl Strategy<Value = String> {
    "[a-zé]{0,4}"
}

fn dims() -> impl Strategy<Value = proto::TensorShapeProto> {
    let dim = (any::<i64>(), short_text())
        .prop_map(|(size, name)| proto::tensor_shape_proto::Dim { size, name });
    (prop::collection::vec(dim, 0..4), any::<bool>())
        .prop_map(|(dim, unknown_rank)| proto::TensorShapeProto { dim, unknown_rank })
}

fn list() -> impl Strategy<Value = proto::attr_value::ListValue> {
    use prop::collection::vec;
    (
        vec(any::<Vec<u8>>().prop_map(Bytes::from), 0..3),
        vec(any::<i64>(), 0..4),
        vec(any::<f32>(), 0..4),
        vec(any::<bool>(), 0..4),
        vec(any::<i32>(), 0..4),
        vec(dims(), 0..3),
    )
        .prop_map(|(s, i, f, b, r#type, shape)| proto::attr_value::ListValue {
            s,
            i,
            f,
            b,
            r#type,
            shape,
            ..Default::default()
        })
}

fn attr() -> impl Strategy<Value = proto::AttrValue> {
    prop_oneof![
        any::<Vec<u8>>().prop_map(|bytes| Attr::S(bytes.into())),
        any::<i64>().prop_map(Attr::I),
        any::<f32>().prop_map(Attr::F),
        any::<bool>().prop_map(Attr::B),
        any::<i32>().prop_map(Attr::Type),
        dims().prop_map(Attr::Shape),
        list().prop_map(|list| Attr::List(Box::new(list))),
        short_text().prop_map(Attr::Placeholder),
    ]
    .prop_map(|value| proto::AttrValue { value: Some(value) })
}

fn node() -> impl Strategy<Value = proto::NodeDef> {
    let attrs = prop::collection::btree_map(short_text(), attr(), 0..4);
    (short_text(), short_text(), prop::collection::vec(short_text(), 0..4), short_text(), attrs)
        .prop_map(|(name, op, input, device, attr)| proto::NodeDef {
            name,
            op,
            input,
            device,
            attr,
            ..Default::default()
        })
}

fn tensor() -> impl Strategy<Value = proto::TensorProto> {
    use prop::collection::vec;
    (
        any::<i32>(),
        prop::option::of(dims()),
        any::<Vec<u8>>(),
        vec(any::<f64>(), 0..4),
        vec(any::<i32>(), 0..4),
        vec(any::<u64>(), 0..4),
        vec(any::<u32>(), 0..4),
    )
        .prop_map(|(dtype, tensor_shape, content, double_val, int_val, wide, narrow)| {
            proto::TensorProto {
                dtype,
                tensor_shape,
                tensor_content: content.into(),
                double_val,
                int_val,
                uint64_val: wide,
                uint32_val: narrow,
                ..Default::default()
            }
        })
}

/// Equal, NaNs too.
fn same(a: &[Value], b: &[Value]) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

fn check_shape(shape: &Message, want: &proto::TensorShapeProto) {
    assert_eq!(shape.flag("unknown_rank").unwrap(), want.unknown_rank);
    let dims: Vec<_> = shape
        .messages("dim")
        .unwrap()
        .iter()
        .map(|dim| (dim.int("size").unwrap(), dim.text("name").unwrap()))
        .collect();
    let want: Vec<_> =
        want.dim.iter().map(|dim| (dim.size, Bytes::from(dim.name.clone()))).collect();
    assert_eq!(dims, want);
}

fn check_attr(value: &Message, want: &proto::AttrValue) {
    let set = value.which("value").unwrap().map(Field::name);
    let got = set.and_then(|name| get(value, name));
    let ty = schema().enumeration("tensorflow.DataType").unwrap();
    match (want.value.as_ref().unwrap(), got.unwrap()) {
        (Attr::Shape(want), Value::Message(got)) => check_shape(&got, want),
        (Attr::List(want), Value::Message(got)) => {
            assert_eq!(got.texts("s").unwrap(), want.s);
            assert_eq!(all(&got, "i"), want.i.iter().copied().map(Value::Int).collect::<Vec<_>>());
            let floats: Vec<_> = want.f.iter().copied().map(Value::Float).collect();
            assert!(same(&all(&got, "f"), &floats));
            assert_eq!(all(&got, "b"), want.b.iter().copied().map(Value::Bool).collect::<Vec<_>>());
            let types: Vec<_> = want.r#type.iter().map(|&value| Value::Enum(value, ty)).collect();
            assert_eq!(all(&got, "type"), types);
            let shapes = got.messages("shape").unwrap();
            assert_eq!(shapes.len(), want.shape.len());
            shapes.iter().zip(&want.shape).for_each(|(got, want)| check_shape(got, want));
        }
        (want, got) => {
            let want = match want {
                Attr::S(bytes) => Value::Bytes(bytes.clone()),
                Attr::I(value) => Value::Int(*value),
                Attr::F(value) => Value::Float(*value),
                Attr::B(value) => Value::Bool(*value),
                Attr::Type(value) => Value::Enum(*value, ty),
                Attr::Placeholder(name) => text(name),
                other => panic!("{other:?}"),
            };
            assert!(same(&[got], &[want]));
        }
    }
}

proptest! {
    #[test]
    fn nodes_as_prost_writes_them(want in node()) {
        let node = message("NodeDef", want.encode_to_vec());
        prop_assert_eq!(&*node.text("name").unwrap(), want.name.as_bytes());
        prop_assert_eq!(&*node.text("op").unwrap(), want.op.as_bytes());
        prop_assert_eq!(&*node.text("device").unwrap(), want.device.as_bytes());
        prop_assert_eq!(node.texts("input").unwrap(), want.input.clone());
        prop_assert_eq!(node.has(node.field("op").unwrap()).unwrap(), !want.op.is_empty());
        let entries = node.entries(node.field("attr").unwrap()).unwrap();
        prop_assert_eq!(entries.len(), want.attr.len());
        let attrs: BTreeMap<_, _> = entries
            .into_iter()
            .map(|(key, value)| match (key, value) {
                (Value::Text(key), Value::Message(value)) => (key, value),
                other => panic!("{other:?}"),
            })
            .collect();
        for (name, want) in &want.attr {
            check_attr(&attrs[name.as_bytes()], want);
        }
    }

    #[test]
    fn tensors_as_prost_writes_them(want in tensor()) {
        let tensor = message("TensorProto", want.encode_to_vec());
        prop_assert_eq!(tensor.int("dtype").unwrap(), i64::from(want.dtype));
        prop_assert_eq!(tensor.text("tensor_content").unwrap(), want.tensor_content.clone());
        let shape = tensor.message("tensor_shape").unwrap();
        prop_assert_eq!(shape.is_some(), want.tensor_shape.is_some());
        if let (Some(got), Some(want)) = (&shape, &want.tensor_shape) {
            check_shape(got, want);
        }
        let doubles: Vec<_> = want.double_val.iter().copied().map(Value::Double).collect();
        prop_assert!(same(&all(&tensor, "double_val"), &doubles));
        let ints: Vec<_> = want.int_val.iter().map(|&value| Value::Int(value.into())).collect();
        prop_assert_eq!(all(&tensor, "int_val"), ints);
        let wide: Vec<_> = want.uint64_val.iter().copied().map(Value::UInt).collect();
        prop_assert_eq!(all(&tensor, "uint64_val"), wide);
        let narrow: Vec<_> = want.uint32_val.iter().map(|&value| Value::UInt(value.into())).collect();
        prop_assert_eq!(all(&tensor, "uint32_val"), narrow);
    }

    /// Pieces of messages, one behind the other, are one message: prost and this module merge them alike.
    #[test]
    fn pieces_are_merged_as_prost_merges(pieces in prop::collection::vec(attr(), 1..5)) {
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.encode_to_vec()).collect();
        let want = proto::AttrValue::decode(&*bytes).unwrap();
        check_attr(&message("AttrValue", bytes), &want);
    }

    #[test]
    fn numbers_of_every_width(wide: i64, sint: i64, crc: u32, id: u64) {
        let kind = Some(proto::structured_value::Kind::Int64Value(sint));
        let value = message("StructuredValue", proto::StructuredValue { kind }.encode_to_vec());
        prop_assert_eq!(value.int("int64_value").unwrap(), sint);
        let entry = proto::BundleEntryProto { offset: wide, crc32c: crc, ..Default::default() };
        let entry = message("BundleEntryProto", entry.encode_to_vec());
        prop_assert_eq!(entry.int("offset").unwrap(), wide);
        let crc = Some(Value::UInt(crc.into())).filter(|_| crc != 0);
        prop_assert_eq!(get(&entry, "crc32c"), crc);
        let trace = proto::graph_debug_info::StackTrace { frame_id: vec![id], ..Default::default() };
        let trace = message("GraphDebugInfo.StackTrace", trace.encode_to_vec());
        prop_assert_eq!(all(&trace, "frame_id"), [Value::UInt(id)]);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, start in 0usize..200) {
        let mut messages: Vec<Message> =
            schema().messages().iter().map(|ty| Message::new(ty, bytes.clone().into())).collect();
        // As a field's value, too, so that there is something inside.
        let tag = (start as u64 % 12 + 1) << 3 | 2;
        let mut whole = Vec::new();
        crate::varint::put_varint(&mut whole, tag);
        crate::varint::put_varint(&mut whole, bytes.len() as u64);
        whole.extend(&bytes);
        messages.extend(schema().messages().iter().map(|ty| Message::new(ty, whole.clone().into())));
        for message in &messages {
            let _ = (message.present(), message.unpack());
            for field in message.ty().fields() {
                let _ = (message.get(field), message.entries(field));
                let values = message.all(field).map_or(0, |all| all.len());
                prop_assert!(values <= message.bytes().len());
            }
        }
    }
}
