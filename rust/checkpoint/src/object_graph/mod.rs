//! The graph of objects in a checkpoint of TensorFlow 2 (FORMAT 8): parsed once into columns of places.
//!
//! ```text
//! TrackableObjectGraph { 1 nodes* }            nodes[0] is the root; cycles and shared nodes are normal
//! TrackableObject      { 1 children*           { 1 node_id  2 local_name }
//!                        2 attributes*         { 1 name  2 full_name  3 checkpoint_key }
//!                        3 slot_variables*     { 1 original_variable_node_id  2 slot_name  3 slot_variable_node_id }
//!                        4 registered_saver    { 1 name  2 object_name }
//!                        5 has_checkpoint_values { 1 value } }
//!
//! escape      names as keys spell them
//! paths       the first way to each node, and from a path to its nodes
//! lookup      from keys and full names to nodes, and from a name that a user knows to a tensor
//! optimizers  which nodes are optimizers, and whose state they keep
//! problems    what is wrong with it
//! ```
//!
//! Opening checks every message whole: what is read later cannot fail but for numbers that lead nowhere.

mod escape;
mod lookup;
mod optimizers;
mod paths;
mod problems;

pub use escape::unescaped;
pub use lookup::Miss;
pub use optimizers::{Keeps, State};
pub use paths::Way;

use bytes::Bytes;
use once_cell::race::OnceBox;
use paths::Tree;
use std::ops::Range;
use tensorbundle_store::{ReadOptions, Result, Tensors, Value as Stored};
use tensorbundle_wire::pb::{Malformed, Value, fields};
use tensorbundle_wire::{Fault, Result as Wire};

/// The tensor that holds the graph of objects in a checkpoint of TensorFlow 2.
pub(crate) const OBJECT_GRAPH: &[u8] = b"_CHECKPOINTABLE_OBJECT_GRAPH";

/// The attribute under which a variable has its value.
pub(crate) const VALUE: &[u8] = b"VARIABLE_VALUE";

/// What errors call it.
pub const PART: &str = "object graph";

/// The objects of a checkpoint.
pub struct ObjectGraph {
    bytes: Bytes,
    nodes: Vec<Span>,
    /// For each node where its own begin, and one more where all end.
    first_edge: Vec<u32>,
    first_attribute: Vec<u32>,
    first_slot: Vec<u32>,
    edges: Vec<Edge>,
    attributes: Vec<Span>,
    slots: Vec<Span>,
    /// The name of a child has a "/" in it.
    has_slashes: bool,
    tree: OnceBox<Tree>,
    /// Edges, those of a node by name.
    by_name: OnceBox<Vec<u32>>,
    /// Attributes, by key and by full name.
    by_key: OnceBox<Vec<u32>>,
    by_full_name: OnceBox<Vec<u32>>,
}

/// A part of the serialized graph.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: u32,
    len: u32,
}

#[derive(Debug, Clone, Copy)]
struct Edge {
    name: Span,
    child: u32,
}

/// A child of a node, as it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child<'a> {
    /// Its name there.
    pub name: &'a [u8],
    /// Its number, which may be that of no node.
    pub node: u32,
}

/// A tensor of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attribute<'a> {
    /// Its number among those of all nodes.
    pub id: u32,
    /// Its name, escaped once.
    pub name: &'a [u8],
    /// The name of the variable as TensorFlow 1 would call it; others may have it too.
    pub full_name: &'a [u8],
    /// The name of its tensor, or what the names of its tensors begin with.
    pub key: &'a [u8],
}

/// State that an optimizer keeps of a variable, as the optimizer records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Slot<'a> {
    /// The number of the variable, which may be that of no node.
    pub original: u32,
    /// What the state is called.
    pub name: &'a [u8],
    /// The number of the variable that holds the state, which may be that of no node.
    pub variable: u32,
}

/// Who saves a node in a way of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Saver<'a> {
    /// The name that it is registered under.
    pub name: &'a [u8],
    /// The path of the object, as the saver knows it.
    pub object_name: &'a [u8],
}

