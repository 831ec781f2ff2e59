//! Which variable which tensor of a checkpoint is restored into (FORMAT 7.6).
//!
//! ```text
//! Const names ─┐                                     in the graph, or in a function that the graph calls
//! Const specs ─┴─ RestoreV2 ── Identity, Reshape, Cast ── Assign(VariableV2)
//!                                                     └── AssignVariableOp(VarHandleOp, or an argument ── the call)
//! ```
//!
//! The names are constants, so what a saver does is written down in the graph. Its save side says the same the
//! other way round, and stands in where the restore side does not.

use crate::attr::{Attr, List};
use crate::edges::{Edge, MISSING};
use crate::graph::Graph;
use crate::meta_graph::MetaGraph;
use bytes::Bytes;
use std::collections::HashMap;
use tensorbundle_wire::dtype::DataType;
use tensorbundle_wire::tensor_proto::{Elements, decode};
use tensorbundle_wire::{Fault, Result, shown};

/// A tensor of a checkpoint, and the node of the graph that it is for.
#[derive(Debug, Clone)]
pub struct Link {
    /// The variable's node in the graph; of other things that are saved, the node of their handle.
    pub target: u32,
    /// The tensor's name.
    pub key: Bytes,
    /// Which part of it (FORMAT 5.3); empty for all.
    pub slice: Bytes,
    /// The type that is restored.
    pub dtype: Option<DataType>,
    /// The restore or save op; where it is in a function, the call of it.
    pub anchor: u32,
    /// The function that the restore or save op is in.
    pub function: Option<u32>,
    /// Whether the restore side says so, or the save side.
    pub restored: bool,
}

/// All links, and the restore and save ops that they could not be read from.
#[derive(Debug, Default)]
pub struct Links {
    /// In the order of the file, those of the graph first.
    pub links: Vec<Link>,
    /// What went wrong.
    pub faults: Vec<Fault>,
}

/// Ways to follow from one tensor. Real ones take fewer than ten steps.
const MAX_STEPS: usize = 1000;

/// A place in the graph or in a function.
type Place = (Option<u32>, Edge);

struct Linker<'a> {
    meta: &'a MetaGraph,
    /// For each function, the nodes that call it, and how many inputs of theirs come before its own.
    calls: HashMap<u32, Vec<(Option<u32>, u32, u32)>>,
    out: Links,
}

impl MetaGraph {
    /// Which variable which tensor of a checkpoint is restored into.
    pub fn links(&self) -> Links {
        let mut linker = Linker { meta: self, calls: HashMap::new(), out: Links::default() };
        let functions = 0..self.library().len() as u32;
        let graphs: Vec<_> = std::iter::once(None).chain(functions.map(Some)).collect();
        let mut found = Vec::new();
        for &graph in &graphs {
            match self.graph_of(graph) {
                Ok(graph) => {
                    let ops = graph.body().nodes_of(|op| io_op(op).is_some());
                    found.extend(ops.into_iter().map(|i| (graph, i)));
                    linker.find_calls(graph);
                }
                Err(fault) => linker.out.faults.push(fault),
            }
        }
        for (graph, i) in found {
            if let Err(fault) = linker.io(graph, i) {
                linker.out.faults.push(fault);
            }
        }
        linker.out
    }
}

/// Restores or saves; the inputs that are its names and specs, and its first tensor.
struct Io {
    restores: bool,
    specs: Option<usize>,
    first: usize,
}

fn io_op(op: &[u8]) -> Option<Io> {
    Some(match op {
        b"RestoreV2" | b"RestoreSlice" => Io { restores: true, specs: Some(2), first: 0 },
        b"Restore" => Io { restores: true, specs: None, first: 0 },
        b"SaveV2" | b"SaveSlices" => Io { restores: false, specs: Some(2), first: 3 },
        b"Save" => Io { restores: false, specs: None, first: 2 },
        _ => return None,
    })
}

