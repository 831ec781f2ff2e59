//! Ways through a graph. Nothing here recurses: a list of what is to be visited, and a mark for what was.

use crate::attr::{Attr, List};
use crate::edges::{CONTROL, MISSING};
use crate::graph::Graph;
use tensorbundle_wire::Result;

/// Which way, and how far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Walk<'a> {
    /// Follow control edges too.
    pub control: bool,
    /// Come to these nodes, but go no further.
    pub stop: &'a [u32],
    /// Up, go to the nodes too that a node is to be placed with: without them TensorFlow imports no graph.
    pub colocated: bool,
}

impl Graph<'_> {
    /// The nodes (and arguments) that `from` depends on, and `from` itself, in order.
    ///
    /// An input on the way that names nothing is a fault.
    pub fn ancestors(&self, from: &[u32], walk: Walk<'_>) -> Result<Vec<u32>> {
        let edges = self.edges()?;
        self.visit(from, walk.stop, |i, add| {
            for edge in edges.inputs(i) {
                if edge.src == MISSING {
                    self.inputs(i)?;
                } else if walk.control || edge.port != CONTROL {
                    add(edge.src);
                }
            }
            if walk.colocated {
                self.colocated(i)?.into_iter().for_each(add);
            }
            Ok(())
        })
    }

    /// The nodes that node `i` is to be placed with: `_class` has `loc:@name` for each.
    fn colocated(&self, i: u32) -> Result<Vec<u32>> {
        let mut found = Vec::new();
        if let Some(Attr::List(List::Bytes(classes))) = self.attr(i, b"_class")? {
            for name in classes.iter().filter_map(|class| class.strip_prefix(b"loc:@")) {
                found.extend(self.find(name)?);
            }
        }
        Ok(found)
    }

    /// The nodes that depend on `from`, and `from` itself, in order.
    pub fn descendants(&self, from: &[u32], walk: Walk<'_>) -> Result<Vec<u32>> {
        let edges = self.edges()?;
        self.visit(from, walk.stop, |i, add| {
            for &used in edges.users(i) {
                if walk.control || edges.port(used) != CONTROL {
                    add(used.dst);
                }
            }
            Ok(())
        })
    }

    /// The nodes on the ways from `from` to `to`, both ends with them, in order.
    pub fn between(&self, from: &[u32], to: &[u32], control: bool) -> Result<Vec<u32>> {
        let below = self.descendants(from, Walk { control, stop: to, ..Walk::default() })?;
        let above = self.ancestors(to, Walk { control, stop: from, ..Walk::default() })?;
        Ok(below.into_iter().filter(|i| above.binary_search(i).is_ok()).collect())
    }

    fn visit(
        &self,
        from: &[u32],
        stop: &[u32],
        mut next: impl FnMut(u32, &mut dyn FnMut(u32)) -> Result<()>,
    ) -> Result<Vec<u32>> {
        let len = self.body().len() + self.body().num_args();
        let mut seen = vec![false; len];
        let mut last = vec![false; len];
        for &i in stop {
            if let Some(mark) = last.get_mut(i as usize) {
                *mark = true;
            }
        }
        let mut waiting = Vec::new();
        let mut add = |i: u32, waiting: &mut Vec<u32>| {
            if let Some(mark @ false) = seen.get_mut(i as usize) {
                *mark = true;
                waiting.push(i);
            }
        };
        for &i in from {
            add(i, &mut waiting);
        }
        while let Some(i) = waiting.pop() {
            if last.get(i as usize) != Some(&true) {
                next(i, &mut |i| add(i, &mut waiting))?;
            }
        }
        let marks = seen.iter().zip(0..);
        Ok(marks.filter(|(mark, _)| **mark).map(|(_, i)| i).collect())
    }
}
