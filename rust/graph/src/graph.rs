//! A graph, or the body of a function, with all that its nodes refer to.

use crate::attr::{Attr, List};
use crate::body::Body;
use crate::edges::{CONTROL, Edge, Edges, MISSING};
use crate::input::{Input, in_function, in_graph};
use crate::known;
use crate::meta_graph::MetaGraph;
use crate::names::Named;
use crate::signature::{Ports, arg_def, default_of, defaults_of, outputs_of};
use tensorbundle_wire::{Fault, Result, shown};

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

    fn fault(&self, i: u32, what: String) -> Fault {
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
        let default = default_of(self.meta.source(), def, name)
            .map_err(|why| self.fault(i, format!("the definition of its op: {why}")))?;
        default.map(|value| Attr::decode(&value)).transpose()
    }

    /// The names of a node's attributes: those it has, then those that have a default.
    pub fn attr_names(&self, i: u32) -> Result<Vec<&'a [u8]>> {
        let Some(node) = self.body.node(i) else {
            return Ok(Vec::new());
        };
        let mut names = node.attr_names()?;
        if let Some(def) = self.meta.op_def(self.body.op(i))? {
            let defaults = defaults_of(def)
                .map_err(|why| self.fault(i, format!("the definition of its op: {why}")))?;
            for name in defaults {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        Ok(names)
    }

    fn arg_attr(&self, i: u32, name: &[u8]) -> Result<Option<Attr>> {
        let (Some(function), Some(number)) =
            (self.function, (i as usize).checked_sub(self.body.len()))
        else {
            return Ok(None);
        };
        let message = self.meta.library().message(function);
        let attrs = crate::library::arg_attrs(&message, number as u64)?;
        Ok(attrs.into_iter().find(|(key, _)| key == name).map(|(_, attr)| attr))
    }

    // Outputs.

    /// The outputs of a node or argument.
    pub fn ports(&self, i: u32) -> Result<Ports<'a>> {
        if let Some(arg) = self.body.arg(i) {
            let def = arg_def(self.meta.source().get(arg.def))
                .map_err(|why| self.fault(i, format!("its definition: {why}")))?;
            let mut ports =
                Ports::of(vec![def], |_| Ok(None)).map_err(|what| self.fault(i, what))?;
            ports.exact =
                def.number.is_none() && !matches!(def.kind, crate::signature::Kind::List(_));
            return Ok(ports);
        }
        let op = self.body.op(i);
        let outputs = match self.meta.op_def(op)? {
            Some(def) => Some(
                outputs_of(def)
                    .map_err(|why| self.fault(i, format!("the definition of its op: {why}")))?,
            ),
            None => known::find(op).and_then(known::KnownOp::outputs),
        };
        match outputs {
            Some(outputs) => {
                Ports::of(outputs, |name| self.attr(i, name)).map_err(|what| self.fault(i, what))
            }
            None if self.function.is_some() => {
                let named = Ports::named_so(self.body.named_outputs(i));
                Ok(if named.is_empty() { Ports::unknown(1) } else { named })
            }
            None => Ok(Ports::unknown(1)),
        }
    }

    /// The outputs of a node; where nothing says how many, as many as are used or described, and at least one.
    pub fn all_ports(&self, i: u32) -> Result<Ports<'a>> {
        let ports = self.ports(i)?;
        if ports.exact {
            return Ok(ports);
        }
        let used = self.edges()?.users(i).iter().map(|used| used.port + 1).max().unwrap_or(0);
        let described = match self.attr(i, b"_output_shapes")? {
            Some(Attr::List(list)) => list.len() as i64,
            _ => 0,
        };
        let len = i64::from(used).max(described).max(i64::from(ports.len()));
        let len = u32::try_from(len).unwrap_or(u32::MAX).min(crate::signature::MAX_PORTS);
        Ok(if len > ports.len() { Ports::unknown(len) } else { ports })
    }

    // Inputs.

    /// The inputs of a node, data before control. An input that names nothing is a fault.
    pub fn inputs(&self, i: u32) -> Result<Vec<Edge>> {
        let mut edges = Vec::new();
        let Some(node) = self.body.node(i) else {
            return Ok(edges);
        };
        for text in node.inputs() {
            let before = edges.len();
            self.resolve(text, &mut edges)
                .map_err(|why| self.fault(i, format!("input {} {why}", shown(text))))?;
            for edge in edges.get(before..).unwrap_or_default() {
                let Ok(port) = u32::try_from(edge.port) else {
                    continue;
                };
                let ports = self.ports(edge.src)?;
                if ports.exact && port >= ports.len() {
                    let has = ports.len();
                    let what = format!(
                        "input {} does not exist: that node has {has} outputs",
                        shown(text)
                    );
                    return Err(self.fault(i, what));
                }
            }
        }
        Ok(edges)
    }

    /// All edges, made at the first call.
    pub fn edges(&self) -> Result<&'a Edges> {
        self.body.edges.get_or_try_init(|| Edges::of(self).map(Box::new))
    }

    /// The inputs of a node, with [`MISSING`] for what names nothing.
    pub(crate) fn resolve_all(&self, i: u32, edges: &mut Vec<Edge>) {
        let Some(node) = self.body.node(i) else {
            return;
        };
        for text in node.inputs() {
            if self.resolve(text, edges).is_err() {
                let port = if text.starts_with(b"^") { CONTROL } else { 0 };
                edges.push(Edge { src: MISSING, port });
            }
        }
    }

    /// What a function returns, by the text that says so.
    pub fn returned(&self, text: &[u8]) -> Result<Vec<Edge>> {
        let mut edges = Vec::new();
        self.resolve(text, &mut edges).map_err(|why| self.no_return(text, &why))?;
        Ok(edges)
    }

    /// The node that a function names as a control output.
    pub fn returned_node(&self, name: &[u8]) -> Result<u32> {
        self.find(name)?.ok_or_else(|| self.no_return(name, "names no node"))
    }

    fn no_return(&self, text: &[u8], why: &str) -> Fault {
        let library = self.meta.library();
        let name = self.function.map_or(&[][..], |i| library.name(i));
        Fault::corrupt(format!("function {}", shown(name)), format!("return {} {why}", shown(text)))
    }

    /// Appends what an input means: one edge, or in a function all of a list. `Err` says what it does.
    fn resolve(&self, text: &[u8], edges: &mut Vec<Edge>) -> Result<(), String> {
        let input = if self.function.is_some() { in_function(text) } else { in_graph(text) };
        let (Input::Control(name)
        | Input::Numbered(name, _)
        | Input::Whole(name)
        | Input::Output(name, ..)) = input;
        let src = match self.body.find(name) {
            Named::One(src) => src,
            Named::None => return Err("names no node of the graph".to_owned()),
            Named::Several(..) => return Err("names several nodes of the graph".to_owned()),
        };
        let mut push = |port: u32| {
            edges.push(Edge { src, port: i32::try_from(port).unwrap_or(i32::MAX) });
        };
        match input {
            Input::Control(_) => edges.push(Edge { src, port: CONTROL }),
            Input::Numbered(_, port) => push(port),
            Input::Whole(_) => {
                let ports = self.ports(src).map_err(|fault| fault.what().to_owned())?;
                (0..ports.len()).for_each(push);
            }
            Input::Output(_, output, number) => {
                let range = self.output_range(src, output)?;
                match number {
                    Some(i) if i < range.end - range.start => push(range.start + i),
                    Some(_) => {
                        let has = range.end - range.start;
                        return Err(format!("does not exist: that output is {has} tensors"));
                    }
                    None => range.for_each(push),
                }
            }
        }
        Ok(())
    }

    /// Which of a node's outputs the one of this name is.
    fn output_range(&self, src: u32, output: &[u8]) -> Result<std::ops::Range<u32>, String> {
        let ports = self.ports(src).map_err(|fault| fault.what().to_owned())?;
        match ports.named(output) {
            Some(range) => Ok(range),
            None => {
                let op = shown(self.body.op(src));
                Err(format!("does not exist: op {op} has no output of that name"))
            }
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
        let port = digits.iter().try_fold(0_u32, |port, &digit| {
            port.checked_mul(10)?.checked_add(u32::from(digit - b'0'))
        });
        let ports = self.all_ports(i)?;
        match port.filter(|&port| port < ports.len()) {
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
        let mut waiting = Vec::new();
        for name in node.attr_names()? {
            waiting.extend(node.attr(name)?);
        }
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