/// Ops whose output is their first input, as far as names are concerned.
fn passes_on(op: &[u8]) -> bool {
    matches!(
        op,
        b"Identity"
            | b"Reshape"
            | b"Cast"
            | b"ReadVariableOp"
            | b"Enter"
            | b"RefEnter"
            | b"StopGradient"
            | b"Snapshot"
            | b"LookupTableExportV2"
            | b"LookupTableExport"
    )
}

impl<'a> Linker<'a> {
    fn find_calls(&mut self, graph: Graph<'a>) {
        let library = self.meta.library();
        if library.is_empty() {
            return;
        }
        let body = graph.body();
        for i in body.nodes_of(|op| is_call(op) || library.one(op).is_some()) {
            let before = match body.op(i) {
                b"If" | b"StatelessIf" | b"Case" | b"StatelessCase" => 1,
                _ => 0,
            };
            for function in graph.functions_of(i).unwrap_or_default() {
                self.calls.entry(function).or_default().push((graph.function(), i, before));
            }
        }
    }

    fn io(&mut self, graph: Graph<'a>, i: u32) -> Result<()> {
        let body = graph.body();
        let Some(io) = io_op(body.op(i)) else {
            return Ok(());
        };
        let inputs = graph.inputs(i)?;
        let unread = |what: &str| {
            let name = shown(body.name(i));
            Fault::unsupported(
                format!("node {name}"),
                format!("{what} cannot be told: no constant"),
            )
        };
        let constant = |at: usize| inputs.get(at).and_then(|&edge| self.strings(graph, edge));
        let names = constant(1).ok_or_else(|| unread("the names of the tensors"))?;
        let specs = match io.specs {
            Some(at) => constant(at).ok_or_else(|| unread("the slices of the tensors"))?,
            None => Strings::All(Bytes::new()),
        };
        let types = match graph.attr(i, if io.restores { b"dtypes" } else { b"T" })? {
            Some(Attr::List(List::Types(types))) => types,
            _ => Vec::new(),
        };
        let one = match graph.attr(i, b"dt")? {
            Some(Attr::Type(dtype)) => Some(dtype),
            _ => None,
        };
        // The legacy SaveV2 calls its list of types differently.
        let types = match graph.attr(i, b"dtypes")? {
            Some(Attr::List(List::Types(list))) if types.is_empty() => list,
            _ => types,
        };
        let add = |linker: &mut Self, number: u32, targets: Vec<(u32, u32)>| {
            let Some(key) = names.get(number) else {
                return;
            };
            let slice = specs.get(number).unwrap_or_default();
            let dtype = types.get(number as usize).copied().or(one);
            for (target, anchor) in targets {
                linker.out.links.push(Link {
                    target,
                    key: key.clone(),
                    slice: slice.clone(),
                    dtype,
                    anchor: if graph.function().is_some() { anchor } else { i },
                    function: graph.function(),
                    restored: io.restores,
                });
            }
        };
        if io.restores {
            let edges = graph.edges()?;
            for &used in edges.users(i) {
                if let Ok(port) = u32::try_from(edges.port(used)) {
                    for handle in forward(graph, used.dst, used.input)? {
                        let targets = self.back((graph.function(), handle));
                        add(self, port, targets);
                    }
                }
            }
        } else {
            let tensors = inputs.iter().skip(io.first).filter(|edge| edge.port >= 0);
            for (&edge, number) in tensors.zip(0..) {
                let targets = self.back((graph.function(), edge));
                add(self, number, targets);
            }
        }
        Ok(())
    }

