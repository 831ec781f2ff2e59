//! A part of a graph, written as a GraphDef again.
//!
//! The bytes of nodes and functions are those of the file, and so is every other field, known or not; what is
//! left out are whole nodes and whole functions. So nothing that stays is changed.

use crate::body::string_field;
use crate::graph::Graph;
use crate::meta_graph::MetaGraph;
use std::collections::{BTreeSet, HashMap};
use tensorbundle_wire::pb::{Value, fields, raw_fields};
use tensorbundle_wire::varint::put_varint;
use tensorbundle_wire::{Fault, Result};

const NODE: u32 = 1;
const LIBRARY: u32 = 2;
const FUNCTION: u32 = 1;
const GRADIENT: u32 = 2;

impl MetaGraph {
    /// The whole GraphDef, as it is in the file.
    pub fn graph_def(&self) -> Vec<u8> {
        self.graph_parts().concat()
    }

    /// A GraphDef of these nodes only, and of the functions that they need.
    pub fn graph_def_of(&self, nodes: &[u32]) -> Result<Vec<u8>> {
        let functions = self.functions_under(nodes)?;
        let bad =
            |why: tensorbundle_wire::pb::Malformed| Fault::corrupt("GraphDef", why.to_string());
        let mut out = Vec::new();
        let (mut node, mut function) = (0, 0);
        for part in self.graph_parts() {
            for field in raw_fields(part) {
                let (number, value, raw) = field.map_err(bad)?;
                match (number, value) {
                    (NODE, Value::Len(_)) => {
                        if nodes.binary_search(&node).is_ok() {
                            out.extend_from_slice(raw);
                        }
                        node += 1;
                    }
                    (LIBRARY, Value::Len(library)) => {
                        let mut kept = Vec::with_capacity(library.len());
                        for field in raw_fields(library) {
                            let (number, value, raw) = field.map_err(bad)?;
                            let keep = match (number, value) {
                                (FUNCTION, Value::Len(_)) => {
                                    function += 1;
                                    functions.contains(&(function - 1))
                                }
                                (GRADIENT, Value::Len(gradient)) => {
                                    let of = self.gradient(gradient).0;
                                    of.is_some_and(|of| functions.contains(&of))
                                }
                                _ => true,
                            };
                            if keep {
                                kept.extend_from_slice(raw);
                            }
                        }
                        put_varint(&mut out, u64::from(LIBRARY << 3 | 2));
                        put_varint(&mut out, kept.len() as u64);
                        out.extend_from_slice(&kept);
                    }
                    _ => out.extend_from_slice(raw),
                }
            }
        }
        Ok(out)
    }

    /// The functions that nodes of the graph need, and those that these need.
    fn functions_under(&self, nodes: &[u32]) -> Result<BTreeSet<u32>> {
        let mut found = BTreeSet::new();
        let mut waiting = Vec::new();
        let add = |graph: Graph<'_>,
                   i: u32,
                   found: &mut BTreeSet<u32>,
                   waiting: &mut Vec<u32>|
         -> Result<()> {
            for function in graph.functions_of(i)? {
                if found.insert(function) {
                    waiting.push(function);
                }
            }
            Ok(())
        };
        for &i in nodes {
            add(self.graph(), i, &mut found, &mut waiting)?;
        }
        let gradients = self.gradients();
        while let Some(function) = waiting.pop() {
            for &gradient in gradients.get(&function).into_iter().flatten() {
                if found.insert(gradient) {
                    waiting.push(gradient);
                }
            }
            if let Some(graph) = self.function(function)? {
                for i in 0..graph.body().len() as u32 {
                    add(graph, i, &mut found, &mut waiting)?;
                }
            }
        }
        Ok(found)
    }

    /// The functions that are gradients of others, by those.
    fn gradients(&self) -> HashMap<u32, Vec<u32>> {
        let mut all: HashMap<u32, Vec<u32>> = HashMap::new();
        let libraries = self.graph_parts().into_iter().flat_map(|part| fields(part).flatten());
        for library in libraries.filter_map(|field| message(field, LIBRARY)) {
            for gradient in fields(library).flatten().filter_map(|field| message(field, GRADIENT)) {
                if let (Some(of), Some(gradient)) = self.gradient(gradient) {
                    all.entry(of).or_default().push(gradient);
                }
            }
        }
        all
    }

    /// The functions that a GradientDef names: which one, and its gradient.
    fn gradient(&self, message: &[u8]) -> (Option<u32>, Option<u32>) {
        let named = |number| self.library().one(string_field(message, number).unwrap_or_default());
        (named(1), named(2))
    }
}

/// The bytes of field `number`, if it is that.
fn message<'a>(field: (u32, Value<'a>), number: u32) -> Option<&'a [u8]> {
    match field {
        (n, Value::Len(bytes)) if n == number => Some(bytes),
        _ => None,
    }
}
