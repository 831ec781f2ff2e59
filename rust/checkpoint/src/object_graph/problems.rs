//! What is wrong with a graph of objects: numbers that lead nowhere, names that stand twice, tensors that are not
//! there.

use super::{ObjectGraph, Way};
use tensorbundle_store::Listing;
use tensorbundle_wire::shown;

/// Sentences that are listed. Whoever has more has one problem.
const MOST: usize = 1000;

/// Sentences, as far as they are worth listing.
struct Said {
    list: Vec<String>,
    more: usize,
}

impl Said {
    fn add(&mut self, sentence: impl FnOnce() -> String) {
        if self.list.len() < MOST {
            self.list.push(sentence());
        } else {
            self.more += 1;
        }
    }
}

impl ObjectGraph {
    /// What is wrong, a sentence each; with a listing also which tensors are missing.
    pub fn problems(&self, listing: Option<&Listing>) -> Vec<String> {
        let mut said = Said { list: Vec::new(), more: 0 };
        if self.is_empty() {
            said.add(|| "it has no nodes, not even a root".into());
        }
        for node in 0..self.len() as u32 {
            self.children_of(node, &mut said);
            self.slots_of(node, &mut said);
            if self.way(node) == Way::None {
                let tensors = self.attributes(node).count();
                if tensors > 0 {
                    said.add(|| format!("node {node}: it has tensors, and no way leads to it"));
                }
            }
            for attribute in self.attributes(node) {
                if listing.is_some_and(|listing| self.keys(&attribute, listing).is_empty()) {
                    said.add(|| {
                        let (name, key) = (shown(attribute.name), shown(attribute.key));
                        format!("node {node}: its {name} is no tensor of the checkpoint: {key}")
                    });
                }
            }
        }
        if said.more > 0 {
            said.list.push(format!("and {} more", said.more));
        }
        said.list
    }

    fn children_of(&self, node: u32, said: &mut Said) {
        for child in self.children(node).filter(|child| !self.has(child.node)) {
            said.add(|| self.nowhere(node, "child", child.name, child.node));
        }
        if let Some(sentence) = self.twice_said(node) {
            said.add(|| sentence);
        }
    }

    fn slots_of(&self, node: u32, said: &mut Said) {
        for slot in self.slots(node) {
            for (what, number) in [("variable", slot.original), ("slot variable", slot.variable)] {
                if !self.has(number) {
                    said.add(|| self.nowhere(node, what, slot.name, number));
                }
            }
        }
    }

    /// The sentence about a number that is of no node.
    pub fn nowhere(&self, node: u32, what: &str, name: &[u8], number: u32) -> String {
        let (name, number) = (shown(name), number as i32);
        format!("node {node}: {what} {name} is node {number}, and there are {}", self.len())
    }

    /// The sentence about a name that two children of a node have, if there is one.
    pub fn twice_said(&self, node: u32) -> Option<String> {
        self.children(node).find_map(|child| {
            let mut same = self.named(node, child.name);
            let (first, second) = (same.next()?.node as i32, same.next()?.node as i32);
            let name = shown(child.name);
            Some(format!("node {node}: two children are called {name}: {first} and {second}"))
        })
    }
}
