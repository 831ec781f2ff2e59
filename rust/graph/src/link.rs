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
use std::rc::Rc;
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

/// Steps to follow from one tensor. Real ways have fewer than ten.
const MAX_STEPS: usize = 64;

/// Steps of all ways of one file. Real files take some ten for each variable.
const MAX_ALL_STEPS: usize = 1 << 23;

/// Links of one file. A function with many restores that many nodes call claims the product of the two; real files
/// have two for each variable.
const MAX_LINKS: usize = 1 << 20;

/// Nodes that a way back may lead to and still be kept: of more, each way leads to its own.
const MANY: usize = 64;

/// A place in the graph or in a function.
type Place = (Option<u32>, Edge);

struct Linker<'a> {
    meta: &'a MetaGraph,
    /// For each function, the nodes that call it, and how many inputs of theirs come before its own.
    calls: HashMap<u32, Vec<(Option<u32>, u32, u32)>>,
    out: Links,
    /// Where ways back have led: the tensors of one function come from the same calls.
    known: HashMap<Place, Rc<[(u32, u32)]>>,
    /// The constants that were read: many ops may share one.
    constants: HashMap<(Option<u32>, u32), Rc<Strings>>,
    /// Steps back that were taken, all in all.
    steps: usize,
    /// Some way was longer than is followed.
    lost: bool,
}

impl MetaGraph {
    /// Which variable which tensor of a checkpoint is restored into.
    pub fn links(&self) -> Links {
        let mut linker = Linker {
            meta: self,
            calls: HashMap::new(),
            out: Links::default(),
            known: HashMap::new(),
            constants: HashMap::new(),
            steps: 0,
            lost: false,
        };
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
        let mut limit = |what: String| {
            linker.out.faults.push(Fault::unsupported("links of savers", what));
        };
        if linker.lost {
            limit(format!(
                "a variable is more than {MAX_STEPS} steps from its saver, or all together take more \
                 than {MAX_ALL_STEPS}"
            ));
        }
        if linker.out.links.len() >= MAX_LINKS {
            limit(format!("more than {MAX_LINKS}: not all are followed"));
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
            let functions = graph.functions_of(i).unwrap_or_else(|fault| {
                self.out.faults.push(fault);
                Vec::new()
            });
            for function in functions {
                self.calls.entry(function).or_default().push((graph.function(), i, before));
            }
        }
    }

