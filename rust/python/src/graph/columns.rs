//! Names, ops and edges of all nodes, as bytes that arrays are made over.

use tensorbundle_graph::{Graph, MISSING};
use tensorbundle_wire::{Result, with_capacity};

/// Columns of a graph, as bytes.
pub(crate) struct Columns {
    /// Where each name begins.
    pub(crate) starts: Vec<u8>,
    pub(crate) names: Vec<u8>,
    /// The number of each node's op.
    pub(crate) numbers: Vec<u8>,
    /// Of each edge: where it leads, where it comes from, which output that is.
    pub(crate) edges: [Vec<u8>; 3],
}

impl Columns {
    pub(crate) fn of(graph: Graph<'_>) -> Result<Self> {
        let body = graph.body();
        let room = |bytes| with_capacity(bytes, "graph");
        let (mut starts, mut numbers) = (room(body.len() * 8 + 8)?, room(body.len() * 4)?);
        let mut names = Vec::new();
        starts.extend(0_i64.to_ne_bytes());
        for i in 0..body.len() as u32 {
            names.extend_from_slice(body.name(i));
            starts.extend((names.len() as i64).to_ne_bytes());
            numbers.extend(body.op_number(i).unwrap_or_default().to_ne_bytes());
        }
        let edges = graph.edges()?;
        let len = edges.len() * 4;
        let (mut to, mut from, mut port) = (room(len)?, room(len)?, room(len)?);
        for i in 0..body.len() as u32 {
            for edge in edges.inputs(i) {
                to.extend(i.to_ne_bytes());
                // -1 where the input names nothing that there is.
                from.extend((if edge.src == MISSING { -1 } else { edge.src as i32 }).to_ne_bytes());
                port.extend(edge.port.to_ne_bytes());
            }
        }
        Ok(Self { starts, names, numbers, edges: [to, from, port] })
    }
}
