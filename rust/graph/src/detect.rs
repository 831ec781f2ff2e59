//! What a file is: a MetaGraphDef, a SavedModel or a GraphDef, binary or text.
//!
//! ```text
//!              MetaGraphDef           SavedModel            GraphDef
//! field 1      meta_info_def          schema version (int)  node*
//! field 2      graph_def              meta_graphs*          library
//! field 3      saver_def              –                     version (int)
//! field 4 …    all messages           –                     versions, debug_info
//! ```
//!
//! A NodeDef has a name and an op that is text, which nothing else in these places has.

use tensorbundle_wire::pb::{Value, fields};
use tensorbundle_wire::varint::Cursor;
use tensorbundle_wire::{Fault, lookalike, table};

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A MetaGraphDef: what `.meta` files hold.
    MetaGraph,
    /// A SavedModel: one or more MetaGraphDefs.
    SavedModel,
    /// A bare GraphDef: a frozen graph.
    Graph,
}

impl What {
    /// Its message's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::MetaGraph => "MetaGraphDef",
            Self::SavedModel => "SavedModel",
            Self::Graph => "GraphDef",
        }
    }

    /// Its message's name, with the package.
    pub(crate) fn full_name(self) -> &'static str {
        match self {
            Self::MetaGraph => "tensorflow.MetaGraphDef",
            Self::SavedModel => "tensorflow.SavedModel",
            Self::Graph => "tensorflow.GraphDef",
        }
    }
}

/// A GraphDef first: what is a node is nothing else, but a node's fields could be those of a `meta_info_def`.
const ALL: [What; 3] = [What::Graph, What::MetaGraph, What::SavedModel];

/// How the file's bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Binary,
    Text,
}

/// What a file is.
pub(crate) fn detect(bytes: &[u8]) -> Result<(What, Form), Fault> {
    if let Some(what) = ALL.into_iter().find(|&what| fits(bytes, what)) {
        return Ok((what, Form::Binary));
    }
    if let Some(what) = text(bytes) {
        return Ok((what, Form::Text));
    }
    Err(neither(bytes))
}

/// Do the first fields of `bytes` fit the message, down to the first node?
fn fits(bytes: &[u8], what: What) -> bool {
    let mut proven = false;
    for field in fields(bytes) {
        let Ok(field) = field else {
            return false;
        };
        let fit = match (what, field) {
            (What::MetaGraph, (1, Value::Len(info))) => Some(is_meta_info(info)),
            (What::MetaGraph, (2, Value::Len(graph))) => {
                Some(has_no_nodes(graph) || fits(graph, What::Graph))
            }
            (What::MetaGraph, (3..=7, Value::Len(_))) => None,
            (What::SavedModel, (1, Value::Varint(_))) => None,
            (What::SavedModel, (2, Value::Len(meta))) => Some(fits(meta, What::MetaGraph)),
            (What::Graph, (1, Value::Len(node))) => Some(is_node(node)),
            (What::Graph, (2, Value::Len(library))) => Some(is_library(library)),
            (What::Graph, (4, Value::Len(versions))) if is_versions(versions) => {
                proven = true; // a graph may have no nodes
                None
            }
            (What::Graph, (3, Value::Varint(_)) | (4 | 5, Value::Len(_))) => None,
            // Later versions may add fields, with higher numbers.
            (_, (8.., _)) => None,
            _ => Some(false),
        };
        match fit {
            Some(false) => return false,
            // The first of a GraphDef's nodes is enough; the other messages are few and small to look at.
            Some(true) if what == What::Graph => return true,
            Some(true) => proven = true,
            None => {}
        }
    }
    proven
}

fn has_no_nodes(graph: &[u8]) -> bool {
    fields(graph).all(|field| {
        matches!(field, Ok((3, Value::Varint(_)) | (4 | 5, Value::Len(_)) | (2, Value::Len([]))))
    })
}

fn is_versions(versions: &[u8]) -> bool {
    !versions.is_empty()
        && fields(versions)
            .all(|field| matches!(field, Ok((1..=3, Value::Varint(_)) | (3, Value::Len(_)))))
}

fn is_node(node: &[u8]) -> bool {
    let mut fields = fields(node).flatten();
    let name = matches!(fields.next(), Some((1, Value::Len([_, ..]))));
    name && matches!(fields.next(), Some((2, Value::Len(op))) if is_text(op))
}

fn is_text(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| byte >= b' ' && byte != 0x7f)
}

fn is_library(library: &[u8]) -> bool {
    let function = |bytes: &[u8]| match fields(bytes).next() {
        Some(Ok((1, Value::Len(signature)))) => {
            matches!(fields(signature).next(), Some(Ok((1, Value::Len(name)))) if is_text(name))
        }
        _ => false,
    };
    match fields(library).next() {
        Some(Ok((1, Value::Len(bytes)))) => function(bytes),
        Some(Ok((2 | 3, Value::Len(_)))) => true,
        _ => false,
    }
}

fn is_meta_info(info: &[u8]) -> bool {
    fields(info).all(|field| {
        matches!(field, Ok((1..=6 | 8, Value::Len(_)) | (7, Value::Varint(_)) | (9.., _)))
    })
}