/// The graph of a checkpoint's objects; `None` if it is a checkpoint of names.
pub fn open_object_graph(tensors: &Tensors) -> Result<Option<ObjectGraph>> {
    let Some(found) = tensors.find(OBJECT_GRAPH)? else {
        return Ok(None);
    };
    let said = |error: tensorbundle_store::Error| error.for_tensor(OBJECT_GRAPH);
    let tensor = tensors.read(&found, &ReadOptions::default()).map_err(said)?;
    let graph = match tensor.value {
        Stored::List(mut list) if list.len() == 1 && tensor.shape.dims().is_empty() => {
            ObjectGraph::parse(list.pop().unwrap_or_default())
        }
        _ => Err(Fault::corrupt(
            PART,
            format!(
                "it is a tensor of {} with shape {:?}, not one string",
                tensor.dtype,
                tensor.shape.dims()
            ),
        )),
    };
    let file = || tensors.file_of(&found);
    graph.map(Some).map_err(|fault| said(tensorbundle_store::Error::fault(&file(), fault)))
}

impl ObjectGraph {
    /// Parses a serialized TrackableObjectGraph: one pass over all of it.
    pub fn parse(bytes: Bytes) -> Wire<Self> {
        if u32::try_from(bytes.len()).is_err() {
            let what = format!("{} bytes; protobuf messages hold less than 2 GiB", bytes.len());
            return Err(Fault::unsupported(PART, what));
        }
        let mut graph = Self {
            bytes: bytes.clone(),
            nodes: Vec::new(),
            first_edge: vec![0],
            first_attribute: vec![0],
            first_slot: vec![0],
            edges: Vec::new(),
            attributes: Vec::new(),
            slots: Vec::new(),
            has_slashes: false,
            tree: OnceBox::new(),
            by_name: OnceBox::new(),
            by_key: OnceBox::new(),
            by_full_name: OnceBox::new(),
        };
        let mut all = fields(&bytes);
        loop {
            let field = all.next_field().map_err(|why| {
                let number = graph.len();
                Fault::corrupt(PART, format!("behind its first {number} nodes: {why}"))
            })?;
            match field {
                None => return Ok(graph),
                Some((1, Value::Len(node))) => graph.push(node).map_err(|why| {
                    let (number, place) = (graph.len(), graph.span(node).start);
                    let what = format!("node {number}, at byte {place} of the tensor: {why}");
                    Fault::corrupt(PART, what)
                })?,
                Some(_) => {}
            }
        }
    }

    fn push(&mut self, node: &[u8]) -> Result<(), Malformed> {
        let mut parts = fields(node);
        while let Some(part) = parts.next_field()? {
            match part {
                (1, Value::Len(reference)) => {
                    let child = reference_of(reference)?;
                    self.has_slashes |= child.name.contains(&b'/');
                    self.edges.push(Edge { name: self.span(child.name), child: child.node });
                }
                (2, Value::Len(attribute)) => {
                    check(attribute)?;
                    self.attributes.push(self.span(attribute));
                }
                (3, Value::Len(slot)) => {
                    check(slot)?;
                    self.slots.push(self.span(slot));
                }
                (4 | 5, Value::Len(message)) => check(message)?,
                _ => {}
            }
        }
        self.nodes.push(self.span(node));
        // Each takes two bytes or more of less than 2^32.
        self.first_edge.push(self.edges.len() as u32);
        self.first_attribute.push(self.attributes.len() as u32);
        self.first_slot.push(self.slots.len() as u32);
        Ok(())
    }

    fn span(&self, part: &[u8]) -> Span {
        // Addresses, not pointers, are held against each other: nothing here needs to be trusted.
        let start = (part.as_ptr() as usize).wrapping_sub(self.bytes.as_ptr() as usize);
        match (u32::try_from(start), u32::try_from(part.len())) {
            (Ok(start), Ok(len)) if !part.is_empty() => Span { start, len },
            _ => Span::default(),
        }
    }

    fn get(&self, span: Span) -> &[u8] {
        let start = span.start as usize;
        self.bytes.get(start..start.saturating_add(span.len as usize)).unwrap_or_default()
    }

    /// The serialized graph.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many nodes it has.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// It has none, not even a root.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// There is a node of this number.
    pub fn has(&self, node: u32) -> bool {
        (node as usize) < self.len()
    }