    /// The nodes of the graph that an edge comes from, through what passes it on and out of functions; and the
    /// call in the graph that led there.
    fn back(&self, from: Place) -> Vec<(u32, u32)> {
        let mut found = Vec::new();
        let mut waiting = vec![(from, u32::MAX)];
        let mut seen = std::collections::HashSet::new();
        while let Some(((function, edge), call)) = waiting.pop() {
            if !seen.insert((function, edge.src, edge.port)) || seen.len() > MAX_STEPS {
                continue;
            }
            let Ok(graph) = self.meta.graph_of(function) else {
                continue;
            };
            let body = graph.body();
            if let (Some(arg), Some(function)) =
                ((edge.src as usize).checked_sub(body.len()), function)
            {
                for &(caller, node, before) in self.calls.get(&function).into_iter().flatten() {
                    let edges = self.meta.graph_of(caller).and_then(|graph| graph.inputs(node));
                    let at = arg + before as usize;
                    if let Some(&edge) = edges.ok().as_ref().and_then(|edges| edges.get(at)) {
                        waiting.push(((caller, edge), node));
                    }
                }
            } else if passes_on(body.op(edge.src)) {
                let inputs = graph.inputs(edge.src).unwrap_or_default();
                if let Some(&edge) = inputs.first().filter(|edge| edge.port >= 0) {
                    waiting.push(((function, edge), call));
                }
            } else if function.is_none() && edge.src != MISSING {
                found.push((edge.src, call));
            }
        }
        found.sort_unstable();
        found.dedup_by_key(|&mut (target, _)| target);
        found
    }

    /// The strings of a constant.
    fn strings(&self, graph: Graph<'a>, edge: Edge) -> Option<Strings> {
        let mut place = (graph.function(), edge);
        for _ in 0..MAX_STEPS {
            let graph = self.meta.graph_of(place.0).ok()?;
            let (body, i) = (graph.body(), place.1.src);
            if let (Some(arg), Some(function)) =
                ((i as usize).checked_sub(body.len()), graph.function())
            {
                let &(caller, node, before) = self.calls.get(&function)?.first()?;
                let edges = self.meta.graph_of(caller).ok()?.inputs(node).ok()?;
                place = (caller, *edges.get(arg + before as usize)?);
                continue;
            }
            if body.op(i) == b"Const" {
                let Ok(Some(Attr::Tensor(tensor))) = graph.attr(i, b"value") else {
                    return None;
                };
                let value = decode(&tensor).ok().filter(|value| value.dtype == DataType::STRING)?;
                return match value.elements {
                    Elements::List(list) => Some(Strings::Each(list)),
                    Elements::SplatList(one) => Some(Strings::All(one)),
                    _ => None,
                };
            }
            if !passes_on(body.op(i)) {
                return None;
            }
            place.1 = *graph.inputs(i).ok()?.first()?;
        }
        None
    }
}

/// A constant of strings.
enum Strings {
    Each(Vec<Bytes>),
    All(Bytes),
}

impl Strings {
    fn get(&self, i: u32) -> Option<Bytes> {
        match self {
            Self::Each(list) => list.get(i as usize).cloned(),
            Self::All(one) => Some(one.clone()),
        }
    }
}

/// The handles that a restored tensor is assigned to, from input `input` of node `i` on.
fn forward(graph: Graph<'_>, i: u32, input: u32) -> Result<Vec<Edge>> {
    let edges = graph.edges()?;
    let mut handles = Vec::new();
    let mut waiting = vec![(i, input)];
    let mut seen = std::collections::HashSet::new();
    while let Some((i, input)) = waiting.pop() {
        if !seen.insert(i) || seen.len() > MAX_STEPS {
            continue;
        }
        if input == 0 && passes_on(graph.body().op(i)) {
            waiting.extend(edges.users_of(i, 0).map(|used| (used.dst, used.input)));
        } else if input > 0 {
            // Assign, AssignVariableOp, LookupTableImportV2 …: what is restored is their first input.
            let handle = edges.inputs(i).first().filter(|edge| edge.port >= 0);
            handles.extend(handle.filter(|edge| edge.src != MISSING));
        }
    }
    Ok(handles)
}

fn is_call(op: &[u8]) -> bool {
    matches!(
        op,
        b"PartitionedCall"
            | b"StatefulPartitionedCall"
            | b"TPUPartitionedCall"
            | b"If"
            | b"StatelessIf"
            | b"While"
            | b"StatelessWhile"
            | b"Case"
            | b"StatelessCase"
    )
}
