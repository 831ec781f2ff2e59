//! What is wrong with a graph as far as its names and edges go, each as a sentence.

use crate::edges::MISSING;
use crate::graph::Graph;
use tensorbundle_wire::{Result, shown};

impl Graph<'_> {
    /// Names that come twice, of nodes and (asked of the whole graph) of functions; inputs that name nothing.
    pub fn problems(&self) -> Result<Vec<String>> {
        let body = self.body();
        let mut found = Vec::new();
        if self.function().is_none() {
            let library = self.meta().library();
            for &(first, _) in library.duplicates() {
                let name = shown(library.name(first));
                found.push(format!("function {name}: several functions have this name"));
            }
        }
        for &(first, _) in body.duplicates() {
            if let Err(fault) = self.find(body.name(first)) {
                found.push(fault.to_string());
            }
        }
        let edges = self.edges()?;
        for i in 0..body.len() as u32 {
            if edges.inputs(i).iter().any(|edge| edge.src == MISSING)
                && let Err(fault) = self.inputs(i)
            {
                found.push(fault.to_string());
            }
        }
        Ok(found)
    }
}