/// What a text is, by the name of its first field.
fn text(bytes: &[u8]) -> Option<What> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut lines = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(b"#"))?;
    let name = first.split(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'_')).next()?;
    let behind = first.get(name.len()..).unwrap_or_default().trim_ascii_start();
    if !matches!(behind.first(), Some(b':' | b'{' | b'<') | None) {
        return None; // the first words of a text of another kind
    }
    Some(match name {
        b"meta_info_def" | b"graph_def" | b"saver_def" | b"collection_def" | b"signature_def"
        | b"asset_file_def" | b"object_graph_def" => What::MetaGraph,
        b"saved_model_schema_version" | b"meta_graphs" => What::SavedModel,
        b"node" | b"library" | b"version" | b"versions" => What::Graph,
        _ => return None,
    })
}

const PART: &str = "meta graph";

/// Why bytes are none of them: what they seem to be instead.
fn neither(bytes: &[u8]) -> Fault {
    let head = bytes.get(..lookalike::HEAD_LEN as usize).unwrap_or(bytes);
    let tail = bytes.get(bytes.len().saturating_sub(table::FOOTER_LEN as usize)..).unwrap_or(bytes);
    let corrupt = |what: &str| Fault::corrupt(PART, what.to_owned());
    if table::Footer::parse(tail).is_ok() {
        return corrupt(
            "this is a checkpoint's table of tensors (an .index or V1 file), not a graph",
        )
        .advise("give its .meta, or open the checkpoint with tensorbundle.open");
    }
    if bytes.get(4..8) == Some(b"TFL3") {
        return corrupt("this is a TensorFlow Lite model, not a TensorFlow graph");
    }
    let none = "no MetaGraphDef, SavedModel or GraphDef";
    if head.trim_ascii_start().starts_with(b"model_checkpoint_path") {
        return corrupt("this is a `checkpoint` state file, not a graph");
    }
    if let Some(looks) = lookalike::describe(head, bytes.len() as u64) {
        return corrupt(none).advise(looks);
    }
    if let Some(fault) = cut_short(bytes) {
        return fault;
    }
    corrupt(none).advise("the bytes are damaged, or they are something else")
}

/// A file that begins like one of them and ends within a field.
fn cut_short(bytes: &[u8]) -> Option<Fault> {
    let mut cursor = Cursor::new(bytes);
    loop {
        let start = cursor.pos();
        let tag = cursor.varint64().ok()?;
        match tag & 7 {
            0 => {
                cursor.varint64().ok()?;
            }
            2 if (1..=8).contains(&(tag >> 3)) => {
                let len = cursor.varint64().ok()?;
                let left = cursor.rest().len() as u64;
                if len > left {
                    let what = format!(
                        "field {} has {len} bytes, but the file ends {left} bytes into it",
                        tag >> 3
                    );
                    let fault = Fault::corrupt(PART, what).at(start as u64);
                    return Some(fault.advise("the file was cut short, or bytes are missing"));
                }
                cursor.take(usize::try_from(len).ok()?).ok()?;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tensorbundle_wire::proto;

    fn encode(message: &impl prost::Message) -> Vec<u8> {
        message.encode_to_vec()
    }

    fn node() -> proto::NodeDef {
        proto::NodeDef { name: "a".into(), op: "NoOp".into(), ..Default::default() }
    }

    #[test]
    fn each_kind_of_file() {
        let graph = proto::GraphDef { node: vec![node()], ..Default::default() };
        let info = proto::meta_graph_def::MetaInfoDef {
            tensorflow_version: "1.0".into(),
            ..Default::default()
        };
        let meta = proto::MetaGraphDef {
            meta_info_def: Some(info.clone()),
            graph_def: Some(graph.clone()),
            ..Default::default()
        };
        let bare = proto::MetaGraphDef { graph_def: Some(graph.clone()), ..Default::default() };
        let saved =
            proto::SavedModel { saved_model_schema_version: 1, meta_graphs: vec![meta.clone()] };
        let binary = |what| Ok((what, Form::Binary));
        assert_eq!(detect(&encode(&graph)), binary(What::Graph));
        assert_eq!(detect(&encode(&meta)), binary(What::MetaGraph));
        assert_eq!(detect(&encode(&bare)), binary(What::MetaGraph));
        assert_eq!(detect(&encode(&saved)), binary(What::SavedModel));
        let text = |text: &[u8]| detect(text).map(|(what, form)| (what, form == Form::Text));
        assert_eq!(text(b"# c\n\nnode {\n"), Ok((What::Graph, true)));
        assert_eq!(text(b"meta_info_def {}"), Ok((What::MetaGraph, true)));
        assert_eq!(text(b"saved_model_schema_version: 1"), Ok((What::SavedModel, true)));
    }

    #[test]
    fn what_stands_there_instead() {
        for (bytes, said) in [
            (&b""[..], "the file is empty"),
            (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
            (b"\x1c\0\0\0TFL3....", "TensorFlow Lite"),
            (b"model_checkpoint_path: \"m-1\"\nall_model_checkpoint_paths: \"m-1\"", "state file"),
            (b"\x12\xff\x01\x0a\x05\x0a\x01a\x12\0", "the file ends 7 bytes into it"),
            (b"\0\0\0\0\0\0", "no MetaGraphDef, SavedModel or GraphDef"),
        ] {
            let fault = detect(bytes).unwrap_err().to_string();
            assert!(fault.contains(said), "{fault}");
        }
    }
}
