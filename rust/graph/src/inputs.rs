//! The inputs of a node, from what it has written to the nodes and outputs that it means.

use crate::edges::{CONTROL, Edge, Edges, MISSING};
use crate::graph::Graph;
use crate::input::{Input, in_function, in_graph};
use crate::names::Named;
use crate::ports::MAX_PORTS;
use tensorbundle_wire::{Fault, Result, shown};

/// Tensors that inputs which name a whole list may stand for, in one body. Real functions have some hundreds; each is
/// an edge that costs its author nothing.
const MAX_LISTED: usize = 1 << 22;

impl<'a> Graph<'a> {
    /// The inputs of a node, data before control. An input that names nothing is a fault.
    pub fn inputs(&self, i: u32) -> Result<Vec<Edge>> {
        let (mut edges, mut listed) = (Vec::new(), 0);
        let Some(node) = self.body().node(i) else {
            return Ok(edges);
        };
        for text in node.inputs() {
            let before = edges.len();
            self.resolve(text, &mut edges, &mut listed)
                .map_err(|why| self.fault(i, format!("input {} {why}", shown(text))))?;
            // In a function the outputs were looked at on the way.
            if let ([edge], None) = (edges.get(before..).unwrap_or_default(), self.function())
                && let Ok(port) = u32::try_from(edge.port)
            {
                let ports = self.ports(edge.src)?;
                if ports.exact && port >= ports.len() {
                    let (text, has) = (shown(text), ports.len());
                    let what = format!("input {text} does not exist: that node has {has} outputs");
                    return Err(self.fault(i, what));
                }
            }
        }
        Ok(edges)
    }

    /// All edges, made at the first call.
    pub fn edges(&self) -> Result<&'a Edges> {
        self.body().edges.get_or_try_init(|| Edges::of(self).map(Box::new))
    }

    /// Appends the inputs of a node, with [`MISSING`] for what names nothing.
    pub(crate) fn resolve_all(
        &self,
        i: u32,
        edges: &mut Vec<Edge>,
        listed: &mut usize,
    ) -> Result<()> {
        let Some(node) = self.body().node(i) else {
            return Ok(());
        };
        for text in node.inputs() {
            if self.resolve(text, edges, listed).is_err() {
                let port = if text.starts_with(b"^") { CONTROL } else { 0 };
                edges.push(Edge { src: MISSING, port });
            }
            if *listed > MAX_LISTED {
                let what =
                    format!("its inputs name lists of more than {MAX_LISTED} tensors in all");
                return Err(Fault::unsupported("graph", what));
            }
        }
        Ok(())
    }

    /// What a function returns, by the text that says so.
    pub fn returned(&self, text: &[u8]) -> Result<Vec<Edge>> {
        let mut edges = Vec::new();
        self.resolve(text, &mut edges, &mut 0).map_err(|why| self.no_return(text, &why))?;
        Ok(edges)
    }

    /// The node that a function names as a control output.
    pub fn returned_node(&self, name: &[u8]) -> Result<u32> {
        self.find(name)?.ok_or_else(|| self.no_return(name, "names no node"))
    }

    fn no_return(&self, text: &[u8], why: &str) -> Fault {
        let library = self.meta().library();
        let name = self.function().map_or(&[][..], |i| library.name(i));
        Fault::corrupt(format!("function {}", shown(name)), format!("return {} {why}", shown(text)))
    }

    /// Appends what an input means: one edge, or in a function all of a list. `Err` says what it does.
    fn resolve(
        &self,
        text: &[u8],
        edges: &mut Vec<Edge>,
        listed: &mut usize,
    ) -> Result<(), String> {
        let input = if self.function().is_some() { in_function(text) } else { in_graph(text) };
        let (Input::Control(name)
        | Input::Numbered(name, _)
        | Input::Whole(name)
        | Input::Output(name, ..)) = input;
        let src = match self.body().find(name) {
            Named::One(src) => src,
            Named::None => return Err("names no node of the graph".to_owned()),
            Named::Several(..) => return Err("names several nodes of the graph".to_owned()),
        };
        let ports = || self.ports(src).map_err(|fault| fault.what().to_owned());
        let range = match input {
            Input::Control(_) => {
                edges.push(Edge { src, port: CONTROL });
                return Ok(());
            }
            Input::Numbered(_, port) if port < MAX_PORTS => port..port + 1,
            Input::Numbered(..) => return Err("does not exist: no node has so many outputs".into()),
            Input::Whole(_) => 0..ports()?.len(),
            Input::Output(_, output, number) => {
                let range = ports()?.named(output).ok_or_else(|| {
                    let op = shown(self.body().op(src));
                    format!("does not exist: op {op} has no output of that name")
                })?;
                match number {
                    Some(i) if i < range.end - range.start => range.start + i..range.start + i + 1,
                    Some(_) => {
                        let has = range.end - range.start;
                        return Err(format!("does not exist: that output is {has} tensors"));
                    }
                    None => range,
                }
            }
        };
        *listed += range.len().saturating_sub(1);
        if *listed > MAX_LISTED {
            return Err(format!(
                "is one of too many lists: they have more than {MAX_LISTED} tensors"
            ));
        }
        edges.extend(range.map(|port| Edge { src, port: i32::try_from(port).unwrap_or(i32::MAX) }));
        Ok(())
    }
}