    fn io(&mut self, graph: Graph<'a>, i: u32) -> Result<()> {
        let body = graph.body();
        let Some(io) = io_op(body.op(i)).filter(|_| self.out.links.len() < MAX_LINKS) else {
            return Ok(());
        };
        let inputs = graph.inputs(i)?;
        let mut constant = |at: usize, what: &str| {
            let strings = match inputs.get(at) {
                Some(&edge) => self.strings(graph, edge),
                None => Ok(None),
            };
            let why = match strings {
                Ok(Some(strings)) => return Ok(strings),
                Ok(None) => "no constant".to_owned(),
                Err(fault) => fault.to_string(),
            };
            let node = format!("node {}", shown(body.name(i)));
            Err(Fault::unsupported(node, format!("{what} cannot be told: {why}")))
        };
        let names = constant(1, "the names of the tensors")?;
        let specs = match io.specs {
            Some(at) => constant(at, "the slices of the tensors")?,
            None => Rc::new(Strings::All(Bytes::new())),
        };
        let one = match graph.attr(i, b"dt")? {
            Some(Attr::Type(dtype)) => Some(dtype),
            _ => None,
        };
        // The ops before V2 call their list of types differently.
        let types = match (graph.attr(i, b"dtypes")?, graph.attr(i, b"T")?) {
            (Some(Attr::List(List::Types(types))), _)
            | (_, Some(Attr::List(List::Types(types)))) => types,
            _ => Vec::new(),
        };
        let add = |linker: &mut Self, number: u32, targets: Rc<[(u32, u32)]>| {
            let Some(key) = names.get(number) else {
                return;
            };
            let slice = specs.get(number).unwrap_or_default();
            let dtype = types.get(number as usize).copied().or(one);
            let left = MAX_LINKS.saturating_sub(linker.out.links.len());
            for &(target, anchor) in targets.iter().take(left) {
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
                if self.out.links.len() >= MAX_LINKS {
                    break;
                }
                if let Ok(port) = u32::try_from(edges.port(used)) {
                    let (handles, lost) = forward(graph, used.dst, used.input)?;
                    self.lost |= lost;
                    for handle in handles {
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
    fn back(&mut self, from: Place) -> Rc<[(u32, u32)]> {
        if let Some(known) = self.known.get(&from) {
            return known.clone();
        }
        let mut found = Vec::new();
        let mut waiting = vec![(from, u32::MAX, 0)];
        let mut seen = std::collections::HashSet::new();
        while let Some(((function, edge), call, steps)) = waiting.pop() {
            // Callers do not count as steps: a function may have as many as there are nodes.
            if edge.port < 0 || !seen.insert((function, edge.src, edge.port)) {
                continue;
            }
            self.steps += 1;
            if steps > MAX_STEPS || self.steps > MAX_ALL_STEPS {
                self.lost = true;
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
                    if let Some(edge) = self.input(caller, node, arg + before as usize) {
                        waiting.push(((caller, edge), node, steps + 1));
                    }
                }
            } else if passes_on(body.op(edge.src)) {
                if let Some(edge) = self.input(function, edge.src, 0) {
                    waiting.push(((function, edge), call, steps + 1));
                }
            } else if function.is_none() && edge.src != MISSING {
                found.push((edge.src, call));
            }
        }
        found.sort_unstable();
        found.dedup_by_key(|&mut (target, _)| target);
        let found: Rc<[_]> = found.into();
        if found.len() < MANY {
            self.known.insert(from, found.clone());
        }
        found
    }

    /// Input `at` of a node.
    fn input(&self, function: Option<u32>, node: u32, at: usize) -> Option<Edge> {
        let edges = self.meta.graph_of(function).ok()?.edges().ok()?;
        edges.inputs(node).get(at).copied()
    }

    /// The strings of a constant.
    fn strings(&mut self, graph: Graph<'a>, edge: Edge) -> Result<Option<Rc<Strings>>> {
        let mut place = (graph.function(), edge);
        for _ in 0..MAX_STEPS {
            let graph = self.meta.graph_of(place.0)?;
            let (body, i) = (graph.body(), place.1.src);
            if let (Some(arg), Some(function)) =
                ((i as usize).checked_sub(body.len()), graph.function())
            {
                // Of several calls, each may give another constant.
                let calls = self.calls.get(&function).into_iter().flatten();
                let mut calls = calls.filter(|(caller, ..)| *caller != Some(function));
                let (Some(&(caller, node, before)), None) = (calls.next(), calls.next()) else {
                    return Ok(None);
                };
                let Some(edge) = self.input(caller, node, arg + before as usize) else {
                    return Ok(None);
                };
                place = (caller, edge);
                continue;
            }
            if body.op(i) == b"Const" {
                if let Some(known) = self.constants.get(&(place.0, i)) {
                    return Ok(Some(known.clone()));
                }
                let Some(Attr::Tensor(tensor)) = graph.attr(i, b"value")? else {
                    return Ok(None);
                };
                let value = decode(&tensor)?;
                let strings = match value.elements {
                    Elements::List(list) if value.dtype == DataType::STRING => Strings::Each(list),
                    Elements::SplatList(one) if value.dtype == DataType::STRING => {
                        Strings::All(one)
                    }
                    _ => return Ok(None),
                };
                let strings = Rc::new(strings);
                self.constants.insert((place.0, i), strings.clone());
                return Ok(Some(strings));
            }
            match self.input(place.0, i, 0).filter(|_| passes_on(body.op(i))) {
                Some(edge) => place.1 = edge,
                None => return Ok(None),
            }
        }
        Ok(None)
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
///
/// Also says whether a way was longer than is followed.
fn forward(graph: Graph<'_>, i: u32, input: u32) -> Result<(Vec<Edge>, bool)> {
    let edges = graph.edges()?;
    let mut handles = Vec::new();
    let mut waiting = vec![(i, input, 0)];
    let mut seen = std::collections::HashSet::new();
    let mut lost = false;
    while let Some((i, input, steps)) = waiting.pop() {
        if !seen.insert((i, input)) {
            continue;
        }
        if steps > MAX_STEPS {
            lost = true;
            continue;
        }
        if input == 0 && passes_on(graph.body().op(i)) {
            let users = edges.users_of(i, 0);
            waiting.extend(users.map(|used| (used.dst, used.input, steps + 1)));
        } else if input > 0 {
            // Assign, AssignVariableOp, LookupTableImportV2 …: what is restored is their first input.
            let handle = edges.inputs(i).first().filter(|edge| edge.port >= 0);
            handles.extend(handle.filter(|edge| edge.src != MISSING));
        }
    }
    Ok((handles, lost))
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