    fn edge(&self, i: u32) -> Option<Child<'_>> {
        let edge = self.edges.get(i as usize)?;
        Some(Child { name: self.get(edge.name), node: edge.child })
    }

    /// The children of a node, as they are recorded.
    pub fn children(&self, node: u32) -> impl Iterator<Item = Child<'_>> {
        self.edges(node).map(|(_, child)| child)
    }

    /// The children of a node, each with the number of its edge.
    pub fn edges(&self, node: u32) -> impl Iterator<Item = (u32, Child<'_>)> {
        range(&self.first_edge, node).filter_map(|i| Some((i, self.edge(i)?)))
    }

    /// The child of this name that is a node; the first of several.
    pub fn child(&self, node: u32, name: &[u8]) -> Option<u32> {
        self.named(node, name).map(|child| child.node).find(|&child| self.has(child))
    }

    /// The tensors of a node.
    pub fn attributes(&self, node: u32) -> impl Iterator<Item = Attribute<'_>> {
        range(&self.first_attribute, node).map(|i| self.attribute(i))
    }

    fn attribute(&self, i: u32) -> Attribute<'_> {
        let mut made = Attribute { id: i, ..Attribute::default() };
        let span = self.attributes.get(i as usize).copied().unwrap_or_default();
        for (number, value) in self.parts(span) {
            match (number, value) {
                (1, Value::Len(name)) => made.name = name,
                (2, Value::Len(name)) => made.full_name = name,
                (3, Value::Len(key)) => made.key = key,
                _ => {}
            }
        }
        made
    }

    /// The node that has an attribute.
    fn node_of(&self, attribute: u32) -> u32 {
        self.first_attribute.partition_point(|&first| first <= attribute).saturating_sub(1) as u32
    }

    /// The key of a node's value, if it is a variable.
    pub fn value_key(&self, node: u32) -> Option<&[u8]> {
        self.attributes(node).find(|attribute| attribute.name == VALUE).map(|value| value.key)
    }

    /// The slots that a node records.
    pub fn slots(&self, node: u32) -> impl Iterator<Item = Slot<'_>> {
        range(&self.first_slot, node).map(|i| self.slot(i))
    }

    fn slot(&self, i: u32) -> Slot<'_> {
        let mut made = Slot::default();
        let span = self.slots.get(i as usize).copied().unwrap_or_default();
        for (number, value) in self.parts(span) {
            match (number, value) {
                (1, Value::Varint(node)) => made.original = node as u32,
                (2, Value::Len(name)) => made.name = name,
                (3, Value::Varint(node)) => made.variable = node as u32,
                _ => {}
            }
        }
        made
    }

    /// Who saves a node in a way of its own.
    pub fn saver(&self, node: u32) -> Option<Saver<'_>> {
        let mut made: Option<Saver<'_>> = None;
        for (number, message) in self.node(node) {
            let (4, Value::Len(message)) = (number, message) else {
                continue;
            };
            let saver = made.get_or_insert_default();
            for (number, value) in self.parts(self.span(message)) {
                match (number, value) {
                    (1, Value::Len(name)) => saver.name = name,
                    (2, Value::Len(name)) => saver.object_name = name,
                    _ => {}
                }
            }
        }
        made
    }

    /// Whether the checkpoint has values for a node or below it; `None` where its writer did not say.
    pub fn has_values(&self, node: u32) -> Option<bool> {
        let mut said = None;
        for (number, message) in self.node(node) {
            if let (5, Value::Len(message)) = (number, message) {
                let value = said.get_or_insert(false);
                for (number, field) in self.parts(self.span(message)) {
                    if let (1, Value::Varint(number)) = (number, field) {
                        *value = number != 0;
                    }
                }
            }
        }
        said
    }

    fn node(&self, node: u32) -> impl Iterator<Item = (u32, Value<'_>)> {
        self.parts(self.nodes.get(node as usize).copied().unwrap_or_default())
    }

    /// The fields of a message that was checked.
    fn parts(&self, span: Span) -> impl Iterator<Item = (u32, Value<'_>)> {
        fields(self.get(span)).map_while(Result::ok)
    }
}

/// The numbers of what is a node's own.
fn range(first: &[u32], node: u32) -> Range<u32> {
    let node = node as usize;
    match (first.get(node), first.get(node.saturating_add(1))) {
        (Some(&start), Some(&end)) => start..end,
        _ => 0..0,
    }
}

fn reference_of(message: &[u8]) -> Result<Child<'_>, Malformed> {
    let mut made = Child { name: &[], node: 0 };
    let mut parts = fields(message);
    while let Some(part) = parts.next_field()? {
        match part {
            (1, Value::Varint(node)) => made.node = node as u32,
            (2, Value::Len(name)) => made.name = name,
            _ => {}
        }
    }
    Ok(made)
}

/// Goes over a message once: after that its fields can be read without asking again.
fn check(message: &[u8]) -> Result<(), Malformed> {
    let mut parts = fields(message);
    while parts.next_field()?.is_some() {}
    Ok(())
}

#[cfg(test)]
mod tests;
