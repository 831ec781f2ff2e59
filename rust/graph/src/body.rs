//! The nodes of a graph or of a function, as columns of places.
//!
//! ```text
//! GraphDef.node / FunctionDef.node_def*   NodeDef { 1 name  2 op  3 input*  4 device  5 attr*  … }
//! ```
//!
//! One pass finds where each node, its name and its op are; a node is decoded when it is asked for. So a graph
//! of a million nodes opens in the time it takes to walk over it, in a fraction of its size.

use crate::edges::Edges;
use crate::input::{Input, in_function};
use crate::names::{Named, Names};
use crate::node::Node;
use crate::ports::Ports;
use crate::span::{Source, Span};
use bytes::Bytes;
use hashbrown::HashTable;
use once_cell::race::OnceBox;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::AtomicUsize;
use tensorbundle_wire::pb::{Malformed, Value, fields};
use tensorbundle_wire::{Fault, Result};

/// The nodes of the graph or of a function; behind them, numbered on, the arguments of the function.
pub struct Body {
    source: Source,
    rows: Vec<Row>,
    ops: Vec<(Span, u32)>,
    args: Vec<Arg>,
    names: Names,
    pub(crate) edges: OnceBox<Edges>,
    /// In a function, the outputs of nodes as others name them: how many tensors each is used for.
    outputs: OnceBox<HashMap<u32, Vec<(Span, u32)>>>,
    /// The outputs of large nodes, as they were worked out.
    pub(crate) ports: OnceBox<Vec<OnceBox<Ports>>>,
    /// How many outputs that is.
    pub(crate) ports_kept: AtomicUsize,
}

/// A node's places.
#[derive(Clone, Copy)]
struct Row {
    node: Span,
    name: Span,
    op: u32,
}

/// An argument of a function.
#[derive(Clone, Copy)]
pub(crate) struct Arg {
    pub(crate) name: Span,
    /// Its ArgDef.
    pub(crate) def: Span,
}

/// Collects nodes.
pub(crate) struct Builder {
    source: Source,
    rows: Vec<Row>,
    ops: Vec<(Span, u32)>,
    by_op: HashTable<u32>,
    keys: RandomState,
    args: Vec<Arg>,
    /// Ops by what is quick to see of their names: most nodes have one of a few.
    quick: [u32; QUICK],
}

const QUICK: usize = 256;

impl Builder {
    pub(crate) fn new(source: &Source) -> Self {
        Self {
            source: source.clone(),
            rows: Vec::new(),
            ops: Vec::new(),
            by_op: HashTable::new(),
            keys: RandomState::new(),
            args: Vec::new(),
            quick: [0; QUICK],
        }
    }

    /// Adds a NodeDef.
    #[inline]
    pub(crate) fn node(&mut self, node: &[u8]) -> Result<()> {
        let span = self.source.span(node);
        let (name, op) = head(node).map_err(|why| self.source.malformed("node", span, why))?;
        if name.is_empty() || op.is_empty() {
            let missing = if name.is_empty() { "name" } else { "op" };
            let what = format!("node {} has no {missing}", self.rows.len());
            return Err(self.source.at(Fault::corrupt("graph", what), span));
        }
        let op = self.op(op);
        if self.rows.len() == self.rows.capacity() {
            self.grow()?;
        }
        self.rows.push(Row { node: span, name: self.source.span(name), op });
        Ok(())
    }

    /// A third more each time: a node takes less memory here than it has bytes.
    #[cold]
    fn grow(&mut self) -> Result<()> {
        let more = (self.rows.len() / 3).max(16);
        self.rows.try_reserve_exact(more).map_err(|_| {
            Fault::unsupported("graph", format!("no memory for {} nodes", self.rows.len() + more))
        })
    }

    fn op(&mut self, name: &[u8]) -> u32 {
        let ends = (name.first().copied(), name.get(name.len() / 2).copied(), name.last().copied());
        let (first, middle, last) = (ends.0.unwrap_or(0), ends.1.unwrap_or(0), ends.2.unwrap_or(0));
        let quick =
            usize::from(first ^ last.rotate_left(3) ^ middle.rotate_left(5) ^ name.len() as u8);
        if let Some(&op) = self.quick.get(quick)
            && let Some((span, count)) = self.ops.get_mut(op as usize)
            && self.source.get(*span) == name
        {
            *count += 1;
            return op;
        }
        let hash = self.keys.hash_one(name);
        let (source, ops, keys) = (&self.source, &mut self.ops, &self.keys);
        let of = |op: u32, ops: &[(Span, u32)]| {
            source.get(ops.get(op as usize).map_or(Span::default(), |&(span, _)| span))
        };
        let found = self.by_op.find(hash, |&op| of(op, ops) == name).copied();
        let op = match found {
            Some(op) => op,
            None => {
                let op = ops.len() as u32;
                ops.push((source.span(name), 0));
                self.by_op.insert_unique(hash, op, |&op| keys.hash_one(of(op, ops)));
                op
            }
        };
        if let Some((_, count)) = ops.get_mut(op as usize) {
            *count += 1;
        }
        if let Some(place) = self.quick.get_mut(quick) {
            *place = op;
        }
        op
    }

