use super::*;
use crate::proto::proto_splitter::{
    ChunkedField, ChunkedMessage, FieldIndex, field_index::Kind, field_index::MapKey,
    field_index::map_key,
};
use crate::proto::{AttrValue, NodeDef, attr_value};
use crate::schema::schema;
use prost::Message as _;

fn step(kind: Kind) -> FieldIndex {
    FieldIndex { kind: Some(kind) }
}

fn field(chunk: u64, way: Vec<Kind>) -> ChunkedField {
    let message = ChunkedMessage { chunk_index: Some(chunk), ..Default::default() };
    ChunkedField { field_tag: way.into_iter().map(step).collect(), message: Some(message) }
}

fn put_together(chunks: &[&'static [u8]], message: &ChunkedMessage) -> Result<NodeDef> {
    let chunks = chunks.iter().map(|&chunk| Some(Bytes::from_static(chunk))).collect();
    let mut all = Chunks { all: chunks, ..Default::default() };
    let mut edits = Edits::default();
    all.collect(&[&message.encode_to_vec()], &mut edits, 0)?;
    let mut merged = Vec::new();
    merge::merge(&edits, schema().message("tensorflow.NodeDef").unwrap(), Vec::new(), &mut merged)?;
    Ok(NodeDef::decode(&merged[..]).unwrap())
}

fn key(text: &str) -> Kind {
    Kind::MapKey(MapKey { r#type: Some(map_key::Type::S(text.into())) })
}

#[test]
fn a_node_of_chunks() {
    // NodeDef { name: "a", input: "x" }, its op, input 1, input 0 anew, two attributes, more of the node.
    let chunks: &[&[u8]] =
        &[b"\x0a\x01a\x1a\x01x", b"Add", b"y", b"z", b"7", b"text", b"\x22\x03gpu"];
    let message = ChunkedMessage {
        chunk_index: Some(0),
        chunked_fields: vec![
            field(5, vec![Kind::Field(5), key("t"), Kind::Field(2)]),
            field(2, vec![Kind::Field(3), Kind::Index(1)]),
            field(3, vec![Kind::Field(3), Kind::Index(0)]),
            field(1, vec![Kind::Field(2)]),
            field(4, vec![Kind::Field(5), key("i"), Kind::Field(3)]),
            field(6, vec![]),
        ],
    };
    let node = put_together(chunks, &message).unwrap();
    let attr = |value| AttrValue { value: Some(value) };
    assert_eq!((&node.name[..], &node.op[..], &node.device[..]), ("a", "Add", "gpu"));
    assert_eq!(node.input, ["z", "y"]);
    assert_eq!(node.attr["i"], attr(attr_value::Value::I(7)));
    assert_eq!(node.attr["t"], attr(attr_value::Value::S(Bytes::from_static(b"text"))));
    assert_eq!(node.attr.len(), 2);
}

#[test]
fn a_chunk_has_one_place() {
    let message = ChunkedMessage { chunk_index: Some(0), chunked_fields: vec![field(0, vec![])] };
    let fault = put_together(&[b""], &message).unwrap_err();
    assert!(fault.to_string().contains("chunk 0 has two places"), "{fault}");
}

#[test]
fn ways_lead_to_chunks() {
    let fields = (0..200).map(|i| {
        let mut one = field(0, vec![Kind::Field(3), Kind::Index(i)]);
        one.message = None;
        one
    });
    let message = ChunkedMessage { chunk_index: Some(0), chunked_fields: fields.collect() };
    let fault = put_together(&[b""], &message).unwrap_err();
    assert!(fault.to_string().contains("more than 200 steps lead to its 1 chunks"), "{fault}");
}

#[test]
fn messages_in_one_another() {
    let mut message = ChunkedMessage::default();
    for _ in 0..MAX_MESSAGE_DEPTH + 2 {
        let field = ChunkedField { field_tag: Vec::new(), message: Some(message) };
        message = ChunkedMessage { chunk_index: None, chunked_fields: vec![field] };
    }
    let fault = put_together(&[b"", b"", b""], &message).unwrap_err();
    assert!(fault.to_string().contains("deep"), "{fault}");
}
