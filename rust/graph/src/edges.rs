//! All edges of a body at once, from inputs to nodes and back, made when they are first asked for.

use crate::graph::Graph;
use once_cell::race::OnceBox;
use tensorbundle_wire::Result;

/// An input of a node: where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Edge {
    /// The node or argument; [`MISSING`] if the input names nothing that there is, or several nodes.
    pub src: u32,
    /// Which of its outputs; [`CONTROL`] to wait for it only.
    pub port: i32,
}

/// The source of an input that names nothing.
pub const MISSING: u32 = u32::MAX;

/// The port of an input that is only waited for.
pub const CONTROL: i32 = -1;

/// The edges of a body, by the node they lead to.
pub struct Edges {
    starts: Vec<u32>,
    list: Vec<Edge>,
    users: OnceBox<Users>,
}

/// The edges of a body, by the node or argument they come from.
struct Users {
    starts: Vec<u32>,
    list: Vec<Use>,
}

/// An edge, seen from where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// The node it leads to.
    pub dst: u32,
    /// Which of that node's inputs it is.
    pub input: u32,
}

impl Edges {
    pub(crate) fn of(graph: &Graph<'_>) -> Result<Self> {
        let len = graph.body().len();
        let mut starts = tensorbundle_wire::with_capacity(len + 1, "graph")?;
        let mut list = Vec::new();
        let mut listed = 0;
        starts.push(0);
        for i in 0..len as u32 {
            graph.resolve_all(i, &mut list, &mut listed)?;
            starts.push(list.len() as u32);
        }
        list.shrink_to_fit();
        Ok(Self { starts, list, users: OnceBox::new() })
    }

    /// The inputs of node `i`, data before control.
    #[inline]
    pub fn inputs(&self, i: u32) -> &[Edge] {
        slice(&self.starts, &self.list, i)
    }

    /// How many edges there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// No edges.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Who takes what node or argument `i` gives, in order of their numbers.
    pub fn users(&self, i: u32) -> &[Use] {
        let users = self.users.get_or_init(|| Box::new(self.turn()));
        slice(&users.starts, &users.list, i)
    }

    /// Which output of its source an edge comes from; [`CONTROL`] for none.
    pub fn port(&self, used: Use) -> i32 {
        self.inputs(used.dst).get(used.input as usize).map_or(CONTROL, |edge| edge.port)
    }

    /// Who takes output `port` of node or argument `i`, or waits for it, in order of their numbers.
    pub fn users_of(&self, i: u32, port: i32) -> impl Iterator<Item = Use> {
        self.users(i).iter().copied().filter(move |&used| self.port(used) == port)
    }

    /// One more than the highest output of node or argument `i` that anybody takes.
    pub(crate) fn outputs_used(&self, i: u32) -> u32 {
        let ports = self.users(i).iter().map(|&used| self.port(used));
        ports.filter_map(|port| u32::try_from(port).ok()).max().map_or(0, |port| port + 1)
    }

    /// Counts, then fills: the edges of each source stand in order of where they lead.
    fn turn(&self) -> Users {
        let sources = self.list.iter().filter(|edge| edge.src != MISSING);
        let len = sources.clone().map(|edge| edge.src as usize + 1).max().unwrap_or(0);
        let mut starts = vec![0_u32; len + 1];
        for edge in sources {
            if let Some(count) = starts.get_mut(edge.src as usize + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut next = starts.clone();
        let mut list = vec![Use { dst: 0, input: 0 }; sum as usize];
        for dst in 0..self.starts.len().saturating_sub(1) as u32 {
            for (edge, input) in self.inputs(dst).iter().zip(0..) {
                if edge.src != MISSING
                    && let Some(place) = next.get_mut(edge.src as usize)
                {
                    if let Some(slot) = list.get_mut(*place as usize) {
                        *slot = Use { dst, input };
                    }
                    *place += 1;
                }
            }
        }
        Users { starts, list }
    }
}

#[inline]
fn slice<'a, T>(starts: &[u32], list: &'a [T], i: u32) -> &'a [T] {
    let bound = |i: usize| starts.get(i).map(|&start| start as usize);
    match (bound(i as usize), bound(i as usize + 1)) {
        (Some(start), Some(end)) => list.get(start..end).unwrap_or_default(),
        _ => &[],
    }
}