    /// Adds an argument, by its ArgDef.
    pub(crate) fn arg(&mut self, def: &[u8]) -> Result<()> {
        let span = self.source.span(def);
        let name = string_field(def, 1)
            .map_err(|why| self.source.malformed("argument of a function", span, why))?;
        self.args.push(Arg { name: self.source.span(name), def: span });
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Body {
        self.rows.shrink_to_fit();
        let Self { source, rows, ops, args, .. } = self;
        Body {
            source,
            rows,
            ops,
            args,
            names: Names::new(),
            edges: OnceBox::new(),
            outputs: OnceBox::new(),
            ports: OnceBox::new(),
            ports_kept: AtomicUsize::new(0),
        }
    }
}

/// A node's name and op; the last of each counts.
#[inline]
fn head(node: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (mut name, mut op) = (&[][..], &[][..]);
    let mut all = fields(node);
    while let Some(field) = all.next_field()? {
        match field {
            (1, Value::Len(bytes)) => name = bytes,
            (2, Value::Len(bytes)) => op = bytes,
            _ => {}
        }
    }
    Ok((name, op))
}

/// The last value of a field of bytes, empty if there is none.
pub(crate) fn string_field(message: &[u8], number: u32) -> Result<&[u8], Malformed> {
    let mut found = &[][..];
    let mut all = fields(message);
    while let Some(field) = all.next_field()? {
        if let (n, Value::Len(bytes)) = field
            && n == number
        {
            found = bytes;
        }
    }
    Ok(found)
}

impl Body {
    /// How many nodes.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// No nodes at all.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many arguments; they are numbered behind the nodes.
    pub fn num_args(&self) -> usize {
        self.args.len()
    }

    pub(crate) fn arg(&self, i: u32) -> Option<&Arg> {
        self.args.get((i as usize).checked_sub(self.rows.len())?)
    }

    /// The node of number `i`; `None` for an argument, or if there is no such node.
    pub fn node(&self, i: u32) -> Option<Node<'_>> {
        let row = self.rows.get(i as usize)?;
        Some(Node::new(&self.source, row.node))
    }

    pub(crate) fn node_span(&self, i: u32) -> Span {
        self.rows.get(i as usize).map_or(Span::default(), |row| row.node)
    }

    /// The serialized node.
    pub fn node_bytes(&self, i: u32) -> Bytes {
        self.source.slice(self.node_span(i))
    }

    /// Where in the file node `i` is, in bytes.
    pub fn node_offset(&self, i: u32) -> u64 {
        u64::from(self.node_span(i).start)
    }

    /// How many bytes node `i` takes.
    pub fn node_len(&self, i: u32) -> usize {
        self.node_span(i).len as usize
    }

    /// The name of a node or argument.
    #[inline]
    pub fn name(&self, i: u32) -> &[u8] {
        match self.rows.get(i as usize) {
            Some(row) => self.source.get(row.name),
            None => self.arg(i).map_or(&[], |arg| self.source.get(arg.name)),
        }
    }

    /// The op of a node; `_Arg` for an argument, as TensorFlow names it when it calls the function.
    #[inline]
    pub fn op(&self, i: u32) -> &[u8] {
        match self.rows.get(i as usize) {
            Some(row) => self.op_name(row.op),
            None => b"_Arg",
        }
    }

    /// The number of a node's op among [`Body::ops`].
    #[inline]
    pub fn op_number(&self, i: u32) -> Option<u32> {
        self.rows.get(i as usize).map(|row| row.op)
    }

    fn op_name(&self, op: u32) -> &[u8] {
        self.ops.get(op as usize).map_or(&[], |&(span, _)| self.source.get(span))
    }

    /// The ops, and of how many nodes, in order of their first node.
    pub fn ops(&self) -> impl ExactSizeIterator<Item = (&[u8], u32)> {
        self.ops.iter().map(|&(span, count)| (self.source.get(span), count))
    }

    /// The numbers of the nodes whose op `wanted` says yes to.
    pub fn nodes_of(&self, mut wanted: impl FnMut(&[u8]) -> bool) -> Vec<u32> {
        let wanted: Vec<bool> = self.ops().map(|(op, _)| wanted(op)).collect();
        if !wanted.contains(&true) {
            return Vec::new();
        }
        let rows = self.rows.iter().zip(0..);
        rows.filter(|(row, _)| wanted.get(row.op as usize) == Some(&true)).map(|(_, i)| i).collect()
    }

    /// What a name stands for, among nodes and arguments.
    pub fn find(&self, name: &[u8]) -> Named {
        self.names.find(self.rows.len() + self.args.len(), |i| self.name(i), name)
    }

    /// The names that more than one node has: the first two numbers of each.
    pub fn duplicates(&self) -> &[(u32, u32)] {
        self.names.again(self.rows.len() + self.args.len(), |i| self.name(i))
    }

    /// The outputs that the nodes of a function name of node `i`, in order of first mention, and how many tensors
    /// of each they take at least.
    pub(crate) fn named_outputs(&self, i: u32) -> impl Iterator<Item = (Bytes, u32)> {
        let all = self.outputs.get_or_init(|| Box::new(self.read_outputs()));
        let outputs = all.get(&i).map_or(&[][..], Vec::as_slice);
        outputs.iter().map(|&(name, width)| (self.source.slice(name), width))
    }

    fn read_outputs(&self) -> HashMap<u32, Vec<(Span, u32)>> {
        let mut all: HashMap<u32, Vec<(Span, u32)>> = HashMap::new();
        let mut places: HashMap<(u32, &[u8]), usize> = HashMap::new();
        for node in (0..self.len() as u32).filter_map(|i| self.node(i)) {
            for text in node.inputs() {
                let Input::Output(name, output, number) = in_function(text) else {
                    continue;
                };
                let Named::One(src) = self.find(name) else {
                    continue;
                };
                let width = number.unwrap_or(0).saturating_add(1);
                let outputs = all.entry(src).or_default();
                let place = *places.entry((src, output)).or_insert(outputs.len());
                match outputs.get_mut(place) {
                    Some((_, widest)) => *widest = width.max(*widest),
                    None => outputs.push((self.source.span(output), width)),
                }
            }
        }
        all
    }
}
