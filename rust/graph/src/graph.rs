//! A graph, or the body of a function, with all that its nodes refer to.

use crate::attr::{Attr, List};
use crate::body::Body;
use crate::input::number as number_of;
use crate::meta_graph::MetaGraph;
use crate::names::Named;
use crate::signature::{Default, defaults_of};
use bytes::Bytes;
use std::collections::{BTreeMap, HashSet};
use tensorbundle_wire::{Fault, Result};

/// A graph, or the body of a function.
#[derive(Clone, Copy)]
pub struct Graph<'a> {
    meta: &'a MetaGraph,
    body: &'a Body,
    function: Option<u32>,
}

impl<'a> Graph<'a> {
    pub(crate) fn new(meta: &'a MetaGraph, body: &'a Body, function: Option<u32>) -> Self {
        Self { meta, body, function }
    }

    /// Its nodes.
    pub fn body(&self) -> &'a Body {
        self.body
    }

    /// What it belongs to.
    pub fn meta(&self) -> &'a MetaGraph {
        self.meta
    }

    /// Which function it is the body of.
    pub fn function(&self) -> Option<u32> {
        self.function
    }

    /// The node of a name. Several nodes of one name are a fault: TensorFlow has no such graphs.
    pub fn find(&self, name: &[u8]) -> Result<Option<u32>> {
        match self.body.find(name) {
            Named::None => Ok(None),
            Named::One(i) => Ok(Some(i)),
            Named::Several(first, next) => Err(self.ambiguous(name, first, next)),
        }
    }

    fn ambiguous(&self, name: &[u8], first: u32, next: u32) -> Fault {
        let what = format!("nodes {first} and {next} both have this name, which must be unique");
        self.meta.source().corrupt("node", name, self.body.node_span(next), what)
    }

    pub(crate) fn fault(&self, i: u32, what: String) -> Fault {
        self.meta.source().corrupt("node", self.body.name(i), self.body.node_span(i), what)
    }

    // Attributes.

    /// An attribute of a node; where the node leaves it out, the default that the file's op list gives.
    pub fn attr(&self, i: u32, name: &[u8]) -> Result<Option<Attr>> {
        let Some(node) = self.body.node(i) else {
            return self.arg_attr(i, name);
        };
        if let Some(attr) = node.attr(name)? {
            return Ok(Some(attr));
        }
        // Names that begin so are never part of a definition.
        if name.starts_with(b"_") {
            return Ok(None);
        }
        let Some(def) = self.meta.op_def(self.body.op(i))? else {
            return Ok(None);
        };
        let defaults = self.defaults(i, def)?;
        let default = defaults.into_iter().rev().find(|(known, _)| *known == name);
        default.map(|(_, value)| self.default(value)).transpose()
    }

    /// All attributes of a node or argument: those it has in the order of the file, then the defaults of the rest.
    pub fn attrs(&self, i: u32) -> Result<Vec<(Bytes, Attr)>> {
        let Some(node) = self.body.node(i) else {
            return self.arg_attrs(i);
        };
        let mut attrs = node.attrs()?;
        if let Some(def) = self.meta.op_def(self.body.op(i))? {
            let known: HashSet<Bytes> = attrs.iter().map(|(name, _)| name.clone()).collect();
            let defaults = self.defaults(i, def)?.into_iter();
            let missing: BTreeMap<_, _> =
                defaults.filter(|(name, _)| !known.contains(*name)).collect();
            for (name, value) in missing {
                attrs.push((Bytes::copy_from_slice(name), self.default(value)?));
            }
        }
        Ok(attrs)
    }

    fn defaults(&self, i: u32, def: &'a [u8]) -> Result<Vec<Default<'a>>> {
        defaults_of(def).map_err(|why| self.fault(i, format!("the definition of its op: {why}")))
    }

    fn default(&self, value: &'a [u8]) -> Result<Attr> {
        Attr::decode(&self.meta.source().all().slice_ref(value))
    }

    fn arg_attr(&self, i: u32, name: &[u8]) -> Result<Option<Attr>> {
        let attrs = self.arg_attrs(i)?;
        Ok(attrs.into_iter().find(|(key, _)| key == name).map(|(_, attr)| attr))
    }

    fn arg_attrs(&self, i: u32) -> Result<Vec<(Bytes, Attr)>> {
        let number = (i as usize).checked_sub(self.body.len()).and_then(|i| u32::try_from(i).ok());
        match (self.function, number) {
            (Some(function), Some(number)) => self.meta.library().arg_attrs(function, number),
            _ => Ok(Vec::new()),
        }
    }

    // Tensors by name.

    /// What a tensor's name means: `node:output`.
    pub fn tensor(&self, name: &[u8]) -> Result<Result<(u32, u32), NoTensor>> {
        let (op, number) = match name.iter().rposition(|&byte| byte == b':') {
            Some(colon) => name.split_at(colon),
            None => return Ok(Err(NoTensor::NotATensor)),
        };
        let digits = number.get(1..).unwrap_or_default();
        let simple = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        if !simple || op.is_empty() || op.contains(&b':') || op.starts_with(b"^") {
            return Ok(Err(NoTensor::NotATensor));
        }
        let Some(i) = self.find(op)? else {
            return Ok(Err(NoTensor::NoOperation));
        };
        let ports = self.all_ports(i)?;
        match number_of(digits).filter(|&port| port < ports.len()) {
            Some(port) => Ok(Ok((i, port))),
            None => Ok(Err(NoTensor::NoOutput(i, ports.len()))),
        }
    }

    /// The functions that a node refers to, by its op and in its attributes, however deep.
    pub fn functions_of(&self, i: u32) -> Result<Vec<u32>> {
        let library = self.meta.library();
        let mut found: Vec<u32> = library.one(self.body.op(i)).into_iter().collect();
        let Some(node) = self.body.node(i) else {
            return Ok(found);
        };
        if library.is_empty() {
            return Ok(found);
        }
        let mut waiting: Vec<Attr> = node.attrs()?.into_iter().map(|(_, attr)| attr).collect();
        while let Some(attr) = waiting.pop() {
            let funcs = match attr {
                Attr::Func(func) => vec![func],
                Attr::List(List::Funcs(funcs)) => funcs,
                _ => continue,
            };
            for func in funcs {
                found.extend(library.one(&func.name));
                waiting.extend(func.attrs()?.into_iter().map(|(_, attr)| attr));
            }
        }
        Ok(found)
    }
}

/// Why a name means no tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoTensor {
    /// It is not of the form `operation:number`.
    NotATensor,
    /// There is no such operation.
    NoOperation,
    /// The operation of this number has only so many outputs.
    NoOutput(u32, u32),
}
