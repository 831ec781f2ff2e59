//! The object graph of a SavedModel: its variables, and what leads to them (FORMAT 9.2).
//!
//! ```text
//! SavedObjectGraph { 1 nodes* }   SavedObject { 1 children* { 1 node_id  2 local_name }  7 variable … }
//! SavedVariable { 1 dtype  2 shape  3 trainable  6 name … }
//! ```

use crate::attr::{PartialShape, partial_shape};
use crate::body::string_field;
use crate::meta_graph::{MetaGraph, pieces};
use crate::span::Span;
use bytes::Bytes;
use tensorbundle_wire::Result;
use tensorbundle_wire::dtype::DataType;
use tensorbundle_wire::pb::{Malformed, Value, fields};

/// A variable of the object graph of a SavedModel.
#[derive(Debug, Clone)]
pub struct ObjectVariable {
    /// The number of its object.
    pub object: u32,
    /// Its name, which others may have too.
    pub name: Bytes,
    /// Its element type.
    pub dtype: DataType,
    /// Its shape.
    pub shape: PartialShape,
    /// Whether it is trained.
    pub trainable: bool,
}

impl MetaGraph {
    /// The variables of the object graph.
    pub(crate) fn object_variables(&self) -> Result<Vec<ObjectVariable>> {
        const NODES: u32 = 1;
        const VARIABLE: u32 = 7;
        let mut found = Vec::new();
        let source = self.source();
        let mut number = 0;
        for objects in self.object_graphs()? {
            for node in pieces(source, objects, NODES)? {
                for variable in pieces(source, node, VARIABLE)? {
                    found.push(self.object_variable(number, variable)?);
                }
                number += 1;
            }
        }
        Ok(found)
    }

    fn object_variable(&self, object: u32, span: Span) -> Result<ObjectVariable> {
        let source = self.source();
        let bad = |why| source.malformed("object graph", span, why);
        let bytes = source.get(span);
        let mut made = ObjectVariable {
            object,
            name: source.all().slice_ref(string_field(bytes, 6).map_err(bad)?),
            dtype: DataType::INVALID,
            shape: None,
            trainable: false,
        };
        for field in fields(bytes) {
            match field.map_err(bad)? {
                (1, Value::Varint(number)) => made.dtype = DataType(number as i32),
                (2, Value::Len(shape)) => made.shape = partial_shape(shape)?,
                (3, Value::Varint(value)) => made.trainable = value != 0,
                _ => {}
            }
        }
        Ok(made)
    }

    /// For each object of the SavedModel: the names and numbers of its children, as messages that may be many.
    pub fn object_children(&self) -> Result<Vec<Vec<(Bytes, u32)>>> {
        let mut all = Vec::new();
        for objects in self.object_graphs()? {
            for node in pieces(self.source(), objects, 1)? {
                let bad = |why| self.source().malformed("object graph", node, why);
                all.push(children(self.source().slice(node)).map_err(bad)?);
            }
        }
        Ok(all)
    }
}

/// The children of a SavedObject: name and number of each.
fn children(object: Bytes) -> Result<Vec<(Bytes, u32)>, Malformed> {
    let mut found = Vec::new();
    let mut all = fields(&object);
    while let Some(field) = all.next_field()? {
        let (1, Value::Len(reference)) = field else {
            continue;
        };
        let (mut number, mut name) = (0, &[][..]);
        let mut parts = fields(reference);
        while let Some(part) = parts.next_field()? {
            match part {
                (1, Value::Varint(value)) => number = value as u32,
                (2, Value::Len(bytes)) => name = bytes,
                _ => {}
            }
        }
        found.push((object.slice_ref(name), number));
    }
    Ok(found)
}
